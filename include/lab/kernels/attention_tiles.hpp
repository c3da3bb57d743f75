// The pieces of attention, forward and backward: tiles of queries, blocks of 64 keys turned for chains.hpp, softmax
// over one block.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <type_traits>
#include <utility>

#include "lab/core/batch.hpp"
#include "lab/core/half.hpp"
#include "lab/kernels/chains.hpp"
#include "lab/kernels/simd.hpp"
#include "lab/kernels/transpose.hpp"

namespace lab::kernels {
inline namespace LAB_ISA {

namespace detail {

/// Sixteen floats as elements of a cache.
template <class Arch>
[[gnu::always_inline]] inline void store_elements(f32x16<Arch> x, float* p) {
    x.store(p);
}
template <class Arch>
[[gnu::always_inline]] inline void store_elements(f32x16<Arch> x, f16* p) {
#if defined(LAB_AVX512)
    if constexpr (has_avx512<Arch>) {
        const __m256i halves = _mm512_maskz_cvtps_ph(0xffff, x.v[0], _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), halves);
        return;
    }
#endif
#if defined(LAB_AVX2)
    if constexpr (std::is_same_v<Arch, arch::avx2>) {
        LAB_UNROLL for (std::size_t i = 0; i < 2; ++i) {
            const __m128i halves = _mm256_cvtps_ph(x.v[i], _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
            _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 8 * i), halves);
        }
        return;
    }
#endif
    float lanes[16];
    x.store(lanes);
    for (std::size_t i = 0; i < 16; ++i) p[i] = to_f16(lanes[i]);
}
template <class Arch>
[[gnu::always_inline]] inline void store_elements(f32x16<Arch> x, bf16* p) {
    float lanes[16];
    x.store(lanes);
    for (std::size_t i = 0; i < 16; ++i) p[i] = to_bf16(lanes[i]);
}

/// The positions [first, last] a query at `position` sees, and their part of a block.
struct visible {
    std::size_t first, last;

    visible(std::int32_t position, std::size_t window) : last(static_cast<std::size_t>(position)) {
        first = window != 0 && last + 1 > window ? last + 1 - window : 0;
    }
    /// Offsets [from, to) within block b; {0, 0} where it sees none.
    [[nodiscard]] std::pair<std::size_t, std::size_t> in(std::size_t b) const {
        const std::size_t begin = b * kv_block_size;
        if (last < begin || first >= begin + kv_block_size) return {0, 0};
        return {std::max(first, begin) - begin, std::min(last - begin + 1, kv_block_size)};
    }
};

/// Queries that share a key/value head: rows (token, head), token by token.
struct query_tile {
    std::span<const std::uint32_t> tokens;  // their rows in the batch
    std::size_t group, heads, first_head, dim;

    [[nodiscard]] std::size_t rows() const { return tokens.size() * group; }
    [[nodiscard]] std::size_t token(std::size_t row) const { return tokens[row / group]; }
    /// Offset of the row in a [tokens, heads, head_dim] array.
    [[nodiscard]] std::size_t offset(std::size_t row) const {
        return (token(row) * heads + first_head + row % group) * dim;
    }
    /// out[row][padded] = scale x, zeros beyond dim.
    void gather(const float* x, float scale, std::size_t padded, float* out) const {
        for (std::size_t r = 0; r < rows(); ++r, out += padded) {
            for (std::size_t d = 0; d < dim; ++d) out[d] = x[offset(r) + d] * scale;
            std::fill(out + dim, out + padded, 0.0f);
        }
    }
    /// The first and the last block that its rows see.
    [[nodiscard]] std::pair<std::size_t, std::size_t> blocks(std::span<const std::int32_t> positions,
                                                             std::size_t window) const {
        std::size_t first = std::numeric_limits<std::size_t>::max(), last = 0;
        for (const std::uint32_t t : tokens) {
            const visible range(positions[t], window);
            first = std::min(first, range.first / kv_block_size);
            last = std::max(last, range.last / kv_block_size);
        }
        return {first, last};
    }
};

/// keys [64] rows of dim floats, `stride` apart -> out[d][64].
template <class Arch>
void transpose_block(const float* keys, std::size_t stride, std::size_t dim, float* out) {
    for (std::size_t t = 0; t < kv_block_size; t += 16) {
        const auto* rows = reinterpret_cast<const std::byte*>(keys + t * stride);
        std::size_t d = 0;
        for (; d + 4 <= dim; d += 4) {
            u32x16<Arch> words[4];
            load_columns<Arch>(rows + 4 * d, 4 * stride, words);
            unroll<4>([&](auto w) __attribute__((always_inline)) {
                as_float(words[w]).store(out + (d + w) * kv_block_size + t);
            });
        }
        for (; d < dim; ++d)
            for (std::size_t i = 0; i < 16; ++i) out[d * kv_block_size + t + i] = keys[(t + i) * stride + d];
    }
}
/// The block's rows, padded with zeros to `padded` floats; in place (no copy) where they need no padding.
struct padded_block {
    const float* rows;
    std::size_t stride;

    padded_block(const float* block, std::size_t block_stride, std::size_t dim, std::size_t padded, float* buffer)
        : rows(block), stride(block_stride) {
        if (dim == padded) return;
        for (std::size_t t = 0; t < kv_block_size; ++t) {
            std::copy_n(block + t * block_stride, dim, buffer + t * padded);
            std::fill(buffer + t * padded + dim, buffer + (t + 1) * padded, 0.0f);
        }
        rows = buffer, stride = padded;
    }
};

/// In place: e^(score - top) over [from, to) of the 64 scores, 0 elsewhere; returns their sum.
template <class Arch>
float exponentials(float* scores, std::size_t from, std::size_t to, float& top) {
    using v = f32x16<Arch>;
    constexpr float lowest = -std::numeric_limits<float>::infinity();
    for (std::size_t t = 0; t < from; ++t) scores[t] = lowest;
    for (std::size_t t = to; t < kv_block_size; ++t) scores[t] = lowest;
    top = largest<Arch>(larger<Arch>(larger<Arch>(v::load(scores), v::load(scores + 16)),
                                     larger<Arch>(v::load(scores + 32), v::load(scores + 48))));
    v sums = v::broadcast(0.0f);
    for (std::size_t t = 0; t < kv_block_size; t += 16) {
        const v e = exp<Arch>(v::load(scores + t) - v::broadcast(top));
        sums = sums + e;
        e.store(scores + t);
    }
    return sum<Arch>(sums);
}

}  // namespace detail

}  // namespace LAB_ISA
}  // namespace lab::kernels
