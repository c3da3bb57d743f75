// How far a teacher's judgement of knowledge can be trusted, measured on the seeds, which must pass, and on the same
// spoilt, which must not: answers exchanged, questions of other subjects, questions robbed of what they are about. And
// whether it can write questions and answers itself: where its word on what a text says is worth something, it must
// also answer four of five seeds right over their text.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "lab/sdg/contamination_check.hpp"
#include "lab/sdg/knowledge_checks.hpp"

namespace lab::sdg {

namespace detail {

class knowledge_judges {
public:
    knowledge_judges(any_teacher& teacher, std::span<const taxonomy::leaf* const> leaves,
                     const pipeline_options& options)
        : teacher_(teacher),
          leaves_(leaves),
          options_(options),
          thorough_(is_thorough(options.knowledge)),
          stray_(options.wordings.lines<prompts::stray_questions>()) {}

    void measure(std::map<std::string, calibration>& judges) {
        collect();
        judges["round_trip"] = choices(picks_);
        judges["says_grounded"] = claims();
        judges["relevant"] = choices(about_);
        if (thorough_) judges["self_contained"] = choices(clear_);
        if (teacher_.can_score()) judges["gain"] = gains();
        const auto writer = options_.knowledge.writer;
        if (writer == question_writer::automatic && judges["says_grounded"].trusted) judges["writes"] = reading();
    }

private:
    struct example {
        const taxonomy::leaf* leaf;
        std::size_t seed;
        std::string context, question, answer;
    };

    /// Up to so many seeds of all leaves, one question of each text before a second.
    void collect() {
        const auto& w = options_.wordings;
        for (std::size_t q = 0; q < 3; ++q)
            for (std::size_t l = 0; l < leaves_.size(); ++l) {
                const auto& leaf = *leaves_[l];
                for (std::size_t s = 0; s < leaf.seeds.size() && right_.size() < options_.calibration_examples; ++s) {
                    const auto& own = leaf.seeds[s].questions_and_answers;
                    if (q >= own.size()) continue;
                    const std::string elsewhere = flat(leaf.seeds[(s + 1) % leaf.seeds.size()].context);
                    const example e{&leaf, s, flat(leaf.seeds[s].context), own[q].question, own[q].answer};
                    right_.push_back(e);
                    picks_[0].push_back(pick_request(w, leaf, s, e.context, e.question, e.answer));
                    add_gain_requests(gains_[0], w, leaf, s, e.context, e.question, e.answer);
                    for (const auto& rival : own)  // another question of the same text, with this answer
                        if (rival.answer != e.answer) {
                            picks_[1].push_back(pick_request(w, leaf, s, e.context, rival.question, e.answer));
                            wrong_.push_back({&leaf, s, e.context, rival.question, e.answer});
                            break;
                        }
                    if (elsewhere.find(e.answer) == elsewhere.npos)
                        add_gain_requests(gains_[1], w, leaf, s, elsewhere, e.question, e.answer);
                    ask_about(e, l);
                }
            }
    }
    void ask_about(const example& e, std::size_t number) {
        const auto& w = options_.wordings;
        const auto& leaf = *e.leaf;
        if (!thorough_) {
            about_[0].push_back(clear_request(w, leaf, e.question));
            const auto& other = *leaves_[(number + 1) % leaves_.size()];
            if (&other != &leaf)
                about_[1].push_back(clear_request(w, leaf, other.seeds[0].questions_and_answers[0].question));
            return;
        }
        about_[0].push_back(relevant_request(w, leaf, e.question));
        about_[1].push_back(relevant_request(w, leaf, stranger(number)));
        clear_[0].push_back(self_contained_request(w, e.question));
        const auto language = language_in(leaf, w);
        const auto spoilt = without_subject(e.question, language == "en" ? topic_of(leaf) : "", language);
        if (!spoilt.empty()) clear_[1].push_back(self_contained_request(w, spoilt));
    }
    /// Another leaf's question, or one of no leaf's, in turns.
    [[nodiscard]] std::string stranger(std::size_t leaf) const {
        const std::size_t turn = about_[1].size();
        const auto& other = *leaves_[(leaf + 1) % leaves_.size()];
        if (&other == leaves_[leaf] || turn % 2 == 1) return stray_[turn % stray_.size()];
        return other.seeds[turn % other.seeds.size()].questions_and_answers[0].question;
    }

    [[nodiscard]] calibration judged(const std::vector<double> (&scores)[2]) const {
        return calibrate(scores[0], scores[1], options_.least_auc);
    }
    [[nodiscard]] calibration choices(const std::vector<text::request> (&groups)[2]) {
        std::vector<double> scores[2];
        for (int g = 0; g < 2; ++g) {
            const auto answers = teacher_.complete(groups[g]);
            for (std::size_t i = 0; i < answers.size(); ++i)
                scores[g].push_back(first_choice(groups[g][i], answers[i]));
        }
        return judged(scores);
    }
    /// An answer is worth its least sure claim.
    [[nodiscard]] calibration claims() {
        std::vector<double> scores[2];
        for (int g = 0; g < 2; ++g) {
            std::vector<text::request> requests;
            std::vector<std::size_t> sizes;
            for (const auto& e : g == 0 ? right_ : wrong_) {
                const std::size_t before = requests.size();
                add_grounded_requests(requests, options_.wordings, e.context, e.question, e.answer,
                                      thorough_ ? claims_of(e.answer) : std::vector<std::string>{});
                sizes.push_back(requests.size() - before);
            }
            const auto answers = teacher_.complete(requests);
            std::size_t at = 0;
            for (const std::size_t n : sizes) {
                double least = 2;
                for (std::size_t j = 0; j < n; ++j, ++at)
                    least = std::min(least, first_choice(requests[at], answers[at]));
                scores[g].push_back(least);
            }
        }
        return judged(scores);
    }
    [[nodiscard]] calibration gains() {
        std::vector<double> scores[2];
        for (int g = 0; g < 2; ++g) {
            const auto answers = teacher_.score(gains_[g]);
            for (std::size_t i = 0; i + 1 < answers.size(); i += 2)
                scores[g].push_back(answers[i].log_probability - answers[i + 1].log_probability);
        }
        return judged(scores);
    }
    /// Answers over the seed's own text and over another's, each as the share of the seed's answer that it says.
    [[nodiscard]] calibration reading() {
        std::vector<double> scores[2];
        std::size_t right = 0;
        for (int g = 0; g < 2; ++g) {
            std::vector<text::request> requests;
            for (const auto& e : right_) {
                const auto& seeds = e.leaf->seeds;
                text::request r;
                r.messages =
                    open_book_examples(options_.wordings, *e.leaf, e.seed, e.answer, options_.knowledge.examples);
                r.messages.push_back(
                    {"user", open_book_text(options_.wordings,
                                            g == 0 ? e.context : flat(seeds[(e.seed + 1) % seeds.size()].context),
                                            e.question)});
                r.max_tokens = e.answer.size() / 2 + 32;
                requests.push_back(std::move(r));
            }
            const auto answers = teacher_.complete(requests);
            for (std::size_t i = 0; i < answers.size(); ++i) {
                const double share = share_said(content_set(right_[i].answer), content_set(answers[i].text));
                scores[g].push_back(share);
                right += g == 0 && share >= 0.5;
            }
        }
        auto c = judged(scores);
        c.trusted = c.trusted && 5 * right >= 4 * right_.size();
        return c;
    }

    any_teacher& teacher_;
    std::span<const taxonomy::leaf* const> leaves_;
    const pipeline_options& options_;
    bool thorough_;
    std::vector<std::string> stray_;
    std::vector<example> right_, wrong_;
    std::vector<text::request> picks_[2], about_[2], clear_[2];
    std::vector<text::score_request> gains_[2];
};

}  // namespace detail

/// Measures the knowledge judges on the seeds of all knowledge leaves.
inline void calibrate_knowledge(any_teacher& teacher, std::span<const taxonomy::leaf* const> leaves,
                                const pipeline_options& options, std::map<std::string, calibration>& judges) {
    detail::knowledge_judges(teacher, leaves, options).measure(judges);
}

/// The checks of a knowledge sample, in order of cost.
[[nodiscard]] inline auto knowledge_pipeline() {
    return pipeline{question_form_check{},
                    self_contained_by_rule{},
                    outranked{},
                    round_trip{},
                    informative{},
                    grounded{},
                    relevant{},
                    self_contained{},
                    safety_check{},
                    contamination_check{},
                    near_duplicates{}};
}

}  // namespace lab::sdg
