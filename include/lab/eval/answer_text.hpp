// Comparing a free answer with the expected one as SQuAD does (Rajpurkar et al. 2016): lower case, no punctuation, no
// articles, single spaces; then exact equality and the F1 of the words. ASCII rules; other bytes are kept as they are.
// Signs that carry the answer's form ("->", ";") count in `exact_form`, which only folds white space and case.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lab::eval {

/// Words of the normalised text.
[[nodiscard]] inline std::vector<std::string> normalised_words(std::string_view text) {
    std::vector<std::string> words(1);
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        const bool letter = byte >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        const bool space = c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '-' || c == '/';
        if (letter)
            words.back() += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        else if (space && !words.back().empty())
            words.emplace_back();
    }
    std::erase_if(words, [](const std::string& w) { return w.empty() || w == "a" || w == "an" || w == "the"; });
    return words;
}

/// Same words in the same order.
[[nodiscard]] inline bool exact_match(std::string_view answer, std::string_view expected) {
    return normalised_words(answer) == normalised_words(expected);
}

/// Same text but for case, white space and one final full stop: for skills whose punctuation is the point.
[[nodiscard]] inline bool exact_form(std::string_view answer, std::string_view expected) {
    const auto fold = [](std::string_view text) {
        std::string out;
        for (const char c : text) {
            const bool space = c == ' ' || c == '\t' || c == '\n' || c == '\r';
            if (!space)
                out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
            else if (!out.empty() && out.back() != ' ')
                out += ' ';
        }
        while (!out.empty() && out.back() == ' ') out.pop_back();
        if (!out.empty() && out.back() == '.') out.pop_back();
        return out;
    };
    return fold(answer) == fold(expected);
}

/// The expected words occur in the answer as one run: right, but wordier than asked.
[[nodiscard]] inline bool contains_answer(std::string_view answer, std::string_view expected) {
    const auto a = normalised_words(answer), e = normalised_words(expected);
    return !e.empty() && std::search(a.begin(), a.end(), e.begin(), e.end()) != a.end();
}

/// Harmonic mean of precision and recall over the bags of words; 1 where both are empty.
[[nodiscard]] inline double word_f1(std::string_view answer, std::string_view expected) {
    const auto a = normalised_words(answer), e = normalised_words(expected);
    if (a.empty() || e.empty()) return a.empty() && e.empty() ? 1.0 : 0.0;
    std::map<std::string_view, std::size_t> left;
    for (const auto& w : e) ++left[w];
    std::size_t common = 0;
    for (const auto& w : a)
        if (const auto found = left.find(w); found != left.end() && found->second > 0) --found->second, ++common;
    return 2.0 * static_cast<double>(common) / static_cast<double>(a.size() + e.size());
}

}  // namespace lab::eval
