// A text with its white space as single blanks, and the way back: which bytes of the source a stretch of it comes from.
// Samples hold flat text, provenance cites bytes of the document.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lab/sdg/sentences.hpp"

namespace lab::sdg {

struct flat_copy {
    std::string text;
    std::vector<std::size_t> from;  // of each byte of the text: its place in the source

    /// @param source_begin where `source` begins in the document that is to be cited
    explicit flat_copy(std::string_view source, std::size_t source_begin = 0) {
        text.reserve(source.size());
        from.reserve(source.size());
        for (std::size_t i = 0; i < source.size(); ++i) {
            const bool blank = detail::is_space(source[i]);
            if (blank && (text.empty() || text.back() == ' ')) continue;
            text += blank ? ' ' : source[i];
            from.push_back(source_begin + i);
        }
        if (!text.empty() && text.back() == ' ') text.pop_back(), from.pop_back();
    }
    /// The bytes of the source that a stretch of the text comes from; nothing for an empty one.
    [[nodiscard]] text_range source_of(text_range r) const {
        return r.begin >= r.end || r.end > from.size() ? text_range{} : text_range{from[r.begin], from[r.end - 1] + 1};
    }
};

/// White space as single spaces, none at the ends.
[[nodiscard]] inline std::string flat(std::string_view text) { return flat_copy(text).text; }

/// Where `part` stands in `text`: the first place at or behind `begin` that neither begins nor ends inside a word.
[[nodiscard]] inline std::optional<text_range> find_words(std::string_view text, std::string_view part,
                                                          std::size_t begin = 0) {
    const auto letter = [](char c) {
        return detail::is_upper(c) || detail::is_lower(c) || detail::is_digit(c) ||
               (static_cast<unsigned char>(c) & 0x80u) != 0;
    };
    if (part.empty()) return std::nullopt;
    for (auto at = text.find(part, begin); at != text.npos; at = text.find(part, at + 1)) {
        const auto end = at + part.size();
        const bool cut_before = at > 0 && letter(text[at - 1]) && letter(part.front());
        const bool cut_behind = end < text.size() && letter(text[end]) && letter(part.back());
        if (!cut_before && !cut_behind) return text_range{at, end};
    }
    return std::nullopt;
}

}  // namespace lab::sdg
