// What a training run reads: conversations in the student's chat format, or plain text, and pairs of answers.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/nn/load.hpp"
#include "lab/replay/chat_encoder.hpp"
#include "lab/replay/dataset.hpp"
#include "lab/replay/encode.hpp"
#include "lab/replay/plain_text.hpp"
#include "lab/replay/preferences.hpp"
#include "lab/run/student.hpp"

namespace lab::run {

/// Tokens that a sample may have: `wanted`, or where that is 0 the usual 1024, or the model's context where that is
/// less.
/// @throws config_error where more are wanted than the model has positions
[[nodiscard]] inline std::size_t longest_sample(const std::filesystem::path& model, std::size_t wanted) {
    constexpr std::size_t usual = 1024;
    const std::size_t context = nn::load_model(model, {.threads = 1, .pack = false}).info().context_length;  // mapped
    if (context == 0) return wanted == 0 ? usual : wanted;                                                   // unknown
    if (wanted > context)
        throw config_error(
            explain(model.string(),
                    "has a context of " + std::to_string(context) + " tokens, samples of up to " +
                        std::to_string(wanted) + " are asked for",
                    "give --max-tokens " + std::to_string(context) + " or less, or a model with a longer context"));
    return wanted == 0 ? std::min(usual, context) : wanted;
}

/// Text files as the student's tokens, each document closed by its end token. @throws as replay::encode_texts
[[nodiscard]] inline replay::encoded_dataset read_texts(const std::vector<std::filesystem::path>& files,
                                                        const student& who, std::size_t max_tokens) {
    const token end = who.tokens.eos();
    return replay::encode_texts(
        files, [&](std::string_view text) { return who.tokens.encode(text, {.add_bos = who.tokens.adds_bos()}); },
        {end, end == no_token ? std::string_view{} : who.tokens.piece_bytes(end)}, max_tokens);
}

/// All of `data` as the student's tokens: of text files (replay::text_files), else of messages JSON Lines; then the
/// pairs of `preferences`. Either path may be empty. @throws as their readers
[[nodiscard]] inline replay::encoded_dataset read_training_data(const std::filesystem::path& data,
                                                                const std::filesystem::path& preferences,
                                                                const student& who,
                                                                const replay::encode_options& options) {
    const replay::chat_encoder encoder(who.tokens, who.format);
    replay::encoded_dataset all;
    if (!data.empty()) {
        const auto texts = replay::text_files(data);
        all = texts.empty() ? replay::encode_samples(replay::read_samples(data), encoder, options)
                            : read_texts(texts, who, options.max_tokens);
    }
    if (!preferences.empty()) {
        auto pairs = replay::encode_preferences(replay::read_preferences(preferences), encoder, options.max_tokens);
        std::move(pairs.samples.begin(), pairs.samples.end(), std::back_inserter(all.samples));
        all.leaves.merge(pairs.leaves);
    }
    return all;
}

}  // namespace lab::run
