// Which of many texts can share enough words with a new one. A pair whose ROUGE-L F1 reaches the threshold has few
// words that only one of the two has, so each text is listed under a few more parts of itself than can differ, and a
// new one looks up all the parts that it has: none is missed. A text's parts are either runs of words, all of it cut
// into equal ones (Li et al., "Pass-Join: a partition-based method for similarity joins", PVLDB 5(3), 2011), or single
// words, the rare ones (Chaudhuri et al., "A primitive operator for similarity joins in data cleaning", ICDE 2006),
// whichever have the shorter lists so far: runs tell texts from a small vocabulary apart, and rare words those that are
// made from one template. A text whose parts are too many others' is not taken, so that no list grows long and the time
// of a look-up does not depend on how many texts there are.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

namespace lab::sdg {

/// What a longest common subsequence must have for an F1 of at least `threshold`, with room for rounding.
struct overlap_bounds {
    static constexpr double slack = 2e-9;
    double threshold;

    /// Words in common, of `both` texts' words together; may be one too few.
    [[nodiscard]] std::size_t least_common(std::size_t both) const {
        return static_cast<std::size_t>(std::max(1.0, std::ceil((threshold - slack) * static_cast<double>(both) / 2)));
    }
    /// Of a text that is near one of n > 0 words.
    [[nodiscard]] std::size_t shortest(std::size_t n) const {
        return static_cast<std::size_t>(std::max(1.0, std::ceil(static_cast<double>(n) * ratio())));
    }
    [[nodiscard]] std::size_t longest(std::size_t n) const {
        return static_cast<std::size_t>(std::min(static_cast<double>(n) / ratio(), 0x1p62));
    }
    /// Words that only one of the two has, of `both` texts' words together.
    [[nodiscard]] std::size_t most_different(std::size_t both) const {
        const std::size_t common = 2 * least_common(both);
        return both > common ? both - common : 0;
    }

private:
    [[nodiscard]] double ratio() const { return (threshold - slack) / (2 - threshold); }
};

/// Several numbers for one tag in one array: open addressing, linear probing. Tags should be hashes.
class posting_table {
public:
    /// Calls `f(number)` for each of the tag's.
    template <class F>
    void each(std::uint32_t tag, F f) const {
        if (slots_.empty()) return;
        for (std::size_t i = place(tag); slots_[i].number != none; i = (i + 1) & (slots_.size() - 1))
            if (slots_[i].tag == tag) f(slots_[i].number);
    }
    [[nodiscard]] std::size_t count(std::uint32_t tag) const {
        std::size_t n = 0;
        each(tag, [&](std::uint32_t) { ++n; });
        return n;
    }
    /// Asks for the tag's place to be brought nearer.
    void prefetch(std::uint32_t tag) const {
        if (!slots_.empty()) __builtin_prefetch(&slots_[place(tag)]);
    }
    /// @param number less than 2^32 - 1
    void insert(std::uint32_t tag, std::uint32_t number) {
        if (3 * (size_ + 1) > 2 * slots_.size()) grow();
        put({tag, number});
        ++size_;
    }

private:
    static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();
    struct slot {
        std::uint32_t tag = 0, number = none;
    };

    [[nodiscard]] std::size_t place(std::uint32_t tag) const noexcept { return tag >> shift_; }
    void put(slot s) {
        std::size_t i = place(s.tag);
        while (slots_[i].number != none) i = (i + 1) & (slots_.size() - 1);
        slots_[i] = s;
    }
    void grow() {
        std::vector<slot> old(slots_.empty() ? 16 : 2 * slots_.size());
        old.swap(slots_);
        shift_ = 32 - std::countr_zero(slots_.size());
        for (const slot& s : old)
            if (s.number != none) put(s);
    }

    std::vector<slot> slots_;
    std::size_t size_ = 0;
    int shift_ = 0;
};

class overlap_index {
public:
    /// What `find` works in: one for each thread.
    struct room {
        std::vector<std::uint64_t> sums;
        std::vector<std::size_t> lengths;
        std::vector<std::uint32_t> tags, found;
        std::vector<std::uint32_t> seen;  // by number: the last search that met it
        std::uint32_t search = 0;
    };

    explicit overlap_index(double threshold) : bounds_{threshold} {}

    /// Lists a text of these words (their hashes) under the next number, from 0 up; false where too many texts have its
    /// parts, and it has to be found by other means. One with the words of an earlier text need not be added.
    [[nodiscard]] bool add(std::span<const std::uint64_t> words) {
        const std::size_t n = words.size(), count = run_count(n);
        auto& tags = room_.tags;
        tags.clear();
        std::size_t listed = std::numeric_limits<std::size_t>::max();
        if (count <= 1) {
            listed = 0;  // only an equal text is near
        } else if (count <= n) {
            sum(words, room_.sums);
            for (std::size_t r = 0; r < count; ++r) {
                const std::size_t begin = r * n / count, length = (r + 1) * n / count - begin;
                tags.push_back(run_tag(room_.sums, begin, length, power(length)));
            }
            sort_unique(tags);
            listed = 0;
            for (const std::uint32_t tag : tags) listed += table_.count(tag);
        }
        if (listed > 0)
            if (const std::size_t of_words = choose_words(words); of_words < listed) {
                tags.swap(chosen_);
                listed = of_words;
            }
        if (listed > most_listed) return false;
        longest_ = std::max(longest_, n);
        for (const std::uint32_t tag : tags) table_.insert(tag, count_);
        ++count_;
        return true;
    }

    /// The numbers of those listed that can be near, and a few others; each once, until the room is used again.
    [[nodiscard]] std::span<const std::uint32_t> find(std::span<const std::uint64_t> words, room& r) const {
        r.found.clear();
        if (words.empty() || count_ == 0) return {};
        r.seen.resize(count_);
        if (++r.search == 0) {
            std::fill(r.seen.begin(), r.seen.end(), 0);
            r.search = 1;
        }
        run_lengths(words.size(), r.lengths);
        sum(words, r.sums);
        r.tags.clear();
        for (const std::uint64_t w : words) r.tags.push_back(word_tag(w));
        for (const std::size_t length : r.lengths) {
            const std::uint64_t scale = power(length);
            for (std::size_t begin = 0; begin + length <= words.size(); ++begin)
                r.tags.push_back(run_tag(r.sums, begin, length, scale));
        }
        constexpr std::size_t ahead = 16;
        for (std::size_t i = 0; i < r.tags.size(); ++i) {
            if (i + ahead < r.tags.size()) table_.prefetch(r.tags[i + ahead]);
            table_.each(r.tags[i], [&](std::uint32_t number) {
                if (std::exchange(r.seen[number], r.search) != r.search) r.found.push_back(number);
            });
        }
        return r.found;
    }

private:
    static constexpr std::size_t most_listed = 64;  // under a text's parts, when it comes

    static void sort_unique(std::vector<std::uint32_t>& list) {
        std::sort(list.begin(), list.end());
        list.erase(std::unique(list.begin(), list.end()), list.end());
    }

    /// One more than all insertions and removals between near texts, each of which spoils one run; may exceed n.
    [[nodiscard]] std::size_t run_count(std::size_t n) const {
        const std::size_t both = n + bounds_.longest(n);
        return 1 + std::max(bounds_.most_different(both), bounds_.most_different(both - 1));
    }
    /// One more than the removals that leave a near text.
    [[nodiscard]] std::size_t word_count(std::size_t n) const {
        return 1 + n - std::min(n, bounds_.least_common(n + bounds_.shortest(n)));
    }
    /// Of the runs of all texts that can be near one of n words.
    void run_lengths(std::size_t n, std::vector<std::size_t>& lengths) const {
        lengths.clear();
        for (std::size_t m = bounds_.shortest(n); m <= std::min(bounds_.longest(n), longest_); ++m)
            if (const std::size_t count = run_count(m); count > 1 && count <= m)
                for (const std::size_t length : {m / count, (m + count - 1) / count})
                    if (std::find(lengths.rbegin(), lengths.rend(), length) == lengths.rend())
                        lengths.push_back(length);
    }
    /// Sets chosen_ to the tags of the words with the shortest lists, enough of them. @return what the lists hold
    std::size_t choose_words(std::span<const std::uint64_t> words) {
        sorted_.assign(words.begin(), words.end());
        std::sort(sorted_.begin(), sorted_.end());
        candidates_.clear();
        for (auto at = sorted_.begin(), end = at; at != sorted_.end(); at = end) {
            end = std::upper_bound(at, sorted_.end(), *at);
            const std::uint32_t tag = word_tag(*at);
            candidates_.push_back({table_.count(tag), static_cast<std::size_t>(end - at), tag});
        }
        std::sort(candidates_.begin(), candidates_.end(), [](const candidate& a, const candidate& b) {
            return std::tie(a.listed, b.times, a.tag) < std::tie(b.listed, a.times, b.tag);
        });
        chosen_.clear();
        std::size_t listed = 0, needed = word_count(words.size());
        for (const candidate& c : candidates_) {
            chosen_.push_back(c.tag);
            listed += c.listed;
            if (c.times >= needed) break;
            needed -= c.times;
        }
        return listed;
    }

    // A run's hash is the difference of two sums, as Karp and Rabin's.
    static constexpr std::uint64_t base = 0x9E3779B97F4A7C15u;
    static void sum(std::span<const std::uint64_t> words, std::vector<std::uint64_t>& sums) {
        sums.assign(1, 0);
        for (const std::uint64_t w : words) sums.push_back(sums.back() * base + w);
    }
    [[nodiscard]] static std::uint64_t power(std::size_t exponent) {
        std::uint64_t result = 1;
        for (std::uint64_t b = base; exponent > 0; exponent /= 2, b *= b)
            if (exponent % 2 != 0) result *= b;
        return result;
    }
    [[nodiscard]] static std::uint32_t mixed(std::uint64_t h) {
        h = (h ^ (h >> 32)) * 0xD6E8FEB86659FD93u;
        h = (h ^ (h >> 32)) * 0xD6E8FEB86659FD93u;
        return static_cast<std::uint32_t>(h >> 32);
    }
    [[nodiscard]] static std::uint32_t word_tag(std::uint64_t word) { return mixed(word); }
    [[nodiscard]] static std::uint32_t run_tag(std::span<const std::uint64_t> sums, std::size_t begin,
                                               std::size_t length, std::uint64_t scale) {
        return mixed(sums[begin + length] - sums[begin] * scale + length);
    }

    struct candidate {
        std::size_t listed, times;
        std::uint32_t tag;
    };

    overlap_bounds bounds_;
    posting_table table_;
    std::uint32_t count_ = 0;
    std::size_t longest_ = 0;  // words of a listed text
    // what `add` works in
    room room_;
    std::vector<std::uint64_t> sorted_;
    std::vector<candidate> candidates_;
    std::vector<std::uint32_t> chosen_;
};

}  // namespace lab::sdg
