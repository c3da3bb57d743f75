// The learning rate of a phase at a step: a phase's numbers as an optim/schedule.hpp.
#pragma once

#include <cstddef>

#include "lab/optim/schedule.hpp"
#include "lab/replay/phase.hpp"

namespace lab::train {

[[nodiscard]] constexpr optim::decay decay_of(replay::schedule_kind kind) noexcept {
    switch (kind) {
        case replay::schedule_kind::constant:
            return optim::decay::constant;
        case replay::schedule_kind::linear:
            return optim::decay::linear;
        case replay::schedule_kind::cosine:
            return optim::decay::cosine;
        case replay::schedule_kind::wsd:
            break;
    }
    return optim::decay::wsd;
}

/// `step` counts from 0 within the phase of `steps` steps. The first step of a warm-up of w has lr / w, its last lr.
[[nodiscard]] inline double learning_rate(const replay::phase& phase, std::size_t step, std::size_t steps) {
    return optim::schedule{.peak = phase.learning_rate,
                           .warmup = phase.warmup_steps,
                           .total = steps,
                           .kind = decay_of(phase.schedule),
                           .floor = phase.schedule_floor,
                           .stable_share = phase.stable_share}(step);
}

}  // namespace lab::train
