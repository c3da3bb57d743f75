// The learning rate of a phase at a step: linear warm-up, then the phase's schedule.
//   constant: lr        linear: lr (1 - t)        cosine: lr (1 + cos(pi t)) / 2
//   wsd (warm-up, stable, decay): lr, then linearly to 0 over the last fifth;   t in [0, 1) is the progress after warm-up
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>

#include "lab/replay/phase.hpp"

namespace lab::train {

/// `step` counts from 0. The first step of a warm-up of w has lr / w, the last lr.
[[nodiscard]] inline double learning_rate(const replay::phase& phase, std::size_t step, std::size_t steps) {
    const double peak = phase.learning_rate;
    if (step < phase.warmup_steps) return peak * static_cast<double>(step + 1) / static_cast<double>(phase.warmup_steps);
    const double rest = static_cast<double>(std::max(steps, phase.warmup_steps + 1) - phase.warmup_steps);
    const double progress = std::min(1.0, static_cast<double>(step - phase.warmup_steps) / rest);
    switch (phase.schedule) {
        case replay::schedule_kind::constant: return peak;
        case replay::schedule_kind::linear: return peak * (1.0 - progress);
        case replay::schedule_kind::cosine: return peak * 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
        case replay::schedule_kind::wsd: return progress < 0.8 ? peak : peak * (1.0 - progress) / 0.2;
    }
    return peak;
}

}  // namespace lab::train
