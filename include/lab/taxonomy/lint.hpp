// Advice on the layout of a qna.yaml, as yamllint's "relaxed" rules give it (without line length), and on its texts, as
// InstructLab's contribution guide does. Warnings only: whether a file is valid, the schema alone decides.
#pragma once

#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>

#include "lab/taxonomy/problem.hpp"

namespace lab::taxonomy {

/// Trailing blanks, line ends, blank lines and the end of the file.
inline void lint_layout(std::string_view text, problem_list& problems) {
    std::size_t line = 1, blank = 0;
    bool carriage_return = false;
    const std::size_t size = text.size();
    const auto characters = [](std::string_view part) {
        std::size_t n = 0;
        for (const char c : part) n += (static_cast<unsigned char>(c) & 0xc0u) != 0x80 ? 1 : 0;
        return n;
    };
    for (std::size_t start = 0; start < size; ++line) {
        const std::size_t end = std::min(text.find('\n', start), size);
        auto row = text.substr(start, end - start);
        if (row.ends_with('\r')) {
            if (!carriage_return)
                problems.warning({line, characters(row)}, "line ends are CR LF (save the file with LF)");
            carriage_return = true;
            row.remove_suffix(1);
        }
        const auto last = row.find_last_not_of(" \t");
        const auto kept = last == row.npos ? 0 : last + 1;
        if (kept != row.size())
            problems.warning({line, characters(row.substr(0, kept)) + 1},
                             "blanks at the end of the line (delete them)");
        blank = row.empty() ? blank + 1 : 0;
        if (blank == 3) problems.warning({line, 1}, "more than two blank lines (delete some)");
        if (end == size) problems.warning({line, characters(row) + 1}, "the last line has no line end (add one)");
        start = end + 1;
    }
    if (blank > 0) problems.warning({line - 1, 1}, "blank line at the end of the file (delete it)");
}

/// Words between blanks.
[[nodiscard]] inline std::size_t count_words(std::string_view text) {
    std::size_t words = 0;
    bool inside = false;
    for (const char c : text) {
        const bool blank = std::isspace(static_cast<unsigned char>(c)) != 0;
        words += !blank && !inside ? 1 : 0;
        inside = !blank;
    }
    return words;
}

}  // namespace lab::taxonomy
