// Sums of integer dot products, the inner loop of the products with quantised weights: unsigned bytes of weights times
// signed bytes of activations (at most 127 in magnitude), four terms to a 32-bit lane. Exact, so equal everywhere.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "lab/kernels/simd.hpp"

namespace lab::kernels {
inline namespace LAB_ISA {

namespace detail {

/// A start and the products of up to eight steps; `Most` is the largest byte of the weights. Here with an instruction
/// that adds four products to a lane, or lane by lane.
template <class Arch, unsigned Most>
class dot_sums {
public:
    static constexpr unsigned taken_off = 0;  // from each byte of the weights

    [[gnu::always_inline]] explicit dot_sums(std::uint32_t start) : sums_(u32x16<Arch>::broadcast(start)) {}
    /// Step `step`, counted from 0: w [16 columns][4 terms] times x [4 terms].
    [[gnu::always_inline]] void add(std::size_t, u32x16<Arch> w, std::uint32_t x) {
        if constexpr (has_vnni<Arch>) {
#if defined(LAB_AVX512_VNNI)
            sums_.v[0] = (typename u32x16<Arch>::part)_mm512_dpbusd_epi32((__m512i)sums_.v[0], (__m512i)w.v[0],
                                                                          _mm512_set1_epi32(static_cast<int>(x)));
#endif
        } else {
            std::uint32_t a[16], b[16];
            sums_.store(a);
            w.store(b);
            for (std::size_t i = 0; i < 16; ++i)
                for (unsigned byte = 0; byte < 4; ++byte)
                    a[i] += ((b[i] >> (8 * byte)) & 0xffu) *
                            static_cast<std::uint32_t>(static_cast<std::int32_t>(x << (24 - 8 * byte)) >> 24);
            sums_ = u32x16<Arch>::load(a);
        }
    }
    [[gnu::always_inline]] u32x16<Arch> total() const { return sums_; }

private:
    u32x16<Arch> sums_;
};

#if defined(LAB_AVX2)
/// What AVX2 and plain AVX-512 have instead: products in pairs, in 16 bits.
template <class Arch>
struct byte_pairs {
    using vector = __m256i;
    [[gnu::always_inline]] static vector every(std::uint32_t x) { return _mm256_set1_epi32(static_cast<int>(x)); }
    /// a0 b0 + a1 b1, the bytes of a unsigned.
    [[gnu::always_inline]] static vector multiply(vector a, vector b) { return _mm256_maddubs_epi16(a, b); }
    [[gnu::always_inline]] static vector add(vector a, vector b) { return _mm256_add_epi16(a, b); }
    /// Two pairs to a word.
    [[gnu::always_inline]] static vector widen(vector pairs) { return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)); }
    [[gnu::always_inline]] static vector magnitude(vector a) { return _mm256_abs_epi8(a); }
    /// b, its bytes negated where a's are negative and 0 where they are 0.
    [[gnu::always_inline]] static vector signed_as(vector a, vector b) { return _mm256_sign_epi8(b, a); }
};
#if defined(LAB_AVX512)
template <class Arch>
requires has_avx512<Arch>
struct byte_pairs<Arch> {
    using vector = __m512i;
    static constexpr __mmask64 all = ~__mmask64{0};
    [[gnu::always_inline]] static vector every(std::uint32_t x) { return _mm512_set1_epi32(static_cast<int>(x)); }
    [[gnu::always_inline]] static vector multiply(vector a, vector b) { return _mm512_maskz_maddubs_epi16(~0u, a, b); }
    [[gnu::always_inline]] static vector add(vector a, vector b) { return _mm512_maskz_add_epi16(~0u, a, b); }
    [[gnu::always_inline]] static vector widen(vector pairs) {
        return _mm512_maskz_madd_epi16(0xffff, pairs, _mm512_set1_epi16(1));
    }
    [[gnu::always_inline]] static vector magnitude(vector a) { return _mm512_maskz_abs_epi8(all, a); }
    [[gnu::always_inline]] static vector signed_as(vector a, vector b) {
        return _mm512_mask_sub_epi8(b, _mm512_movepi8_mask(a), _mm512_setzero_si512(), b);
    }
};
#endif

template <class Arch, unsigned Most>
requires(has_avx2<Arch> && !has_vnni<Arch>) class dot_sums<Arch, Most> {
    using op = byte_pairs<Arch>;
    using vector = typename op::vector;
    static constexpr std::size_t parts = u32x16<Arch>::parts;
    static constexpr bool wide = Most > 127;  // a pair of products could exceed 16 bits: signed bytes do not
    static constexpr std::size_t together = wide ? 1 : std::min(8u, 32767 / (2 * 127 * Most));  // steps in 16 bits

public:
    static constexpr unsigned taken_off = wide ? 128 : 0;

    [[gnu::always_inline]] explicit dot_sums(std::uint32_t start) : start_(start) {}
    [[gnu::always_inline]] void add(std::size_t step, u32x16<Arch> w, std::uint32_t x) {
        LAB_UNROLL for (std::size_t i = 0; i < parts; ++i) {
            const vector products = multiply((vector)w.v[i], op::every(x));
            pairs_[i] = step % together == 0 ? products : op::add(pairs_[i], products);
            if constexpr (together > 1) asm("" : "+x"(pairs_[i]));  // now: GCC would put the products aside for later
            if ((step + 1) % together != 0) continue;
            const auto words = (typename u32x16<Arch>::part)op::widen(pairs_[i]);
            sums_.v[i] = step < together ? words : sums_.v[i] + words;
            if constexpr (together == 1) asm("" : "+x"(sums_.v[i]));  // likewise
        }
    }
    /// After a multiple of `together` steps.
    [[gnu::always_inline]] u32x16<Arch> total() const { return sums_ + u32x16<Arch>::broadcast(start_); }

private:
    [[gnu::always_inline]] static vector multiply(vector w, vector x) {
        if constexpr (wide) {
            const vector lowered = (vector)((typename u32x16<Arch>::part)w ^ 0x80808080u);
            return op::multiply(op::magnitude(lowered), op::signed_as(lowered, x));
        } else {
            return op::multiply(w, x);
        }
    }

    std::uint32_t start_;
    vector pairs_[parts];
    u32x16<Arch> sums_;
};
#endif

}  // namespace detail

}  // namespace LAB_ISA
}  // namespace lab::kernels
