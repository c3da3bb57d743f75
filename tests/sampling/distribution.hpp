// Chi-squared test of draws against exactly computed probabilities.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

namespace lab::test {

/// Pearson's statistic over the outcomes expected at least once; draws of impossible outcomes give infinity.
inline double chi_squared(std::span<const std::size_t> counts, std::span<const double> probabilities,
                          std::size_t draws) {
    double statistic = 0.0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        const double expected = probabilities[i] * static_cast<double>(draws);
        if (expected == 0.0) {
            if (counts[i] != 0) return INFINITY;
            continue;
        }
        statistic +=
            (static_cast<double>(counts[i]) - expected) * (static_cast<double>(counts[i]) - expected) / expected;
    }
    return statistic;
}

/// The value that a chi-squared variable with k degrees of freedom exceeds with probability 1e-4 (Wilson-Hilferty).
inline double chi_squared_limit(std::size_t degrees) {
    const double k = static_cast<double>(degrees), z = 3.719;
    return k * std::pow(1.0 - 2.0 / (9.0 * k) + z * std::sqrt(2.0 / (9.0 * k)), 3.0);
}

}  // namespace lab::test
