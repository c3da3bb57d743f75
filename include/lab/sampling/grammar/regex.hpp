// Regular expressions as grammars. What is matched is what Python's re matches with its flag ASCII; in JSON Schema what
// ECMA-262 matches, where . and \S leave out more, [] is no character, [^] is any, and \U is refused. Literals, . (all
// but \n), classes, \d \w \s and \D \W \S, groups, alternatives, * + ? {m} {m,} {m,n}; the match is whole, so ^ and $
// may stand only at the ends of alternatives. No back-references, look-around, lazy or possessive quantifiers, word
// boundaries or flags: these are refused.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/sampling/grammar.hpp"
#include "lab/sampling/grammar/cursor.hpp"
#include "lab/sampling/grammar/json_text.hpp"

namespace lab::sampling {

/// Reads a pattern into a builder's expression.
class regex_reader {
public:
    struct options {
        bool search = false;       // may match anywhere in the text, unless anchored (JSON Schema's `pattern`)
        bool json_string = false;  // the text is written as a JSON string's inside, with escapes; by ECMA-262
    };
    regex_reader(grammar_builder& out, std::string_view pattern, std::string name, options o)
        : in_(pattern, std::move(name), out.limits().text), out_(&out), options_(o) {}

    /// @throws config_error "name:line:column: what (fix)"
    [[nodiscard]] grammar_builder::expression run() {
        const auto whole = alternatives(0);
        if (!in_.done()) in_.fail("this ) closes nothing", "\\) stands for )");
        return whole;
    }

private:
    using expression = grammar_builder::expression;

    static bool is_digit(char c) { return c >= '0' && c <= '9'; }
    static code_set digits() { return {{'0', '9'}}; }
    static code_set words() { return {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}; }
    /// What \s matches. The dialects agree on ASCII only: that where it is allowed, ECMA-262's all where it is
    /// excluded.
    [[nodiscard]] code_set blanks(bool excluded) const {
        if (!excluded || !options_.json_string) return {{'\t', '\r'}, {' ', ' '}};
        return {{'\t', '\r'},     {' ', ' '},       {0xA0, 0xA0},     {0x1680, 0x1680}, {0x2000, 0x200A},
                {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
    }
    [[nodiscard]] code_set line_ends() const {
        if (!options_.json_string) return {{'\n', '\n'}};
        return {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};
    }

    expression one_of(const code_set& set) {
        return options_.json_string ? json_character(*out_, set) : out_->chars(set);
    }
    expression anything() { return out_->repeat(one_of({{0, last_code_point}}), 0, grammar_builder::unbounded, {}); }

    expression alternatives(std::size_t depth) {
        if (depth > out_->limits().nesting)
            in_.fail("nested deeper than " + std::to_string(out_->limits().nesting) + " groups");
        std::vector<expression> parts;
        do parts.push_back(sequence(depth));
        while (in_.take("|"));
        return out_->choice(std::move(parts));
    }
    expression sequence(std::size_t depth) {
        std::vector<expression> parts;
        const bool outermost = depth == 0;
        const bool begins = outermost && in_.take("^");
        if (outermost && options_.search && !begins) parts.push_back(anything());
        bool ends = false;
        while (!in_.done() && in_.peek() != '|' && in_.peek() != ')') {
            const std::size_t at = in_.position();
            const char c = in_.peek();
            if (c == '$') {
                in_.skip();
                if (!outermost || (!in_.done() && in_.peek() != '|'))
                    in_.fail_at(at, "$ may stand only at the end: the match is whole", "\\$ stands for $");
                ends = true;
                break;
            }
            if (c == '^') in_.fail("^ may stand only at the beginning: the match is whole", "\\^ stands for ^");
            if (c == '*' || c == '+' || c == '?' || (c == '{' && (in_.peek(1) == ',' || is_digit(in_.peek(1)))))
                in_.fail("there is nothing to repeat before this");
            if (c == '(') {
                in_.skip();
                group();
                parts.push_back(alternatives(depth + 1));
                if (!in_.take(")")) in_.fail_at(at, "this ( is not closed", "\\( stands for (");
            } else if (c == '[') {
                parts.push_back(one_of(char_class()));
            } else if (c == '.') {
                in_.skip();
                parts.push_back(one_of(complement(line_ends())));
            } else if (c == '\\') {
                parts.push_back(one_of(escape(false, false)));
            } else {
                const char32_t literal = in_.next();
                parts.push_back(one_of({{literal, literal}}));
            }
            quantifier(parts.back());
        }
        if (outermost && options_.search && !ends) parts.push_back(anything());
        return parts.empty() ? out_->nothing() : out_->sequence(std::move(parts));
    }
    void group() {
        if (!in_.take("?") || in_.take(":")) return;
        const std::size_t at = in_.position();
        if (in_.starts_with("=") || in_.starts_with("!") || in_.starts_with("<=") || in_.starts_with("<!"))
            in_.fail_at(at, "look-around is not supported: what is generated is decided from left to right",
                        "spell out what may come");
        if (in_.starts_with("<") || in_.starts_with("P"))
            in_.fail_at(at, "named groups are not supported: nothing is captured", "write (...)");
        in_.fail_at(at, "flags of groups are not supported", "write (?:...)");
    }
    void quantifier(expression& part) {
        const std::size_t at = in_.position();
        if (in_.peek() == '{' && !is_digit(in_.peek(1))) in_.fail("expected a number after {", "\\{ stands for {");
        const auto bounds = in_.repetition([] {});
        if (!bounds) return;
        part = out_->repeat(part, bounds->first, bounds->second, in_.place(at));
        if (in_.peek() == '?')
            in_.fail("lazy quantifiers are not supported: a whole match needs none", "take the ? out");
        if (in_.peek() == '+') in_.fail("possessive quantifiers are not supported", "take the + out, or write (...)+");
        if (in_.peek() == '*' || in_.peek() == '{')
            in_.fail("a repetition of a repetition", "write (...) around the first");
    }
    /// @param in_class \b is a backspace there, and a boundary elsewhere.
    /// @param negated what the class has is excluded.
    code_set escape(bool in_class, bool negated) {
        const std::size_t at = in_.position();
        in_.skip();
        if (in_.done()) in_.fail_at(at, "the pattern ends in the middle of an escape", "\\\\ stands for \\");
        const char32_t c = in_.next();
        const auto single = [](char32_t x) { return code_set{{x, x}}; };
        switch (c) {
            case 'd':
                return digits();
            case 'D':
                return complement(digits());
            case 'w':
                return words();
            case 'W':
                return complement(words());
            case 's':
                return blanks(negated);
            case 'S':
                return complement(blanks(!negated));
            case 'n':
                return single('\n');
            case 'r':
                return single('\r');
            case 't':
                return single('\t');
            case 'f':
                return single('\f');
            case 'v':
                return single('\v');
            case 'x':
                return single(in_.hexadecimal(2));
            case 'u':
                return single(in_.hexadecimal(4));
            case 'U':
                if (options_.json_string)
                    in_.fail_at(at, "\\U is no escape of ECMA-262", "\\uHHHH, or the character itself");
                return single(in_.hexadecimal(8));
            default:
                break;
        }
        if (c == 'b' && in_class) return single('\b');
        if (c == 'b' || c == 'B') in_.fail_at(at, "word boundaries are not supported", "spell out what may come");
        if (c == 'A' || c == 'Z' || c == 'z')
            in_.fail_at(at, "\\A and \\Z are not needed: the match is whole", "take it out");
        if (c == 'p' || c == 'P') in_.fail_at(at, "Unicode properties are not supported", "write a class of ranges");
        if (c >= '0' && c <= '9')
            in_.fail_at(at, "back-references are not supported: no grammar can repeat what it made");
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) in_.fail_at(at, "unknown escape");
        return single(c);
    }
    code_set char_class() {
        const std::size_t at = in_.position();
        in_.skip();
        const bool negated = in_.take("^");
        code_set set;
        // Python takes a ] at the beginning for itself, ECMA-262 for the end.
        for (bool first = !options_.json_string; first || in_.peek() != ']'; first = false) {
            if (in_.done()) in_.fail_at(at, "this class has no closing bracket", "\\[ stands for [");
            if (in_.starts_with("[:")) in_.fail("named classes are not supported", "write a class of ranges");
            const auto low = item(negated);
            if (in_.peek() == '-' && in_.peek(1) != ']' && in_.peek(1) != '\0') {
                const std::size_t dash = in_.position();
                in_.skip();
                const auto high = item(negated);
                if (!is_single(low) || !is_single(high))
                    in_.fail_at(dash, "a range between classes", "\\- stands for -");
                if (high[0].first < low[0].first) in_.fail_at(dash, "this range runs backwards");
                set.push_back({low[0].first, high[0].first});
            } else {
                set.insert(set.end(), low.begin(), low.end());
            }
        }
        in_.skip();
        return negated ? complement(set) : normalised(set);
    }
    static bool is_single(const code_set& set) { return set.size() == 1 && set[0].first == set[0].last; }
    code_set item(bool negated) {
        if (in_.peek() == '\\') return escape(true, negated);
        const char32_t c = in_.next();
        return {{c, c}};
    }

    text_cursor in_;
    grammar_builder* out_;
    options options_;
};

/// The texts that the pattern matches as a whole. @throws config_error "name:line:column: what (fix)".
[[nodiscard]] inline grammar grammar_from_regex(std::string_view pattern, std::string name = "regex",
                                                const grammar_limits& limits = {}) {
    grammar_builder builder(limits);
    const auto root = builder.declare("regex", name);
    builder.define(root, regex_reader(builder, pattern, std::move(name), {}).run());
    return grammar(builder);
}

}  // namespace lab::sampling
