// The WindowScorer of any model in nn/: one forward pass per window, log-softmax in double.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "lab/nn/any_model.hpp"
#include "lab/nn/batch_builder.hpp"

namespace lab::eval {

/// -log softmax(logits)[target]
[[nodiscard]] inline double token_loss(std::span<const float> logits, token target) {
    const float top = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const float x : logits) sum += std::exp(static_cast<double>(x) - static_cast<double>(top));
    return std::log(sum) + static_cast<double>(top) - static_cast<double>(logits[static_cast<std::size_t>(target)]);
}

class model_window_scorer {
public:
    explicit model_window_scorer(nn::any_model model) : model_(std::move(model)), cache_(model_.make_cache()) {}

    [[nodiscard]] std::vector<double> token_losses(std::span<const token> window, std::size_t first) {
        nn::batch_builder batch;
        batch.clear();
        batch.add(window);
        std::vector<std::uint32_t> rows(window.size() - 1 - first);
        std::iota(rows.begin(), rows.end(), static_cast<std::uint32_t>(first));
        const nn::sequence_id sequence = cache_.create();
        const view<const float> logits = model_.forward(batch.get(), cache_, std::span(&sequence, 1), rows);
        std::vector<double> losses(rows.size());
        model_.pool().parallel_for(rows.size(), 1, [&](std::size_t begin, std::size_t end, std::size_t) {
            for (std::size_t r = begin; r < end; ++r) losses[r] = token_loss(logits.row(r), window[first + r + 1]);
        });
        cache_.release(sequence);
        return losses;
    }

private:
    nn::any_model model_;
    nn::kv_cache<float> cache_;
};

}  // namespace lab::eval
