// What is asked of a knowledge leaf, and in which order: by rules, what the seeds do not tell first and the surest
// rules first; by a capable teacher, a few facts of one chunk after the other. The order is a function of the run's
// seed.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/sdg/knowledge_writer.hpp"

namespace lab::sdg {

/// Whether this run's teacher writes questions and answers itself.
[[nodiscard]] inline bool teacher_writes(const leaf_run& run) {
    const auto writer = run.options.knowledge.writer;
    return writer == question_writer::teacher ||
           (writer == question_writer::automatic && run.trusted("writes") != nullptr);
}

namespace detail {

inline constexpr std::array<std::string_view, 6> sure_rules{"called",    "name-of", "how-many",
                                                            "what-kind", "made-of", "be-phrase"};

/// From each list so many at a time, round and round.
[[nodiscard]] inline std::vector<knowledge_item> deal(
    const std::vector<std::pair<const std::vector<knowledge_item>*, std::size_t>>& lists) {
    std::vector<knowledge_item> dealt;
    std::size_t total = 0;
    for (const auto& [list, each] : lists) total += list->size();
    for (std::size_t round = 0; dealt.size() < total; ++round)
        for (const auto& [list, each] : lists)
            for (std::size_t k = round * each; k < std::min(list->size(), (round + 1) * each); ++k)
                dealt.push_back((*list)[k]);
    return dealt;
}

[[nodiscard]] inline bool asks_originals(const leaf_run& run) {
    const auto& views = run.options.knowledge.views;
    return std::find(views.begin(), views.end(), document_view::original) != views.end();
}

}  // namespace detail

[[nodiscard]] inline std::vector<knowledge_item> plan_by_rules(const leaf_run& run, leaf_reading& reading,
                                                               const std::vector<view_text>& views,
                                                               const counter_rng& order) {
    for (const auto& v : views)
        if (!v.text.empty()) reading.take_sentences(v.text, v.place, v.kind);
    std::vector<knowledge_item> facts, viewed, seeds, completions = reading.completions, sections = reading.sections;
    for (const auto& it : reading.asked) (it.what == item_kind::fact ? facts : viewed).push_back(it);
    if (!detail::asks_originals(run)) facts.clear(), completions.clear();
    for (std::size_t s = 0; s < run.leaf.seeds.size(); ++s)
        for (std::size_t q = 0; q < run.leaf.seeds[s].questions_and_answers.size(); ++q)
            seeds.push_back({item_kind::seed, {}, {}, s, q});
    for (auto* list : {&facts, &viewed, &seeds, &completions, &sections}) {
        counter_rng rng = order;
        shuffle(*list, rng);
    }
    std::set<std::string> told;
    for (const auto& seed : run.leaf.seeds)
        for (const auto& qa : seed.questions_and_answers) told.insert(detail::lower(qa.answer));
    const auto place_in_line = [&](const knowledge_item& it) {
        const std::string answer = detail::lower(it.form.answer);
        const bool known =
            std::any_of(told.begin(), told.end(), [&](const auto& t) { return answer.find(t) != answer.npos; });
        return std::pair(known, !detail::one_of(it.form.rule, detail::sure_rules));
    };
    for (auto* list : {&facts, &viewed, &completions})
        std::stable_sort(list->begin(), list->end(), [&](const knowledge_item& x, const knowledge_item& y) {
            return place_in_line(x) < place_in_line(y);
        });
    return detail::deal({{&facts, 4}, {&viewed, 2}, {&seeds, 2}, {&completions, 1}, {&sections, 1}});
}

/// Lists the facts of the chosen chunks. Up to four facts of a chunk, then of the next; views between them.
[[nodiscard]] inline std::vector<knowledge_item> plan_for_teacher(leaf_run& run, leaf_reading& reading,
                                                                  const std::vector<view_text>& views,
                                                                  const std::vector<std::size_t>& chosen) {
    std::map<std::size_t, std::vector<knowledge_item>> by_place;
    for (std::size_t f = 0; f < reading.facts.size(); ++f) reading.facts[f].in_reach = true;
    std::size_t left = 0;
    for (auto& it : list_facts(run, reading, chosen)) by_place[it.a].push_back(std::move(it)), ++left;
    std::vector<knowledge_item> facts, viewed;
    for (std::size_t round = 0; left > 0; ++round)
        for (const std::size_t at : chosen)
            for (std::size_t k = 4 * round; k < std::min(by_place[at].size(), 4 * round + 4); ++k, --left)
                facts.push_back(std::move(by_place[at][k]));
    for (const auto& v : views)
        if (!v.text.empty()) viewed.push_back({item_kind::written, v.text, {}, v.place, 0, false, no_fact, v.kind});
    if (!detail::asks_originals(run)) facts.clear();
    return detail::deal({{&facts, 4}, {&viewed, 2}});
}

}  // namespace lab::sdg
