// A chat in 20 lines: links nothing but the standard library and threads.
#include <iostream>
#include <string>

#include <lab/infer/chat.hpp>
#include <lab/nn/load.hpp>
#include <lab/tokenizer/load.hpp>

int main(int, char** argv) {
    lab::infer::engine engine(lab::nn::load_model(argv[1]), lab::tokenizer::load_tokenizer(argv[1]));
    lab::infer::chat chat(engine, lab::text::formats::smollm2{},
                          lab::sampling::chain{lab::sampling::repetition{1.1f}, lab::sampling::top_p{0.9f},
                                               lab::sampling::temperature{0.7f}});
    for (std::string line; std::cout << "\n> " && std::getline(std::cin, line);)
        chat.say(line, [](std::string_view piece) {
            std::cout << piece << std::flush;
            return true;
        });
}
