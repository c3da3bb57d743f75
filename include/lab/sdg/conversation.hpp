// Conversations: after an accepted first pair the teacher, as the user, asks what follows from it, answers in context,
// and every turn goes through the judges and the safety check by itself. A turn that fails twice ends the conversation
// before it; the sample keeps what it has and says why it ended. Without a trusted judge nothing is continued.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/sdg/contamination_check.hpp"
#include "lab/sdg/roles.hpp"

namespace lab::sdg {

struct conversation {
    static constexpr std::string_view name = "conversation";
    static constexpr std::size_t attempts = 2;

    void operator()(leaf_run& run, std::vector<candidate>& batch) const {
        if (run.options.turns < 2) return;
        auto open = alive_in(batch, [&](const candidate& c) {  // frames bring their further turns with them
            return !c.sure && !run.seen.samples.find(user_text(run.leaf, c) + "\n" + c.answer);
        });
        if (run.trusted(std::string(pair_judge(run.leaf).name)) == nullptr) {
            for (const std::size_t i : open)
                batch[i].provenance["conversation_ended"] = "no judge can be trusted to confirm further turns";
            return;
        }
        for (std::size_t turn = 2; turn <= run.options.turns && !open.empty(); ++turn) {
            std::vector<draft> drafts;
            for (const std::size_t i : open) drafts.push_back({i, {}, {}, {}, json::object()});
            for (std::size_t attempt = 0; attempt < attempts; ++attempt) {
                std::vector<draft*> failing;
                for (auto& d : drafts)
                    if (attempt == 0 || !d.problem.empty()) failing.push_back(&d);
                write(run, batch, failing, turn, attempt);
            }
            open.clear();
            for (auto& d : drafts) {
                candidate& c = batch[d.owner];
                if (!d.problem.empty()) {
                    c.provenance["conversation_ended"] = "turn " + std::to_string(turn) + ": " + d.problem;
                    continue;
                }
                c.more.push_back({std::move(d.question), std::move(d.answer)});
                c.provenance["turns"].push_back(std::move(d.scores));
                open.push_back(d.owner);
            }
        }
    }

private:
    struct draft {
        std::size_t owner;
        std::string question, answer, problem;
        json scores;
    };

    [[nodiscard]] static std::string spoken(const leaf_run& run, const candidate& c, bool with_context) {
        std::string text = "User: " + (with_context ? user_text(run.leaf, c) : c.question) + "\nAssistant: " + c.answer;
        for (const auto& turn : c.more)
            text.append("\nUser: ").append(turn.question).append("\nAssistant: ").append(turn.answer);
        return text;
    }
    [[nodiscard]] static text::messages messages_of(const leaf_run& run, const candidate& c) {
        text::messages m;
        add_turn(m, user_text(run.leaf, c), c.answer);
        for (const auto& turn : c.more) add_turn(m, turn.question, turn.answer);
        return m;
    }
    [[nodiscard]] static std::vector<draft*> still_good(const std::vector<draft*>& drafts) {
        std::vector<draft*> good;
        for (auto* d : drafts)
            if (d->problem.empty()) good.push_back(d);
        return good;
    }

    static void write(leaf_run& run, std::vector<candidate>& batch, const std::vector<draft*>& drafts, std::size_t turn,
                      std::size_t attempt) {
        ask(run, batch, drafts, turn, attempt);
        grade(run, batch, still_good(drafts), question_judge, "question");
        const auto asked = still_good(drafts);
        if (asked.empty()) return;
        std::vector<text::request> requests;
        for (const auto* d : asked) {
            const candidate& c = batch[d->owner];
            requests.push_back(respond::request_for(run, d->question, messages_of(run, c)));
            if (creative(run))
                requests.back().sampling = {
                    .temperature = 0.7f,
                    .top_p = 0.95f,
                    .seed = run.stream(stream_name("answer", turn, attempt), c.number).next64()};
        }
        const auto answers = run.teacher.complete(requests);
        for (std::size_t k = 0; k < asked.size(); ++k) {
            asked[k]->answer = taxonomy::trim(answers[k].text);
            asked[k]->problem = respond::unfinished(answers[k]);
            if (!asked[k]->problem.empty()) continue;
            if (const auto unsafe = safety_check::problem_of(run, asked[k]->question, asked[k]->answer))
                asked[k]->problem = *unsafe;
            if (const auto leak = contamination_check::problem_of(run.options, asked[k]->question, asked[k]->answer))
                asked[k]->problem = *leak;
        }
        const auto answered = still_good(drafts);
        grade(run, batch, answered, pair_judge(run.leaf), "answer");
        if (run.options.safety_judge) grade(run, batch, still_good(answered), harmless_judge, "safety");
    }

    [[nodiscard]] static std::string stream_name(const char* what, std::size_t turn, std::size_t attempt) {
        return what + (" of turn " + std::to_string(turn)) + " try " + std::to_string(attempt);
    }

    static void ask(leaf_run& run, const std::vector<candidate>& batch, const std::vector<draft*>& drafts,
                    std::size_t turn, std::size_t attempt) {
        std::vector<text::request> requests;
        for (const auto* d : drafts) {
            const candidate& c = batch[d->owner];
            text::request r;
            r.messages = {{"system", std::string(run.options.wordings.text<prompts::question_writer>())},
                          {"user", run.options.wordings.render<prompts::write_follow_up>(
                                       text::field<"task">(detail::task_of(run.leaf)),
                                       text::field<"conversation">(spoken(run, c, true)))}};
            r.max_tokens = 160;
            r.sampling = {.temperature = 0.9f,
                          .top_p = 0.95f,
                          .seed = run.stream(stream_name("question", turn, attempt), c.number).next64()};
            requests.push_back(std::move(r));
        }
        const auto questions = requests.empty() ? std::vector<text::completion>{} : run.teacher.complete(requests);
        for (std::size_t k = 0; k < drafts.size(); ++k) {
            draft& d = *drafts[k];
            const candidate& c = batch[d.owner];
            d.question = taxonomy::trim(questions[k].text);
            if (d.question.starts_with("User:")) d.question = taxonomy::trim(d.question.substr(5));
            d.problem.clear();
            d.scores = {{"attempt", attempt}};
            if (questions[k].finish == text::finish_reason::length) d.problem = "the question does not come to an end";
            if (loose_words(d.question).size() < 2) d.problem = "a question of fewer than two words";
            bool again = rouge_l(c.question, d.question).f1 >= 0.7;
            for (const auto& before : c.more) again = again || rouge_l(before.question, d.question).f1 >= 0.7;
            if (again) d.problem = "asks what was asked before";
        }
    }

    /// Lets a judge see the conversation with its new end; judges that are not trusted are not asked.
    static void grade(leaf_run& run, const std::vector<candidate>& batch, const std::vector<draft*>& drafts,
                      const judge_form& form, const char* what) {
        const auto* judge = run.trusted(std::string(form.name));
        if (judge == nullptr || drafts.empty()) return;
        std::vector<exhibit> shown;
        for (const auto* d : drafts)
            shown.push_back(exhibit_of(run.leaf, batch[d->owner].context,
                                       spoken(run, batch[d->owner], false) + "\nUser: " + d->question, d->answer));
        const auto verdicts = run.verdicts(form, shown);
        for (std::size_t k = 0; k < drafts.size(); ++k) {
            drafts[k]->scores[what] = verdicts[k].score;
            drafts[k]->problem = detail::objection(verdicts[k], *judge, what);
        }
    }
};

}  // namespace lab::sdg
