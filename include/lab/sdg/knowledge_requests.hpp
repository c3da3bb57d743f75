// What a teacher is asked about knowledge: to word a question, to pick an answer among rivals, how likely an answer is
// with the text and without it, and YES or NO. The checks' requests also measure the judges on the seeds
// (knowledge_calibration.hpp).
#pragma once

#include <algorithm>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/sdg/claims.hpp"
#include "lab/sdg/examples.hpp"
#include "lab/sdg/question_forms.hpp"

namespace lab::sdg {

namespace detail {
[[nodiscard]] inline bool subset(const std::set<std::string>& a, const std::set<std::string>& b) {
    return std::includes(b.begin(), b.end(), a.begin(), a.end());
}

/// The first line up to its question mark.
[[nodiscard]] inline std::string as_question(std::string text) {
    text = flat(text.substr(0, text.find('\n')));
    if (const auto mark = text.find('?'); mark != text.npos) text.resize(mark + 1);
    return text;
}
[[nodiscard]] inline text::request open_question(text::messages examples, std::string prompt, std::string prefix,
                                                 std::uint64_t pass, counter_rng rng) {
    text::request r;
    r.messages = std::move(examples);
    r.messages.push_back({"user", std::move(prompt)});
    r.assistant_prefix = std::move(prefix);
    r.max_tokens = 28;
    r.stop = {"\n"};
    r.sampling.temperature = pass == 0 ? 0.0f : 0.8f;
    r.sampling.top_p = 0.95f;
    r.sampling.seed = rng.next64();
    return r;
}
/// Question words that suit an answer.
[[nodiscard]] inline std::vector<std::string> openings_for(const std::string& answer) {
    const auto words = split_words(answer);
    if (words.empty()) return {"What"};
    if (tells_time(words, 0, words.size())) return {"When", "On which"};
    if (all_names(words, 0, words.size())) return {"What is the name of", "Who", "Which"};
    if (one_of(words[0], number_words)) return {"How many"};
    if (one_of(words[0], prepositions)) return {"Where"};
    return {"What", "Which"};
}

}  // namespace detail

/// Answers that could be mistaken for one another: the seeds' answers, those that stand in the text first.
[[nodiscard]] inline std::vector<std::string> rivals_of(const taxonomy::leaf& leaf, const std::string& context,
                                                        const std::string& answer,
                                                        const std::vector<std::string>& not_these, std::size_t count) {
    std::vector<std::string> near, far;
    const auto right = content_set(answer);
    const auto consider = [&](const std::string& other) {
        const auto set = content_set(other);
        if (set.empty() || detail::subset(set, right) || detail::subset(right, set)) return;
        if (std::find(not_these.begin(), not_these.end(), other) != not_these.end()) return;
        auto& list = context.find(other) != context.npos ? near : far;
        if (std::find(near.begin(), near.end(), other) == near.end() &&
            std::find(far.begin(), far.end(), other) == far.end())
            list.push_back(other);
    };
    for (const auto& s : sentences_of(context))
        for (const auto& form : questions_from(flat(s.of(context)))) consider(form.answer);
    for (const auto& seed : leaf.seeds)
        for (const auto& qa : seed.questions_and_answers) consider(qa.answer);
    near.insert(near.end(), far.begin(), far.end());
    if (near.size() > count) near.resize(count);
    return near;
}

/// The teacher is asked the question over the text and must choose among the answer and its rivals.
[[nodiscard]] inline text::request pick_request(const prompts::pack& wordings, const taxonomy::leaf& leaf,
                                                std::size_t not_this, const std::string& context,
                                                const std::string& question, const std::string& answer) {
    text::request r;
    r.messages = open_book_examples(wordings, leaf, not_this, answer, 2);
    std::vector<std::string> shown;  // a small teacher repeats the examples' answers: they are no fair rivals
    for (const auto& m : r.messages)
        if (m.role == "assistant") shown.push_back(m.content);
    r.messages.push_back({"user", open_book_text(wordings, context, question)});
    r.constraint.choices = rivals_of(leaf, context, answer, shown, 5);
    r.constraint.choices.insert(r.constraint.choices.begin(), answer);
    r.max_tokens = 32;
    return r;
}
/// Probability of the first choice; 1 or 0 where the teacher gives none.
[[nodiscard]] inline double first_choice(const text::request& r, const text::completion& c) {
    if (!c.choice_probabilities.empty()) return c.choice_probabilities[0];
    return c.text == r.constraint.choices[0] ? 1.0 : 0.0;
}

/// log p(answer | text, question) - log p(answer | question): two requests, with and without the text.
inline void add_gain_requests(std::vector<text::score_request>& list, const prompts::pack& wordings,
                              const taxonomy::leaf& leaf, std::size_t not_this, const std::string& context,
                              const std::string& question, const std::string& answer) {
    for (const bool with_text : {true, false}) {
        text::score_request r{open_book_examples(wordings, leaf, not_this, answer, 2, with_text), answer};
        r.messages.push_back({"user", open_book_text(wordings, with_text ? context : "", question)});
        list.push_back(std::move(r));
    }
}

[[nodiscard]] inline text::request yes_or_no(std::string prompt) {
    text::request r;
    r.messages = {{"user", std::move(prompt)}};
    r.constraint.choices = {"YES", "NO"};
    r.max_tokens = 4;
    return r;
}

/// Whether the text says so: one request for an answer of one claim, else one for each claim.
inline void add_grounded_requests(std::vector<text::request>& list, const prompts::pack& wordings,
                                  const std::string& context, const std::string& question, const std::string& answer,
                                  const std::vector<std::string>& claims) {
    if (claims.size() < 2) {
        list.push_back(yes_or_no(wordings.render<prompts::is_grounded>(
            text::field<"text">(context), text::field<"question">(question), text::field<"answer">(answer))));
        return;
    }
    for (const auto& claim : claims)
        list.push_back(yes_or_no(wordings.render<prompts::is_supported>(
            text::field<"text">(context), text::field<"question">(question), text::field<"claim">(claim))));
}

[[nodiscard]] inline text::request relevant_request(const prompts::pack& wordings, const taxonomy::leaf& leaf,
                                                    const std::string& question) {
    return yes_or_no(wordings.render<prompts::is_relevant>(text::field<"subject">(leaf.domain),
                                                           text::field<"outline">(flat(leaf.document_outline)),
                                                           text::field<"question">(question)));
}
/// Relevant and clear at once.
[[nodiscard]] inline text::request clear_request(const prompts::pack& wordings, const taxonomy::leaf& leaf,
                                                 const std::string& question) {
    return yes_or_no(wordings.render<prompts::is_clear_question>(text::field<"subject">(leaf.domain),
                                                                 text::field<"question">(question)));
}
[[nodiscard]] inline text::request self_contained_request(const prompts::pack& wordings, const std::string& question) {
    return yes_or_no(wordings.render<prompts::is_self_contained>(text::field<"question">(question)));
}

}  // namespace lab::sdg
