// Runs a model on random tokens: prompts in batches, decoding step by step, as the tests of lab-bench put them
// together. Only model calls are in here: no tokenizer, no sampling.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/stop.hpp"
#include "lab/core/error.hpp"
#include "lab/core/rng.hpp"
#include "lab/nn/any_model.hpp"
#include "lab/nn/batch_builder.hpp"

namespace lab::apps {

/// Thrown between model calls when the user wants to stop.
struct stopped {};

struct call_options {
    std::size_t batch = 512;   // tokens of one model call at most
    dtype cache = dtype::f16;  // of the cached keys and values
};

class runner {
public:
    runner(nn::any_model model, const call_options& options)
        : model_(std::move(model)),
          cache_(model_.make_cache({.max_bytes = nn::kv_cache_options::unbounded, .type = options.cache})),
          limit_(options.batch) {}

    [[nodiscard]] nn::kv_cache<float>& cache() { return cache_; }

    /// Takes the memory for `count` sequences of `length` tokens, so that no test pays for it.
    void reserve(std::size_t count, std::size_t length) {
        std::vector<nn::sequence_id> ids(count);
        for (auto& id : ids) cache_.extend(id = cache_.create(), length);
        for (const auto id : ids) cache_.release(id);
    }

    /// Appends `count` random tokens to each sequence; logits are computed for the last of each alone.
    void prefill(std::span<const nn::sequence_id> sequences, std::size_t count) {
        std::size_t left = count;
        for (std::size_t s = 0; count != 0 && s < sequences.size();) {
            begin();
            while (s < sequences.size() && batch_.size() < limit_) {
                tokens_.resize(std::min(left, limit_ - batch_.size()));
                for (token& t : tokens_) t = random_token();
                add(sequences[s]);
                left -= tokens_.size();
                if (left != 0) continue;
                rows_.push_back(static_cast<std::uint32_t>(batch_.size() - 1));
                left = count;
                ++s;
            }
            check(forward());
        }
    }

    /// One sequence, one random token after another; the logits of each are computed.
    void generate(nn::sequence_id sequence, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            begin();
            tokens_.assign(1, random_token());
            add(sequence);
            rows_.push_back(0);
            check(forward());
        }
    }

    /// All sequences, `count` steps; the next token of each is its likeliest one.
    void generate_greedily(std::span<const nn::sequence_id> sequences, std::size_t count) {
        std::vector<token> next(sequences.size());
        for (token& t : next) t = random_token();
        for (std::size_t i = 0; i < count; ++i) {
            begin();
            for (std::size_t s = 0; s < sequences.size(); ++s) {
                tokens_.assign(1, next[s]);
                add(sequences[s]);
                rows_.push_back(static_cast<std::uint32_t>(s));
            }
            const auto logits = forward();
            check(logits);
            model_.pool().parallel_for(next.size(), 1, [&](std::size_t begin, std::size_t end, std::size_t) {
                for (std::size_t s = begin; s < end; ++s) next[s] = likeliest(logits.row(s));
            });
        }
    }

private:
    void begin() {
        if (stop_asked()) throw stopped{};
        batch_.clear();
        ids_.clear();
        rows_.clear();
    }
    /// Adds `tokens_` to the batch.
    void add(nn::sequence_id sequence) {
        batch_.add(tokens_, cache_.length(sequence));
        ids_.push_back(sequence);
    }
    view<const float> forward() { return model_.forward(batch_.get(), cache_, ids_, rows_); }
    /// A figure of a model that computes nonsense would be worth nothing.
    static void check(view<const float> logits) {
        for (std::size_t r = 0; r < logits.extent(0); ++r)
            if (!std::isfinite(logits(r, 0))) throw format_error("the model's logits are not finite");
    }
    [[nodiscard]] token random_token() { return static_cast<token>(random_.below(model_.dims().vocab)); }
    /// In sixteen columns side by side, so that it costs little beside the model call.
    [[nodiscard]] static token likeliest(std::span<const float> logits) {
        constexpr std::size_t columns = 16;
        std::array<float, columns> best;
        best.fill(-std::numeric_limits<float>::infinity());
        std::size_t i = 0;
        for (; i + columns <= logits.size(); i += columns)
            for (std::size_t c = 0; c < columns; ++c) best[c] = logits[i + c] > best[c] ? logits[i + c] : best[c];
        for (; i < logits.size(); ++i) best[0] = std::max(best[0], logits[i]);
        const float top = *std::max_element(best.begin(), best.end());
        return static_cast<token>(std::find(logits.begin(), logits.end(), top) - logits.begin());
    }

    nn::any_model model_;
    nn::kv_cache<float> cache_;
    std::size_t limit_;
    counter_rng random_{1};
    nn::batch_builder batch_;
    std::vector<token> tokens_;
    std::vector<nn::sequence_id> ids_;
    std::vector<std::uint32_t> rows_;
};

/// Seconds that `work()` takes.
template <class F>
[[nodiscard]] double seconds_of(F&& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace lab::apps
