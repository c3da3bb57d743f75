// Learning rates over a run of steps: linear warm-up, then constant, cosine, linear, or WSD (warm-up, stable, decay;
// MiniCPM, arXiv:2404.06395). A pure function of the step, so that a resumed run follows the same curve.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <string>
#include <string_view>

#include "lab/core/error.hpp"

namespace lab::optim {

enum class decay : std::uint8_t { constant, cosine, linear, wsd };

struct schedule {
    double peak = 2e-5;
    std::size_t warmup = 0;  // steps; the first has peak / warmup, the last of them the peak
    std::size_t total = 0;   // steps of the whole run; needed by all but `constant`
    decay kind = decay::constant;
    double floor = 0.0;         // lowest rate, as a share of the peak
    double stable_share = 0.8;  // wsd: share of the steps after warm-up before the decay

    /// The rate of a step, counted from 0.
    [[nodiscard]] double operator()(std::size_t step) const {
        if (step < warmup) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup);
        const double rest = static_cast<double>(std::max(total, warmup + 1) - warmup);
        const double t = std::min(1.0, static_cast<double>(step - warmup) / rest);
        const double share = [&] {
            switch (kind) {
                case decay::constant:
                    return 1.0;
                case decay::cosine:
                    return 0.5 * (1.0 + std::cos(std::numbers::pi * t));
                case decay::linear:
                    return 1.0 - t;
                case decay::wsd:
                    return t < stable_share ? 1.0 : (1.0 - t) / (1.0 - stable_share);
            }
            return 1.0;
        }();
        return peak * (floor + (1.0 - floor) * share);
    }
};

/// @throws config_error listing the known names.
[[nodiscard]] inline decay decay_from_name(std::string_view name) {
    if (name == "constant") return decay::constant;
    if (name == "cosine") return decay::cosine;
    if (name == "linear") return decay::linear;
    if (name == "wsd") return decay::wsd;
    throw config_error(
        explain("schedule '" + std::string(name) + "'", "unknown", "one of constant, cosine, linear, wsd"));
}

}  // namespace lab::optim
