// The step that keeps samples clear of evaluation sets (contamination.hpp), and what it did over a whole batch of
// samples: how many were compared with each set, how many refused, how much of a question they held.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lab/sdg/pipeline.hpp"

namespace lab::sdg {

/// Refuses what gives away a question of the sets to avoid. Every sample that was compared has the score "overlap", the
/// largest share of one question's words that it holds; its provenance names set and item.
struct contamination_check {
    static constexpr std::string_view name = "contamination";
    void operator()(leaf_run& run, std::vector<candidate>& batch) const {
        for (const std::size_t i : alive_in(batch)) compare(run.leaf, run.options, batch[i]);
    }
    static void compare(const taxonomy::leaf& leaf, const pipeline_options& options, candidate& c) {
        if (options.avoid == nullptr) return;
        const auto& sets = *options.avoid;
        const auto overlaps = sets.compare(c.question, user_text(leaf, c) + "\n" + c.answer);
        double largest = 0;
        for (std::size_t s = 0; s < overlaps.size(); ++s) {
            const auto& o = overlaps[s];
            largest = std::max(largest, o.share);
            if (o.share == 0 && o.why.empty()) continue;
            const auto& item = sets.set(s).items[o.item].name;
            c.provenance["overlap"][sets.set(s).name] = {
                {"item", item}, {"share", o.share}, {"refused", !o.why.empty()}};
            if (!o.why.empty()) c.refuse(name, sets.set(s).name + ", " + item + ": " + o.why);
        }
        c.scores["overlap"] = largest;
        for (const auto& turn : c.more)
            if (const auto why = problem_of(options, turn.question, turn.answer)) c.refuse(name, *why);
    }
    /// Which question one turn of a conversation gives away, if any.
    [[nodiscard]] static std::optional<std::string> problem_of(const pipeline_options& options,
                                                               const std::string& question, const std::string& answer) {
        if (options.avoid == nullptr) return std::nullopt;
        const auto& sets = *options.avoid;
        const auto overlaps = sets.compare(question, question + "\n" + answer);
        for (std::size_t s = 0; s < overlaps.size(); ++s)
            if (const auto& o = overlaps[s]; !o.why.empty())
                return sets.set(s).name + ", " + sets.set(s).items[o.item].name + ": " + o.why;
        return std::nullopt;
    }
};

/// What decides which samples are refused: the sets' names and digests, and the bounds.
[[nodiscard]] inline json to_json(const contamination_index& sets) {
    json list = json::array();
    for (std::size_t s = 0; s < sets.size(); ++s) {
        const auto& set = sets.set(s);
        list.push_back(
            {{"set", set.name}, {"items", set.items.size()}, {"sha256", set.sha256}, {"skipped", set.skipped}});
    }
    const auto& o = sets.options();
    return {{"sets", list},   {"long_run", o.long_run}, {"short_run", o.short_run},    {"share", o.share},
            {"near", o.near}, {"whole", o.whole},       {"boilerplate", o.boilerplate}};
}

/// What came of comparing samples with one set.
struct contamination_tally {
    std::size_t compared = 0, refused = 0;
    std::array<std::size_t, 6> shares{};  // samples by the largest share of a question: 0, up to 20 %, 40 %, ... 100 %

    void add(double share, bool was_refused) {
        ++compared;
        refused += was_refused;
        ++shares[std::min<std::size_t>(5, static_cast<std::size_t>(std::ceil(5 * share)))];
    }
    void add(const contamination_tally& other) {
        compared += other.compared;
        refused += other.refused;
        for (std::size_t i = 0; i < shares.size(); ++i) shares[i] += other.shares[i];
    }
    [[nodiscard]] json to_json() const {
        return {{"compared", compared}, {"refused", refused}, {"overlap_shares", shares}};
    }
};

/// Counts what contamination_check wrote into the samples, by set.
inline void count_overlaps(const contamination_index& sets, std::span<const candidate> samples,
                           std::map<std::string, contamination_tally>& tallies) {
    for (const auto& c : samples) {
        if (!c.scores.contains("overlap")) continue;
        const json found = c.provenance.value("overlap", json::object());
        for (std::size_t s = 0; s < sets.size(); ++s) {
            const auto& name = sets.set(s).name;
            const json one = found.value(name, json::object());
            tallies[name].add(one.value("share", 0.0), one.value("refused", false));
        }
    }
}

}  // namespace lab::sdg
