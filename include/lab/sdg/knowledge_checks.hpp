// Checks of a question and its answer against the text it comes from. Those without a model: form, words, give-aways.
// Those with the teacher, by likelihood rather than by its word, for small teachers say YES to anything: `outranked`
// (the better wordings of one fact win), `round_trip` (asked back, the teacher picks this answer out of others),
// `grounded` (the text makes the answer likelier). Likelihood checks refuse only when calibration on the seeds found
// them trustworthy.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lab/sdg/examples.hpp"
#include "lab/sdg/lexicon.hpp"
#include "lab/sdg/pipeline.hpp"
#include "lab/sdg/question_forms.hpp"

namespace lab::sdg {

namespace detail {

/// Words a question may use though the text does not: asking needs them.
inline constexpr std::array<std::string_view, 30> asking_words{
    "name",   "call",   "called", "kind",   "type",     "colour", "color", "time",     "day",      "place",
    "person", "people", "thing",  "number", "way",      "tell",   "give",  "know",     "say",      "said",
    "many",   "much",   "long",   "often",  "question", "answer", "word",  "sentence", "complete", "animal"};

[[nodiscard]] inline bool subset(const std::set<std::string>& a, const std::set<std::string>& b) {
    return std::includes(b.begin(), b.end(), a.begin(), a.end());
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
[[nodiscard]] inline text::request pick_request(const taxonomy::leaf& leaf, std::size_t not_this,
                                                const std::string& context, const std::string& question,
                                                const std::string& answer) {
    text::request r;
    r.messages = open_book_examples(leaf, not_this, answer, 2);
    std::vector<std::string> shown;  // a small teacher repeats the examples' answers: they are no fair rivals
    for (const auto& m : r.messages)
        if (m.role == "assistant") shown.push_back(m.content);
    r.messages.push_back({"user", open_book_text(context, question)});
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
inline void add_gain_requests(std::vector<text::score_request>& list, const taxonomy::leaf& leaf, std::size_t not_this,
                              const std::string& context, const std::string& question, const std::string& answer) {
    for (const bool with_text : {true, false}) {
        text::score_request r{open_book_examples(leaf, not_this, answer, 2, with_text), answer};
        r.messages.push_back({"user", open_book_text(with_text ? context : "", question)});
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

/// No model: a question that is one, speaks of the text in the text's words, and does not give its answer away.
struct question_form_check {
    static constexpr std::string_view name = "form";
    void operator()(leaf_run& run, std::vector<candidate>& batch) const {
        std::set<std::string> common;
        for (const auto word : detail::asking_words) common.insert(light_stem(std::string(word)));
        for (const auto& text : {run.leaf.domain, run.leaf.document_outline}) common.merge(content_set(text));
        for (const auto& seed : run.leaf.seeds)
            for (const auto& qa : seed.questions_and_answers) common.merge(content_set(qa.question));
        for (const std::size_t i : alive_in(batch)) {
            if (const std::string why = problem(batch[i], common); !why.empty()) batch[i].refuse(name, why);
        }
    }

private:
    static std::string problem(const candidate& c, const std::set<std::string>& common) {
        const auto words = loose_words(c.question);
        if (c.answer.empty()) return "the answer is empty";
        if (words.size() < 3) return "fewer than three words";
        if (words.size() > 60) return "more than sixty words";
        if (c.sure) return {};
        if (!c.question.ends_with('?') && !c.question.starts_with("Tell me ") && !c.question.starts_with("Give me "))
            return "is no question";
        for (const auto& word : words)
            if (detail::one_of(word, detail::pronouns) && word != "there" &&
                c.provenance.value("asks", std::string()).find("?") == std::string::npos)
                return "says '" + word + "', which points at nothing";
        const auto asked = content_set(c.question), told = content_set(c.answer), text = content_set(c.context);
        if (!told.empty() && detail::subset(told, asked)) return "gives its answer away";
        for (std::size_t w = 3; w < words.size(); ++w)
            if (words[w] == words[w - 1] || (words[w] == words[w - 2] && words[w - 1] == words[w - 3]))
                return "repeats itself";
        for (const auto& stem : asked)
            if (!text.contains(stem) && !common.contains(stem))
                return "speaks of '" + stem + "', which the text does not";
        // What the question keeps of what it is to ask: for a rephrasing, the old question; else the sentence.
        const auto source = content_set(c.provenance.value("asks", std::string()));
        if (!source.empty()) {
            std::size_t kept = 0, new_words = 0;
            for (const auto& stem : source) kept += asked.contains(stem) || told.contains(stem);
            for (const auto& stem : asked) new_words += !source.contains(stem);
            const double share = static_cast<double>(kept) / static_cast<double>(source.size());
            if (c.origin == "variation" && share < 0.75) return "loses the point of the question it rephrases";
            if (c.origin == "variation" && new_words > 2) return "adds to the question it rephrases";
            if (kept == 0) return "has nothing to do with its sentence";
        }
        return {};
    }
};

/// Of the wordings of one fact, the ones that the teacher finds likeliest after the leaf's own questions stay: as many
/// as the options say of those by rule, and one of the teacher's own, which later checks have to confirm.
struct outranked {
    static constexpr std::string_view name = "outranked";
    void operator()(leaf_run& run, std::vector<candidate>& batch) const {
        std::map<std::string, std::vector<std::size_t>> groups;
        for (const std::size_t i : alive_in(batch, [](const candidate& c) { return !c.group.empty(); }))
            groups[batch[i].group].push_back(i);
        std::vector<text::score_request> requests;
        std::vector<std::size_t> asked;
        for (const auto& [group, members] : groups) {
            if (members.size() < 2 || !run.teacher.can_score()) continue;
            for (const std::size_t i : members) {
                text::score_request r{ask_about_examples(run.leaf, no_seed, 4), batch[i].question};
                r.messages.push_back({"user", prompts::ask_about::render(text::field<"text">(batch[i].provenance.value(
                                                                             "asks", batch[i].context)),
                                                                         text::field<"answer">(batch[i].answer))});
                requests.push_back(std::move(r));
                asked.push_back(i);
            }
        }
        const auto scores = requests.empty() ? std::vector<text::score>{} : run.teacher.score(requests);
        for (std::size_t k = 0; k < asked.size(); ++k)
            batch[asked[k]].scores["wording"] =
                scores[k].log_probability / static_cast<double>(std::max<std::size_t>(1, scores[k].tokens));
        for (auto& [group, members] : groups) {
            std::stable_sort(members.begin(), members.end(), [&](std::size_t a, std::size_t b) {
                if (batch[a].plain != batch[b].plain) return batch[b].plain;
                return batch[a].scores.value("wording", 0.0) > batch[b].scores.value("wording", 0.0);
            });
            std::size_t kept[2] = {0, 0};
            for (const std::size_t i : members)
                if (++kept[batch[i].sure ? 0 : 1] > (batch[i].sure ? run.options.per_group : 1))
                    batch[i].refuse(name, "better wordings of the same fact were kept");
        }
    }
};

/// Asked back over the text, the teacher must pick this answer.
struct round_trip {
    static constexpr std::string_view name = "round_trip";
    void operator()(leaf_run& run, std::vector<candidate>& batch) const {
        const auto* judge = run.trusted(std::string(name));
        std::vector<text::request> requests;
        std::vector<std::size_t> asked;
        for (const std::size_t i : alive_in(batch, [](const candidate& c) { return !c.sure; })) {
            requests.push_back(pick_request(run.leaf, no_seed, batch[i].context, batch[i].question, batch[i].answer));
            asked.push_back(i);
        }
        if (judge == nullptr || requests.empty()) return;
        const auto answers = run.teacher.complete(requests);
        for (std::size_t k = 0; k < asked.size(); ++k) {
            candidate& c = batch[asked[k]];
            const double p = first_choice(requests[k], answers[k]);
            c.scores[std::string(name)] = p;
            if (p < judge->threshold || answers[k].text != c.answer)
                c.refuse(name, "asked back, the teacher rather says '" + answers[k].text + "'");
        }
    }
};

/// The text must make the answer likelier; where the teacher's plain YES or NO can be trusted, that counts too. What is
/// not right by construction needs at least one trusted check.
struct grounded {
    static constexpr std::string_view name = "grounded";
    void operator()(leaf_run& run, std::vector<candidate>& batch) const {
        const auto* gain = run.trusted("gain");
        const auto* word = run.trusted("says_grounded");
        const auto unsure = alive_in(batch, [](const candidate& c) { return !c.sure; });
        if (gain == nullptr && word == nullptr && run.trusted("round_trip") == nullptr)
            for (const std::size_t i : unsure)
                batch[i].refuse(name, "no check of this teacher's can be trusted to confirm it");
        const auto asked =
            alive_in(batch, [](const candidate& c) { return c.origin == "document" || c.origin == "variation"; });
        if (asked.empty()) return;
        if (gain != nullptr) {
            std::vector<text::score_request> requests;
            for (const std::size_t i : asked)
                add_gain_requests(requests, run.leaf, no_seed, batch[i].context, batch[i].question, batch[i].answer);
            const auto scores = run.teacher.score(requests);
            for (std::size_t k = 0; k < asked.size(); ++k) {
                candidate& c = batch[asked[k]];
                const double g = scores[2 * k].log_probability - scores[2 * k + 1].log_probability;
                c.scores["gain"] = g;
                if (g < gain->threshold && !c.sure) c.refuse(name, "the text does not make the answer likelier");
            }
        }
        if (word == nullptr) return;
        std::vector<text::request> requests;
        requests.reserve(asked.size());
        for (const std::size_t i : asked)
            requests.push_back(yes_or_no(prompts::is_grounded::render(text::field<"text">(batch[i].context),
                                                                      text::field<"question">(batch[i].question),
                                                                      text::field<"answer">(batch[i].answer))));
        const auto answers = run.teacher.complete(requests);
        for (std::size_t k = 0; k < asked.size(); ++k) {
            const double p = first_choice(requests[k], answers[k]);
            batch[asked[k]].scores["says_grounded"] = p;
            if (p < word->threshold) batch[asked[k]].refuse(name, "the teacher says that the text does not say so");
        }
    }
};

/// Clear by itself and about the leaf's subject, where the teacher's opinion can be trusted.
struct relevant {
    static constexpr std::string_view name = "relevant";
    void operator()(leaf_run& run, std::vector<candidate>& batch) const {
        const auto* judge = run.trusted(std::string(name));
        const auto asked = alive_in(  // it was measured on questions: what is to be completed or recalled is none
            batch, [](const candidate& c) { return c.origin == "document" || c.origin == "variation"; });
        if (judge == nullptr || asked.empty()) return;
        std::vector<text::request> requests;
        requests.reserve(asked.size());
        for (const std::size_t i : asked)
            requests.push_back(yes_or_no(prompts::is_clear_question::render(
                text::field<"subject">(run.leaf.domain), text::field<"question">(batch[i].question))));
        const auto answers = run.teacher.complete(requests);
        for (std::size_t k = 0; k < asked.size(); ++k) {
            const double p = first_choice(requests[k], answers[k]);
            batch[asked[k]].scores[std::string(name)] = p;
            if (p < judge->threshold) batch[asked[k]].refuse(name, "the teacher finds it unclear or off the subject");
        }
    }
};

}  // namespace lab::sdg
