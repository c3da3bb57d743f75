// Signatures that bound from above how much two texts can have in common, after Sandes et al., "Bitmap filter: speeding
// up exact set similarity joins with bitwise operations", Information Systems 88, 2020: each word toggles one bit, so
// two signatures differ in at most as many bits as there are words that only one of the texts has. Kept by length of
// the text and turned on their side, eight at a time, they are read at memory's speed.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace lab::sdg {

/// Two signatures of one text: a small one, which tells most strangers apart, and a large one, which tells more about
/// long texts.
struct text_signature {
    static constexpr std::size_t small = 4, large = 12;  // words of 64 bits
    std::array<std::uint64_t, small + large> bits{};

    text_signature() = default;
    explicit text_signature(std::span<const std::uint64_t> hashes) {
        for (const std::uint64_t h : hashes) {
            const std::uint64_t mixed = h * 0xD6E8FEB86659FD93u;
            flip(mixed >> 56);
            flip(64 * small + ((mixed & 0xffffffff) * (64 * large) >> 32));
        }
    }
    /// No more than the number of words, repetitions counted, that only one of the texts has.
    [[nodiscard]] std::size_t difference(const text_signature& other) const noexcept {
        std::size_t sums[2] = {0, 0};
        for (std::size_t i = 0; i < bits.size(); ++i)
            sums[i >= small] += static_cast<std::size_t>(std::popcount(bits[i] ^ other.bits[i]));
        return std::max(sums[0], sums[1]);
    }

private:
    void flip(std::uint64_t bit) { bits[bit / 64] ^= std::uint64_t{1} << (bit % 64); }
};

/// What is looked for: texts of some lengths, each length with the largest difference that is wanted.
struct signature_query {
    text_signature signature;
    std::size_t shortest = 1;           // words
    std::vector<std::uint32_t> limits;  // for lengths from `shortest` up

    using found = std::pair<std::uint32_t, std::uint32_t>;  // (difference, item)
    std::vector<found> near;
};

class signature_table {
public:
    void add(const text_signature& s, std::size_t words, std::uint32_t item) {
        auto& c = classes_[class_of(words)];
        if (c.size % lanes == 0) c.panels.emplace_back();
        panel& p = c.panels.back();
        const std::size_t lane = c.size++ % lanes;
        for (std::size_t i = 0; i < s.bits.size(); ++i) p.bits[i][lane] = s.bits[i];
        p.words[lane] = static_cast<std::uint32_t>(words);
        p.items[lane] = item;
        ++size_;
    }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    /// Adds to every query's `near` what is within its limits; the table is read once for all.
    void find(std::span<signature_query* const> queries) const {
        struct part {
            std::size_t length_class;
            signature_query* query;
            std::uint64_t limit;  // the largest of the class
        };
        std::vector<part> parts;
        for (signature_query* q : queries)
            for (std::size_t m = 0, before = class_count; m < q->limits.size(); ++m) {
                const std::size_t c = class_of(q->shortest + m);
                if (c != std::exchange(before, c)) parts.push_back({c, q, 0});
                parts.back().limit = std::max<std::uint64_t>(parts.back().limit, q->limits[m]);
            }
        std::stable_sort(parts.begin(), parts.end(),
                         [](const part& a, const part& b) { return a.length_class < b.length_class; });
        for (std::size_t p = 0, end = 0; p < parts.size(); p = end) {
            const length_class& c = classes_[parts[p].length_class];
            while (end < parts.size() && parts[end].length_class == parts[p].length_class) ++end;
            for (std::size_t i = 0; i < c.panels.size(); i += tile)
                for (std::size_t k = p; k < end; ++k)
                    for (std::size_t j = i; j < std::min(i + tile, c.panels.size()); ++j)
                        look_at(c.panels[j], *parts[k].query, parts[k].limit);
        }
    }

private:
    static constexpr std::size_t lanes = 8, tile = 32, class_count = 256;
    struct alignas(64) panel {
        std::array<std::array<std::uint64_t, lanes>, text_signature::small + text_signature::large> bits{};
        std::array<std::uint32_t, lanes> words{}, items{};  // no words: nothing there
    };
    struct length_class {
        std::vector<panel> panels;
        std::size_t size = 0;  // texts
    };

    /// Eight classes for each doubling.
    [[nodiscard]] static std::size_t class_of(std::size_t words) noexcept {
        const auto top = static_cast<std::size_t>(std::bit_width(words | 7)) - 1;
        return words < 8 ? words : std::min(class_count - 1, 8 * top + (words >> (top - 3)) % 8);
    }

    /// Bits that differ from the query's, in parts [Begin, End) of each lane.
    template <std::size_t Begin, std::size_t End>
    static std::array<std::uint64_t, lanes> differences(const panel& p, const text_signature& s) {
        std::array<std::uint64_t, lanes> sum{};
        for (std::size_t k = Begin; k < End; ++k)
            for (std::size_t j = 0; j < lanes; ++j)
                sum[j] += static_cast<std::uint64_t>(std::popcount(p.bits[k][j] ^ s.bits[k]));
        return sum;
    }
    static void look_at(const panel& p, signature_query& q, std::uint64_t limit) {
        constexpr std::size_t small = text_signature::small, all = small + text_signature::large;
        const auto rough = differences<0, small>(p, q.signature);
        if (*std::min_element(rough.begin(), rough.end()) > limit) return;
        const auto fine = differences<small, all>(p, q.signature);
        for (std::size_t j = 0; j < lanes; ++j) {
            const std::size_t words = p.words[j], difference = std::max(rough[j], fine[j]);
            if (words >= q.shortest && words - q.shortest < q.limits.size() &&
                difference <= q.limits[words - q.shortest])
                q.near.emplace_back(static_cast<std::uint32_t>(difference), p.items[j]);
        }
    }

    std::vector<length_class> classes_{class_count};
    std::size_t size_ = 0;
};

}  // namespace lab::sdg
