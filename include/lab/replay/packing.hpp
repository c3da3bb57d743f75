// From an ordered list of samples to ragged batches: each epoch's order is a seeded shuffle, cut evenly into steps of
// at most `batch_size` samples, and a step into micro-batches of at most a given number of tokens. No padding:
// sequences lie end to end and do not see each other. Deterministic in (seed, phase, epoch) and in nothing else.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <queue>
#include <span>
#include <string>
#include <utility>
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
    std::vector<std::size_t> samples;        // of the step that was packed, which; a pair is two sequences
    std::size_t target_tokens = 0;           // entries of `targets` that are not no_token

    [[nodiscard]] ragged_batch batch() const noexcept { return {tokens, positions, seq_offsets}; }
};

/// Appends one sample: a sequence, or the two of a pair. The target of position i is token i + 1 if that token is
/// learnt; the last position of a sequence has none.
inline void append(packed_batch& batch, const training_sample& sample) {
    if (batch.seq_offsets.empty()) batch.seq_offsets.push_back(0);
    const auto sequence = [&](std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; ++i) {
            const bool learnt = i + 1 < end && sample.trained[i + 1] != 0;
            batch.tokens.push_back(sample.tokens[i]);
            batch.positions.push_back(static_cast<std::int32_t>(i - begin));
            batch.targets.push_back(learnt ? sample.tokens[i + 1] : no_token);
            batch.target_tokens += learnt;
        }
        batch.seq_offsets.push_back(static_cast<std::uint32_t>(batch.tokens.size()));
    };
    if (sample.chosen_tokens != 0) sequence(0, sample.chosen_tokens);
    sequence(sample.chosen_tokens, sample.tokens.size());
}

namespace packing_detail {

/// Into which of `bins` each length goes: the longest first, each to the emptiest (LPT, Graham 1969).
/// Nothing where a bin would hold more than `most`.
[[nodiscard]] inline std::optional<std::vector<std::size_t>> share_out(std::span<const std::size_t> lengths,
                                                                       std::size_t bins, std::size_t most) {
    std::vector<std::size_t> order(lengths.size()), bin_of(lengths.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](auto i, auto j) { return lengths[i] > lengths[j]; });
    using load = std::pair<std::size_t, std::size_t>;  // tokens, bin
    std::priority_queue<load, std::vector<load>, std::greater<>> emptiest;
    for (std::size_t bin = 0; bin < bins; ++bin) emptiest.emplace(0, bin);
    for (const std::size_t i : order) {
        const auto [tokens, bin] = emptiest.top();
        if (tokens + lengths[i] > most) return std::nullopt;
        emptiest.pop();
        emptiest.emplace(tokens + lengths[i], bin);
        bin_of[i] = bin;
    }
    return bin_of;
}

}  // namespace packing_detail

/// Shares the samples of one step out among micro-batches of at most `max_tokens` tokens (0: no limit), as few and as
/// even as LPT finds; a sample longer than that stands alone. In a micro-batch, and by their first ones, samples keep
/// their order. Samples of fewer than two tokens teach nothing and are left out.
[[nodiscard]] inline std::vector<packed_batch> pack(std::span<const training_sample* const> step,
                                                    std::size_t max_tokens) {
    const std::size_t most = max_tokens == 0 ? std::numeric_limits<std::size_t>::max() : max_tokens;
    std::vector<std::size_t> lengths;  // of those that share
    std::size_t sum = 0;
    for (const training_sample* sample : step)
        if (const std::size_t n = sample->tokens.size(); n >= 2 && n <= most) lengths.push_back(n), sum += n;
    std::optional<std::vector<std::size_t>> bin_of;
    for (std::size_t bins = sum / most + (sum % most != 0); !bin_of; ++bins)
        bin_of = packing_detail::share_out(lengths, bins, most);

    std::vector<packed_batch> batches;
    std::map<std::size_t, std::size_t> place_of;  // of bins
    auto bin = bin_of->begin();
    for (std::size_t i = 0; i < step.size(); ++i) {
        const std::size_t n = step[i]->tokens.size();
        if (n < 2) continue;
        const std::size_t place =
            n > most ? batches.size() : place_of.try_emplace(*bin++, batches.size()).first->second;
        if (place == batches.size()) batches.emplace_back();
        append(batches[place], *step[i]);
        batches[place].samples.push_back(i);
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
    return samples / batch_size + (samples % batch_size != 0 ? 1 : 0);
}

/// The samples of one step, of an epoch in training order. Sizes differ by at most one: a last step of one or two
/// samples would move the weights as far as a full one, on next to no evidence.
[[nodiscard]] inline std::span<const std::size_t> step_samples(std::span<const std::size_t> order, std::size_t step,
                                                               std::size_t steps) {
    const std::size_t begin = order.size() * step / steps, end = order.size() * (step + 1) / steps;
    return order.subspan(begin, end - begin);
}

}  // namespace lab::replay
