// Operators on values with Python's meaning: arithmetic, ordering, membership, indexing and slicing. Whole numbers are
// 64 bits wide; a result beyond that is an error. Undefined values are errors in all but ==, !=, in and ~, and there
// too where the run is strict.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include "lab/text/jinja/print.hpp"
#include "lab/text/jinja/runtime.hpp"
#include "lab/text/jinja/unicode.hpp"

namespace lab::text::jinja {

/// Items of anything that can be looped over; characters of a string, keys of a dict, nothing of an undefined value.
[[nodiscard]] inline list_data items_of(runtime& rt, const value& v) {
    list_data out;
    strictly_defined(rt, v);
    if (v.is_list()) return v.list();
    if (v.is_string()) {
        rt.step(v.string().size());
        for (const auto c : characters(v.string())) out.emplace_back(c);
    } else if (v.is_dict()) {
        for (const auto& [key, item] : v.dict().entries) out.emplace_back(key);
    } else if (!v.is_undefined()) {
        rt.fail("a value of type " + std::string(v.type_name()) + " cannot be looped over");
    }
    return out;
}

/// -1, 0, 1. @throws format_error for values that have no order.
[[nodiscard]] inline int compare(runtime& rt, const value& a, const value& b) {
    const auto sign = [](auto x, auto y) { return x < y ? -1 : y < x ? 1 : 0; };
    if (a.is_number() && b.is_number())
        return a.is_float() || b.is_float() ? sign(a.number(), b.number()) : sign(a.integer(), b.integer());
    if (a.is_string() && b.is_string()) return sign(a.string().compare(b.string()), 0);
    if (a.is_list() && b.is_list()) {
        for (std::size_t i = 0; i < a.list().size() && i < b.list().size(); ++i) {
            rt.step();
            if (!equal(a.list()[i], b.list()[i])) return compare(rt, a.list()[i], b.list()[i]);
        }
        return sign(a.list().size(), b.list().size());
    }
    require_defined(rt, a);
    require_defined(rt, b);
    rt.fail("values of type " + std::string(a.type_name()) + " and " + b.type_name() + " have no order");
}

[[nodiscard]] inline bool contains(runtime& rt, const value& whole, const value& part) {
    strictly_defined(rt, whole);
    strictly_defined(rt, part);
    if (whole.is_string()) {
        if (!part.is_string())
            rt.fail("only a string can be in a string, not a value of type " + std::string(part.type_name()));
        rt.step(1 + whole.string().size() / 64);
        return whole.string().find(part.string()) != std::string::npos;
    }
    if (whole.is_dict()) return part.is_string() && whole.dict().find(part.string()) != nullptr;
    if (whole.is_undefined()) return false;
    if (!whole.is_list()) rt.fail("nothing can be in a value of type " + std::string(whole.type_name()));
    rt.step(whole.list().size());
    return std::any_of(whole.list().begin(), whole.list().end(), [&](const value& v) { return equal(v, part); });
}

namespace detail {

inline value repeat(runtime& rt, const value& what, std::int64_t times) {
    const std::size_t n = times > 0 ? static_cast<std::size_t>(times) : 0;
    if (what.is_string()) {
        if (n > 0 && what.string().size() > rt.options().limits.bytes / n) rt.fail("a repeated string is too long");
        rt.charge(what.string().size() * n);
        std::string out;
        out.reserve(what.string().size() * n);
        for (std::size_t i = 0; i < n; ++i) out += what.string();
        return value(std::move(out));
    }
    if (n > 0 && what.list().size() > rt.options().limits.steps / n) rt.fail("a repeated list is too long");
    rt.step(what.list().size() * n);
    list_data out;
    for (std::size_t i = 0; i < n; ++i) out.insert(out.end(), what.list().begin(), what.list().end());
    return value(std::move(out), what.is_tuple() ? value::sequence::tuple : value::sequence::list);
}

inline value integer_arithmetic(runtime& rt, char op, std::int64_t a, std::int64_t b) {
    std::int64_t r = 0;
    bool overflow = false;
    switch (op) {
        case '+':
            overflow = __builtin_add_overflow(a, b, &r);
            break;
        case '-':
            overflow = __builtin_sub_overflow(a, b, &r);
            break;
        case '*':
            overflow = __builtin_mul_overflow(a, b, &r);
            break;
        default:  // floor division and modulo; the sign of the result follows the divisor
            if (b == 0) rt.fail("division by zero");
            if (b == -1) return op == '%' ? value(0) : integer_arithmetic(rt, '-', 0, a);
            if (op == '%') return value((a % b + b) % b);
            return value(a / b - ((a % b != 0 && (a % b < 0) != (b < 0)) ? 1 : 0));
    }
    if (overflow) rt.fail("a whole number grows beyond 64 bits");
    return value(r);
}

inline value power(runtime& rt, const value& a, const value& b) {
    if (a.is_float() || b.is_float() || b.integer() < 0) return value(std::pow(a.number(), b.number()));
    std::int64_t result = 1;
    const std::int64_t base = a.integer();
    if (base == 0 || base == 1 || base == -1)
        return value(b.integer() == 0 ? 1 : base == -1 && b.integer() % 2 == 0 ? std::int64_t{1} : base);
    for (std::int64_t i = 0; i < b.integer(); ++i) result = integer_arithmetic(rt, '*', result, base).integer();
    return value(result);
}

}  // namespace detail

/// + - * / // % **
[[nodiscard]] inline value arithmetic(runtime& rt, std::string_view op, const value& a, const value& b) {
    require_defined(rt, a);
    if (op == "%" && a.is_string())
        return value(percent_format(rt, a.string(), b.is_tuple() ? b.list() : list_data{b}));
    require_defined(rt, b);
    if (a.is_number() && b.is_number()) {
        if (op == "**") return detail::power(rt, a, b);
        const double x = a.number(), y = b.number();
        if (op == "/" || ((op == "//" || op == "%") && (a.is_float() || b.is_float()))) {
            if (y == 0.0) rt.fail("division by zero");
            if (op == "/") return value(x / y);
            const double r = std::fmod(x, y);
            if (op == "//") return value(std::floor(x / y));
            return value(r != 0.0 && (r < 0) != (y < 0) ? r + y : r);
        }
        if (!a.is_float() && !b.is_float())
            return detail::integer_arithmetic(rt, op == "//" ? '/' : op[0], a.integer(), b.integer());
        return value(op == "+" ? x + y : op == "-" ? x - y : x * y);
    }
    if (op == "+" && a.is_string() && b.is_string()) return rt.text(a.string() + b.string());
    if (op == "+" && a.is_list() && b.is_list() && a.is_tuple() == b.is_tuple() && !a.is_generator() &&
        !b.is_generator()) {
        list_data out = a.list();
        out.insert(out.end(), b.list().begin(), b.list().end());
        return rt.list(std::move(out), a.is_tuple() ? value::sequence::tuple : value::sequence::list);
    }
    if (op == "*" && (a.is_string() || a.is_list()) && (b.is_integer() || b.is_bool()))
        return detail::repeat(rt, a, b.integer());
    if (op == "*" && (b.is_string() || b.is_list()) && (a.is_integer() || a.is_bool()))
        return detail::repeat(rt, b, a.integer());
    rt.fail("\"" + std::string(op) + "\" does not work on values of type " + a.type_name() + " and " + b.type_name());
}

/// v[index]; undefined where there is no such item, as in jinja2.
[[nodiscard]] inline value item(runtime& rt, const value& v, const value& index) {
    require_defined(rt, v);
    const auto missing = [&] { return value::undefined(index.is_string() ? index.string() : to_text(rt, index)); };
    if (v.is_dict() && index.is_string()) {
        const value* found = v.dict().find(index.string());
        return found != nullptr ? *found : missing();
    }
    if (v.is_namespace() && index.is_string()) {
        const value* found = v.names()->names.find(index.string());
        return found != nullptr ? *found : missing();
    }
    if ((v.is_list() && !v.is_generator()) || v.is_string()) {
        if (!index.is_integer() && !index.is_bool()) return missing();
        rt.step(v.is_string() ? 1 + v.string().size() / 16 : 1);
        const std::size_t size = v.is_list() ? v.list().size() : character_count(v.string());
        std::int64_t i = index.integer();
        if (i < 0) i += static_cast<std::int64_t>(size);
        if (i < 0 || static_cast<std::size_t>(i) >= size) return missing();
        if (v.is_list()) return v.list()[static_cast<std::size_t>(i)];
        std::size_t at = 0;
        for (; i > 0; --i) at += character_size(v.string(), at);
        return value(std::string_view(v.string()).substr(at, character_size(v.string(), at)));
    }
    return missing();
}

/// v[start:stop:step] with Python's rules; absent parts are None.
[[nodiscard]] inline value slice(runtime& rt, const value& v, const value& start, const value& stop,
                                 const value& stride) {
    require_defined(rt, v);
    if (!v.is_string() && (!v.is_list() || v.is_generator()))
        rt.fail("a value of type " + std::string(v.type_name()) + " cannot be sliced");
    rt.step(v.is_string() ? v.string().size() : v.list().size());
    const auto chars = v.is_string() ? characters(v.string()) : std::vector<std::string_view>{};
    const auto size = static_cast<std::int64_t>(v.is_string() ? chars.size() : v.list().size());
    const auto part = [&](const value& p, std::int64_t otherwise) {
        if (p.is_none()) return otherwise;
        if (!p.is_integer() && !p.is_bool()) rt.fail("a slice needs whole numbers");
        return p.integer();
    };
    const std::int64_t step = part(stride, 1);
    if (step == 0) rt.fail("a slice cannot have a step of 0");
    const std::int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
    const auto place = [&](std::int64_t i) { return std::clamp(i < 0 ? std::max(i, -size - 1) + size : i, low, high); };
    const std::int64_t from = start.is_none() ? (step > 0 ? low : high) : place(part(start, 0));
    const std::int64_t to = stop.is_none() ? (step > 0 ? high : low) : place(part(stop, 0));
    std::string text;
    list_data list;
    for (std::int64_t i = from; step > 0 ? i < to : i > to;) {
        if (v.is_string())
            text += chars[static_cast<std::size_t>(i)];
        else
            list.push_back(v.list()[static_cast<std::size_t>(i)]);
        if (step > 0 ? step >= to - i : step <= to - i) break;  // the next index would pass the end, or overflow
        i += step;
    }
    if (v.is_string()) return rt.text(std::move(text));
    return rt.list(std::move(list), v.is_tuple() ? value::sequence::tuple : value::sequence::list);
}

}  // namespace lab::text::jinja
