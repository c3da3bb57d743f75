// What answers cost, in tokens and money, and budgets that end a run before they are passed. Counted are the answers
// that a run uses, each once, whether they were asked for now or by an earlier run of the same command: so a budget
// ends a resumed run where it ends one that was never interrupted.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

#include "lab/core/error.hpp"
#include "lab/formats/json.hpp"
#include "lab/text/request.hpp"

namespace lab::sdg {

/// Of a million tokens, in any currency.
struct prices {
    double prompt = 0, completion = 0;
    [[nodiscard]] bool known() const noexcept { return prompt > 0 || completion > 0; }
};

struct spending {
    std::uint64_t completions = 0, scores = 0;  // answers
    std::uint64_t prompt_tokens = 0, completion_tokens = 0;
    std::uint64_t estimated = 0;   // answers whose tokens the teacher did not tell
    std::uint64_t no_verdict = 0;  // answers to a choice that were none of the choices

    [[nodiscard]] std::uint64_t answers() const noexcept { return completions + scores; }
    [[nodiscard]] std::uint64_t tokens() const noexcept { return prompt_tokens + completion_tokens; }
    [[nodiscard]] double cost(const prices& p) const noexcept {
        return (static_cast<double>(prompt_tokens) * p.prompt + static_cast<double>(completion_tokens) * p.completion) /
               1e6;
    }
};

/// Zero: no limit.
struct budget {
    std::uint64_t most_tokens = 0;
    double most_cost = 0;
    prices price{};

    [[nodiscard]] bool limited() const noexcept { return most_tokens > 0 || most_cost > 0; }
    [[nodiscard]] bool covers(const spending& s) const noexcept {
        return (most_tokens == 0 || s.tokens() <= most_tokens) && (most_cost <= 0 || s.cost(price) <= most_cost);
    }
};

/// The next request might pass the budget. What was asked is kept; a larger budget goes on from there.
struct budget_ended : error {
    using error::error;
};

[[nodiscard]] inline std::string money_text(double amount) {
    char text[48];
    std::snprintf(text, sizeof text, amount != 0 && amount < 1 ? "%.4f" : "%.2f", amount);
    return text;
}

/// For a manifest: the same for the same answers, whoever gave them and when.
[[nodiscard]] inline formats::json to_json(const spending& s, const prices& p) {
    formats::json value{{"completions", s.completions},     {"scores", s.scores},
                        {"prompt_tokens", s.prompt_tokens}, {"completion_tokens", s.completion_tokens},
                        {"estimated", s.estimated},         {"no_verdict", s.no_verdict}};
    if (p.known())
        value["cost"] = {{"prompt_price", p.prompt}, {"completion_price", p.completion}, {"total", s.cost(p)}};
    return value;
}

namespace spending_detail {

/// Four bytes a token, and some for each message's frame. Without a tokenizer no better is to be had.
[[nodiscard]] inline std::size_t tokens_of(const text::messages& messages) {
    std::size_t tokens = 0;
    for (const auto& m : messages) tokens += (m.content.size() + 3) / 4 + 4;
    return tokens;
}
[[nodiscard]] inline std::size_t tokens_of(const std::string& text) { return (text.size() + 3) / 4; }

}  // namespace spending_detail

/// What a request may cost at most, before it is asked: the prompt by its length, the answer by its limit.
[[nodiscard]] inline text::usage most_of(const text::request& r) {
    return {spending_detail::tokens_of(r.messages) + spending_detail::tokens_of(r.assistant_prefix), r.max_tokens};
}
[[nodiscard]] inline text::usage most_of(const text::score_request& r) {
    return {spending_detail::tokens_of(r.messages), spending_detail::tokens_of(r.answer)};
}

/// Counts an answer in: what the teacher says it took, else what it holds, else an estimate.
inline void count(spending& s, const text::request& r, const text::completion& c) {
    ++s.completions;
    s.no_verdict += !c.no_verdict.empty();
    text::usage u = c.spent;
    if (u == text::usage{}) u = {c.prompt_tokens, c.completion_tokens};
    if (u == text::usage{}) {
        u = {most_of(r).prompt_tokens, spending_detail::tokens_of(c.text)};
        ++s.estimated;
    }
    s.prompt_tokens += u.prompt_tokens;
    s.completion_tokens += u.completion_tokens;
}
inline void count(spending& s, const text::score_request& r, const text::score& answer) {
    ++s.scores;
    text::usage u = answer.spent;
    if (u == text::usage{}) {
        u = {most_of(r).prompt_tokens, answer.tokens};
        ++s.estimated;
    }
    s.prompt_tokens += u.prompt_tokens;
    s.completion_tokens += u.completion_tokens;
}

}  // namespace lab::sdg
