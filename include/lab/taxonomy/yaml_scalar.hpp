// What a YAML 1.1 scalar means, as PyYAML's safe loader resolves it: `yes` is a boolean, `0o7` text, `017` fifteen,
// `1:30` ninety, `2024-01-31` a date. Reference: yaml.org/type and PyYAML's resolver (which departs from it here and
// there). Does not decode binary values: nothing in a qna.yaml may hold one.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace lab::taxonomy::yaml {

enum class type { null, boolean, integer, floating, string, timestamp, binary, sequence, mapping, other };

/// The type in words, with its article.
[[nodiscard]] constexpr std::string_view name(type kind) noexcept {
    switch (kind) {
        case type::null:
            return "nothing (null)";
        case type::boolean:
            return "a boolean";
        case type::integer:
            return "a whole number";
        case type::floating:
            return "a decimal number";
        case type::string:
            return "text";
        case type::timestamp:
            return "a date";
        case type::binary:
            return "binary data";
        case type::sequence:
            return "a list";
        case type::mapping:
            return "a mapping";
        case type::other:
            return "a value of a special type";
    }
    return "";
}

struct scalar {
    type kind = type::string;
    std::string canonical;             ///< equal for values that JSON Schema calls equal (1 and 1.0 are)
    std::optional<long long> integer;  ///< a whole number (also 3.0) that fits; a boolean is 0 or 1
    std::string fault;                 ///< why the value cannot exist, e.g. month 13; empty when it can
};

namespace detail {

/// Walks over a scalar's characters.
struct cursor {
    std::string_view rest;
    [[nodiscard]] bool done() const { return rest.empty(); }
    bool skip(char c) {
        if (rest.empty() || rest.front() != c) return false;
        rest.remove_prefix(1);
        return true;
    }
    bool skip_any(std::string_view set) {
        if (rest.empty() || set.find(rest.front()) == set.npos) return false;
        rest.remove_prefix(1);
        return true;
    }
    std::size_t run(std::string_view set, std::size_t most = std::string_view::npos) {
        std::size_t n = 0;
        while (n < most && skip_any(set)) ++n;
        return n;
    }
};

inline constexpr std::string_view digits = "0123456789";
inline constexpr std::string_view digits_ = "0123456789_";

inline bool one_of(std::string_view text, std::initializer_list<std::string_view> words) {
    for (const auto word : words)
        if (text == word) return true;
    return false;
}

/// (:[0-5]?[0-9])+
inline bool sixties(cursor& c) {
    std::size_t groups = 0;
    while (c.skip(':')) {
        const cursor before = c;
        if (!(c.skip_any("012345") && c.skip_any(digits))) {
            c = before;
            if (!c.skip_any(digits)) return false;
        }
        ++groups;
    }
    return groups > 0;
}

inline bool is_integer(std::string_view text) {
    cursor start{text};
    start.skip_any("-+");
    const auto all = [&](std::string_view prefix, std::string_view set) {
        if (!start.rest.starts_with(prefix)) return false;
        cursor c{start.rest.substr(prefix.size())};
        return c.run(set) > 0 && c.done();
    };
    if (start.rest == "0" || all("0b", "01_") || all("0", "01234567_") || all("0x", "0123456789abcdefABCDEF_"))
        return true;
    cursor c = start;
    if (!c.skip_any("123456789")) return false;
    c.run(digits_);
    return c.done() || (sixties(c) && c.done());
}

inline bool is_float(std::string_view text) {
    const auto exponent = [](cursor c) {
        if (c.done()) return true;
        return c.skip_any("eE") && c.skip_any("-+") && c.run(digits) > 0 && c.done();
    };
    if (one_of(text, {".nan", ".NaN", ".NAN"})) return true;
    cursor c{text};
    if (c.skip('.')) {
        cursor fraction = c;
        if (fraction.skip_any(digits)) {
            fraction.run(digits_);
            if (exponent(fraction)) return true;
        }
    }
    c.rest = text;
    c.skip_any("-+");
    if (one_of(c.rest, {".inf", ".Inf", ".INF"})) return true;
    if (!c.skip_any(digits)) return false;
    c.run(digits_);
    if (c.skip('.')) {
        c.run(digits_);
        return exponent(c);
    }
    if (!sixties(c) || !c.skip('.')) return false;
    c.run(digits_);
    return c.done();
}

struct moment {
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, zone_hour = 0, zone_minute = 0;
};

/// A date, or a date and a time; `strict` demands two digits of month and day where no time follows.
inline std::optional<moment> match_timestamp(std::string_view text, bool strict) {
    cursor c{text};
    const auto number = [&](std::size_t fewest, std::size_t most, int& value) {
        const auto before = c.rest;
        const auto n = c.run(digits, most);
        for (const char digit : before.substr(0, n)) value = value * 10 + (digit - '0');
        return n >= fewest;
    };
    moment m;
    if (!number(4, 4, m.year) || !c.skip('-')) return std::nullopt;
    const auto size_before = c.rest.size();
    if (!number(1, 2, m.month) || !c.skip('-') || !number(1, 2, m.day)) return std::nullopt;
    if (c.done()) return strict && size_before != 5 ? std::nullopt : std::optional(m);
    if (!c.skip_any("Tt") && c.run(" \t") == 0) return std::nullopt;
    if (!number(1, 2, m.hour) || !c.skip(':') || !number(2, 2, m.minute) || !c.skip(':') || !number(2, 2, m.second))
        return std::nullopt;
    if (c.skip('.')) c.run(digits);
    c.run(" \t");
    if (c.done()) return text.back() == ' ' || text.back() == '\t' ? std::nullopt : std::optional(m);
    if (c.skip('Z')) return c.done() ? std::optional(m) : std::nullopt;
    if (!c.skip_any("-+") || !number(1, 2, m.zone_hour)) return std::nullopt;
    if (c.skip(':') && !number(2, 2, m.zone_minute)) return std::nullopt;
    return c.done() ? std::optional(m) : std::nullopt;
}

inline bool exists(const moment& m) {
    static constexpr int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (m.year < 1 || m.month < 1 || m.month > 12 || m.day < 1) return false;
    const bool leap = (m.year % 4 == 0 && m.year % 100 != 0) || m.year % 400 == 0;
    if (m.day > days[m.month - 1] + (m.month == 2 && leap ? 1 : 0)) return false;
    return m.hour < 24 && m.minute < 60 && m.second < 60 && m.zone_hour * 60 + m.zone_minute < 24 * 60;
}

inline std::string without_underscores(std::string_view text) {
    std::string out;
    for (const char c : text)
        if (c != '_') out += c;
    return out;
}

/// Value of an integer in any of the five notations; nothing when it does not fit or has no digits.
inline std::optional<long long> integer_value(std::string_view text) {
    std::string plain = without_underscores(text);
    std::string_view rest = plain;
    const bool negative = rest.starts_with('-');
    if (rest.starts_with('-') || rest.starts_with('+')) rest.remove_prefix(1);
    long long base = 10, value = 0, part = 0;
    if (rest.starts_with("0b"))
        base = 2, rest.remove_prefix(2);
    else if (rest.starts_with("0x"))
        base = 16, rest.remove_prefix(2);
    else if (rest.starts_with('0') && rest.size() > 1)
        base = 8, rest.remove_prefix(1);
    if (rest.empty()) return std::nullopt;
    for (const char c : rest) {
        if (c == ':') {
            if (__builtin_add_overflow(value, part, &value) || __builtin_mul_overflow(value, 60, &value))
                return std::nullopt;
            part = 0;
            continue;
        }
        const int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
        if (__builtin_mul_overflow(part, base, &part) || __builtin_add_overflow(part, digit, &part))
            return std::nullopt;
    }
    if (__builtin_add_overflow(value, part, &value)) return std::nullopt;
    return negative ? -value : value;
}

inline bool has_digit(std::string_view text) {
    const auto start = text.find_first_of("bx");  // behind 0b and 0x, where underscores alone may stand
    return text.substr(start == text.npos ? 0 : start + 1).find_first_not_of("_-+") != text.npos;
}

inline double float_value(std::string_view text) {
    std::string plain = without_underscores(text);
    const bool negative = plain.starts_with('-');
    if (plain.find_first_of("nN") != plain.npos)
        return plain.find_first_of("aA") != plain.npos ? std::nan("") : negative ? -HUGE_VAL : HUGE_VAL;
    if (plain.find(':') == plain.npos) return std::strtod(plain.c_str(), nullptr);
    double value = 0;
    const char* at = plain.c_str() + (plain.front() == '-' || plain.front() == '+' ? 1 : 0);
    for (char* end = nullptr;; at = end + 1) {
        value = value * 60 + std::strtod(at, &end);
        if (*end != ':') break;
    }
    return negative ? -value : value;
}

}  // namespace detail

/// Value of a scalar that is a number, whole or not.
[[nodiscard]] inline double real_value(std::string_view text) {
    if (const auto whole = detail::is_integer(text) ? detail::integer_value(text) : std::nullopt)
        return static_cast<double>(*whole);
    return detail::float_value(text);
}

/// The scalar `text` read as a value of the given type; `fault` is set where it cannot be one.
[[nodiscard]] inline scalar read_as(type kind, std::string_view text) {
    scalar out{kind, {}, {}, {}};
    switch (kind) {
        case type::null:
            out.canonical = "null";
            break;
        case type::boolean: {
            std::string lower(text);
            for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
            const bool yes = detail::one_of(lower, {"yes", "true", "on"});
            if (!yes && !detail::one_of(lower, {"no", "false", "off"})) out.fault = "is not a boolean";
            out.integer = yes ? 1 : 0;
            out.canonical = yes ? "true" : "false";
            break;
        }
        case type::integer:
            if (!detail::is_integer(text) || !detail::has_digit(text)) {
                out.fault = "is not a whole number";
                break;
            }
            out.integer = detail::integer_value(text);
            out.canonical = out.integer ? "n" + std::to_string(*out.integer) : "N" + detail::without_underscores(text);
            break;
        case type::floating: {
            const double value = detail::float_value(text);
            const bool whole = std::abs(value) < 9.0e15 && value == std::trunc(value);
            if (whole) out.integer = static_cast<long long>(value);
            out.canonical =
                whole ? "n" + std::to_string(*out.integer) : "f" + std::to_string(value) + std::string(text);
            break;
        }
        case type::timestamp: {
            const auto moment = detail::match_timestamp(text, false);
            if (!moment || !detail::exists(*moment)) out.fault = "looks like a date, but there is no such day or time";
            out.canonical = "t" + std::string(text);
            break;
        }
        default:
            out.canonical = "s" + std::string(text);
    }
    return out;
}

/// The type that a plain (unquoted) scalar has without an explicit tag.
[[nodiscard]] inline type plain_type(std::string_view text) {
    using namespace detail;
    if (text.empty() || one_of(text, {"~", "null", "Null", "NULL"})) return type::null;
    if (one_of(text, {"yes", "Yes", "YES", "no", "No", "NO", "true", "True", "TRUE", "false", "False", "FALSE", "on",
                      "On", "ON", "off", "Off", "OFF"}))
        return type::boolean;
    if (is_float(text)) return type::floating;
    if (is_integer(text)) return type::integer;
    if (match_timestamp(text, true)) return type::timestamp;
    return type::string;
}

}  // namespace lab::taxonomy::yaml
