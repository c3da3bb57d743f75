// Matching by sets of stacks: all ways to read the text so far at once, each a row of automaton states (places to
// return to, then where reading goes on). Every stack can be completed within the depth limit.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/sampling/grammar/automaton.hpp"
#include "lab/sampling/grammar/builder.hpp"

namespace lab::sampling {

/// After some text: the stacks that wait for a byte, in order, and whether the text is complete as it is.
struct grammar_state {
    using stack = std::vector<std::uint32_t>;
    std::vector<stack> stacks;
    bool accepts = false;

    [[nodiscard]] bool dead() const noexcept { return stacks.empty() && !accepts; }
    friend auto operator<=>(const grammar_state&, const grammar_state&) = default;
};

class stack_machine {
public:
    stack_machine(const automaton& a, const grammar_limits& limits) : a_(&a), limits_(&limits) {}

    [[nodiscard]] grammar_state start() const {
        run r;
        follow(r, {a_->rules.front().start});
        return std::move(r).state();
    }
    /// `work` grows by the stacks that were looked at.
    [[nodiscard]] grammar_state step(const grammar_state& from, unsigned char byte, std::size_t& work) const {
        run r;
        for (const auto& stack : from.stacks) {
            for (const auto& e : a_->bytes_of(a_->states[stack.back()])) {
                if (byte < e.first || byte > e.last) continue;
                auto next = stack;
                next.back() = e.to;
                follow(r, std::move(next));
            }
        }
        work += r.looked;
        return std::move(r).state();
    }

private:
    struct run {
        std::set<grammar_state::stack> seen{}, waiting{};
        std::vector<grammar_state::stack> todo{};
        std::size_t looked = 0;
        bool accepts = false;

        [[nodiscard]] grammar_state state() && {
            grammar_state s;
            s.stacks.reserve(waiting.size());
            while (!waiting.empty()) s.stacks.push_back(std::move(waiting.extract(waiting.begin()).value()));
            s.accepts = accepts;
            return s;
        }
    };
    /// Calls and returns until a byte is needed.
    void follow(run& r, grammar_state::stack first) const {
        r.todo.push_back(std::move(first));
        while (!r.todo.empty()) {
            auto stack = std::move(r.todo.back());
            r.todo.pop_back();
            if (++r.looked > 16 * limits_->stacks_in_a_step) continue;  // those without calls and returns count too
            const std::uint32_t top = stack.back();
            const auto& s = a_->states[top];
            if (stack.size() - 1 + a_->needs[top] > limits_->stack_depth) continue;
            if (s.bytes_begin != s.bytes_end && r.waiting.size() < limits_->live_stacks) r.waiting.insert(stack);
            if (!s.final && s.calls_begin == s.calls_end) continue;
            if (r.seen.size() >= limits_->stacks_in_a_step || !r.seen.insert(stack).second) continue;
            for (const auto& call : a_->calls_of(s)) {
                auto called = stack;
                if (call.tail) {
                    called.pop_back();
                } else {
                    called.back() = call.to;
                    if (called.size() - 1 + a_->needs[call.to] > limits_->stack_depth) continue;
                }
                called.push_back(a_->rules[call.rule].start);
                r.todo.push_back(std::move(called));
            }
            if (!s.final) continue;
            stack.pop_back();
            if (stack.empty())
                r.accepts = true;
            else
                r.todo.push_back(std::move(stack));
        }
    }

    const automaton* a_;
    const grammar_limits* limits_;
};

}  // namespace lab::sampling
