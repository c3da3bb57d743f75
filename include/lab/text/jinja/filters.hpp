// The filters of jinja2 that templates use, and transformers' tojson.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>

#include "lab/text/jinja/methods.hpp"
#include "lab/text/jinja/tests.hpp"

namespace lab::text::jinja {

[[nodiscard]] value apply_filter(runtime& rt, const std::string& name, const value& in, const arguments& args);

namespace detail {

/// An attribute path as filters take it: "a.b" or "a.0" or a number.
inline value attribute_path(runtime& rt, value v, const value& path) {
    if (path.is_integer()) return item(rt, v, path);
    if (!path.is_string()) rt.fail("an attribute must be named by a string");
    std::string_view rest = path.string();
    for (;;) {
        const std::size_t dot = rest.find('.');
        const std::string_view part = rest.substr(0, dot);
        const bool number = !part.empty() &&
                            std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; }) &&
                            part.size() < 10;
        v = item(rt, v, number ? value(std::stoi(std::string(part))) : value(part));
        if (dot == std::string_view::npos) return v;
        rest.remove_prefix(dot + 1);
    }
}

/// How sort, min, max and unique see an item: its attribute, in lower case unless told otherwise.
inline value sort_key(runtime& rt, const value& v, const value& attribute, bool case_sensitive) {
    value key = attribute.is_none() ? v : attribute_path(rt, v, attribute);
    if (key.is_string() && !case_sensitive) key = value(map_characters(key.string(), to_lower));
    return key;
}

/// Stable order of the items by their keys.
inline list_data sorted(runtime& rt, const list_data& items, const value& attribute, bool case_sensitive,
                        bool reverse) {
    std::vector<std::pair<value, const value*>> keyed;
    for (const auto& v : items) keyed.emplace_back(sort_key(rt, v, attribute, case_sensitive), &v);
    std::stable_sort(keyed.begin(), keyed.end(), [&](const auto& a, const auto& b) {
        rt.step();
        return reverse ? compare(rt, a.first, b.first) > 0 : compare(rt, a.first, b.first) < 0;
    });
    list_data out;
    for (const auto& [key, v] : keyed) out.push_back(*v);
    return out;
}

/// select, reject, selectattr, rejectattr. At once: what jinja2 would find wrong only when the result is walked through
/// is found wrong here.
inline value choose(runtime& rt, const std::string& name, const value& in, arguments args) {
    const bool by_attribute = name.ends_with("attr"), keep = name.starts_with("select");
    value attribute = nullptr;
    const auto pop = [&] {
        value first = args.positional.front();
        args.positional.erase(args.positional.begin());
        return first;
    };
    if (by_attribute) {
        if (args.positional.empty()) rt.fail(name + " needs the name of an attribute");
        attribute = pop();
    }
    std::string test;
    if (!args.positional.empty()) {
        const value given = pop();
        if (!given.is_string()) rt.fail(name + " needs the name of a test");
        test = given.string();
    }
    list_data out;
    for (const auto& v : items_of(rt, in)) {
        rt.step();
        const value looked_at = by_attribute ? attribute_path(rt, v, attribute) : v;
        if (test.empty()) strictly_defined(rt, looked_at);
        if ((test.empty() ? looked_at.truth() : apply_test(rt, test, looked_at, args)) == keep) out.push_back(v);
    }
    return rt.list(std::move(out), value::sequence::generator);
}

inline value map(runtime& rt, const value& in, arguments args) {
    list_data out;
    const auto named = [&](const char* name) -> const value* {
        for (const auto& [key, v] : args.named)
            if (key == name) return &v;
        return nullptr;
    };
    if (const value* attribute = named("attribute"); attribute != nullptr && args.positional.empty()) {
        const value* otherwise = named("default");
        for (const auto& v : items_of(rt, in)) {
            value found = attribute_path(rt, v, *attribute);
            out.push_back(found.is_undefined() && otherwise != nullptr ? *otherwise : found);
        }
    } else {
        if (args.positional.empty() || !args.positional.front().is_string())
            rt.fail("map needs the name of a filter, or attribute=");
        const std::string filter = args.positional.front().string();
        args.positional.erase(args.positional.begin());
        for (const auto& v : items_of(rt, in)) out.push_back(apply_filter(rt, filter, v, args));
    }
    return rt.list(std::move(out), value::sequence::generator);
}

inline value to_json(runtime& rt, const value& in, const arguments& args) {
    const bound b(rt, "tojson", args, {"ensure_ascii", "indent", "separators", "sort_keys"});
    json_style style{.ensure_ascii = b.truth(0), .sort_keys = b.truth(3)};
    if (b.has(1)) {
        style.pretty = true;
        style.item_separator = ",";
        const value indent = b.get(1);
        style.indent = indent.is_string() ? indent.string() : repeat(rt, value(" "), b.integer(rt, 1, 0)).string();
    }
    if (b.has(2)) {
        const value pair = b.get(2);
        if (!pair.is_list() || pair.list().size() != 2 || !pair.list()[0].is_string() || !pair.list()[1].is_string())
            rt.fail("tojson: separators must be two strings");
        style.item_separator = pair.list()[0].string();
        style.key_separator = pair.list()[1].string();
    }
    std::string out;
    append_json(rt, out, in, style);
    return rt.text(std::move(out));
}

inline value to_integer(runtime& rt, const value& in, const arguments& args) {
    const bound b(rt, "int", args, {"default", "base"});
    value otherwise = b.get(0, 0);
    require_defined(rt, in);
    if (in.is_bool() || in.is_integer()) return value(in.integer());
    double d = std::numeric_limits<double>::quiet_NaN();
    if (in.is_string()) {
        std::string_view text = strip_right(strip_left(in.string()));
        if (text.starts_with('+')) text.remove_prefix(1);
        std::int64_t i = 0;
        const std::int64_t base = b.integer(rt, 1, 10);
        if (base < 2 || base > 36) return otherwise;
        const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), i, static_cast<int>(base));
        if (failure == std::errc{} && end == text.data() + text.size()) return value(i);
        const auto [stop, broken] = std::from_chars(text.data(), text.data() + text.size(), d);
        if (broken != std::errc{} || stop != text.data() + text.size()) return otherwise;
    } else if (in.is_float()) {
        d = in.number();
    }
    return d > -9e18 && d < 9e18 ? value(static_cast<std::int64_t>(d)) : otherwise;
}

inline value to_float(runtime& rt, const value& in, const arguments& args) {
    value otherwise = bound(rt, "float", args, {"default"}).get(0, 0.0);
    require_defined(rt, in);
    if (in.is_number()) return value(in.number());
    if (!in.is_string()) return otherwise;
    const std::string_view text = strip_right(strip_left(in.string()));
    double d = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), d);
    return failure == std::errc{} && end == text.data() + text.size() ? value(d) : otherwise;
}

inline value round(runtime& rt, const value& in, const arguments& args) {
    const bound b(rt, "round", args, {"precision", "method"});
    if (!in.is_number()) rt.fail("round needs a number");
    const double scale = std::pow(10.0, static_cast<double>(b.integer(rt, 0, 0))), x = in.number() * scale;
    const std::string method = b.has(1) ? b.string(rt, 1) : "common";
    if (method == "ceil") return value(std::ceil(x) / scale);
    if (method == "floor") return value(std::floor(x) / scale);
    if (method != "common") rt.fail("round: unknown method \"" + method + "\"");
    if (in.is_integer() && b.integer(rt, 0, 0) >= 0) return in;
    return value(std::nearbyint(x) / scale);  // ties to even, as Python's round
}

inline value indent(runtime& rt, const value& in, const arguments& args) {
    const bound b(rt, "indent", args, {"width", "first", "blank"});
    const value width = b.get(0, 4);
    const std::string pad = width.is_string() ? width.string() : repeat(rt, value(" "), b.integer(rt, 0, 4)).string();
    std::string out = b.truth(1) ? pad : "";
    const value lines = split_lines(rt, to_text(rt, in) + "\n", false);
    for (std::size_t i = 0; i < lines.list().size(); ++i) {
        const std::string& line = lines.list()[i].string();
        rt.charge(pad.size() + line.size());
        if (i > 0) out += !line.empty() || b.truth(2) ? "\n" + pad : "\n";
        out += line;
    }
    return value(std::move(out));
}

inline value escape(runtime& rt, const value& in) {
    std::string out;
    for (const char c : to_text(rt, in)) {
        constexpr std::string_view special = "&<>'\"";
        constexpr const char* entity[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
        const std::size_t i = special.find(c);
        if (i == std::string_view::npos)
            out += c;
        else
            out += entity[i];
    }
    return rt.text(std::move(out));
}

inline value sequence_filter(runtime& rt, const std::string& name, const value& in, const arguments& args,
                             bool& known) {
    known = true;
    const char* const f = name.c_str();
    if (name == "first" || name == "last") {
        const bound none(rt, f, args, {});
        const list_data items = items_of(rt, in);
        if (items.empty()) return value::undefined(name + " of nothing");
        return name == "first" ? items.front() : items.back();
    }
    if (name == "list") return rt.list(items_of(rt, in));
    if (name == "items") {
        if (in.is_undefined()) return rt.list({}, value::sequence::generator);
        if (!in.is_dict()) rt.fail("items needs a dict");
        return rt.list(call_method(rt, in, "items", {}).list(), value::sequence::generator);
    }
    if (name == "reverse") {
        list_data items = items_of(rt, in);
        std::reverse(items.begin(), items.end());
        if (!in.is_string()) return rt.list(std::move(items), value::sequence::generator);
        std::string out;
        for (const auto& c : items) out += c.string();
        return rt.text(std::move(out));
    }
    if (name == "sort") {
        const bound b(rt, f, args, {"reverse", "case_sensitive", "attribute"});
        return rt.list(sorted(rt, items_of(rt, in), b.get(2), b.truth(1), b.truth(0)));
    }
    if (name == "dictsort") {
        const bound b(rt, f, args, {"case_sensitive", "by", "reverse"});
        const bool by_value = b.has(1) && b.string(rt, 1) == "value";
        return rt.list(
            sorted(rt, call_method(rt, in, "items", {}).list(), value(by_value ? 1 : 0), b.truth(0), b.truth(2)));
    }
    if (name == "unique") {
        const bound b(rt, f, args, {"case_sensitive", "attribute"});
        list_data out, keys;
        for (const auto& v : items_of(rt, in)) {
            const value key = sort_key(rt, v, b.get(1), b.truth(0));
            rt.step(keys.size());
            if (std::any_of(keys.begin(), keys.end(), [&](const value& k) { return equal(k, key); })) continue;
            keys.push_back(key);
            out.push_back(v);
        }
        return rt.list(std::move(out), value::sequence::generator);
    }
    if (name == "min" || name == "max") {
        const bound b(rt, f, args, {"case_sensitive", "attribute"});
        const list_data items = sorted(rt, items_of(rt, in), b.get(1), b.truth(0), name == "max");
        return items.empty() ? value::undefined(name + " of nothing") : items.front();
    }
    if (name == "sum") {
        const bound b(rt, f, args, {"attribute", "start"});
        value total = b.get(1, 0);
        for (const auto& v : items_of(rt, in))
            total = arithmetic(rt, "+", total, b.has(0) ? attribute_path(rt, v, b.get(0)) : v);
        return total;
    }
    if (name == "groupby") {
        const bound b(rt, f, args, {"attribute", "default", "case_sensitive"});
        list_data out, group;
        value key;
        const auto flush = [&] {
            if (!group.empty()) out.push_back(rt.list({key, rt.list(std::move(group))}, value::sequence::tuple));
            group.clear();
        };
        for (const auto& v : sorted(rt, items_of(rt, in), b.get(0), b.truth(2), false)) {
            const value next = attribute_path(rt, v, b.get(0));
            if (!equal(sort_key(rt, next, nullptr, b.truth(2)), sort_key(rt, key, nullptr, b.truth(2)))) {
                flush();
                key = next;
            }
            group.push_back(v);
        }
        flush();
        return rt.list(std::move(out));
    }
    if (name == "batch") {
        const bound b(rt, f, args, {"linecount", "fill_with"});
        const std::int64_t size = b.integer(rt, 0, 0);
        if (size < 1) rt.fail("batch needs a positive number");
        list_data out, row;
        for (const auto& v : items_of(rt, in)) {
            row.push_back(v);
            if (static_cast<std::int64_t>(row.size()) == size) out.push_back(rt.list(std::exchange(row, {})));
        }
        if (!row.empty()) {
            if (b.has(1)) rt.step(static_cast<std::size_t>(size));
            while (b.has(1) && static_cast<std::int64_t>(row.size()) < size) row.push_back(b.get(1));
            out.push_back(rt.list(std::move(row)));
        }
        return rt.list(std::move(out), value::sequence::generator);
    }
    if (name == "join") {
        const bound b(rt, f, args, {"d", "attribute"});
        const std::string gap = b.has(0) ? to_text(rt, b.get(0)) : "";
        std::string out;
        bool first = true;
        for (const auto& v : items_of(rt, in)) {
            const std::string text = to_text(rt, b.has(1) ? attribute_path(rt, v, b.get(1)) : v);
            rt.charge(gap.size() + text.size());
            if (!std::exchange(first, false)) out += gap;
            out += text;
        }
        return value(std::move(out));
    }
    known = false;
    return {};
}

}  // namespace detail

/// in | name(args). @throws format_error for unknown filters and wrong arguments.
inline value apply_filter(runtime& rt, const std::string& name, const value& in, const arguments& args) {
    rt.step();
    const char* const f = name.c_str();
    if (name == "default" || name == "d") {
        const bound b(rt, f, args, {"default_value", "boolean"});
        return in.is_undefined() || (b.truth(1) && !in.truth()) ? b.get(0, "") : in;
    }
    if (name == "length" || name == "count") {
        const bound none(rt, f, args, {});
        strictly_defined(rt, in);
        if (in.is_undefined()) return value(0);
        if (in.is_string()) return value(character_count(in.string()));
        if (in.is_list() && !in.is_generator()) return value(in.list().size());
        if (in.is_dict()) return value(in.dict().entries.size());
        rt.fail("a value of type " + std::string(in.is_generator() ? "generator" : in.type_name()) + " has no length");
    }
    if (name == "tojson") return detail::to_json(rt, in, args);
    if (name == "select" || name == "reject" || name == "selectattr" || name == "rejectattr")
        return detail::choose(rt, name, in, args);
    if (name == "map") return detail::map(rt, in, args);
    bool known = false;
    value result = detail::sequence_filter(rt, name, in, args, known);
    if (known) return result;

    // Filters on one text or number.
    if (name == "trim") return call_string_method(rt, to_text(rt, in), "strip", args);
    if (name == "replace") {
        const bound b(rt, f, args, {"old", "new", "count"});
        return rt.text(detail::replace_all(rt, to_text(rt, in), to_text(rt, b.get(0)), to_text(rt, b.get(1)),
                                           b.has(2) ? b.integer(rt, 2, -1) : -1));
    }
    if (name == "int") return detail::to_integer(rt, in, args);
    if (name == "float") return detail::to_float(rt, in, args);
    if (name == "round") return detail::round(rt, in, args);
    if (name == "indent") return detail::indent(rt, in, args);
    if (name == "format") return value(percent_format(rt, to_text(rt, in), args.positional));
    if (name == "attr") return item(rt, in, bound(rt, f, args, {"name"}).get(0));
    const bound none(rt, f, args, {});
    if (name == "upper" || name == "lower" || name == "capitalize")
        return call_string_method(rt, to_text(rt, in), name, {});
    if (name == "title") {  // unlike str.title(), an apostrophe does not begin a word
        bool in_word = false;
        return rt.text(map_characters(to_text(rt, in), [&](std::uint32_t c) {
            const std::uint32_t mapped = in_word ? to_lower(c) : to_upper(c);
            in_word = !(is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<');
            return mapped;
        }));
    }
    if (name == "string") return in.is_string() ? in : rt.text(to_text(rt, in));
    if (name == "safe") return in;
    if (name == "escape" || name == "e" || name == "forceescape") return detail::escape(rt, in);
    if (name == "abs") {
        if (!in.is_number()) rt.fail("abs needs a number");
        return in.is_float()      ? value(std::abs(in.number()))
               : in.integer() < 0 ? detail::integer_arithmetic(rt, '-', 0, in.integer())
                                  : value(in.integer());
    }
    if (name == "wordcount") return value(detail::split(rt, to_text(rt, in), nullptr, -1, false).list().size());
    if (name == "urlencode") {
        std::string out;
        for (const char c : to_text(rt, in)) {
            const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                               std::string_view("_.-~/").find(c) != std::string_view::npos;
            if (plain) {
                out += c;
            } else {
                out += '%';
                for (const int shift : {4, 0}) out += "0123456789ABCDEF"[static_cast<unsigned char>(c) >> shift & 0xF];
            }
        }
        return rt.text(std::move(out));
    }
    rt.fail("unknown filter \"" + name + "\"");
}

}  // namespace lab::text::jinja
