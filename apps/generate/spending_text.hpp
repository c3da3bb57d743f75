// What a run costs or would cost, for people.
#pragma once

#include <ostream>
#include <string>

#include "common/progress.hpp"
#include "lab/sdg/dry_run.hpp"

namespace lab::apps {

/// "12345 tokens (678 of them asked for now), 0.12 of 5.00"
[[nodiscard]] inline std::string spent_text(const sdg::ledger& accounts) {
    const auto& limit = accounts.limit;
    const auto &run = accounts.run, &now = accounts.now;
    std::string text = std::to_string(run.tokens());
    if (limit.most_tokens > 0) text += " of " + std::to_string(limit.most_tokens);
    text += " tokens";
    if (now.tokens() < run.tokens()) text += " (" + std::to_string(now.tokens()) + " of them now)";
    if (limit.price.known()) text += ", cost " + sdg::money_text(run.cost(limit.price));
    if (limit.most_cost > 0) text += " of " + sdg::money_text(limit.most_cost);
    return text;
}

inline void show_plan(std::ostream& out, const sdg::call_plan& plan, const sdg::budget& budget,
                      const sdg::journal::pace& pace, bool json) {
    auto most = plan.expected;
    most.completion_tokens = plan.most_completion_tokens;
    if (json) {
        formats::json value{{"answered", sdg::to_json(plan.known, budget.price)},
                            {"expected", sdg::to_json(plan.expected, budget.price)},
                            {"at_most_completion_tokens", plan.most_completion_tokens},
                            {"leaves", plan.leaves},
                            {"samples", plan.samples}};
        if (const double seconds = plan.seconds(pace); seconds > 0) value["expected_seconds"] = seconds;
        out << formats::to_text(value) << '\n';
        return;
    }
    out << plan.leaves << " leaves, played with a stand-in that passes every check: " << plan.samples << " samples\n";
    if (plan.known.answers() > 0)
        out << "  known     " << plan.known.answers() << " answers, " << plan.known.tokens()
            << " tokens: they stand in the journal\n";
    out << "  to ask    " << plan.expected.completions << " completions and " << plan.expected.scores
        << " likelihoods (estimated from below: a real teacher's proposals are refused more often)\n"
        << "  prompts   about " << plan.expected.prompt_tokens << " tokens (four bytes each)\n"
        << "  answers   about " << plan.expected.completion_tokens << " tokens (half of what they may have), at most "
        << plan.most_completion_tokens << '\n';
    if (budget.price.known())
        out << "  cost      about " << sdg::money_text(plan.expected.cost(budget.price)) << ", at most "
            << sdg::money_text(most.cost(budget.price)) << " for these calls\n";
    if (const double seconds = plan.seconds(pace); seconds > 0)
        out << "  time      about " << duration_text(seconds) << " at the pace of the " << pace.calls
            << " calls so far\n";
    else if (plan.expected.answers() > 0)
        out << "  time      not known before the teacher has answered once\n";
}

}  // namespace lab::apps
