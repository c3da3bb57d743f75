// One optimizer step's gradient: micro-batches are accumulated in order, and the loss is the mean over the learnt
// tokens of the WHOLE step, however it was cut: grad = sum_b d(sum of b's token losses) / (learnt tokens of all b).
// (Dividing per micro-batch and averaging instead would weigh tokens by how they happened to be packed.)
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lab/core/batch.hpp"
#include "lab/core/error.hpp"
#include "lab/replay/packing.hpp"

namespace lab::train {

/// What the trainer asks of a model. Parameters and gradients are dense, in one fixed order, of equal size.
///   loss_and_gradients  adds scale * d(sum of token losses) to the gradients; returns the plain sum
///   loss                the same sum, forward only
/// Targets of no_token give no loss. A model that draws at random has begin_step(number) besides, told before each step
/// is taken, so that its draws depend on nothing else.
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

/// Leaves the gradient of the step's mean loss in `model.gradients()`.
template <Trainable Model>
step_loss accumulate_gradients(Model& model, std::span<const replay::packed_batch> micro_batches) {
    step_loss result;
    for (const auto& b : micro_batches) result.tokens += b.tokens.size(), result.target_tokens += b.target_tokens;
    model.zero_gradients();
    if (result.target_tokens == 0) return result;
    const double scale = 1.0 / static_cast<double>(result.target_tokens);
    for (const auto& b : micro_batches)
        if (b.target_tokens != 0)
            result.loss += static_cast<double>(model.loss_and_gradients(b.batch(), b.targets, scale));
    result.loss *= scale;
    return result;
}

/// Mean loss over samples, nothing learnt.
template <Trainable Model>
step_loss evaluate_loss(Model& model, std::span<const replay::packed_batch> micro_batches) {
    step_loss result;
    for (const auto& b : micro_batches) {
        if (b.target_tokens == 0) continue;
        result.tokens += b.tokens.size();
        result.target_tokens += b.target_tokens;
        result.loss += static_cast<double>(model.loss(b.batch(), b.targets));
    }
    if (result.target_tokens != 0) result.loss /= static_cast<double>(result.target_tokens);
    return result;
}

}  // namespace lab::train
