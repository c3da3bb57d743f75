// A model of a few kilobytes with a tokenizer of single bytes and a chat template, for tests that need whole files.
#pragma once

#include <filesystem>
#include <string>

#include "lab/nn/load.hpp"
#include "lab/nn/save.hpp"
#include "support/data.hpp"

namespace lab::test {

/// A random model of `family` ("llama", "mistral", "mixtral") whose vocabulary is as large as its tokenizer's.
inline nn::any_model small_model(const std::string& family, std::size_t vocabulary) {
    const auto path = fixture("nn") / family;
    const std::size_t have = nn::load_model(path, {.threads = 1}).dims().vocab;
    return nn::load_model(path, {.expand = dtype::f32, .threads = 1, .extra_tokens = vocabulary - have});
}

/// The tokenizer of 260 tokens that comes with a chat template.
inline std::filesystem::path byte_tokenizer_folder() { return fixture("train/bytes"); }
inline constexpr std::size_t byte_vocabulary = 260;

}  // namespace lab::test
