// Evolving difficulty in the manner of Evol-Instruct (WizardLM, arXiv 2304.12244): exercises, the leaf's seeds first,
// are changed in depth (a constraint, deepening, concretising, more reasoning, a more complicated input) or in breadth,
// generation after generation; what its rules of elimination refuse goes back and is changed otherwise. Unlike LAB it
// feeds on its own output. The wordings are ours, and so is the judge where one can be trusted.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/sdg/lexicon.hpp"
#include "lab/sdg/skills.hpp"

namespace lab::sdg {

struct evolution {
    std::string_view name;
    std::string_view (*wording)(const prompts::pack&);
};
namespace detail {
template <class W>
[[nodiscard]] std::string_view wording_in(const prompts::pack& wordings) {
    return wordings.text<W>();
}
}  // namespace detail
/// Five in depth, the last in breadth.
inline constexpr std::array<evolution, 6> evolutions{{{"constraint", detail::wording_in<prompts::change_constraint>},
                                                      {"deepen", detail::wording_in<prompts::change_deepen>},
                                                      {"concretise", detail::wording_in<prompts::change_concretise>},
                                                      {"reasoning", detail::wording_in<prompts::change_reasoning>},
                                                      {"input", detail::wording_in<prompts::change_input>},
                                                      {"breadth", detail::wording_in<prompts::change_breadth>}}};

namespace detail {

/// Words of the instruction that have no place in an exercise.
inline constexpr std::array<std::string_view, 8> words_of_changing{
    "changed exercise", "new exercise",       "original exercise", "given exercise",
    "first exercise",   "rewritten exercise", "twenty words",      "the exercise above"};

[[nodiscard]] inline std::string speaks_of_changing(std::string_view text) {
    std::string words = " ";
    for (const auto& w : loose_words(text)) words += w + " ";
    for (const auto phrase : words_of_changing)
        if (words.find(" " + std::string(phrase) + " ") != words.npos) return std::string(phrase);
    return {};
}
/// Begins like somebody who will not or cannot, and is short.
[[nodiscard]] inline bool is_refusal(std::string_view answer) {
    const auto words = loose_words(answer);
    if (words.size() >= 80) return false;
    std::string all = " ";
    for (const auto& w : words) all += w + " ";
    return std::any_of(words.begin(), words.end(), [](const auto& w) { return w == "sorry"; }) ||
           all.find(" as an ai ") != all.npos || all.find(" i cannot ") != all.npos ||
           all.find(" i can t ") != all.npos || all.find(" i am unable ") != all.npos;
}

}  // namespace detail

/// Elimination before the answer: no gain over the exercise it came from, or words of the instruction in it.
struct evolved_question_check {
    static constexpr std::string_view name = "evolution";
    void operator()(leaf_run& run, std::vector<candidate>& batch) const {
        const auto* judge = run.trusted(std::string(harder_judge.name));
        std::vector<exhibit> shown;
        std::vector<std::size_t> asked;
        for (const std::size_t i : alive_in(batch)) {
            candidate& c = batch[i];
            const auto parent = c.provenance.value("from", std::string());
            if (const auto phrase = detail::speaks_of_changing(c.question); !phrase.empty())
                c.refuse(name, "speaks of how it was made: '" + phrase + "'");
            if (rouge_l(parent, c.question).f1 >= run.options.near_duplicate)
                c.refuse(name, "asks the same as the exercise that it came from");
            if (c.alive() && judge != nullptr) shown.push_back({{}, parent, c.question, {}}), asked.push_back(i);
        }
        const auto verdicts = shown.empty() ? std::vector<verdict>{} : run.verdicts(harder_judge, shown);
        for (std::size_t k = 0; k < asked.size(); ++k) {
            batch[asked[k]].scores["harder"] = verdicts[k].score;
            if (verdicts[k].score < judge->threshold)
                batch[asked[k]].refuse(name, "the judge finds it no harder and no other than what it came from");
        }
    }
};

/// Elimination after the answer: a short refusal, or nothing but punctuation and function words.
struct evolved_answer_check {
    static constexpr std::string_view name = "evolution";
    void operator()(leaf_run&, std::vector<candidate>& batch) const {
        for (const std::size_t i : alive_in(batch)) {
            candidate& c = batch[i];
            const auto words = loose_words(c.answer);
            if (detail::is_refusal(c.answer)) c.refuse(name, "the answer declines");
            if (std::all_of(words.begin(), words.end(), [](const auto& w) { return is_function_word(w); }))
                c.refuse(name, "the answer has no word of content");
        }
    }
};

class evolve_source {
public:
    static constexpr std::size_t generations = 4;  // as in the paper

    explicit evolve_source(const taxonomy::leaf& leaf) : leaf_(leaf) {}

    [[nodiscard]] std::vector<candidate> propose(leaf_run& run, std::uint64_t first, std::size_t count) {
        std::vector<text::request> requests;
        std::vector<candidate> batch;
        for (std::uint64_t n = first; n < first + count; ++n) {
            if (line_.empty())
                for (std::size_t s = 0; s < leaf_.seeds.size(); ++s) {
                    const auto& seed = leaf_.seeds[s];
                    line_.push_back({seed.questions_and_answers[0].question, seed.context, s, 0});
                }
            const ancestor parent = std::move(line_.front());
            line_.pop_front();
            counter_rng rng = run.stream("evolve", n);
            const auto& change = evolutions[static_cast<std::size_t>(rng.below(evolutions.size()))];
            text::request r;
            const std::string exercise =
                parent.context.empty() ? parent.question : parent.context + "\n\n" + parent.question;
            r.messages = {{"system", std::string(run.options.wordings.text<prompts::exercise_changer>())},
                          {"user", run.options.wordings.render<prompts::change_exercise>(
                                       text::field<"task">(detail::task_of(leaf_)), text::field<"exercise">(exercise),
                                       text::field<"change">(change.wording(run.options.wordings)))}};
            r.max_tokens = 160 + parent.question.size() / 2;
            r.sampling = {.temperature = warmth_.temperature(0.8f), .top_p = 0.95f, .seed = rng.next64()};
            requests.push_back(std::move(r));
            candidate c;
            c.number = n;
            c.origin = "evolved";
            c.context = parent.context;
            c.provenance = {{"seed", parent.seed},
                            {"generation", parent.generation + 1},
                            {"change", change.name},
                            {"from", parent.question},
                            {"prompt", run.options.wordings.tag<prompts::change_exercise>()}};
            batch.push_back(std::move(c));
            parents_[n] = parent;
        }
        const auto answers = run.teacher.complete(requests);
        for (std::size_t k = 0; k < batch.size(); ++k) {
            batch[k].question = taxonomy::trim(answers[k].text);
            if (!leaf_.grounded) continue;  // a teacher may repeat the text that the exercise is about
            auto& q = batch[k].question;
            if (q.starts_with(batch[k].context)) q = taxonomy::trim(q.substr(batch[k].context.size()));
        }
        for (std::size_t k = 0; k < batch.size(); ++k)
            if (answers[k].finish == text::finish_reason::length)
                batch[k].refuse("form", "the question does not come to an end");
        return batch;
    }

    /// What passed is changed further, up to the last generation; what did not leaves its parent for another change.
    void observe(leaf_run&, const std::vector<candidate>& batch) {
        warmth_.observe(batch);
        for (const auto& c : batch) {
            const auto at = parents_.find(c.number);
            if (at == parents_.end()) continue;
            ancestor next = std::move(at->second);
            parents_.erase(at);
            if (!c.alive()) {
                if (++next.failures < evolutions.size()) line_.push_back(std::move(next));
            } else if (next.generation + 1 < generations) {
                line_.push_back({c.question, c.context, next.seed, next.generation + 1});
            }
        }
    }

private:
    struct ancestor {
        std::string question, context;
        std::size_t seed = 0, generation = 0, failures = 0;
    };

    const taxonomy::leaf& leaf_;
    warmth warmth_;
    std::deque<ancestor> line_;                  // waiting to be changed; when it is empty the seeds begin anew
    std::map<std::uint64_t, ancestor> parents_;  // of the proposals whose fate is not known yet
};

/// Whether the judge tells a changed exercise from one that was only dressed up; on the seeds.
inline void calibrate_evolution(any_teacher& judge, std::span<const taxonomy::leaf* const> leaves,
                                const pipeline_options& options, std::map<std::string, calibration>& judges) {
    std::vector<exhibit> other, same;
    for (std::size_t s = 0; s < options.calibration_examples; ++s)
        for (const auto* leaf : leaves) {
            const std::size_t n = leaf->seeds.size();
            if (s >= n || n < 2 || other.size() >= options.calibration_examples) continue;
            const auto& question = leaf->seeds[s].questions_and_answers[0].question;
            const auto& another = leaf->seeds[(s + 1) % n].questions_and_answers[0].question;
            other.push_back(
                {{}, question, s % 2 == 0 ? question + " Use exactly nine words, and no verb." : another, {}});
            same.push_back(
                {{}, question, (s % 2 == 0 ? "Please do this for me. " : "Here is a task. ") + question, {}});
        }
    std::vector<double> scores[2];
    for (int g = 0; g < 2; ++g)
        for (const auto& v : judged(judge, harder_judge, g == 0 ? other : same, options)) scores[g].push_back(v.score);
    judges[std::string(harder_judge.name)] = calibrate(scores[0], scores[1], options.least_auc);
}

[[nodiscard]] inline auto evolve_pipeline() {
    return pipeline{evolved_question_check{}, question_check{}, respond{},
                    evolved_answer_check{},   pair_check{},     safety_check{},
                    contamination_check{},    conversation{},   near_duplicates{}};
}

}  // namespace lab::sdg
