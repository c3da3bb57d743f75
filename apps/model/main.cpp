// lab-model: looks into model files, turns text into tokens and back, measures perplexity, writes logits, converts,
// learns tokenizers.
#include <unistd.h>
#include <algorithm>
#include <array>
#include <cxxopts.hpp>
#include <filesystem>
#include <iostream>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "common/cli.hpp"
#include "common/progress.hpp"
#include "lab/core/quantize.hpp"
#include "lab/core/version.hpp"
#include "lab/formats/npy.hpp"
#include "lab/nn/finite.hpp"
#include "lab/nn/load.hpp"
#include "lab/nn/load_trainable.hpp"
#include "lab/nn/save.hpp"
#include "lab/tokenizer/load.hpp"
#include "model/arguments.hpp"
#include "model/describe.hpp"
#include "model/measure.hpp"
#include "model/options.hpp"
#include "model/train_tokenizer.hpp"

namespace {

using namespace lab;
using apps::chosen_threads, apps::chosen_tokenizer, apps::is_gguf, apps::load, apps::progress, apps::read_input,
    apps::require_apart, apps::require_output, apps::required, apps::style_of, apps::usage_error;

/// "[1, 2, 3]" or "1,2,3".
std::vector<token> parse_tokens(std::string text) {
    if (text.find('[') == text.npos) text = "[" + text + "]";
    return formats::value_as<std::vector<token>>(formats::parse_json(text, "token ids"), "token ids");
}
int info(const cxxopts::ParseResult& args) {
    const auto& files = args.unmatched();
    if (files.size() != 1) throw usage_error("info needs one file or folder");
    const auto what = apps::describe(files.front());
    if (args.count("json") != 0)
        std::cout << formats::to_text(what) << '\n';
    else
        apps::print_description(std::cout, what, args.count("tensors") != 0, args.count("full") != 0,
                                {apps::shows_colours(stdout)});
    return 0;
}

int tokenize(const cxxopts::ParseResult& args) {
    const auto path = required(args, "model");
    const std::string input = read_input(args);
    const auto tokens = tokenizer::load_tokenizer(path);
    if (args.count("decode") != 0) {
        std::cout << tokens.decode(parse_tokens(input));
        if (::isatty(STDOUT_FILENO) != 0) std::cout << '\n';
    } else {
        std::cout << formats::to_text(tokens.encode(input, {.add_bos = args.count("bos") != 0,
                                                            .add_eos = args.count("eos") != 0,
                                                            .parse_special = args.count("parse-special") != 0}))
                  << '\n';
    }
    return 0;
}

int logits(const cxxopts::ParseResult& args) {
    const auto path = required(args, "model"), out = required(args, "out");
    const auto tokens = parse_tokens(required(args, "tokens").string());
    auto model = load(path, args);
    const std::size_t vocab = model.dims().vocab;
    for (const token t : tokens)
        if (t < 0 || static_cast<std::size_t>(t) >= vocab)
            throw usage_error("token " + std::to_string(t) + " is outside the vocabulary of " + std::to_string(vocab));
    if (tokens.empty()) throw usage_error("--tokens is empty");
    formats::npy_writer file(out, tokens.size(), vocab);
    auto cache = model.make_cache({.max_bytes = nn::kv_cache_options::unbounded});  // the tokens given bound it
    const nn::sequence_id sequence = cache.create();
    progress shown("logits", tokens.size(), "tokens", style_of(args));
    constexpr std::size_t chunk = 256;  // bounds the memory of the logits
    for (std::size_t first = 0; first < tokens.size(); first += chunk) {
        const auto part = std::span(tokens).subspan(first, std::min(chunk, tokens.size() - first));
        nn::batch_builder batch;
        batch.add(part, static_cast<std::int32_t>(first));
        std::vector<std::uint32_t> rows(part.size());
        std::iota(rows.begin(), rows.end(), 0u);
        file.write(model.forward(batch.get(), cache, std::span(&sequence, 1), rows).flat());
        shown.update(first + part.size());
    }
    file.commit();
    return 0;
}

/// @throws config_error naming a weight that is not finite, or would not be in the type asked for
void save(const nn::any_model& model, const std::filesystem::path& out, const nn::save_options& options,
          const std::filesystem::path& adapter = {}) {
    nn::require_finite(model, adapter);
    nn::naming_tensors(model, [&] {
        if (is_gguf(out))
            nn::save_gguf(model, out, options);
        else
            nn::save_safetensors(model, out, options);
    });
}

int convert(const cxxopts::ParseResult& args) {
    const auto& files = args.unmatched();
    if (files.size() != 2) throw usage_error("convert needs IN and OUT");
    const std::filesystem::path in = files[0], out = files[1];
    require_output(out);
    require_apart(in, out);
    nn::save_options options{.tokenizer = chosen_tokenizer(args, out)};
    if (args.count("type") != 0) options.type = dtype_from_name(args["type"].as<std::string>());
    save(nn::load_model(in, {.threads = chosen_threads(args), .pack = false}), out, options);
    if (args.count("quiet") == 0) std::cerr << "wrote " << out.string() << '\n';
    return 0;
}

int merge(const cxxopts::ParseResult& args) {
    const auto& files = args.unmatched();
    if (files.size() != 3) throw usage_error("merge needs BASE, ADAPTER and OUT");
    const std::filesystem::path out = files[2];
    require_output(out);
    require_apart(files[0], out);
    require_apart(files[1], out);
    nn::save_options options{.tokenizer = chosen_tokenizer(args, out)};
    if (args.count("type") != 0) {
        const auto type = args["type"].as<std::string>();
        if (type.ends_with("_k_m"))
            options.mix = nn::mix_from_name(type);
        else
            options.type = dtype_from_name(type);
    }
    if (options.mix && !is_gguf(out))
        throw usage_error("--type " + args["type"].as<std::string>() + " needs OUT to be a name in .gguf");
    const auto model =
        nn::load_trainable(files[0], {.threads = chosen_threads(args), .pack = false, .adapter = files[1]});
    save(model, out, options, files[1]);
    if (args.count("quiet") == 0)
        std::cerr << "merged " << model.adapter_parameter_count() << " parameters of rank " << model.lora()->rank
                  << " into " << out.string() << '\n';
    return 0;
}

int quantize(const cxxopts::ParseResult& args) {
    const auto& files = args.unmatched();
    if (files.size() != 2) throw usage_error("quantize needs IN and OUT");
    const std::filesystem::path out = files[1];
    if (!is_gguf(out)) throw usage_error("OUT must be a name in .gguf");
    require_apart(files[0], out);
    const nn::save_options options{.mix = nn::mix_from_name(args["type"].as<std::string>()),
                                   .tokenizer = chosen_tokenizer(args, out)};
    const auto model = nn::load_model(files[0], {.threads = chosen_threads(args), .pack = false});
    save(model, out, options);
    const auto bytes = std::filesystem::file_size(out);
    if (args.count("quiet") == 0)
        std::fprintf(stderr, "wrote %s: %.1f MiB, %.2f bits a weight\n", out.c_str(),
                     static_cast<double>(bytes) / (1024 * 1024),
                     8 * static_cast<double>(bytes) / static_cast<double>(model.parameter_count()));
    return 0;
}

int run(int argc, char** argv) {
    using run_command = int (*)(const cxxopts::ParseResult&);
    static constexpr std::array<run_command, apps::model_commands.size()> run_commands{
        info, tokenize, apps::perplexity, logits, quantize, apps::kl, merge, apps::train_tokenizer, convert};
    const std::string_view name = argc > 1 ? argv[1] : "";
    if (name == "--help" || name == "-h" || name == "help") return std::cout << apps::model_overview, 0;
    if (name == "--version") return std::cout << "lab-model " << version << '\n', 0;
    for (std::size_t i = 0; i < run_commands.size(); ++i) {
        if (apps::model_commands[i].name != name) continue;
        auto spec = apps::options_of(apps::model_commands[i]);
        const auto args = spec.parse(argc - 1, argv + 1);
        if (args.count("help") != 0) return std::cout << spec.help(), 0;
        static_cast<void>(chosen_threads(args));  // too many are told before anything is read
        const bool takes_files =
            name == "info" || name == "convert" || name == "quantize" || name == "merge" || name == "train-tokenizer";
        if (!takes_files && !args.unmatched().empty())
            throw usage_error("unexpected argument '" + args.unmatched().front() + "'");
        return run_commands[i](args);
    }
    throw usage_error(name.empty() ? "a command is missing" : "unknown command '" + std::string(name) + "'");
}

}  // namespace

int main(int argc, char** argv) {
    return lab::apps::run_app("lab-model", [&] { return run(argc, argv); });
}
