// Small random llamas for tests, compiled once (small_llama.cpp).
#pragma once

#include <cstddef>
#include <cstdint>

#include "lab/nn/any_model.hpp"

namespace lab::test {

/// Every weight is drawn from the standard normal distribution and divided by `divisor`. Can be trained.
[[nodiscard]] nn::any_model small_llama(const nn::runtime_dims& dims, double divisor, std::size_t context,
                                        std::size_t threads, std::uint64_t seed);

}  // namespace lab::test
