// Judges: a teacher chooses a grade, and the score is the expectation over the grades' probabilities, so that 2.4 and
// 1.6 are told apart. Asked several times it sees the grades in other orders, and the scores are averaged. Where the
// teacher gives no probabilities, its written verdicts count: strictly read, the mean of several samples. How far a
// judge can be trusted is measured elsewhere (skill_calibration.hpp).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/rng.hpp"
#include "lab/sdg/prompt_pack.hpp"
#include "lab/sdg/teacher.hpp"
#include "lab/taxonomy/leaf.hpp"

namespace lab::sdg {

/// What is laid before a judge; what a judge does not look at may be empty.
struct exhibit {
    std::string task, context, question, answer;
};

/// One choice of a judge, and what it counts in the score.
struct grade {
    std::string_view label;
    double value = 0;
};
inline constexpr std::array<grade, 3> marks{{{"1", 1}, {"2", 2}, {"3", 3}}};
inline constexpr std::array<grade, 2> yes_or_no_grades{{{"YES", 1}, {"NO", 0}}};

/// What the grades mean, as (label, meaning), and the question put to the judge, come from the wordings in use.
struct judge_form {
    std::string_view name;  // of its calibration and of its scores
    std::span<const grade> grades;
    std::vector<std::pair<std::string, std::string>> (*meanings)(const prompts::pack&);
    std::string (*prompt)(const prompts::pack&, const exhibit&, std::string_view grades);
};

namespace detail {
template <class Grades>
[[nodiscard]] std::vector<std::pair<std::string, std::string>> meanings_of(const prompts::pack& wordings) {
    return wordings.pairs<Grades>();
}
}  // namespace detail

inline constexpr judge_form question_judge{
    "question", marks, detail::meanings_of<prompts::question_grades>,
    [](const prompts::pack& wordings, const exhibit& e, std::string_view grades) {
        return wordings.render<prompts::judge_question>(
            text::field<"task">(e.task),
            text::field<"question">(e.context.empty() ? e.question : e.context + "\n\n" + e.question),
            text::field<"grades">(grades));
    }};
inline constexpr judge_form answer_judge{"mark", marks, detail::meanings_of<prompts::answer_grades>,
                                         [](const prompts::pack& wordings, const exhibit& e, std::string_view grades) {
                                             return wordings.render<prompts::judge_answer>(
                                                 text::field<"task">(e.task), text::field<"question">(e.question),
                                                 text::field<"answer">(e.answer), text::field<"grades">(grades));
                                         }};
inline constexpr judge_form context_judge{"mark_in_context", marks, detail::meanings_of<prompts::answer_grades>,
                                          [](const prompts::pack& wordings, const exhibit& e, std::string_view grades) {
                                              return wordings.render<prompts::judge_answer_in_context>(
                                                  text::field<"task">(e.task), text::field<"context">(e.context),
                                                  text::field<"question">(e.question), text::field<"answer">(e.answer),
                                                  text::field<"grades">(grades));
                                          }};
inline constexpr judge_form harmless_judge{
    "safe", yes_or_no_grades, detail::meanings_of<prompts::yes_grades>,
    [](const prompts::pack& wordings, const exhibit& e, std::string_view grades) {
        std::string whole;
        for (const auto* part : {&e.context, &e.question, &e.answer})
            if (!part->empty()) whole.append(whole.empty() ? "" : "\n\n").append(*part);
        return wordings.render<prompts::judge_harmless>(text::field<"text">(whole), text::field<"grades">(grades));
    }};
/// Of the exercise in `context` and what became of it in `question`.
inline constexpr judge_form harder_judge{"harder", yes_or_no_grades, detail::meanings_of<prompts::yes_grades>,
                                         [](const prompts::pack& wordings, const exhibit& e, std::string_view grades) {
                                             return wordings.render<prompts::judge_harder>(
                                                 text::field<"context">(e.context), text::field<"question">(e.question),
                                                 text::field<"grades">(grades));
                                         }};

/// How often each judge is asked.
struct panel {
    std::size_t samples = 1;
    std::uint64_t seed = 0;
};
/// Verdicts by word alone, without probabilities, are asked for at least so often.
inline constexpr std::size_t least_written_verdicts = 5;

struct verdict {
    double score = 0;          // the least grade's value where nothing could be read
    std::size_t readable = 0;  // samples with a verdict
};

namespace detail {

/// The k-th order of the grades: as they are, backwards, then both again with the first moved to the end, and so on.
/// All six orders of three come up.
[[nodiscard]] inline std::vector<grade> in_order(std::span<const grade> grades, std::size_t k) {
    std::vector<grade> list(grades.begin(), grades.end());
    std::rotate(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(k / 2 % list.size()), list.end());
    if (k % 2 == 1) std::reverse(list.begin(), list.end());
    return list;
}

[[nodiscard]] inline text::request verdict_request(const prompts::pack& wordings, const judge_form& form,
                                                   const exhibit& shown, std::size_t k, std::uint64_t seed) {
    std::string lines;
    text::request r;
    const auto meanings = form.meanings(wordings);
    for (const auto& g : in_order(form.grades, k)) {
        for (const auto& [label, meaning] : meanings)
            if (label == g.label) lines.append(lines.empty() ? "" : "\n").append(label + ": " + meaning);
        r.constraint.choices.emplace_back(g.label);
    }
    r.messages = {{"user", form.prompt(wordings, shown, lines)}};
    r.max_tokens = 4;
    if (k > 0)
        r.sampling = {.temperature = 0.7f,
                      .seed = counter_rng(seed, hash64(r.messages[0].content, hash64(std::to_string(k)))).next64()};
    return r;
}

/// Nothing where the reply is no verdict: by word it must be one of the choices and no more than that.
[[nodiscard]] inline std::optional<double> score_of(const judge_form& form, const text::request& asked,
                                                    const text::completion& reply) {
    const auto value = [&](std::string_view label) -> std::optional<double> {
        for (const auto& g : form.grades)
            if (g.label == label) return g.value;
        return std::nullopt;
    };
    const auto& choices = asked.constraint.choices;
    if (reply.choice_probabilities.size() != choices.size()) return value(taxonomy::trim(reply.text));
    double sum = 0;
    for (std::size_t i = 0; i < choices.size(); ++i) sum += reply.choice_probabilities[i] * *value(choices[i]);
    return sum;
}

}  // namespace detail

/// @return one verdict for each exhibit
[[nodiscard]] inline std::vector<verdict> judged(any_teacher& judge, const judge_form& form,
                                                 std::span<const exhibit> shown, const prompts::pack& wordings,
                                                 const panel& how) {
    std::vector<verdict> verdicts(shown.size());
    std::vector<std::size_t> asked(shown.size()), by_word;
    for (std::size_t i = 0; i < asked.size(); ++i) asked[i] = i;
    const auto ask = [&](std::size_t from, std::size_t to) {
        std::vector<text::request> requests;
        for (const std::size_t i : asked)
            for (std::size_t k = from; k < to; ++k)
                requests.push_back(detail::verdict_request(wordings, form, shown[i], k, how.seed));
        if (requests.empty()) return;
        const auto replies = judge.complete(requests);
        for (std::size_t r = 0; r < replies.size(); ++r) {
            const std::size_t i = asked[r / (to - from)];
            if (replies[r].choice_probabilities.empty() && (by_word.empty() || by_word.back() != i))
                by_word.push_back(i);
            if (const auto score = detail::score_of(form, requests[r], replies[r]))
                verdicts[i].score += *score, ++verdicts[i].readable;
        }
    };
    const std::size_t samples = std::max<std::size_t>(1, how.samples);
    ask(0, samples);
    if (samples < least_written_verdicts && !by_word.empty()) {
        asked = std::move(by_word);
        by_word.clear();
        ask(samples, least_written_verdicts);
    }
    double least = form.grades[0].value;
    for (const auto& g : form.grades) least = std::min(least, g.value);
    for (auto& v : verdicts) v.score = v.readable > 0 ? v.score / static_cast<double>(v.readable) : least;
    return verdicts;
}

}  // namespace lab::sdg
