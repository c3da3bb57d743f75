// A context-free grammar over bytes, compiled once. Made by the front ends in grammar/: GBNF, regular expressions and
// JSON Schema. To hold a model to it: grammar_constraint.hpp.
#pragma once

#include <memory>
#include <string_view>
#include <utility>

#include "lab/sampling/grammar/automaton.hpp"
#include "lab/sampling/grammar/builder.hpp"
#include "lab/sampling/grammar/compile.hpp"
#include "lab/sampling/grammar/stacks.hpp"

namespace lab::sampling {

/// Copies share the compiled form, which nothing changes.
class grammar {
public:
    /// The builder's first rule is the root. @throws config_error naming the rule, see grammar_compiler.
    explicit grammar(const grammar_builder& source)
        : self_(std::make_shared<const data>(data{grammar_compiler(source).run(), source.limits()})) {}

    [[nodiscard]] const automaton& states() const noexcept { return self_->compiled; }
    [[nodiscard]] const grammar_limits& limits() const noexcept { return self_->limits; }

    [[nodiscard]] grammar_state start() const { return machine().start(); }
    [[nodiscard]] grammar_state step(const grammar_state& from, unsigned char byte) const {
        std::size_t work = 0;
        return step(from, byte, work);
    }
    /// `work` grows by the stacks that were looked at.
    [[nodiscard]] grammar_state step(const grammar_state& from, unsigned char byte, std::size_t& work) const {
        return machine().step(from, byte, work);
    }
    /// Whether the grammar gives exactly this text.
    [[nodiscard]] bool matches(std::string_view text) const {
        auto state = start();
        for (const char c : text) {
            if (state.stacks.empty()) return false;
            state = step(state, static_cast<unsigned char>(c));
        }
        return state.accepts;
    }

private:
    struct data {
        automaton compiled;
        grammar_limits limits;
    };
    [[nodiscard]] stack_machine machine() const { return {self_->compiled, self_->limits}; }

    std::shared_ptr<const data> self_;
};

}  // namespace lab::sampling
