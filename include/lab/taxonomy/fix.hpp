// Mends what can be mended in a qna.yaml without changing what it says: blanks at line ends, CR LF, surplus blank
// lines, a missing last line end; and quotes around a text that YAML reads as a number, date or yes/no. Each change is
// kept only if the file reads the same as before (with quotes: has an error less). Touches nothing in a file that is no
// YAML.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/file.hpp"
#include "lab/taxonomy/leaf_files.hpp"

namespace lab::taxonomy {

struct fix_result {
    std::string text;
    std::size_t quoted = 0;  ///< values put in quotes
    std::size_t lines = 0;   ///< whose end, or whose being there, was mended
};

namespace detail {

/// Whether two documents hold the same values in the same order. Positions do not count.
[[nodiscard]] inline bool same_values(const yaml::document& a, const yaml::document& b) {
    std::vector<std::pair<yaml::node_id, yaml::node_id>> open{{a.root, b.root}};
    std::set<std::pair<yaml::node_id, yaml::node_id>> seen(open.begin(), open.end());
    const auto visit = [&](yaml::node_id left, yaml::node_id right) {
        if (seen.emplace(left, right).second) open.emplace_back(left, right);
    };
    while (!open.empty()) {
        const auto& left = a[open.back().first];
        const auto& right = b[open.back().second];
        open.pop_back();
        if (left.kind != right.kind || left.text != right.text || left.items.size() != right.items.size() ||
            left.members.size() != right.members.size())
            return false;
        for (std::size_t i = 0; i < left.items.size(); ++i) visit(left.items[i], right.items[i]);
        for (std::size_t i = 0; i < left.members.size(); ++i) {
            visit(left.members[i].key, right.members[i].key);
            visit(left.members[i].value, right.members[i].value);
        }
    }
    return true;
}

[[nodiscard]] inline std::optional<yaml::document> read_if_possible(std::string_view text) {
    try {
        return yaml::read(text);
    } catch (const yaml::syntax_error&) {
        return std::nullopt;
    }
}

/// Changes to lines of a file, kept as far as its values stay what they are.
class line_fixer {
public:
    line_fixer(std::string_view text, yaml::document wanted) : wanted_(std::move(wanted)) {
        for (; !text.empty(); text.remove_prefix(std::min(text.size(), lines_.back().text.size() + 1)))
            lines_.push_back({std::string(text.substr(0, text.find('\n'))), text.find('\n') != text.npos});
    }
    /// @return how many lines were mended
    [[nodiscard]] std::size_t run() {
        std::vector<std::size_t> which;
        for (std::size_t i = 0; i < lines_.size(); ++i)
            if (lines_[i].text != without_blanks(lines_[i].text)) which.push_back(i);
        apply(which, [](line& l) { l.text = without_blanks(l.text); });
        which.clear();
        std::size_t blank = 0;
        for (std::size_t i = 0; i < lines_.size(); ++i) {
            blank = lines_[i].text.empty() ? blank + 1 : 0;
            if (blank > 2) which.push_back(i);
        }
        for (std::size_t i = 0; i < std::min<std::size_t>(blank, 2); ++i)
            which.push_back(lines_.size() - blank + i);  // at the end of the file none is wanted
        std::sort(which.begin(), which.end());
        apply(which, [](line& l) { l.gone = true; });
        which.clear();
        for (std::size_t i = lines_.size(); i-- > 0 && which.empty();)
            if (!lines_[i].gone && !lines_[i].text.empty() && !lines_[i].ended) which.push_back(i);
        apply(which, [](line& l) { l.ended = true; });
        return mended_;
    }
    [[nodiscard]] std::string text() const { return joined(lines_); }

private:
    struct line {
        std::string text;
        bool ended = true, gone = false;
    };
    static std::string without_blanks(const std::string& text) {
        return text.substr(0, text.find_last_not_of(" \t\r") + 1);
    }
    static std::string joined(const std::vector<line>& lines) {
        std::string out;
        for (const auto& l : lines)
            if (!l.gone) out.append(l.text).append(l.ended ? "\n" : "");
        return out;
    }
    /// All of them, or else as many as go by halves.
    template <class Edit>
    void apply(std::span<const std::size_t> which, Edit edit) {
        if (which.empty() || tries_ == 0) return;
        --tries_;
        auto next = lines_;
        for (const auto i : which) edit(next[i]);
        if (const auto doc = read_if_possible(joined(next)); doc && same_values(*doc, wanted_)) {
            lines_ = std::move(next);
            mended_ += which.size();
        } else if (which.size() > 1) {
            apply(which.first(which.size() / 2), edit);
            apply(which.subspan(which.size() / 2), edit);
        }
    }

    yaml::document wanted_;
    std::vector<line> lines_;
    std::size_t mended_ = 0, tries_ = 500;  // a file of nothing but blanks that count is left as it is
};

/// Byte of a position; npos where there is none.
[[nodiscard]] inline std::size_t byte_of(std::string_view text, std::size_t line, std::size_t column) {
    std::size_t at = 0;
    for (; line > 1; --line) {
        at = text.find('\n', at);
        if (at == text.npos) return at;
        ++at;
    }
    for (; column > 1 && at < text.size(); --column) {
        ++at;
        while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0u) == 0x80) ++at;
    }
    return at < text.size() ? at : text.npos;
}

/// The text with the plain value at a problem's place in quotes. No number, date or yes/no holds what ends it here.
[[nodiscard]] inline std::optional<std::string> with_quotes(const std::string& text, const problem& p,
                                                            std::optional<root> kind, std::size_t errors) {
    const auto begin = byte_of(text, p.line, p.column);
    if (begin == text.npos) return std::nullopt;
    auto value = std::string_view(text).substr(begin);
    value = value.substr(0, std::min(value.find_first_of("\n,}]"), value.find(" #")));
    value = value.substr(0, value.find_last_not_of(" \t\r") + 1);
    if (value.empty() || value.find_first_of("\"\\'!&*") != value.npos) return std::nullopt;
    auto next = text.substr(0, begin) + '"' + std::string(value) + '"' + text.substr(begin + value.size());
    problem_list after("");
    (void)judge(next, kind, after);
    return after.errors() < errors ? std::optional(std::move(next)) : std::nullopt;
}

}  // namespace detail

/// @param kind as `judge` takes it
[[nodiscard]] inline fix_result fix(std::string_view text, std::optional<root> kind) {
    fix_result out{std::string(text)};
    for (std::size_t skipped = 0, rounds = 0; rounds < 100; ++rounds) {
        problem_list found("");
        (void)judge(out.text, kind, found);
        std::vector<problem> quotable;
        for (const auto& p : found.all())
            if (p.mend == mending::quotes) quotable.push_back(p);
        if (skipped >= quotable.size()) break;
        if (auto next = detail::with_quotes(out.text, quotable[skipped], kind, found.errors()))
            out.text = *std::move(next), ++out.quoted;
        else
            ++skipped;
    }
    if (auto doc = detail::read_if_possible(out.text)) {
        detail::line_fixer lines(out.text, *std::move(doc));
        out.lines = lines.run();
        out.text = lines.text();
    }
    return out;
}

struct fixed_file {
    std::filesystem::path file;
    std::size_t quoted = 0, lines = 0;
};

/// Mends every qna.yaml at `path` in place. @return what was changed
/// @throws io_error where a file cannot be written; io_error or format_error when there is nothing to read
[[nodiscard]] inline std::vector<fixed_file> fix_files(const std::filesystem::path& path) {
    namespace fs = std::filesystem;
    std::vector<fixed_file> changed;
    for (const auto& file : detail::find_files(path)) {
        std::error_code no;
        if (file.filename() != "qna.yaml" || !fs::is_regular_file(file, no)) continue;
        const auto text = read_file(file);
        const auto mended = fix(text, detail::place_of(file, path).kind);
        if (mended.text == text) continue;
        const auto mode = fs::status(file).permissions();
        write_file_atomically(file, mended.text);
        fs::permissions(file, mode);
        changed.push_back({file, mended.quoted, mended.lines});
    }
    return changed;
}

}  // namespace lab::taxonomy
