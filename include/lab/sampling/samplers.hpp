// Samplers: structs that narrow or reshape the candidates, and selectors that draw one. Semantics are llama.cpp's:
//   logit_bias, repetition, frequency, presence | top_k | typical | top_p | min_p | temperature | then draw
// is the usual order; the truncating samplers look at the softmax of the logits as they are at that point.
// A table of meanings, ranges and off values stands in docs/reference/sampling.md.
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "lab/core/rng.hpp"
#include "lab/core/token.hpp"
#include "lab/sampling/candidates.hpp"

namespace lab::sampling {

/// A sampler changes the candidates. `history` holds the tokens of the sequence so far, prompt included. It has no
/// state of its own: what it does is a function of its options, the candidates and the history.
template <class S>
concept Sampler = requires(const S& sampler, candidates& c, std::span<const token> history) {
    { sampler.apply(c, history) } -> std::same_as<void>;
};
/// A selector draws the next token from what the samplers left.
template <class S>
concept Selector = requires(const S& selector, candidates& c, std::span<const token> history) {
    { selector.select(c, history) } -> std::same_as<token>;
};

namespace detail {
/// Calls f(token, count) for each distinct token among the last n of the history (n < 0: all).
template <class F>
void for_each_recent(std::span<const token> history, std::int32_t last_n, F f) {
    const auto window = last_n < 0 ? history.size() : std::min(history.size(), static_cast<std::size_t>(last_n));
    const auto recent = history.last(window);
    std::vector<token> sorted(recent.begin(), recent.end());
    std::sort(sorted.begin(), sorted.end());
    for (std::size_t i = 0, j = 0; i < sorted.size(); i = j) {
        while (j < sorted.size() && sorted[j] == sorted[i]) ++j;
        f(sorted[i], static_cast<float>(j - i));
    }
}
}  // namespace detail

/// Adds a constant to the logits of given tokens; minus infinity bans one.
struct logit_bias {
    std::vector<std::pair<token, float>> biases;
    void apply(candidates& c, std::span<const token>) const {
        for (const auto& [id, bias] : biases) c.set_logit(id, c.logit(id) + bias);
    }
};

/// Tokens seen lately: positive logits are divided by `penalty`, others multiplied (Keskar et al. 2019, CTRL). 1 is
/// off.
struct repetition {
    float penalty = 1.0f;
    std::int32_t last_n = 64;  // negative: the whole history
    void apply(candidates& c, std::span<const token> history) const {
        if (penalty == 1.0f) return;
        detail::for_each_recent(history, last_n, [&](token id, float) {
            const float x = c.logit(id);
            c.set_logit(id, x <= 0.0f ? x * penalty : x / penalty);
        });
    }
};

/// Subtracts `penalty` for every occurrence among the last tokens. 0 is off.
struct frequency {
    float penalty = 0.0f;
    std::int32_t last_n = 64;
    void apply(candidates& c, std::span<const token> history) const {
        if (penalty == 0.0f) return;
        detail::for_each_recent(history, last_n,
                                [&](token id, float count) { c.set_logit(id, c.logit(id) - count * penalty); });
    }
};

/// Subtracts `penalty` once from every token that occurs among the last tokens. 0 is off.
struct presence {
    float penalty = 0.0f;
    std::int32_t last_n = 64;
    void apply(candidates& c, std::span<const token> history) const {
        if (penalty == 0.0f) return;
        detail::for_each_recent(history, last_n, [&](token id, float) { c.set_logit(id, c.logit(id) - penalty); });
    }
};

/// Keeps the k likeliest. 0 or less is off.
struct top_k {
    std::int32_t k = 40;
    void apply(candidates& c, std::span<const token>) const {
        if (k > 0) c.keep_top(static_cast<std::size_t>(k));
    }
};

/// Keeps the smallest set of the likeliest whose probability reaches p (Holtzman et al. 2020). 1 is off.
struct top_p {
    float p = 0.95f;
    std::size_t min_keep = 1;
    void apply(candidates& c, std::span<const token>) const {
        if (p >= 1.0f || c.empty()) return;
        const float max = c.best().logit;
        const double wanted = static_cast<double>(p) * c.weigh(max);
        c.keep_mass([max](const candidate& x) { return static_cast<double>(max - x.logit); }, wanted, false, min_keep);
    }
};

/// Keeps tokens whose probability is at least p times that of the likeliest. 0 is off.
struct min_p {
    float p = 0.05f;
    std::size_t min_keep = 1;
    void apply(candidates& c, std::span<const token>) const {
        if (p <= 0.0f || c.empty()) return;
        const float threshold = c.best().logit + std::log(p);
        if (min_keep > 1) {
            const auto enough =
                std::count_if(c.begin(), c.end(), [&](const candidate& x) { return x.logit >= threshold; });
            if (static_cast<std::size_t>(enough) < min_keep) return c.keep_top(min_keep);
        }
        c.keep_if([&](const candidate& x) { return x.logit >= threshold; });
    }
};

/// Keeps the tokens whose surprise -log p lies nearest to the entropy, until their probability exceeds p (Meister et
/// al. 2023, locally typical sampling). 1 is off.
struct typical {
    float p = 1.0f;
    std::size_t min_keep = 1;
    void apply(candidates& c, std::span<const token>) const {
        if (p >= 1.0f || c.empty()) return;
        c.drop_removed();
        const float max = c.best().logit;
        const double total = c.weigh(max), log_total = std::log(total);
        double mean = 0.0;                          // of log p + log_total = logit - max
        for (std::size_t i = 0; i < c.size(); ++i)  // the difference of huge logits is infinite, their weight 0
            if (const double weight = static_cast<double>(c.weights()[i]); weight > 0)
                mean += weight * static_cast<double>(c[i].logit - max);
        const double entropy = log_total - mean / total;
        const auto distance = [=](const candidate& x) {
            return std::abs(log_total - static_cast<double>(x.logit - max) - entropy);
        };
        c.keep_mass(distance, static_cast<double>(p) * total, true, min_keep);
    }
};

/// Divides the logits. 0 or less keeps only the likeliest, as does a value so small that the largest logit divided by
/// it is beyond float's range. 1 is off.
struct temperature {
    float value = 1.0f;
    void apply(candidates& c, std::span<const token>) const {
        if (value == 1.0f) return;
        if (value <= 0.0f || (value < 1.0f && std::isinf(c.largest() / value))) return c.keep_top(1);
        c.transform([&](candidate& x) { x.logit /= value; }, true);
    }
};

/// Takes the likeliest token, the lowest id among equals.
struct greedy {
    [[nodiscard]] token select(candidates& c, std::span<const token>) const { return c.best().id; }
};

/// Draws by probability. The draw is a function of (seed, position in the sequence, candidates) alone: it does not
/// depend on batch, threads or earlier draws.
struct multinomial {
    std::uint64_t seed = 0;
    [[nodiscard]] token select(candidates& c, std::span<const token> history) const {
        c.settle();
        const float max = c.best().logit;
        counter_rng rng(seed, stream, 2 * static_cast<std::uint64_t>(history.size()));  // a draw takes two words
        return c.at_weight(rng.uniform() * c.weigh(max)).id;
    }

private:
    static constexpr std::uint64_t stream = hash64("lab.sampling.multinomial");
};

}  // namespace lab::sampling
