// ROUGE-L F1 (Lin, "ROUGE: a package for automatic evaluation of summaries", 2004) over words as Google's rouge-score
// package cuts them: lower case, runs of a-z and 0-9, no stemming (its use_stemmer=False). `loose_words` keeps letters
// beyond ASCII too, so that other languages are not empty.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lab/sdg/subsequence.hpp"

namespace lab::sdg {

namespace detail {
template <class Keep>
[[nodiscard]] std::vector<std::string> cut_words(std::string_view text, Keep keep) {
    std::vector<std::string> words;
    std::string word;
    for (const char c : text) {
        const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        if (keep(lower)) {
            word += lower;
        } else if (!word.empty()) {
            words.push_back(std::move(word));
            word.clear();
        }
    }
    if (!word.empty()) words.push_back(std::move(word));
    return words;
}
[[nodiscard]] constexpr bool is_word_byte(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
}  // namespace detail

/// Words as the rouge-score package sees them. Python's lower() turns two characters beyond ASCII into ASCII letters:
/// the dotted capital I (into i and a combining dot) and the Kelvin sign.
[[nodiscard]] inline std::vector<std::string> rouge_words(std::string_view text) {
    std::string lowered;
    for (std::size_t at = 0; at < text.size();) {
        const bool dotted = text.substr(at, 2) == "\xc4\xb0", kelvin = text.substr(at, 3) == "\xe2\x84\xaa";
        if (dotted) lowered.append("i ");
        if (kelvin) lowered.append("k");
        if (!dotted && !kelvin) lowered.push_back(text[at]);
        at += dotted ? 2 : kelvin ? 3 : 1;
    }
    return detail::cut_words(lowered, detail::is_word_byte);
}
/// The same, with every byte of a multi-byte character counted as a letter.
[[nodiscard]] inline std::vector<std::string> loose_words(std::string_view text) {
    return detail::cut_words(text,
                             [](char c) { return detail::is_word_byte(c) || static_cast<unsigned char>(c) >= 0x80; });
}

/// Length of the longest common subsequence; O(|a| |b| / 64) time.
template <class Word>
[[nodiscard]] std::size_t longest_common_subsequence(std::span<const Word> a, std::span<const Word> b) {
    std::unordered_map<Word, std::uint32_t> numbers;
    std::vector<std::uint32_t> first, second;
    for (const auto& [words, list] : {std::pair{a, &first}, {b, &second}})
        for (const Word& w : words)
            list->push_back(numbers.emplace(w, static_cast<std::uint32_t>(numbers.size())).first->second);
    return prepared_sequence(first).common(second);
}

struct rouge_score {
    double precision = 0, recall = 0, f1 = 0;
};

/// The three figures from the subsequence's and the texts' lengths.
[[nodiscard]] inline rouge_score rouge_from(std::size_t common, std::size_t target, std::size_t prediction) {
    if (common == 0) return {};
    const double p = static_cast<double>(common) / static_cast<double>(prediction);
    const double r = static_cast<double>(common) / static_cast<double>(target);
    return {p, r, 2 * p * r / (p + r)};
}

[[nodiscard]] inline rouge_score rouge_l(std::span<const std::string> target, std::span<const std::string> prediction) {
    if (target.empty() || prediction.empty()) return {};
    return rouge_from(longest_common_subsequence(target, prediction), target.size(), prediction.size());
}
[[nodiscard]] inline rouge_score rouge_l(std::string_view target, std::string_view prediction) {
    const auto t = rouge_words(target), p = rouge_words(prediction);
    return rouge_l(std::span<const std::string>(t), std::span<const std::string>(p));
}

}  // namespace lab::sdg
