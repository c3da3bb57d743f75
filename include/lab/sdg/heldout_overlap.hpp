// How close generated samples came to the questions kept for the examination: those are read here, when nothing can be
// generated any more, and nowhere before.
#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "lab/sdg/dedup.hpp"
#include "lab/sdg/kept_samples.hpp"
#include "lab/taxonomy/heldout.hpp"

namespace lab::sdg {

/// How much of the generated data is close to the questions kept for the examination. A report: it changes no sample.
struct overlap_report {
    std::size_t heldout = 0;  // phrasings
    std::size_t equal = 0;    // samples whose question equals one, punctuation and case aside
    std::size_t near = 0;     // samples at ROUGE-L F1 >= 0.7 of one, equal ones included
};

/// Reads the held-out questions beside each leaf, after everything is generated; one leaf's samples at a time.
/// @throws format_error, io_error
[[nodiscard]] inline std::map<std::string, overlap_report> heldout_overlap(const run_result& run,
                                                                           const kept_reader& kept) {
    std::map<std::string, overlap_report> reports;
    for (std::size_t i = 0; i < run.summaries.size(); ++i) {
        const auto& leaf = *run.summaries[i].leaf;
        overlap_report o;
        duplicate_index index(0.7);
        for (const auto& h : taxonomy::heldout_beside(leaf.folder))
            for (const auto& phrasing : h.phrasings) {
                index.add(h.context.empty() ? phrasing : flat(h.context) + "\n\n" + phrasing);
                ++o.heldout;
            }
        if (o.heldout > 0)
            for (const auto& sample : kept(i))
                for (const auto& turn : sample.turns)
                    if (const auto twin = index.find(turn.question)) {
                        ++o.near;
                        o.equal += twin->similarity > 1 - 1e-9;
                    }
        reports[leaf.id] = o;
    }
    return reports;
}
[[nodiscard]] inline std::map<std::string, overlap_report> heldout_overlap(const run_result& run) {
    return heldout_overlap(run, kept_in(run));
}

}  // namespace lab::sdg
