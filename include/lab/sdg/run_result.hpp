// What a run makes of a taxonomy: each leaf's samples (leaf_result.hpp), or only their summaries where a sink takes the
// samples away leaf by leaf; what it was made with, and how it ended.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/sdg/calibration.hpp"
#include "lab/sdg/leaf_result.hpp"

namespace lab::sdg {

struct run_result;

/// Takes a leaf's samples when the work on it is over, leaf after leaf in their order; the run then keeps its summary
/// alone. `so_far` is the run until then, this leaf's summary included. What a sink throws ends the run.
using leaf_sink = std::function<void(leaf_result, const run_result& so_far)>;

struct run_result {
    struct example {
        const taxonomy::leaf* leaf = nullptr;
        candidate sample;
    };

    std::string teacher, judge;  // the judge's name where it is not the teacher
    std::vector<std::string> notes;
    std::map<std::string, calibration> judges;
    std::vector<leaf_result> leaves;                 // none where a sink took them
    std::vector<leaf_summary> summaries;             // of all leaves, in order
    std::array<std::optional<example>, 2> examples;  // the first generated sample: of knowledge, of a skill
    std::string stopped;                             // why the run ended before its last leaf; empty when it did not
    bool judges_measured = true;                     // false: leaves might come out otherwise another time
    json spending = nullptr;                         // what the teacher's answers cost, where somebody counted

    [[nodiscard]] std::size_t failures() const {
        return static_cast<std::size_t>(
            std::count_if(summaries.begin(), summaries.end(), [](const auto& s) { return !s.failure.empty(); }));
    }
    /// The next leaf, whose work is over: to the sink, where there is one.
    /// @param avoid as in summary_of
    void add(leaf_result r, const contamination_index* avoid, const leaf_sink& sink) {
        summaries.push_back(summary_of(r, avoid));
        auto& first = examples[r.leaf->kind != taxonomy::root::knowledge];
        if (!first && r.kept.size() > r.seeds) first = example{r.leaf, r.kept[r.seeds]};
        if (sink)
            sink(std::move(r), *this);
        else
            leaves.push_back(std::move(r));
    }
};

struct run_progress {
    std::string leaf;                               // id, or what is being done
    std::size_t kept = 0, wanted = 0, refused = 0;  // of the whole run
    std::size_t leaves = 0;
    // As long as the call lasts:
    const std::vector<leaf_summary>* done = nullptr;  // leaves whose work is over, in order
    const leaf_result* now = nullptr;                 // what was refused so far of the leaf that is being worked on
    std::size_t now_kept = 0;                         // of that leaf
    const candidate* latest = nullptr;                // of what it kept
};
/// The samples of a leaf that are there already and are taken as they are; nothing for a leaf that is to be worked on.
/// Asked twice for each leaf.
using known_leaves = std::function<std::optional<leaf_result>(const taxonomy::leaf&)>;

/// Called after each batch; false stops the run with `interrupted`.
using run_observer = std::function<bool(const run_progress&)>;

/// The observer asked to stop; what the teacher said until then is in the journal.
struct interrupted : error {
    using error::error;
};

}  // namespace lab::sdg
