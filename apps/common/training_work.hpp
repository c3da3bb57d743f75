// What a training step computes, for its speed beside the machine's.
#pragma once

#include <cstddef>

#include "lab/nn/any_model.hpp"

namespace lab::apps {

/// Multiply-adds of the matrices in forward and both backward products, one of which frozen weights do not have, two
/// operations each, for a token and, in the head, for one that is learnt; of experts those that a token visits.
/// Attention is not counted.
struct training_work {
    double token = 0, target = 0;
    explicit training_work(const nn::any_model& model) {
        const double passes = model.lora() != nullptr ? 4 : 6;
        const auto& d = model.dims();
        const auto adapters = model.adapters();
        for (std::size_t i = 0; i < model.weights().size(); ++i) {
            const auto& w = model.weights()[i];
            if (w.info.rank != 2) continue;
            const double size = passes * static_cast<double>(w.info.size());
            const bool expert = w.info.expert != nn::tensor_info::no_index;
            const double visited =
                expert ? static_cast<double>(d.experts_per_token) / static_cast<double>(d.experts) : 1.0;
            if (w.info.role == (d.tied ? "embedding" : "head"))
                target += size;
            else if (w.info.role != "embedding")
                token += size * visited;
            if (!adapters.empty())
                token += 6 * visited * static_cast<double>(adapters[i].a.size() + adapters[i].b_turned.size());
        }
    }
    [[nodiscard]] double of(std::size_t tokens, std::size_t targets) const {
        return token * static_cast<double>(tokens) + target * static_cast<double>(targets);
    }
};

}  // namespace lab::apps
