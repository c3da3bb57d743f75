// Skill leaves, foundational and compositional, with or without a context. Where all seeds share one copying rule
// (answer_pattern.hpp), new exercises are the seeds' frames with fillers that the teacher invents, and the rule gives
// the answer (the teacher's own is compared and the agreement recorded). Elsewhere the teacher writes question and
// answer by example, if it has shown on the seeds that it can or that it can judge, and the pair check decides.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/sdg/answer_pattern.hpp"
#include "lab/sdg/contamination_check.hpp"
#include "lab/sdg/examples.hpp"
#include "lab/sdg/lexicon.hpp"
#include "lab/sdg/pipeline.hpp"

namespace lab::sdg {

namespace detail {

[[nodiscard]] inline std::string exercise(const taxonomy::seed& seed) {
    const auto& question = seed.questions_and_answers[0].question;
    return seed.context.empty() ? question : flat(seed.context) + "\n\n" + question;
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
[[nodiscard]] inline std::string_view persona(const prompts::pack& wordings, const taxonomy::leaf& leaf) {
    return is_creative(leaf) ? wordings.text<prompts::creative>() : wordings.text<prompts::precise>();
}
/// Short answers are right or wrong by themselves; there are many good long ones.
[[nodiscard]] inline bool has_short_answers(const taxonomy::leaf& leaf) {
    std::size_t words = 0;
    for (const auto& seed : leaf.seeds) words += loose_words(seed.questions_and_answers[0].answer).size();
    return words <= 6 * leaf.seeds.size();
}

}  // namespace detail

/// "exercise -> answer" turns of the seeds from `first` on, round and round, without `not_this`; the persona as the
/// system message.
[[nodiscard]] inline text::messages exercise_examples(const prompts::pack& wordings, const taxonomy::leaf& leaf,
                                                      std::size_t not_this, std::size_t first, std::size_t count) {
    text::messages m{{"system", std::string(detail::persona(wordings, leaf))}};
    for (std::size_t k = 0; k < leaf.seeds.size() && m.size() < 1 + 2 * count; ++k) {
        const std::size_t i = (first + k) % leaf.seeds.size();
        if (i != not_this) add_turn(m, detail::exercise(leaf.seeds[i]), leaf.seeds[i].questions_and_answers[0].answer);
    }
    return m;
}

class skill_source {
public:
    explicit skill_source(const taxonomy::leaf& leaf) : leaf_(leaf) {
        std::vector<std::string> sources, answers;
        for (const auto& seed : leaf.seeds) {
            sources.push_back(detail::exercise(seed));
            answers.push_back(seed.questions_and_answers[0].answer);
        }
        pattern_ = shared_pattern(sources, answers);
    }
    [[nodiscard]] bool has_pattern() const noexcept { return pattern_.has_value(); }

    /// Whether samples of the teacher's own can be trusted: a shared rule gives the answers, or its marks are trusted,
    /// or it answers four of five seeds right, each with the others as examples.
    /// @return empty, else what is missing and what to do
    [[nodiscard]] std::string obstacle(leaf_run& run) const {
        if (pattern_ || run.trusted("mark") != nullptr) return {};
        const std::string stronger =
            "take a stronger teacher, or write the leaf so that the answers copy words of the questions in one form";
        if (detail::is_creative(leaf_) || !detail::has_short_answers(leaf_))
            return "long answers need a judge, and this teacher's marks do not tell right seeds from wrong ones; " +
                   stronger;
        std::vector<text::request> requests;
        for (std::size_t s = 0; s < leaf_.seeds.size(); ++s) {
            text::request r;
            r.messages = exercise_examples(run.options.wordings, leaf_, s, 0, 10);
            r.messages.push_back({"user", detail::exercise(leaf_.seeds[s])});
            r.max_tokens = leaf_.seeds[s].questions_and_answers[0].answer.size() + 8;
            requests.push_back(std::move(r));
        }
        const auto answers = run.teacher.complete(requests);
        std::size_t right = 0;
        for (std::size_t s = 0; s < answers.size(); ++s)
            right += loose_words(answers[s].text) == loose_words(leaf_.seeds[s].questions_and_answers[0].answer);
        if (5 * right >= 4 * answers.size()) return {};
        return "the teacher answers only " + std::to_string(right) + " of " + std::to_string(answers.size()) +
               " of the seeds right with the others as examples, so its answers to new questions are not taken; " +
               stronger;
    }

    [[nodiscard]] std::vector<candidate> propose(leaf_run& run, std::uint64_t first, std::size_t count) {
        auto batch = pattern_ ? from_frames(run, first, count) : from_teacher(run, first, count);
        answer(run, batch);
        return batch;
    }

private:
    static constexpr std::size_t inventions = 28;  // fillers asked for, for each kind of slot

    /// What the teacher thinks of when it is shown the seeds' fillers: one list for each kind of slot.
    void invent(leaf_run& run) {
        std::map<std::string, std::vector<std::size_t>> kinds;  // slots with fillers of one shape share their examples
        for (std::size_t s = 0; s < pattern_->slots(); ++s) {
            const auto examples = pattern_->examples(s);
            shapes_.push_back(slot_shape::of(examples));
            const auto& h = shapes_.back();
            kinds[h.number ? "number " + std::to_string(s)
                           : std::to_string(h.capital) + std::to_string(h.lower) + std::to_string(h.fewest) +
                                 std::to_string(h.many) + h.first]
                .push_back(s);
        }
        fillers_.resize(pattern_->slots());
        std::vector<text::request> requests;
        std::vector<std::vector<std::size_t>> owners;
        for (const auto& [name, slots] : kinds) {
            if (shapes_[slots[0]].number) continue;
            std::vector<std::string> known;
            for (const std::size_t s : slots)
                for (auto& e : pattern_->examples(s)) known.push_back(std::move(e));
            for (std::size_t k = 0; k < inventions; ++k) {
                counter_rng rng = run.stream(std::string("filler ").append(name), k);
                auto shown = known;
                shuffle(shown, rng);
                text::request r;
                const auto list = [&](std::size_t from) {
                    std::string out;
                    for (std::size_t i = from; i < from + 3; ++i)
                        out.append(out.empty() ? "" : ", ").append(shown[i % shown.size()]);
                    return run.options.wordings.render<prompts::one_more>(text::field<"list">(out));
                };
                for (std::size_t example = 0; example < 2; ++example)
                    add_turn(r.messages, list(4 * example), shown[(4 * example + 3) % shown.size()]);
                r.messages.push_back({"user", list(8)});
                r.max_tokens = 10;
                r.stop = {"\n", ",", ";", ".", ":"};
                r.sampling = {.temperature = 0.9f, .top_p = 0.85f, .seed = rng.next64()};
                requests.push_back(std::move(r));
                owners.push_back(slots);
            }
            for (const std::size_t s : slots) fillers_[s] = known;
        }
        if (requests.empty()) return;
        const auto answers = run.teacher.complete(requests);
        for (std::size_t k = 0; k < answers.size(); ++k) {
            const std::string word = flat(answers[k].text);
            if (answers[k].finish == text::finish_reason::length || !shapes_[owners[k][0]].fits(word)) continue;
            if (is_function_word(word)) continue;
            for (const std::size_t s : owners[k])
                if (std::find(fillers_[s].begin(), fillers_[s].end(), word) == fillers_[s].end())
                    fillers_[s].push_back(word);
        }
    }

    [[nodiscard]] std::vector<candidate> from_frames(leaf_run& run, std::uint64_t first, std::size_t count) {
        if (shapes_.empty()) invent(run);
        std::vector<candidate> batch;
        for (std::uint64_t n = first; n < first + count; ++n) {
            counter_rng rng = run.stream("frame", n);
            const std::size_t from = static_cast<std::size_t>(rng.below(pattern_->seeds.size()));
            std::vector<std::string> slots;
            std::set<std::string> used;
            for (std::size_t s = 0; s < pattern_->slots(); ++s) {
                std::string filler;
                for (int tries = 0; tries < 20; ++tries) {
                    filler = shapes_[s].number ? number(shapes_[s], rng)
                                               : fillers_[s][static_cast<std::size_t>(rng.below(fillers_[s].size()))];
                    if (!used.contains(filler)) break;
                }
                used.insert(filler);
                slots.push_back(std::move(filler));
            }
            candidate c;
            c.number = n;
            c.origin = "frame";
            set_exercise(c, pattern_->seeds[from].source.fill(slots));
            c.answer = pattern_->answer.fill(slots);
            c.sure = true;
            c.provenance = {{"frame_of_seed", from},
                            {"fillers", slots},
                            {"prompt", run.options.wordings.tag<prompts::one_more>()},
                            {"answer_by", "rule shared by all seeds"}};
            if (used.size() < slots.size()) c.refuse("fillers", "the same filler stands in two places");
            batch.push_back(std::move(c));
        }
        return batch;
    }
    [[nodiscard]] static std::string number(const slot_shape& shape, counter_rng& rng) {
        std::string digits = std::to_string(
            shape.least + static_cast<long long>(rng.below(static_cast<std::uint64_t>(shape.most - shape.least) + 1)));
        return std::string(shape.width - std::min(shape.width, digits.size()), '0') + digits;
    }
    void set_exercise(candidate& c, const std::string& text) const {
        const auto gap = leaf_.grounded ? text.find("\n\n") : std::string::npos;
        c.context = gap == std::string::npos ? "" : text.substr(0, gap);
        c.question = gap == std::string::npos ? text : text.substr(gap + 2);
    }

    /// Exercises written by the teacher after some of the seeds, the last of which rotate.
    [[nodiscard]] std::vector<candidate> from_teacher(leaf_run& run, std::uint64_t first, std::size_t count) const {
        std::vector<text::request> requests;
        std::vector<candidate> batch;
        const std::string prompt =
            run.options.wordings.render<prompts::new_exercise>(text::field<"task">(flat(leaf_.task_description)));
        for (std::uint64_t n = first; n < first + count; ++n) {
            counter_rng rng = run.stream("exercise", n);
            const std::size_t from = static_cast<std::size_t>(n % leaf_.seeds.size());
            text::request r;
            json used = json::array();
            for (std::size_t k = 0; k < std::min<std::size_t>(5, leaf_.seeds.size()); ++k) {
                const std::size_t i = (from + k) % leaf_.seeds.size();
                add_turn(r.messages, prompt, detail::exercise(leaf_.seeds[i]));
                used.push_back(i);
            }
            r.messages.push_back({"user", prompt});
            r.max_tokens = 160;
            r.sampling = {.temperature = 0.9f, .top_p = 0.95f, .seed = rng.next64()};
            requests.push_back(std::move(r));
            candidate c;
            c.number = n;
            c.origin = "teacher";
            c.provenance = {{"seeds", used}, {"prompt", run.options.wordings.tag<prompts::new_exercise>()}};
            batch.push_back(std::move(c));
        }
        const auto answers = run.teacher.complete(requests);
        for (std::size_t k = 0; k < batch.size(); ++k) {
            set_exercise(batch[k], taxonomy::trim(answers[k].text));
            if (answers[k].finish == text::finish_reason::length)
                batch[k].refuse("form", "the question does not come to an end");
            check_form(batch[k]);
        }
        return batch;
    }
    void check_form(candidate& c) const {
        const std::size_t words = loose_words(c.question).size();
        std::size_t longest = 0;
        for (const auto& seed : leaf_.seeds)
            longest = std::max(longest, loose_words(seed.questions_and_answers[0].question).size());
        if (words < 2) c.refuse("form", "fewer than two words");
        if (words > 3 * longest + 10) c.refuse("form", "much longer than any seed");
        if (leaf_.grounded && c.context.empty()) c.refuse("form", "has no context, the seeds have one");
    }

    /// The teacher's answer: the sample's own, or, where a rule gives that, a second opinion. Exact work is asked for
    /// twice.
    void answer(leaf_run& run, std::vector<candidate>& batch) const {
        const auto asked = alive_in(batch);
        if (asked.empty()) return;
        const bool creative = detail::is_creative(leaf_);
        std::vector<text::request> requests;
        for (const std::size_t i : asked) {
            candidate& c = batch[i];
            text::request r;
            r.messages = exercise_examples(run.options.wordings, leaf_, no_seed, 0, 10);
            r.messages.push_back({"user", user_text(leaf_, c)});
            r.max_tokens = c.sure ? c.answer.size() + 8 : 256;
            if (creative)
                r.sampling = {.temperature = 0.7f, .top_p = 0.95f, .seed = run.stream("answer", c.number).next64()};
            c.provenance["persona"] = creative ? "creative" : "precise";
            requests.push_back(r);
            if (c.sure || creative) continue;
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
            if (text.empty() || given.finish == text::finish_reason::length)
                c.refuse("answer", text.empty() ? "the answer is empty" : "the answer does not come to an end");
            if (creative) continue;
            const double same = rouge_l(text, taxonomy::trim(answers[k++].text)).f1;
            c.scores["agreement"] = same;
            if (same < 0.5) c.refuse("agreement", "asked twice, the teacher answers differently");
        }
    }

    const taxonomy::leaf& leaf_;
    std::optional<answer_pattern> pattern_;
    std::vector<slot_shape> shapes_;
    std::vector<std::vector<std::string>> fillers_;
};

[[nodiscard]] inline text::request rate_request(const prompts::pack& wordings, const taxonomy::leaf& leaf,
                                                const std::string& question, const std::string& answer) {
    text::request r;
    r.messages = {{"user", wordings.render<prompts::rate_pair>(text::field<"task">(flat(leaf.task_description)),
                                                               text::field<"question">(question),
                                                               text::field<"answer">(answer))}};
    r.constraint.choices = {"1", "2", "3"};
    r.max_tokens = 2;
    return r;
}
/// The expected mark, 1 to 3.
[[nodiscard]] inline double mark_of(const text::completion& c) {
    if (c.choice_probabilities.size() != 3) return c.text.empty() ? 1.0 : static_cast<double>(c.text[0] - '0');
    return c.choice_probabilities[0] + 2 * c.choice_probabilities[1] + 3 * c.choice_probabilities[2];
}
/// log p(answer | examples, exercise) against the same answer to another seed's exercise: does it belong to this one?
inline void add_fit_requests(std::vector<text::score_request>& list, const prompts::pack& wordings,
                             const taxonomy::leaf& leaf, std::size_t not_this, const std::string& question,
                             const std::string& other, const std::string& answer) {
    for (const auto& q : {question, other}) {
        text::score_request r{exercise_examples(wordings, leaf, not_this, 0, 5), answer};
        r.messages.push_back({"user", q});
        list.push_back(std::move(r));
    }
}

/// Question and answer together: the mark 1 to 3 (2 and above stays, or the threshold that the seeds gave) and the fit
/// by likelihood, each as far as it can be trusted. What is not right by construction needs one trusted check.
struct pair_check {
    static constexpr std::string_view name = "pair";
    void operator()(leaf_run& run, std::vector<candidate>& batch) const {
        const auto* mark = run.trusted("mark");
        const auto* fit = run.trusted("fit");
        if (mark == nullptr && fit == nullptr)
            for (const std::size_t i : alive_in(batch, [](const candidate& c) { return !c.sure; }))
                batch[i].refuse(name, "no check of this teacher's can be trusted to confirm it");
        if (mark != nullptr) {
            const auto asked = alive_in(batch);
            std::vector<text::request> requests;
            requests.reserve(asked.size());
            for (const std::size_t i : asked)
                requests.push_back(
                    rate_request(run.options.wordings, run.leaf, user_text(run.leaf, batch[i]), batch[i].answer));
            const auto answers = requests.empty() ? std::vector<text::completion>{} : run.teacher.complete(requests);
            for (std::size_t k = 0; k < asked.size(); ++k) {
                const double m = mark_of(answers[k]);
                batch[asked[k]].scores["mark"] = m;
                if (m < mark->threshold && !batch[asked[k]].sure) batch[asked[k]].refuse(name, "marked too low");
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

/// Measures the skills' judges on the seeds of all skill leaves.
inline void calibrate_skills(any_teacher& teacher, std::span<const taxonomy::leaf* const> leaves,
                             const pipeline_options& options, std::map<std::string, calibration>& judges) {
    std::vector<text::request> marks[2];
    std::vector<text::score_request> fits[2];
    for (std::size_t s = 0; s < options.calibration_examples; ++s)
        for (const auto* leaf : leaves) {
            const std::size_t n = leaf->seeds.size();
            if (s >= n || n < 2 || marks[0].size() >= options.calibration_examples) continue;
            const auto own = detail::exercise(leaf->seeds[s]), other = detail::exercise(leaf->seeds[(s + 1) % n]);
            const auto &right = leaf->seeds[s].questions_and_answers[0].answer,
                       &wrong = leaf->seeds[(s + 2) % n].questions_and_answers[0].answer;
            marks[0].push_back(rate_request(options.wordings, *leaf, own, right));
            marks[1].push_back(rate_request(options.wordings, *leaf, own, wrong));
            add_fit_requests(fits[0], options.wordings, *leaf, s, own, other, right);
            add_fit_requests(fits[1], options.wordings, *leaf, s, own, other, wrong);
        }
    std::vector<double> scores[2];
    for (int g = 0; g < 2; ++g)
        for (const auto& c : teacher.complete(marks[g])) scores[g].push_back(mark_of(c));
    judges["mark"] = calibrate(scores[0], scores[1], options.least_auc);
    if (!teacher.can_score()) return;
    for (int g = 0; g < 2; ++g) {
        scores[g].clear();
        const auto answers = teacher.score(fits[g]);
        for (std::size_t i = 0; i + 1 < answers.size(); i += 2)
            scores[g].push_back(answers[i].log_probability - answers[i + 1].log_probability);
    }
    judges["fit"] = calibrate(scores[0], scores[1], options.least_auc);
}

[[nodiscard]] inline auto skill_pipeline() {
    return pipeline{pair_check{}, safety_check{}, contamination_check{}, near_duplicates{}};
}

}  // namespace lab::sdg
