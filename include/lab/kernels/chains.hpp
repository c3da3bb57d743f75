// Products in registers, nothing packed: chains of fused multiply-adds over lines of B as they lie, with elements f32,
// f16 or bf16. A chain may go on from where an earlier call left it.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "lab/core/half.hpp"
#include "lab/kernels/panels.hpp"
#include "lab/kernels/simd.hpp"

namespace lab::kernels {
inline namespace LAB_ISA {

namespace detail {

/// Rows and vectors of the register block below.
template <class Arch>
inline constexpr std::size_t chain_rows = has_avx2<Arch> ? 6 : 2;
template <class Arch>
inline constexpr std::size_t chain_vectors = has_avx512<Arch> ? 4 : 1;

/// Sixteen elements as floats.
template <class Arch>
[[gnu::always_inline]] inline f32x16<Arch> load_elements(const float* p) {
    return f32x16<Arch>::load(p);
}
template <class Arch>
[[gnu::always_inline]] inline f32x16<Arch> load_elements(const f16* p) {
    return load_stored_halves<Arch>(reinterpret_cast<const std::byte*>(p));
}
template <class Arch>
[[gnu::always_inline]] inline f32x16<Arch> load_elements(const bf16* p) {
#if defined(LAB_AVX512)
    if constexpr (has_avx512<Arch>)
        return as_float(std::bit_cast<u32x16<Arch>>(_mm512_maskz_cvtepu16_epi32(
                            0xffff, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))))
                        << 16);
#endif
#if defined(LAB_AVX2)
    if constexpr (std::is_same_v<Arch, arch::avx2>) {
        f32x16<Arch> out;
        LAB_UNROLL for (std::size_t i = 0; i < 2; ++i) {
            const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8 * i));
            out.v[i] = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
        }
        return out;
    }
#endif
    float lanes[16];
    for (std::size_t i = 0; i < 16; ++i) lanes[i] = to_float(p[i]);
    return f32x16<Arch>::load(lanes);
}

/// C[r][0, 16 V) = chain over k < depth of a[r a_row + k a_step] b[k b_step + ...], from 0 or, resuming, from C.
template <class Arch, std::size_t R, std::size_t V, class T>
void chain_tile(std::size_t depth, const float* a, std::size_t a_row, std::size_t a_step, const T* b,
                std::size_t b_step, float* c, std::size_t c_row, bool resume) {
    using v = f32x16<Arch>;
    v sums[R][V];
    LAB_UNROLL for (std::size_t r = 0; r < R; ++r) LAB_UNROLL for (std::size_t j = 0; j < V; ++j) sums[r][j] =
        resume ? v::load(c + r * c_row + 16 * j) : v::broadcast(0.0f);
    for (std::size_t k = 0; k < depth; ++k, a += a_step, b += b_step) {
        v line[V];
        LAB_UNROLL for (std::size_t j = 0; j < V; ++j) line[j] = load_elements<Arch>(b + 16 * j);
        LAB_UNROLL for (std::size_t r = 0; r < R; ++r) {
            const v x = v::broadcast(a[r * a_row]);
            LAB_UNROLL for (std::size_t j = 0; j < V; ++j) sums[r][j] = fma(x, line[j], sums[r][j]);
        }
    }
    LAB_UNROLL for (std::size_t r = 0; r < R; ++r) LAB_UNROLL for (std::size_t j = 0; j < V; ++j) sums[r][j].store(
        c + r * c_row + 16 * j);
}

/// chain_tile over `rows` <= chain_rows rows and `columns`, a multiple of 16.
template <class Arch, class T>
void chains(std::size_t rows, std::size_t columns, std::size_t depth, const float* a, std::size_t a_row,
            std::size_t a_step, const T* b, std::size_t b_step, float* c, std::size_t c_row, bool resume) {
    using kernel =
        void (*)(std::size_t, const float*, std::size_t, std::size_t, const T*, std::size_t, float*, std::size_t, bool);
    constexpr std::size_t wide = chain_vectors<Arch>;
    static constexpr auto kernels = []<std::size_t... I>(std::index_sequence<I...>) {
        return std::array<std::array<kernel, 2>, sizeof...(I)>{
            {{&chain_tile<Arch, I + 1, 1, T>, &chain_tile<Arch, I + 1, wide, T>}...}};
    }
    (std::make_index_sequence<chain_rows<Arch>>{});
    for (std::size_t j = 0; j < columns;) {
        const bool whole = j + 16 * wide <= columns;
        kernels[rows - 1][whole](depth, a, a_row, a_step, b + j, b_step, c + j, c_row, resume);
        j += whole ? 16 * wide : 16;
    }
}

}  // namespace detail

}  // namespace LAB_ISA
}  // namespace lab::kernels
