// Stochastic rounding to bf16 (Gupta et al. 2015, arXiv:1502.02551): of the two neighbours a value becomes the upper
// one with the probability of its distance from the lower. On average nothing is lost, however small an update is
// beside its weight; rounding to nearest would lose most of them.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lab/core/rng.hpp"
#include "lab/core/thread_pool.hpp"

namespace lab::optim {

/// `value` as a bf16 holds it, rounded away from zero where its lower 16 bits and `random` (16 bits) exceed them
/// together. What a bf16 holds already, and what is not finite, stays as it is.
[[nodiscard]] inline float round_to_bf16(float value, std::uint32_t random) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const auto rounded = std::bit_cast<float>((bits + (random & 0xffffu)) & 0xffff0000u);
    return std::isfinite(rounded) ? rounded : std::bit_cast<float>(std::isfinite(value) ? bits & 0xffff0000u : bits);
}

/// Rounds all values; the draws are a function of seed, step and place alone, the same on any number of threads.
inline void round_to_bf16(std::span<float> values, std::uint64_t seed, std::uint64_t step,
                          thread_pool* pool = nullptr) {
    constexpr std::size_t drawn = 8;  // by one call of philox, 16 bits each
    const std::uint64_t key = seed ^ hash64("stochastic rounding");
    parallel_for(pool, (values.size() + drawn - 1) / drawn, 4096, [&](std::size_t begin, std::size_t end, std::size_t) {
        for (std::size_t block = begin; block < end; ++block) {
            const auto words = philox({static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32),
                                       static_cast<std::uint32_t>(step), static_cast<std::uint32_t>(step >> 32)},
                                      {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)});
            const auto own = values.subspan(block * drawn, std::min(drawn, values.size() - block * drawn));
            for (std::size_t i = 0; i < own.size(); ++i) own[i] = round_to_bf16(own[i], words[i / 2] >> (16 * (i % 2)));
        }
    });
}

}  // namespace lab::optim
