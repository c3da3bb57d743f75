// A teacher behind a journal: what was asked before is answered from there, in any order, and only the rest is asked.
// Equal requests are asked once. Counts what the run's answers cost and stops before its budget is passed.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lab/sdg/journal.hpp"
#include "lab/sdg/request_json.hpp"
#include "lab/sdg/spending.hpp"
#include "lab/sdg/teacher.hpp"

namespace lab::sdg {

/// A run's accounts.
struct ledger {
    budget limit{};
    spending run{};                            // every answer that the run used
    spending now{};                            // those of them that were asked for by this process
    std::uint64_t foreseen_prompt_tokens = 0;  // of the run's requests, by their lengths
};

[[nodiscard]] inline digest128 journal_key(const std::string& teacher, const char* kind, const json& request) {
    return digest128::of(formats::to_text(json{{"teacher", teacher}, {"kind", kind}, {"request", request}}));
}

template <teacher T>
class journaled {
public:
    /// @param accounts may be absent; like teacher and journal it must outlive this
    journaled(T& inner, journal& log, ledger* accounts = nullptr)
        : inner_(&inner), journal_(&log), accounts_(accounts), identity_(inner.identity()) {}

    [[nodiscard]] std::vector<text::completion> complete(std::span<const text::request> requests) {
        return answer<text::completion>(
            requests, "complete", [](const json& j) { return completion_from_json(j); },
            [&](std::span<const text::request> missing, auto& sink) { complete_each(*inner_, missing, sink); });
    }
    [[nodiscard]] std::vector<text::score> score(std::span<const text::score_request> requests) {
        return answer<text::score>(
            requests, "score", [](const json& j) { return score_from_json(j); },
            [&](std::span<const text::score_request> missing, auto& sink) { score_each(*inner_, missing, sink); });
    }
    [[nodiscard]] std::string identity() const { return identity_; }
    [[nodiscard]] bool can_score() const { return sdg::can_score(*inner_); }
    [[nodiscard]] bool takes_raw() const { return sdg::takes_raw(*inner_); }
    /// The teacher's own and those of the answers used: the same whether these were asked for now or before.
    [[nodiscard]] std::vector<std::string> notes() const {
        auto all = notes_;
        for (auto& note : notes_of(*inner_)) all.insert(std::move(note));
        return {all.begin(), all.end()};
    }
    /// Calls that went to the teacher, and those answered from the journal.
    [[nodiscard]] std::size_t asked() const noexcept { return asked_; }
    [[nodiscard]] std::size_t remembered() const noexcept { return remembered_; }

private:
    struct by_digest {
        bool operator()(const digest128& a, const digest128& b) const noexcept {
            return std::pair(a.high, a.low) < std::pair(b.high, b.low);
        }
    };

    template <class Answer, class Request, class Read, class Ask>
    std::vector<Answer> answer(std::span<const Request> requests, const char* kind, Read read, Ask ask) {
        std::vector<digest128> keys;
        std::map<digest128, std::optional<Answer>, by_digest> got;
        std::vector<std::size_t> first;  // the first of equal requests
        keys.reserve(requests.size());
        for (std::size_t i = 0; i < requests.size(); ++i) {
            keys.push_back(journal_key(identity_, kind, to_json(requests[i])));
            remembered_ += journal_->contains(keys.back());
            if (got.try_emplace(keys.back()).second) first.push_back(i);
        }
        const auto known = [&](const digest128& key) -> std::optional<Answer> {
            try {
                if (const auto line = journal_->find(key)) return read(*line);
            } catch (const format_error&) {  // of another version: asked anew
            }
            return std::nullopt;
        };
        // In parts that surely fit the budget; the same parts whether answers are known or not.
        for (std::size_t at = 0; at < first.size();) {
            const std::size_t count = fitting(requests, keys, std::span(first).subspan(at));
            std::vector<Request> missing;
            std::vector<digest128> missing_keys;
            for (const std::size_t i : std::span(first).subspan(at, count))
                if (!(got[keys[i]] = known(keys[i]))) missing.push_back(requests[i]), missing_keys.push_back(keys[i]);
            if (!missing.empty()) {
                const spending before = now_;
                const auto start = std::chrono::steady_clock::now();
                std::vector<std::pair<digest128, json>> together;
                auto sink = [&](std::size_t i, const Answer& a) {
                    sdg::count(now_, missing[i], a);
                    if (accounts_ != nullptr) sdg::count(accounts_->now, missing[i], a);
                    together.emplace_back(missing_keys[i], to_json(a));
                    if constexpr (requires { a.more_to_come; })
                        if (a.more_to_come > 0) return;
                    journal_->add(together);
                    for (const auto& [key, line] : together) got[key] = read(line);  // as a later run will read it
                    asked_ += together.size();
                    together.clear();
                };
                try {
                    ask(std::span<const Request>(missing), sink);
                } catch (...) {
                    sync_quietly();
                    throw;
                }
                const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
                journal_->add_pace({now_.answers() - before.answers(), now_.tokens() - before.tokens(), took.count()});
                journal_->sync();
            }
            for (const std::size_t i : std::span(first).subspan(at, count)) use(requests[i], keys[i], got[keys[i]]);
            at += count;
        }
        std::vector<Answer> answers;
        answers.reserve(requests.size());
        for (const auto& key : keys) answers.push_back(*got[key]);
        return answers;
    }

    /// How many of these, in their order, the budget surely covers. @throws budget_ended where not even one
    template <class Request>
    std::size_t fitting(std::span<const Request> requests, const std::vector<digest128>& keys,
                        std::span<const std::size_t> wanted) const {
        if (accounts_ == nullptr || !accounts_->limit.limited()) return wanted.size();
        spending might = accounts_->run;
        // Other scripts than the Latin, chat formats and likelihoods of choices cost more than lengths tell.
        const double dearer = accounts_->foreseen_prompt_tokens == 0
                                  ? 1.0
                                  : std::max(1.0, static_cast<double>(accounts_->run.prompt_tokens) /
                                                      static_cast<double>(accounts_->foreseen_prompt_tokens));
        std::size_t count = 0;
        for (const std::size_t i : wanted) {
            if (!journal_->used(keys[i])) {
                const auto most = most_of(requests[i]);
                might.prompt_tokens +=
                    static_cast<std::uint64_t>(std::ceil(dearer * static_cast<double>(most.prompt_tokens)));
                might.completion_tokens += most.completion_tokens;
            }
            if (!accounts_->limit.covers(might)) break;
            ++count;
        }
        if (count > 0) return count;
        const auto& limit = accounts_->limit;
        std::string spent = std::to_string(accounts_->run.tokens()) + " tokens";
        if (limit.most_tokens > 0) spent += " of " + std::to_string(limit.most_tokens);
        if (limit.most_cost > 0)
            spent += ", " + money_text(accounts_->run.cost(limit.price)) + " of " + money_text(limit.most_cost);
        throw budget_ended("the budget ends here: " + spent + " are spent, and the next request might pass it");
    }
    template <class Request, class Answer>
    void use(const Request& request, const digest128& key, const std::optional<Answer>& a) {
        if (!a) throw error("teacher: a request was left without an answer");
        if (journal_->used(key)) return;
        journal_->set_used(key);
        if constexpr (requires { a->notes; }) notes_.insert(a->notes.begin(), a->notes.end());
        if (accounts_ == nullptr) return;
        sdg::count(accounts_->run, request, *a);
        accounts_->foreseen_prompt_tokens += most_of(request).prompt_tokens;
    }
    void sync_quietly() noexcept {
        try {
            journal_->sync();
        } catch (const io_error&) {  // what is thrown already says more
        }
    }

    T* inner_;
    journal* journal_;
    ledger* accounts_;
    std::string identity_;
    std::set<std::string> notes_;
    spending now_;
    std::size_t asked_ = 0, remembered_ = 0;
};

}  // namespace lab::sdg
