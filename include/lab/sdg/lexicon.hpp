// Which words carry meaning: content words as light stems, for the checks that need no model (does a question speak of
// the text, does it give its answer away). The list of function words is English; other languages only lose that
// filter.
#pragma once

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "lab/sdg/rouge.hpp"

namespace lab::sdg {

namespace detail {
inline constexpr std::array function_words{
    "a",       "about", "after",  "all",    "am",   "an",    "and",   "any",   "are",   "as",    "at",    "be",
    "because", "been",  "before", "being",  "but",  "by",    "can",   "could", "did",   "do",    "does",  "done",
    "down",    "for",   "from",   "had",    "has",  "have",  "he",    "her",   "hers",  "him",   "his",   "how",
    "i",       "if",    "in",     "into",   "is",   "it",    "its",   "may",   "me",    "might", "must",  "my",
    "no",      "nor",   "not",    "of",     "off",  "on",    "one",   "only",  "or",    "other", "our",   "out",
    "over",    "shall", "she",    "should", "so",   "some",  "such",  "than",  "that",  "the",   "their", "them",
    "then",    "there", "these",  "they",   "this", "those", "to",    "too",   "under", "up",    "us",    "very",
    "was",     "we",    "were",   "what",   "when", "where", "which", "while", "who",   "whom",  "whose", "why",
    "will",    "with",  "would",  "you",    "your"};
[[nodiscard]] inline bool is_digit_word(std::string_view word) {
    return !word.empty() && word[0] >= '0' && word[0] <= '9';
}
}  // namespace detail

[[nodiscard]] inline bool is_function_word(std::string_view lower) {
    return std::find(detail::function_words.begin(), detail::function_words.end(), lower) !=
           detail::function_words.end();
}

/// "leaves" and "leaving" to "leav": enough to see that two words are the same word.
[[nodiscard]] inline std::string light_stem(std::string word) {
    for (const std::string_view ending : {"ing", "ies", "ed", "es", "s", "e", "y"})
        if (word.size() >= ending.size() + 3 && word.ends_with(ending)) {
            word.erase(word.size() - ending.size());
            break;
        }
    return word;
}

/// Stems of the content words, in order, repeats kept.
[[nodiscard]] inline std::vector<std::string> content_stems(std::string_view text) {
    std::vector<std::string> stems;
    for (auto& word : loose_words(text))
        if ((word.size() > 1 || detail::is_digit_word(word)) && !is_function_word(word))
            stems.push_back(light_stem(std::move(word)));
    return stems;
}
[[nodiscard]] inline std::set<std::string> content_set(std::string_view text) {
    const auto stems = content_stems(text);
    return {stems.begin(), stems.end()};
}

}  // namespace lab::sdg
