// The characters of a YAML file before and beside its events: bounds, UTF-8, control characters, line ends, positions,
// and tabs where PyYAML refuses them though yaml-cpp does not. Knows nothing of values.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "lab/formats/text_bytes.hpp"
#include "lab/taxonomy/problem.hpp"

namespace lab::taxonomy::yaml {

struct limits {
    std::size_t bytes = std::size_t{2} << 20;
    std::size_t nodes = 200'000;
    std::size_t depth = 100;
    std::size_t merged = 200'000;  ///< members copied by merge keys, all together
};

/// The document cannot be read at all.
struct syntax_error : format_error {
    syntax_error(position where, const std::string& what) : format_error(what), at(where) {}
    position at;
};

namespace detail {

inline std::string shown(std::string_view text) { return formats::quote(text, 40); }

/// Counts characters, not bytes, up to byte `column` of a line.
inline position character_position(std::string_view text, std::size_t line, std::size_t column) {
    std::size_t start = 0;
    for (std::size_t i = 0; i < line && start < text.size(); ++i) {
        const auto end = text.find('\n', start);
        start = end == text.npos ? text.size() : end + 1;
    }
    std::size_t characters = 1;
    for (std::size_t i = start; i < std::min(text.size(), start + column); ++i)
        characters += (static_cast<unsigned char>(text[i]) & 0xc0u) != 0x80 ? 1 : 0;
    return {line + 1, characters};
}

inline position position_of_byte(std::string_view text, std::size_t offset) {
    const auto before = text.substr(0, offset);
    const auto last = before.rfind('\n');
    const auto line = static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n'));
    return character_position(text, line, offset - (last == before.npos ? 0 : last + 1));
}

/// yaml-cpp writes the escapes "\_" and "\N" as the bytes A0 and 85; meant are the characters U+00A0 and U+0085.
inline std::string with_whole_characters(std::string_view value) {
    std::string out;
    while (!value.empty()) {
        const auto good = std::min(formats::first_invalid_utf8(value), value.size());
        out.append(value.substr(0, good));
        value.remove_prefix(good);
        if (value.empty()) break;
        out.append("\xc2").append(value.substr(0, 1));
        value.remove_prefix(1);
    }
    return out;
}

/// A directive (%YAML 1.1) opens a document only with a --- behind it; yaml-cpp lets it pass without.
inline void refuse_lone_directives(std::string_view text) {
    bool directive = false;
    std::string_view row;  // at last the first that is no directive, blank or comment
    std::size_t line = 0;
    for (std::size_t start = 0; start <= text.size(); start += row.size() + 1) {
        row = text.substr(start, std::min(text.find('\n', start), text.size()) - start);
        ++line;
        const auto first = row.find_first_not_of(" \t");
        if (row.starts_with('%'))
            directive = true;
        else if (first != row.npos && row[first] != '#')
            break;
    }
    if (directive && !row.starts_with("---"))
        throw syntax_error({line, 1}, "after a line that begins with % comes --- (delete that line)");
}

/// Refuses bytes that are no YAML text; line ends become \n, a byte-order mark goes.
inline std::string clean_text(std::string_view text, const limits& bounds) {
    if (text.size() > bounds.bytes)
        throw syntax_error({}, "the file has " + std::to_string(text.size()) + " bytes, at most " +
                                   std::to_string(bounds.bytes) +
                                   " are read (long texts belong in documents beside the leaf)");
    if (const auto bad = formats::first_invalid_utf8(text); bad != text.npos) {
        std::string head(text.substr(0, bad));
        throw syntax_error(position_of_byte(head, bad), "this byte is not UTF-8 (save the file as UTF-8)");
    }
    if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
        const bool c1 = byte == 0xc2 && next < 0xa0 && next != 0x85;
        const bool no_character = byte == 0xef && next == 0xbf && static_cast<unsigned char>(text[i + 2]) >= 0xbe;
        if ((byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7f || c1 || no_character)
            throw syntax_error(position_of_byte(text, i), "control characters are not allowed (delete it)");
        if (byte != '\r')
            out += text[i];
        else if (next != '\n')
            out += '\n';
    }
    return out;
}

struct extent {
    std::size_t begin, end;
};

/// The byte of the value itself that starts at `start` with optional tag and anchor.
inline std::size_t after_properties(std::string_view text, std::size_t start, std::size_t next) {
    while (start < next && (text[start] == '&' || text[start] == '!')) {
        start = std::min(text.find_first_of(" \t\n", start), next);
        start = std::min(text.find_first_not_of(" \t\n", start), next);
    }
    return start;
}

/// Where tabs are text in the value that starts at `start` with optional tag and anchor: between the quotes of a quoted
/// scalar, or from the line below a block scalar's header to the next event, at `next`. Empty for other values.
inline extent quoted_part(std::string_view text, std::size_t start, std::size_t next) {
    start = after_properties(text, start, next);
    if (start >= next) return {next, next};
    const char mark = text[start];
    if (mark == '|' || mark == '>') return {std::min(text.find('\n', start), next), next};
    if (mark != '\'' && mark != '"') return {start, start};
    for (std::size_t i = start + 1; i < next; ++i) {
        const bool doubled = mark == '\'' && text[i] == mark && i + 1 < next && text[i + 1] == mark;
        if (doubled || (mark == '"' && text[i] == '\\'))
            ++i;
        else if (text[i] == mark)
            return {start, i + 1};
    }
    return {start, next};
}

/// Scalars that yaml-cpp lets pass and PyYAML does not: `|# why`, a comment without a blank before it, and "\'", an
/// escape that YAML does not know.
/// @param starts where the document's events begin
inline void refuse_loose_scalars(std::string_view text, const std::vector<std::size_t>& starts) {
    for (const auto start : starts) {
        const auto mark = after_properties(text, std::min(start, text.size()), text.size());
        if (mark == text.size()) continue;
        if (text[mark] == '|' || text[mark] == '>') {
            const auto end = text.find_first_not_of("+-0123456789", mark + 1);
            if (end != text.npos && text[end] == '#')
                throw syntax_error(position_of_byte(text, end), "a comment needs a blank before its # (put one there)");
        } else if (text[mark] == '"') {
            for (auto i = mark + 1; i < text.size() && text[i] != '"'; ++i)
                if (text[i] == '\\' && ++i < text.size() && text[i] == '\'')
                    throw syntax_error(position_of_byte(text, i - 1),
                                       "in double quotes a single one needs no \\ (delete it)");
        }
    }
}

/// YAML lets tabs stand between tokens, PyYAML does not: outside quoted and block scalars and comments they are errors.
/// @param starts where the document's events begin, ascending
inline void refuse_tabs(std::string_view text, std::vector<std::size_t> starts) {
    starts.push_back(text.size());
    std::size_t from = 0;
    const auto check = [&](std::size_t to) {
        for (auto tab = text.find('\t', from); tab < to; tab = text.find('\t', tab + 1)) {
            const auto line_break = text.rfind('\n', tab);
            const auto line = std::max(from, line_break == text.npos ? 0 : line_break + 1);
            const auto before = text.substr(line, tab - line);
            auto hash = before.find('#');
            while (hash != before.npos && hash > 0 && before[hash - 1] != ' ') hash = before.find('#', hash + 1);
            if (hash == before.npos)
                throw syntax_error(position_of_byte(text, tab),
                                   "a tab cannot stand here (use spaces, or put the text in quotes)");
        }
    };
    for (std::size_t i = 0; i + 1 < starts.size(); ++i) {
        const auto start = std::min(starts[i], text.size());
        const auto quoted = quoted_part(text, start, std::max(start, std::min(starts[i + 1], text.size())));
        check(quoted.begin);
        from = std::max(from, quoted.end);
    }
    check(text.size());
}

}  // namespace detail
}  // namespace lab::taxonomy::yaml
