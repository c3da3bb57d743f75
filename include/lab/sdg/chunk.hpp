// Cuts a document into chunks of at most `max_tokens`, counted by a function of the caller's. A chunk stays within one
// section (heading path); tables, lists and code stay whole where they fit; the end of a chunk is repeated at the start
// of the next one of the section, up to `overlap_tokens`. A chunk is a stretch of the document: `document.substr(begin,
// end - begin)`. No count looks at more than one block or about two chunks: the work grows as the document does.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/function_ref.hpp"
#include "lab/sdg/markdown.hpp"

namespace lab::sdg {

struct chunk_options {
    std::size_t max_tokens = 500;  // heading path included
    std::size_t overlap_tokens = 50;
};

struct chunk {
    std::vector<std::string> headings;  // path, outermost first
    text_range span;                    // bytes of the document
    std::string text;                   // the bytes
    std::size_t tokens = 0;             // of `full_text`
    /// Heading path, a blank line, the text: what a teacher is shown and what is counted.
    [[nodiscard]] std::string full_text() const { return join_headings(headings) + text; }
    [[nodiscard]] static std::string join_headings(const std::vector<std::string>& headings) {
        std::string out;
        for (const auto& h : headings) out.append(out.empty() ? "" : " > ").append(h);
        return out.empty() ? out : out + "\n\n";
    }
};

using token_counter = function_ref<std::size_t(std::string_view)>;

namespace detail {

/// Prefixes of `range`, cut at white space (or, in a text without any, between characters), that each fit.
inline void cut_by_force(std::string_view document, text_range range, const std::string& heading, std::size_t max,
                         token_counter count, std::vector<text_range>& out) {
    const auto fits = [&](std::size_t begin, std::size_t end) {
        return count(heading + std::string(document.substr(begin, end - begin))) <= max;
    };
    const auto inside_character = [&](std::size_t at) {
        return at < document.size() && (static_cast<unsigned char>(document[at]) & 0xc0u) == 0x80;
    };
    for (std::size_t begin = range.begin; begin < range.end;) {
        // The longest prefix that fits, by doubling and then by bisection: counts grow with the text.
        std::size_t low = begin, step = max, high = std::min(begin + step, range.end);
        while (high < range.end && fits(begin, high)) {
            low = high;
            step *= 2;
            high = std::min(begin + step, range.end);
        }
        while (low < high) {
            const std::size_t middle = low + (high - low + 1) / 2;
            fits(begin, middle) ? low = middle : high = middle - 1;
        }
        std::size_t end = low;
        if (end < range.end) {
            const auto space = document.substr(begin, end - begin).find_last_of(" \t\n\r");
            if (space != std::string_view::npos && space > 0) end = begin + space + 1;
            while (end > begin && inside_character(end)) --end;
        }
        while (end > begin && !fits(begin, end)) {
            --end;
            while (end > begin && inside_character(end)) --end;
        }
        if (end == begin)
            throw config_error(
                explain("chunk", "max_tokens of " + std::to_string(max) + " does not hold one character", "raise it"));
        out.push_back({begin, end});
        begin = end;
        while (begin < range.end && is_space(document[begin])) ++begin;
    }
}

/// A heading path that takes no more than half of a chunk: the outermost and the innermost stay longest.
[[nodiscard]] inline std::vector<std::string> fitting_headings(std::vector<std::string> path, std::size_t max,
                                                               token_counter count) {
    while (!path.empty() && 2 * count(chunk::join_headings(path)) > max)
        path.erase(path.begin() + (path.size() > 2 ? 1 : 0));
    return path;
}

}  // namespace detail

/// @param count tokens of a text (a tokenizer's count, or an estimate)
/// @throws config_error when max_tokens does not even hold one character, or the overlap is no smaller than it
[[nodiscard]] inline std::vector<chunk> chunks_of(std::string_view document, const chunk_options& options,
                                                  token_counter count) {
    if (options.max_tokens == 0 || options.overlap_tokens >= options.max_tokens)
        throw config_error(explain("chunk", "overlap_tokens must be smaller than max_tokens, and max_tokens above 0"));
    struct unit {
        text_range span;
        bool paragraph;  // may serve as overlap
    };
    std::vector<chunk> chunks;
    std::vector<std::string> path, headings;  // of the section, and as much of it as its chunks are given
    std::vector<unit> section;
    const auto size_of = [&](text_range r) {
        return count(chunk::join_headings(headings) + std::string(r.of(document)));
    };
    const auto flush = [&] {
        for (std::size_t i = 0; i < section.size();) {
            // Overlap: whole units before i, as long as they are small and something new still fits behind them.
            std::size_t first = i;
            if (i > 0)
                while (first > 0 && section[first - 1].paragraph &&
                       count(document.substr(section[first - 1].span.begin,
                                             section[i - 1].span.end - section[first - 1].span.begin)) <=
                           options.overlap_tokens &&
                       size_of({section[first - 1].span.begin, section[i].span.end}) <= options.max_tokens)
                    --first;
            std::size_t last = i;
            while (last + 1 < section.size() &&
                   size_of({section[first].span.begin, section[last + 1].span.end}) <= options.max_tokens)
                ++last;
            chunk c{headings, {section[first].span.begin, section[last].span.end}, {}, 0};
            c.text = c.span.of(document);
            c.tokens = size_of(c.span);
            chunks.push_back(std::move(c));
            i = last + 1;
        }
        section.clear();
    };
    for (const auto& block : markdown_blocks(document)) {
        if (block.headings != path) {
            flush();
            path = block.headings;
            headings = detail::fitting_headings(path, options.max_tokens, count);
        }
        if (block.kind == block_kind::heading) continue;
        const bool whole = block.kind != block_kind::paragraph;
        if (whole && size_of(block.span) <= options.max_tokens) {
            section.push_back({block.span, false});
            continue;
        }
        for (const auto& part : block.parts) {
            if (size_of(part) <= options.max_tokens) {
                section.push_back({part, !whole});
                continue;
            }
            std::vector<text_range> pieces;
            detail::cut_by_force(document, part, chunk::join_headings(headings), options.max_tokens, count, pieces);
            for (const auto& piece : pieces) section.push_back({piece, false});
        }
    }
    flush();
    return chunks;
}

}  // namespace lab::sdg
