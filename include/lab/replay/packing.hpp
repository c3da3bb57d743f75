// From an ordered list of samples to ragged batches: each epoch's order is a seeded shuffle, cut evenly into steps of
// at most `batch_size` samples, and a step into micro-batches of at most a given number of tokens. No padding:
// sequences lie end to end and do not see each other. Deterministic in (seed, phase, epoch) and in nothing else.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "lab/core/batch.hpp"
#include "lab/core/error.hpp"
#include "lab/core/rng.hpp"
#include "lab/replay/sample.hpp"

namespace lab::replay {

/// Owns the arrays of one ragged batch with its targets.
struct packed_batch {
    std::vector<token> tokens;               // [tokens]
    std::vector<std::int32_t> positions;     // [tokens] from 0 in each sequence
    std::vector<std::uint32_t> seq_offsets;  // [sequences + 1]
    std::vector<token> targets;              // [tokens] the next token where that one is learnt, else no_token
    std::size_t target_tokens = 0;           // entries of `targets` that are not no_token

    [[nodiscard]] ragged_batch batch() const noexcept { return {tokens, positions, seq_offsets}; }
};

/// Appends one sample. The target of position i is token i + 1 if that token is learnt; the last position has none.
inline void append(packed_batch& batch, const training_sample& sample) {
    if (batch.seq_offsets.empty()) batch.seq_offsets.push_back(0);
    const std::size_t n = sample.tokens.size();
    for (std::size_t i = 0; i < n; ++i) {
        const bool learnt = i + 1 < n && sample.trained[i + 1] != 0;
        batch.tokens.push_back(sample.tokens[i]);
        batch.positions.push_back(static_cast<std::int32_t>(i));
        batch.targets.push_back(learnt ? sample.tokens[i + 1] : no_token);
        batch.target_tokens += learnt;
    }
    batch.seq_offsets.push_back(static_cast<std::uint32_t>(batch.tokens.size()));
}

/// Cuts the samples of one step into micro-batches of at most `max_tokens` tokens, in the given order; a sample longer
/// than that stands alone. Samples of fewer than two tokens teach nothing and are left out.
[[nodiscard]] inline std::vector<packed_batch> pack(std::span<const training_sample* const> step,
                                                    std::size_t max_tokens) {
    std::vector<packed_batch> batches;
    for (const training_sample* sample : step) {
        if (sample->tokens.size() < 2) continue;
        if (batches.empty() || (max_tokens != 0 && batches.back().tokens.size() + sample->tokens.size() > max_tokens))
            batches.emplace_back();
        append(batches.back(), *sample);
    }
    return batches;
}

/// The order in which an epoch visits `count` items.
[[nodiscard]] inline std::vector<std::size_t> epoch_order(std::size_t count, std::uint64_t seed, std::uint64_t phase,
                                                          std::uint64_t epoch) {
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    counter_rng rng(seed, hash64("epoch order") + (phase << 32) + epoch);
    shuffle(order, rng);
    return order;
}

/// Optimizer steps in an epoch: as few as `batch_size` samples a step allow.
[[nodiscard]] constexpr std::size_t steps_per_epoch(std::size_t samples, std::size_t batch_size) {
    if (batch_size == 0) throw config_error("batch size is 0 (use 1 or more samples per step)");
    return (samples + batch_size - 1) / batch_size;
}

/// The samples of one step, of an epoch in training order. Sizes differ by at most one: a last step of one or two
/// samples would move the weights as far as a full one, on next to no evidence.
[[nodiscard]] inline std::span<const std::size_t> step_samples(std::span<const std::size_t> order, std::size_t step,
                                                               std::size_t steps) {
    const std::size_t begin = order.size() * step / steps, end = order.size() * (step + 1) / steps;
    return order.subspan(begin, end - begin);
}

}  // namespace lab::replay
