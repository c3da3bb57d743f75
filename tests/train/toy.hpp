// The smallest models of the trainer's concepts: a bigram table of logits, and SGD with momentum.
#pragma once

#include <array>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "lab/core/batch.hpp"
#include "lab/core/rng.hpp"
#include "lab/replay/sample.hpp"
#include "lab/train/step.hpp"
#include "lab/train/update.hpp"

namespace toy {

/// logits of the next token = row `token` of a [vocab, vocab] table.
class bigram {
public:
    explicit bigram(std::size_t vocab, std::uint64_t seed = 1)
        : vocab_(vocab), table_(vocab * vocab), gradient_(table_.size()) {
        lab::counter_rng rng(seed);
        for (float& x : table_) x = static_cast<float>(0.1 * rng.normal());
    }
    std::span<float> parameters() { return table_; }
    std::span<float> gradients() { return gradient_; }
    void zero_gradients() { gradient_.assign(gradient_.size(), 0.0f); }
    double loss(const lab::ragged_batch& batch, std::span<const lab::token> targets) {
        return pass(batch, targets, 0.0);
    }
    double loss_and_gradients(const lab::ragged_batch& batch, std::span<const lab::token> targets, double scale) {
        return pass(batch, targets, scale);
    }
    void sequence_losses(const lab::ragged_batch& batch, std::span<const lab::token> targets,
                         std::span<double> losses) {
        for (std::size_t s = 0; s < losses.size(); ++s) losses[s] = pass(part(batch, s), part(batch, targets, s), 0.0);
    }
    template <class Weigh>
    void weighted_gradients(const lab::ragged_batch& batch, std::span<const lab::token> targets, Weigh&& weigh) {
        std::vector<double> losses(batch.sequences()), weights(losses.size());
        sequence_losses(batch, targets, losses);
        weigh(std::span<const double>(losses), std::span<double>(weights));
        for (std::size_t s = 0; s < losses.size(); ++s) (void)pass(part(batch, s), part(batch, targets, s), weights[s]);
    }

private:
    template <class T>
    static std::span<T> part(const lab::ragged_batch& batch, std::span<T> values, std::size_t s) {
        return values.subspan(batch.seq_offsets[s], batch.seq_offsets[s + 1] - batch.seq_offsets[s]);
    }
    static lab::ragged_batch part(const lab::ragged_batch& batch, std::size_t s) {
        return {part(batch, batch.tokens, s), part(batch, batch.positions, s), {}};
    }
    double pass(const lab::ragged_batch& batch, std::span<const lab::token> targets, double scale) {
        double sum = 0;
        for (std::size_t i = 0; i < batch.size(); ++i) {
            if (targets[i] == lab::no_token) continue;
            const std::size_t row = static_cast<std::size_t>(batch.tokens[i]) * vocab_;
            double total = 0;
            for (std::size_t v = 0; v < vocab_; ++v) total += std::exp(static_cast<double>(table_[row + v]));
            const auto target = static_cast<std::size_t>(targets[i]);
            sum += std::log(total) - static_cast<double>(table_[row + target]);
            if (scale == 0.0) continue;
            for (std::size_t v = 0; v < vocab_; ++v) {
                const double p = std::exp(static_cast<double>(table_[row + v])) / total;
                gradient_[row + v] += static_cast<float>(scale * (p - (v == target ? 1.0 : 0.0)));
            }
        }
        return sum;
    }
    std::size_t vocab_;
    std::vector<float> table_, gradient_;
};

/// v = 0.9 v + g; p -= lr v.
class momentum {
public:
    double norm(std::span<const float> gradients) const {
        double squares = 0;
        for (const float g : gradients) squares += static_cast<double>(g) * static_cast<double>(g);
        return std::sqrt(squares);
    }
    void step(std::span<float> parameters, std::span<const float> gradients, double rate, double) {
        for (std::size_t i = 0; i < parameters.size(); ++i) {
            velocity_[i] = 0.9f * velocity_[i] + gradients[i];
            parameters[i] -= static_cast<float>(rate) * velocity_[i];
        }
        ++steps_;
    }
    void reset(std::size_t count) {
        velocity_.assign(count, 0.0f);
        steps_ = 0;
    }
    std::vector<std::span<const float>> state() { return {velocity_}; }
    template <class Source>
    void restore(Source&& source) {
        lab::train::restore_arrays(std::array{std::span<float>(velocity_)}, source);
    }
    std::uint64_t steps() const { return steps_; }
    void set_steps(std::uint64_t steps) { steps_ = steps; }
    std::string describe() const { return "momentum 0.9"; }

private:
    std::vector<float> velocity_;
    std::uint64_t steps_ = 0;
};

static_assert(lab::train::Trainable<bigram> && !lab::train::Trainable<momentum>);
static_assert(lab::train::ParameterUpdate<momentum> && !lab::train::ParameterUpdate<bigram>);

/// Random chats: four prompt tokens, then three answer tokens that are learnt.
inline std::vector<lab::replay::training_sample> samples(std::size_t count, std::size_t vocab,
                                                         lab::replay::sample_kind kind, std::string leaf,
                                                         std::uint64_t seed) {
    std::vector<lab::replay::training_sample> list;
    lab::counter_rng rng(seed);
    for (std::size_t i = 0; i < count; ++i) {
        lab::replay::training_sample s;
        s.id = leaf + std::to_string(i);
        s.leaf = leaf;
        s.kind = kind;
        s.response_tokens = 3;
        const std::size_t length = 5 + rng.below(4);
        for (std::size_t t = 0; t < length; ++t) {
            s.tokens.push_back(static_cast<lab::token>(rng.below(vocab)));
            s.trained.push_back(t + 3 >= length);
        }
        list.push_back(std::move(s));
    }
    return list;
}

}  // namespace toy
