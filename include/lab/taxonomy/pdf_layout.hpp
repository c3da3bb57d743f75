// Makes Markdown of the words of a PDF: paragraphs mended over lines, columns and pages, headings told by their size,
// lists by their bullets, code by its even letters. Lines that repeat at the head or foot of pages and the dotted lines
// of a table of contents are left out. Tables and formulas come out as loose text: their structure is not in a PDF.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "lab/taxonomy/markdown_writer.hpp"
#include "lab/taxonomy/pdf_lines.hpp"

namespace lab::taxonomy::pdf {
namespace detail {

/// A paragraph, heading, item or stretch of code, or a piece of one.
struct part {
    enum class kind { text, heading, item, numbered, code } what = kind::text;
    std::vector<std::string> lines;
    double height = 0;
    box at;    ///< of its block
    box last;  ///< of its last line
    std::size_t page = 0, flow = 0, block = 0;
};

/// Joins lines; a word that was parted at a line's end is put together: without its hyphen, unless the document writes
/// it with one elsewhere or knows both halves as words.
class joiner {
public:
    explicit joiner(const std::vector<part>& parts) {
        for (const auto& p : parts)
            for (const auto& l : p.lines)
                for (std::size_t at = 0; at < l.size();) {
                    const auto end = std::min(l.find(' ', at), l.size());
                    const auto piece = trimmed(std::string_view(l).substr(at, end - at));
                    if (!piece.empty() && !piece.ends_with('-')) words_.insert(lower(piece));
                    at = end + 1;
                }
    }
    [[nodiscard]] std::string operator()(const std::vector<std::string>& lines) const {
        std::string out;
        for (const auto& l : lines) {
            if (out.ends_with("\xc2\xad")) {  // a soft hyphen
                out.resize(out.size() - 2);
            } else if (is_parted(out) && !l.empty() && is_letter(l[0])) {
                if (!keeps_hyphen(out, l)) out.pop_back();
            } else if (!out.empty()) {
                out += ' ';
            }
            out += l;
        }
        return out;
    }
    [[nodiscard]] static bool is_parted(std::string_view text) {
        return text.ends_with("\xc2\xad") ||
               (text.size() > 1 && text.back() == '-' && is_letter(text[text.size() - 2]));
    }

private:
    [[nodiscard]] bool keeps_hyphen(std::string_view before, std::string_view next) const {
        if (!starts_low(next)) return true;
        const auto space = before.rfind(' ');
        const auto head = lower(trimmed(before.substr(space == before.npos ? 0 : space + 1)));
        const auto tail = lower(trimmed(next.substr(0, next.find(' '))));
        const auto stem = head.substr(0, std::max<std::size_t>(head.size(), 1) - 1);
        if (words_.contains(stem + tail)) return false;
        if (words_.contains(head + tail) || stem.size() < 2) return true;  // x-ray
        return stem.size() > 2 && tail.size() > 2 && words_.contains(stem) && words_.contains(tail);
    }
    static std::string_view trimmed(std::string_view w) {
        while (!w.empty() && !is_letter(w.front()) && !is_digit(w.front())) w.remove_prefix(1);
        while (!w.empty() && !is_letter(w.back()) && !is_digit(w.back()) && w.back() != '-') w.remove_suffix(1);
        return w;
    }
    std::unordered_set<std::string> words_;
};

class layout {
public:
    explicit layout(const pages& p) : pages_(p) {
        const auto running = running_lines(p);
        std::map<double, std::size_t> letters_at;  // height: letters
        std::map<std::size_t, std::size_t> contents;
        std::size_t letters = 0;
        for (std::size_t i = 0; i < p.lines.size(); ++i) {
            measures_.push_back(measure_of(p.lines[i]));
            const auto text = p.lines[i].text();
            if (running[i] || measures_[i].turned) continue;
            if (is_contents_line(text)) {
                ++contents[p.lines[i].page];
                continue;
            }
            letters_at[std::round(measures_[i].height * 10) / 10] += measures_[i].length;
            letters += measures_[i].length;
            if (blocks_.empty() || blocks_.back().number != p.lines[i].block) blocks_.push_back({p.lines[i].block, {}});
            blocks_.back().lines.push_back(i);
        }
        std::size_t seen = 0;
        for (const auto& [height, n] : letters_at) {
            body_ = height;
            if ((seen += n) * 2 >= letters) break;
        }
        // On a page of contents the numbers stand in columns of their own.
        std::erase_if(blocks_, [&](const block& b) {
            if (const auto at = contents.find(p.lines[b.lines[0]].page); at == contents.end() || at->second < 5)
                return false;
            return std::none_of(b.lines.begin(), b.lines.end(), [&](std::size_t i) {
                const auto text = p.lines[i].text();
                return std::any_of(text.begin(), text.end(), is_letter);
            });
        });
        find_code(letters);
        for (const auto& b : blocks_) b.code ? add_code(b) : add_text(b);
        mend();
    }

    [[nodiscard]] std::string markdown() const {
        std::vector<double> sizes;  // of headings, largest first; nearly equal ones are one level
        for (const auto& q : parts_)
            if (q.what == kind::heading) sizes.push_back(q.height);
        std::sort(sizes.rbegin(), sizes.rend());
        sizes.erase(std::unique(sizes.begin(), sizes.end(), [](double a, double b) { return a - b < 0.05 * a; }),
                    sizes.end());
        markdown_writer out;
        for (const auto& q : parts_) {
            const auto level =
                std::find_if(sizes.begin(), sizes.end(), [&](double s) { return s - q.height < 0.05 * s; });
            if (q.what == kind::heading) {
                out.heading(static_cast<std::size_t>(level - sizes.begin()) + 1, (*join_)(q.lines));
            } else if (q.what == kind::item) {
                out.item(1, "-", (*join_)(q.lines));
            } else if (q.what == kind::code) {
                std::string text;
                for (const auto& l : q.lines) text.append(l).append("\n");
                out.code(text);
            } else {
                out.paragraph((*join_)(q.lines));
            }
        }
        return std::move(out).text();
    }

private:
    using kind = part::kind;
    struct block {
        std::size_t number;
        std::vector<std::size_t> lines;
        letters widths{};
        bool code = false;
    };

    /// Blocks in even letters, and short ones beside them in letters of the same width ("}", "END"). Where nearly the
    /// whole document is typewritten, even letters tell nothing.
    void find_code(std::size_t letters_in_all) {
        std::size_t even = 0;
        for (auto& b : blocks_) {
            std::size_t n = 0;
            for (const auto i : b.lines) b.widths.add(measures_[i].widths), n += measures_[i].length;
            b.code = b.widths.even() && b.widths.words > 2 && b.widths.count > 11;
            even += b.code ? n : 0;
        }
        if (even * 10 > letters_in_all * 7) {
            for (auto& b : blocks_) b.code = false;
            return;
        }
        const auto like = [&](const block& b, const block& known) {
            return known.code && !b.code && b.widths.count < 40 &&
                   (b.widths.words == 0 ||
                    (std::abs(b.widths.narrowest - known.widths.widest) < 0.02 * known.widths.widest &&
                     std::abs(b.widths.widest - known.widths.widest) < 0.02 * known.widths.widest));
        };
        for (std::size_t i = 1; i < blocks_.size(); ++i)
            if (like(blocks_[i], blocks_[i - 1])) blocks_[i].code = true;
        for (std::size_t i = blocks_.size(); i-- > 1;)
            if (like(blocks_[i - 1], blocks_[i])) blocks_[i - 1].code = true;
    }

    [[nodiscard]] part start(const block& b, std::size_t i) const {
        const auto& l = pages_.lines[i];
        part fresh{kind::text, {}, measures_[i].height, {1e9, 1e9, -1e9, -1e9}, l.at, l.page, l.flow, b.number};
        for (const auto k : b.lines) {
            const auto& at = pages_.lines[k].at;
            fresh.at = {std::min(fresh.at.left, at.left), std::min(fresh.at.top, at.top),
                        std::max(fresh.at.right, at.right), std::max(fresh.at.bottom, at.bottom)};
        }
        return fresh;
    }

    /// The blanks of a code line are told by the places of its words.
    void add_code(const block& b) {
        part fresh = start(b, b.lines[0]);
        fresh.what = kind::code;
        const double letter = b.widths.words > 0 ? b.widths.widest : 0.5 * fresh.height;
        for (const auto i : b.lines) {
            std::string text;
            double at = fresh.at.left;
            for (const auto& w : pages_.lines[i].words) {
                const auto blanks = letter > 0 ? std::lround((w.at.left - at) / letter) : 1;
                text.append(static_cast<std::size_t>(std::clamp(blanks, text.empty() ? 0L : 1L, 200L)), ' ');
                text += w.text;
                at = w.at.right;
            }
            fresh.lines.push_back(std::move(text));
        }
        parts_.push_back(std::move(fresh));
    }

    void add_text(const block& b) {
        const part common = start(b, b.lines[0]);
        bool first = true;
        for (const auto i : b.lines) {
            const auto& l = pages_.lines[i];
            const auto& m = measures_[i];
            std::string text = l.text();
            part fresh = common;
            fresh.height = m.height;
            fresh.last = l.at;
            bool alone = false;
            const auto mark = bullet(text, alone);
            if (alone) {  // the item's text comes as the next line or block
                bullet_waits_ = true;
                continue;
            }
            if (body_ > 0 && m.height >= 1.15 * body_ && m.length <= 150 &&
                std::count_if(text.begin(), text.end(), is_letter) > 1) {
                fresh.what = kind::heading;
            } else if (mark > 0 || bullet_waits_) {
                fresh.what = kind::item;
                text.erase(0, mark);
            } else if (numbering(text) > 0 && (first || l.at.left < common.at.left + m.height)) {
                fresh.what = kind::numbered;
            }
            bullet_waits_ = false;
            bool starts = first || fresh.what == kind::item || fresh.what == kind::numbered;
            if (!starts) {
                const auto& before = parts_.back();
                const bool indented = l.at.left - common.at.left > 0.8 * m.height &&
                                      (!reaches(before, common.at.right) || ends_sentence(before.lines.back()));
                starts = (fresh.what == kind::heading) != (before.what == kind::heading) ||
                         (fresh.what == kind::heading && std::abs(before.height - m.height) > 0.06 * m.height) ||
                         (before.what == kind::text && indented);
            }
            if (starts) parts_.push_back(std::move(fresh));
            parts_.back().lines.push_back(std::move(text));
            parts_.back().last = l.at;
            first = false;
        }
    }

    [[nodiscard]] static bool reaches(const part& p, double right) {
        return p.last.right > right - 0.1 * std::max(0.0, right - p.at.left);
    }

    /// A paragraph goes on behind the end of a column or page, and behind what looked like its end.
    [[nodiscard]] static bool goes_on(const part& before, const part& q) {
        if (q.what != kind::text || before.what == kind::heading || before.what == kind::code) return false;
        if (std::abs(before.height - q.height) > 0.06 * q.height || ends_sentence(before.lines.back())) return false;
        const double gap = q.at.top - before.last.bottom;
        const bool beside = q.at.left >= before.at.right || before.at.left >= q.at.right;
        const bool page = before.page != q.page;
        const bool below = !page && !beside && gap < 0.8 * q.height && q.at.top > before.last.top;
        const bool column =
            !page && before.flow != q.flow && q.at.left >= before.at.right && q.at.top < before.last.top;
        if (!page && !below && !column) return false;
        const double width = before.at.width(), other = q.at.width();
        const bool alike = std::min(width, other) > 0.5 * std::max(width, other) || q.lines.size() == 1;
        if (starts_low(q.lines[0]) && (alike || joiner::is_parted(before.lines.back()))) return true;
        return alike && reaches(before, below ? std::max(before.at.right, q.at.right) : before.at.right) &&
               before.lines.size() + (below ? q.lines.size() : 0) > 1;
    }

    void mend() {
        join_.emplace(parts_);
        std::vector<part> whole;
        for (auto& q : parts_) {
            const bool code = !whole.empty() && q.what == kind::code && whole.back().what == kind::code;
            if (!code && (whole.empty() || !goes_on(whole.back(), q))) {
                whole.push_back(std::move(q));
                continue;
            }
            auto& before = whole.back();
            if (code && q.at.top - before.at.bottom > 0.5 * q.height) before.lines.emplace_back();
            before.lines.insert(before.lines.end(), q.lines.begin(), q.lines.end());
            before.at = q.at, before.last = q.last, before.page = q.page, before.flow = q.flow, before.block = q.block;
        }
        parts_ = std::move(whole);
    }

    const pages& pages_;
    std::vector<measure> measures_;  // of the lines
    std::vector<block> blocks_;      // of the lines that are kept
    std::vector<part> parts_;
    std::optional<joiner> join_;
    double body_ = 0;  // height of most letters
    bool bullet_waits_ = false;
};

}  // namespace detail

/// The document as Markdown; empty when the pages hold no text (scans).
[[nodiscard]] inline std::string to_markdown(const pages& p) { return detail::layout(p).markdown(); }

}  // namespace lab::taxonomy::pdf
