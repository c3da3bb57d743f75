// What a training run reads: conversations in the student's chat format, or plain text.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>
#include <vector>

#include "lab/replay/chat_encoder.hpp"
#include "lab/replay/dataset.hpp"
#include "lab/replay/encode.hpp"
#include "lab/replay/plain_text.hpp"
#include "lab/run/student.hpp"

namespace lab::run {

/// Text files as the student's tokens, each document closed by its end token. @throws as replay::encode_texts
[[nodiscard]] inline replay::encoded_dataset read_texts(const std::vector<std::filesystem::path>& files,
                                                        const student& who, std::size_t max_tokens) {
    const token end = who.tokens.eos();
    return replay::encode_texts(
        files, [&](std::string_view text) { return who.tokens.encode(text, {.add_bos = who.tokens.adds_bos()}); },
        {end, end == no_token ? std::string_view{} : who.tokens.piece_bytes(end)}, max_tokens);
}

/// All of `data` as the student's tokens: of text files (replay::text_files), else of messages JSON Lines.
/// @throws as their readers
[[nodiscard]] inline replay::encoded_dataset read_training_data(const std::filesystem::path& data, const student& who,
                                                                const replay::encode_options& options) {
    if (const auto texts = replay::text_files(data); !texts.empty()) return read_texts(texts, who, options.max_tokens);
    return replay::encode_samples(replay::read_samples(data), replay::chat_encoder(who.tokens, who.format), options);
}

}  // namespace lab::run
