// Scores generated knowledge samples against a leaf's facts.jsonl: a sample whose question has all of a fact's keywords
// is about that fact, and right when its answer is the fact's or one of its aliases. An examination of the generator:
// it changes no sample, and what matches no fact is not judged.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "lab/sdg/kept_samples.hpp"
#include "lab/sdg/question_forms.hpp"
#include "lab/taxonomy/heldout.hpp"

namespace lab::sdg {

struct fact_score {
    std::size_t judged = 0, right = 0;   // generated samples; seeds are not counted
    std::size_t facts = 0, covered = 0;  // facts of the table, and those with a right sample
    std::vector<std::string> wrong;      // "question -> answer"
};

namespace detail {
/// Words without articles, in lower case.
[[nodiscard]] inline std::string bare(std::string_view text) {
    std::string out;
    for (const auto& word : loose_words(text))
        if (word != "a" && word != "an" && word != "the") out.append(out.empty() ? "" : " ").append(word);
    return out;
}
}  // namespace detail

/// One leaf's samples at a time; of a conversation the first turn. @throws format_error, io_error
[[nodiscard]] inline fact_score score_facts(const run_result& run, const kept_reader& kept) {
    fact_score score;
    for (std::size_t i = 0; i < run.summaries.size(); ++i) {
        const auto& leaf = *run.summaries[i].leaf;
        if (leaf.kind != taxonomy::root::knowledge || leaf.folder.empty()) continue;
        const auto facts = taxonomy::facts_beside(leaf.folder);
        if (facts.empty()) continue;
        std::vector<bool> covered(facts.size(), false);
        for (const auto& c : kept(i)) {
            if (c.origin == "seed" || c.origin == "section") continue;
            const auto& said = c.turns.at(0);
            const std::string question = detail::lower(said.question), answer = detail::bare(said.answer);
            bool about = false, right = false;
            for (std::size_t f = 0; f < facts.size(); ++f) {
                bool all = !facts[f].keywords.empty();
                for (const auto& k : facts[f].keywords) all = all && question.find(detail::lower(k)) != question.npos;
                if (!all) continue;
                about = true;
                bool same = answer == detail::bare(facts[f].answer);
                for (const auto& alias : facts[f].aliases) same = same || answer == detail::bare(alias);
                right = right || same;
                if (same) covered[f] = true;
            }
            score.judged += about;
            score.right += right;
            if (about && !right) score.wrong.push_back(said.question + " -> " + said.answer);
        }
        score.facts += facts.size();
        score.covered += static_cast<std::size_t>(std::count(covered.begin(), covered.end(), true));
    }
    return score;
}
[[nodiscard]] inline fact_score score_facts(const run_result& run) { return score_facts(run, kept_in(run)); }

}  // namespace lab::sdg
