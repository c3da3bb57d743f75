// Grammars in GBNF, the notation of llama.cpp (grammars/README.md there): name ::= "literal" [class] . ( | ) * + ?
// {m,n} and # comments; the text begins with the rule root. More lenient in one point: an alternative may begin a line.
// Token references <[id]>, which depend on a vocabulary, are refused.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/formats/text_bytes.hpp"
#include "lab/sampling/grammar.hpp"
#include "lab/sampling/grammar/cursor.hpp"

namespace lab::sampling {

class gbnf_reader {
public:
    gbnf_reader(std::string_view text, std::string name, const grammar_limits& limits)
        : in_(text, std::move(name), limits.text), out_(limits) {}

    /// @throws config_error "name:line:column: what (fix)"
    [[nodiscard]] grammar_builder run() {
        rule_named("root", 0);
        for (space(true); !in_.done(); space(true)) rule();
        if (!out_.is_defined(0)) in_.fail_at(0, "there is no rule 'root'", "write root ::= ...");
        return std::move(out_);
    }

private:
    using expression = grammar_builder::expression;

    static bool in_name(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    }
    void space(bool lines) {
        for (;;) {
            if (in_.peek() == '#') {
                while (!in_.done() && in_.peek() != '\n') in_.skip();
            } else if (in_.peek() == ' ' || in_.peek() == '\t' ||
                       (lines && (in_.peek() == '\n' || in_.peek() == '\r'))) {
                in_.skip();
            } else {
                return;
            }
        }
    }
    std::string_view name() {
        const std::size_t begin = in_.position();
        while (in_name(in_.peek())) in_.skip();
        if (in_.position() == begin) in_.fail("expected the name of a rule", "letters, digits and hyphens");
        return in_.since(begin);
    }
    grammar_builder::rule_id rule_named(std::string_view name, std::size_t at) {
        const auto known = rules_.find(name);
        if (known != rules_.end()) return known->second;
        const auto id = out_.declare(std::string(name), in_.place(at));
        rules_.emplace(name, id);
        return id;
    }
    void rule() {
        const std::size_t at = in_.position();
        const auto called = std::string(name());
        space(false);
        if (!in_.take("::=")) in_.fail("expected ::= after the name of a rule");
        const auto id = rule_named(called, at);
        if (out_.is_defined(id)) in_.fail_at(at, "rule '" + called + "' is defined twice", "take one of them out");
        space(true);
        out_.define(id, alternatives(false, 0), in_.place(at));
        if (!in_.done() && in_.peek() != '\n' && in_.peek() != '\r')
            in_.fail(in_.peek() == ')' ? "this ) closes nothing" : "expected the end of the line");
    }
    /// Whether the next thing, perhaps on a later line, is |.
    bool another(bool nested) {
        space(nested);
        const auto line_end = in_.position();
        space(true);
        if (in_.take("|")) return true;
        if (!nested) in_.go_to(line_end);
        return false;
    }
    expression alternatives(bool nested, std::size_t depth) {
        if (depth > out_.limits().nesting)
            in_.fail("nested deeper than " + std::to_string(out_.limits().nesting) + " parentheses",
                     "give the inner part a rule of its own");
        std::vector<expression> parts;
        do {
            space(true);
            parts.push_back(sequence(nested, depth));
        } while (another(nested));
        return out_.choice(std::move(parts));
    }
    expression sequence(bool nested, std::size_t depth) {
        std::vector<expression> parts;
        for (;;) {
            const char c = in_.peek();
            if (c == '"') {
                literal(parts);
            } else if (c == '[') {
                parts.push_back(char_class());
            } else if (c == '.') {
                in_.skip();
                parts.push_back(out_.chars({{0, last_code_point}}));
            } else if (c == '(') {
                const std::size_t at = in_.position();
                in_.skip();
                space(true);
                parts.push_back(alternatives(true, depth + 1));
                space(true);
                if (!in_.take(")")) in_.fail_at(at, "this ( is not closed");
            } else if (c == '<' || (c == '!' && in_.peek(1) == '<')) {
                in_.fail("references to tokens are not supported", "write the token's text as a literal");
            } else if (in_name(c)) {
                const std::size_t at = in_.position();
                const auto called = name();
                const auto behind = in_.position();
                space(nested);
                if (in_.starts_with("::="))
                    in_.fail_at(at, "a rule begins here",
                                nested ? "close the parentheses before it" : "begin a new line");
                in_.go_to(behind);
                parts.push_back(out_.call(rule_named(called, at)));
            } else if (c == '*' || c == '+' || c == '?' || c == '{') {
                in_.fail("there is nothing to repeat before this");
            } else {
                break;
            }
            repetitions(parts);
            space(nested);
        }
        return parts.empty() ? out_.nothing() : out_.sequence(std::move(parts));
    }
    void repetitions(std::vector<expression>& parts) {
        for (std::size_t count = 0;; ++count) {
            const auto before = in_.position();
            space(false);
            const std::size_t at = in_.position();
            const auto bounds = in_.repetition([&] { space(false); });
            if (!bounds) {
                in_.go_to(before);
                return;
            }
            if (count > 0 && ++stacked_ > out_.limits().nesting) in_.fail_at(at, "too many repetitions of repetitions");
            parts.back() = out_.repeat(parts.back(), bounds->first, bounds->second, in_.place(at));
        }
    }
    void literal(std::vector<expression>& parts) {
        const std::size_t at = in_.position();
        in_.skip();
        std::string bytes;
        while (!in_.take("\"")) {
            if (in_.done() || in_.peek() == '\n') in_.fail_at(at, "this literal has no closing quote");
            const char32_t c = character();
            utf8_rows({c, c}, [&](std::span<const byte_range> row) {
                for (const auto& b : row) bytes += static_cast<char>(b.first);
            });
        }
        parts.push_back(out_.bytes(bytes));
    }
    expression char_class() {
        const std::size_t at = in_.position();
        in_.skip();
        const bool negated = in_.take("^");
        code_set set;
        while (!in_.take("]")) {
            if (in_.done() || in_.peek() == '\n')
                in_.fail_at(at, "this class has no closing bracket", "\\] stands for ]");
            const char32_t first = character();
            char32_t last = first;
            if (in_.peek() == '-' && in_.peek(1) != ']') {
                in_.skip();
                if (in_.done()) in_.fail_at(at, "this class has no closing bracket");
                last = character();
            }
            if (last < first) in_.fail("this range runs backwards");
            set.push_back({first, last});
        }
        return out_.chars(negated ? complement(set) : set);
    }
    char32_t character() {
        const std::size_t at = in_.position();
        const char32_t c = in_.next();
        if (c != '\\') return c;
        if (in_.done()) in_.fail_at(at, "an escape ends here");
        switch (const char32_t e = in_.next(); e) {
            case 'x':
                return in_.hexadecimal(2);
            case 'u':
                return in_.hexadecimal(4);
            case 'U':
                return in_.hexadecimal(8);
            case 't':
                return '\t';
            case 'r':
                return '\r';
            case 'n':
                return '\n';
            case '\\':
            case '"':
            case '[':
            case ']':
            case '-':
            case '^':
                return e;
            default:
                in_.fail_at(at, "unknown escape",
                            "known are \\n \\r \\t \\\\ \\\" \\[ \\] \\- \\^ \\xHH \\uHHHH \\UHHHHHHHH");
        }
    }

    text_cursor in_;
    grammar_builder out_;
    std::map<std::string, grammar_builder::rule_id, std::less<>> rules_;
    std::size_t stacked_ = 0;  // repetitions of repetitions, in all: they nest like parentheses
};

/// `name` opens error messages. @throws config_error "name:line:column: what (fix)".
[[nodiscard]] inline grammar grammar_from_gbnf(std::string_view text, std::string name = "grammar",
                                               const grammar_limits& limits = {}) {
    return grammar(gbnf_reader(text, std::move(name), limits).run());
}

}  // namespace lab::sampling
