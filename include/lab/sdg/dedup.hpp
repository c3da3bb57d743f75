// Exact and near duplicates of short texts: near means ROUGE-L F1 >= threshold over loose words. Pairs that cannot
// reach it are never compared: prefix filter of set-similarity joins (Bayardo et al., "Scaling up all pairs similarity
// search", WWW 2007), sound because F1 >= t asks for at least t(n+m)/2 common words. First come, first kept: the result
// depends on order alone.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/rng.hpp"
#include "lab/sdg/rouge.hpp"

namespace lab::sdg {

class duplicate_index {
public:
    struct match {
        std::size_t item = 0;   // index in order of `add`
        double similarity = 0;  // 1 for equal words
    };

    /// @throws config_error unless 0 < threshold <= 1
    explicit duplicate_index(double threshold) : threshold_(threshold) {
        if (!(threshold > 0 && threshold <= 1)) throw config_error(explain("dedup threshold", "must lie in (0, 1]"));
    }

    /// The most similar item at or above the threshold; the earliest among equals.
    [[nodiscard]] std::optional<match> find(std::string_view text) const {
        const entry query = prepare(text);
        if (query.words.empty()) return std::nullopt;
        std::vector<std::size_t> candidates;
        for (std::size_t i = 0; i < prefix_of(query.words.size()); ++i)
            if (const auto at = postings_.find(query.keys[i]); at != postings_.end())
                candidates.insert(candidates.end(), at->second.begin(), at->second.end());
        std::sort(candidates.begin(), candidates.end());
        candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
        std::optional<match> best;
        for (const std::size_t i : candidates) {
            const entry& other = entries_[i];
            const double needed = threshold_ * static_cast<double>(query.words.size() + other.words.size()) / 2;
            if (static_cast<double>(std::min(query.words.size(), other.words.size())) + slack < needed) continue;
            ++compared_;
            const std::size_t common = longest_common_subsequence<std::uint64_t>(other.words, query.words);
            const double f1 = rouge_from(common, other.words.size(), query.words.size()).f1;
            if (f1 + slack >= threshold_ && (!best || f1 > best->similarity)) best = match{i, f1};
        }
        return best;
    }

    /// Takes the text in, whatever it resembles; returns its index.
    std::size_t add(std::string_view text) {
        entry e = prepare(text);
        const std::size_t index = entries_.size();
        for (std::size_t i = 0; i < prefix_of(e.words.size()); ++i) postings_[e.keys[i]].push_back(index);
        entries_.push_back(std::move(e));
        return index;
    }
    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
    /// Pairs that went through the full comparison so far: what the prefilter left.
    [[nodiscard]] std::size_t compared() const noexcept { return compared_; }

private:
    static constexpr double slack = 1e-9;
    struct entry {
        std::vector<std::uint64_t> words;  // hashes, in order
        std::vector<std::uint64_t> keys;   // (word, k-th occurrence) hashes, sorted: one global order for all texts
    };

    [[nodiscard]] static entry prepare(std::string_view text) {
        entry e;
        std::unordered_map<std::uint64_t, std::uint64_t> seen;
        for (const auto& word : loose_words(text)) {
            const std::uint64_t h = hash64(word);
            e.words.push_back(h);
            const auto mixed = philox({static_cast<std::uint32_t>(h), static_cast<std::uint32_t>(h >> 32),
                                       static_cast<std::uint32_t>(seen[h]++), 0},
                                      {1, 2});
            e.keys.push_back((std::uint64_t{mixed[0]} << 32) | mixed[1]);
        }
        std::sort(e.keys.begin(), e.keys.end());
        return e;
    }

    /// With n words of its own a text needs at least n t / (2 - t) common words with any partner of any length; two
    /// texts that share so many share one within the first n - needed + 1 of their sorted keys.
    [[nodiscard]] std::size_t prefix_of(std::size_t n) const {
        const double needed = std::ceil(static_cast<double>(n) * threshold_ / (2 - threshold_) - slack);
        return n == 0 ? 0 : n - static_cast<std::size_t>(std::max(1.0, needed)) + 1;
    }

    double threshold_;
    std::vector<entry> entries_;
    std::unordered_map<std::uint64_t, std::vector<std::size_t>> postings_;
    mutable std::size_t compared_ = 0;
};

}  // namespace lab::sdg
