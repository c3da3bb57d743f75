// lab-chat: talk with a model in the terminal, or ask it one question.
#include <atomic>
#include <csignal>
#include <cstdint>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "chat/line_editor.hpp"
#include "common/cli.hpp"
#include "common/repl.hpp"
#include "lab/core/file.hpp"
#include "lab/infer/chat.hpp"
#include "lab/nn/load.hpp"
#include "lab/text/choose_format.hpp"
#include "lab/tokenizer/load.hpp"

namespace {

using namespace lab;

std::atomic<bool> interrupted{false};

constexpr const char* examples = R"(
Examples:
  lab-chat --model SmolLM2-135M-Instruct.gguf
  lab-chat --model out/final --system "You answer in one sentence." --temperature 0
  lab-chat --model model.gguf --prompt "Name three ferries." --seed 7
  lab-chat --model model.gguf --prompt "A ferry as JSON." --json-schema ferry.json
  cat question.txt | lab-chat --model model.gguf --prompt -
  lab-chat --model book.gguf --continue --prompt "Once upon a time"
In the chat, /help lists the commands. The same seed gives the same answers.
)";

/// Text as it is, for models that continue it.
struct plain_text {
    [[nodiscard]] std::string name() const { return "none"; }
    [[nodiscard]] std::vector<std::string> stop() const { return {}; }
    [[nodiscard]] std::vector<std::string> special_tokens() const { return {}; }
    [[nodiscard]] std::vector<text::segment> render(std::span<const text::message> messages,
                                                    const text::render_options&) const {
        std::vector<text::segment> parts;
        for (const auto& m : messages) parts.push_back({m.content});
        return parts;
    }
};

cxxopts::Options command_line() {
    cxxopts::Options spec("lab-chat", "Chats with a model: a GGUF file or a safetensors folder.");
    const auto text = [] { return cxxopts::value<std::string>(); };
    spec.add_options()("model", "GGUF file or folder", text())(
        "prompt", "answer this once and leave; - reads standard input", text())(
        "grammar", "the answer to --prompt follows the GBNF grammar in this file", text())(
        "json-schema", "... is JSON that the schema in this file allows", text())(
        "regex", "... matches this pattern as a whole", text())("system", "system message", text())(
        "format", "chat format by name; default: the model's own template", text())(
        "continue", "no chat: the model continues the text, as one that learnt from plain text does")(
        "temperature", "0: always the likeliest token", cxxopts::value<float>()->default_value("0.7"))(
        "top-k", "0: off", cxxopts::value<std::int32_t>()->default_value("40"))(
        "top-p", "1: off", cxxopts::value<float>()->default_value("0.95"))(
        "min-p", "0: off", cxxopts::value<float>()->default_value("0.05"))(
        "repetition-penalty", "1: off", cxxopts::value<float>()->default_value("1.1"))(
        "seed", "of the draws", cxxopts::value<std::uint64_t>()->default_value("0"))(
        "max-tokens", "of one answer", cxxopts::value<std::size_t>()->default_value("512"))(
        "lookup",
        "tokens to guess from the text so far and check at once: faster where answers repeat it (no sliding window)",
        cxxopts::value<std::size_t>()->default_value("0"))(
        "draft", "a smaller model with the same tokenizer, to guess what --model will say: faster, the same answers",
        text())("cache-type", "of the cached keys and values: f16, q8_0, bf16, f32",
                cxxopts::value<std::string>()->default_value("f16"))(
        "cache-mib", apps::cache_help, cxxopts::value<std::size_t>()->default_value("1024"))(
        "compute", "native: products in what the weights are stored in; f32: exact",
        cxxopts::value<std::string>()->default_value("native"))(
        "threads", "0: one per processor", cxxopts::value<std::size_t>()->default_value("0"))("h,help", "this text");
    return spec;
}

/// infer::chat whose /regen draws anew: the same seed at the same place would give the same answer.
class reseeding_chat : public infer::chat {
public:
    reseeding_chat(infer::engine& engine, text::any_chat_format format, const text::sampling_options& sampling,
                   infer::chat_options options)
        : chat(engine, std::move(format), sampling::make_chain(sampling), std::move(options)), sampling_(sampling) {}
    infer::generated regenerate(const piece_callback& on_piece) {
        ++sampling_.seed;
        set_sampler(sampling::make_chain(sampling_));
        return chat::regenerate(on_piece);
    }

private:
    text::sampling_options sampling_;
};

/// The constraint that the options ask for. At most one of them may be given.
text::output_constraint wanted_form(const cxxopts::ParseResult& args) {
    text::output_constraint wanted;
    std::size_t given = 0;
    const auto take = [&](const char* option, std::string& into, bool file) {
        if (args.count(option) == 0) return;
        ++given;
        into = args[option].as<std::string>();
        if (file) into = lab::read_file(into);
        if (into.empty()) throw apps::usage_error("--" + std::string(option) + " is empty");
    };
    take("grammar", wanted.grammar, true);
    take("json-schema", wanted.json_schema, true);
    take("regex", wanted.regex, false);
    if (given > 1) throw apps::usage_error("give one of --grammar, --json-schema and --regex");
    if (given > 0 && args.count("prompt") == 0)
        throw apps::usage_error("--grammar, --json-schema and --regex need --prompt");
    return wanted;
}

/// The engine that the options describe. The draft works on the model's threads.
infer::engine make_engine(const cxxopts::ParseResult& args, lab::tokenizer::tokenizer tokens) {
    const nn::load_options load{.pool = std::make_shared<thread_pool>(apps::chosen_threads(args)),
                                .compute = compute_from_name(args["compute"].as<std::string>())};
    nn::any_model draft;
    if (args.count("draft") != 0) {
        const auto path = args["draft"].as<std::string>();
        if (lab::tokenizer::load_tokenizer(path).source().texts != tokens.source().texts)
            throw config_error(
                explain(path, "has another tokenizer than the model", "a draft must have the same tokens"));
        draft = nn::load_model(path, load);
    }
    return infer::engine(nn::load_model(args["model"].as<std::string>(), load), std::move(tokens),
                         {.cache_bytes = apps::chosen_cache_bytes(args),
                          .cache_type = dtype_from_name(args["cache-type"].as<std::string>()),
                          .lookup_tokens = args["lookup"].as<std::size_t>()},
                         std::move(draft));
}

/// Prints one answer. Ctrl-C ends it, with the shell's exit code for that.
int answer_once(infer::chat& chat, std::string question) {
    if (question == "-") question.assign(std::istreambuf_iterator<char>(std::cin), {});
    if (question.find_first_not_of(" \t\r\n") == std::string::npos) throw apps::usage_error("the prompt is empty");
    chat.set_keep_going([] { return !interrupted.load(); });
    chat.say(question, [](std::string_view piece) {
        std::cout << piece << std::flush;
        return true;
    });
    std::cout << '\n';
    return interrupted.load() ? 130 : 0;
}

int run(int argc, char** argv) {
    auto spec = command_line();
    const auto args = spec.parse(argc, argv);
    if (args.count("help") != 0) {
        std::cout << spec.help() << examples;
        return 0;
    }
    if (args.count("model") == 0) throw apps::usage_error("--model is missing");
    if (!args.unmatched().empty()) throw apps::usage_error("unexpected argument '" + args.unmatched().front() + "'");
    const auto text_of = [&](const char* name) {
        return args.count(name) != 0 ? args[name].as<std::string>() : std::string();
    };
    const text::sampling_options sampling{.temperature = args["temperature"].as<float>(),
                                          .top_k = args["top-k"].as<std::int32_t>(),
                                          .top_p = args["top-p"].as<float>(),
                                          .min_p = args["min-p"].as<float>(),
                                          .repetition_penalty = args["repetition-penalty"].as<float>(),
                                          .seed = args["seed"].as<std::uint64_t>()};
    (void)sampling::make_chain(sampling);  // a wrong option is told before the model is loaded

    const auto form = wanted_form(args);
    if (args.count("continue") != 0 && (args.count("format") != 0 || args.count("system") != 0))
        throw apps::usage_error("--continue knows no messages: leave out --format and --system");

    auto tokens = lab::tokenizer::load_tokenizer(text_of("model"));
    auto format = args.count("continue") != 0 ? text::any_chat_format(plain_text{})
                                              : text::chat_format_of(text_of("format"), tokens);
    infer::engine engine = make_engine(args, std::move(tokens));
    reseeding_chat chat(engine, std::move(format), sampling,
                        {.system = text_of("system"), .max_tokens = args["max-tokens"].as<std::size_t>()});

    struct sigaction action {};
    action.sa_handler = [](int) { interrupted.store(true); };
    ::sigaction(SIGINT, &action, nullptr);
    if (args.count("prompt") != 0) {
        std::optional<sampling::token_trie> trie;
        if (!form.empty()) chat.set_constraint(sampling::make_constraint(trie.emplace(engine.tokens()), form));
        return answer_once(chat, text_of("prompt"));
    }

    apps::line_editor editor(apps::history_path());
    if (editor.interactive()) std::cout << "/help for help, Ctrl-D to leave\n";
    const auto read = [&](const std::string& prompt, std::string& line) { return editor.read(prompt, line); };
    const auto stop = [] { return interrupted.exchange(false); };
    chat.set_keep_going([&] { return !stop(); });
    apps::repl loop(chat, read, std::cout, stop,
                    {.paint = {apps::shows_colours(stdout)}, .show_speed = editor.interactive()});
    loop.run();
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    return lab::apps::run_app("lab-chat", [&] { return run(argc, argv); });
}
