// Reading weights column by column, 16 rows at a time: the order of the matrix product, for every format, decoded on
// the way. One reader serves both the packing of panels and the matrix-vector product. The floats are those of core's
// scalar decoders, bit for bit; a reader never touches a byte outside its rows.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "lab/core/dtype.hpp"
#include "lab/kernels/simd.hpp"
#include "lab/kernels/transpose.hpp"

namespace lab::kernels {
inline namespace LAB_ISA {

namespace detail {

/// One 16-bit float per row at p, `stride` bytes apart.
template <class Arch>
[[gnu::always_inline]] inline f32x16<Arch> load_halves(const std::byte* p, std::size_t stride) {
#if defined(LAB_AVX2)
    if constexpr (has_avx2<Arch>) {
        alignas(32) std::uint16_t halves[16];
        unroll<16>([&](auto r) __attribute__((always_inline)) { std::memcpy(&halves[r], p + r * stride, 2); });
        float out[16];
        _mm256_storeu_ps(out, _mm256_cvtph_ps(_mm_load_si128(reinterpret_cast<const __m128i*>(halves))));
        _mm256_storeu_ps(out + 8, _mm256_cvtph_ps(_mm_load_si128(reinterpret_cast<const __m128i*>(halves + 8))));
        return f32x16<Arch>::load(out);
    }
#endif
    float out[16];
    for (std::size_t r = 0; r < 16; ++r) out[r] = formats_detail::load_f16(p + r * stride);
    return f32x16<Arch>::load(out);
}
/// One word per row at p.
template <class Arch>
[[gnu::always_inline]] inline u32x16<Arch> load_words(const std::byte* p, std::size_t stride) {
    std::uint32_t words[16];
    unroll<16>([&](auto r) __attribute__((always_inline)) { std::memcpy(&words[r], p + r * stride, 4); });
    return u32x16<Arch>::load(words);
}
/// The f16 in the low 16 bits of each lane.
template <class Arch>
[[gnu::always_inline]] inline f32x16<Arch> low_half_to_float(u32x16<Arch> x) {
#if defined(LAB_AVX512)
    if constexpr (has_avx512<Arch>)
        return std::bit_cast<f32x16<Arch>>(
            _mm512_maskz_cvtph_ps(0xffff, _mm512_maskz_cvtepi32_epi16(0xffff, std::bit_cast<__m512i>(x))));
#endif
#if defined(LAB_AVX2)
    if constexpr (std::is_same_v<Arch, arch::avx2>) {
        const u32x16<Arch> low = x & 0xffffu;
        const __m256i packed = _mm256_permute4x64_epi64(
            _mm256_packus_epi32(std::bit_cast<__m256i>(low.v[0]), std::bit_cast<__m256i>(low.v[1])), 0xd8);
        f32x16<Arch> out;
        out.v[0] = _mm256_cvtph_ps(_mm256_castsi256_si128(packed));
        out.v[1] = _mm256_cvtph_ps(_mm256_extracti128_si256(packed, 1));
        return out;
    }
#endif
    std::uint32_t words[16];
    float out[16];
    x.store(words);
    for (std::size_t r = 0; r < 16; ++r) out[r] = to_float(f16{static_cast<std::uint16_t>(words[r])});
    return f32x16<Arch>::load(out);
}
/// The low four bits of each lane, less `Bias`, as a float.
template <int Bias, class Arch>
[[gnu::always_inline]] inline f32x16<Arch> nibble_to_float(u32x16<Arch> x) {
#if defined(LAB_AVX512)
    if constexpr (has_avx512<Arch>) {
        constexpr float b = Bias;
        const __m512 table = _mm512_setr_ps(-b, 1 - b, 2 - b, 3 - b, 4 - b, 5 - b, 6 - b, 7 - b, 8 - b, 9 - b, 10 - b,
                                            11 - b, 12 - b, 13 - b, 14 - b, 15 - b);
        return std::bit_cast<f32x16<Arch>>(_mm512_maskz_permutexvar_ps(0xffff, std::bit_cast<__m512i>(x), table));
    }
#endif
    return to_float(x & 15u) - f32x16<Arch>::broadcast(Bias);
}
/// Byte `b` of each lane as a signed integer.
template <class Arch>
[[gnu::always_inline]] inline f32x16<Arch> signed_byte_to_float(u32x16<Arch> x, unsigned b) {
    return to_float(shift_signed(x << (24 - 8 * b), 24));
}
/// Words [0, 8) of 16 rows.
template <class Arch>
[[gnu::always_inline]] inline void load_eight_columns(const std::byte* p, std::size_t stride, u32x16<Arch> (&out)[8]) {
    u32x16<Arch> four[4];
    for (std::size_t half = 0; half < 2; ++half) {
        load_columns<Arch>(p + 16 * half, stride, four);
        for (std::size_t w = 0; w < 4; ++w) out[4 * half + w] = four[w];
    }
}
/// The low five bits of each lane, less `Bias`, as a float.
template <int Bias, class Arch>
[[gnu::always_inline]] inline f32x16<Arch> five_bits_to_float(u32x16<Arch> x) {
#if defined(LAB_AVX512)
    if constexpr (has_avx512<Arch>) {
        constexpr float b = Bias, c = 16 - Bias;
        const __m512 low = _mm512_setr_ps(-b, 1 - b, 2 - b, 3 - b, 4 - b, 5 - b, 6 - b, 7 - b, 8 - b, 9 - b, 10 - b,
                                          11 - b, 12 - b, 13 - b, 14 - b, 15 - b);
        const __m512 high = _mm512_setr_ps(c, 1 + c, 2 + c, 3 + c, 4 + c, 5 + c, 6 + c, 7 + c, 8 + c, 9 + c, 10 + c,
                                           11 + c, 12 + c, 13 + c, 14 + c, 15 + c);
        return std::bit_cast<f32x16<Arch>>(_mm512_permutex2var_ps(low, std::bit_cast<__m512i>(x), high));
    }
#endif
    return to_float(x & 31u) - f32x16<Arch>::broadcast(Bias);
}
/// Bits 0 to 3 of each lane, one to bit 4 of each byte.
template <class Arch>
[[gnu::always_inline]] inline u32x16<Arch> spread_bits(u32x16<Arch> x) {
    return (((x & 15u) * 0x00204081u) & 0x01010101u) << 4;
}
}  // namespace detail

/// Reads one block of F (or 4 or 8 elements of the plain floats) of 16 rows that start at p, `stride` bytes apart:
/// calls sink(k, values) for each column k of the block in order.
template <class Arch, class F>
struct column_reader;

template <class Arch>
struct column_reader<Arch, format::f32> {
    static constexpr std::size_t step = 4;
    template <class Sink>
    [[gnu::always_inline]] static void read(const std::byte* p, std::size_t stride, Sink&& sink) {
        u32x16<Arch> words[4];
        load_columns<Arch>(p, stride, words);
        unroll<4>([&](auto k) __attribute__((always_inline)) { sink(k, as_float(words[k])); });
    }
};
template <class Arch>
struct column_reader<Arch, format::bf16> {
    static constexpr std::size_t step = 8;
    template <class Sink>
    [[gnu::always_inline]] static void read(const std::byte* p, std::size_t stride, Sink&& sink) {
        u32x16<Arch> words[4];
        load_columns<Arch>(p, stride, words);
        unroll<4>([&](auto w) __attribute__((always_inline)) {
            sink(2 * w, as_float(words[w] << 16));
            sink(2 * w + 1, as_float(words[w] & 0xffff0000u));
        });
    }
};
template <class Arch>
struct column_reader<Arch, format::f16> {
    static constexpr std::size_t step = 8;
    template <class Sink>
    [[gnu::always_inline]] static void read(const std::byte* p, std::size_t stride, Sink&& sink) {
        u32x16<Arch> words[4];
        load_columns<Arch>(p, stride, words);
        unroll<4>([&](auto w) __attribute__((always_inline)) {
            sink(2 * w, detail::low_half_to_float(words[w]));
            sink(2 * w + 1, detail::low_half_to_float(words[w] >> 16));
        });
    }
};
template <class Arch>
struct column_reader<Arch, format::q8_0> {
    static constexpr std::size_t step = 32;
    template <class Sink>
    [[gnu::always_inline]] static void read(const std::byte* p, std::size_t stride, Sink&& sink) {
        const auto d = detail::load_halves<Arch>(p, stride);
        for (std::size_t half = 0; half < 32; half += 16) {
            u32x16<Arch> words[4];
            load_columns<Arch>(p + 2 + half, stride, words);
            for (std::size_t w = 0; w < 4; ++w)
                unroll<4>([&](auto b) __attribute__((always_inline)) {
                    sink(half + 4 * w + b, d * detail::signed_byte_to_float(words[w], b));
                });
        }
    }
};

namespace detail {
/// The four 32-element formats of 4 and 5 bits: x = d q + m, or d (q - bias) where the format has no minimum.
template <class Arch, std::size_t Nibbles, bool Minimum, bool Fifth, class Sink>
[[gnu::always_inline]] inline void read_nibbles(const std::byte* p, std::size_t stride, Sink&& sink) {
    using v = f32x16<Arch>;
    constexpr int bias = Minimum ? 0 : Fifth ? 16 : 8;
    v d, m{};
    if constexpr (Minimum) {
        const u32x16<Arch> both = load_words<Arch>(p, stride);
        d = low_half_to_float(both), m = low_half_to_float(both >> 16);
    } else {
        d = load_halves<Arch>(p, stride);
    }
    u32x16<Arch> words[4], high{};
    if constexpr (Fifth) high = load_words<Arch>(p + Nibbles - 4, stride);
    load_columns<Arch>(p + Nibbles, stride, words);
    for (std::size_t half = 0; half < 2; ++half)  // low nibbles, then high
        for (std::size_t w = 0; w < 4; ++w) {
            u32x16<Arch> word = words[w];
            words[w] = word >> 4;
            if constexpr (Fifth) {
                word = (word & 0x0f0f0f0fu) | spread_bits(high);
                high = high >> 4;
            }
            unroll<4>([&](auto b) __attribute__((always_inline)) {
                v q;
                if constexpr (Fifth)
                    q = five_bits_to_float<bias>(word >> (8 * b));
                else
                    q = nibble_to_float<bias>(word >> (8 * b));
                sink(16 * half + 4 * w + b, Minimum ? fma(d, q, m) : d * q);
            });
        }
}
}  // namespace detail

template <class Arch>
struct column_reader<Arch, format::q4_0> {
    static constexpr std::size_t step = 32;
    template <class Sink>
    [[gnu::always_inline]] static void read(const std::byte* p, std::size_t stride, Sink&& sink) {
        detail::read_nibbles<Arch, 2, false, false>(p, stride, sink);
    }
};
template <class Arch>
struct column_reader<Arch, format::q4_1> {
    static constexpr std::size_t step = 32;
    template <class Sink>
    [[gnu::always_inline]] static void read(const std::byte* p, std::size_t stride, Sink&& sink) {
        detail::read_nibbles<Arch, 4, true, false>(p, stride, sink);
    }
};
template <class Arch>
struct column_reader<Arch, format::q5_0> {
    static constexpr std::size_t step = 32;
    template <class Sink>
    [[gnu::always_inline]] static void read(const std::byte* p, std::size_t stride, Sink&& sink) {
        detail::read_nibbles<Arch, 6, false, true>(p, stride, sink);
    }
};
template <class Arch>
struct column_reader<Arch, format::q5_1> {
    static constexpr std::size_t step = 32;
    template <class Sink>
    [[gnu::always_inline]] static void read(const std::byte* p, std::size_t stride, Sink&& sink) {
        detail::read_nibbles<Arch, 8, true, true>(p, stride, sink);
    }
};

namespace detail {
/// q4_k and q5_k: x = (d sc_j) q - dmin m_j for sub-block j of 32; scales and minima are packed in 6 bits
/// (core/dtype.hpp).
template <class Arch, bool Fifth, class Sink>
[[gnu::always_inline]] inline void read_k(const std::byte* p, std::size_t stride, Sink&& sink) {
    using v = f32x16<Arch>;
    using u = u32x16<Arch>;
    u head[4];  // d and dmin, then the three words of scales
    load_columns<Arch>(p, stride, head);
    const v d = low_half_to_float(head[0]), dmin = low_half_to_float(head[0] >> 16);
    constexpr std::size_t nibbles = Fifth ? 48 : 16;
    for (std::size_t j = 0; j < 8; j += 2) {  // a pair of sub-blocks shares 32 bytes: low nibbles, then high
        u words[8], high[Fifth ? 8 : 1] = {};
        load_eight_columns<Arch>(p + nibbles + 16 * j, stride, words);
        if constexpr (Fifth) {
            load_eight_columns<Arch>(p + 16, stride, high);
            for (u& h : high) h = h >> static_cast<unsigned>(j);
        }
        for (std::size_t sub = 0; sub < 2; ++sub) {
            const auto shift = static_cast<unsigned>(8 * ((j + sub) % 4));
            const u s = head[1] >> shift, m = head[2] >> shift, both = head[3] >> shift;
            const u sc = j < 4 ? s & 63u : (both & 15u) | ((s >> 2) & 48u);
            const u mn = j < 4 ? m & 63u : ((both >> 4) & 15u) | ((m >> 2) & 48u);
            const v scale = d * to_float(sc);
            const v minimum = dmin * to_float(mn) * v::broadcast(-1.0f);  // keeps a zero's sign, as subtracting does
            for (std::size_t w = 0; w < 8; ++w) {
                u word = words[w];
                words[w] = word >> 4;
                if constexpr (Fifth) {
                    word = (word & 0x0f0f0f0fu) | ((high[w] << 4) & 0x10101010u);
                    high[w] = high[w] >> 1;
                }
                unroll<4>([&](auto b) __attribute__((always_inline)) {
                    v q;
                    if constexpr (Fifth)
                        q = five_bits_to_float<0>(word >> (8 * b));
                    else
                        q = nibble_to_float<0>(word >> (8 * b));
                    sink(32 * (j + sub) + 4 * w + b, fma(scale, q, minimum));
                });
            }
        }
    }
}
}  // namespace detail

template <class Arch>
struct column_reader<Arch, format::q4_k> {
    static constexpr std::size_t step = 256;
    template <class Sink>
    [[gnu::always_inline]] static void read(const std::byte* p, std::size_t stride, Sink&& sink) {
        detail::read_k<Arch, false>(p, stride, sink);
    }
};
template <class Arch>
struct column_reader<Arch, format::q5_k> {
    static constexpr std::size_t step = 256;
    template <class Sink>
    [[gnu::always_inline]] static void read(const std::byte* p, std::size_t stride, Sink&& sink) {
        detail::read_k<Arch, true>(p, stride, sink);
    }
};
template <class Arch>
struct column_reader<Arch, format::q6_k> {
    static constexpr std::size_t step = 256;
    template <class Sink>
    [[gnu::always_inline]] static void read(const std::byte* p, std::size_t stride, Sink&& sink) {
        using v = f32x16<Arch>;
        using u = u32x16<Arch>;
        const v d = detail::load_halves<Arch>(p + 208, stride);
        u scales[4];
        load_columns<Arch>(p + 192, stride, scales);
        for (std::size_t part = 0; part < 8;
             ++part) {  // 32 elements: one shift of the high bits, one nibble of the low
            const std::size_t half = part / 4, quarter = part % 4;
            u low[8], high[8];
            detail::load_eight_columns<Arch>(p + 64 * half + 32 * (quarter % 2), stride, low);
            detail::load_eight_columns<Arch>(p + 128 + 32 * half, stride, high);
            const u word_of_scales = scales[part / 2] >> static_cast<unsigned>(16 * (part % 2));
            const v scale[2] = {d * detail::signed_byte_to_float(word_of_scales, 0),
                                d * detail::signed_byte_to_float(word_of_scales, 1)};
            const auto nibble = static_cast<unsigned>(4 * (quarter / 2)), pair = static_cast<unsigned>(2 * quarter);
            for (std::size_t w = 0; w < 8; ++w) {
                const u six = ((low[w] >> nibble) & 0x0f0f0f0fu) | (((high[w] >> pair) & 0x03030303u) << 4);
                const u word = subtract_bytes(six, 32);
                unroll<4>([&](auto b) __attribute__((always_inline)) {
                    sink(32 * part + 4 * w + b, scale[w / 4] * detail::signed_byte_to_float(word, b));
                });
            }
        }
    }
};

/// Calls sink(group, k, values) for columns [0, depth) of `Groups` groups of 16 rows from p on, k ascending within each
/// group; depth is a multiple of F's block.
template <class Arch, class F, std::size_t Groups, class Sink>
[[gnu::always_inline]] inline void read_columns(const std::byte* p, std::size_t stride, std::size_t depth,
                                                Sink&& sink) {
    std::size_t k = 0;
    if constexpr (has_avx2<Arch>) {
        using reader = column_reader<Arch, F>;
        for (; k + reader::step <= depth; k += reader::step)
            unroll<Groups>([&](auto g) __attribute__((always_inline)) {
                reader::read(
                    p + 16 * g * stride + k / F::block * F::bytes,
                    stride, [&](std::size_t i, f32x16<Arch> values) __attribute__((always_inline)) {
                        sink(g, k + i, values);
                    });
            });
    }
    if constexpr (!has_avx2<Arch> || F::block == 1)  // a plain processor, or what is left at the end of a row
        for (; k < depth; k += F::block)
            for (std::size_t g = 0; g < Groups; ++g) {
                float block[16][F::block];
                for (std::size_t r = 0; r < 16; ++r)
                    F::decode(p + (16 * g + r) * stride + k / F::block * F::bytes, block[r]);
                for (std::size_t i = 0; i < F::block; ++i) {
                    float lanes[16];
                    for (std::size_t r = 0; r < 16; ++r) lanes[r] = block[r][i];
                    sink(g, k + i, f32x16<Arch>::load(lanes));
                }
            }
}

}  // namespace LAB_ISA
}  // namespace lab::kernels
