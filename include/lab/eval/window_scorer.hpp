// The WindowScorer of any model in nn/: one forward pass per window.
#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "lab/kernels/loss.hpp"
#include "lab/nn/any_model.hpp"
#include "lab/nn/batch_builder.hpp"

namespace lab::eval {

class model_window_scorer {
public:
    /// The cache holds a window at a time, which bounds it.
    explicit model_window_scorer(nn::any_model model)
        : model_(std::move(model)), cache_(model_.make_cache({.max_bytes = nn::kv_cache_options::unbounded})) {}

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
            for (std::size_t r = begin; r < end; ++r)
                losses[r] = kernels::log_sum_exp<kernels::arch::native>(logits.row(r)) -
                            static_cast<double>(logits(r, static_cast<std::size_t>(window[first + r + 1])));
        });
        cache_.release(sequence);
        return losses;
    }

private:
    nn::any_model model_;
    nn::kv_cache<float> cache_;
};

}  // namespace lab::eval
