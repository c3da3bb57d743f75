// The merge loop of byte pair encoding (Sennrich et al. 2016), shared by both families: repeatedly join the
// neighbouring pair of lowest rank, leftmost first. Ranks come from a merge list or from SentencePiece scores (equal
// scores, equal rank). Short pieces scan for the minimum; long ones use a heap, O(n log n), so a megabyte without
// spaces is no attack.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "lab/core/token.hpp"

namespace lab::tokenizer {

struct merge_rule {
    token left = no_token;
    token right = no_token;
    token result = no_token;
    std::uint32_t rank = 0;
};

/// Buffers of one encode call, kept between its pieces.
struct merge_scratch {
    struct candidate {
        std::uint32_t rank;
        std::uint32_t at;
        token left;
        token right;
        token result;
    };
    std::vector<token> symbols;
    std::vector<std::uint32_t> ranks;
    std::vector<token> results;
    std::vector<std::uint32_t> previous;
    std::vector<std::uint32_t> next;
    std::vector<candidate> heap;
};

class merge_table {
public:
    static constexpr std::uint32_t no_rank = std::numeric_limits<std::uint32_t>::max();
    struct hit {
        token result = no_token;
        std::uint32_t rank = no_rank;
    };

    merge_table() : merge_table(std::span<const merge_rule>{}) {}
    /// Of rules for the same pair the first counts.
    explicit merge_table(std::span<const merge_rule> rules) : slots_(std::bit_ceil(rules.size() * 2 + 2)) {
        for (const merge_rule& r : rules) {
            const std::uint64_t key = key_of(r.left, r.right);
            std::size_t at = first_slot(key);
            while (slots_[at].key != empty && slots_[at].key != key) at = (at + 1) & (slots_.size() - 1);
            if (slots_[at].key == empty) slots_[at] = {key, {r.result, r.rank}};
        }
    }
    [[nodiscard]] hit find(token left, token right) const {
        const std::uint64_t key = key_of(left, right);
        for (std::size_t at = first_slot(key);; at = (at + 1) & (slots_.size() - 1)) {
            if (slots_[at].key == key) return slots_[at].value;
            if (slots_[at].key == empty) return {};
        }
    }

    /// Merges scratch.symbols in place until no rule applies.
    void merge(merge_scratch& scratch) const {
        if (scratch.symbols.size() < 2) return;
        if (scratch.symbols.size() <= 64)
            merge_short(scratch);
        else
            merge_long(scratch);
    }

private:
    static constexpr std::uint64_t empty = ~std::uint64_t{0};  // the pair (no_token, no_token)
    struct slot {
        std::uint64_t key = empty;
        hit value;
    };
    [[nodiscard]] static std::uint64_t key_of(token left, token right) {
        return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
    }
    [[nodiscard]] std::size_t first_slot(std::uint64_t key) const {
        key *= 0x9E3779B97F4A7C15ULL;
        return static_cast<std::size_t>(key ^ key >> 32) & (slots_.size() - 1);
    }

    void merge_short(merge_scratch& s) const {
        auto& symbols = s.symbols;
        std::size_t n = symbols.size();
        s.ranks.resize(n);
        s.results.resize(n);
        const auto look = [&](std::size_t i) {
            const hit h = find(symbols[i], symbols[i + 1]);
            s.ranks[i] = h.rank;
            s.results[i] = h.result;
        };
        for (std::size_t i = 0; i + 1 < n; ++i) look(i);
        while (n > 1) {
            const auto end = s.ranks.begin() + static_cast<std::ptrdiff_t>(n - 1);
            const auto best = std::min_element(s.ranks.begin(), end);
            if (*best == no_rank) break;
            const auto i = static_cast<std::size_t>(best - s.ranks.begin());
            symbols[i] = s.results[i];
            std::copy(symbols.begin() + static_cast<std::ptrdiff_t>(i + 2),
                      symbols.begin() + static_cast<std::ptrdiff_t>(n),
                      symbols.begin() + static_cast<std::ptrdiff_t>(i + 1));
            if (i + 2 < n) {
                std::copy(best + 2, end, best + 1);
                const auto results = s.results.begin() + static_cast<std::ptrdiff_t>(i);
                std::copy(results + 2, s.results.begin() + static_cast<std::ptrdiff_t>(n - 1), results + 1);
            }
            --n;
            if (i + 1 < n) look(i);
            if (i > 0) look(i - 1);
        }
        symbols.resize(n);
    }

    void merge_long(merge_scratch& s) const {
        auto& symbols = s.symbols;
        const auto n = static_cast<std::uint32_t>(symbols.size());
        constexpr std::uint32_t none = no_rank;
        s.previous.resize(n);
        s.next.resize(n);
        s.heap.clear();
        const auto worse = [](const merge_scratch::candidate& a, const merge_scratch::candidate& b) {
            return a.rank != b.rank ? a.rank > b.rank : a.at > b.at;
        };
        const auto candidate_at = [&](std::uint32_t i) {
            const token left = symbols[i];
            const token right = symbols[s.next[i]];
            const hit h = find(left, right);
            return merge_scratch::candidate{h.rank, i, left, right, h.result};
        };
        for (std::uint32_t i = 0; i < n; ++i) {
            s.previous[i] = i == 0 ? none : i - 1;
            s.next[i] = i + 1 == n ? none : i + 1;
        }
        for (std::uint32_t i = 0; i + 1 < n; ++i)
            if (const auto c = candidate_at(i); c.rank != no_rank) s.heap.push_back(c);
        std::make_heap(s.heap.begin(), s.heap.end(), worse);
        const auto push = [&](std::uint32_t i) {
            if (const auto c = candidate_at(i); c.rank != no_rank) {
                s.heap.push_back(c);
                std::push_heap(s.heap.begin(), s.heap.end(), worse);
            }
        };
        while (!s.heap.empty()) {
            std::pop_heap(s.heap.begin(), s.heap.end(), worse);
            const auto c = s.heap.back();
            s.heap.pop_back();
            // A candidate is stale once either symbol was merged away or grew.
            if (symbols[c.at] != c.left || s.next[c.at] == none || symbols[s.next[c.at]] != c.right) continue;
            const std::uint32_t gone = s.next[c.at];
            symbols[c.at] = c.result;
            symbols[gone] = no_token;
            s.next[c.at] = s.next[gone];
            if (s.next[c.at] != none) {
                s.previous[s.next[c.at]] = c.at;
                push(c.at);
            }
            if (s.previous[c.at] != none) push(s.previous[c.at]);
        }
        symbols.erase(std::remove(symbols.begin(), symbols.end(), no_token), symbols.end());
    }

    std::vector<slot> slots_;
};

}  // namespace lab::tokenizer
