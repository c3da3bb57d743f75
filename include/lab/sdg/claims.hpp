// An answer as the claims that it makes, and for each the sentence of a text that supports it best, by shared content
// words: no model, no inference.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "lab/sdg/flat_text.hpp"
#include "lab/sdg/lexicon.hpp"

namespace lab::sdg {

namespace detail {
/// "- ", "* ", "2. " or "b) " in front of a list's item.
[[nodiscard]] inline std::string_view without_bullet(std::string_view line) {
    const auto first = line.find_first_not_of(" \t");
    if (first == line.npos) return {};
    line.remove_prefix(first);
    if (line.starts_with("- ") || line.starts_with("* ") || line.starts_with("+ ")) return line.substr(2);
    if (line.starts_with("\xe2\x80\xa2")) return line.substr(line.size() > 3 && line[3] == ' ' ? 4 : 3);
    std::size_t digits = 0;
    while (digits < line.size() && digits < 3 && is_digit(line[digits])) ++digits;
    if (digits == 0 && !line.empty() && (is_lower(line[0]) || is_upper(line[0]))) digits = 1;
    const bool numbered = digits > 0 && digits + 1 < line.size() && (line[digits] == '.' || line[digits] == ')') &&
                          line[digits + 1] == ' ' && (is_digit(line[0]) || line[digits] == ')');
    return numbered ? line.substr(digits + 2) : line;
}
}  // namespace detail

/// The answer's sentences and list items, each as one flat text. A sentence without two content words ("Yes.") belongs
/// to the next one. An answer of a few words is one claim.
[[nodiscard]] inline std::vector<std::string> claims_of(std::string_view answer) {
    std::vector<std::string> claims;
    std::string small;  // waits for the next sentence
    const auto take = [&](std::string_view part) {
        for (const auto& s : sentences_of(part)) {
            std::string claim = small.empty() ? flat(s.of(part)) : small + " " + flat(s.of(part));
            small.clear();
            if (content_stems(claim).size() < 2)
                small = std::move(claim);
            else
                claims.push_back(std::move(claim));
        }
    };
    std::string paragraph;  // lines that no bullet begins run on
    for (std::size_t begin = 0; begin <= answer.size();) {
        const auto end = std::min(answer.find('\n', begin), answer.size());
        const auto line = answer.substr(begin, end - begin), item = detail::without_bullet(line);
        const bool bullet = !item.empty() && item.data() != line.data() + line.find_first_not_of(" \t");
        if (bullet || item.empty()) {
            take(paragraph);
            paragraph.clear();
        }
        paragraph.append(item).append("\n");
        begin = end + 1;
    }
    take(paragraph);
    if (!small.empty()) {
        if (claims.empty())
            claims.push_back(small);
        else
            claims.back().append(" ").append(small);
    }
    return claims;
}

/// The share of a claim's content words that a text has; 1 for a claim without any.
[[nodiscard]] inline double share_said(const std::set<std::string>& claim, const std::set<std::string>& text) {
    if (claim.empty()) return 1.0;
    std::size_t found = 0;
    for (const auto& stem : claim) found += text.contains(stem);
    return static_cast<double>(found) / static_cast<double>(claim.size());
}

/// A text's sentences with their content words: what claims are looked up in.
class sentence_table {
public:
    struct match {
        std::size_t index = 0;
        double share = 0;  // of the claim's content words
    };
    explicit sentence_table(std::string_view text) : ranges_(sentences_of(text)) {
        for (const auto& r : ranges_) stems_.push_back(content_set(r.of(text)));
    }
    [[nodiscard]] std::size_t size() const noexcept { return ranges_.size(); }
    [[nodiscard]] text_range operator[](std::size_t i) const { return ranges_[i]; }
    /// The sentence that says most of the claim; of equals the shortest, then the first. Nothing where no word is
    /// shared.
    [[nodiscard]] std::optional<match> best(std::string_view claim) const {
        const auto wanted = content_set(claim);
        std::optional<match> found;
        for (std::size_t i = 0; i < stems_.size(); ++i) {
            const double share = wanted.empty() ? 0 : share_said(wanted, stems_[i]);
            if (share <= 0) continue;
            if (!found || share > found->share ||
                (share == found->share && stems_[i].size() < stems_[found->index].size()))
                found = match{i, share};
        }
        return found;
    }

    /// The sentence that a fact in other words rests on. The fact may name what the sentence calls "it": words of the
    /// two sentences before and of `around` (headings) count too, but the sentence must have a third of them itself,
    /// and all together two thirds.
    [[nodiscard]] std::optional<match> supporting(std::string_view claim, const std::set<std::string>& around) const {
        const auto found = best(claim);
        if (!found || found->share < 1.0 / 3) return std::nullopt;
        auto near = around;
        for (std::size_t i = found->index - std::min<std::size_t>(found->index, 2); i <= found->index; ++i)
            near.insert(stems_[i].begin(), stems_[i].end());
        return share_said(content_set(claim), near) >= 2.0 / 3 ? found : std::nullopt;
    }

private:
    std::vector<text_range> ranges_;
    std::vector<std::set<std::string>> stems_;
};

}  // namespace lab::sdg
