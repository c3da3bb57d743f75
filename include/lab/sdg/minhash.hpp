// MinHash (Broder, "On the resemblance and containment of documents", 1997) and locality-sensitive hashing by bands:
// two sets of Jaccard similarity j agree in one minimum with probability j, and fall together in some band of `rows`
// minima with probability 1 - (1 - j^rows)^bands. For near duplicates at thresholds where dedup.hpp's exact filters
// leave too much; what the bands bring together is compared by ROUGE-L, so nothing wrong is found, but some pairs are
// missed.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/rng.hpp"
#include "lab/sdg/dedup.hpp"
#include "lab/sdg/word_store.hpp"

namespace lab::sdg {

/// Hashes of all runs of `n` hashes; of the whole where there are fewer.
[[nodiscard]] inline std::vector<std::uint64_t> shingles(std::span<const std::uint64_t> hashes, std::size_t n) {
    std::vector<std::uint64_t> out;
    if (hashes.empty()) return out;
    n = std::min(n, hashes.size());
    for (std::size_t i = 0; i + n <= hashes.size(); ++i) out.push_back(hash_of_words(hashes.subspan(i, n)));
    return out;
}

/// Minima of a set under seeded hash functions (a x + b) / 2^32 mod 2^32.
class min_hash {
public:
    explicit min_hash(std::size_t count, std::uint64_t seed = 1) {
        counter_rng rng(seed, "minhash");
        for (std::size_t i = 0; i < count; ++i) {
            factors_.push_back(rng.next64() | 1);
            offsets_.push_back(rng.next64());
        }
    }
    [[nodiscard]] std::size_t size() const noexcept { return factors_.size(); }
    /// Elements are hashes; repetitions do not matter.
    [[nodiscard]] std::vector<std::uint32_t> operator()(std::span<const std::uint64_t> elements) const {
        std::vector<std::uint32_t> minima(size(), std::numeric_limits<std::uint32_t>::max());
        for (std::uint64_t x : elements) {
            x = (x ^ (x >> 31)) * 0xBF58476D1CE4E5B9u;  // the weakest bits of x would decide otherwise
            x ^= x >> 29;
            for (std::size_t i = 0; i < size(); ++i)
                minima[i] = std::min(minima[i], static_cast<std::uint32_t>((factors_[i] * x + offsets_[i]) >> 32));
        }
        return minima;
    }

private:
    std::vector<std::uint64_t> factors_, offsets_;
};

/// Share of equal minima: an estimate of the Jaccard similarity with standard error sqrt(j (1 - j) / n).
[[nodiscard]] inline double estimated_jaccard(std::span<const std::uint32_t> a, std::span<const std::uint32_t> b) {
    if (a.size() != b.size() || a.empty()) throw shape_error("minhash: signatures of different or no length");
    std::size_t equal = 0;
    for (std::size_t i = 0; i < a.size(); ++i) equal += a[i] == b[i];
    return static_cast<double>(equal) / static_cast<double>(a.size());
}

/// Probability that a pair of this Jaccard similarity is brought together.
[[nodiscard]] inline double chance_of_meeting(double jaccard, std::size_t bands, std::size_t rows) {
    return 1 - std::pow(1 - std::pow(jaccard, static_cast<double>(rows)), static_cast<double>(bands));
}

/// Items by the bands of their minima: 12 to 16 bytes a band and item.
class band_table {
public:
    /// @throws config_error unless both are at least 1
    band_table(std::size_t bands, std::size_t rows) : bands_(bands), rows_(rows), heads_(bands) {
        if (bands == 0 || rows == 0) throw config_error(explain("minhash", "bands and rows must be at least 1"));
    }
    [[nodiscard]] std::size_t size() const noexcept { return hashes_.size() / bands_; }

    /// Takes the next item in. `minima` has bands x rows numbers, here and below.
    void add(std::span<const std::uint32_t> minima) {
        const auto item = static_cast<std::uint32_t>(size());
        for (std::size_t b = 0; b < bands_; ++b) hashes_.push_back(hash_of(minima, b));
        next_.resize(hashes_.size(), none);
        if (size() > heads_[0].size()) {
            const std::size_t buckets = std::max<std::size_t>(64, 2 * heads_[0].size());
            for (auto& heads : heads_) heads.assign(buckets, none);
            for (std::uint32_t i = 0; i <= item; ++i) link(i);
        } else {
            link(item);
        }
    }
    /// The items that share a band with these, in order.
    [[nodiscard]] std::vector<std::uint32_t> near(std::span<const std::uint32_t> minima) const {
        std::vector<std::uint32_t> items;
        for (std::size_t b = 0; b < bands_ && size() > 0; ++b) {
            const std::uint32_t h = hash_of(minima, b);
            for (std::uint32_t i = heads_[b][h & (heads_[b].size() - 1)]; i != none; i = next_[i * bands_ + b])
                if (hashes_[i * bands_ + b] == h) items.push_back(i);
        }
        std::sort(items.begin(), items.end());
        items.erase(std::unique(items.begin(), items.end()), items.end());
        return items;
    }

private:
    static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

    [[nodiscard]] std::uint32_t hash_of(std::span<const std::uint32_t> minima, std::size_t band) const {
        if (minima.size() != bands_ * rows_) throw shape_error("minhash: minima are not bands x rows");
        std::uint64_t h = band + 1;
        for (const std::uint32_t m : minima.subspan(band * rows_, rows_)) {
            h = (h ^ m) * 0x9E3779B97F4A7C15u;
            h ^= h >> 32;
        }
        return static_cast<std::uint32_t>(h);
    }
    void link(std::uint32_t item) {
        for (std::size_t b = 0; b < bands_; ++b) {
            const std::size_t at = item * bands_ + b;
            next_[at] = std::exchange(heads_[b][hashes_[at] & (heads_[b].size() - 1)], item);
        }
    }

    std::size_t bands_, rows_;
    std::vector<std::vector<std::uint32_t>> heads_;  // of each band: the last item of each bucket
    std::vector<std::uint32_t> hashes_, next_;       // [items, bands]
};

struct minhash_options {
    double threshold = 0.7;   // ROUGE-L F1
    std::size_t shingle = 3;  // words; fewer miss less and compare more
    std::size_t bands = 64, rows = 2;
    std::uint64_t seed = 1;
};

/// `duplicate_index` without its promise to find every pair.
class minhash_index {
public:
    using match = duplicate_index::match;

    /// @throws config_error unless 0 < threshold <= 1 and all else is at least 1
    explicit minhash_index(minhash_options options = {})
        : options_(options), minima_(options.bands * options.rows, options.seed), table_(options.bands, options.rows) {
        if (!(options.threshold > 0 && options.threshold <= 1) || options.shingle == 0)
            throw config_error(explain("minhash", "the threshold must lie in (0, 1] and a shingle have a word"));
    }

    /// The most similar of the items that were looked at, if at or above the threshold; the earliest among equals.
    [[nodiscard]] std::optional<match> find(std::string_view text) const {
        const auto hashes = loose_word_hashes(text);
        if (hashes.empty()) return std::nullopt;
        std::vector<word_store::word> words;
        store_.known(hashes, words);
        prepared_sequence sequence(words);
        std::optional<match> best;
        for (const std::uint32_t item : table_.near(minima_(shingles(hashes, options_.shingle)))) {
            const auto other = store_[items_[item]];
            const double wanted = best ? best->similarity : options_.threshold;
            const auto both = static_cast<double>(words.size() + other.size());
            ++compared_;
            const auto least = static_cast<std::size_t>(std::max(0.0, std::ceil((wanted - slack) * both / 2 - slack)));
            const double f1 = rouge_from(sequence.common(other, least), other.size(), words.size()).f1;
            if (f1 + slack >= options_.threshold && (!best || f1 > best->similarity)) best = match{items_[item], f1};
        }
        return best;
    }
    /// Takes the text in, whatever it resembles; returns its index.
    std::size_t add(std::string_view text) {
        const auto hashes = loose_word_hashes(text);
        const std::uint32_t item = store_.add(hashes);
        if (hashes.empty()) return item;
        table_.add(minima_(shingles(hashes, options_.shingle)));
        items_.push_back(item);
        return item;
    }
    [[nodiscard]] std::size_t size() const noexcept { return store_.size(); }
    /// Pairs that were compared in full so far.
    [[nodiscard]] std::size_t compared() const noexcept { return compared_; }

private:
    static constexpr double slack = 1e-9;

    minhash_options options_;
    min_hash minima_;
    band_table table_;
    word_store store_;
    std::vector<std::uint32_t> items_;  // of the table's items, which leave out texts without a word
    mutable std::size_t compared_ = 0;
};

}  // namespace lab::sdg
