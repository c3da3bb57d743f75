// Skill leaves, foundational and compositional, with or without a context. Where all seeds share one copying rule, the
// exercises are frames of the seeds (skill_frames.hpp). Elsewhere the teacher plays LAB's four roles (roles.hpp), if it
// has shown on the seeds that it can judge, or at least that it answers them right.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "lab/sdg/conversation.hpp"
#include "lab/sdg/roles.hpp"
#include "lab/sdg/skill_calibration.hpp"
#include "lab/sdg/skill_frames.hpp"

namespace lab::sdg {

/// Whether samples of the teacher's own can be trusted: its marks are, measured on all leaves' seeds and on this one's,
/// or it answers four of five seeds right, each with the others as examples.
/// @return empty, else what is missing and what to do
[[nodiscard]] inline std::string obstacle_of(leaf_run& run) {
    const auto& leaf = run.leaf;
    const std::string mark(pair_judge(leaf).name);
    if (run.trusted(mark) != nullptr) return {};
    const std::string stronger =
        "take a stronger teacher, or write the leaf so that the answers copy words of the questions in one form";
    if (creative(run) || !detail::has_short_answers(leaf)) {
        const auto* measured = run.own.contains(mark)      ? &run.own.at(mark)
                               : run.judges.contains(mark) ? &run.judges.at(mark)
                                                           : nullptr;
        return "long answers need a judge, and this " + std::string(run.second != nullptr ? "judge" : "teacher") +
               "'s marks do not tell right seeds from wrong ones" +
               (measured != nullptr ? " (" + measured->weakness + ")" : std::string()) + "; " + stronger;
    }
    std::vector<text::request> requests;
    for (std::size_t s = 0; s < leaf.seeds.size(); ++s) {
        text::request r;
        r.messages = exercise_examples(run.options.wordings, leaf, s, 0, 10, creative(run));
        r.messages.push_back({"user", detail::exercise(leaf.seeds[s])});
        r.max_tokens = detail::answer_of(leaf.seeds[s]).size() + 8;
        requests.push_back(std::move(r));
    }
    const auto answers = run.teacher.complete(requests);
    std::size_t right = 0;
    for (std::size_t s = 0; s < answers.size(); ++s)
        right += loose_words(answers[s].text) == loose_words(detail::answer_of(leaf.seeds[s]));
    if (5 * right >= 4 * answers.size()) return {};
    return "the teacher answers only " + std::to_string(right) + " of " + std::to_string(answers.size()) +
           " of the seeds right with the others as examples, so its answers to new questions are not taken; " +
           stronger;
}

/// The first role: exercises that the teacher writes after up to five of the seeds, which take turns, so that each is
/// an example, and stands in each place, equally often. Where the seeds have contexts, it writes a context first, then
/// two exercises about it.
class exercise_source {
public:
    explicit exercise_source(const taxonomy::leaf& leaf) : leaf_(leaf), task_(detail::task_of(leaf)) {}

    [[nodiscard]] std::vector<candidate> propose(leaf_run& run, std::uint64_t first, std::size_t count) {
        if (leaf_.grounded) write_contexts(run, first / per_context, (first + count + per_context - 1) / per_context);
        std::vector<text::request> requests;
        std::vector<candidate> batch;
        for (std::uint64_t n = first; n < first + count; ++n) {
            candidate c;
            c.number = n;
            c.origin = "teacher";
            json used = json::array();
            const auto turn = [&](const taxonomy::seed& seed) {
                return leaf_.grounded ? ask_of(run, seed.context) : write_one(run);
            };
            text::request r = with_examples(
                run, n, used, turn, [](const taxonomy::seed& s) { return s.questions_and_answers[0].question; });
            c.provenance = {{"seeds", used},
                            {"prompt", leaf_.grounded ? run.options.wordings.tag<prompts::ask_of_context>()
                                                      : run.options.wordings.tag<prompts::write_exercise>()},
                            {"temperature", temperature()}};
            if (leaf_.grounded) {
                const auto& made = contexts_.at(n / per_context);
                c.context = made.text;
                c.provenance["context"] = {{"number", n / per_context}, {"seeds", made.seeds}};
                if (!made.problem.empty()) c.refuse("context", made.problem);
            }
            r.messages.push_back({"user", leaf_.grounded ? ask_of(run, c.context) : write_one(run)});
            r.max_tokens = detail::room_for(
                leaf_, 160, [](const taxonomy::seed& s) { return s.questions_and_answers[0].question; });
            r.sampling.seed = run.stream("exercise", n).next64();
            if (c.alive()) requests.push_back(std::move(r));
            batch.push_back(std::move(c));
        }
        const auto answers = requests.empty() ? std::vector<text::completion>{} : run.teacher.complete(requests);
        std::size_t k = 0;
        for (auto& c : batch) {
            if (!c.alive()) continue;
            const auto& written = answers[k++];
            c.question = taxonomy::trim(written.text);
            if (written.finish == text::finish_reason::length) c.refuse("form", "the question does not come to an end");
        }
        return batch;
    }
    void observe(leaf_run&, const std::vector<candidate>& batch) { warmth_.observe(batch); }

private:
    static constexpr std::size_t per_context = 2;
    struct context {
        std::string text, problem;
        json seeds;
    };

    [[nodiscard]] float temperature() const { return warmth_.temperature(0.9f); }
    [[nodiscard]] std::string write_one(const leaf_run& run) const {
        return run.options.wordings.render<prompts::write_exercise>(text::field<"task">(task_));
    }
    [[nodiscard]] std::string ask_of(const leaf_run& run, const std::string& about) const {
        return run.options.wordings.render<prompts::ask_of_context>(text::field<"task">(task_),
                                                                    text::field<"context">(about));
    }

    /// Up to five seeds from the n-th on, asked for by turn(seed) and answered by shown(seed).
    template <class Turn, class Shown>
    [[nodiscard]] text::request with_examples(const leaf_run& run, std::uint64_t n, json& used, Turn turn,
                                              Shown shown) const {
        text::request r;
        r.messages.push_back({"system", std::string(run.options.wordings.text<prompts::question_writer>())});
        const std::size_t from = static_cast<std::size_t>(n % leaf_.seeds.size());
        for (std::size_t k = 0; k < std::min<std::size_t>(5, leaf_.seeds.size()); ++k) {
            const std::size_t i = (from + k) % leaf_.seeds.size();
            add_turn(r.messages, turn(leaf_.seeds[i]), shown(leaf_.seeds[i]));
            used.push_back(i);
        }
        r.sampling = {.temperature = temperature(), .top_p = 0.95f};
        return r;
    }

    /// Contexts from number `first` to before `last` that are not there yet; those before are no longer needed.
    void write_contexts(leaf_run& run, std::uint64_t first, std::uint64_t last) {
        contexts_.erase(contexts_.begin(), contexts_.lower_bound(first));
        std::string prompt = run.options.wordings.render<prompts::write_context>(text::field<"task">(task_));
        std::vector<text::request> requests;
        std::vector<std::uint64_t> numbers;
        std::size_t longest = 0;
        for (const auto& seed : leaf_.seeds) longest = std::max(longest, loose_words(seed.context).size());
        for (std::uint64_t n = first; n < last; ++n) {
            if (contexts_.contains(n)) continue;
            auto& made = contexts_[n];
            made.seeds = json::array();
            text::request r = with_examples(
                run, n, made.seeds, [&](const taxonomy::seed&) { return prompt; },
                [](const taxonomy::seed& s) { return s.context; });
            r.messages.push_back({"user", prompt});
            r.max_tokens = detail::room_for(leaf_, 256, [](const taxonomy::seed& s) { return s.context; });
            r.sampling.seed = run.stream("context", n).next64();
            requests.push_back(std::move(r));
            numbers.push_back(n);
        }
        if (requests.empty()) return;
        const auto answers = run.teacher.complete(requests);
        for (std::size_t k = 0; k < numbers.size(); ++k) {
            auto& made = contexts_[numbers[k]];
            made.text = taxonomy::trim(answers[k].text);
            const std::size_t words = loose_words(made.text).size();
            if (answers[k].finish == text::finish_reason::length) {
                made.problem = "the text to work on does not come to an end";
            } else if (words < 4 || words > 3 * longest + 10) {
                made.problem = "the text to work on has " + std::to_string(words) + " words, the seeds' have up to " +
                               std::to_string(longest);
            }
            for (const auto& seed : leaf_.seeds)
                if (rouge_l(seed.context, made.text).f1 >= run.options.near_duplicate)
                    made.problem = "the text to work on is that of a seed";
        }
    }

    const taxonomy::leaf& leaf_;
    std::string task_;
    warmth warmth_;
    std::map<std::uint64_t, context> contexts_;  // by number
};

[[nodiscard]] inline auto skill_pipeline() {
    return pipeline{question_check{},      respond{},      pair_check{},     safety_check{},
                    contamination_check{}, conversation{}, near_duplicates{}};
}

}  // namespace lab::sdg
