// Cuts running text into sentences, as byte ranges that leave no letter out. Rules, not a model: a sentence ends at . !
// ? (with closing quotes or brackets) before white space and a capital, digit or quote, but not after an initial or a
// common English abbreviation; CJK full stops end one anywhere; a blank line always does.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace lab::sdg {

struct text_range {
    std::size_t begin = 0, end = 0;
    [[nodiscard]] std::size_t size() const noexcept { return end - begin; }
    [[nodiscard]] std::string_view of(std::string_view text) const { return text.substr(begin, end - begin); }
    friend bool operator==(const text_range&, const text_range&) = default;
};

namespace detail {
[[nodiscard]] constexpr bool is_space(char c) noexcept { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
[[nodiscard]] constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
[[nodiscard]] constexpr bool is_upper(char c) noexcept { return c >= 'A' && c <= 'Z'; }
[[nodiscard]] constexpr bool is_lower(char c) noexcept { return c >= 'a' && c <= 'z'; }
[[nodiscard]] constexpr char to_lower(char c) noexcept { return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c; }

[[nodiscard]] inline bool ends_in_abbreviation(std::string_view before_stop) {
    constexpr std::array<std::string_view, 22> known{"mr",  "mrs", "ms",  "dr",  "prof", "st",     "vs", "etc",
                                                     "e.g", "i.e", "no",  "fig", "vol",  "approx", "ca", "jr",
                                                     "sr",  "inc", "ltd", "p",   "pp",   "cf"};
    const auto start = before_stop.find_last_of(" \t\r\n(\"'");
    const auto word = before_stop.substr(start == before_stop.npos ? 0 : start + 1);
    if (word.size() == 1 && is_upper(word[0])) return true;  // an initial
    std::string lower(word);
    std::transform(lower.begin(), lower.end(), lower.begin(), to_lower);
    return std::find(known.begin(), known.end(), lower) != known.end();
}
}  // namespace detail

/// Ranges of `text`, white space trimmed, in order.
[[nodiscard]] inline std::vector<text_range> sentences_of(std::string_view text) {
    using namespace detail;
    std::vector<text_range> ranges;
    std::size_t begin = 0;
    const auto close = [&](std::size_t end) {
        std::size_t b = begin, e = end;
        while (b < e && is_space(text[b])) ++b;
        while (e > b && is_space(text[e - 1])) --e;
        if (b < e) ranges.push_back({b, e});
        begin = end;
    };
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '\n') {  // a blank line
            std::size_t j = i + 1;
            while (j < text.size() && (text[j] == ' ' || text[j] == '\t' || text[j] == '\r')) ++j;
            if (j < text.size() && text[j] == '\n') close(j);
            continue;
        }
        const auto rest = text.substr(i);
        if (rest.starts_with("\xe3\x80\x82") || rest.starts_with("\xef\xbc\x81") || rest.starts_with("\xef\xbc\x9f")) {
            close(i + 3);
            i += 2;
            continue;
        }
        if (c != '.' && c != '!' && c != '?') continue;
        std::size_t end = i + 1;
        while (end < text.size() && std::string_view(".!?\"')]*_").find(text[end]) != std::string_view::npos) ++end;
        if (end < text.size() && !is_space(text[end])) continue;
        std::size_t next = end;
        while (next < text.size() && is_space(text[next])) ++next;
        if (next < text.size() && is_lower(text[next])) continue;
        if (c == '.' && end == i + 1 && ends_in_abbreviation(text.substr(begin, i - begin))) continue;
        close(end);
        i = end - 1;
    }
    close(text.size());
    return ranges;
}

}  // namespace lab::sdg
