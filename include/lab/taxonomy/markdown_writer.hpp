// Writes Markdown from parts of a document: headings, paragraphs, lists, tables, code. Text that would read as
// structure at the start of a line gets a backslash; a table's cells become one line each, a fence is longer than any
// in its code. Plain structure only: no links, no emphasis.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lab::taxonomy {

/// Runs of blanks, line ends and no-break spaces become one space; none at the ends.
[[nodiscard]] inline std::string squeezed(std::string_view text) {
    std::string out;
    bool blank = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool wide = text.substr(i).starts_with("\xc2\xa0");
        if (wide || text[i] == ' ' || (text[i] >= '\t' && text[i] <= '\r')) {
            blank = true;
            i += wide ? 1 : 0;
            continue;
        }
        if (blank && !out.empty()) out += ' ';
        blank = false;
        out += text[i];
    }
    return out;
}

class markdown_writer {
public:
    void heading(std::size_t level, std::string_view text) {
        const auto line = squeezed(text);
        if (!line.empty()) block(std::string(std::clamp<std::size_t>(level, 1, 6), '#') + " " + line);
    }
    void paragraph(std::string_view text) {
        const auto line = squeezed(text);
        if (!line.empty()) block(escaped(line));
    }
    /// One item of a list, `depth` lists deep (1: outermost). Items that follow each other form a list.
    void item(std::size_t depth, std::string_view marker, std::string_view text) {
        const auto line = squeezed(text);
        if (line.empty()) return;
        const std::string row =
            std::string(4 * (std::max<std::size_t>(depth, 1) - 1), ' ').append(marker).append(" ") + escaped(line);
        if (!in_list_ || out_.empty()) return block(row), void(in_list_ = true);
        out_.append(row).append("\n");
    }
    /// The next item begins a list of its own.
    void end_list() noexcept { in_list_ = false; }
    /// A further paragraph of the item before.
    void continuation(std::size_t depth, std::string_view text) {
        const auto line = squeezed(text);
        if (line.empty()) return;
        if (!in_list_) return paragraph(line);
        out_.append("\n")
            .append(std::string(4 * std::max<std::size_t>(depth, 1), ' '))
            .append(escaped(line))
            .append("\n");
    }
    /// Blocks that are Markdown already.
    void blocks(std::string_view markdown) {
        while (markdown.ends_with('\n')) markdown.remove_suffix(1);
        if (!markdown.empty()) block(markdown);
    }
    /// Lines are kept as they are, blank ones at both ends left out.
    void code(std::string_view text, std::string_view language = {}) {
        while (!text.empty() && text.substr(0, text.find('\n')).find_first_not_of(" \t\r") == text.npos &&
               text.find('\n') != text.npos)
            text.remove_prefix(text.find('\n') + 1);
        const auto last = text.find_last_not_of(" \t\r\n");
        if (last == text.npos) return;
        text = text.substr(0, last + 1);
        std::size_t longest = 0, run = 0;
        for (const char c : text) longest = std::max(longest, run = c == '`' ? run + 1 : 0);
        const std::string fence(std::max<std::size_t>(3, longest + 1), '`');
        block(std::string(fence).append(language).append("\n").append(text).append("\n").append(fence));
    }
    /// The first row is the table's head; short rows are filled up. A table of one column is written as paragraphs.
    void table(const std::vector<std::vector<std::string>>& rows) {
        std::size_t columns = 0;
        for (const auto& row : rows) columns = std::max(columns, row.size());
        if (columns < 2) {
            for (const auto& row : rows)
                for (const auto& cell : row) paragraph(cell);
            return;
        }
        std::string text;
        bool head = true;
        for (const auto& row : rows) {
            text += "|";
            for (std::size_t c = 0; c < columns; ++c)
                text.append(" ").append(c < row.size() ? cell_of(row[c]) : "").append(" |");
            text += "\n";
            if (std::exchange(head, false)) {
                text += "|";
                for (std::size_t c = 0; c < columns; ++c) text += " --- |";
                text += "\n";
            }
        }
        text.pop_back();
        block(text);
    }

    [[nodiscard]] const std::string& text() const& noexcept { return out_; }
    [[nodiscard]] std::string text() && { return std::move(out_); }

private:
    void block(std::string_view text) {
        if (!out_.empty()) out_ += "\n";
        out_.append(text).append("\n");
        in_list_ = false;
    }
    /// A line that Markdown would not read as a paragraph gets a backslash; so does what would swallow all that
    /// follows.
    static std::string escaped(const std::string& line) {
        const auto one_of = [](std::string_view set, char c) { return set.find(c) != set.npos; };
        const auto hashes = line.find_first_not_of('#');
        const bool heading = hashes > 0 && (hashes == line.npos || (line[hashes] == ' ' && hashes <= 6));
        const bool marker = line.size() > 1 && line[1] == ' ' && one_of("-+*", line[0]);
        const bool rule = line.size() > 2 && line.find_first_not_of(line[0]) == line.npos && one_of("-=*_", line[0]);
        bool swallows = false;
        for (const std::string_view start :
             {"```", "~~~", ">", "|", "<!", "<?", "<script", "<pre", "<style", "<textarea"})
            swallows = swallows || line.starts_with(start);
        return heading || marker || rule || swallows ? "\\" + line : line;
    }
    static std::string cell_of(std::string_view text) {
        std::string out;
        for (const char c : squeezed(text)) out.append(c == '|' ? "\\" : "").append(1, c);
        return out;
    }

    std::string out_;
    bool in_list_ = false;
};

}  // namespace lab::taxonomy
