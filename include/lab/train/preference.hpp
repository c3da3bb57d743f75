// Direct preference optimisation (Rafailov et al., arXiv 2305.18290): of two answers to a prompt the preferred one is
// made likelier than the other, measured against what the model thought when the phase began (the reference):
//   reward(y) = beta (log p(y) - log p_ref(y)),   loss = -log sigmoid(reward(chosen) - reward(rejected))
// and, where a share e of the preferences is taken for mistaken, (1 - e) of that plus e of the loss the other way round
// (conservative DPO). log p is the sum over an answer's tokens. A step's loss is the mean over its pairs.
#pragma once

#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lab/core/batch.hpp"
#include "lab/core/error.hpp"
#include "lab/replay/packing.hpp"
#include "lab/replay/phase.hpp"
#include "lab/train/ranks.hpp"
#include "lab/train/step.hpp"

namespace lab::train {

/// What a model needs to learn from pairs, besides:
///   sequence_losses     writes the sum of the token losses of each sequence of the batch
///   weighted_gradients  adds the sum over sequences of weight * d(its loss), the weights asked of weigh(losses,
///   weights)
template <class M>
concept PreferenceTrainable = Trainable<M> &&
    requires(M& m, const ragged_batch& batch, std::span<const token> targets, std::span<double> losses,
             void (*weigh)(std::span<const double>, std::span<double>)) {
    {m.sequence_losses(batch, targets, losses)};
    {m.weighted_gradients(batch, targets, weigh)};
};

struct preference_options {
    double beta = 0.1;
    double mistaken = 0.0;  // share of the pairs whose answers are in the wrong order
};

/// The loss of one pair and its derivative by the difference of the answers' log-likelihoods, chosen minus rejected,
/// each less the reference's.
struct preference_loss {
    double loss = 0, derivative = 0;
    preference_loss(double difference, const preference_options& o) {
        const double x = o.beta * difference;
        const auto log_sigmoid = [](double z) {
            return z < 0 ? z - std::log1p(std::exp(z)) : -std::log1p(std::exp(-z));
        };
        loss = -(1.0 - o.mistaken) * log_sigmoid(x) - o.mistaken * log_sigmoid(-x);
        const double right = std::exp(log_sigmoid(x));
        derivative = o.beta * (o.mistaken * right - (1.0 - o.mistaken) * (1.0 - right));
    }
};

/// A phase's pairs and what the reference thinks of them.
class preference_learner {
public:
    /// The model as it is becomes the reference. `go_on(pairs done)` is asked now and then; false where it says no, to
    /// any of the ranks. The ranks take turns over the micro-batches.
    template <Trainable Model, class GoOn>
    [[nodiscard]] bool begin(Model& model, std::span<const replay::training_sample> samples,
                             std::span<const std::size_t> own, std::size_t micro_batch_tokens, GoOn&& go_on,
                             const any_ranks& ranks = {}) {
        place(own);
        std::vector<const replay::training_sample*> pairs;
        for (const std::size_t i : own) pairs.push_back(&samples[i]);
        const auto batches = replay::pack(pairs, micro_batch_tokens);
        std::vector<double> all(references_.size());
        std::size_t done = 0;
        for (std::size_t i = 0; i < batches.size(); ++i) {
            const auto& b = batches[i];
            if (i % ranks.size() == 0 && ranks.any(!go_on(done))) return false;
            done += b.samples.size();
            if (i % ranks.size() != ranks.rank()) continue;
            std::vector<double> losses(2 * b.samples.size());
            if constexpr (PreferenceTrainable<Model>)
                model.sequence_losses(b.batch(), b.targets, losses);
            else
                throw config_error("this model cannot learn from preferences");
            for (std::size_t s = 0; s < losses.size(); ++s) all[2 * b.samples[s / 2] + s % 2] = losses[s];
        }
        ranks.merge(all);
        for (std::size_t i = 0; i < all.size(); ++i) references_[i] = static_cast<float>(all[i]);
        return !ranks.any(!go_on(done));
    }
    /// Room for the references of these pairs, to be read into `values`.
    void place(std::span<const std::size_t> own) {
        place_.clear();
        for (std::size_t i = 0; i < own.size(); ++i) place_[own[i]] = i;
        references_.assign(2 * own.size(), 0.0f);
    }
    /// The references' losses, chosen and rejected in turns.
    [[nodiscard]] std::span<float> values() { return references_; }

    /// Leaves the gradient of a step's mean loss in `model.gradients()`, of several ranks each one's share of it.
    /// `chosen` are the samples that were packed.
    template <Trainable Model>
    step_loss accumulate_gradients(Model& model, std::span<const replay::packed_batch> micro_batches,
                                   std::span<const std::size_t> chosen, const preference_options& o,
                                   gradient_shards& shards) const {
        if constexpr (PreferenceTrainable<Model>) {
            step_loss result;
            for (const auto& b : micro_batches)
                result.tokens += b.tokens.size(), result.target_tokens += b.target_tokens;
            const double share = 1.0 / static_cast<double>(chosen.size());
            const auto sums = shards.accumulate(model, micro_batches, [&](const replay::packed_batch& b) {
                std::array<double, 4> told{};  // loss, rewards, accuracy
                const auto weigh = [&](std::span<const double> losses, std::span<double> weights) {
                    for (std::size_t p = 0; p < b.samples.size(); ++p) {
                        const float* reference = &references_[2 * place_.at(chosen[b.samples[p]])];
                        const double better = static_cast<double>(reference[0]) - losses[2 * p],
                                     worse = static_cast<double>(reference[1]) - losses[2 * p + 1];
                        const preference_loss pair(better - worse, o);
                        weights[2 * p] = -share * pair.derivative;
                        weights[2 * p + 1] = share * pair.derivative;
                        told[0] += share * pair.loss;
                        told[1] += share * o.beta * better;
                        told[2] += share * o.beta * worse;
                        told[3] += better > worse ? share : 0.0;
                    }
                };
                model.weighted_gradients(b.batch(), b.targets, weigh);
                return told;
            });
            result.loss = sums[0];
            result.rewards = {sums[1], sums[2], sums[3]};
            return result;
        } else {
            throw config_error("this model cannot learn from preferences");
        }
    }

private:
    std::map<std::size_t, std::size_t> place_;  // of the run's samples among the pairs
    std::vector<float> references_;
};

}  // namespace lab::train
