// What lab-model's commands take from their command line.
#pragma once

#include <cstddef>
#include <cxxopts.hpp>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <string>
#include <system_error>

#include "common/cli.hpp"
#include "common/progress.hpp"
#include "lab/core/file.hpp"
#include "lab/nn/load.hpp"

namespace lab::apps {

/// The text of --text or --file. @throws usage_error unless just one is given.
[[nodiscard]] inline std::string read_input(const cxxopts::ParseResult& args) {
    if (args.count("text") + args.count("file") != 1) throw usage_error("give either --text or --file");
    if (args.count("text") != 0) return args["text"].as<std::string>();
    const auto path = args["file"].as<std::string>();
    if (path != "-") return read_file(path);
    return {std::istreambuf_iterator<char>(std::cin), {}};
}
/// @throws usage_error where the option is missing.
[[nodiscard]] inline std::filesystem::path required(const cxxopts::ParseResult& args, const char* option) {
    if (args.count(option) == 0) throw usage_error(std::string("--") + option + " is missing");
    return args[option].as<std::string>();
}
[[nodiscard]] inline progress::style style_of(const cxxopts::ParseResult& args) {
    return args.count("quiet") + args.count("json") != 0 ? progress::style::quiet : progress::style::automatic;
}
[[nodiscard]] inline nn::any_model load(const std::filesystem::path& path, const cxxopts::ParseResult& args) {
    return nn::load_model(
        path, {.threads = chosen_threads(args), .compute = compute_from_name(args["compute"].as<std::string>())});
}

[[nodiscard]] inline bool is_gguf(const std::filesystem::path& out) { return out.extension() == ".gguf"; }
/// OUT is a name in .gguf, or a folder. @throws usage_error
inline void require_output(const std::filesystem::path& out) {
    if (out.extension() == ".safetensors")
        throw usage_error("OUT is a folder for safetensors: its weights go into model.safetensors");
}
/// What is written must not take the place of what it is made from. @throws usage_error
inline void require_apart(const std::filesystem::path& in, const std::filesystem::path& out) {
    namespace fs = std::filesystem;
    std::error_code none;  // of a path that does not exist yet
    const bool of_a_folder = in.extension() == ".safetensors" || in.extension() == ".json";  // names all that is in it
    const auto folder = in.has_parent_path() ? in.parent_path() : fs::path(".");
    if (fs::equivalent(in, out, none) || (of_a_folder && fs::equivalent(folder, out, none)))
        throw usage_error("OUT, " + out.string() + ", is the same as " + in.string() +
                          ", which it would overwrite: give another name");
}
/// --tokenizer, if it is given. @throws usage_error where it is the file to write
[[nodiscard]] inline std::filesystem::path chosen_tokenizer(const cxxopts::ParseResult& args,
                                                            const std::filesystem::path& out) {
    if (args.count("tokenizer") == 0) return {};
    const std::filesystem::path tokenizer = args["tokenizer"].as<std::string>();
    if (is_gguf(out)) require_apart(tokenizer, out);  // a folder keeps its tokenizer
    return tokenizer;
}

}  // namespace lab::apps
