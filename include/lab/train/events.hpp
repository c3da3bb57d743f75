// What a training run tells while it goes on. Numbers only; showing, timing and logging are the listener's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "lab/train/step.hpp"

namespace lab::train {

struct phase_event {
    std::size_t index = 0, phases = 0;
    std::string_view name;
    std::size_t own_samples = 0, replayed_per_epoch = 0, epochs = 0, steps = 0;
    std::uint64_t tokens = 0;  // of all its epochs, prompt tokens included
    bool skipped = false;      // no samples of its own: nothing was trained
    bool compares = false;     // it learns from preferences; `reference` comes before its first step
};

struct step_event {
    std::size_t phase_index = 0;
    std::string_view phase;
    std::size_t epoch = 0, step = 0, steps = 0;       // step counts from 1 to `steps` within the phase
    std::uint64_t total_step = 0, total_steps = 0;    // over all phases
    std::uint64_t tokens_done = 0, tokens_total = 0;  // over all phases, prompt tokens included
    std::size_t tokens = 0, target_tokens = 0;        // of this step
    double loss = 0, learning_rate = 0, gradient_norm = 0;
    std::optional<preference_rewards> rewards{};  // of a phase that learns from preferences
};

/// Pairs that the model was asked about before it learns from them.
struct reference_event {
    std::size_t phase_index = 0;
    std::string_view phase;
    std::size_t done = 0, pairs = 0;
};

struct heldout_event {
    std::size_t phase_index = 0;
    std::string_view phase;  // "" before the first phase
    std::uint64_t total_step = 0;
    double loss = 0;
    std::size_t target_tokens = 0;
};

/// A step that was not taken: its data are passed over, the weights stay as they were.
struct skipped_event {
    std::size_t phase_index = 0;
    std::string_view phase;
    std::size_t step = 0;
    std::uint64_t total_step = 0;
    double loss = 0, gradient_norm = 0, median_loss = 0, median_norm = 0;
    std::string_view why;
};

/// What a phase did to the held-out loss of an earlier one.
struct regression_event {
    std::size_t phase_index = 0;
    std::string_view phase, earlier;
    double before = 0, now = 0;
    bool worse = false;  // by more than the tolerance
};

/// All optional. Called in the training thread; what they throw ends the run.
struct listener {
    std::function<void(const phase_event&)> phase_begin{};
    std::function<void(const phase_event&)>
        phase_end{};  // the model holds the phase's result; told again by a resume at this point
    std::function<void(const step_event&)> step{};
    std::function<void(const reference_event&)> reference{};
    std::function<void(const skipped_event&)> skipped{};
    std::function<void(const heldout_event&)> heldout{};
    std::function<void(const regression_event&)> regression{};
    std::function<void(const std::string& path)> checkpoint{};
    std::function<void(const std::string&)> notice{};
    std::function<bool()>
        stop{};  // asked after each step and while references are taken; true ends the run with a checkpoint
};

struct run_result {
    bool finished = false;  // false: `stop` was heard
    std::uint64_t steps = 0;
    double last_loss = 0;
};

}  // namespace lab::train
