// f32x16<Arch>: sixteen floats on every instruction set, as one, two or four registers. Lanes, operations and the tree of
// `sum` are the same everywhere, so a kernel written with it gives the same bits on every processor that has fused
// multiply-add. Without one (plain x86-64), fma() rounds twice. No libm, no approximate reciprocals.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "lab/kernels/arch.hpp"

#if defined(LAB_AVX2)
#include <immintrin.h>
#endif

namespace lab::kernels {
inline namespace LAB_ISA {

/// a b + c, rounded once where the processor can.
[[nodiscard, gnu::always_inline]] inline float fused(float a, float b, float c) noexcept {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
    return __builtin_fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

/// Calls f(std::integral_constant<size_t, i>) for i in [0, N), unrolled.
template <std::size_t N, class F>
[[gnu::always_inline]] inline void unroll(F&& f) {
    [&]<std::size_t... I>(std::index_sequence<I...>) __attribute__((always_inline)) {
        (f(std::integral_constant<std::size_t, I>{}), ...);
    }(std::make_index_sequence<N>{});
}

template <class Arch>
struct f32x16;

/// Four registers of four, by vector extensions.
template <>
struct f32x16<arch::scalar> {
    using part = float __attribute__((vector_size(16)));
    using bits = std::int32_t __attribute__((vector_size(16)));
    part v[4];

    static f32x16 broadcast(float x) noexcept {
        return each([&](int) { return part{x, x, x, x}; });
    }
    static f32x16 load(const float* p) noexcept {
        f32x16 r;
        std::memcpy(r.v, p, 64);
        return r;
    }
    void store(float* p) const noexcept { std::memcpy(p, v, 64); }

    template <class F>
    [[gnu::always_inline]] static f32x16 each(F&& f) {
        return {{f(0), f(1), f(2), f(3)}};
    }
    friend f32x16 operator+(f32x16 a, f32x16 b) noexcept {
        return each([&](int i) { return a.v[i] + b.v[i]; });
    }
    friend f32x16 operator-(f32x16 a, f32x16 b) noexcept {
        return each([&](int i) { return a.v[i] - b.v[i]; });
    }
    friend f32x16 operator*(f32x16 a, f32x16 b) noexcept {
        return each([&](int i) { return a.v[i] * b.v[i]; });
    }
    friend f32x16 operator/(f32x16 a, f32x16 b) noexcept {
        return each([&](int i) { return a.v[i] / b.v[i]; });
    }
    friend f32x16 fma(f32x16 a, f32x16 b, f32x16 c) noexcept {
        return each([&](int i) {
            part r;
            for (int j = 0; j < 4; ++j) r[j] = fused(a.v[i][j], b.v[i][j], c.v[i][j]);
            return r;
        });
    }
    /// a < b ? x : y per lane.
    friend f32x16 select_less(f32x16 a, f32x16 b, f32x16 x, f32x16 y) noexcept {
        return each([&](int i) { return a.v[i] < b.v[i] ? x.v[i] : y.v[i]; });
    }
    /// x 2^n, where `biased` holds n + 1.5 * 2^23 and -127 < n < 128.
    friend f32x16 scale_by_power(f32x16 x, f32x16 biased) noexcept {
        return each([&](int i) { return x.v[i] * (part)((((bits)biased.v[i]) << 23) + 0x3f800000); });
    }
};

#if defined(LAB_AVX2)
template <>
struct f32x16<arch::avx2> {
    __m256 low, high;

    static f32x16 broadcast(float x) noexcept { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
    static f32x16 load(const float* p) noexcept { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
    void store(float* p) const noexcept {
        _mm256_storeu_ps(p, low);
        _mm256_storeu_ps(p + 8, high);
    }
    friend f32x16 operator+(f32x16 a, f32x16 b) noexcept {
        return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
    }
    friend f32x16 operator-(f32x16 a, f32x16 b) noexcept {
        return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
    }
    friend f32x16 operator*(f32x16 a, f32x16 b) noexcept {
        return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
    }
    friend f32x16 operator/(f32x16 a, f32x16 b) noexcept {
        return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
    }
    friend f32x16 fma(f32x16 a, f32x16 b, f32x16 c) noexcept {
        return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
    }
    friend f32x16 select_less(f32x16 a, f32x16 b, f32x16 x, f32x16 y) noexcept {
        return {_mm256_blendv_ps(y.low, x.low, _mm256_cmp_ps(a.low, b.low, _CMP_LT_OQ)),
                _mm256_blendv_ps(y.high, x.high, _mm256_cmp_ps(a.high, b.high, _CMP_LT_OQ))};
    }
    friend f32x16 scale_by_power(f32x16 x, f32x16 biased) noexcept {
        const auto power = [](__m256 b) {
            const __m256i exponent = _mm256_slli_epi32(_mm256_castps_si256(b), 23);
            return _mm256_castsi256_ps(_mm256_add_epi32(exponent, _mm256_set1_epi32(0x3f800000)));
        };
        return {_mm256_mul_ps(x.low, power(biased.low)), _mm256_mul_ps(x.high, power(biased.high))};
    }
};
#endif

#if defined(LAB_AVX512)
template <>
struct f32x16<arch::avx512> {
    __m512 v;

    static f32x16 broadcast(float x) noexcept { return {_mm512_set1_ps(x)}; }
    static f32x16 load(const float* p) noexcept { return {_mm512_loadu_ps(p)}; }
    void store(float* p) const noexcept { _mm512_storeu_ps(p, v); }
    friend f32x16 operator+(f32x16 a, f32x16 b) noexcept { return {_mm512_add_ps(a.v, b.v)}; }
    friend f32x16 operator-(f32x16 a, f32x16 b) noexcept { return {_mm512_sub_ps(a.v, b.v)}; }
    friend f32x16 operator*(f32x16 a, f32x16 b) noexcept { return {_mm512_mul_ps(a.v, b.v)}; }
    friend f32x16 operator/(f32x16 a, f32x16 b) noexcept { return {_mm512_div_ps(a.v, b.v)}; }
    friend f32x16 fma(f32x16 a, f32x16 b, f32x16 c) noexcept { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
    friend f32x16 select_less(f32x16 a, f32x16 b, f32x16 x, f32x16 y) noexcept {
        return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), y.v, x.v)};
    }
    friend f32x16 scale_by_power(f32x16 x, f32x16 biased) noexcept {
        // The zero-masked form: GCC 12 warns of the plain one's undefined source operand.
        const __m512i exponent = _mm512_maskz_slli_epi32(0xffff, _mm512_castps_si512(biased.v), 23);
        return {_mm512_mul_ps(x.v, _mm512_castsi512_ps(_mm512_add_epi32(exponent, _mm512_set1_epi32(0x3f800000))))};
    }
};
#endif
#if defined(LAB_AVX512_BF16)
/// The same registers; only the bfloat16 matrix product knows the difference.
template <>
struct f32x16<arch::avx512_bf16> : f32x16<arch::avx512> {
    f32x16() = default;
    f32x16(f32x16<arch::avx512> base) noexcept : f32x16<arch::avx512>(base) {}
    static f32x16 broadcast(float x) noexcept { return f32x16<arch::avx512>::broadcast(x); }
    static f32x16 load(const float* p) noexcept { return f32x16<arch::avx512>::load(p); }
};
#endif

/// The larger per lane; a NaN in `b` stays.
template <class Arch>
[[gnu::always_inline]] inline f32x16<Arch> larger(f32x16<Arch> a, f32x16<Arch> b) noexcept {
    return select_less(b, a, a, b);
}
template <class Arch>
[[gnu::always_inline]] inline f32x16<Arch> smaller(f32x16<Arch> a, f32x16<Arch> b) noexcept {
    return select_less(a, b, a, b);
}

/// The first `count` < 16 floats, `fill` in the other lanes; reads nothing beyond them.
template <class Arch>
[[gnu::always_inline]] inline f32x16<Arch> load_part(const float* p, std::size_t count, float fill = 0.0f) noexcept {
    alignas(64) float lanes[16];
    for (float& lane : lanes) lane = fill;
    if (count != 0) std::memcpy(lanes, p, count * sizeof(float));
    return f32x16<Arch>::load(lanes);
}
template <class Arch>
[[gnu::always_inline]] inline void store_part(f32x16<Arch> x, float* p, std::size_t count) noexcept {
    alignas(64) float lanes[16];
    x.store(lanes);
    if (count != 0) std::memcpy(p, lanes, count * sizeof(float));
}

/// Sum of the lanes: i with i + 8, then + 4, + 2, + 1.
template <class Arch>
[[nodiscard]] inline float sum(f32x16<Arch> x) noexcept {
    alignas(64) float lanes[16];
    x.store(lanes);
    for (std::size_t width = 8; width != 0; width /= 2)
        for (std::size_t i = 0; i < width; ++i) lanes[i] += lanes[i + width];
    return lanes[0];
}
/// Largest lane.
template <class Arch>
[[nodiscard]] inline float largest(f32x16<Arch> x) noexcept {
    alignas(64) float lanes[16];
    x.store(lanes);
    for (std::size_t width = 8; width != 0; width /= 2)
        for (std::size_t i = 0; i < width; ++i) lanes[i] = lanes[i] > lanes[i + width] ? lanes[i] : lanes[i + width];
    return lanes[0];
}

/// e^x within 2 ulp for -87.3 < x < 88; below, 0; above, e^88. NaN stays NaN.
/// x = n ln 2 + r, |r| <= ln 2 / 2; polynomial in r (Cephes expf, Moshier), scaled by 2^n.
template <class Arch>
[[nodiscard, gnu::always_inline]] inline f32x16<Arch> exp(f32x16<Arch> x) noexcept {
    using v = f32x16<Arch>;
    const v lowest = v::broadcast(-87.3f), shift = v::broadcast(0x1.8p23f), one = v::broadcast(1.0f);
    const v clamped = smaller<Arch>(v::broadcast(88.0f), larger<Arch>(lowest, x));
    const v biased = fma(clamped, v::broadcast(1.44269504088896341f), shift);
    const v n = biased - shift;
    v r = fma(n, v::broadcast(-0.693359375f), clamped);
    r = fma(n, v::broadcast(2.12194440e-4f), r);
    v p = v::broadcast(1.9875691500e-4f);
    p = fma(p, r, v::broadcast(1.3981999507e-3f));
    p = fma(p, r, v::broadcast(8.3334519073e-3f));
    p = fma(p, r, v::broadcast(4.1665795894e-2f));
    p = fma(p, r, v::broadcast(1.6666665459e-1f));
    p = fma(p, r, v::broadcast(5.0000001201e-1f));
    p = fma(p, r * r, r) + one;
    return select_less(x, lowest, v::broadcast(0.0f), scale_by_power(p, biased));
}

/// 1 / (1 + e^-x)
template <class Arch>
[[nodiscard, gnu::always_inline]] inline f32x16<Arch> sigmoid(f32x16<Arch> x) noexcept {
    using v = f32x16<Arch>;
    return v::broadcast(1.0f) / (v::broadcast(1.0f) + exp<Arch>(v::broadcast(0.0f) - x));
}

}  // namespace LAB_ISA
}  // namespace lab::kernels
