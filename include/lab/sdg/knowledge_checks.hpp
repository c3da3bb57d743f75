// Checks of a question and its answer, one step each. Without a model: `form`, `self_contained` (rules). By the
// teacher's likelihood, for small teachers say YES to anything: `outranked` (the better wordings of one fact win),
// `round_trip` (asked back, the teacher picks this answer out of others), `informative` (the text makes the answer
// likelier). By its word, claim by claim: `grounded`, `relevant`, `self_contained`. A judge refuses only where the
// seeds showed that it can be trusted; `record_judges` has the others' scores recorded too.
#pragma once

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/sdg/knowledge_items.hpp"
#include "lab/sdg/knowledge_requests.hpp"
#include "lab/sdg/pipeline.hpp"
#include "lab/sdg/self_contained.hpp"

namespace lab::sdg {

namespace detail {

/// Words a question may use though the text does not: asking needs them.
inline constexpr std::array<std::string_view, 30> asking_words{
    "name",   "call",   "called", "kind",   "type",     "colour", "color", "time",     "day",      "place",
    "person", "people", "thing",  "number", "way",      "tell",   "give",  "know",     "say",      "said",
    "many",   "much",   "long",   "often",  "question", "answer", "word",  "sentence", "complete", "animal"};

/// How a step uses a judge: whether it may refuse, and whether its scores are wanted at all.
struct judge_use {
    const calibration* trusted;
    bool asked;
    static judge_use of(const leaf_run& run, const std::string& name) {
        const auto* judge = run.trusted(name);
        return {judge, judge != nullptr || (run.options.knowledge.record_judges && run.judges.contains(name))};
    }
    [[nodiscard]] bool refuses(double score) const { return trusted != nullptr && score < trusted->threshold; }
};
[[nodiscard]] inline std::string with_score(std::string_view what, double p) {
    char text[32];
    std::snprintf(text, sizeof text, " (%.2f)", p);
    return std::string(what) + text;
}
/// Candidates that ask something: what is to be completed or recalled is no question.
[[nodiscard]] inline bool asks(const candidate& c) { return c.origin == "document" || c.origin == "variation"; }

}  // namespace detail

/// Whether the teacher wrote question and answer freely: its words need not be the text's.
[[nodiscard]] inline bool written_by_teacher(const candidate& c) { return c.provenance.contains("written_by"); }

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
        const bool free = written_by_teacher(c);
        if (!free && !c.question.ends_with('?') && !c.question.starts_with("Tell me ") &&
            !c.question.starts_with("Give me "))
            return "is no question";
        for (const auto& word : words)
            if (!free && detail::one_of(word, detail::pronouns) && word != "there" &&
                c.provenance.value("asks", std::string()).find("?") == std::string::npos)
                return "says '" + word + "', which points at nothing";
        const auto asked = content_set(c.question), told = content_set(c.answer), text = content_set(c.context);
        if (!told.empty() && detail::subset(told, asked)) return "gives its answer away";
        for (std::size_t w = 3; w < words.size(); ++w)
            if (words[w] == words[w - 1] || (words[w] == words[w - 2] && words[w - 1] == words[w - 3]))
                return "repeats itself";
        if (free) return {};
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
        for (const std::size_t i :
             alive_in(batch, [](const candidate& c) { return !c.group.empty() && !written_by_teacher(c); }))
            groups[batch[i].group].push_back(i);
        std::vector<text::score_request> requests;
        std::vector<std::size_t> asked;
        for (const auto& [group, members] : groups) {
            if (members.size() < 2 || !run.teacher.can_score()) continue;
            for (const std::size_t i : members) {
                text::score_request r{ask_about_examples(run.options.wordings, run.leaf, no_seed, 4),
                                      batch[i].question};
                r.messages.push_back(
                    {"user", run.options.wordings.render<prompts::ask_about>(
                                 text::field<"text">(batch[i].provenance.value("asks", batch[i].context)),
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

/// Asked back over the text, the teacher must pick this answer. Answers of its own are no choice among short ones.
struct round_trip {
    static constexpr std::string_view name = "round_trip";
    void operator()(leaf_run& run, std::vector<candidate>& batch) const {
        const auto use = detail::judge_use::of(run, std::string(name));
        const auto asked = alive_in(batch, [](const candidate& c) { return !c.sure && !written_by_teacher(c); });
        if (!use.asked || asked.empty()) return;
        std::vector<text::request> requests;
        requests.reserve(asked.size());
        for (const std::size_t i : asked)
            requests.push_back(pick_request(run.options.wordings, run.leaf, no_seed, batch[i].context,
                                            batch[i].question, batch[i].answer));
        const auto answers = run.teacher.complete(requests);
        for (std::size_t k = 0; k < asked.size(); ++k) {
            candidate& c = batch[asked[k]];
            const double p = first_choice(requests[k], answers[k]);
            c.scores[std::string(name)] = p;
            if (use.trusted != nullptr && (use.refuses(p) || answers[k].text != c.answer))
                c.refuse(name, "asked back, the teacher rather says '" + answers[k].text + "'");
        }
    }
};

namespace detail {
/// The text must make the answer likelier than it is without. Right by construction: recorded only.
inline void weigh_gain(leaf_run& run, std::vector<candidate>& batch, const std::vector<std::size_t>& asked,
                       std::string_view name) {
    const auto use = judge_use::of(run, "gain");
    if (!use.asked || asked.empty()) return;
    std::vector<text::score_request> requests;
    for (const std::size_t i : asked)
        add_gain_requests(requests, run.options.wordings, run.leaf, no_seed, batch[i].context, batch[i].question,
                          batch[i].answer);
    const auto scores = run.teacher.score(requests);
    for (std::size_t k = 0; k < asked.size(); ++k) {
        candidate& c = batch[asked[k]];
        const double gain = scores[2 * k].log_probability - scores[2 * k + 1].log_probability;
        c.scores["gain"] = gain;
        if (use.refuses(gain) && !c.sure) c.refuse(name, "the text does not make the answer likelier");
    }
}
}  // namespace detail

/// What everybody knows, or what the text does not help with, teaches nothing of the document. A step of thorough work;
/// else `grounded` weighs the same.
struct informative {
    static constexpr std::string_view name = "informative";
    void operator()(leaf_run& run, std::vector<candidate>& batch) const {
        if (is_thorough(run.options.knowledge)) detail::weigh_gain(run, batch, alive_in(batch, detail::asks), name);
    }
};

/// The text must make the answer likelier, and say so: where the teacher's YES or NO can be trusted, it is asked, in
/// thorough work claim by claim, and the least sure claim decides. What is not right by construction needs at least one
/// trusted check.
struct grounded {
    static constexpr std::string_view name = "grounded";
    void operator()(leaf_run& run, std::vector<candidate>& batch) const {
        const auto use = detail::judge_use::of(run, "says_grounded");
        const bool thorough = is_thorough(run.options.knowledge);
        for (const std::size_t i : alive_in(batch, [](const candidate& c) { return !c.sure; })) {
            const bool others = run.trusted("gain") != nullptr ||
                                (run.trusted("round_trip") != nullptr && !written_by_teacher(batch[i]));
            if (use.trusted == nullptr && !others)
                batch[i].refuse(name, "no check of this teacher's can be trusted to confirm it");
        }
        const auto asked = alive_in(batch, detail::asks);
        if (!thorough) detail::weigh_gain(run, batch, asked, name);
        if (!use.asked || asked.empty()) return;
        std::vector<text::request> requests;
        std::vector<std::vector<std::string>> claims;
        for (const std::size_t i : asked) {
            claims.push_back(thorough ? claims_of(batch[i].answer) : std::vector<std::string>{});
            add_grounded_requests(requests, run.options.wordings, batch[i].context, batch[i].question, batch[i].answer,
                                  claims.back());
        }
        const auto answers = run.teacher.complete(requests);
        std::size_t at = 0;
        for (std::size_t k = 0; k < asked.size(); ++k) {
            candidate& c = batch[asked[k]];
            json each = json::array();
            std::size_t worst = 0;
            double least = 2;
            for (std::size_t j = 0; j < std::max<std::size_t>(1, claims[k].size()); ++j, ++at) {
                const double p = first_choice(requests[at], answers[at]);
                each.push_back(p);
                if (p < least) least = p, worst = j;
            }
            c.scores["says_grounded"] = least;
            if (each.size() > 1) c.scores["claims"] = std::move(each);
            if (!use.refuses(least)) continue;
            const std::string why = claims[k].size() < 2
                                        ? "the teacher says that the text does not say so"
                                        : "the teacher says that the text does not say: " + claims[k][worst];
            c.refuse(name, thorough ? detail::with_score(why, least) : why);
        }
    }
};

namespace detail {
/// One YES or NO for each candidate that asks something and is not yet refused.
template <class Request>
void ask_judge(leaf_run& run, std::vector<candidate>& batch, std::string_view name, std::string_view why,
               Request request) {
    const auto use = judge_use::of(run, std::string(name));
    const auto asked = alive_in(batch, detail::asks);
    if (!use.asked || asked.empty()) return;
    std::vector<text::request> requests;
    requests.reserve(asked.size());
    for (const std::size_t i : asked) requests.push_back(request(batch[i].question));
    const auto answers = run.teacher.complete(requests);
    for (std::size_t k = 0; k < asked.size(); ++k) {
        const double p = first_choice(requests[k], answers[k]);
        batch[asked[k]].scores[std::string(name)] = p;
        if (use.refuses(p))
            batch[asked[k]].refuse(name, is_thorough(run.options.knowledge) ? with_score(why, p) : std::string(why));
    }
}
}  // namespace detail

/// About the leaf's subject, where the teacher's opinion can be trusted; not in thorough work: and clear.
struct relevant {
    static constexpr std::string_view name = "relevant";
    void operator()(leaf_run& run, std::vector<candidate>& batch) const {
        const bool thorough = is_thorough(run.options.knowledge);
        detail::ask_judge(
            run, batch, name,
            thorough ? "the teacher finds it off the subject" : "the teacher finds it unclear or off the subject",
            [&](const std::string& question) {
                return thorough ? relevant_request(run.options.wordings, run.leaf, question)
                                : clear_request(run.options.wordings, run.leaf, question);
            });
    }
};

/// Makes sense to somebody who has never seen the text: by the rules of self_contained.hpp.
struct self_contained_by_rule {
    static constexpr std::string_view name = "self_contained";
    void operator()(leaf_run& run, std::vector<candidate>& batch) const {
        if (!is_thorough(run.options.knowledge)) return;
        const auto language = language_in(run.leaf, run.options.wordings);
        for (const std::size_t i : alive_in(batch, detail::asks))
            if (const auto why = not_self_contained(batch[i].question, run.options.wordings, language); !why.empty())
                batch[i].refuse(name, why);
    }
};

/// The same by the teacher's opinion, where it can be trusted.
struct self_contained {
    static constexpr std::string_view name = "self_contained";
    void operator()(leaf_run& run, std::vector<candidate>& batch) const {
        const auto& wordings = run.options.wordings;
        if (!is_thorough(run.options.knowledge)) return;
        detail::ask_judge(run, batch, name, "the teacher finds that it makes no sense by itself",
                          [&](const std::string& question) { return self_contained_request(wordings, question); });
    }
};

}  // namespace lab::sdg
