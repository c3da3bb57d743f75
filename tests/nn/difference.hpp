// How far apart two lists of numbers are.
#pragma once

#include <cmath>
#include <cstddef>

namespace lab::test {

/// |actual - expected| / |expected|, Euclidean norms.
template <class Actual, class Expected>
double relative_difference(const Actual& actual, const Expected& expected) {
    double difference = 0, norm = 0;
    for (std::size_t i = 0; i < actual.size(); ++i) {
        difference += std::pow(static_cast<double>(actual[i] - expected[i]), 2);
        norm += std::pow(static_cast<double>(expected[i]), 2);
    }
    return std::sqrt(difference) / std::sqrt(norm);
}

}  // namespace lab::test
