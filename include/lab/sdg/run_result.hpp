// What a run makes of a taxonomy: for each leaf the samples that were kept and refused, its documents' facts, the views
// that the teacher wrote, and why it fell short or failed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/sdg/calibration.hpp"
#include "lab/sdg/facts.hpp"
#include "lab/sdg/view_text.hpp"

namespace lab::sdg {

struct leaf_result {
    const taxonomy::leaf* leaf = nullptr;
    std::vector<candidate> kept, refused;
    std::size_t seeds = 0;  // of the kept
    std::size_t wanted = 0, proposed = 0;
    std::string shortfall;    // why fewer than wanted were kept; empty when the quota was met
    std::string failure;      // why the work on it broke off; empty when it came to its end
    std::vector<fact> facts;  // of a knowledge leaf's documents, and what became of each
    std::vector<view_text> views;
    json judges = json::object();  // measured on this leaf's seeds, by name

    [[nodiscard]] std::map<std::string, std::size_t> refused_by() const {
        std::map<std::string, std::size_t> counts;
        for (const auto& c : refused) ++counts[c.refused_by];
        return counts;
    }
};

struct run_result {
    std::string teacher, judge;  // the judge's name where it is not the teacher
    std::vector<std::string> notes;
    std::map<std::string, calibration> judges;
    std::vector<leaf_result> leaves;
    std::string stopped;          // why the run ended before its last leaf; empty when it did not
    bool judges_measured = true;  // false: leaves might come out otherwise another time
    json spending = nullptr;      // what the teacher's answers cost, where somebody counted

    [[nodiscard]] std::size_t failures() const {
        return static_cast<std::size_t>(
            std::count_if(leaves.begin(), leaves.end(), [](const auto& r) { return !r.failure.empty(); }));
    }
};

struct run_progress {
    std::string leaf;                               // id, or what is being done
    std::size_t kept = 0, wanted = 0, refused = 0;  // of the whole run
    std::size_t leaves = 0;
    // As long as the call lasts:
    const std::vector<leaf_result>* done = nullptr;  // leaves whose work is over, in order
    const leaf_result* now = nullptr;                // what was refused so far of the leaf that is being worked on
    std::size_t now_kept = 0;                        // of that leaf
    const candidate* latest = nullptr;               // of what it kept
};
/// Leaves whose samples are there already, by id: they are taken as they are.
using known_leaves = std::map<std::string, leaf_result>;

/// Called after each batch; false stops the run with `interrupted`.
using run_observer = std::function<bool(const run_progress&)>;

/// The observer asked to stop; what the teacher said until then is in the journal.
struct interrupted : error {
    using error::error;
};

}  // namespace lab::sdg
