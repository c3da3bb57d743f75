// Which of a few languages a text is in, by its commonest words, and how exercises are worded in it. A language that is
// not known here gets no exercise that wraps words of one language around a text of another.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "lab/sdg/prompts.hpp"
#include "lab/sdg/rouge.hpp"

namespace lab::sdg {

enum class language : std::uint8_t { english, german, french, other };

namespace detail {
inline constexpr std::array<std::string_view, 22> english_words{
    "the",  "of",    "and", "is",  "to",  "in", "that", "it",   "was", "for",   "what",
    "does", "which", "who", "how", "are", "on", "with", "when", "a",   "where", "at"};
inline constexpr std::array<std::string_view, 26> german_words{
    "der", "die", "das", "und", "ist",  "in",  "den", "von", "zu",  "mit",  "wer",    "was", "wie",
    "wo",  "ein", "sie", "im",  "eine", "auf", "des", "dem", "war", "wann", "welche", "er",  "nicht"};
inline constexpr std::array<std::string_view, 25> french_words{
    "le", "la", "les", "de",  "des",  "et",   "est",  "du",    "un",   "une", "en",     "que", "qui",
    "au", "à",  "se",  "par", "dans", "pour", "quel", "quand", "sont", "il",  "quelle", "où"};

[[nodiscard]] inline std::span<const std::string_view> words_of_language(language l) {
    switch (l) {
        case language::english:
            return english_words;
        case language::german:
            return german_words;
        case language::french:
            return french_words;
        case language::other:
            break;
    }
    return {};
}
}  // namespace detail

/// The language whose commonest words make up most of the text; `other` below one word in ten.
[[nodiscard]] inline language language_of(std::string_view text) {
    const auto words = loose_words(text);
    language best = language::other;
    std::size_t most = words.size() / 10;
    for (const auto l : {language::english, language::german, language::french}) {
        const auto list = detail::words_of_language(l);
        const auto count = static_cast<std::size_t>(std::count_if(words.begin(), words.end(), [&](const auto& w) {
            return std::find(list.begin(), list.end(), w) != list.end();
        }));
        if (count > most) most = count, best = l;
    }
    return best;
}

/// "What does the document say about the section?", in the document's language.
[[nodiscard]] inline std::string recall_in(language l, std::string_view document, std::string_view section) {
    const auto d = text::field<"document">(document);
    const auto s = text::field<"section">(section);
    if (l == language::german) return prompts::recall_section_german::render(d, s);
    if (l == language::french) return prompts::recall_section_french::render(d, s);
    return prompts::recall_section::render(d, s);
}
[[nodiscard]] inline std::string complete_in(language l, std::string_view document, std::string_view beginning) {
    const auto d = text::field<"document">(document);
    const auto b = text::field<"beginning">(beginning);
    if (l == language::german) return prompts::complete_sentence_german::render(d, b);
    if (l == language::french) return prompts::complete_sentence_french::render(d, b);
    return prompts::complete_sentence::render(d, b);
}
/// A request for a short answer before the question; empty where the language is not known.
[[nodiscard]] inline std::string_view few_words_in(language l) {
    switch (l) {
        case language::english:
            return "Please answer in a few words. ";
        case language::german:
            return "Bitte antworte mit wenigen Worten. ";
        case language::french:
            return "Réponds en quelques mots. ";
        case language::other:
            break;
    }
    return {};
}

}  // namespace lab::sdg
