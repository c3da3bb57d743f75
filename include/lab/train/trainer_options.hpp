// What a training run is told besides its data and its plan, and which of it belongs to the run's identity.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "lab/formats/json.hpp"
#include "lab/replay/plan.hpp"
#include "lab/train/guard.hpp"
#include "lab/train/heldout.hpp"
#include "lab/train/phase_result.hpp"
#include "lab/train/ranks.hpp"

namespace lab::train {

struct trainer_options {
    std::uint64_t seed = 0;
    std::size_t micro_batch_tokens = 512;  // memory bound; part of the run's identity, as it fixes the order of sums
    std::string arithmetic = "f32";        // the model's precision in training, also part of its identity
    replay::length_buckets buckets{};
    std::size_t heldout_every = 0;       // steps between held-out losses; always at the start and at phase ends
    std::filesystem::path folder{};      // metrics.jsonl and checkpoints/ go here; empty: nothing is written
    bool resume = false;                 // go on from the newest checkpoint in `folder`, if there is one
    double checkpoint_seconds = 300;     // between checkpoints inside a phase; every phase's end has one anyway
    std::uint64_t checkpoint_steps = 0;  // also every so many steps; 0: by time alone
    guard_options guard{};               // steps that are not taken; off: a loss that is not finite ends the run
    result_options result{};             // the weights that a phase hands on
    bool stochastic_rounding = false;    // after each step the weights are rounded to bf16's values
    any_ranks ranks{};                   // who train together, all with the same options; they share `folder`
    std::size_t shards = 0;              // of a step's gradient (gradient_shards); 0: one for each rank
    /// Of the weights as they are in a phase, the higher the better: what `best` and patience go by instead of the
    /// phase's own held-out loss, and its name. The first rank is asked.
    std::function<double(std::size_t phase)> score{};
    std::string score_name{};
    watch_options watch{};                // what follows from held-out losses; these need set_heldout
    std::function<double()> clock = [] {  // seconds; decides when checkpoints fall, never what is learnt
        return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    };
};

/// Settings that change results and are not a plain run's: null where there are none.
[[nodiscard]] inline formats::json further_settings(const trainer_options& o) {
    formats::json all;
    if (o.guard.on()) all["guard"] = step_guard(o.guard).describe();
    if (o.result.kind != phase_result::last) all["result"] = result_keeper(o.result).describe();
    if (o.watch.on()) all["watch"] = heldout_watch(o.watch).describe();
    if (o.score) all["score"] = o.score_name;
    if (o.stochastic_rounding) all["weights"] = "bf16, rounded stochastically";
    if (!all.is_null()) all["heldout_every"] = o.heldout_every;
    return all;
}

}  // namespace lab::train
