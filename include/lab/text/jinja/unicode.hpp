// UTF-8 as the template language sees it: Python strings are sequences of code points. Broken bytes count as one
// character each. Case mapping covers ASCII, Latin-1, Greek and Cyrillic; other letters keep their case.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lab::text::jinja {

/// Bytes of the character that begins at `at` (1 for a broken one).
[[nodiscard]] inline std::size_t character_size(std::string_view text, std::size_t at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    const std::size_t size = byte < 0x80                   ? 1
                             : byte >= 0xF0 && byte < 0xF5 ? 4
                             : byte >= 0xE0                ? 3
                             : byte >= 0xC2                ? 2
                                                           : 1;
    if (byte >= 0xF5 || at + size > text.size()) return 1;
    for (std::size_t i = 1; i < size; ++i)
        if ((static_cast<unsigned char>(text[at + i]) & 0xC0) != 0x80) return 1;
    return size;
}

[[nodiscard]] inline std::uint32_t code_point(std::string_view text, std::size_t at) {
    const auto byte = [&](std::size_t i) {
        return static_cast<std::uint32_t>(static_cast<unsigned char>(text[at + i]));
    };
    switch (character_size(text, at)) {
        case 2:
            return (byte(0) & 0x1F) << 6 | (byte(1) & 0x3F);
        case 3:
            return (byte(0) & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
        case 4:
            return (byte(0) & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
        default:
            return byte(0);
    }
}

inline void append_code_point(std::string& out, std::uint32_t c) {
    const auto put = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
    if (c < 0x80) {
        put(c);
    } else if (c < 0x800) {
        put(0xC0 | c >> 6), put(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        put(0xE0 | c >> 12), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
    } else {
        put(0xF0 | c >> 18), put(0x80 | (c >> 12 & 0x3F)), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
    }
}

[[nodiscard]] inline std::size_t character_count(std::string_view text) {
    std::size_t n = 0;
    for (std::size_t at = 0; at < text.size(); at += character_size(text, at)) ++n;
    return n;
}

[[nodiscard]] inline std::vector<std::string_view> characters(std::string_view text) {
    std::vector<std::string_view> out;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t size = character_size(text, at);
        out.push_back(text.substr(at, size));
        at += size;
    }
    return out;
}

/// What str.strip() and str.split() take for white space.
[[nodiscard]] inline bool is_space(std::uint32_t c) {
    return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

[[nodiscard]] inline std::string_view strip_left(std::string_view text) {
    while (!text.empty() && is_space(code_point(text, 0))) text.remove_prefix(character_size(text, 0));
    return text;
}
[[nodiscard]] inline std::string_view strip_right(std::string_view text) {
    std::size_t end = 0;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t size = character_size(text, at);
        if (!is_space(code_point(text, at))) end = at + size;
        at += size;
    }
    return text.substr(0, end);
}

[[nodiscard]] inline std::uint32_t to_lower(std::uint32_t c) {
    if ((c >= 'A' && c <= 'Z') || (c >= 0xC0 && c <= 0xDE && c != 0xD7) || (c >= 0x391 && c <= 0x3A9) ||
        (c >= 0x410 && c <= 0x42F))
        return c + 32;
    if (c >= 0x400 && c <= 0x40F) return c + 80;
    return c;
}
[[nodiscard]] inline std::uint32_t to_upper(std::uint32_t c) {
    if ((c >= 'a' && c <= 'z') || (c >= 0xE0 && c <= 0xFE && c != 0xF7) || (c >= 0x3B1 && c <= 0x3C9 && c != 0x3C2) ||
        (c >= 0x430 && c <= 0x44F))
        return c - 32;
    if (c >= 0x450 && c <= 0x45F) return c - 80;
    return c;
}
[[nodiscard]] inline bool is_digit(std::uint32_t c) { return c >= '0' && c <= '9'; }
[[nodiscard]] inline bool is_letter(std::uint32_t c) {
    return to_lower(c) != c || to_upper(c) != c || c == 0xDF || (c > 0xFF && c < 0x2000) || (c >= 0x3040 && c < 0xE000);
}

/// Maps each character of a well-formed text; broken bytes stay.
template <class F>
[[nodiscard]] std::string map_characters(std::string_view text, F f) {
    std::string out;
    for (const auto c : characters(text)) {
        if (c.size() == 1 && static_cast<unsigned char>(c[0]) >= 0x80)
            out += c;
        else if (c == "ß" && f(std::uint32_t{'a'}) == 'A')
            out += "SS";
        else
            append_code_point(out, f(code_point(c, 0)));
    }
    return out;
}

}  // namespace lab::text::jinja
