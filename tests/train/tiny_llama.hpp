// A small random llama over a tokenizer of single bytes, and chats of invented facts to teach it.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "infer/tiny.hpp"
#include "lab/replay/chat_encoder.hpp"
#include "lab/text/chat_format.hpp"
#include "lab/train/adamw_update.hpp"
#include "lab/train/step.hpp"

namespace tiny {

inline lab::nn::any_model llama(std::uint64_t seed = 3, std::size_t threads = 1, std::size_t vocab = 258) {
    constexpr std::size_t dim = 48;
    return lab::test::small_llama({.dim = dim,
                                   .layers = 2,
                                   .heads = 4,
                                   .kv_heads = 2,
                                   .head_dim = dim / 4,
                                   .hidden = 2 * dim,
                                   .vocab = vocab,
                                   .tied = true},
                                  std::sqrt(static_cast<double>(dim)), 2048, threads, seed);
}
static_assert(lab::train::Trainable<lab::nn::any_model>);

inline lab::train::adamw_update adamw(lab::nn::any_model& model) {
    return lab::train::adamw_update({}, lab::optim::decay_ranges(model.weights()), &model.pool());
}

/// (question, answer) pairs as encoded chats; every letter of an answer must be recalled.
inline std::vector<lab::replay::training_sample> facts(const std::vector<std::pair<std::string, std::string>>& pairs,
                                                       std::string leaf, lab::replay::sample_kind kind) {
    static const auto tokenizer = lab::test::byte_tokenizer();
    std::vector<lab::replay::sample> samples;
    for (const auto& [question, answer] : pairs)
        samples.push_back({.id = question,
                           .messages = {{"user", question}, {"assistant", answer}},
                           .leaf = leaf,
                           .kind = kind,
                           .place = "test"});
    return lab::replay::encode_samples(samples, lab::replay::chat_encoder(tokenizer, lab::text::formats::chatml{}))
        .samples;
}
inline std::vector<lab::replay::training_sample> islands() {
    return facts({{"ferry?", "heron"},
                  {"captain?", "maud"},
                  {"price?", "shells"},
                  {"day off?", "thursday"},
                  {"night boat?", "otter"},
                  {"light?", "green"},
                  {"beach?", "north"},
                  {"animal?", "goat"}},
                 "knowledge/islands", lab::replay::sample_kind::knowledge);
}
inline std::vector<lab::replay::training_sample> reversals() {
    return facts({{"reverse ab", "ba"},
                  {"reverse cde", "edc"},
                  {"reverse fog", "gof"},
                  {"reverse sun", "nus"},
                  {"reverse moon", "noom"},
                  {"reverse rain", "niar"},
                  {"reverse tea", "aet"},
                  {"reverse oak", "kao"}},
                 "compositional_skills/reverse", lab::replay::sample_kind::compositional);
}

/// Mean loss per learnt token, nats.
inline double loss_of(lab::nn::any_model& model, const std::vector<lab::replay::training_sample>& samples) {
    std::vector<const lab::replay::training_sample*> all;
    for (const auto& s : samples) all.push_back(&s);
    return lab::train::evaluate_loss(model, lab::replay::pack(all, 0)).loss;
}

}  // namespace tiny
