// Longest common subsequences of word sequences, 64 columns of the table at a time (Crochemore et al., "A fast and
// practical bit-vector algorithm for the longest common subsequence problem", IPL 80, 2001): bit i of V is 0 where the
// table's row grows at column i, and the next row is (V + (V & M)) | (V & ~M), M marking the columns that hold the
// row's word. O(n m / 64) time, O(n) space. One text is prepared once and compared with many.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lab::sdg {

/// Not for several threads at once: comparing uses room of the object.
class prepared_sequence {
public:
    using word = std::uint32_t;

    prepared_sequence() = default;
    explicit prepared_sequence(std::span<const word> words) { assign(words); }

    void assign(std::span<const word> words) {
        words_.assign(words.begin(), words.end());
        table_.assign(std::bit_ceil(2 * std::max<std::size_t>(words.size(), 1)), slot{});
        shift_ = 32 - std::countr_zero(table_.size());
        distinct_ = 0;
        for (const word w : words_)
            if (slot& s = table_[place(w)]; s.number == 0) s = {w, ++distinct_};
        marked_ = no_stripe;
    }
    [[nodiscard]] std::span<const word> words() const noexcept { return words_; }

    /// The length of the longest common subsequence with `other`; where it is below `least`, some number below `least`.
    [[nodiscard]] std::size_t common(std::span<const word> other, std::size_t least = 0) {
        const std::size_t n = words_.size(), m = other.size(), shorter = std::min(n, m);
        if (shorter == 0 || shorter < least) return 0;
        std::size_t front = 0, back = 0;  // equal ends are common, whatever lies between them
        while (front < shorter && words_[front] == other[front]) ++front;
        while (back < shorter - front && words_[n - 1 - back] == other[m - 1 - back]) ++back;
        if (front + back == shorter) return shorter;
        rows_.clear();
        for (std::size_t j = front, strangers = 0; j < m - back; ++j) {
            rows_.push_back(table_[place(other[j])].number);
            strangers += rows_.back() == 0;
            if (m - strangers < least) return 0;
        }
        carries_.assign(n - back > stripe ? rows_.size() : 0, 0);
        std::size_t length = back;
        for (std::size_t at = 0; at < n - back; at += stripe)
            length += grown(at, std::min(stripe, n - back - at), front);
        return length;
    }

private:
    struct slot {
        word key = 0;
        std::uint32_t number = 0;  // counts from 1; 0: free
    };
    static constexpr std::size_t stripe = 4096;  // columns whose marks are in memory at once
    static constexpr std::size_t no_stripe = static_cast<std::size_t>(-1);

    [[nodiscard]] std::size_t place(word w) const noexcept {
        std::size_t i = (w * 0x9E3779B1u) >> shift_;
        while (table_[i].number != 0 && table_[i].key != w) i = (i + 1) & (table_.size() - 1);
        return i;
    }

    /// Of `count` columns from `at`, those where the table's last row grows; the first `front` of all columns did
    /// before the first row.
    std::size_t grown(std::size_t at, std::size_t count, std::size_t front) {
        mark(at);
        const std::size_t blocks = (count + 63) / 64, before = front > at ? std::min(count, front - at) : 0;
        switch (blocks) {
            case 1:
                return run<1>(count, before);
            case 2:
                return run<2>(count, before);
            case 3:
                return run<3>(count, before);
            case 4:
                return run<4>(count, before);
            case 5:
                return run<5>(count, before);
            default:
                return run<0>(count, before);
        }
    }
    template <std::size_t Blocks>
    std::size_t run(std::size_t count, std::size_t before) {
        const std::size_t blocks = Blocks != 0 ? Blocks : (count + 63) / 64;
        std::array<std::uint64_t, Blocks != 0 ? Blocks : stripe / 64> v;
        for (std::size_t b = 0; b < blocks; ++b)
            v[b] = before >= 64 * (b + 1) ? 0 : ~std::uint64_t{0} << (before > 64 * b ? before - 64 * b : 0);
        for (std::size_t j = 0; j < rows_.size(); ++j) {
            const std::uint64_t* m = marks_.data() + local_[rows_[j]] * row_length_;
            std::uint64_t carry = carries_.empty() ? 0 : carries_[j];
            for (std::size_t b = 0; b < blocks; ++b) {
                const std::uint64_t u = v[b] & m[b], sum = v[b] + u, whole = sum + carry;
                carry = static_cast<std::uint64_t>(sum < u) | static_cast<std::uint64_t>(whole < sum);
                v[b] = whole | (v[b] & ~m[b]);
            }
            if (!carries_.empty()) carries_[j] = static_cast<unsigned char>(carry);
        }
        std::size_t length = 0;
        for (std::size_t b = 0; b < blocks; ++b) {
            const std::size_t used = count - 64 * b;
            length += static_cast<std::size_t>(
                std::popcount(~v[b] & (used >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << used) - 1)));
        }
        return length;
    }

    /// Makes marks_ those of the stripe that begins at column `at`: row 0 for words that it does not hold.
    void mark(std::size_t at) {
        if (marked_ == at) return;
        marked_ = at;
        const std::size_t end = std::min(words_.size(), at + stripe);
        row_length_ = (end - at + 63) / 64;
        local_.assign(distinct_ + 1, 0);
        marks_.assign(row_length_, 0);
        for (std::size_t i = at, rows = 1; i < end; ++i) {
            auto& row = local_[table_[place(words_[i])].number];
            if (row == 0) {
                row = static_cast<std::uint32_t>(rows++);
                marks_.resize(rows * row_length_, 0);
            }
            marks_[row * row_length_ + (i - at) / 64] |= std::uint64_t{1} << ((i - at) % 64);
        }
    }

    std::vector<word> words_;
    std::vector<slot> table_;  // the distinct words' numbers
    int shift_ = 0;
    std::uint32_t distinct_ = 0;
    std::size_t marked_ = no_stripe, row_length_ = 0;
    std::vector<std::uint32_t> local_;    // a number's row of marks_
    std::vector<std::uint64_t> marks_;    // a bit for each column of the stripe
    std::vector<std::uint32_t> rows_;     // numbers of the other text's words
    std::vector<unsigned char> carries_;  // into the next stripe, one for each row
};

}  // namespace lab::sdg
