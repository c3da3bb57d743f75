// Estimates with 95 % confidence intervals. Proportions: Wilson's score interval (Wilson 1927). Means and differences:
// percentile bootstrap over clusters, seeded (Efron 1979); a question asked in several phrasings is one cluster,
// because its phrasings succeed and fail together.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/rng.hpp"

namespace lab::eval {

struct estimate {
    double value = 0, low = 0, high = 0;
    std::size_t n = 0;  // independent units behind it
};

/// [(p + z^2/2n) -+ z sqrt(p(1-p)/n + z^2/4n^2)] / (1 + z^2/n) with z = 1.96. `successes` may be fractional, as when a
/// question's phrasings are averaged.
[[nodiscard]] inline estimate wilson(double successes, std::size_t n) {
    if (n == 0) return {0, 0, 1, 0};
    constexpr double z = 1.959963984540054;
    const double count = static_cast<double>(n), p = successes / count, z2 = z * z / count;
    const double middle = (p + z2 / 2) / (1 + z2);
    const double half = z * std::sqrt(p * (1 - p) / count + z2 / (4 * count)) / (1 + z2);
    return {p, std::max(0.0, middle - half), std::min(1.0, middle + half), n};
}

struct bootstrap_options {
    std::size_t resamples = 2000;
    std::uint64_t seed = 0;
};

/// Mean of all values; the interval resamples whole clusters. `cluster[i]` is the cluster of `values[i]`.
[[nodiscard]] inline estimate bootstrap_mean(std::span<const double> values, std::span<const std::size_t> cluster,
                                             const bootstrap_options& options = {}) {
    if (values.size() != cluster.size())
        throw shape_error("bootstrap_mean: as many cluster numbers as values are needed");
    if (values.empty()) return {};
    std::vector<std::pair<std::size_t, std::pair<double, double>>>
        sums;  // cluster -> (sum, count), in order of appearance
    for (std::size_t i = 0; i < values.size(); ++i) {
        const auto found = std::find_if(sums.begin(), sums.end(), [&](const auto& s) { return s.first == cluster[i]; });
        auto& [sum, count] =
            found != sums.end() ? found->second : sums.emplace_back(cluster[i], std::pair{0.0, 0.0}).second;
        sum += values[i];
        count += 1;
    }
    double sum = 0;
    for (const double v : values) sum += v;
    const double mean = sum / static_cast<double>(values.size());
    if (sums.size() < 2) return {mean, mean, mean, sums.size()};

    counter_rng rng(options.seed, "bootstrap");
    std::vector<double> means(std::max<std::size_t>(options.resamples, 40));
    for (double& m : means) {
        double total = 0, count = 0;
        for (std::size_t i = 0; i < sums.size(); ++i) {
            const auto& drawn = sums[static_cast<std::size_t>(rng.below(sums.size()))].second;
            total += drawn.first;
            count += drawn.second;
        }
        m = total / count;
    }
    std::sort(means.begin(), means.end());
    const auto quantile = [&](double q) {
        return means[std::min(means.size() - 1, static_cast<std::size_t>(q * static_cast<double>(means.size())))];
    };
    return {mean, quantile(0.025), quantile(0.975), sums.size()};
}

/// Mean of after - before over the same items: the interval of the difference, which is what says whether something
/// changed (two overlapping intervals may still differ).
[[nodiscard]] inline estimate paired_difference(std::span<const double> before, std::span<const double> after,
                                                std::span<const std::size_t> cluster,
                                                const bootstrap_options& options = {}) {
    if (before.size() != after.size())
        throw shape_error("paired_difference: before and after must hold the same items");
    std::vector<double> differences(before.size());
    for (std::size_t i = 0; i < before.size(); ++i) differences[i] = after[i] - before[i];
    return bootstrap_mean(differences, cluster, options);
}

}  // namespace lab::eval
