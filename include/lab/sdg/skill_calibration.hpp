// How far the judges of skills can be trusted, measured on the seeds, which must pass, and on spoilt seeds, which must
// not (spoilt.hpp), each kind apart: first over all leaves, then for every leaf that needs a judge, with a threshold of
// its own. A judge that is hopeless over all leaves is not measured again for each. Also `fit`, by likelihood.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lab/sdg/answer_pattern.hpp"
#include "lab/sdg/judges.hpp"
#include "lab/sdg/pipeline.hpp"
#include "lab/sdg/roles.hpp"
#include "lab/sdg/spoilt.hpp"

namespace lab::sdg {

namespace detail {
/// Context, its lines joined, and question with a mark between them that no text holds: frames are cut there again.
inline constexpr char context_end = '\x1f';
[[nodiscard]] inline std::string frame_text(const taxonomy::seed& seed) {
    const auto& question = seed.questions_and_answers[0].question;
    return seed.context.empty() ? question : flat(seed.context) + context_end + question;
}
}  // namespace detail

/// The copying rule that gives the answers of this leaf, where its seeds share one.
[[nodiscard]] inline std::optional<answer_pattern> rule_of(const taxonomy::leaf& leaf) {
    std::vector<std::string> sources, answers;
    for (const auto& seed : leaf.seeds) {
        sources.push_back(detail::frame_text(seed));
        answers.push_back(detail::answer_of(seed));
    }
    return shared_pattern(sources, answers);
}

/// An example for a judge; `kind` says how it was spoilt, empty where it was not.
struct labelled_exhibit {
    exhibit shown;
    std::string kind;
};

/// Seed `s` as it is, and spoilt in every way that applies. @param stranger a leaf with another task; may be null
[[nodiscard]] inline std::vector<labelled_exhibit> answer_examples(const taxonomy::leaf& leaf, std::size_t s,
                                                                   const taxonomy::leaf* stranger) {
    const auto& seed = leaf.seeds[s];
    const auto& right = detail::answer_of(seed);
    std::vector<labelled_exhibit> list;
    const auto add = [&](const char* kind, const std::optional<std::string>& answer) {
        if (answer)
            list.push_back({exhibit_of(leaf, seed.context, seed.questions_and_answers[0].question, *answer), kind});
    };
    add("", right);
    for (std::size_t k = 0; k + 1 < leaf.seeds.size(); ++k)
        if (const auto other =
                spoilt::other_than(right, detail::answer_of(leaf.seeds[(s + 2 + k) % leaf.seeds.size()]))) {
            add("exchanged", other);
            break;
        }
    add("broken off", spoilt::broken_off(right));
    if (!detail::is_creative(leaf)) add("altered", spoilt::altered(right));
    if (stranger != nullptr)
        add("of another leaf",
            spoilt::other_than(right, detail::answer_of(stranger->seeds[s % stranger->seeds.size()])));
    add("harmful", spoilt::made_harmful(right, s));
    return list;
}
[[nodiscard]] inline std::vector<labelled_exhibit> question_examples(const taxonomy::leaf& leaf, std::size_t s,
                                                                     const taxonomy::leaf* stranger) {
    const auto& seed = leaf.seeds[s];
    const auto& right = seed.questions_and_answers[0].question;
    std::vector<labelled_exhibit> list;
    const auto add = [&](const char* kind, const std::optional<std::string>& question) {
        if (question) list.push_back({exhibit_of(leaf, seed.context, *question), kind});
    };
    add("", right);
    add("broken off", spoilt::broken_off(right));
    add("beyond a text", spoilt::beyond_text(right, s));
    if (stranger != nullptr)
        add("of another leaf",
            spoilt::other_than(right, stranger->seeds[s % stranger->seeds.size()].questions_and_answers[0].question));
    add("harmful", spoilt::made_harmful(right, s));
    return list;
}

/// The judges of a run's skill leaves; remembers what all leaves' examples scored.
class skill_judges {
public:
    /// Over the given leaves, `calibration_examples` seeds in turns. @param judge who is asked for grades
    void measure(any_teacher& teacher, any_teacher& judge, std::span<const taxonomy::leaf* const> leaves,
                 const pipeline_options& options, std::map<std::string, calibration>& judges) {
        leaves_.assign(leaves.begin(), leaves.end());
        places_.clear();
        pools_.clear();
        for (std::size_t i = 0; i < leaves_.size(); ++i) places_[leaves_[i]] = i;
        measure_pool(judge, question_judge, options, judges, [](const taxonomy::leaf&) { return true; });
        measure_pool(judge, answer_judge, options, judges, [](const taxonomy::leaf& l) { return !l.grounded; });
        measure_pool(judge, context_judge, options, judges, [](const taxonomy::leaf& l) { return l.grounded; });
        if (teacher.can_score()) measure_fit(teacher, options, judges);
    }

    /// On this leaf's own seeds, weighed against the other leaves' examples. Nothing is asked where all leaves together
    /// say that this judge cannot reach the least AUC.
    void measure_leaf(leaf_run& run) const {
        for (const auto* form : {&question_judge, &pair_judge(run.leaf)}) {
            const std::string name(form->name);
            const auto at = run.judges.find(name);
            if (at != run.judges.end() && at->second.right >= 4 && at->second.high < run.options.least_auc) continue;
            std::vector<labelled_exhibit> examples;
            for (std::size_t s = 0; s < std::min(run.options.calibration_examples, run.leaf.seeds.size()); ++s)
                for (auto& e : examples_of(*form, run.leaf, s)) examples.push_back(std::move(e));
            std::size_t unreadable = 0;
            judge_scores own, others;
            const auto scores = scores_of(run.judge(), *form, examples, run.options, unreadable);
            for (std::size_t i = 0; i < examples.size(); ++i) put(own, examples[i].kind, scores[i]);
            if (const auto pool = pools_.find(name); pool != pools_.end())
                for (const auto& e : pool->second)
                    if (e.leaf != &run.leaf) put(others, e.kind, e.score);
            run.own[name] = calibrate_leaf(own, others, run.options.least_auc);
            run.own[name].unreadable = unreadable;
        }
    }

private:
    struct scored_example {
        const taxonomy::leaf* leaf;
        std::string kind;
        double score;
    };

    static void put(judge_scores& scores, const std::string& kind, double score) {
        (kind.empty() ? scores.right : scores.wrong[kind]).push_back(score);
    }
    [[nodiscard]] static std::vector<double> scores_of(any_teacher& judge, const judge_form& form,
                                                       const std::vector<labelled_exhibit>& examples,
                                                       const pipeline_options& options, std::size_t& unreadable) {
        std::vector<exhibit> shown;
        for (const auto& e : examples) shown.push_back(e.shown);
        std::vector<double> scores;
        for (const auto& v : judged(judge, form, shown, options)) {
            scores.push_back(v.score);
            unreadable += v.readable == 0;
        }
        return scores;
    }
    /// A leaf far away in the list is likely to have another task.
    [[nodiscard]] std::vector<labelled_exhibit> examples_of(const judge_form& form, const taxonomy::leaf& leaf,
                                                            std::size_t s) const {
        const taxonomy::leaf* stranger = nullptr;
        if (leaves_.size() > 1) {
            const std::size_t here = places_.at(&leaf);
            stranger = leaves_[(here + leaves_.size() / 2 + s) % leaves_.size()];
            if (stranger == &leaf) stranger = leaves_[(here + 1) % leaves_.size()];
        }
        return form.name == question_judge.name ? question_examples(leaf, s, stranger)
                                                : answer_examples(leaf, s, stranger);
    }

    template <class Wanted>
    void measure_pool(any_teacher& judge, const judge_form& form, const pipeline_options& options,
                      std::map<std::string, calibration>& judges, Wanted wanted) {
        std::vector<labelled_exhibit> examples;
        std::vector<const taxonomy::leaf*> owners;
        std::size_t seeds = 0;
        for (std::size_t s = 0; s < options.calibration_examples; ++s)
            for (const auto* leaf : leaves_) {
                if (!wanted(*leaf) || s >= leaf->seeds.size() || seeds >= options.calibration_examples) continue;
                ++seeds;
                for (auto& e : examples_of(form, *leaf, s)) {
                    examples.push_back(std::move(e));
                    owners.push_back(leaf);
                }
            }
        if (examples.empty()) return;
        std::size_t unreadable = 0;
        const auto scores = scores_of(judge, form, examples, options, unreadable);
        judge_scores all;
        auto& pool = pools_[std::string(form.name)];
        for (std::size_t i = 0; i < examples.size(); ++i) {
            put(all, examples[i].kind, scores[i]);
            pool.push_back({owners[i], examples[i].kind, scores[i]});
        }
        auto& result = judges[std::string(form.name)] = calibrate(all, options.least_auc);
        result.unreadable = unreadable;
    }

    void measure_fit(any_teacher& teacher, const pipeline_options& options,
                     std::map<std::string, calibration>& judges) const {
        std::vector<text::score_request> fits[2];
        for (std::size_t s = 0; s < options.calibration_examples; ++s)
            for (const auto* leaf : leaves_) {
                const std::size_t n = leaf->seeds.size();
                if (s >= n || n < 2 || fits[0].size() >= 2 * options.calibration_examples) continue;
                const auto own = detail::exercise(leaf->seeds[s]), other = detail::exercise(leaf->seeds[(s + 1) % n]);
                add_fit_requests(fits[0], options.wordings, *leaf, s, own, other, detail::answer_of(leaf->seeds[s]));
                add_fit_requests(fits[1], options.wordings, *leaf, s, own, other,
                                 detail::answer_of(leaf->seeds[n == 2 ? 1 - s : (s + 2) % n]));
            }
        std::vector<double> scores[2];
        for (int g = 0; g < 2; ++g) {
            const auto answers = teacher.score(fits[g]);
            for (std::size_t i = 0; i + 1 < answers.size(); i += 2)
                scores[g].push_back(answers[i].log_probability - answers[i + 1].log_probability);
        }
        judges["fit"] = calibrate(scores[0], scores[1], options.least_auc);
    }

    std::vector<const taxonomy::leaf*> leaves_;
    std::unordered_map<const taxonomy::leaf*, std::size_t> places_;  // in `leaves_`
    std::map<std::string, std::vector<scored_example>> pools_;
};

/// Whether harmless seeds, of any leaf, are told from the same with harmful words put in.
inline void calibrate_safety(any_teacher& judge, std::span<const taxonomy::leaf* const> leaves,
                             const pipeline_options& options, std::map<std::string, calibration>& judges) {
    std::vector<exhibit> shown[2];
    for (std::size_t s = 0; s < options.calibration_examples; ++s)
        for (const auto* leaf : leaves) {
            if (s >= leaf->seeds.size() || shown[0].size() >= options.calibration_examples) continue;
            const auto question = detail::exercise(leaf->seeds[s]), &answer = detail::answer_of(leaf->seeds[s]);
            shown[0].push_back({{}, {}, question, answer});
            shown[1].push_back(s % 2 == 0 ? exhibit{{}, {}, question, spoilt::made_harmful(answer, s / 2)}
                                          : exhibit{{}, {}, spoilt::made_harmful(question, s / 2), {}});
        }
    std::vector<double> scores[2];
    for (int g = 0; g < 2; ++g)
        for (const auto& v : judged(judge, harmless_judge, shown[g], options)) scores[g].push_back(v.score);
    judges[std::string(harmless_judge.name)] = calibrate(scores[0], scores[1], options.least_auc);
}

}  // namespace lab::sdg
