// A map from 64-bit hashes to 32-bit numbers in one array: open addressing, linear probing. For millions of keys, where
// std::unordered_map spends a node and a cache miss on each. Two texts with one hash are one key.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace lab::sdg {

class hash_table {
public:
    static constexpr std::uint32_t none = 0xffffffff;

    /// The key's number, or `none`.
    [[nodiscard]] std::uint32_t find(std::uint64_t key) const noexcept {
        return slots_.empty() ? none : slots_[place(key)].number;
    }
    /// The key's number; where there is none yet, it becomes `number` (which is not `none`).
    std::uint32_t insert(std::uint64_t key, std::uint32_t number) {
        if (10 * (size_ + 1) > 7 * slots_.size()) grow();
        slot& s = slots_[place(key)];
        if (s.number == none) s = {key, number}, ++size_;
        return s.number;
    }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
    struct slot {
        std::uint64_t key = 0;
        std::uint32_t number = none;
    };

    /// Where the key is, or the free slot where it would be.
    [[nodiscard]] std::size_t place(std::uint64_t key) const noexcept {
        std::size_t i = (key * 0x9E3779B97F4A7C15u) >> shift_;  // Fibonacci hashing: the high bits depend on all
        while (slots_[i].number != none && slots_[i].key != key) i = (i + 1) & (slots_.size() - 1);
        return i;
    }
    void grow() {
        std::vector<slot> old(slots_.empty() ? 16 : 2 * slots_.size());
        old.swap(slots_);
        shift_ = 64 - std::countr_zero(slots_.size());
        for (const slot& s : old)
            if (s.number != none) slots_[place(s.key)] = s;
    }

    std::vector<slot> slots_;
    std::size_t size_ = 0;
    int shift_ = 0;
};

}  // namespace lab::sdg
