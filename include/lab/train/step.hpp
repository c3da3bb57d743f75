// One optimizer step's gradient: micro-batches are accumulated in order, and the loss is the mean over the learnt
// tokens of the WHOLE step, however it was cut: grad = sum_b d(sum of b's token losses) / (learnt tokens of all b).
// (Dividing per micro-batch and averaging instead would weigh tokens by how they happened to be packed.)
// With several ranks the micro-batches are cut into shards; ranks compute shards, and shards add up over a fixed tree.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "lab/core/batch.hpp"
#include "lab/core/error.hpp"
#include "lab/core/tensor.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/replay/packing.hpp"
#include "lab/train/ranks.hpp"

namespace lab::train {

/// What the trainer asks of a model. Parameters and gradients are dense, in one fixed order, of equal size.
///   loss_and_gradients  adds scale * d(sum of token losses) to the gradients; returns the plain sum
///   loss                the same sum, forward only
/// Targets of no_token give no loss. A model that draws at random has begin_step(number) besides, told before each step
/// is taken, and begin_pass(micro-batch of the step, rows before it), so that its draws depend on nothing else.
template <class M>
concept Trainable = requires(M& m, const ragged_batch& batch, std::span<const token> targets, double scale) {
    { m.parameters() } -> std::same_as<std::span<float>>;
    { m.gradients() } -> std::same_as<std::span<float>>;
    {m.zero_gradients()};
    { m.loss_and_gradients(batch, targets, scale) } -> std::convertible_to<double>;
    { m.loss(batch, targets) } -> std::convertible_to<double>;
};

/// Of a step of preferences, means over its pairs (train/preference.hpp).
struct preference_rewards {
    double chosen = 0, rejected = 0;
    double accuracy = 0;  // share of the pairs in which the chosen answer's is the higher
};

struct step_loss {
    double loss = 0;  // mean negative log-likelihood of the learnt tokens, nats; of preferences their mean loss
    std::size_t tokens = 0, target_tokens = 0;
    std::optional<preference_rewards> rewards{};
};

/// How a step's gradient is cut and added up: `shards` runs of neighbouring micro-batches, each accumulated from zero,
/// then pairs of neighbouring shards, pairs of pairs and so on. Ranks share the shards out evenly. One shard is plain
/// accumulation; any number of ranks with the same number of shards gives the same bits.
class gradient_shards {
public:
    /// `shards` 0: one for each rank. @throws config_error where the tree cannot be cut into that many ranks
    explicit gradient_shards(any_ranks ranks = {}, std::size_t shards = 0)
        : ranks_(std::move(ranks)), count_(shards == 0 ? ranks_.size() : shards) {
        const std::size_t each = count_ / ranks_.size();
        if (count_ % ranks_.size() != 0 || (!ranks_.alone() && (each & (each - 1)) != 0))
            throw config_error(explain(std::to_string(count_) + " shards",
                                       "cannot be shared out among " + std::to_string(ranks_.size()) + " ranks",
                                       "as many shards as ranks, or 2, 4, 8 ... times as many"));
    }
    [[nodiscard]] std::size_t count() const { return count_; }
    [[nodiscard]] const any_ranks& ranks() const { return ranks_; }
    /// Gradients held at most beside the model's: halves of the tree that wait for their other one.
    [[nodiscard]] std::size_t most_waiting() const {
        return static_cast<std::size_t>(std::bit_width(count_ / ranks_.size())) - 1;
    }

    /// learn(micro-batch) adds its gradient to the model's and returns numbers of it, an array of doubles; the sums of
    /// these over all micro-batches are returned. What is left in the model's gradients is this rank's share, which
    /// any_ranks::sum_parts makes whole.
    template <class Model, class Learn>
    auto accumulate(Model& model, std::span<const replay::packed_batch> micro_batches, Learn&& learn) {
        using numbers = std::invoke_result_t<Learn&, const replay::packed_batch&>;
        std::vector<std::uint64_t> rows_before;
        std::uint64_t rows = 0;
        for (const auto& b : micro_batches) rows_before.push_back(std::exchange(rows, rows + b.tokens.size()));
        constexpr std::size_t width = std::tuple_size_v<numbers>;
        std::vector<double> told(micro_batches.size() * width);
        const std::size_t own = count_ / ranks_.size();
        std::size_t halves = 0;  // of the tree that wait for their other one
        for (std::size_t s = 0; s < own; ++s) {
            model.zero_gradients();
            const std::size_t shard = ranks_.rank() * own + s;
            for (std::size_t b = micro_batches.size() * shard / count_; b < micro_batches.size() * (shard + 1) / count_;
                 ++b) {
                if constexpr (requires { model.begin_pass(b, rows_before[b]); }) model.begin_pass(b, rows_before[b]);
                const numbers one = learn(micro_batches[b]);
                std::copy(one.begin(), one.end(), told.begin() + static_cast<std::ptrdiff_t>(b * width));
            }
            for (std::size_t pairs = s; (pairs & 1u) != 0; pairs /= 2) add(waiting_[--halves], model);
            if (s + 1 < own) keep(model.gradients(), halves++);
        }
        while (halves != 0) add(waiting_[--halves], model);
        ranks_.merge(told);
        numbers sums{};
        for (std::size_t i = 0; i < told.size(); ++i) sums[i % width] += told[i];
        return sums;
    }

private:
    template <class Model>
    static void add(const aligned_buffer<float>& left, Model& model) {
        const std::span<float> gradients = model.gradients();
        parallel_for(pool_of(model), gradients.size(), std::size_t{1} << 14,
                     [&](std::size_t begin, std::size_t end, std::size_t) {
                         for (std::size_t i = begin; i < end; ++i) gradients[i] += left.data()[i];
                     });
    }
    void keep(std::span<const float> gradients, std::size_t place) {
        if (place == waiting_.size()) waiting_.emplace_back(gradients.size());
        std::copy(gradients.begin(), gradients.end(), waiting_[place].data());
    }

    any_ranks ranks_;
    std::size_t count_ = 1;
    std::vector<aligned_buffer<float>> waiting_;
};

/// Leaves the gradient of the step's mean loss in `model.gradients()`, of several ranks each one's share of it.
template <Trainable Model>
step_loss accumulate_gradients(Model& model, std::span<const replay::packed_batch> micro_batches,
                               gradient_shards& shards) {
    step_loss result;
    for (const auto& b : micro_batches) result.tokens += b.tokens.size(), result.target_tokens += b.target_tokens;
    if (result.target_tokens == 0) {
        model.zero_gradients();
        return result;
    }
    const double scale = 1.0 / static_cast<double>(result.target_tokens);
    const auto sums = shards.accumulate(model, micro_batches, [&](const replay::packed_batch& b) {
        return std::array{
            b.target_tokens == 0 ? 0.0 : static_cast<double>(model.loss_and_gradients(b.batch(), b.targets, scale))};
    });
    result.loss = sums[0] * scale;
    return result;
}
template <Trainable Model>
step_loss accumulate_gradients(Model& model, std::span<const replay::packed_batch> micro_batches) {
    gradient_shards one;
    return accumulate_gradients(model, micro_batches, one);
}

/// Mean loss over samples, nothing learnt. The ranks take turns over the micro-batches.
template <Trainable Model>
step_loss evaluate_loss(Model& model, std::span<const replay::packed_batch> micro_batches,
                        const any_ranks& ranks = {}) {
    step_loss result;
    std::vector<double> losses(micro_batches.size());
    for (std::size_t i = 0; i < micro_batches.size(); ++i) {
        const auto& b = micro_batches[i];
        if (b.target_tokens == 0) continue;
        result.tokens += b.tokens.size();
        result.target_tokens += b.target_tokens;
        if (i % ranks.size() == ranks.rank()) losses[i] = static_cast<double>(model.loss(b.batch(), b.targets));
    }
    ranks.merge(losses);
    for (const double loss : losses) result.loss += loss;
    if (result.target_tokens != 0) result.loss /= static_cast<double>(result.target_tokens);
    return result;
}

}  // namespace lab::train
