// JSON's own pieces as grammar expressions: characters of strings with their escapes, numbers, ranges of integers, and
// any value. One space may follow each comma and colon and stands nowhere else; numbers are kept short enough for
// 64 bits (18 digits, a fraction of 18, an exponent of two), so that whatever comes out can be read back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/sampling/grammar/builder.hpp"

namespace lab::sampling {

inline constexpr std::int64_t largest_json_integer = 999'999'999'999'999'999;  // 18 digits

/// One character of the set inside a JSON string: bare where JSON allows, else as its escape.
[[nodiscard]] inline grammar_builder::expression json_character(grammar_builder& out, const code_set& set) {
    static constexpr std::string_view hex = "0123456789abcdef";
    std::vector<grammar_builder::expression> parts;
    const code_set bare = without(set, {{0, 0x1F}, {'"', '"'}, {'\\', '\\'}});
    for (const auto& r : normalised(set)) {
        for (char32_t c = r.first; c <= r.last && c <= '\\'; ++c) {
            const char32_t shown = c == '\b'   ? 'b'
                                   : c == '\f' ? 'f'
                                   : c == '\n' ? 'n'
                                   : c == '\r' ? 'r'
                                   : c == '\t' ? 't'
                                               : 0;
            if (c == '"' || c == '\\')
                parts.push_back(out.bytes(std::string{'\\', static_cast<char>(c)}));
            else if (shown != 0)
                parts.push_back(out.bytes(std::string{'\\', static_cast<char>(shown)}));
            else if (c < 0x20)
                parts.push_back(out.bytes(std::string("\\u00") + hex[c >> 4] + hex[c & 15]));
        }
    }
    if (!bare.empty() || parts.empty()) parts.push_back(out.chars(bare));
    return out.choice(std::move(parts));
}

/// Digits that spell the integers from low to high, both included; at most largest_json_integer in size.
class json_integer_range {
public:
    using expression = grammar_builder::expression;
    explicit json_integer_range(grammar_builder& out) : out_(&out) {}

    [[nodiscard]] expression operator()(std::int64_t low, std::int64_t high) {
        std::vector<expression> parts;
        if (low < 0) {
            const std::int64_t nearest = high < 0 ? -high : 1;
            parts.push_back(out_->sequence({out_->bytes("-"), natural(nearest, -low)}));
        }
        if (high >= 0) parts.push_back(natural(low > 0 ? low : 0, high));
        return out_->choice(std::move(parts));
    }

private:
    /// From low >= 0 to high, number of digits by number of digits.
    expression natural(std::int64_t low, std::int64_t high) {
        std::vector<expression> parts;
        std::int64_t begin = low;
        for (std::int64_t power = 10; begin <= high; power *= 10) {
            if (begin >= power) continue;
            const std::int64_t end = high < power ? high : power - 1;
            parts.push_back(same_length(std::to_string(begin), std::to_string(end)));
            begin = end + 1;
            if (power > largest_json_integer) break;
        }
        return out_->choice(std::move(parts));
    }
    expression any_digits(std::size_t count) { return out_->repeat(out_->chars({{'0', '9'}}), count, count, {}); }
    expression digit(char low, char high) {
        return out_->chars({{static_cast<char32_t>(low), static_cast<char32_t>(high)}});
    }
    expression same_length(std::string_view low, std::string_view high) {
        if (low.empty()) return out_->nothing();
        if (low.find_first_not_of('0') == low.npos && high.find_first_not_of('9') == high.npos)
            return any_digits(low.size());
        const auto rest_low = low.substr(1), rest_high = high.substr(1);
        if (low[0] == high[0]) return out_->sequence({digit(low[0], low[0]), same_length(rest_low, rest_high)});
        std::vector<expression> parts;
        char first = low[0], last = high[0];
        if (rest_low.find_first_not_of('0') != rest_low.npos) {
            parts.push_back(
                out_->sequence({digit(first, first), same_length(rest_low, std::string(rest_low.size(), '9'))}));
            ++first;
        }
        const bool ragged = rest_high.find_first_not_of('9') != rest_high.npos;
        if (ragged)
            parts.push_back(
                out_->sequence({digit(last, last), same_length(std::string(rest_high.size(), '0'), rest_high)}));
        if (ragged) --last;
        if (first <= last) parts.push_back(out_->sequence({digit(first, last), any_digits(rest_low.size())}));
        return out_->choice(std::move(parts));
    }

    grammar_builder* out_;
};

/// Rules for JSON values, made when first asked for.
class json_rules {
public:
    using expression = grammar_builder::expression;
    explicit json_rules(grammar_builder& out) : out_(&out) {}

    expression comma() { return punctuation(","); }
    expression colon() { return punctuation(":"); }
    /// One character of a string, as a rule: \uHHHH counts as one, surrogates are left out.
    expression character() {
        return rule(character_, "character", [&] {
            const auto hex = out_->chars({{'0', '9'}, {'A', 'F'}, {'a', 'f'}});
            const auto no_surrogate = out_->choice(
                {out_->sequence({out_->chars({{'0', '9'}, {'A', 'C'}, {'E', 'F'}, {'a', 'c'}, {'e', 'f'}}), hex}),
                 out_->sequence({out_->chars({{'D', 'D'}, {'d', 'd'}}), out_->chars({{'0', '7'}})})});
            return out_->choice(
                {out_->chars(complement({{0, 0x1F}, {'"', '"'}, {'\\', '\\'}})),
                 out_->sequence(
                     {out_->bytes("\\"), out_->choice({out_->chars({{'"', '"'},
                                                                    {'/', '/'},
                                                                    {'\\', '\\'},
                                                                    {'b', 'b'},
                                                                    {'f', 'f'},
                                                                    {'n', 'n'},
                                                                    {'r', 'r'},
                                                                    {'t', 't'}}),
                                                       out_->sequence({out_->bytes("u"), no_surrogate, hex, hex})})})});
        });
    }
    expression quoted(expression inside) { return out_->sequence({out_->bytes("\""), inside, out_->bytes("\"")}); }
    expression string() {
        return rule(string_, "string", [&] {
            const auto body = out_->rules()[out_->nodes()[character()].rule].body;  // in place: no call for a character
            return quoted(out_->repeat(body, 0, grammar_builder::unbounded, {}));
        });
    }
    expression integer() {
        return rule(integer_, "integer",
                    [&] { return json_integer_range(*out_)(-largest_json_integer, largest_json_integer); });
    }
    /// What may follow the digits of a number's whole part: a point and digits.
    expression fraction() {
        return out_->sequence({out_->bytes("."), out_->repeat(out_->chars({{'0', '9'}}), 1, 18, {})});
    }
    expression number() {
        return rule(number_, "number", [&] {
            const auto digit = out_->chars({{'0', '9'}});
            const auto whole = out_->choice(
                {out_->bytes("0"), out_->sequence({out_->chars({{'1', '9'}}), out_->repeat(digit, 0, 17, {})})});
            const auto exponent =
                out_->sequence({out_->chars({{'E', 'E'}, {'e', 'e'}}),
                                out_->optional(out_->chars({{'+', '+'}, {'-', '-'}})), out_->repeat(digit, 1, 2, {})});
            return out_->sequence(
                {out_->optional(out_->bytes("-")), whole, out_->optional(fraction()), out_->optional(exponent)});
        });
    }
    expression boolean() { return out_->choice({out_->bytes("true"), out_->bytes("false")}); }
    expression null() { return out_->bytes("null"); }
    expression value() {
        return rule(value_, "value", [&] {
            return out_->choice({object(), array(), string(), number(), boolean(), null()});
        });
    }
    expression object() {
        return rule(object_, "object", [&] {
            return list("{", out_->sequence({string(), colon(), value()}), 0, grammar_builder::unbounded, "}");
        });
    }
    expression array() {
        return rule(array_, "array", [&] { return list("[", value(), 0, grammar_builder::unbounded, "]"); });
    }
    /// open (item (comma item){min-1,max-1})? close
    expression list(std::string_view open, expression item, std::size_t min, std::size_t max, std::string_view close) {
        std::vector<expression> parts{out_->bytes(open)};
        if (max > 0) {
            const std::size_t more = max == grammar_builder::unbounded ? max : max - 1;
            const auto rest =
                out_->repeat(out_->sequence({comma(), item}), min > 0 ? min - 1 : 0, more, "items of an array");
            const auto all = out_->sequence({item, rest});
            parts.push_back(min > 0 ? all : out_->optional(all));
        }
        parts.push_back(out_->bytes(close));
        return out_->sequence(std::move(parts));
    }

private:
    expression punctuation(std::string_view mark) {
        return out_->sequence({out_->bytes(mark), out_->optional(out_->bytes(" "))});
    }
    template <class Make>
    expression rule(std::optional<grammar_builder::rule_id>& id, std::string name, const Make& make) {
        if (!id) {
            id = out_->declare(std::move(name), "JSON");
            const auto made = *id;
            out_->define(made, make());
        }
        return out_->call(*id);
    }

    grammar_builder* out_;
    std::optional<grammar_builder::rule_id> character_, string_, integer_, number_, value_, object_, array_;
};

}  // namespace lab::sampling
