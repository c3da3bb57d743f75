// How far apart two lists of numbers are.
#pragma once

#include <cmath>
#include <cstddef>

namespace lab::test {

/// |actual - expected| / |expected|, Euclidean norms; |actual| where nothing but zeros is expected.
template <class Actual, class Expected>
double relative_difference(const Actual& actual, const Expected& expected) {
    double difference = 0, norm = 0;
    for (std::size_t i = 0; i < actual.size(); ++i) {
        difference += std::pow(static_cast<double>(actual[i] - expected[i]), 2);
        norm += std::pow(static_cast<double>(expected[i]), 2);
    }
    return std::sqrt(difference) / (norm == 0 ? 1.0 : std::sqrt(norm));
}

}  // namespace lab::test
