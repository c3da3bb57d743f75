// What a run would ask of its teacher: the run itself, played with a stand-in that answers at once. Known answers come
// from the journal, so a run that was stopped is followed exactly as far as it got; from there on the stand-in passes
// every judge and writes words of no meaning. Calls and prompts are then an estimate from below (a real teacher's
// proposals are refused more often), the length of answers a guess with an upper bound.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lab/sdg/generate.hpp"
#include "lab/sdg/journaled.hpp"

namespace lab::sdg {

struct call_plan {
    spending known;                            // answered already, by the journal
    spending expected;                         // still to ask
    std::uint64_t most_completion_tokens = 0;  // of those still to ask, if every answer were as long as it may be
    std::size_t leaves = 0, samples = 0;       // that the stand-in got

    /// Seconds at the pace of earlier calls; 0: there were none.
    [[nodiscard]] double seconds(const journal::pace& p) const {
        return p.tokens == 0 ? 0 : static_cast<double>(expected.tokens()) * p.seconds / static_cast<double>(p.tokens);
    }
};

/// Answers from the journal, else as a stand-in; counts both. Asks and writes nothing.
class stand_in_teacher {
public:
    /// @param log may be absent
    stand_in_teacher(std::span<const taxonomy::leaf> leaves, journal* log, std::string identity, bool scores,
                     call_plan& plan)
        : journal_(log), identity_(std::move(identity)), scores_(scores), plan_(&plan) {
        for (const auto& leaf : leaves)
            for (const auto& seed : leaf.seeds)
                for (const auto& qa : seed.questions_and_answers) {
                    const std::string asked = seed.context.empty() || leaf.kind == taxonomy::root::knowledge
                                                  ? qa.question
                                                  : flat(seed.context) + "\n\n" + qa.question;
                    answers_.emplace(asked, qa.answer);
                }
    }
    [[nodiscard]] std::vector<text::completion> complete(std::span<const text::request> requests) {
        std::vector<text::completion> answers;
        for (const auto& r : requests) {
            const auto key = journal_key(identity_, "complete", to_json(r));
            const auto line = journal_ == nullptr ? std::nullopt : journal_->find(key);
            auto c = line ? completion_from_json(*line) : invented(r);
            if (seen_.insert(key.hex()).second) {
                if (!line) plan_->most_completion_tokens += r.max_tokens;
                count(line ? plan_->known : plan_->expected, r, c);
            }
            answers.push_back(std::move(c));
        }
        return answers;
    }
    [[nodiscard]] std::vector<text::score> score(std::span<const text::score_request> requests) {
        std::vector<text::score> answers;
        for (const auto& r : requests) {
            const auto key = journal_key(identity_, "score", to_json(r));
            const auto line = journal_ == nullptr ? std::nullopt : journal_->find(key);
            const std::size_t tokens = (r.answer.size() + 3) / 4;
            const auto s = line ? score_from_json(*line) : text::score{-static_cast<double>(tokens), tokens};
            if (seen_.insert(key.hex()).second) {
                if (!line) plan_->most_completion_tokens += tokens;
                count(line ? plan_->known : plan_->expected, r, s);
            }
            answers.push_back(s);
        }
        return answers;
    }
    [[nodiscard]] bool can_score() const { return scores_; }
    [[nodiscard]] static bool takes_raw() { return true; }
    [[nodiscard]] std::string identity() const { return identity_; }

private:
    /// The first of several choices, a seed's answer to a seed's question, else words that nobody has said before.
    [[nodiscard]] text::completion invented(const text::request& r) const {
        text::completion c;
        const auto& choices = r.constraint.choices;
        if (!choices.empty()) {
            c.text = choices.front();
            c.choice_probabilities.assign(choices.size(), 0.0);
            c.choice_probabilities.front() = 1.0;
        } else if (const auto at = r.messages.empty() ? answers_.end() : answers_.find(r.messages.back().content);
                   at != answers_.end()) {
            c.text = at->second;
        } else {
            const std::string digest = sha256_hex(formats::to_text(to_json(r)));
            c.text = "Word" + digest.substr(0, 6) + " of " + digest.substr(6, 6) + " and " + digest.substr(12, 6) + "?";
            if (const auto& schema = r.constraint.json_schema; !schema.empty())
                c.text = formats::to_text(of_schema(formats::parse_json(schema, "schema"), c.text));
        }
        c.completion_tokens = choices.empty() ? (r.max_tokens + 1) / 2 : 1;
        c.prompt_tokens = most_of(r).prompt_tokens;
        return c;
    }

    /// Objects with all their members, lists of one, and the words wherever a text may stand.
    [[nodiscard]] static json of_schema(const json& schema, const std::string& words) {
        const auto type = schema.value("type", std::string());
        if (type == "array") return json::array({of_schema(schema.value("items", json::object()), words)});
        if (type != "object") return words;
        const json members = schema.value("properties", json::object());
        json value = json::object();
        for (const auto& [name, member] : members.items()) value[name] = of_schema(member, words);
        return value;
    }

    journal* journal_;
    std::string identity_;
    bool scores_;
    call_plan* plan_;
    std::map<std::string, std::string> answers_;  // by question, of the seeds
    std::set<std::string> seen_;
};
static_assert(teacher<stand_in_teacher>);

/// Plays a run. @param log of an earlier run, may be absent; `identity` and `scores` are the teacher's, as far as known
[[nodiscard]] inline call_plan plan_run(std::span<const taxonomy::leaf> leaves, pipeline_options options,
                                        token_counter count, journal* log, const std::string& identity, bool scores,
                                        const run_observer& observer = {}) {
    call_plan plan;
    any_teacher teacher(stand_in_teacher(leaves, log, identity, scores, plan));
    // No stand-in can tell right from wrong; judges that were measured already keep their standing.
    if (log == nullptr || log->size() == 0) options.least_auc = 0;
    const auto made = generate(leaves, teacher, options, count, observer, {}, nullptr,
                               [](const leaf_result&, const run_result&) {});  // only counts are wanted
    plan.leaves = made.summaries.size();
    for (const auto& s : made.summaries) plan.samples += s.generated();
    return plan;
}

}  // namespace lab::sdg
