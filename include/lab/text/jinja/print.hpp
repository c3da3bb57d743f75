// Values as text: Python's str() and repr(), json.dumps() as transformers' tojson filter calls it, and %-formatting.
#pragma once

#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include "lab/text/jinja/runtime.hpp"
#include "lab/text/jinja/unicode.hpp"

namespace lab::text::jinja {

/// Python's repr of a float: the shortest digits that read back the same.
[[nodiscard]] inline std::string float_text(double d) {
    if (std::isnan(d)) return "nan";
    if (std::isinf(d)) return d < 0 ? "-inf" : "inf";
    char buffer[40];
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, d, std::chars_format::scientific).ptr;
    const std::string_view shortest(buffer, static_cast<std::size_t>(end - buffer));
    const std::size_t e = shortest.find('e');
    int exponent = 0;
    std::from_chars(shortest.data() + e + (shortest[e + 1] == '+' ? 2 : 1), end, exponent);
    if (exponent < -4 || exponent >= 16) return std::string(shortest);
    const auto fixed = std::to_chars(buffer, buffer + sizeof buffer, d, std::chars_format::fixed).ptr;
    std::string text(buffer, fixed);
    if (text.find('.') == std::string::npos) text += ".0";
    return text;
}

inline void append_hex(std::string& out, std::uint32_t c, int digits) {
    for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) out += "0123456789abcdef"[c >> shift & 0xF];
}

/// Python's repr of a string. Which characters count as printable is approximated: control, format, private use and
/// separator characters do not.
[[nodiscard]] inline std::string string_repr(std::string_view text) {
    const char quote =
        text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos ? '"' : '\'';
    std::string out(1, quote);
    for (const auto piece : characters(text)) {
        const std::uint32_t c = code_point(piece, 0);
        const bool hidden = (c >= 0x80 && c <= 0xA0) || c == 0xAD || c == 0x1680 || (c >= 0x2000 && c <= 0x200F) ||
                            (c >= 0x2028 && c <= 0x202F) || (c >= 0x205F && c <= 0x206F) || c == 0x3000 ||
                            c == 0xFEFF || (c >= 0xE000 && c <= 0xF8FF) || c >= 0xE0000;
        if (c == '\\' || c == static_cast<unsigned char>(quote)) {
            out += '\\';
            out += piece;
        } else if (c == '\n' || c == '\r' || c == '\t') {
            out += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
        } else if (c < 0x20 || c == 0x7F || (hidden && c < 0x100)) {
            append_hex(out += "\\x", c, 2);
        } else if (hidden) {
            append_hex(out += c < 0x10000 ? "\\u" : "\\U", c, c < 0x10000 ? 4 : 8);
        } else {
            out += piece;
        }
    }
    return out += quote;
}

[[nodiscard]] std::string repr(runtime& rt, const value& v);

/// Python's str(); undefined prints as nothing.
[[nodiscard]] inline std::string to_text(runtime& rt, const value& v) {
    if (v.is_string()) return v.string();
    strictly_defined(rt, v);
    if (v.is_undefined()) return {};
    return repr(rt, v);
}

inline std::string repr(runtime& rt, const value& v) {
    rt.step();
    if (v.is_undefined()) return "Undefined";
    if (v.is_none()) return "None";
    if (v.is_bool()) return v.boolean() ? "True" : "False";
    if (v.is_integer()) return std::to_string(v.integer());
    if (v.is_float()) return float_text(v.number());
    std::string out;
    if (v.is_string()) {
        out = string_repr(v.string());
    } else if (v.is_list()) {
        if (v.is_generator()) rt.fail("a generator has no printable form (add the filter \"list\")");
        out = v.is_tuple() ? "(" : "[";
        const char* gap = "";
        for (const auto& item : v.list()) {
            out.append(gap).append(repr(rt, item));
            gap = ", ";
        }
        out += v.is_tuple() ? (v.list().size() == 1 ? ",)" : ")") : "]";
    } else if (v.is_dict()) {
        out = "{";
        const char* gap = "";
        for (const auto& [key, item] : v.dict().entries) {
            out.append(gap).append(string_repr(key)).append(": ").append(repr(rt, item));
            gap = ", ";
        }
        out += "}";
    } else {
        rt.fail("a " + std::string(v.type_name()) + " has no printable form");
    }
    rt.charge(out.size());
    return out;
}

struct json_style {
    bool ensure_ascii = false, sort_keys = false, pretty = false;
    std::string indent{};
    std::string item_separator = ", ", key_separator = ": ";
};

inline void append_json_string(std::string& out, std::string_view text, bool ensure_ascii) {
    out += '"';
    for (const auto piece : characters(text)) {
        const std::uint32_t c = code_point(piece, 0);
        constexpr std::string_view special = "\"\\\b\f\n\r\t", letter = "\"\\bfnrt";
        if (const std::size_t i = c < 0x80 ? special.find(static_cast<char>(c)) : std::string_view::npos;
            i != std::string_view::npos) {
            out += '\\';
            out += letter[i];
        } else if (c < 0x20 || (ensure_ascii && c >= 0x7F && c < 0x10000 && c != 0x7F)) {
            append_hex(out += "\\u", c, 4);
        } else if (ensure_ascii && c >= 0x10000) {
            append_hex(out += "\\u", 0xD800 + ((c - 0x10000) >> 10), 4);
            append_hex(out += "\\u", 0xDC00 + ((c - 0x10000) & 0x3FF), 4);
        } else {
            out += piece;
        }
    }
    out += '"';
}

/// Python's json.dumps.
inline void append_json(runtime& rt, std::string& out, const value& v, const json_style& style, std::size_t level = 0) {
    rt.step();
    const auto new_line = [&](std::size_t n) {
        if (!style.pretty) return;
        rt.charge(style.indent.size() * n + 1);
        out += '\n';
        for (std::size_t i = 0; i < n; ++i) out += style.indent;
    };
    const std::size_t before = out.size();
    if (v.is_none()) {
        out += "null";
    } else if (v.is_bool()) {
        out += v.boolean() ? "true" : "false";
    } else if (v.is_float() && !std::isfinite(v.number())) {
        out += std::isnan(v.number()) ? "NaN" : v.number() < 0 ? "-Infinity" : "Infinity";
    } else if (v.is_number()) {
        out += repr(rt, v);
    } else if (v.is_string()) {
        append_json_string(out, v.string(), style.ensure_ascii);
        rt.charge(out.size() - before);
    } else if (v.is_list() && !v.is_generator()) {
        out += '[';
        for (std::size_t i = 0; i < v.list().size(); ++i) {
            if (i > 0) out += style.item_separator;
            new_line(level + 1);
            append_json(rt, out, v.list()[i], style, level + 1);
        }
        if (!v.list().empty()) new_line(level);
        out += ']';
    } else if (v.is_dict()) {
        std::vector<const std::pair<std::string, value>*> entries;
        for (const auto& entry : v.dict().entries) entries.push_back(&entry);
        if (style.sort_keys)
            std::sort(entries.begin(), entries.end(), [](auto* a, auto* b) { return a->first < b->first; });
        out += '{';
        for (std::size_t i = 0; i < entries.size(); ++i) {
            if (i > 0) out += style.item_separator;
            new_line(level + 1);
            append_json_string(out, entries[i]->first, style.ensure_ascii);
            out += style.key_separator;
            append_json(rt, out, entries[i]->second, style, level + 1);
        }
        if (!entries.empty()) new_line(level);
        out += '}';
    } else {
        rt.fail("a value of type " + std::string(v.type_name()) + " cannot be written as JSON");
    }
}

/// The part of Python's % operator that templates use: %s %r %d %i %x %f with a precision, and %%.
[[nodiscard]] inline std::string percent_format(runtime& rt, std::string_view format, const list_data& items) {
    std::string out;
    std::size_t next = 0;
    for (std::size_t i = 0; i < format.size(); ++i) {
        if (format[i] != '%') {
            out += format[i];
            continue;
        }
        ++i;
        int precision = -1;
        if (i < format.size() && format[i] == '.')
            for (precision = 0, ++i; i < format.size() && format[i] >= '0' && format[i] <= '9' && precision < 100; ++i)
                precision = precision * 10 + (format[i] - '0');
        const char kind = i < format.size() ? format[i] : ' ';
        if (kind == '%') {
            out += '%';
            continue;
        }
        if (next >= items.size()) rt.fail("a format string wants more values than it is given");
        const value& v = items[next++];
        if (kind == 's' || kind == 'r') {
            out += kind == 's' ? to_text(rt, v) : repr(rt, v);
        } else if ((kind == 'd' || kind == 'i') && v.is_number()) {
            out += v.is_float() ? std::to_string(static_cast<std::int64_t>(std::clamp(v.number(), -9e18, 9e18)))
                                : std::to_string(v.integer());
        } else if (kind == 'x' && (v.is_integer() || v.is_bool()) && v.integer() >= 0) {
            char buffer[20];
            out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, v.integer(), 16).ptr);
        } else if (kind == 'f' && v.is_number()) {
            char buffer[500];
            out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, v.number(), std::chars_format::fixed,
                                             precision < 0 ? 6 : precision)
                                   .ptr);
        } else {
            rt.fail(std::string("the format \"%") + kind + "\" does not fit a value of type " + v.type_name());
        }
    }
    if (next < items.size()) rt.fail("a format string is given more values than it wants");
    rt.charge(out.size());
    return out;
}

}  // namespace lab::text::jinja
