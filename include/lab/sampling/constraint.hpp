// Any token-level constraint behind one type, and the one that a request asks for. Before each token: mask(candidates),
// then the sampler chain; after it: advance(token), and stop once finished().
#pragma once

#include <concepts>
#include <optional>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/sampling/choice.hpp"
#include "lab/sampling/span.hpp"
#include "lab/text/request.hpp"

namespace lab::sampling {

template <class C>
concept Constraint = std::copyable<C> &&
    requires(C& state, const C& c, candidates& list, std::vector<token>& ids, token id) {
    c.allowed(ids);
    c.mask(list);
    state.advance(id);
    { c.can_end() } -> std::same_as<bool>;
    { c.finished() } -> std::same_as<bool>;
};
static_assert(Constraint<choice_constraint> && Constraint<span_constraint>);

/// One of the constraints, or none, which allows everything and never finishes.
class any_constraint {
public:
    any_constraint() = default;
    any_constraint(choice_constraint c) : state_(std::move(c)) {}  // NOLINT: implicit
    any_constraint(span_constraint c) : state_(std::move(c)) {}    // NOLINT: implicit

    /// False: there is no constraint.
    [[nodiscard]] explicit operator bool() const noexcept { return state_.index() != 0; }
    /// The tokens that may come next, ascending. Only where there is a constraint.
    void allowed(std::vector<token>& out) const {
        visit([&](const auto& c) { c.allowed(out); });
    }
    void mask(candidates& list) const {
        visit([&](const auto& c) { c.mask(list); });
    }
    void advance(token id) {
        if (auto* choice = std::get_if<choice_constraint>(&state_)) choice->advance(id);
        if (auto* span = std::get_if<span_constraint>(&state_)) span->advance(id);
    }
    [[nodiscard]] bool can_end() const {
        bool result = true;
        visit([&](const auto& c) { result = c.can_end(); });
        return result;
    }
    [[nodiscard]] bool finished() const {
        bool result = false;
        visit([&](const auto& c) { result = c.finished(); });
        return result;
    }
    /// For a choice: which string came out; nothing otherwise.
    [[nodiscard]] std::optional<std::size_t> chosen() const {
        const auto* choice = std::get_if<choice_constraint>(&state_);
        return choice != nullptr ? choice->chosen() : std::nullopt;
    }

private:
    template <class F>
    void visit(F f) const {
        if (const auto* choice = std::get_if<choice_constraint>(&state_)) f(*choice);
        if (const auto* span = std::get_if<span_constraint>(&state_)) f(*span);
    }
    std::variant<std::monostate, choice_constraint, span_constraint> state_;
};

/// The constraint that a request describes; none for an empty one. leading_space: for models whose words begin with a
/// space.
/// @throws config_error when it cannot be met, or asks for choices and a span at once.
[[nodiscard]] inline any_constraint make_constraint(const token_trie& trie, const text::output_constraint& wanted,
                                                    bool leading_space = false) {
    if (wanted.empty()) return {};
    if (!wanted.choices.empty() && !wanted.span_of.empty())
        throw config_error("an output constraint asks for choices and for a span (give one of the two)");
    if (!wanted.choices.empty()) return choice_constraint(trie, wanted.choices, {.leading_space = leading_space});
    return span_constraint(
        trie, wanted.span_of,
        {.min_words = wanted.min_words, .max_words = wanted.max_words, .leading_space = leading_space});
}

}  // namespace lab::sampling
