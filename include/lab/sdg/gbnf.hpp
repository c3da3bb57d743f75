// Output constraints as GBNF, the grammar notation of llama.cpp (grammars/README.md there; xgrammar in vLLM reads it
// too). Words are runs between white space without the punctuation at their ends, so "8.50" is one word and a span
// never starts inside one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace lab::sdg {

/// A word of a text: bytes [begin, end).
struct word_range {
    std::size_t begin = 0, end = 0;
    friend bool operator==(const word_range&, const word_range&) = default;
};

/// The words of `text` in order; parts that are punctuation only are none.
[[nodiscard]] inline std::vector<word_range> words_of(std::string_view text) {
    constexpr std::string_view space = " \t\r\n\f\v", edge = ".,;:!?()[]{}\"'`*_<>|#~=+/\\-";
    std::vector<word_range> words;
    for (std::size_t at = 0; (at = text.find_first_not_of(space, at)) != std::string_view::npos;) {
        const std::size_t stop = std::min(text.find_first_of(space, at), text.size());
        std::size_t begin = at, end = stop;
        while (begin < end && edge.find(text[begin]) != std::string_view::npos) ++begin;
        while (end > begin && edge.find(text[end - 1]) != std::string_view::npos) --end;
        if (begin < end) words.push_back({begin, end});
        at = stop;
    }
    return words;
}

namespace gbnf {

[[nodiscard]] inline std::string grammar_string(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out.append({'\\', c});
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '\r') {
            out += "\\r";
        } else if (c == '\t') {
            out += "\\t";
        } else {
            out += c;
        }
    }
    return out + "\"";
}

[[nodiscard]] inline std::string literal(std::string_view text) { return "root ::= " + grammar_string(text) + "\n"; }

[[nodiscard]] inline std::string choices(const std::vector<std::string>& list) {
    std::string out = "root ::= ";
    for (std::size_t i = 0; i < list.size(); ++i) out.append(i == 0 ? "" : " | ").append(grammar_string(list[i]));
    return out + "\n";
}

/// What stands between two words with each run of white space as one space; empty when it holds a blank line.
[[nodiscard]] inline std::string squeezed(std::string_view between) {
    std::string out;
    std::size_t breaks = 0;
    for (const char c : between) {
        const bool space = c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
        breaks = !space ? 0 : breaks + (c == '\n');
        if (breaks > 1) return {};
        if (!space) out += c;
        if (space && (out.empty() || out.back() != ' ')) out += ' ';
    }
    return out;
}

[[nodiscard]] inline std::string rule_name(std::size_t word) { return std::string("w").append(std::to_string(word)); }

/// Any stretch of the text from the start of a word to the end of a word: one rule a word, linear in the text. White
/// space counts as one space; no stretch crosses a blank line.
[[nodiscard]] inline std::string span_of(std::string_view text) {
    const auto words = words_of(text);
    std::string root = "root ::= ", rules;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string name = rule_name(i);
        root.append(i == 0 ? "" : " | ").append(name);
        rules += name + " ::= " + grammar_string(text.substr(words[i].begin, words[i].end - words[i].begin));
        if (i + 1 < words.size()) {
            const auto between = text.substr(words[i].end, words[i + 1].begin - words[i].end);
            if (const auto gap = squeezed(between); !gap.empty())
                rules += " (" + grammar_string(gap) + " " + rule_name(i + 1) + ")?";
        }
        rules += "\n";
    }
    if (words.empty()) return literal("");
    return root + "\n" + rules;
}

}  // namespace gbnf
}  // namespace lab::sdg
