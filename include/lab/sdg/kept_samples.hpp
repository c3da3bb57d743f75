// The kept samples of one leaf after the other, as they are read when all is generated: from a run that holds them, or
// from the file that they were written to. For examinations, which must see every sample and may hold few.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "lab/sdg/run_result.hpp"

namespace lab::sdg {

struct kept_sample {
    std::string origin;
    std::vector<taxonomy::qa> turns;  // the first question as the user says it, with its context
};

/// The kept samples of the run's leaf of this number.
using kept_reader = std::function<std::vector<kept_sample>(std::size_t leaf)>;

/// From a run without a sink, which must outlive this.
[[nodiscard]] inline kept_reader kept_in(const run_result& run) {
    return [&run](std::size_t leaf) {
        const auto& r = run.leaves.at(leaf);
        std::vector<kept_sample> samples;
        for (const auto& c : r.kept) {
            samples.push_back({c.origin, {{user_text(*r.leaf, c), c.answer}}});
            samples.back().turns.insert(samples.back().turns.end(), c.more.begin(), c.more.end());
        }
        return samples;
    };
}

}  // namespace lab::sdg
