// What a run makes of one leaf: the samples that were kept and refused, its documents' facts, the views that the
// teacher wrote, why it fell short or failed; and the summary of it that a run keeps when the samples themselves are
// written.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lab/sdg/contamination_check.hpp"
#include "lab/sdg/diversity.hpp"
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

/// How a score is spread over all candidates that have it, kept and refused.
struct score_spread {
    std::size_t count = 0;
    double mean = 0;
    std::array<double, 5> quartiles{};  // lowest, quartiles, highest
};

/// A few kilobytes a leaf, whatever the number of its samples: all that manifest and reports say of it.
struct leaf_summary {
    struct gap {  // a fact without a kept question
        std::string id, text, why;
    };
    static constexpr std::size_t most_gaps = 20;

    const taxonomy::leaf* leaf = nullptr;
    std::size_t kept = 0, refused = 0, seeds = 0, wanted = 0, proposed = 0;
    std::string shortfall, failure;
    std::map<std::string, std::size_t> refused_by, kept_by_origin, kept_with_turns;
    text_diversity diversity;                                  // of what was kept, question and answer together
    std::map<std::string, contamination_tally> contamination;  // by set to avoid
    coverage facts;
    std::vector<gap> gaps;  // the first ones
    std::map<std::string, view_count> views;
    std::map<std::string, score_spread> spreads;  // of what judges of knowledge say
    json judges = json::object();

    [[nodiscard]] std::size_t generated() const noexcept { return kept - seeds; }
};

/// What came of comparing one leaf's samples, kept and refused, with the sets to avoid.
[[nodiscard]] inline std::map<std::string, contamination_tally> contamination_of(const leaf_result& r,
                                                                                 const contamination_index& sets) {
    std::map<std::string, contamination_tally> tallies;
    for (const auto* samples : {&r.kept, &r.refused}) count_overlaps(sets, *samples, tallies);
    return tallies;
}

/// Of what was kept, question and answer together.
[[nodiscard]] inline text_diversity diversity_of(const leaf_result& r) {
    std::vector<hashed_text> texts;
    for (const auto& c : r.kept) texts.push_back(loose_word_hashes(user_text(*r.leaf, c) + "\n" + c.answer));
    return diversity_of(std::span<const hashed_text>(texts));
}

namespace detail {

[[nodiscard]] inline std::map<std::string, score_spread> spreads_of(const leaf_result& r) {
    std::map<std::string, score_spread> spreads;
    for (const char* score : {"round_trip", "gain", "says_grounded", "relevant", "self_contained"}) {
        std::vector<double> all;
        for (const auto* list : {&r.kept, &r.refused})
            for (const auto& c : *list)
                if (const auto at = c.scores.find(score); at != c.scores.end()) all.push_back(at->get<double>());
        if (all.empty()) continue;
        std::sort(all.begin(), all.end());
        auto& s = spreads[score];
        s.count = all.size();
        for (const double x : all) s.mean += x;
        s.mean /= static_cast<double>(all.size());
        for (std::size_t quarter = 0; quarter < s.quartiles.size(); ++quarter)
            s.quartiles[quarter] = all[(all.size() - 1) * quarter / 4];
    }
    return spreads;
}

}  // namespace detail

/// @param avoid the sets that the samples were compared with; null: none
[[nodiscard]] inline leaf_summary summary_of(const leaf_result& r, const contamination_index* avoid) {
    leaf_summary s;
    s.leaf = r.leaf;
    s.kept = r.kept.size(), s.refused = r.refused.size();
    s.seeds = r.seeds, s.wanted = r.wanted, s.proposed = r.proposed;
    s.shortfall = r.shortfall, s.failure = r.failure;
    s.refused_by = r.refused_by();
    for (const auto& c : r.kept) {
        ++s.kept_by_origin[c.origin];
        if (!c.more.empty()) ++s.kept_with_turns[std::to_string(1 + c.more.size())];
    }
    s.diversity = diversity_of(r);
    if (avoid != nullptr) s.contamination = contamination_of(r, *avoid);
    s.facts = coverage::of(r.facts);
    for (const auto& f : r.facts)
        if (!f.covered() && s.gaps.size() < leaf_summary::most_gaps) s.gaps.push_back({f.id, f.text, f.why_not()});
    s.views = count_views(r.views);
    s.spreads = detail::spreads_of(r);
    s.judges = r.judges;
    return s;
}

}  // namespace lab::sdg
