// What a single line of a PDF page is: how tall, in a typewriter's even letters or not, turned on its side, a bullet, a
// line of a table of contents, and which lines merely repeat at the head or foot of pages.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/taxonomy/pdf_words.hpp"

namespace lab::taxonomy::pdf {
namespace detail {

[[nodiscard]] inline bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0x80;
}
[[nodiscard]] inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
[[nodiscard]] inline std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    return out;
}
/// A small letter of ASCII or Latin-1.
[[nodiscard]] inline bool starts_low(std::string_view text) {
    if (text.empty()) return false;
    return (text[0] >= 'a' && text[0] <= 'z') ||
           (text[0] == '\xc3' && text.size() > 1 && static_cast<unsigned char>(text[1]) >= 0x9f);
}

/// Widths of letters, word by word.
struct letters {
    double narrowest = 1e9, widest = 0;
    std::size_t words = 0, count = 0;  ///< of words with two letters or more
    void add(const letters& other) {
        narrowest = std::min(narrowest, other.narrowest);
        widest = std::max(widest, other.widest);
        words += other.words;
        count += other.count;
    }
    [[nodiscard]] bool even() const { return words > 0 && widest - narrowest < 0.02 * widest; }
};

struct measure {
    double height = 0;  ///< the middle one of the letters' heights: an index that hangs over the line does not count
    letters widths;
    std::size_t length = 0;
    bool turned = false;
};
[[nodiscard]] inline measure measure_of(const line& l) {
    std::vector<std::pair<double, std::size_t>> heights;
    measure m;
    for (const auto& w : l.words) {
        const auto n = length(w.text);
        heights.emplace_back(w.at.height(), n);
        m.length += n;
        m.turned = m.turned || (n > 3 && w.at.height() > 2 * w.at.width());
        if (n < 2) continue;
        const double each = w.at.width() / static_cast<double>(n);
        m.widths.add({each, each, 1, n});
    }
    std::sort(heights.begin(), heights.end());
    std::size_t seen = 0;
    for (const auto& [height, n] : heights) {
        m.height = height;
        if ((seen += n) * 2 >= m.length) break;
    }
    return m;
}

/// "Page 7 of 20" and "Page 8 of 20" are the same line.
[[nodiscard]] inline std::string without_numbers(std::string_view text) {
    std::string out;
    for (const char c : text)
        if (!is_digit(c))
            out += c;
        else if (!out.ends_with('#'))
            out += '#';
    const bool roman = out.size() <= 6 && out.find_first_not_of("ivxlc") == out.npos;
    return roman ? "#" : lower(out);
}

/// Marks the lines at the head and foot of pages: the same words (numbers aside) at the same height on several pages,
/// or at a height where most pages have a line that stands apart.
[[nodiscard]] inline std::vector<bool> running_lines(const pages& p) {
    struct row {
        double top, bottom;
        std::string text;
        std::vector<std::size_t> lines;
        bool apart = false;
    };
    std::vector<std::vector<std::size_t>> lines_of(p.heights.size());
    for (std::size_t i = 0; i < p.lines.size(); ++i)
        if (p.lines[i].page < lines_of.size()) lines_of[p.lines[i].page].push_back(i);
    std::vector<std::vector<row>> rows(p.heights.size());
    std::map<std::pair<long, std::string>, std::set<std::size_t>> same;  // (height in steps of 3 points, words): pages
    std::map<long, std::set<std::size_t>> slots;                         // height: pages with a line apart there
    const auto step = [](double y) { return std::lround(y / 3); };
    for (std::size_t page = 0; page < rows.size(); ++page) {
        auto& order = lines_of[page];
        std::stable_sort(order.begin(), order.end(),
                         [&](std::size_t a, std::size_t b) { return p.lines[a].at.top < p.lines[b].at.top; });
        std::vector<row> all;  // what stands side by side is one row
        for (const auto i : order) {
            const auto& l = p.lines[i];
            if (!all.empty() && std::abs(all.back().top - l.at.top) < 3) {
                all.back().text += " " + l.text();
                all.back().bottom = std::max(all.back().bottom, l.at.bottom);
                all.back().lines.push_back(i);
            } else {
                all.push_back({l.at.top, l.at.bottom, l.text(), {i}});
            }
        }
        const double edge = 0.12 * p.heights[page];
        for (std::size_t k = 0; k < all.size(); ++k) {
            auto& r = all[k];
            if (r.bottom > edge && r.top < p.heights[page] - edge) continue;
            // The first and the last row stand apart when most of a line's height separates them from the next.
            const double gap = all.size() < 2        ? 1e9
                               : k == 0              ? all[1].top - r.bottom
                               : k + 1 == all.size() ? r.top - all[k - 1].bottom
                                                     : 0;
            r.apart = gap > 0.8 * (r.bottom - r.top);
            r.text = without_numbers(r.text);
            same[{step(r.top), r.text}].insert(page);
            if (r.apart) slots[step(r.top)].insert(page);
            rows[page].push_back(std::move(r));
        }
    }
    const auto runs = [&](const row& r) {
        std::set<std::size_t> alike, slot;
        for (long d = -1; d <= 1; ++d) {
            if (const auto at = same.find({step(r.top) + d, r.text}); at != same.end())
                alike.insert(at->second.begin(), at->second.end());
            if (const auto at = slots.find(step(r.top) + d); at != slots.end())
                slot.insert(at->second.begin(), at->second.end());
        }
        const bool repeats = alike.size() >= 3 || (alike.size() == 2 && rows.size() <= 4);
        return repeats || (r.apart && rows.size() >= 3 && slot.size() * 10 >= rows.size() * 6);
    };
    std::vector<bool> running(p.lines.size(), false);
    const auto mark = [&](const row& r) {
        for (const auto i : r.lines) running[i] = true;
    };
    for (std::size_t page = 0; page < rows.size(); ++page) {  // from the edges inwards, up to the first that does not
        const auto head = [&](const row& r) { return r.bottom <= 0.12 * p.heights[page]; };
        for (auto r = rows[page].begin(); r != rows[page].end() && head(*r) && runs(*r); ++r) mark(*r);
        for (auto r = rows[page].rbegin(); r != rows[page].rend() && !head(*r) && runs(*r); ++r) mark(*r);
    }
    return running;
}

/// "2.1 Syntax . . . . . . 7"
[[nodiscard]] inline bool is_contents_line(std::string_view text) {
    std::size_t dots = 0, run = 0;
    for (const char c : text) {
        run = c == '.' ? run + 1 : c == ' ' ? run : 0;
        dots = std::max(dots, run);
    }
    return dots >= 5;
}

/// Length of a bullet and the blank behind it; 0 where there is none. `alone`: the line holds nothing else.
[[nodiscard]] inline std::size_t bullet(std::string_view text, bool& alone) {
    for (const std::string_view mark : {"\xe2\x80\xa2", "\xe2\x80\xa3", "\xe2\x97\xa6", "\xe2\x96\xaa", "\xe2\x97\x8f",
                                        "\xe2\x80\x93", "\xef\x82\xb7", "*", "-"}) {
        if (!text.starts_with(mark)) continue;
        alone = text.size() == mark.size();
        return alone || text[mark.size()] == ' ' ? std::min(text.size(), mark.size() + 1) : 0;
    }
    return 0;
}
/// Length of "1. ", "12) " or "(a) " at the beginning.
[[nodiscard]] inline std::size_t numbering(std::string_view text) {
    std::size_t i = text.starts_with('(') ? 1 : 0, digits = 0;
    while (i < text.size() && is_digit(text[i])) ++i, ++digits;
    if (digits == 0 && i == 1 && i < text.size() && text[i] >= 'a' && text[i] <= 'z') ++i, digits = 1;
    if (digits == 0 || digits > 2 || i + 1 >= text.size()) return 0;
    return (text[i] == '.' || text[i] == ')') && text[i + 1] == ' ' ? i + 2 : 0;
}

[[nodiscard]] inline bool ends_sentence(std::string_view text) {
    while (!text.empty() && std::string_view("\"')]").find(text.back()) != std::string_view::npos)
        text.remove_suffix(1);
    if (text.ends_with("\xe2\x80\x9d") || text.ends_with("\xe2\x80\x99")) text.remove_suffix(3);
    return !text.empty() && std::string_view(".!?:;").find(text.back()) != std::string_view::npos;
}

}  // namespace detail
}  // namespace lab::taxonomy::pdf
