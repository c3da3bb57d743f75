// Cross-entropy over a vocabulary, forward and backward: loss_i = log sum_j exp(z_ij) - z_i,target. A negative target
// (lab::no_token) means "not trained on": loss and gradient 0. Sums of exponentials: 16 lanes over 1024 entries, then
// double.
#pragma once

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>

#include "lab/core/tensor.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/core/token.hpp"
#include "lab/kernels/rows.hpp"

namespace lab::kernels {
inline namespace LAB_ISA {

/// The largest of n > 0 floats.
template <class Arch>
[[nodiscard]] float largest(const float* x, std::size_t n) {
    using v = f32x16<Arch>;
    constexpr float lowest = -std::numeric_limits<float>::infinity();
    v top = v::broadcast(lowest);
    std::size_t j = 0;
    for (; j + 16 <= n; j += 16) top = larger<Arch>(top, v::load(x + j));
    if (j < n) top = larger<Arch>(top, load_part<Arch>(x + j, n - j, lowest));
    return largest<Arch>(top);
}

/// sum exp(x_j - top)
template <class Arch>
[[nodiscard]] double sum_of_exponentials(const float* x, std::size_t n, float top) {
    using v = f32x16<Arch>;
    double total = 0.0;
    for (std::size_t block = 0; block < n; block += 1024) {
        v sums = v::broadcast(0.0f);
        const std::size_t end = std::min(n, block + 1024);
        std::size_t j = block;
        for (; j + 16 <= end; j += 16) sums = sums + exp<Arch>(v::load(x + j) - v::broadcast(top));
        if (j < end)
            sums = sums + exp<Arch>(load_part<Arch>(x + j, end - j, -std::numeric_limits<float>::infinity()) -
                                    v::broadcast(top));
        total += static_cast<double>(sum<Arch>(sums));
    }
    return total;
}

/// log sum exp(x_j) of n > 0 floats.
template <class Arch>
[[nodiscard]] double log_sum_exp(std::span<const float> x) {
    const float top = largest<Arch>(x.data(), x.size());
    return static_cast<double>(top) + std::log(sum_of_exponentials<Arch>(x.data(), x.size(), top));
}

/// losses_i = log(sum exp(logits_i)) - logits_i[target_i]; 0 where the target is negative.
template <class Arch>
void cross_entropy(view<const float> logits, std::span<const token> targets, view<float, 1> losses, thread_pool& pool) {
    assert(logits.extent(0) == targets.size() && losses.size() == targets.size());
    const std::size_t vocab = logits.extent(1);
    pool.parallel_for(targets.size(), 1, [&](std::size_t begin, std::size_t end, std::size_t) {
        for (std::size_t i = begin; i < end; ++i) {
            losses.data()[i] = 0.0f;
            if (targets[i] < 0) continue;
            const float* row = logits.data() + i * vocab;
            const float top = largest<Arch>(row, vocab);
            const double below = static_cast<double>(top) - static_cast<double>(row[targets[i]]);
            losses.data()[i] = static_cast<float>(std::log(sum_of_exponentials<Arch>(row, vocab, top)) + below);
        }
    });
}

/// In place: scale (softmax(logits) - one-hot(target)); rows with a negative target become 0.
template <class Arch>
void cross_entropy_backward(view<float> logits, std::span<const token> targets, double scale, thread_pool& pool) {
    assert(logits.extent(0) == targets.size());
    using v = f32x16<Arch>;
    const std::size_t vocab = logits.extent(1);
    pool.parallel_for(targets.size(), 1, [&](std::size_t begin, std::size_t end, std::size_t) {
        for (std::size_t i = begin; i < end; ++i) {
            float* row = logits.data() + i * vocab;
            if (targets[i] < 0) {
                std::fill_n(row, vocab, 0.0f);
                continue;
            }
            const float top = largest<Arch>(row, vocab);
            const auto factor = static_cast<float>(scale / sum_of_exponentials<Arch>(row, vocab, top));
            for_each_vector(vocab, [&](std::size_t j, auto n) {
                put<Arch>(exp<Arch>(get<Arch>(row + j, n) - v::broadcast(top)) * v::broadcast(factor), row + j, n);
            });
            row[targets[i]] -= static_cast<float>(scale);
        }
    });
}

}  // namespace LAB_ISA
}  // namespace lab::kernels
