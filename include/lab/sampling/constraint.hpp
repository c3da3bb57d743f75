// Any token-level constraint behind one type, and the one that a request asks for. Before each token: mask(candidates),
// then the sampler chain; after it: advance(token), and stop once finished().
#pragma once

#include <concepts>
#include <cstddef>
#include <exception>
#include <future>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/sampling/choice.hpp"
#include "lab/sampling/grammar/from_text.hpp"
#include "lab/sampling/grammar_constraint.hpp"
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
static_assert(Constraint<choice_constraint> && Constraint<span_constraint> && Constraint<grammar_constraint>);

/// One of the constraints, or none, which allows everything and never finishes.
class any_constraint {
public:
    any_constraint() = default;
    any_constraint(choice_constraint c) : state_(std::move(c)) {}   // NOLINT: implicit
    any_constraint(span_constraint c) : state_(std::move(c)) {}     // NOLINT: implicit
    any_constraint(grammar_constraint c) : state_(std::move(c)) {}  // NOLINT: implicit

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
        if (auto* grammar = std::get_if<grammar_constraint>(&state_)) grammar->advance(id);
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
    /// Whether leading_space, if asked for, lets a space come first that is not part of the answer: not where a
    /// grammar takes one itself.
    [[nodiscard]] bool takes_extra_space() const {
        const auto* grammar = std::get_if<grammar_constraint>(&state_);
        return grammar == nullptr || grammar->takes_extra_space();
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
        if (const auto* grammar = std::get_if<grammar_constraint>(&state_)) f(*grammar);
    }
    std::variant<std::monostate, choice_constraint, span_constraint, grammar_constraint> state_;
};

/// The grammars in use with one vocabulary, so that requests with the same one share what is computed for it. The least
/// recently used is dropped first. Thread-safe. The trie must outlive it and every constraint made from it.
class grammar_store {
public:
    explicit grammar_store(const token_trie& trie, std::size_t kept = 16) : trie_(&trie), kept_(kept) {}

    /// The grammar of wanted.regex, json_schema or grammar. @throws config_error or format_error when it is refused.
    [[nodiscard]] std::shared_ptr<token_grammar> get(const text::output_constraint& wanted,
                                                     bool leading_space = false) {
        const key name{wanted.regex, wanted.json_schema, wanted.grammar, leading_space};
        std::promise<std::shared_ptr<token_grammar>> promise;
        if (const auto others = find_or_add(name, promise); others.valid()) return others.get();
        try {  // without the lock: others need not wait for this one
            auto made = std::make_shared<token_grammar>(*trie_, grammar_from(wanted),
                                                        grammar_options{.leading_space = leading_space});
            promise.set_value(made);
            return made;
        } catch (...) {
            forget(name);
            promise.set_exception(std::current_exception());
            throw;
        }
    }

private:
    using key = std::tuple<std::string, std::string, std::string, bool>;
    using result = std::shared_future<std::shared_ptr<token_grammar>>;

    /// What was made, or is being made, for the key; not valid when it is new, and what `promise` gets is kept for it.
    [[nodiscard]] result find_or_add(const key& name, std::promise<std::shared_ptr<token_grammar>>& promise) {
        const std::lock_guard lock(mutex_);
        for (auto it = list_.begin(); it != list_.end(); ++it) {
            if (it->first != name) continue;
            list_.splice(list_.begin(), list_, it);
            return it->second;
        }
        list_.emplace_front(name, promise.get_future().share());
        if (list_.size() > kept_) list_.pop_back();
        return {};
    }
    void forget(const key& name) {
        const std::lock_guard lock(mutex_);
        list_.remove_if([&](const auto& entry) { return entry.first == name; });
    }
    const token_trie* trie_;
    std::size_t kept_;
    std::mutex mutex_;
    std::list<std::pair<key, result>> list_;  // most recently used first
};

/// @throws config_error when a request asks for more than one kind at once, or for choices that check_choices refuses.
inline void check_constraint(const text::output_constraint& wanted) {
    const int kinds = int{!wanted.choices.empty()} + int{!wanted.span_of.empty()} + int{!wanted.regex.empty()} +
                      int{!wanted.json_schema.empty()} + int{!wanted.grammar.empty()};
    if (kinds > 1)
        throw config_error(
            "an output constraint asks for more than one kind (give one of choices, span_of, regex, json_schema and "
            "grammar)");
    if (!wanted.choices.empty()) check_choices(wanted.choices);
}

/// The constraint that a request describes; none for an empty one. leading_space: for models whose words begin with a
/// space. store: of the same trie; without one a grammar is compiled for this constraint alone.
/// @throws config_error when it cannot be met, and as check_constraint does.
[[nodiscard]] inline any_constraint make_constraint(const token_trie& trie, const text::output_constraint& wanted,
                                                    bool leading_space = false, grammar_store* store = nullptr) {
    if (wanted.empty()) return {};
    check_constraint(wanted);
    if (wanted.has_grammar())
        return grammar_constraint(store != nullptr ? store->get(wanted, leading_space)
                                                   : grammar_store(trie).get(wanted, leading_space));
    if (!wanted.choices.empty()) return choice_constraint(trie, wanted.choices, {.leading_space = leading_space});
    return span_constraint(
        trie, wanted.span_of,
        {.min_words = wanted.min_words, .max_words = wanted.max_words, .leading_space = leading_space});
}

}  // namespace lab::sampling
