#include "lab/text/chat_format.hpp"

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(text_chat_format)

using namespace lab::text;

namespace {

const messages talk{
    {"system", "Be brief."}, {"user", "Hi"}, {"assistant", "Hello!"}, {"user", "Bye"}, {"assistant", "See you"}};

std::string text_of(const any_chat_format& format, const messages& conversation, bool prompt = false) {
    return to_string(format.render(conversation, {.add_generation_prompt = prompt}));
}
std::string trained_text(const std::vector<segment>& segments) {
    std::string out;
    for (const auto& s : segments)
        if (s.trained) out += s.text + "|";
    return out;
}
messages first_of(std::size_t n) { return {talk.begin(), talk.begin() + static_cast<std::ptrdiff_t>(n)}; }

}  // namespace

BOOST_AUTO_TEST_CASE(each_format_writes_its_text) {
    BOOST_TEST(text_of(formats::granite_lab{}, talk) ==
               "<|system|>\nBe brief.\n<|user|>\nHi\n<|assistant|>\nHello!<|endoftext|>\n<|user|>\nBye\n<|assistant|>\n"
               "See you<|endoftext|>");
    BOOST_TEST(text_of(formats::chatml{}, talk) ==
               "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello!"
               "<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\nSee you<|im_end|>\n");
    BOOST_TEST(text_of(formats::llama2{}, talk) ==
               "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Hello! </s><s>[INST] Bye [/INST] See you </s>");
    BOOST_TEST(text_of(formats::mistral{}, talk) ==
               "<s>[INST] Be brief.\n\nHi [/INST] Hello!</s>[INST] Bye [/INST] See you</s>");
    BOOST_TEST(
        text_of(formats::zephyr{}, talk) ==
        "<|system|>\nBe brief.</s>\n<|user|>\nHi</s>\n<|assistant|>\nHello!</s>\n<|user|>\nBye</s>\n<|assistant|>\n"
        "See you</s>\n");
    BOOST_TEST(text_of(formats::vicuna{}, talk) ==
               "<s>Be brief. USER: Hi ASSISTANT: Hello!</s>USER: Bye ASSISTANT: See you</s>");
}

BOOST_AUTO_TEST_CASE(default_system_prompts_are_used_only_where_none_is_given) {
    BOOST_TEST(
        text_of(formats::granite_lab{}, {{"user", "Hi"}}, true) ==
        "<|system|>\nYou are an AI language model developed by IBM Research. You are a cautious assistant. You "
        "carefully "
        "follow instructions. You are helpful and harmless and you follow ethical guidelines and promote positive "
        "behavior.\n<|user|>\nHi\n<|assistant|>\n");
    BOOST_TEST(text_of(formats::smollm2{}, {{"user", "Hi"}}, true) ==
               "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
               "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
    BOOST_TEST(text_of(formats::chatml{}, {{"user", "Hi"}}) == "<|im_start|>user\nHi<|im_end|>\n");
    BOOST_TEST(text_of(formats::granite_lab{}, {{"system", ""}, {"user", "Hi"}}) == "<|system|>\n\n<|user|>\nHi\n");
}

BOOST_AUTO_TEST_CASE(the_prompt_is_a_prefix_of_the_answered_conversation) {
    for (const auto& name : chat_format_names()) {
        const auto format = chat_format_by_name(name);
        for (const std::size_t n : {2u, 4u}) {
            const std::string prompt = text_of(format, first_of(n), true), full = text_of(format, first_of(n + 1));
            BOOST_TEST(full.starts_with(prompt), name << ": " << prompt << " / " << full);
        }
    }
}

BOOST_AUTO_TEST_CASE(answers_and_their_end_are_trained_and_nothing_else) {
    BOOST_TEST(trained_text(formats::granite_lab{}.render(talk)) == "Hello!|<|endoftext|>|See you|<|endoftext|>|");
    BOOST_TEST(trained_text(formats::chatml{}.render(talk)) == "Hello!|<|im_end|>|See you|<|im_end|>|");
    BOOST_TEST(trained_text(formats::llama2{}.render(talk)) == " Hello!| </s>| See you| </s>|");
    BOOST_TEST(trained_text(formats::vicuna{}.render(talk)) == " Hello!|</s>| See you|</s>|");
    BOOST_TEST(trained_text(formats::chatml{}.render(talk, {.unmask = true})) ==
               "Hi|Hello!|<|im_end|>|Bye|See you|<|im_end|>|");
}

BOOST_AUTO_TEST_CASE(control_tokens_in_messages_stay_text) {
    for (const auto& name : chat_format_names()) {
        const auto format = chat_format_by_name(name);
        for (const auto& s :
             format.render(messages{{"system", "x<|evil|>"}, {"user", "y<|evil|>"}, {"assistant", "z<|evil|>"}}))
            BOOST_TEST(!(s.parse_special && s.text.find("evil") != std::string::npos), name);
    }
}

BOOST_AUTO_TEST_CASE(a_prefix_is_put_in_the_models_mouth) {
    const auto s =
        formats::llama2{}.render(messages{{"user", "Hi"}}, {.add_generation_prompt = true, .assistant_prefix = "Sure"});
    BOOST_TEST(to_string(s) == "<s>[INST] Hi [/INST] Sure");
    BOOST_TEST(trained_text(s) == "");
}

BOOST_AUTO_TEST_CASE(white_space_is_trimmed_where_the_format_says_so) {
    BOOST_TEST(text_of(formats::llama2{}, {{"user", " Hi\n"}}) == "<s>[INST] Hi [/INST]");
    BOOST_TEST(text_of(formats::chatml{}, {{"user", " Hi\n"}}) == "<|im_start|>user\n Hi\n<|im_end|>\n");
}

BOOST_AUTO_TEST_CASE(what_a_format_cannot_say_is_refused) {
    BOOST_CHECK_THROW((void)formats::chatml{}.render(messages{{"tool", "x"}}), lab::config_error);
    BOOST_CHECK_THROW((void)formats::llama2{}.render(messages{{"system", "x"}}), lab::config_error);
    BOOST_CHECK_THROW((void)formats::llama2{}.render(messages{{"system", "x"}, {"system", "y"}, {"user", "z"}}),
                      lab::config_error);
    BOOST_CHECK_EXCEPTION((void)chat_format_by_name("nope"), lab::config_error, [](const lab::config_error& e) {
        return std::string(e.what()).find("granite_lab, chatml, smollm2, llama2, mistral, zephyr, vicuna") !=
               std::string::npos;
    });
}

BOOST_AUTO_TEST_CASE(formats_name_their_stops_and_special_tokens) {
    const auto granite = chat_format_by_name("granite_lab");
    BOOST_TEST(granite.stop() == std::vector<std::string>{"<|endoftext|>"}, boost::test_tools::per_element());
    const std::vector<std::string> expected{"<|system|>", "<|user|>", "<|assistant|>", "<|endoftext|>"};
    BOOST_TEST(granite.special_tokens() == expected, boost::test_tools::per_element());
    BOOST_TEST(granite.name() == "granite_lab");
}

BOOST_AUTO_TEST_SUITE_END()
