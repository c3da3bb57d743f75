// Whether a question makes sense to somebody who has never seen the text, as far as rules can tell: phrases that point
// at the text, by language (language_words.hpp), and in English words that point at nothing ("it", "these steps"). The
// rules know no meaning: "the second string", of which instrument?, is a judge's work.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "lab/sdg/flat_text.hpp"
#include "lab/sdg/lexicon.hpp"
#include "lab/sdg/prompt_pack.hpp"

namespace lab::sdg {

namespace detail {

inline constexpr std::array<std::string_view, 12> standing_for{"it",  "its",  "he",   "him",  "his",   "she",
                                                               "her", "hers", "they", "them", "their", "theirs"};
inline constexpr std::array<std::string_view, 3> pointing_at{"this", "these", "those"};
/// Content words that name no thing: "what is the purpose of it".
inline constexpr std::array<std::string_view, 32> naming_nothing{
    "name",   "kind",  "type", "colour", "color", "time",   "day",  "date",   "place",   "number",  "way",
    "many",   "much",  "long", "often",  "big",   "large",  "high", "tall",   "old",     "purpose", "meaning",
    "reason", "cause", "role", "result", "size",  "length", "use",  "effect", "explain", "describe"};
/// What follows an "it" that stands for nothing: "how long does it take", "why is it important to".
inline constexpr std::array<std::string_view, 30> after_empty_it{
    "take",   "takes",    "took",   "possible", "impossible", "important", "necessary", "true",
    "likely", "unlikely", "common", "safe",     "unsafe",     "allowed",   "permitted", "forbidden",
    "better", "best",     "easy",   "hard",     "difficult",  "dangerous", "essential", "useful",
    "wise",   "mean",     "rain",   "rains",    "snow",       "snows"};

inline constexpr std::array<std::string_view, 9> asking_first{"what",  "which", "how",   "who", "whom",
                                                              "whose", "when",  "where", "why"};
inline constexpr std::array<std::string_view, 16> auxiliaries{"is",   "are",   "was",  "were",  "do",  "does",
                                                              "did",  "has",   "have", "had",   "can", "could",
                                                              "will", "would", "must", "should"};

template <std::size_t N>
[[nodiscard]] bool in_list(std::string_view word, const std::array<std::string_view, N>& list) {
    return std::find(list.begin(), list.end(), word) != list.end();
}

}  // namespace detail

/// The phrase of the language's list that the question holds; empty for none.
[[nodiscard]] inline std::string pointing_phrase(std::string_view question, const prompts::pack& wordings,
                                                 std::string_view language) {
    if (!wordings.has<prompts::pointing_phrases>(language)) return {};
    std::string lower(flat(question));
    std::transform(lower.begin(), lower.end(), lower.begin(), detail::to_lower);
    for (auto& phrase : wordings.lines<prompts::pointing_phrases>(language))
        if (find_words(lower, phrase)) return phrase;
    return {};
}

/// The English word of a question that points at nothing said before it; empty for none.
[[nodiscard]] inline std::string dangling_word(std::string_view question) {
    const auto words = loose_words(question);
    const auto stands_for_nothing = [&](std::size_t i) {
        const bool empty =
            words[i] == "it" && i + 1 < words.size() && detail::in_list(words[i + 1], detail::after_empty_it);
        return detail::in_list(words[i], detail::standing_for) && !empty;
    };
    // "How many maps does it own?": what is asked for comes first, and names nothing.
    if (!words.empty() && detail::in_list(words[0], detail::asking_first))
        for (std::size_t i = 1; i + 1 < std::min<std::size_t>(words.size(), 6); ++i) {
            if (!detail::in_list(words[i], detail::auxiliaries)) continue;
            if (stands_for_nothing(i + 1)) return words[i + 1];
            break;
        }
    bool named = false;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const auto& word = words[i];
        if (!named && stands_for_nothing(i)) return word;
        if (!named && detail::in_list(word, detail::pointing_at) &&
            !(word == "those" && i + 1 < words.size() && (words[i + 1] == "who" || words[i + 1] == "of")))
            return word;
        const bool verb = i == 1 && (words[0] == "who" || words[0] == "what");  // "who built it"
        named = named || (!verb && !is_function_word(word) && !detail::in_list(word, detail::naming_nothing));
    }
    const bool place = !words.empty() && (words.back() == "above" || words.back() == "below");
    return place ? words.back() : std::string();
}

/// Why the question makes no sense by itself; empty where the rules find nothing.
[[nodiscard]] inline std::string not_self_contained(std::string_view question, const prompts::pack& wordings,
                                                    std::string_view language) {
    if (const auto phrase = pointing_phrase(question, wordings, language); !phrase.empty())
        return "says '" + phrase + "', which only a reader of the text understands";
    if (language == "en")
        if (const auto word = dangling_word(question); !word.empty())
            return "says '" + word + "', which points at nothing";
    return {};
}

/// A question robbed of what it is about, for measuring a judge: its topic, else its first name, replaced by a word
/// that points at nothing. Empty where it has neither, or where the language has no such word here.
[[nodiscard]] inline std::string without_subject(std::string_view question, std::string_view topic,
                                                 std::string_view language) {
    const std::string_view word = language == "en" ? "it" : language == "de" ? "es" : language == "fr" ? "cela" : "";
    if (word.empty()) return {};
    std::string text(question);
    if (const auto at = find_words(text, topic)) return text.replace(at->begin, at->size(), word);
    std::size_t begin = 0, previous = 0;  // starts of words
    for (std::size_t i = 1; i < text.size(); ++i) {
        if (text[i - 1] != ' ') continue;
        previous = begin;
        begin = i;
        if (!detail::is_upper(text[i])) continue;
        std::size_t end = i;  // behind the name's last word
        for (std::size_t w = i; w < text.size() && detail::is_upper(text[w]);) {
            while (w < text.size() && text[w] != ' ' && text[w] != '?' && text[w] != ',' && text[w] != '\'') ++w;
            end = w;
            if (w < text.size() && text[w] == ' ') ++w;
        }
        const std::string before = text.substr(previous, i - previous);
        const std::size_t from = before == "the " || before == "The " ? previous : i;
        return text.replace(from, end - from, word);
    }
    return {};
}

}  // namespace lab::sdg
