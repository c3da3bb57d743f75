// Clipping by the global norm (Pascanu et al. 2013, arXiv:1211.5063): gradients longer than `limit` are scaled back to
// it. The norm is a sum in double over a fixed tree of 4096-element leaves: the same bits on any number of threads.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

#include "lab/core/thread_pool.hpp"

namespace lab::optim {

inline constexpr std::size_t norm_leaf = 4096;  // gradients

/// Sums of squares of each leaf, [gradients / norm_leaf, rounded up].
[[nodiscard]] inline std::vector<double> sums_of_squares(std::span<const float> gradients, thread_pool* pool) {
    using lanes_of_float = float __attribute__((vector_size(32)));
    using lanes_of_double = double __attribute__((vector_size(64)));
    constexpr std::size_t leaf = norm_leaf;
    std::vector<double> sums((gradients.size() + leaf - 1) / leaf);
    parallel_for(pool, sums.size(), 16, [&](std::size_t begin, std::size_t end, std::size_t) {
        for (std::size_t l = begin; l < end; ++l) {
            const std::size_t first = l * leaf, last = std::min(gradients.size(), first + leaf);
            lanes_of_double lanes{};
            std::size_t i = first;
            for (; i + 8 <= last; i += 8) {
                lanes_of_float g;
                std::memcpy(&g, gradients.data() + i, sizeof g);
                const auto wide = __builtin_convertvector(g, lanes_of_double);
                lanes += wide * wide;
            }
            for (; i < last; ++i)
                lanes[i - last + 8] += static_cast<double>(gradients[i]) * static_cast<double>(gradients[i]);
            sums[l] = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
        }
    });
    return sums;
}
/// The norm from the sums of all leaves.
[[nodiscard]] inline double norm_of(std::vector<double> sums) {
    for (std::size_t width = sums.size(); width > 1; width = (width + 1) / 2)
        for (std::size_t i = 0; i < (width + 1) / 2; ++i)
            sums[i] = sums[2 * i] + (2 * i + 1 < width ? sums[2 * i + 1] : 0.0);
    return sums.empty() ? 0.0 : std::sqrt(sums[0]);
}

/// Euclidean norm of all gradients together.
[[nodiscard]] inline double global_norm(std::span<const float> gradients, thread_pool* pool = nullptr) {
    return norm_of(sums_of_squares(gradients, pool));
}

/// What to multiply the gradients with so that their norm is at most `limit`; 1 when `limit` is 0 (no clipping).
[[nodiscard]] inline double clip_scale(double norm, double limit) {
    return limit > 0 && norm > limit ? limit / (norm + 1e-6) : 1.0;
}

}  // namespace lab::optim
