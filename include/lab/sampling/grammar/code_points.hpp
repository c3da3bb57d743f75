// Sets of code points, and the UTF-8 byte sequences that spell them: a class of characters becomes a few rows of byte
// ranges (E1-EC 80-BF 80-BF), so that a grammar over bytes can stand in the middle of a character.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lab::sampling {

struct code_range {
    char32_t first = 0, last = 0;  // both included
    friend bool operator==(const code_range&, const code_range&) = default;
};
using code_set = std::vector<code_range>;  // ascending, disjoint and without surrogates once normalised

inline constexpr char32_t last_code_point = 0x10FFFF;

/// Sorted and merged, without surrogates and what is beyond Unicode.
[[nodiscard]] inline code_set normalised(const code_set& ranges) {
    code_set cut;
    const auto keep = [&](char32_t first, char32_t last) {
        if (first <= last) cut.push_back({first, last});
    };
    for (const auto& r : ranges) {
        keep(r.first, std::min<char32_t>(r.last, 0xD7FF));
        keep(std::max<char32_t>(r.first, 0xE000), std::min(r.last, last_code_point));
    }
    std::sort(cut.begin(), cut.end(), [](const code_range& a, const code_range& b) { return a.first < b.first; });
    code_set out;
    for (const auto& r : cut) {
        if (!out.empty() && r.first <= out.back().last + 1)
            out.back().last = std::max(out.back().last, r.last);
        else
            out.push_back(r);
    }
    return out;
}

/// Every code point that is not in the set.
[[nodiscard]] inline code_set complement(const code_set& ranges) {
    code_set out;
    char32_t next = 0;
    for (const auto& r : normalised(ranges)) {
        if (r.first > next) out.push_back({next, r.first - 1});
        next = r.last + 1;
    }
    if (next <= last_code_point) out.push_back({next, last_code_point});
    return normalised(out);
}

[[nodiscard]] inline code_set without(const code_set& from, const code_set& taken) {
    code_set both = complement(from);
    both.insert(both.end(), taken.begin(), taken.end());
    return complement(both);
}

struct byte_range {
    std::uint8_t first = 0, last = 0;
};

/// Calls emit(std::span<const byte_range>) for rows of ranges that spell exactly the code points of a range without
/// surrogates.
template <class Emit>
void utf8_rows(code_range r, const Emit& emit) {
    constexpr std::array<char32_t, 3> longest{0x7F, 0x7FF, 0xFFFF};  // of one, two and three bytes
    for (const char32_t limit : longest)
        if (r.first <= limit && r.last > limit) {
            utf8_rows({r.first, limit}, emit);
            utf8_rows({limit + 1, r.last}, emit);
            return;
        }
    // A row holds when below the first byte that differs every continuation byte runs from 80 to BF.
    for (unsigned bits = 6; bits <= 18; bits += 6) {
        const char32_t low = (char32_t{1} << bits) - 1;
        if (r.last <= 0x7F || (r.first & ~low) == (r.last & ~low)) continue;
        if ((r.first & low) != 0) {
            utf8_rows({r.first, r.first | low}, emit);
            utf8_rows({(r.first | low) + 1, r.last}, emit);
            return;
        }
        if ((r.last & low) != low) {
            utf8_rows({r.first, (r.last & ~low) - 1}, emit);
            utf8_rows({r.last & ~low, r.last}, emit);
            return;
        }
    }
    const std::size_t size = r.last <= 0x7F ? 1 : r.last <= 0x7FF ? 2 : r.last <= 0xFFFF ? 3 : 4;
    constexpr std::array<unsigned, 5> lead{0, 0x00, 0xC0, 0xE0, 0xF0};
    std::array<byte_range, 4> row;
    for (std::size_t i = 0; i < size; ++i) {
        const auto shift = static_cast<unsigned>(6 * (size - 1 - i));
        const unsigned mark = i == 0 ? lead[size] : 0x80, mask = i == 0 ? 0x7F : 0x3F;
        row[i] = {static_cast<std::uint8_t>(mark | (static_cast<unsigned>(r.first >> shift) & mask)),
                  static_cast<std::uint8_t>(mark | (static_cast<unsigned>(r.last >> shift) & mask))};
    }
    emit(std::span<const byte_range>(row.data(), size));
}

}  // namespace lab::sampling
