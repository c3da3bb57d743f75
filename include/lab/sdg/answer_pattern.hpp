// Tasks whose answers are made of words copied from the question ("red stone lamp" to "lamp stone red", "07:30" to
// "07.30"): the rule is read off the seeds, and where all of them share it, it checks, or gives, the answer to a new
// question. A skill whose seeds share no such rule (an essay, a sum) has no pattern, and nothing here applies.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/sdg/sentences.hpp"

namespace lab::sdg {

/// A text with numbered gaps: literal[0] gap literal[1] gap ... literal[n]; `gaps[i]` is the slot behind literal[i].
struct slotted_text {
    struct gap {
        std::size_t slot = 0;
        bool capital = false;  // opens a sentence here: its first letter is written large
        friend bool operator==(const gap&, const gap&) = default;
    };
    std::vector<std::string> literals{""};
    std::vector<gap> gaps;

    [[nodiscard]] std::string fill(std::span<const std::string> slots) const {
        std::string out = literals[0];
        for (std::size_t i = 0; i < gaps.size(); ++i) {
            const std::size_t at = out.size();
            out += slots[gaps[i].slot];
            if (gaps[i].capital && at < out.size() && detail::is_lower(out[at]))
                out[at] = static_cast<char>(out[at] - 'a' + 'A');
            out += literals[i + 1];
        }
        return out;
    }
    friend bool operator==(const slotted_text&, const slotted_text&) = default;
};

/// One seed taken apart: the source (context and question) and the answer with the copied stretches as slots.
struct copied_answer {
    slotted_text source, answer;
    std::vector<std::string> slots;
};

namespace detail {

/// Letters and digits, and bytes of multi-byte characters; "Hale's" is the word "Hale" and more.
[[nodiscard]] inline bool in_word(std::string_view text, std::size_t i) {
    const char c = text[i];
    return is_digit(c) || is_upper(c) || is_lower(c) || static_cast<unsigned char>(c) >= 0x80;
}
[[nodiscard]] inline bool starts_word(std::string_view t, std::size_t i) {
    return i < t.size() && in_word(t, i) && (i == 0 || !in_word(t, i - 1));
}
[[nodiscard]] inline bool ends_word(std::string_view t, std::size_t i) {
    return i > 0 && in_word(t, i - 1) && (i == t.size() || !in_word(t, i));
}

/// Places where `needle` stands in `text` as whole words; its first letter may be a capital there.
[[nodiscard]] inline std::vector<std::size_t> whole_word_places(std::string_view text, std::string_view needle) {
    std::vector<std::size_t> places;
    for (std::size_t at = 0; at + needle.size() <= text.size(); ++at)
        if ((text[at] == needle[0] || (is_upper(text[at]) && to_lower(text[at]) == needle[0])) &&
            text.substr(at + 1, needle.size() - 1) == needle.substr(1) && starts_word(text, at) &&
            ends_word(text, at + needle.size()))
            places.push_back(at);
    return places;
}

}  // namespace detail

/// Takes a seed apart by the longest copied stretches, from the left of the answer; nothing when no word is copied.
/// @param fixed words that belong to the form of the answer, though they may stand in the source as well
[[nodiscard]] inline std::optional<copied_answer> take_apart(std::string_view source, std::string_view answer,
                                                             std::span<const std::string> fixed = {}) {
    using namespace detail;
    const auto is_fixed = [&](std::size_t at) {
        std::size_t end = at;
        while (end < answer.size() && in_word(answer, end)) ++end;
        return std::find(fixed.begin(), fixed.end(), answer.substr(at, end - at)) != fixed.end();
    };
    copied_answer out;
    for (std::size_t at = 0; at < answer.size();) {
        std::size_t best = 0;
        if (starts_word(answer, at))
            for (std::size_t end = at + 1; end <= answer.size(); ++end) {
                if (starts_word(answer, end - 1) && is_fixed(end - 1)) break;
                if (!ends_word(answer, end)) continue;
                if (whole_word_places(source, answer.substr(at, end - at)).empty()) break;
                best = end;
            }
        if (best == 0) {
            out.answer.literals.back() += answer[at++];
            continue;
        }
        const std::string piece(answer.substr(at, best - at));
        const auto known = std::find(out.slots.begin(), out.slots.end(), piece);
        out.answer.gaps.push_back({static_cast<std::size_t>(known - out.slots.begin()), false});
        if (known == out.slots.end()) out.slots.push_back(piece);
        out.answer.literals.emplace_back();
        at = best;
    }
    if (out.slots.empty()) return std::nullopt;
    std::vector<std::pair<std::size_t, std::size_t>> places;  // (position, slot)
    for (std::size_t s = 0; s < out.slots.size(); ++s)
        for (const std::size_t at : whole_word_places(source, out.slots[s])) places.emplace_back(at, s);
    std::sort(places.begin(), places.end());
    std::size_t from = 0;
    for (const auto& [at, slot] : places) {
        if (at < from) continue;  // inside a slot that was cut out already
        out.source.literals.back() += source.substr(from, at - from);
        out.source.gaps.push_back({slot, source[at] != out.slots[slot][0]});
        out.source.literals.emplace_back();
        from = at + out.slots[slot].size();
    }
    out.source.literals.back() += source.substr(from);
    return out;
}

/// The rule that all seeds of a skill share.
struct answer_pattern {
    slotted_text answer;
    std::vector<copied_answer> seeds;  // one for each seed: its source is a frame for new questions

    /// Examples of what fills a slot, in the order of the seeds.
    [[nodiscard]] std::vector<std::string> examples(std::size_t slot) const {
        std::vector<std::string> list;
        for (const auto& s : seeds) list.push_back(s.slots[slot]);
        return list;
    }
    [[nodiscard]] std::size_t slots() const { return seeds.front().slots.size(); }
};

namespace detail {
[[nodiscard]] inline std::optional<answer_pattern> pattern_with(std::span<const std::string> sources,
                                                                std::span<const std::string> answers,
                                                                std::span<const std::string> fixed) {
    answer_pattern pattern;
    for (std::size_t i = 0; i < sources.size(); ++i) {
        auto seed = take_apart(sources[i], answers[i], fixed);
        if (!seed || (i > 0 && seed->answer != pattern.answer)) return std::nullopt;
        if (i == 0) pattern.answer = seed->answer;
        pattern.seeds.push_back(std::move(*seed));
    }
    return pattern;
}
/// Words that stand in every one of the texts.
[[nodiscard]] inline std::vector<std::string> common_words(std::span<const std::string> texts) {
    std::vector<std::string> common;
    for (std::size_t at = 0; at < texts[0].size(); ++at) {
        if (!starts_word(texts[0], at)) continue;
        std::size_t end = at;
        while (end < texts[0].size() && in_word(texts[0], end)) ++end;
        const std::string word = texts[0].substr(at, end - at);
        if (std::all_of(texts.begin(), texts.end(), [&](const auto& t) { return !whole_word_places(t, word).empty(); }))
            common.push_back(word);
    }
    return common;
}
}  // namespace detail

/// Words that all answers share may be form rather than copy ("X at Y", where some sources happen to say "at Y"): they
/// are tried as such when the longest copies do not agree.
/// @param sources, answers of the seeds
/// @return nothing unless there are at least three seeds and every one has the same answer form
[[nodiscard]] inline std::optional<answer_pattern> shared_pattern(std::span<const std::string> sources,
                                                                  std::span<const std::string> answers) {
    if (sources.size() < 3 || sources.size() != answers.size()) return std::nullopt;
    if (auto pattern = detail::pattern_with(sources, answers, {})) return pattern;
    const auto fixed = detail::common_words(answers);
    return fixed.empty() ? std::nullopt : detail::pattern_with(sources, answers, fixed);
}

/// What the fillers of a slot have in common, as far as it can be seen from outside.
struct slot_shape {
    bool number = false;               // digits only, all of one length
    bool capital = false;              // every word begins with a capital
    bool lower = false;                // none does
    std::size_t width = 0;             // digits
    long long least = 0, most = 0;     // of the numbers
    std::size_t fewest = 0, many = 0;  // words
    std::size_t longest = 0;           // bytes of a word, with some room
    std::string first;                 // the first word when all share it ("a")

    [[nodiscard]] bool fits(std::string_view text) const {
        const auto words = split(text);
        if (text.empty() || words.size() < fewest || words.size() > many) return false;
        if (!first.empty() && words[0] != first) return false;
        for (const auto& w : words) {
            if (w.size() < 2 - (w == first ? 1u : 0u) - (number ? 1u : 0u) || w.size() > longest) return false;
            for (std::size_t i = 0; i < w.size(); ++i)
                if (!detail::in_word(w, i)) return false;
            if ((capital && !detail::is_upper(w[0])) || (lower && !detail::is_lower(w[0]))) return false;
            if (capital && w.size() > 1 && detail::is_upper(w[1])) return false;
        }
        return !number || (text.size() == width && std::all_of(text.begin(), text.end(), detail::is_digit));
    }
    [[nodiscard]] static std::vector<std::string> split(std::string_view text) {
        std::vector<std::string> words;
        for (std::size_t at = 0; at < text.size();) {
            const auto end = std::min(text.find(' ', at), text.size());
            words.emplace_back(text.substr(at, end - at));
            at = end + 1;
        }
        return words;
    }
    [[nodiscard]] static slot_shape of(std::span<const std::string> examples) {
        slot_shape s;
        s.number = s.capital = s.lower = true;
        s.fewest = std::string::npos;
        for (const auto& e : examples) {
            const auto words = split(e);
            s.fewest = std::min(s.fewest, words.size());
            s.many = std::max(s.many, words.size());
            const bool digits = std::all_of(e.begin(), e.end(), detail::is_digit) && e.size() < 18;
            s.number = s.number && digits && (s.width == 0 || s.width == e.size());
            s.width = e.size();
            if (digits) {
                const long long value = std::stoll(e);
                s.least = &e == &examples.front() ? value : std::min(s.least, value);
                s.most = std::max(s.most, value);
            }
            for (const auto& w : words) {
                s.longest = std::max(s.longest, w.size() + 2);
                s.capital = s.capital && detail::is_upper(w[0]);
                s.lower = s.lower && detail::is_lower(w[0]);
            }
            if (&e == &examples.front() && words.size() > 1) s.first = words[0];
            if (words.empty() || words[0] != s.first) s.first.clear();
        }
        return s;
    }
};

}  // namespace lab::sdg
