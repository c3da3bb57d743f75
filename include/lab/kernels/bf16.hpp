// Matrix products with operands rounded to bfloat16 and sums in float. With avx512_bf16: the dot-product instruction,
// which takes terms in pairs and flushes subnormals; elsewhere the rounded operands go through the float kernel. Both
// are fixed orders, the same for any number of rows and threads; they are not the same bits as each other, nor as the
// float product.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "lab/kernels/pack.hpp"

namespace lab::kernels {
inline namespace LAB_ISA {

/// Each lane rounded to the nearest bfloat16, ties to even; NaN stays NaN.
template <class Arch>
[[nodiscard, gnu::always_inline]] inline f32x16<Arch> rounded_to_bf16(f32x16<Arch> x) noexcept {
    using u = u32x16<Arch>;
    const u bits = as_words<Arch>(x);
    const f32x16<Arch> rounded = as_float((bits + u::broadcast(0x7fffu) + ((bits >> 16) & 1u)) & 0xffff0000u);
    return select_less(x - x, f32x16<Arch>::broadcast(1.0f), rounded, x);  // infinities and NaN pass as they are
}

/// Turns a packed block of [depth][Width] floats into what multiply_tile_bf16 reads, in place: [depth / 2][Width] pairs
/// (an odd last row is paired with zeros), or the rounded floats where there is no instruction for pairs.
template <class Arch, std::size_t Width>
void round_packed(float* block, std::size_t depth) {
    static_assert(Width % 8 == 0);
#if defined(LAB_AVX512_BF16)
    if constexpr (std::is_same_v<Arch, arch::avx512_bf16>) {
        constexpr std::size_t lanes = Width % 16 == 0 ? 16 : 8;
        alignas(64) std::uint16_t order[2 * lanes];  // words of two rows, one after the other -> in turns
        for (std::uint16_t i = 0; i < lanes; ++i)
            order[2 * i] = i, order[2 * i + 1] = static_cast<std::uint16_t>(lanes + i);
        for (std::size_t k = 0; k < depth; k += 2) {
            const float* in = block + k * Width;
            float* out = block + k / 2 * Width;
            for (std::size_t j = 0; j < Width; j += lanes) {
                if constexpr (lanes == 16) {
                    const __m512 next = k + 1 < depth ? _mm512_loadu_ps(in + Width + j) : _mm512_setzero_ps();
                    const auto pair = (__m512i)_mm512_cvtne2ps_pbh(next, _mm512_loadu_ps(in + j));
                    _mm512_storeu_si512(out + j,
                                        _mm512_maskz_permutexvar_epi16(0xffffffffu, _mm512_load_si512(order), pair));
                } else {
                    const __m256 next = k + 1 < depth ? _mm256_loadu_ps(in + Width + j) : _mm256_setzero_ps();
                    const auto pair = (__m256i)_mm256_cvtne2ps_pbh(next, _mm256_loadu_ps(in + j));
                    const __m256i turns = _mm256_load_si256(reinterpret_cast<const __m256i*>(order));
                    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + j), _mm256_permutexvar_epi16(turns, pair));
                }
            }
        }
        return;
    }
#endif
    std::size_t i = 0;
    for (; i + 16 <= depth * Width; i += 16) rounded_to_bf16<Arch>(f32x16<Arch>::load(block + i)).store(block + i);
    if (i < depth * Width) {
        const std::size_t count = depth * Width - i;
        store_part<Arch>(rounded_to_bf16<Arch>(load_part<Arch>(block + i, count)), block + i, count);
    }
}

#if defined(LAB_AVX512_BF16)
/// multiply_tile's inner loop over pairs: sums += a [depth / 2][8] pairs times b [depth / 2][16 V] pairs, the latter in
/// lines of `b_stride`.
template <class Arch, std::size_t R, std::size_t V>
[[gnu::always_inline]] inline void add_pairs(std::size_t depth, const float* a, const float* b, std::size_t b_stride,
                                             f32x16<Arch> (&sums)[R][V]) {
    for (std::size_t k = 0; k < depth; k += 2, a += 8, b += b_stride) {
        __m512bh line[V];
        LAB_UNROLL for (std::size_t j = 0; j < V; ++j) line[j] = (__m512bh)_mm512_loadu_ps(b + 16 * j);
        LAB_UNROLL for (std::size_t r = 0; r < R; ++r) {
            const auto x = (__m512bh)_mm512_set1_ps(a[r]);
            LAB_UNROLL for (std::size_t j = 0; j < V; ++j) sums[r][j].v[0] =
                _mm512_dpbf16_ps(sums[r][j].v[0], x, line[j]);
        }
    }
}
#endif

}  // namespace LAB_ISA
}  // namespace lab::kernels
