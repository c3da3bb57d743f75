// Normally distributed numbers from a seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lab/core/rng.hpp"

namespace lab::test {

inline std::vector<float> random_values(std::size_t count, std::uint64_t seed, double scale = 1.0) {
    counter_rng rng(seed);
    std::vector<float> values(count);
    for (float& x : values) x = static_cast<float>(scale * rng.normal());
    return values;
}

}  // namespace lab::test
