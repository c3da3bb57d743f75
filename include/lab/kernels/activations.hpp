// The left operand of the products over panels: rows of activations in tiles of up to 12, the tile's rows side by side
// so that a kernel's offsets are constants. For integer products each row is quantised in cells of 32 terms:
// d = max |x| / 127, q = round(x / d), kept with the sums that weights with an offset or a minimum need.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>

#include "lab/core/tensor.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/kernels/bf16.hpp"
#include "lab/kernels/rows.hpp"

namespace lab::kernels {
inline namespace LAB_ISA {

/// Terms that share one scale of the activations.
inline constexpr std::size_t cell_terms = 32;

/// What the operands of a product over panels are.
enum class operand { int8, bf16, f32 };

namespace detail {
inline constexpr std::size_t heights_to_12[] = {1, 4, 8, 12}, heights_to_6[] = {1, 2, 4, 6}, heights_to_4[] = {1, 4},
                             heights_to_2[] = {1, 2};
}

/// Heights of a tile, rising: the last is as many rows as a kernel has registers for, the others are for what is left
/// at the end, which is padded up to the next.
template <class Arch>
[[nodiscard]] constexpr std::span<const std::size_t> tile_heights(operand kind) {
    if (has_avx512<Arch>) return detail::heights_to_12;
    if (!has_avx2<Arch>) return detail::heights_to_2;
    if (kind == operand::int8) return detail::heights_to_6;
    return detail::heights_to_4;  // of six rows' float sums GCC keeps some in memory
}
template <class Arch>
[[nodiscard]] constexpr std::size_t full_height(operand kind) {
    return tile_heights<Arch>(kind).back();
}

template <class Arch>
[[nodiscard]] std::size_t height_for(operand kind, std::size_t rows) {
    for (const std::size_t height : tile_heights<Arch>(kind))
        if (rows <= height) return height;
    return full_height<Arch>(kind);
}

/// The parts of a quantised cell of a tile of `height` rows, in words: q [8][height], then [height] each of d, d sum q,
/// -sum q, and -sum q of the first and the last 16 terms.
struct cell_layout {
    static constexpr std::size_t words = 13;
    std::size_t height;
    [[nodiscard]] constexpr std::size_t d() const { return 8 * height; }
    [[nodiscard]] constexpr std::size_t d_sum() const { return 9 * height; }
    [[nodiscard]] constexpr std::size_t sum() const { return 10 * height; }
    [[nodiscard]] constexpr std::size_t half_sum(std::size_t half) const { return (11 + half) * height; }
};

/// Words of a row of k activations.
[[nodiscard]] inline std::size_t row_words(operand kind, std::size_t k) {
    return kind == operand::int8 ? k / cell_terms * cell_layout::words : kind == operand::bf16 ? k / 2 : k;
}

namespace detail {

/// Sum and maximum of the lanes as signed integers.
template <class Arch>
[[nodiscard, gnu::always_inline]] inline std::int32_t sum_of_words(u32x16<Arch> x) {
    vectors<16>::words q[4];
    std::memcpy(q, x.v, 64);
    const auto four = (q[0] + q[1]) + (q[2] + q[3]);
    return static_cast<std::int32_t>((four[0] + four[1]) + (four[2] + four[3]));
}
template <class Arch>
[[nodiscard, gnu::always_inline]] inline std::int32_t largest_word(u32x16<Arch> x) {
    vectors<16>::integers q[4];
    std::memcpy(q, x.v, 64);
    const auto left = q[0] > q[1] ? q[0] : q[1], right = q[2] > q[3] ? q[2] : q[3], four = left > right ? left : right;
    return std::max(std::max(four[0], four[1]), std::max(four[2], four[3]));
}
/// The low bytes of the lanes as four words.
template <class Arch>
[[gnu::always_inline]] inline void low_bytes(u32x16<Arch> x, std::uint32_t* out) {
#if defined(LAB_AVX512)
    if constexpr (has_avx512<Arch>) {
        const __m128i bytes = _mm512_maskz_cvtepi32_epi8(0xffff, std::bit_cast<__m512i>(x));
        std::memcpy(out, &bytes, 16);
        return;
    }
#endif
    std::uint32_t lanes[16];
    x.store(lanes);
    LAB_UNROLL for (std::size_t i = 0; i < 4; ++i) {
        const std::uint32_t* four = lanes + 4 * i;
        out[i] = (four[0] & 0xffu) | ((four[1] & 0xffu) << 8) | ((four[2] & 0xffu) << 16) | (four[3] << 24);
    }
}

/// Row r of `height` of a tile from x [k]; k is a multiple of 32.
template <class Arch>
void quantize_row(const float* x, std::size_t k, std::size_t r, std::size_t height, std::uint32_t* out) {
    using v = f32x16<Arch>;
    using u = u32x16<Arch>;
    const cell_layout at{height};
    // y + 1.5 * 2^23 rounds y to an integer, which its low bits are.
    const v magic = v::broadcast(0x1.8p23f);
    const u magic_bits = as_words<Arch>(magic);
    for (std::size_t first = 0; first < k; first += cell_terms, out += cell_layout::words * height) {
        const v x0 = v::load(x + first), x1 = v::load(x + first + 16);
        // Magnitudes are ordered as their bits are, with what is not finite on top.
        const std::int32_t most_bits = std::max(largest_word<Arch>(as_words<Arch>(x0) & 0x7fffffffu),
                                                largest_word<Arch>(as_words<Arch>(x1) & 0x7fffffffu));
        const float most = std::bit_cast<float>(most_bits);
        const bool finite = most_bits < 0x7f800000, tiny = most < 1e-30f;  // 127 / most could overflow
        const v inverse = v::broadcast(tiny || !finite ? 0.0f : 127.0f / most);
        const u y0 = as_words<Arch>(x0 * inverse + magic), y1 = as_words<Arch>(x1 * inverse + magic);
        std::uint32_t q[8];
        low_bytes<Arch>(y0, q);
        low_bytes<Arch>(y1, q + 4);
        LAB_UNROLL for (std::size_t g = 0; g < 8; ++g) out[g * height + r] = q[g];
        const std::int32_t sum0 = sum_of_words<Arch>(y0 - magic_bits), sum1 = sum_of_words<Arch>(y1 - magic_bits);
        // Not finite: so is every output of the row.
        const float d = !finite ? std::numeric_limits<float>::quiet_NaN() : tiny ? 0.0f : most / 127.0f;
        out[at.d() + r] = std::bit_cast<std::uint32_t>(d);
        out[at.d_sum() + r] = std::bit_cast<std::uint32_t>(d * static_cast<float>(sum0 + sum1));
        out[at.sum() + r] = static_cast<std::uint32_t>(-sum0 - sum1);
        out[at.half_sum(0) + r] = static_cast<std::uint32_t>(-sum0);
        out[at.half_sum(1) + r] = static_cast<std::uint32_t>(-sum1);
    }
}

/// The upper halves of the lanes as eight words of two.
template <class Arch>
[[gnu::always_inline]] inline void upper_halves(u32x16<Arch> x, std::uint32_t* out) {
#if defined(LAB_AVX512)
    if constexpr (has_avx512<Arch>) {
        const __m256i halves = _mm512_maskz_cvtepi32_epi16(0xffff, std::bit_cast<__m512i>(x >> 16));
        std::memcpy(out, &halves, 32);
        return;
    }
#endif
    std::uint32_t lanes[16];
    x.store(lanes);
    LAB_UNROLL for (std::size_t j = 0; j < 8; ++j) out[j] = (lanes[2 * j] >> 16) | (lanes[2 * j + 1] & 0xffff0000u);
}

/// The same as pairs of bfloat16; k is even.
template <class Arch>
void round_row(const float* x, std::size_t k, std::size_t r, std::size_t height, std::uint32_t* out) {
    std::size_t i = 0;
    for (; i + 16 <= k; i += 16) {
        std::uint32_t pairs[8];
        upper_halves<Arch>(as_words<Arch>(rounded_to_bf16<Arch>(f32x16<Arch>::load(x + i))), pairs);
        LAB_UNROLL for (std::size_t j = 0; j < 8; ++j) out[(i / 2 + j) * height + r] = pairs[j];
    }
    for (; i < k; i += 2) {
        const std::uint32_t low = to_bf16(x[i]).bits, high = to_bf16(x[i + 1]).bits;
        out[i / 2 * height + r] = low | (high << 16);
    }
}

}  // namespace detail

/// Rows [first, first + count) of x [m, k] as one tile of `height` >= count rows; the others are copies of the last.
template <class Arch>
void fill_tile(operand kind, view<const float> x, std::size_t first, std::size_t count, std::size_t height,
               std::uint32_t* out) {
    const std::size_t k = x.extent(1);
    for (std::size_t r = 0; r < height; ++r) {
        const float* row = x.data() + (first + std::min(r, count - 1)) * k;
        if (kind == operand::int8)
            detail::quantize_row<Arch>(row, k, r, height, out);
        else if (kind == operand::bf16)
            detail::round_row<Arch>(row, k, r, height, out);
        else
            for (std::size_t i = 0; i < k; ++i) out[i * height + r] = std::bit_cast<std::uint32_t>(row[i]);
    }
}

/// All rows of x as tiles, one after another.
template <class Arch>
class tiled_activations {
public:
    /// `words` is memory for words_needed() words.
    tiled_activations(operand kind, std::size_t rows, std::size_t k, std::uint32_t* words)
        : kind_(kind), rows_(rows), row_words_(row_words(kind, k)), words_(words) {}

    [[nodiscard]] static std::size_t words_needed(operand kind, std::size_t rows, std::size_t k) {
        const std::size_t height = full_height<Arch>(kind), rest = rows % height;
        return (rows - rest + (rest == 0 ? 0 : height_for<Arch>(kind, rest))) * row_words(kind, k);
    }
    [[nodiscard]] std::size_t tiles() const { return (rows_ + full() - 1) / full(); }
    /// Tiles that together fit in a core's second-level cache beside a panel.
    [[nodiscard]] std::size_t tiles_at_once() const {
        return std::max<std::size_t>(1, (std::size_t{96} << 10) / (full() * row_words_ + 1));
    }
    [[nodiscard]] std::size_t first_row(std::size_t tile) const { return tile * full(); }
    [[nodiscard]] std::size_t count(std::size_t tile) const { return std::min(full(), rows_ - first_row(tile)); }
    [[nodiscard]] std::size_t height(std::size_t tile) const { return height_for<Arch>(kind_, count(tile)); }
    /// The height of all tiles but perhaps the last.
    [[nodiscard]] std::size_t full() const { return full_height<Arch>(kind_); }
    [[nodiscard]] std::uint32_t* tile(std::size_t tile) const { return words_ + first_row(tile) * row_words_; }

    void fill(view<const float> x, thread_pool& pool) const {
        const auto some = [&](std::size_t begin, std::size_t end, std::size_t) {
            for (std::size_t t = begin; t < end; ++t)
                fill_tile<Arch>(kind_, x, first_row(t), count(t), height(t), tile(t));
        };
        pool.share_out(tiles(), 1, some);
    }

private:
    operand kind_;
    std::size_t rows_, row_words_;
    std::uint32_t* words_;
};

}  // namespace LAB_ISA
}  // namespace lab::kernels
