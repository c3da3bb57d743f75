// What lab-model's commands take from their command line.
#pragma once

#include <cstddef>
#include <cxxopts.hpp>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <string>

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

}  // namespace lab::apps
