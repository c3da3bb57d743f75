// f32x16<Arch>, u32x16<Arch>: sixteen floats or words on every instruction set, as one, two or four registers, written
// with the vector extensions of GCC and clang; intrinsics only where those have no word for it. Lanes, operations and
// the tree of `sum` are the same everywhere, so a kernel gives the same bits on every processor that has fused
// multiply-add. Without one (plain x86-64), fma() rounds twice. No libm, no approximate reciprocals.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "lab/kernels/arch.hpp"

#if defined(LAB_AVX2)
#include <immintrin.h>
#endif

/// Before a loop of known small count: unroll it fully, at any optimisation level.
#if defined(__clang__)
#define LAB_UNROLL _Pragma("unroll")
#else
#define LAB_UNROLL _Pragma("GCC unroll 16")
#endif

namespace lab::kernels {
inline namespace LAB_ISA {

template <class Arch>
inline constexpr bool has_vnni = std::is_same_v<Arch, arch::avx512_vnni> || std::is_same_v<Arch, arch::avx512_bf16>;
template <class Arch>
inline constexpr bool has_avx512 = std::is_same_v<Arch, arch::avx512> || has_vnni<Arch>;
template <class Arch>
inline constexpr bool has_avx2 = std::is_same_v<Arch, arch::avx2> || has_avx512<Arch>;

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
    }
    (std::make_index_sequence<N>{});
}

/// Bytes of the register that `Arch` computes with.
template <class Arch>
inline constexpr std::size_t register_bytes = has_avx512<Arch> ? 64
                                              : has_avx2<Arch> ? 32
                                                               : 16;

namespace detail {
/// Vectors of `Bytes` bytes. One by one: GCC ignores vector_size on a dependent type.
template <std::size_t Bytes>
struct vectors;
template <>
struct vectors<16> {
    using floats = float __attribute__((vector_size(16)));
    using words = std::uint32_t __attribute__((vector_size(16)));
    using bytes = std::uint8_t __attribute__((vector_size(16)));
    using integers = std::int32_t __attribute__((vector_size(16)));
};
template <>
struct vectors<32> {
    using floats = float __attribute__((vector_size(32)));
    using words = std::uint32_t __attribute__((vector_size(32)));
    using bytes = std::uint8_t __attribute__((vector_size(32)));
    using integers = std::int32_t __attribute__((vector_size(32)));
};
template <>
struct vectors<64> {
    using floats = float __attribute__((vector_size(64)));
    using words = std::uint32_t __attribute__((vector_size(64)));
    using bytes = std::uint8_t __attribute__((vector_size(64)));
    using integers = std::int32_t __attribute__((vector_size(64)));
};
}  // namespace detail

template <class Arch>
struct u32x16;

template <class Arch>
struct f32x16 {
    static constexpr std::size_t parts = 64 / register_bytes<Arch>;
    using part = typename detail::vectors<register_bytes<Arch>>::floats;
    part v[parts];

    [[gnu::always_inline]] static f32x16 broadcast(float x) noexcept {
        f32x16 r;
        LAB_UNROLL for (part& each : r.v) each = x - part{};
        return r;
    }
    // One register at a time: GCC 12 keeps an array that is copied as a whole in memory.
    [[gnu::always_inline]] static f32x16 load(const float* p) noexcept {
        f32x16 r;
        LAB_UNROLL for (std::size_t i = 0; i < parts; ++i) std::memcpy(&r.v[i], p + i * 16 / parts, sizeof(part));
        return r;
    }
    [[gnu::always_inline]] void store(float* p) const noexcept {
        LAB_UNROLL for (std::size_t i = 0; i < parts; ++i) std::memcpy(p + i * 16 / parts, &v[i], sizeof(part));
    }

    [[gnu::always_inline]] friend f32x16 operator+(f32x16 a, f32x16 b) noexcept {
        f32x16 r;
        LAB_UNROLL for (std::size_t i = 0; i < parts; ++i) r.v[i] = a.v[i] + b.v[i];
        return r;
    }
    [[gnu::always_inline]] friend f32x16 operator-(f32x16 a, f32x16 b) noexcept {
        f32x16 r;
        LAB_UNROLL for (std::size_t i = 0; i < parts; ++i) r.v[i] = a.v[i] - b.v[i];
        return r;
    }
    [[gnu::always_inline]] friend f32x16 operator*(f32x16 a, f32x16 b) noexcept {
        f32x16 r;
        LAB_UNROLL for (std::size_t i = 0; i < parts; ++i) r.v[i] = a.v[i] * b.v[i];
        return r;
    }
    [[gnu::always_inline]] friend f32x16 operator/(f32x16 a, f32x16 b) noexcept {
        f32x16 r;
        LAB_UNROLL for (std::size_t i = 0; i < parts; ++i) r.v[i] = a.v[i] / b.v[i];
        return r;
    }
    [[gnu::always_inline]] friend f32x16 fma(f32x16 a, f32x16 b, f32x16 c) noexcept {
        f32x16 r;
        LAB_UNROLL for (std::size_t i = 0; i < parts; ++i) {
            if constexpr (has_avx512<Arch>) {
#if defined(LAB_AVX512)
                r.v[i] = _mm512_fmadd_ps(a.v[i], b.v[i], c.v[i]);
#endif
            } else if constexpr (has_avx2<Arch>) {
#if defined(LAB_AVX2)
                r.v[i] = _mm256_fmadd_ps(a.v[i], b.v[i], c.v[i]);
#endif
            } else {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
                for (int j = 0; j < 4; ++j) r.v[i][j] = __builtin_fmaf(a.v[i][j], b.v[i][j], c.v[i][j]);
#else
                r.v[i] = a.v[i] * b.v[i] + c.v[i];
#endif
            }
        }
        return r;
    }
    [[gnu::always_inline]] friend f32x16 square_root(f32x16 a) noexcept {
        f32x16 r;
        LAB_UNROLL for (std::size_t i = 0; i < parts; ++i) {
            if constexpr (has_avx512<Arch>) {
#if defined(LAB_AVX512)
                r.v[i] = _mm512_maskz_sqrt_ps(0xffff, a.v[i]);
#endif
            } else if constexpr (has_avx2<Arch>) {
#if defined(LAB_AVX2)
                r.v[i] = _mm256_sqrt_ps(a.v[i]);
#endif
            } else {
                for (int j = 0; j < 4; ++j) r.v[i][j] = __builtin_sqrtf(a.v[i][j]);
            }
        }
        return r;
    }
    /// a < b ? x : y per lane.
    [[gnu::always_inline]] friend f32x16 select_less(f32x16 a, f32x16 b, f32x16 x, f32x16 y) noexcept {
        f32x16 r;
        LAB_UNROLL for (std::size_t i = 0; i < parts; ++i) r.v[i] = a.v[i] < b.v[i] ? x.v[i] : y.v[i];
        return r;
    }
};

template <class Arch>
struct u32x16 {
    static constexpr std::size_t parts = 64 / register_bytes<Arch>;
    using part = typename detail::vectors<register_bytes<Arch>>::words;
    using signed_part = typename detail::vectors<register_bytes<Arch>>::integers;
    using byte_part = typename detail::vectors<register_bytes<Arch>>::bytes;
    using float_part = typename f32x16<Arch>::part;
    part v[parts];

    [[gnu::always_inline]] static u32x16 broadcast(std::uint32_t x) noexcept {
        u32x16 r;
        LAB_UNROLL for (part& each : r.v) each = x + part{};
        return r;
    }
    [[gnu::always_inline]] static u32x16 load(const std::uint32_t* p) noexcept {
        u32x16 r;
        LAB_UNROLL for (std::size_t i = 0; i < parts; ++i) std::memcpy(&r.v[i], p + i * 16 / parts, sizeof(part));
        return r;
    }
    [[gnu::always_inline]] void store(std::uint32_t* p) const noexcept {
        LAB_UNROLL for (std::size_t i = 0; i < parts; ++i) std::memcpy(p + i * 16 / parts, &v[i], sizeof(part));
    }

    [[gnu::always_inline]] friend u32x16 operator+(u32x16 a, u32x16 b) noexcept {
        u32x16 r;
        LAB_UNROLL for (std::size_t i = 0; i < parts; ++i) r.v[i] = a.v[i] + b.v[i];
        return r;
    }
    [[gnu::always_inline]] friend u32x16 operator-(u32x16 a, u32x16 b) noexcept {
        u32x16 r;
        LAB_UNROLL for (std::size_t i = 0; i < parts; ++i) r.v[i] = a.v[i] - b.v[i];
        return r;
    }
    [[gnu::always_inline]] friend u32x16 operator&(u32x16 a, std::uint32_t b) noexcept {
        u32x16 r;
        LAB_UNROLL for (std::size_t i = 0; i < parts; ++i) r.v[i] = a.v[i] & b;
        return r;
    }
    [[gnu::always_inline]] friend u32x16 operator|(u32x16 a, u32x16 b) noexcept {
        u32x16 r;
        LAB_UNROLL for (std::size_t i = 0; i < parts; ++i) r.v[i] = a.v[i] | b.v[i];
        return r;
    }
    [[gnu::always_inline]] friend u32x16 operator<<(u32x16 a, unsigned n) noexcept {
        u32x16 r;
        LAB_UNROLL for (std::size_t i = 0; i < parts; ++i) r.v[i] = a.v[i] << n;
        return r;
    }
    [[gnu::always_inline]] friend u32x16 operator>>(u32x16 a, unsigned n) noexcept {
        u32x16 r;
        LAB_UNROLL for (std::size_t i = 0; i < parts; ++i) r.v[i] = a.v[i] >> n;
        return r;
    }
    [[gnu::always_inline]] friend u32x16 operator*(u32x16 a, std::uint32_t b) noexcept {
        u32x16 r;
        LAB_UNROLL for (std::size_t i = 0; i < parts; ++i) r.v[i] = a.v[i] * b;
        return r;
    }
    /// Subtracts b from each of the 64 bytes.
    [[gnu::always_inline]] friend u32x16 subtract_bytes(u32x16 a, std::uint8_t b) noexcept {
        u32x16 r;
        LAB_UNROLL for (std::size_t i = 0; i < parts; ++i) r.v[i] = (part)((byte_part)a.v[i] - b);
        return r;
    }
    /// Lanes as signed integers, shifted right with their sign.
    [[gnu::always_inline]] friend u32x16 shift_signed(u32x16 a, unsigned n) noexcept {
        u32x16 r;
        LAB_UNROLL for (std::size_t i = 0; i < parts; ++i) r.v[i] = (part)(((signed_part)a.v[i]) >> n);
        return r;
    }
    /// Lanes as signed integers, converted; exact below 2^24.
    [[gnu::always_inline]] friend f32x16<Arch> to_float(u32x16 a) noexcept {
        f32x16<Arch> r;
        LAB_UNROLL for (std::size_t i = 0; i < parts; ++i) r.v[i] =
            __builtin_convertvector((signed_part)a.v[i], float_part);
        return r;
    }
    [[gnu::always_inline]] friend f32x16<Arch> as_float(u32x16 a) noexcept {
        f32x16<Arch> r;
        LAB_UNROLL for (std::size_t i = 0; i < parts; ++i) r.v[i] = (float_part)a.v[i];
        return r;
    }
};
template <class Arch>
[[gnu::always_inline]] inline u32x16<Arch> as_words(f32x16<Arch> a) noexcept {
    u32x16<Arch> r;
    LAB_UNROLL for (std::size_t i = 0; i < r.parts; ++i) r.v[i] = (typename u32x16<Arch>::part)a.v[i];
    return r;
}

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
    using quarter = detail::vectors<16>::floats;
    quarter q[4];
    std::memcpy(q, x.v, 64);
    const quarter four = (q[0] + q[2]) + (q[1] + q[3]);
    return (four[0] + four[2]) + (four[1] + four[3]);
}
/// Largest lane.
template <class Arch>
[[nodiscard]] inline float largest(f32x16<Arch> x) noexcept {
    using quarter = detail::vectors<16>::floats;
    quarter q[4];
    std::memcpy(q, x.v, 64);
    const quarter left = q[0] > q[1] ? q[0] : q[1], right = q[2] > q[3] ? q[2] : q[3];
    const quarter four = left > right ? left : right;
    const float a = four[0] > four[1] ? four[0] : four[1], b = four[2] > four[3] ? four[2] : four[3];
    return a > b ? a : b;
}

/// e^x within 2 ulp for -87.3 < x < 88; below, 0; above, e^88. NaN stays NaN.
/// x = n ln 2 + r, |r| <= ln 2 / 2; polynomial in r (Cephes expf, Moshier), scaled by 2^n.
template <class Arch>
[[nodiscard, gnu::always_inline]] inline f32x16<Arch> exp(f32x16<Arch> x) noexcept {
    using v = f32x16<Arch>;
    const v lowest = v::broadcast(-87.3f), shift = v::broadcast(0x1.8p23f), one = v::broadcast(1.0f);
    const v clamped = smaller<Arch>(v::broadcast(88.0f), larger<Arch>(lowest, x));
    const v biased = fma(clamped, v::broadcast(1.44269504088896341f), shift);  // n + 1.5 * 2^23, n in the low bits
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
    const v power = as_float((as_words<Arch>(biased) << 23) + u32x16<Arch>::broadcast(0x3f800000));
    return select_less(x, lowest, v::broadcast(0.0f), p * power);
}

/// 1 / (1 + e^-x)
template <class Arch>
[[nodiscard, gnu::always_inline]] inline f32x16<Arch> sigmoid(f32x16<Arch> x) noexcept {
    using v = f32x16<Arch>;
    return v::broadcast(1.0f) / (v::broadcast(1.0f) + exp<Arch>(v::broadcast(0.0f) - x));
}

}  // namespace LAB_ISA
}  // namespace lab::kernels
