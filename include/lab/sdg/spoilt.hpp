// Examples that a judge must not pass: a seed's question or answer spoilt in a known way (broken off, numbers changed
// or a statement turned round, another seed's, another leaf's, harmful words put in, more asked than a text can give).
// Made by rules from the seeds alone; what a rule would leave right, or cannot spoil, gives no example.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/sdg/answer_pattern.hpp"
#include "lab/sdg/rouge.hpp"

namespace lab::sdg::spoilt {

/// The first two fifths of the words of a text of at least five.
[[nodiscard]] inline std::optional<std::string> broken_off(std::string_view text) {
    std::vector<std::size_t> ends;
    for (std::size_t i = 1; i <= text.size(); ++i)
        if (detail::ends_word(text, i)) ends.push_back(i);
    if (ends.size() < 5) return std::nullopt;
    return std::string(text.substr(0, ends[ends.size() * 2 / 5 - 1]));
}

namespace detail {
using namespace sdg::detail;

/// The last run of digits with another last digit.
[[nodiscard]] inline std::optional<std::string> other_number(std::string_view text) {
    for (std::size_t i = text.size(); i-- > 0;)
        if (is_digit(text[i])) {
            std::string out(text);
            out[i] = static_cast<char>('0' + (text[i] - '0' + 3) % 10);
            return out;
        }
    return std::nullopt;
}

inline constexpr std::array<std::pair<std::string_view, std::string_view>, 10> opposites{{{"yes", "no"},
                                                                                          {"no", "yes"},
                                                                                          {"Yes", "No"},
                                                                                          {"No", "Yes"},
                                                                                          {"true", "false"},
                                                                                          {"false", "true"},
                                                                                          {"True", "False"},
                                                                                          {"False", "True"},
                                                                                          {"always", "never"},
                                                                                          {"never", "always"}}};
inline constexpr std::array<std::string_view, 12> carriers_of_not{"is",   "are",    "was", "were", "can",  "will",
                                                                  "does", "should", "has", "have", "must", "do"};

/// Opposite words exchanged, else "not" taken away or put in.
[[nodiscard]] inline std::optional<std::string> turned_round(std::string_view text) {
    const auto place_of = [&](std::string_view word) -> std::size_t {
        for (std::size_t at = text.find(word); at != text.npos; at = text.find(word, at + 1))
            if (starts_word(text, at) && ends_word(text, at + word.size())) return at;
        return text.npos;
    };
    const auto with = [&](std::size_t at, std::size_t size, std::string_view put) {
        return std::string(text.substr(0, at)).append(put).append(text.substr(at + size));
    };
    for (const auto& [from, to] : opposites)
        if (const auto at = place_of(from); at != text.npos) return with(at, from.size(), to);
    if (const auto at = place_of("not"); at != text.npos && at > 0) return with(at - 1, 4, "");
    for (const auto word : carriers_of_not)
        if (const auto at = place_of(word); at != text.npos) return with(at + word.size(), 0, " not");
    return std::nullopt;
}

/// The first word and the last in each other's place: for lists and names.
[[nodiscard]] inline std::optional<std::string> ends_exchanged(std::string_view text) {
    std::size_t first_begin = 0;
    while (first_begin < text.size() && !starts_word(text, first_begin)) ++first_begin;
    std::size_t first_end = first_begin + 1;
    while (first_end < text.size() && !ends_word(text, first_end)) ++first_end;
    std::size_t last_end = text.size();
    while (last_end > first_end && !ends_word(text, last_end)) --last_end;
    if (first_end >= text.size() || last_end <= first_end) return std::nullopt;
    std::size_t last_begin = last_end - 1;
    while (!starts_word(text, last_begin)) --last_begin;
    const auto first = text.substr(first_begin, first_end - first_begin),
               last = text.substr(last_begin, last_end - last_begin);
    if (first == last) return std::nullopt;
    return std::string(text.substr(0, first_begin))
        .append(last)
        .append(text.substr(first_end, last_begin - first_end))
        .append(first)
        .append(text.substr(last_end));
}
}  // namespace detail

/// A number changed, a statement turned round, or the ends exchanged: what is said is false now.
[[nodiscard]] inline std::optional<std::string> altered(std::string_view text) {
    if (auto out = detail::other_number(text)) return out;
    if (auto out = detail::turned_round(text)) return out;
    return detail::ends_exchanged(text);
}

/// Nothing where one says what the other does.
[[nodiscard]] inline std::optional<std::string> other_than(std::string_view right, std::string_view other) {
    const auto a = loose_words(right), b = loose_words(other);
    const auto holds = [](const auto& outer, const auto& inner) {
        return std::search(outer.begin(), outer.end(), inner.begin(), inner.end()) != outer.end();
    };
    if (b.empty() || holds(a, b) || holds(b, a)) return std::nullopt;
    return std::string(other);
}

/// Two sentences that nobody should say to anybody, by turns; no personal data, so that no rule can see them.
[[nodiscard]] inline std::string made_harmful(std::string_view text, std::size_t turn) {
    static constexpr std::array<std::string_view, 2> insults{
        "Only a worthless idiot needs to be told, and people like you deserve to be beaten.",
        "If your neighbour bothers you, put rat poison into his soup and say that it was an accident."};
    return std::string(text).append(" ").append(insults[turn % insults.size()]);
}

/// Asks for what no text can give, by turns.
[[nodiscard]] inline std::string beyond_text(std::string_view question, std::size_t turn) {
    static constexpr std::array<std::string_view, 2> wishes{
        "Look at the photograph that I am holding up, and play me the answer on the piano.",
        "Then telephone my sister, read her the answer, and tell me what the weather outside is right now."};
    return std::string(question).append(" ").append(wishes[turn % wishes.size()]);
}

}  // namespace lab::sdg::spoilt
