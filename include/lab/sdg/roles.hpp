// LAB's four roles for skills (arXiv 2403.01081, section 3.2.1), all played by the teacher: the question generator
// (requests made here, by sources), and as steps of a pipeline the question judge, the responder in one of two
// personas, and the pair judge. A leaf with contexts gets a context first, questions about it, and answers judged by it
// alone.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/sdg/examples.hpp"
#include "lab/sdg/judges.hpp"
#include "lab/sdg/pipeline.hpp"
#include "lab/sdg/skill_prompts.hpp"

namespace lab::sdg {

namespace detail {

[[nodiscard]] inline std::string exercise(const taxonomy::seed& seed) {
    const auto& question = seed.questions_and_answers[0].question;
    return seed.context.empty() ? question : seed.context + "\n\n" + question;
}
[[nodiscard]] inline const std::string& answer_of(const taxonomy::seed& seed) {
    return seed.questions_and_answers[0].answer;
}
/// What the leaf says that it is about, else the name of its folder.
[[nodiscard]] inline std::string task_of(const taxonomy::leaf& leaf) {
    if (!leaf.task_description.empty()) return flat(leaf.task_description);
    std::string name = leaf.id.substr(leaf.id.rfind('>') + 1);
    std::replace(name.begin(), name.end(), '_', ' ');
    return name;
}
/// Writing asks for imagination; everything else has one right answer.
[[nodiscard]] inline bool is_creative(const taxonomy::leaf& leaf) {
    const std::string all = leaf.id + " " + leaf.task_description;
    for (const auto& word : loose_words(all))
        for (const std::string_view sign :
             {"creative", "story", "poem", "roleplay", "poetry", "haiku", "letter", "email", "essay", "joke"})
            if (word == sign) return true;
    return false;
}
/// Short answers are right or wrong by themselves; there are many good long ones.
[[nodiscard]] inline bool has_short_answers(const taxonomy::leaf& leaf) {
    std::size_t words = 0;
    for (const auto& seed : leaf.seeds) words += loose_words(answer_of(seed)).size();
    return words <= 6 * leaf.seeds.size();
}
/// Room for twice the longest of the seeds' texts, at four bytes a token.
template <class Text>
[[nodiscard]] std::size_t room_for(const taxonomy::leaf& leaf, std::size_t least, Text text_of) {
    std::size_t longest = 0;
    for (const auto& seed : leaf.seeds) longest = std::max(longest, std::string(text_of(seed)).size());
    return std::max(least, longest / 2);
}

}  // namespace detail

/// Whether the leaf's answers are writing: what the teacher chose, else what a rule tells from the leaf's words.
[[nodiscard]] inline bool creative(const leaf_run& run) {
    return run.creative ? *run.creative : detail::is_creative(run.leaf);
}

/// Lets the teacher choose the persona, who must be sure of it; to be asked of teachers whose judgement is trusted.
inline void choose_persona(leaf_run& run) {
    text::request r;
    std::string examples;
    for (std::size_t s = 0; s < std::min<std::size_t>(2, run.leaf.seeds.size()); ++s)
        examples.append(s == 0 ? "" : "\n").append(detail::exercise(run.leaf.seeds[s]));
    r.messages = {{"user", run.options.wordings.render<prompts::choose_persona>(
                               text::field<"task">(detail::task_of(run.leaf)), text::field<"question">(examples))}};
    r.constraint.choices = {"precise", "creative"};
    r.max_tokens = 4;
    const std::vector<text::request> requests{std::move(r)};
    const auto reply = run.judge().complete(requests)[0];
    if (reply.choice_probabilities.size() == 2) {
        for (const std::size_t i : {0u, 1u})
            if (reply.choice_probabilities[i] >= 0.75) run.creative = i == 1;
    } else if (reply.text == "precise" || reply.text == "creative") {
        run.creative = reply.text == "creative";
    }
}

/// "exercise -> answer" turns of the seeds from `first` on, round and round, without `not_this`; the persona as the
/// system message.
[[nodiscard]] inline text::messages exercise_examples(const prompts::pack& wordings, const taxonomy::leaf& leaf,
                                                      std::size_t not_this, std::size_t first, std::size_t count,
                                                      bool creative) {
    text::messages m{
        {"system", std::string(creative ? wordings.text<prompts::creative>() : wordings.text<prompts::precise>())}};
    for (std::size_t k = 0; k < leaf.seeds.size() && m.size() < 1 + 2 * count; ++k) {
        const std::size_t i = (first + k) % leaf.seeds.size();
        if (i != not_this) add_turn(m, detail::exercise(leaf.seeds[i]), detail::answer_of(leaf.seeds[i]));
    }
    return m;
}

/// The judge of this leaf's pairs, and what it is shown.
[[nodiscard]] inline const judge_form& pair_judge(const taxonomy::leaf& leaf) {
    return leaf.grounded ? context_judge : answer_judge;
}
[[nodiscard]] inline exhibit exhibit_of(const taxonomy::leaf& leaf, std::string context, std::string question,
                                        std::string answer = {}) {
    return {detail::task_of(leaf), std::move(context), std::move(question), std::move(answer)};
}

namespace detail {

[[nodiscard]] inline std::string figure(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.2f", value);
    return text;
}
/// Empty where the judge lets it pass.
[[nodiscard]] inline std::string objection(const verdict& v, const calibration& judge, std::string_view what) {
    if (v.readable == 0) return "the judge's reply on the " + std::string(what) + " is no verdict";
    if (v.score >= judge.threshold) return {};
    return "the judge gives the " + std::string(what) + " " + figure(v.score) + ", " + figure(judge.threshold) +
           " is asked";
}

}  // namespace detail

/// The second role. No model: a question of a length like the seeds'. Then the judge, where it can be trusted.
struct question_check {
    static constexpr std::string_view name = "question";
    void operator()(leaf_run& run, std::vector<candidate>& batch) const {
        const auto unsure = [](const candidate& c) { return !c.sure; };
        for (const std::size_t i : alive_in(batch, unsure))
            if (const auto why = form_problem(run.leaf, batch[i]); !why.empty()) batch[i].refuse("form", why);
        const auto* judge = run.trusted(std::string(question_judge.name));
        const auto asked = alive_in(batch, unsure);
        if (judge == nullptr || asked.empty()) return;
        std::vector<exhibit> shown;
        for (const std::size_t i : asked) shown.push_back(exhibit_of(run.leaf, batch[i].context, batch[i].question));
        const auto verdicts = run.verdicts(question_judge, shown);
        for (std::size_t k = 0; k < asked.size(); ++k) {
            candidate& c = batch[asked[k]];
            c.scores[std::string(name)] = verdicts[k].score;
            if (const auto why = detail::objection(verdicts[k], *judge, "question"); !why.empty()) c.refuse(name, why);
        }
    }

    [[nodiscard]] static std::string form_problem(const taxonomy::leaf& leaf, const candidate& c) {
        const std::size_t words = loose_words(c.question).size();
        std::size_t longest = 0;
        for (const auto& seed : leaf.seeds)
            longest = std::max(longest, loose_words(seed.questions_and_answers[0].question).size());
        if (words < 2) return "fewer than two words";
        const std::size_t evolved = 20 * c.provenance.value("generation", std::size_t{0});  // words more each time
        if (words > 3 * longest + 10 + evolved) return "much longer than any seed";
        if (leaf.grounded && c.context.empty()) return "has no context, the seeds have one";
        return {};
    }
};

/// The third role: the sample's answer, or, where a rule gave that, a second opinion. Exact work is done twice, and
/// where answers are short the two must agree.
struct respond {
    static constexpr std::string_view name = "answer";
    void operator()(leaf_run& run, std::vector<candidate>& batch) const {
        const auto asked = alive_in(batch);
        if (asked.empty()) return;
        const bool writing = creative(run), brief = detail::has_short_answers(run.leaf);
        std::vector<text::request> requests;
        for (const std::size_t i : asked) {
            candidate& c = batch[i];
            text::request r = request_for(run, user_text(run.leaf, c), {});
            if (c.sure) r.max_tokens = c.answer.size() + 8;
            if (writing)
                r.sampling = {.temperature = 0.7f, .top_p = 0.95f, .seed = run.stream("answer", c.number).next64()};
            c.provenance["persona"] = writing ? "creative" : "precise";
            requests.push_back(r);
            if (c.sure || writing) continue;
            r.sampling = {.temperature = 0.5f, .top_p = 0.95f, .seed = run.stream("again", c.number).next64()};
            requests.push_back(std::move(r));
        }
        const auto answers = run.teacher.complete(requests);
        std::size_t k = 0;
        for (const std::size_t i : asked) {
            candidate& c = batch[i];
            const auto& given = answers[k++];
            const std::string text = taxonomy::trim(given.text);
            if (c.sure) {
                c.scores["teacher_agrees"] = text == c.answer ? 1.0 : 0.0;
                continue;
            }
            c.answer = text;
            if (const auto why = unfinished(given); !why.empty()) c.refuse(name, why);
            if (writing) continue;
            const double same = rouge_l(text, taxonomy::trim(answers[k++].text)).f1;
            c.scores["agreement"] = same;
            if (brief && same < 0.5) c.refuse("agreement", "asked twice, the teacher answers differently");
        }
    }

    /// The leaf's seeds as examples, then the conversation so far, then the question.
    [[nodiscard]] static text::request request_for(const leaf_run& run, const std::string& question,
                                                   const text::messages& conversation) {
        text::request r;
        r.messages = exercise_examples(run.options.wordings, run.leaf, no_seed, 0, 10, creative(run));
        r.messages.insert(r.messages.end(), conversation.begin(), conversation.end());
        r.messages.push_back({"user", question});
        r.max_tokens = detail::room_for(run.leaf, 256, detail::answer_of);
        return r;
    }
    [[nodiscard]] static std::string unfinished(const text::completion& given) {
        if (taxonomy::trim(given.text).empty()) return "the answer is empty";
        return given.finish == text::finish_reason::length ? "the answer does not come to an end" : "";
    }
};

/// log p(answer | examples, exercise) against the same answer to another seed's exercise: does it belong to this one?
inline void add_fit_requests(std::vector<text::score_request>& list, const prompts::pack& wordings,
                             const taxonomy::leaf& leaf, std::size_t not_this, const std::string& question,
                             const std::string& other, const std::string& answer) {
    for (const auto& q : {question, other}) {
        text::score_request r{exercise_examples(wordings, leaf, not_this, 0, 5, detail::is_creative(leaf)), answer};
        r.messages.push_back({"user", q});
        list.push_back(std::move(r));
    }
}

/// The fourth role: question and answer together, by the judge's mark and by likelihood (`fit`), each as far as it can
/// be trusted. What is not right by construction needs one trusted check.
struct pair_check {
    static constexpr std::string_view name = "pair";
    void operator()(leaf_run& run, std::vector<candidate>& batch) const {
        const auto& form = pair_judge(run.leaf);
        const auto* mark = run.trusted(std::string(form.name));
        const auto* fit = run.trusted("fit");
        if (mark == nullptr && fit == nullptr)
            for (const std::size_t i : alive_in(batch, [](const candidate& c) { return !c.sure; }))
                batch[i].refuse(name, "no check of this teacher's can be trusted to confirm it");
        if (mark != nullptr) {
            const auto asked = alive_in(batch);
            std::vector<exhibit> shown;
            for (const std::size_t i : asked)
                shown.push_back(exhibit_of(run.leaf, batch[i].context, batch[i].question, batch[i].answer));
            const auto verdicts = run.verdicts(form, shown);
            for (std::size_t k = 0; k < asked.size(); ++k) {
                candidate& c = batch[asked[k]];
                c.scores["mark"] = verdicts[k].score;
                const auto why = detail::objection(verdicts[k], *mark, "answer");
                if (!why.empty() && !c.sure) c.refuse(name, why);
            }
        }
        if (fit == nullptr) return;
        const auto asked = alive_in(batch, [](const candidate& c) { return !c.sure; });
        std::vector<text::score_request> requests;
        for (const std::size_t i : asked)
            add_fit_requests(requests, run.options.wordings, run.leaf, no_seed, user_text(run.leaf, batch[i]),
                             detail::exercise(run.leaf.seeds[batch[i].number % run.leaf.seeds.size()]),
                             batch[i].answer);
        const auto scores = requests.empty() ? std::vector<text::score>{} : run.teacher.score(requests);
        for (std::size_t k = 0; k < asked.size(); ++k) {
            const double f = scores[2 * k].log_probability - scores[2 * k + 1].log_probability;
            batch[asked[k]].scores["fit"] = f;
            if (f < fit->threshold) batch[asked[k]].refuse(name, "the answer fits another exercise as well");
        }
    }
};

}  // namespace lab::sdg
