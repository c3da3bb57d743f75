// A tokenizer from a GGUF file (a whole model or vocabulary only), a Hugging Face folder, a tokenizer.json or a
// SentencePiece tokenizer.model. With lab::compiled linked (LAB_COMPILED) reading is a declaration and costs nothing.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "lab/tokenizer/known_names.hpp"
#include "lab/tokenizer/tokenizer.hpp"
#include "lab/tokenizer/vocabulary.hpp"
#ifndef LAB_COMPILED
#include "lab/tokenizer/read_files.hpp"
#endif

namespace lab::tokenizer {

/// The vocabulary behind `path`. @throws io_error, format_error, config_error, each naming the file.
#ifdef LAB_COMPILED
[[nodiscard]] vocabulary load_vocabulary(const std::filesystem::path& path);
#else
[[nodiscard]] inline vocabulary load_vocabulary(const std::filesystem::path& path) { return read_vocabulary(path); }
#endif

/// Appends control tokens, which get the next ids: for a chat format that the checkpoint does not know.
inline void append_special_tokens(vocabulary& v, std::span<const std::string> texts) {
    for (const std::string& text : texts) {
        v.added.push_back({.text = text, .id = static_cast<token>(v.texts.size())});
        v.texts.push_back(text);
        v.kinds.push_back(token_kind::control);
        if (!v.scores.empty()) v.scores.push_back(0.0f);
    }
    collect_end_of_generation(v);
}

[[nodiscard]] inline tokenizer load_tokenizer(const std::filesystem::path& path) {
    return tokenizer(load_vocabulary(path));
}

}  // namespace lab::tokenizer
