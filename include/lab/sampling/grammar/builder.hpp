// A grammar under construction: expressions and named rules, which the front ends (GBNF, regular expressions, JSON
// Schema) put together and `grammar` compiles. Expressions may be used in several places.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/sampling/grammar/code_points.hpp"

namespace lab::sampling {

/// What bounds a grammar, so that one from a stranger cannot take the memory or the time of all others.
struct grammar_limits {
    std::size_t text = 1 << 20;           // bytes of a grammar, pattern or schema
    std::size_t rules = 1 << 16;          // named or made on the way
    std::size_t expressions = 1 << 18;    // parts of the source
    std::size_t states = 1 << 18;         // of the automata, before and after they are made deterministic
    std::size_t repetitions = 10000;      // in {m,n}, minLength, maxItems ...
    std::size_t nesting = 100;            // of parentheses
    std::size_t stack_depth = 256;        // of rules inside rules in a text: deeper ones are not generated
    std::size_t live_stacks = 256;        // ways to read a text that are followed at once: further ones are dropped
    std::size_t stacks_in_a_step = 4096;  // looked at for one byte
};

class grammar_builder {
public:
    using expression = std::uint32_t;
    using rule_id = std::uint32_t;
    static constexpr std::size_t unbounded = std::numeric_limits<std::size_t>::max();
    static constexpr expression undefined = std::numeric_limits<expression>::max();

    enum class kind : std::uint8_t { bytes, chars, sequence, choice, repeat, call };
    struct node {
        kind is;
        std::string bytes{};
        code_set chars{};
        std::vector<expression> parts{};
        std::size_t min = 0, max = 0;  // of a repeat
        rule_id rule = 0;              // of a call
    };
    struct rule {
        std::string name;   // for messages
        std::string place;  // opens messages: "grammar:3:1"
        expression body = undefined;
    };

    grammar_builder() = default;
    explicit grammar_builder(const grammar_limits& limits) : limits_(limits) {}

    expression bytes(std::string_view text) { return add({.is = kind::bytes, .bytes = std::string(text)}); }
    expression nothing() { return bytes({}); }
    /// One character of the set. An empty set matches no string at all.
    expression chars(const code_set& set) { return add({.is = kind::chars, .chars = normalised(set)}); }
    expression sequence(std::vector<expression> parts) {
        return parts.size() == 1 ? parts[0] : add({.is = kind::sequence, .parts = std::move(parts)});
    }
    expression choice(std::vector<expression> parts) {
        return parts.size() == 1 ? parts[0] : add({.is = kind::choice, .parts = std::move(parts)});
    }
    /// @throws config_error when a bound is too large or max < min.
    expression repeat(expression part, std::size_t min, std::size_t max, std::string_view place) {
        if (min > limits_.repetitions || (max != unbounded && max > limits_.repetitions))
            throw config_error(explain(place, "more than " + std::to_string(limits_.repetitions) + " repetitions",
                                       "lower the bound or leave it open"));
        if (max < min)
            throw config_error(explain(place, "at least " + std::to_string(min) + " and at most " +
                                                  std::to_string(max) + " repetitions cannot be"));
        return add({.is = kind::repeat, .parts = {part}, .min = min, .max = max});
    }
    expression optional(expression part) { return repeat(part, 0, 1, {}); }
    expression call(rule_id to) { return add({.is = kind::call, .rule = to}); }

    /// A rule to be defined later. The first one is the root. Of long names and places the beginning is kept: rules
    /// made of a rule's parts bear them too.
    rule_id declare(std::string name, std::string place) {
        name = cut(std::move(name));
        place = cut(std::move(place));
        if (rules_.size() >= limits_.rules)
            throw config_error(explain(place, "more than " + std::to_string(limits_.rules) + " rules"));
        rules_.push_back({std::move(name), std::move(place)});
        return static_cast<rule_id>(rules_.size() - 1);
    }
    void define(rule_id id, expression body) { rules_[id].body = body; }
    void define(rule_id id, expression body, std::string place) {
        rules_[id].place = cut(std::move(place));
        define(id, body);
    }
    [[nodiscard]] bool is_defined(rule_id id) const { return rules_[id].body != undefined; }

    [[nodiscard]] const std::vector<node>& nodes() const noexcept { return nodes_; }
    [[nodiscard]] const std::vector<rule>& rules() const noexcept { return rules_; }
    [[nodiscard]] const grammar_limits& limits() const noexcept { return limits_; }

private:
    static std::string cut(std::string text) {
        std::size_t end = 200;
        if (text.size() <= end) return text;
        while ((static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // not inside a character
        return text.substr(0, end) + "...";
    }
    expression add(node n) {
        if (nodes_.size() >= limits_.expressions)
            throw config_error("grammar: more than " + std::to_string(limits_.expressions) + " parts");
        nodes_.push_back(std::move(n));
        return static_cast<expression>(nodes_.size() - 1);
    }

    grammar_limits limits_;
    std::vector<node> nodes_;
    std::vector<rule> rules_;
};

}  // namespace lab::sampling
