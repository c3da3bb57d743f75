// What tells models apart wherever they lie.
#pragma once

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "lab/core/sha256.hpp"

namespace lab::run {

/// The file's digest, or of a folder that of the files that make up a model or an adapter: weights, sizes, tokenizer
/// and template. @throws io_error
[[nodiscard]] inline std::string model_digest(const std::filesystem::path& model) {
    if (!std::filesystem::is_directory(model)) return sha256_of_file(model);
    constexpr std::array<std::string_view, 4> kinds{".safetensors", ".json", ".jinja", ".model"};
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(model))
        if (std::ranges::find(kinds, entry.path().extension().string()) != kinds.end())
            files[entry.path().filename().string()] = sha256_of_file(entry.path());
    std::string digests;
    for (const auto& [file, digest] : files) digests += digest;
    return sha256_hex(digests);
}

}  // namespace lab::run
