// Transposing a block of rows in registers: 16 rows by 16 words of 32 bits, and 8 by 8. Rows are gathered as 128-bit
// quarters first, so that only the shuffles within a quarter remain.
#pragma once

#include <cstddef>
#include <cstring>

#include "lab/kernels/simd.hpp"

namespace lab::kernels {
inline namespace LAB_ISA {

#if defined(LAB_AVX2)
/// Words [0, 4) of 8 rows, `stride` bytes apart: out[w] lane r = row r's word w.
[[gnu::always_inline]] inline void load_transposed_8x4(const std::byte* p, std::size_t stride, __m256 (&out)[4]) {
    __m256 g[4];
    unroll<4>([&](auto r) __attribute__((always_inline)) {
        const auto* low = reinterpret_cast<const float*>(p + r * stride);
        const auto* high = reinterpret_cast<const float*>(p + (r + 4) * stride);
        g[r] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(low)), _mm_loadu_ps(high), 1);
    });
    const auto pair = [](__m256 a, __m256 b, bool upper) __attribute__((always_inline)) {
        const __m256d x = _mm256_castps_pd(a), y = _mm256_castps_pd(b);
        return _mm256_castpd_ps(upper ? _mm256_unpackhi_pd(x, y) : _mm256_unpacklo_pd(x, y));
    };
    const __m256 a = _mm256_unpacklo_ps(g[0], g[1]), b = _mm256_unpacklo_ps(g[2], g[3]);
    const __m256 c = _mm256_unpackhi_ps(g[0], g[1]), d = _mm256_unpackhi_ps(g[2], g[3]);
    out[0] = pair(a, b, false), out[1] = pair(a, b, true), out[2] = pair(c, d, false), out[3] = pair(c, d, true);
}
#endif

#if defined(LAB_AVX512)
/// Words [0, 4) of 16 rows, `stride` bytes apart: out[w] lane r = row r's word w.
[[gnu::always_inline]] inline void load_transposed_16x4(const std::byte* p, std::size_t stride, __m512i* out) {
    constexpr __mmask16 all = 0xffff;
    const auto quarter = [](const std::byte* q) __attribute__((always_inline)) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(q));
    };
    __m512i g[4];
    unroll<4>([&](auto r) __attribute__((always_inline)) {
        g[r] = _mm512_zextsi128_si512(quarter(p + r * stride));
        g[r] = _mm512_mask_broadcast_i32x4(g[r], 0x00f0, quarter(p + (r + 4) * stride));
        g[r] = _mm512_mask_broadcast_i32x4(g[r], 0x0f00, quarter(p + (r + 8) * stride));
        g[r] = _mm512_mask_broadcast_i32x4(g[r], 0xf000, quarter(p + (r + 12) * stride));
    });
    const __m512i a = _mm512_maskz_unpacklo_epi32(all, g[0], g[1]), b = _mm512_maskz_unpacklo_epi32(all, g[2], g[3]);
    const __m512i c = _mm512_maskz_unpackhi_epi32(all, g[0], g[1]), d = _mm512_maskz_unpackhi_epi32(all, g[2], g[3]);
    out[0] = _mm512_maskz_unpacklo_epi64(0xff, a, b), out[1] = _mm512_maskz_unpackhi_epi64(0xff, a, b);
    out[2] = _mm512_maskz_unpacklo_epi64(0xff, c, d), out[3] = _mm512_maskz_unpackhi_epi64(0xff, c, d);
}
#endif

/// Words [0, 4) of 16 rows, `stride` bytes apart: out[w] lane r = row r's word w. Reads 16 bytes of each row.
template <class Arch>
[[gnu::always_inline]] inline void load_columns(const std::byte* p, std::size_t stride, u32x16<Arch> (&out)[4]) {
    if constexpr (has_avx512<Arch>) {
#if defined(LAB_AVX512)
        __m512i words[4];
        load_transposed_16x4(p, stride, words);
        unroll<4>([&](auto w) __attribute__((always_inline)) { out[w] = std::bit_cast<u32x16<Arch>>(words[w]); });
#endif
    } else if constexpr (has_avx2<Arch>) {
#if defined(LAB_AVX2)
        __m256 low[4], high[4];
        load_transposed_8x4(p, stride, low);
        load_transposed_8x4(p + 8 * stride, stride, high);
        unroll<4>([&](auto w) __attribute__((always_inline)) {
            out[w].v[0] = std::bit_cast<typename u32x16<Arch>::part>(low[w]);
            out[w].v[1] = std::bit_cast<typename u32x16<Arch>::part>(high[w]);
        });
#endif
    } else {
        std::uint32_t words[4][16];
        for (std::size_t r = 0; r < 16; ++r)
            for (std::size_t w = 0; w < 4; ++w) std::memcpy(&words[w][r], p + r * stride + 4 * w, 4);
        for (std::size_t w = 0; w < 4; ++w) out[w] = u32x16<Arch>::load(words[w]);
    }
}

/// out[k * 8 + i] = rows[i * stride + k] for i < 8, k < depth.
template <class Arch>
void transpose_8(const float* rows, std::size_t stride, std::size_t depth, float* out) {
    std::size_t k = 0;
#if defined(LAB_AVX2)
    if constexpr (!std::is_same_v<Arch, arch::scalar>) {
        for (; k + 4 <= depth; k += 4) {
            __m256 words[4];
            load_transposed_8x4(reinterpret_cast<const std::byte*>(rows + k), stride * 4, words);
            for (std::size_t w = 0; w < 4; ++w) _mm256_storeu_ps(out + (k + w) * 8, words[w]);
        }
    }
#endif
    for (; k < depth; ++k)
        for (std::size_t i = 0; i < 8; ++i) out[k * 8 + i] = rows[i * stride + k];
}

}  // namespace LAB_ISA
}  // namespace lab::kernels
