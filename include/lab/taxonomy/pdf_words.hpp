// What `pdftotext -bbox-layout` says about a PDF: pages of blocks of lines of words with their places, read from its
// XHTML. Understands just what that program writes; anything else is skipped, counts are bounded.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/formats/text_bytes.hpp"

namespace lab::taxonomy::pdf {

struct box {
    double left = 0, top = 0, right = 0, bottom = 0;  ///< in points, y downwards
    [[nodiscard]] double height() const noexcept { return bottom - top; }
    [[nodiscard]] double width() const noexcept { return right - left; }
};
struct word {
    box at;
    std::string text;  ///< UTF-8 without blanks
};
struct line {
    box at;
    std::vector<word> words;
    std::size_t page = 0, block = 0, flow = 0;  ///< numbers in the whole document
    [[nodiscard]] std::string text() const {
        std::string out;
        for (const auto& w : words) out.append(out.empty() ? "" : " ").append(w.text);
        return out;
    }
};
struct pages {
    std::vector<line> lines;      ///< in the order of reading
    std::vector<double> heights;  ///< of the pages
};

/// Characters, not bytes.
[[nodiscard]] inline std::size_t length(std::string_view text) {
    std::size_t n = 0;
    for (const char c : text) n += (static_cast<unsigned char>(c) & 0xc0u) != 0x80 ? 1 : 0;
    return n;
}

namespace detail {

inline double number(std::string_view tag, std::string_view name) {
    auto at = tag.find(std::string(" ").append(name).append("=\""));
    if (at == tag.npos) return 0;
    at += name.size() + 3;
    double value = 0;
    std::from_chars(tag.data() + at, tag.data() + tag.size(), value);
    return value == value && value > -1e9 && value < 1e9 ? value : 0;  // no NaN, nothing beyond any page
}
inline box box_of(std::string_view tag) {
    return {number(tag, "xMin"), number(tag, "yMin"), number(tag, "xMax"), number(tag, "yMax")};
}

/// The five entities of XML; control characters go, as does a byte-order mark inside a text.
inline std::string decoded(std::string_view text) {
    static constexpr std::pair<std::string_view, char> known[] = {{"&amp;", '&'},  {"&lt;", '<'},    {"&gt;", '>'},
                                                                  {"&quot;", '"'}, {"&apos;", '\''}, {"&#39;", '\''}};
    std::string out;
    for (std::size_t i = 0; i < text.size();) {
        const auto rest = text.substr(i);
        const auto* entity =
            std::find_if(std::begin(known), std::end(known), [&](const auto& e) { return rest.starts_with(e.first); });
        if (entity != std::end(known)) {
            out += entity->second;
            i += entity->first.size();
        } else if (rest.starts_with("\xef\xbb\xbf")) {
            i += 3;
        } else {
            if (static_cast<unsigned char>(text[i]) >= 0x20 && text[i] != 0x7f) out += text[i];
            ++i;
        }
    }
    return out;
}

}  // namespace detail

/// @throws format_error when it is not UTF-8 or has more words than `most_words`.
[[nodiscard]] inline pages read_words(std::string_view xhtml, std::size_t most_words = 8'000'000) {
    if (const auto bad = formats::first_invalid_utf8(xhtml); bad != xhtml.npos)
        throw format_error("pdftotext wrote no UTF-8 at offset " + std::to_string(bad));
    pages out;
    std::size_t words = 0, blocks = 0, flows = 0;
    for (std::size_t at = 0; (at = xhtml.find('<', at)) != xhtml.npos;) {
        const auto end = xhtml.find('>', at);
        if (end == xhtml.npos) break;
        const auto tag = xhtml.substr(at + 1, end - at - 1);
        at = end + 1;
        if (tag.starts_with("page ")) {
            out.heights.push_back(detail::number(tag, "height"));
        } else if (tag == "flow") {
            ++flows;
        } else if (tag.starts_with("block ")) {
            ++blocks;
        } else if (tag.starts_with("line ")) {
            out.lines.push_back(
                {detail::box_of(tag), {}, std::max<std::size_t>(out.heights.size(), 1) - 1, blocks, flows});
        } else if (tag.starts_with("word ") && !out.lines.empty()) {
            const auto close = std::min(xhtml.find('<', at), xhtml.size());
            auto text = detail::decoded(xhtml.substr(at, close - at));
            at = close;
            if (++words > most_words)
                throw format_error("the PDF has more than " + std::to_string(most_words) + " words (split it)");
            if (!text.empty()) out.lines.back().words.push_back({detail::box_of(tag), std::move(text)});
        }
    }
    std::erase_if(out.lines, [](const line& l) { return l.words.empty(); });
    return out;
}

}  // namespace lab::taxonomy::pdf
