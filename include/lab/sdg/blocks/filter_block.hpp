// FilterByValueBlock: keeps the rows of which a column compares to one of the given values. `convert_dtype` turns the
// column into numbers or booleans first, as Python's int(), float() and bool() do, and what cannot be turned into
// default_value: such a row is judged by that, and a dropped one says that it was no number.
#pragma once

#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/sdg/blocks/block.hpp"
#include "lab/sdg/blocks/config_reader.hpp"
#include "lab/sdg/blocks/prompt_config.hpp"

namespace lab::sdg::blocks {

enum class comparison : std::uint8_t { eq, ne, lt, le, gt, ge, contains };
enum class number_kind : std::uint8_t { integer, floating, boolean };

inline constexpr std::array<std::pair<std::string_view, comparison>, 7> comparison_names{
    {{"eq", comparison::eq},
     {"ne", comparison::ne},
     {"lt", comparison::lt},
     {"le", comparison::le},
     {"gt", comparison::gt},
     {"ge", comparison::ge},
     {"contains", comparison::contains}}};
inline constexpr std::array<std::pair<std::string_view, number_kind>, 3> number_kind_names{
    {{"int", number_kind::integer}, {"float", number_kind::floating}, {"bool", number_kind::boolean}}};

namespace detail {

/// Python's numbers in text: blanks around, one underscore between digits.
[[nodiscard]] inline std::optional<std::string> plain_digits(std::string_view text) {
    const std::string trimmed = stripped(text);
    std::string out;
    const auto digit = [&](std::size_t i) { return i < trimmed.size() && trimmed[i] >= '0' && trimmed[i] <= '9'; };
    for (std::size_t i = 0; i < trimmed.size(); ++i) {
        if (trimmed[i] != '_')
            out += trimmed[i];
        else if (i == 0 || !digit(i - 1) || !digit(i + 1))
            return std::nullopt;
    }
    if (out.size() > 1 && out[0] == '+' && out[1] != '-' && out[1] != '+') out.erase(0, 1);
    return out;
}

template <class Number>
[[nodiscard]] std::optional<Number> number_in(std::string_view text) {
    const auto digits = plain_digits(text);
    if (!digits || digits->empty()) return std::nullopt;
    Number value{};
    const char* end = digits->data() + digits->size();
    const auto [at, code] = std::from_chars(digits->data(), end, value);
    if (at != end) return std::nullopt;
    if (code == std::errc::result_out_of_range && std::is_floating_point_v<Number>)
        return static_cast<Number>(std::strtod(digits->c_str(), nullptr));  // infinity, or nothing, as Python says
    if (code != std::errc()) return std::nullopt;
    return value;
}

/// int(value), float(value), bool(value); nothing where Python raises ValueError, and for what is no scalar.
[[nodiscard]] inline std::optional<cell> converted(number_kind kind, const cell& value) {
    if (kind == number_kind::boolean) {
        if (value.is_string()) return !value.get_ref<const std::string&>().empty();
        if (value.is_number()) return value.get<double>() != 0;
        if (value.is_boolean()) return value;
        return !value.is_null() && !value.empty();
    }
    if (value.is_string()) {
        const auto& text = value.get_ref<const std::string&>();
        if (kind == number_kind::integer) {
            if (const auto n = number_in<std::int64_t>(text)) return *n;
        } else if (const auto x = number_in<double>(text)) {
            return *x;
        }
        return std::nullopt;
    }
    if (!value.is_number() && !value.is_boolean()) return std::nullopt;
    const double real = value.is_boolean() ? (value.get<bool>() ? 1 : 0) : value.get<double>();
    if (kind == number_kind::floating) return real;
    if (value.is_number_integer()) return value;
    if (!(std::abs(real) < 9.2e18)) return std::nullopt;
    return static_cast<std::int64_t>(real);
}

}  // namespace detail

struct filter_by_value {
    static constexpr std::string_view type = "FilterByValueBlock";

    std::string column{};
    std::vector<cell> values{};  // one that fits is enough
    comparison operation = comparison::eq;
    std::optional<number_kind> convert{};
    std::optional<cell> fallback{};  // for what cannot be converted; 0 or false where none is given

    [[nodiscard]] static filter_by_value read(config_reader& config) {
        filter_by_value out;
        out.column = config.text("filter_column");
        out.operation = one_of(config, "operation", config.text("operation"), comparison_names);
        if (const auto kind = config.optional_text("convert_dtype"))
            out.convert = one_of(config, "convert_dtype", *kind, number_kind_names);
        const cell value = config.value("filter_value");
        if (value.is_array())
            out.values.assign(value.begin(), value.end());
        else
            out.values = {value};
        for (const auto& v : out.values)
            if (!v.is_string() && !v.is_number())
                config.fail("filter_value",
                            "is text, a number, or a list of those (words such as yes and no in quotes)");
        if (const auto value_for_others = config.optional_value("default_value"); value_for_others && out.convert) {
            out.fallback = detail::converted(*out.convert, *value_for_others);
            if (!out.fallback) config.fail("default_value", "is no number");
        }
        return out;
    }

    [[nodiscard]] table operator()(block_run& run, table rows) const {
        const std::size_t c = rows.at(column);
        const auto wanted = wanted_values();
        table out = rows.like();
        for (auto& r : rows.rows()) {
            const cell before = r.cells[c];
            bool failed = false;
            if (convert) {
                auto number = detail::converted(*convert, before);
                failed = !number;
                r.cells[c] = number ? *std::move(number) : default_for(*convert);
            }
            bool kept = false;
            for (std::size_t v = 0; v < wanted.size() && !kept; ++v) kept = holds(r.cells[c], wanted[v]);
            if (kept) {
                if (failed) run.note("some values of " + column + " were no numbers and passed by the default value");
                out.add(std::move(r));
                continue;
            }
            r.cells[c] = before;
            run.drop(rows, r, failed ? "not a number" : "filtered",
                     column + " is " + shown(before) +
                         (failed ? ", which is no number and counts as " + shown(default_for(*convert)) : "") +
                         "; kept is what is " + wish());
        }
        return out;
    }

private:
    template <class Value, std::size_t N>
    [[nodiscard]] static Value one_of(const config_reader& config, std::string_view key, const std::string& given,
                                      const std::array<std::pair<std::string_view, Value>, N>& names) {
        std::string list;
        for (const auto& [name, value] : names) {
            if (name == given) return value;
            list += (list.empty() ? "" : ", ") + std::string(name);
        }
        config.fail(key, "is not " + formats::quote(given) + " but one of " + list);
    }
    [[nodiscard]] cell default_for(number_kind kind) const {
        if (fallback) return *fallback;
        return kind == number_kind::integer ? cell(0) : kind == number_kind::floating ? cell(0.0) : cell(false);
    }
    [[nodiscard]] std::vector<cell> wanted_values() const {
        if (!convert) return values;
        std::vector<cell> out;
        for (const auto& v : values) out.push_back(detail::converted(*convert, v).value_or(default_for(*convert)));
        return out;
    }
    [[nodiscard]] std::string wish() const {
        std::string out;
        for (const auto& [name, op] : comparison_names)
            if (op == operation) out = name;
        for (const auto& v : values) out += (out.find(' ') == out.npos ? " " : " or ") + shown(v);
        return out;
    }
    /// Python's operators; what has no order is kept by none. @throws config_error for text ordered against numbers
    [[nodiscard]] bool holds(const cell& a, const cell& b) const {
        const auto number = [](const cell& x) { return x.is_number() || x.is_boolean(); };
        const auto real = [](const cell& x) { return x.is_boolean() ? (x.get<bool>() ? 1.0 : 0.0) : x.get<double>(); };
        if (operation == comparison::contains) {
            if (a.is_array()) {
                for (const auto& x : a)
                    if (x == b) return true;
                return false;
            }
            if (a.is_string() && b.is_string())
                return a.get_ref<const std::string&>().find(b.get_ref<const std::string&>()) != std::string::npos;
            if (a.is_null()) return false;
            throw mismatch(a, b);
        }
        const bool numbers = number(a) && number(b);
        if (operation == comparison::eq || operation == comparison::ne)
            return (numbers ? real(a) == real(b) : a == b) == (operation == comparison::eq);
        if (a.is_null()) return false;
        if (!numbers && !(a.is_string() && b.is_string())) throw mismatch(a, b);
        const int order = numbers ? (real(a) < real(b)    ? -1
                                     : real(a) > real(b)  ? 1
                                     : real(a) == real(b) ? 0
                                                          : 2)
                                  : sign(a.get_ref<const std::string&>().compare(b.get_ref<const std::string&>()));
        if (order == 2) return false;  // not a number
        switch (operation) {
            case comparison::lt:
                return order < 0;
            case comparison::le:
                return order <= 0;
            case comparison::gt:
                return order > 0;
            default:
                return order >= 0;
        }
    }
    [[nodiscard]] static int sign(int x) noexcept { return x < 0 ? -1 : x > 0 ? 1 : 0; }
    [[nodiscard]] config_error mismatch(const cell& a, const cell& b) const {
        return config_error(explain(
            "",
            "column " + formats::quote(column) + " holds " + shown(a) + ", which cannot be compared with " + shown(b),
            "give convert_dtype: float, or values of the column's kind"));
    }
};

}  // namespace lab::sdg::blocks
