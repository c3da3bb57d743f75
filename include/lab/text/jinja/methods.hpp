// Methods of Python's str, list and dict that templates call. None of them changes its object.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "lab/text/jinja/operators.hpp"

namespace lab::text::jinja {

namespace detail {

inline std::string_view strip(std::string_view text, const std::string* set, bool left, bool right) {
    if (set == nullptr) {
        if (left) text = strip_left(text);
        return right ? strip_right(text) : text;
    }
    const auto in_set = [&](std::string_view c) { return set->find(c) != std::string::npos; };
    while (left && !text.empty() && in_set(text.substr(0, character_size(text, 0))))
        text.remove_prefix(character_size(text, 0));
    if (right) {
        std::size_t end = 0;
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t size = character_size(text, at);
            if (!in_set(text.substr(at, size))) end = at + size;
            at += size;
        }
        text = text.substr(0, end);
    }
    return text;
}

inline std::string replace_all(runtime& rt, const std::string& text, const std::string& from, const std::string& to,
                               std::int64_t count) {
    std::string out;
    std::size_t at = 0;
    const auto left = [&] { return count != 0 && (count < 0 || count-- > 0); };
    if (from.empty()) {  // Python puts `to` before each character and at the end
        for (const auto c : characters(text)) {
            if (left()) out += to;
            out += c;
            rt.charge(to.size());
        }
        if (left()) out += to;
        return out;
    }
    for (std::size_t hit = text.find(from); hit != std::string::npos && left(); hit = text.find(from, at)) {
        rt.charge(to.size() + (hit - at));
        out.append(text, at, hit - at).append(to);
        at = hit + from.size();
    }
    return out.append(text, at);
}

inline value split(runtime& rt, std::string_view text, const std::string* separator, std::int64_t limit,
                   bool from_right) {
    std::vector<std::string_view> parts;
    const auto room = [&] { return limit < 0 || static_cast<std::int64_t>(parts.size()) < limit; };
    if (separator != nullptr) {
        if (separator->empty()) rt.fail("split: the separator is empty");
        while (room()) {
            const std::size_t hit = from_right ? text.rfind(*separator) : text.find(*separator);
            if (hit == std::string_view::npos) break;
            const std::size_t after = hit + separator->size();
            parts.push_back(from_right ? text.substr(after) : text.substr(0, hit));
            text = from_right ? text.substr(0, hit) : text.substr(after);
        }
        parts.push_back(text);
    } else if (!from_right) {
        for (text = strip_left(text); !text.empty(); text = strip_left(text)) {
            if (!room()) {
                parts.push_back(text);
                break;
            }
            std::size_t end = 0;
            while (end < text.size() && !is_space(code_point(text, end))) end += character_size(text, end);
            parts.push_back(text.substr(0, end));
            text.remove_prefix(end);
        }
    } else {
        for (text = strip_right(text); !text.empty(); text = strip_right(text)) {
            if (!room()) {
                parts.push_back(text);
                break;
            }
            std::size_t begin = 0;
            for (std::size_t at = 0; at < text.size();) {
                const std::size_t size = character_size(text, at);
                if (is_space(code_point(text, at))) begin = at + size;
                at += size;
            }
            parts.push_back(text.substr(begin));
            text = text.substr(0, begin);
        }
    }
    if (from_right) std::reverse(parts.begin(), parts.end());
    list_data out;
    for (const auto part : parts) out.push_back(rt.text(std::string(part)));
    return rt.list(std::move(out));
}

inline value split_lines(runtime& rt, std::string_view text, bool keep_ends) {
    list_data out;
    while (!text.empty()) {
        std::size_t end = 0, size = 0;
        for (; end < text.size(); end += character_size(text, end)) {
            const std::uint32_t c = code_point(text, end);
            if ((c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029) {
                size = text.substr(end, 2) == "\r\n" ? 2 : character_size(text, end);
                break;
            }
        }
        out.push_back(rt.text(std::string(text.substr(0, keep_ends ? end + size : end))));
        text.remove_prefix(end + size);
    }
    return rt.list(std::move(out));
}

/// First letter of each word in upper case, the others in lower case. Words begin behind anything that is no letter.
inline std::string title_case(std::string_view text) {
    bool in_word = false;
    return map_characters(text, [&](std::uint32_t c) {
        const bool letter = is_letter(c);
        const std::uint32_t mapped = in_word ? to_lower(c) : to_upper(c);
        in_word = letter;
        return mapped;
    });
}
inline std::string capitalized(std::string_view text) {
    bool first = true;
    return map_characters(text,
                          [&](std::uint32_t c) { return std::exchange(first, false) ? to_upper(c) : to_lower(c); });
}

/// True where the text has a character of the kind and none that is not; `cased` looks at letters with case alone.
template <class Has>
bool all_characters(std::string_view text, Has has) {
    bool any = false;
    for (std::size_t at = 0; at < text.size(); at += character_size(text, at)) {
        if (!has(code_point(text, at))) return false;
        any = true;
    }
    return any;
}
inline bool is_case(std::string_view text, bool upper) {
    bool any = false;
    for (std::size_t at = 0; at < text.size(); at += character_size(text, at)) {
        const std::uint32_t c = code_point(text, at);
        if ((upper ? to_upper(c) : to_lower(c)) != c) return false;
        any = any || (upper ? to_lower(c) : to_upper(c)) != c;
    }
    return any;
}

inline bool has_affix(runtime& rt, const std::string& text, const value& affix, bool prefix) {
    if (affix.is_tuple())
        return std::any_of(affix.list().begin(), affix.list().end(),
                           [&](const value& v) { return has_affix(rt, text, v, prefix); });
    if (!affix.is_string()) rt.fail("startswith and endswith need a string");
    return prefix ? text.starts_with(affix.string()) : text.ends_with(affix.string());
}

/// str.format with {}, {0} and {name}, without format specifications.
inline std::string brace_format(runtime& rt, std::string_view format, const arguments& args) {
    std::string out;
    std::size_t next = 0;
    for (std::size_t i = 0; i < format.size(); ++i) {
        if ((format[i] == '{' || format[i] == '}') && format.substr(i + 1, 1) == format.substr(i, 1)) {
            out += format[i++];
        } else if (format[i] == '{') {
            const std::size_t end = format.find('}', i);
            if (end == std::string_view::npos) rt.fail("format: a brace never closes");
            const std::string_view key = format.substr(i + 1, end - i - 1);
            const value* found = nullptr;
            for (const auto& [name, v] : args.named)
                if (name == key) found = &v;
            std::size_t index = next;
            if (!key.empty()) {
                const auto [stop, failure] = std::from_chars(key.data(), key.data() + key.size(), index);
                if (found == nullptr && (failure != std::errc{} || stop != key.data() + key.size()))
                    rt.fail("format: \"{" + std::string(key) + "}\" is not supported or not given");
            } else {
                ++next;
            }
            if (found == nullptr && index < args.positional.size()) found = &args.positional[index];
            if (found == nullptr) rt.fail("format: too few values");
            out += to_text(rt, *found);
            i = end;
        } else if (format[i] == '}') {
            rt.fail("format: a single '}'");
        } else {
            out += format[i];
        }
    }
    return out;
}

inline value find_in(const std::string& text, const std::string& part, bool from_right) {
    const std::size_t hit = from_right ? text.rfind(part) : text.find(part);
    return hit == std::string::npos ? value(-1) : value(character_count(std::string_view(text).substr(0, hit)));
}

inline constexpr std::array string_methods{
    "strip",    "lstrip",  "rstrip",  "split",        "rsplit",       "splitlines", "startswith",
    "endswith", "replace", "upper",   "lower",        "title",        "capitalize", "find",
    "rfind",    "index",   "count",   "join",         "isdigit",      "isalpha",    "isalnum",
    "isspace",  "isupper", "islower", "removeprefix", "removesuffix", "zfill",      "format"};
inline constexpr std::array list_methods{"index", "count"};
inline constexpr std::array dict_methods{"items", "keys", "values", "get", "copy"};

}  // namespace detail

[[nodiscard]] inline bool has_method(const value& v, std::string_view name) {
    const auto among = [&](const auto& names) { return std::find(names.begin(), names.end(), name) != names.end(); };
    return v.is_string() ? among(detail::string_methods)
           : v.is_list() ? among(detail::list_methods)
                         : v.is_dict() && among(detail::dict_methods);
}

[[nodiscard]] inline value call_string_method(runtime& rt, const std::string& s, const std::string& name,
                                              const arguments& args) {
    rt.step(1 + s.size() / 16);
    const char* const f = name.c_str();
    if (name == "strip" || name == "lstrip" || name == "rstrip") {
        const bound b(rt, f, args, {"chars"});
        return rt.text(
            std::string(detail::strip(s, b.has(0) ? &b.string(rt, 0) : nullptr, name != "rstrip", name != "lstrip")));
    }
    if (name == "split" || name == "rsplit") {
        const bound b(rt, f, args, {"sep", "maxsplit"});
        return detail::split(rt, s, b.has(0) ? &b.string(rt, 0) : nullptr, b.integer(rt, 1, -1), name == "rsplit");
    }
    if (name == "splitlines") return detail::split_lines(rt, s, bound(rt, f, args, {"keepends"}).truth(0));
    if (name == "startswith" || name == "endswith")
        return detail::has_affix(rt, s, bound(rt, f, args, {"affix"}).get(0), name == "startswith");
    if (name == "replace") {
        const bound b(rt, f, args, {"old", "new", "count"});
        return rt.text(detail::replace_all(rt, s, b.string(rt, 0), b.string(rt, 1), b.integer(rt, 2, -1)));
    }
    if (name == "find" || name == "rfind" || name == "index") {
        value at = detail::find_in(s, bound(rt, f, args, {"sub"}).string(rt, 0), name == "rfind");
        if (name == "index" && at.integer() < 0) rt.fail("index: the text is not there");
        return at;
    }
    if (name == "count") {
        const bound b(rt, f, args, {"sub"});
        const std::string& part = b.string(rt, 0);
        if (part.empty()) return value(character_count(s) + 1);
        std::size_t n = 0;
        for (std::size_t at = s.find(part); at != std::string::npos; at = s.find(part, at + part.size())) ++n;
        return value(n);
    }
    if (name == "join") {
        std::string out;
        const char* gap = "";
        for (const auto& v : items_of(rt, bound(rt, f, args, {"iterable"}).get(0))) {
            if (!v.is_string()) rt.fail("join: an item is no string");
            rt.charge(s.size() + v.string().size());
            out += gap == nullptr ? s : "";
            out += v.string();
            gap = nullptr;
        }
        return value(std::move(out));
    }
    if (name == "format") return rt.text(detail::brace_format(rt, s, args));
    if (name == "removeprefix" || name == "removesuffix") {
        const bound b(rt, f, args, {"affix"});
        const std::string& affix = b.string(rt, 0);
        if (name == "removeprefix") return rt.text(s.starts_with(affix) ? s.substr(affix.size()) : s);
        return rt.text(s.ends_with(affix) ? s.substr(0, s.size() - affix.size()) : s);
    }
    if (name == "zfill") {
        const std::int64_t width = bound(rt, f, args, {"width"}).integer(rt, 0, 0);
        const auto have = static_cast<std::int64_t>(character_count(s));
        if (width <= have) return value(s);
        const value zeros = detail::repeat(rt, value("0"), width - have);
        const std::size_t sign = !s.empty() && (s[0] == '-' || s[0] == '+') ? 1 : 0;
        return rt.text(s.substr(0, sign) + zeros.string() + s.substr(sign));
    }
    const bound none(rt, f, args, {});
    if (name == "upper") return rt.text(map_characters(s, to_upper));
    if (name == "lower") return rt.text(map_characters(s, to_lower));
    if (name == "title") return rt.text(detail::title_case(s));
    if (name == "capitalize") return rt.text(detail::capitalized(s));
    if (name == "isdigit") return value(detail::all_characters(s, is_digit));
    if (name == "isalpha") return value(detail::all_characters(s, is_letter));
    if (name == "isalnum")
        return value(detail::all_characters(s, [](std::uint32_t c) { return is_letter(c) || is_digit(c); }));
    if (name == "isspace") return value(detail::all_characters(s, is_space));
    if (name == "isupper" || name == "islower") return value(detail::is_case(s, name == "isupper"));
    rt.fail("strings have no method \"" + name + "\" here");
}

/// object.name(args) for a str, list or dict.
[[nodiscard]] inline value call_method(runtime& rt, const value& object, const std::string& name,
                                       const arguments& args) {
    if (object.is_string()) return call_string_method(rt, object.string(), name, args);
    const char* const f = name.c_str();
    if (object.is_dict()) {
        const auto& entries = object.dict().entries;
        if (name == "get") {
            const bound b(rt, f, args, {"key", "default"});
            const value key = b.get(0);
            const value* found = key.is_string() ? object.dict().find(key.string()) : nullptr;
            rt.step(1 + entries.size() / 8);
            return found != nullptr ? *found : b.get(1);
        }
        const bound none(rt, f, args, {});
        if (name == "copy") return object;
        list_data out;
        for (const auto& [key, v] : entries) {
            if (name == "items")
                out.push_back(rt.list({value(key), v}, value::sequence::tuple));
            else
                out.push_back(name == "keys" ? value(key) : v);
        }
        return rt.list(std::move(out));
    }
    const value wanted = bound(rt, f, args, {"value"}).get(0);
    rt.step(object.list().size());
    if (name == "count") {
        std::size_t n = 0;
        for (const auto& v : object.list()) n += equal(v, wanted) ? 1 : 0;
        return value(n);
    }
    for (std::size_t i = 0; i < object.list().size(); ++i)
        if (equal(object.list()[i], wanted)) return value(i);
    rt.fail("index: the value is not in the list");
}

}  // namespace lab::text::jinja
