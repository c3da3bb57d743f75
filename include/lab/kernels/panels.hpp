// Weights in the order in which the products of panel_products.hpp read them: panels of 16 rows of the weight (columns
// of the product), each in cells of 32 terms; a cell's bytes are those of the format, turned so that a register holds
// four successive terms of 16 columns. A panel takes the bytes of its rows (k-quants: 3 % more, their scales are
// unpacked). Packing is exact; the layout is the same for every processor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "lab/core/backend.hpp"
#include "lab/core/dtype.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/kernels/columns.hpp"
#include "lab/kernels/simd.hpp"

namespace lab::kernels {
inline namespace LAB_ISA {

/// Rows of the weight in a panel.
inline constexpr std::size_t panel_columns = 16;

namespace detail {

/// The f16 at `offset` of each of 16 rows, side by side.
inline void gather_halves(const std::byte* rows, std::size_t stride, std::byte* out) {
    for (std::size_t r = 0; r < panel_columns; ++r) std::memcpy(out + 2 * r, rows + r * stride, 2);
}
template <class Arch>
[[gnu::always_inline]] inline void store_words(u32x16<Arch> words, std::byte* out) {
    words.store(reinterpret_cast<std::uint32_t*>(out));
}
template <class Arch>
[[gnu::always_inline]] inline u32x16<Arch> load_stored_words(const std::byte* p) {
    return u32x16<Arch>::load(reinterpret_cast<const std::uint32_t*>(p));
}
/// Sixteen f16 side by side, as floats.
template <class Arch>
[[gnu::always_inline]] inline f32x16<Arch> load_stored_halves(const std::byte* p) {
#if defined(LAB_AVX512)
    if constexpr (has_avx512<Arch>)
        return std::bit_cast<f32x16<Arch>>(
            _mm512_maskz_cvtph_ps(0xffff, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
#endif
#if defined(LAB_AVX2)
    if constexpr (std::is_same_v<Arch, arch::avx2>) {
        f32x16<Arch> out;
        LAB_UNROLL for (std::size_t i = 0; i < 2; ++i) out.v[i] =
            _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 16 * i)));
        return out;
    }
#endif
    return load_halves<Arch>(p, 2);
}
/// Sixteen bytes side by side as words, zero- or sign-extended.
template <class Arch, bool Signed>
[[gnu::always_inline]] inline u32x16<Arch> load_stored_bytes(const std::byte* p) {
#if defined(LAB_AVX512)
    if constexpr (has_avx512<Arch>) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
        return std::bit_cast<u32x16<Arch>>(Signed ? _mm512_maskz_cvtepi8_epi32(0xffff, bytes)
                                                  : _mm512_maskz_cvtepu8_epi32(0xffff, bytes));
    }
#endif
#if defined(LAB_AVX2)
    if constexpr (std::is_same_v<Arch, arch::avx2>) {
        u32x16<Arch> out;
        LAB_UNROLL for (std::size_t i = 0; i < 2; ++i) {
            const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + 8 * i));
            out.v[i] =
                (typename u32x16<Arch>::part)(Signed ? _mm256_cvtepi8_epi32(bytes) : _mm256_cvtepu8_epi32(bytes));
        }
        return out;
    }
#endif
    std::uint32_t words[16];
    for (std::size_t i = 0; i < 16; ++i)
        words[i] = Signed
                       ? static_cast<std::uint32_t>(static_cast<std::int32_t>(formats_detail::load<std::int8_t>(p + i)))
                       : formats_detail::u8(p[i]);
    return u32x16<Arch>::load(words);
}

/// Low nibbles of words a with, in the high half, those of b.
template <class Arch>
[[gnu::always_inline]] inline u32x16<Arch> join_nibbles(u32x16<Arch> a, u32x16<Arch> b) {
    return (a & 0x0f0f0f0fu) | ((b & 0x0f0f0f0fu) << 4);
}
/// Step g of 8 of a cell of nibbles: terms 4g to 4g + 3.
template <class Arch>
[[gnu::always_inline]] inline u32x16<Arch> nibbles(const std::byte* cell, std::size_t g) {
    const auto words = load_stored_words<Arch>(cell + 64 * (g % 4));
    return (g < 4 ? words : words >> 4) & 0x0f0f0f0fu;
}
/// The fifth bits of step g, in place: bit g of each byte.
template <class Arch>
[[gnu::always_inline]] inline u32x16<Arch> fifth_bits(u32x16<Arch> bits, std::size_t g) {
    return (g <= 4 ? bits << static_cast<unsigned>(4 - g) : bits >> static_cast<unsigned>(g - 4)) & 0x10101010u;
}
/// Bit e of each word, term e's fifth -> bit g of byte i, e = 4g + i.
template <class Arch>
[[gnu::always_inline]] inline u32x16<Arch> turn_bits(u32x16<Arch> bits) {
    auto out = u32x16<Arch>::broadcast(0);
    unroll<8>([&](auto g) __attribute__((always_inline)) {
        out = out | ((((bits >> (4 * g)) & 15u) * 0x00204081u & 0x01010101u) << g);
    });
    return out;
}

}  // namespace detail

/// How a format lies in a panel and is read from it. `terms` per unit, `bytes` per unit of 16 columns; `pack` copies a
/// unit from 16 rows. Reading, for formats with integer products: w = scale (q - `offset`) - or + minimum, q unsigned:
///   reader(unit).q(cell, g)         q of terms 4g to 4g + 3 of 16 columns
///   reader(unit).scale(cell, half)  `halves` scales to a cell
///   reader(unit).minimum(cell)      added once per term, where `has_minimum`
/// Formats with float products have none of these (bf16, f16, f32: see panel_products.hpp).
template <class Arch, class F>
struct panel;

namespace detail {

/// The formats of 32 terms with nibbles: scale, minimum, fifth bits.
template <class Arch, class F, bool Minimum, bool Fifth, unsigned Offset>
struct nibble_panel {
    static constexpr std::size_t terms = 32, halves = 1;
    static constexpr unsigned offset = Offset, most = Fifth ? 31 : 15;
    static constexpr bool has_minimum = Minimum;
    static constexpr std::size_t minima = 32, bits = Minimum ? 64 : 32, quants = bits + (Fifth ? 64 : 0),
                                 bytes = quants + 256;
    static_assert(bytes == panel_columns * F::bytes);

    static void pack(const std::byte* rows, std::size_t stride, std::byte* out) {
        gather_halves(rows, stride, out);
        if constexpr (Minimum) gather_halves(rows + 2, stride, out + minima);
        if constexpr (Fifth)
            store_words<Arch>(turn_bits<Arch>(load_words<Arch>(rows + F::bytes - 20, stride)), out + bits);
        u32x16<Arch> words[4];
        load_columns<Arch>(rows + F::bytes - 16, stride, words);
        unroll<4>([&](auto w) __attribute__((always_inline)) { store_words<Arch>(words[w], out + quants + 64 * w); });
    }

    const std::byte* unit;
    [[gnu::always_inline]] u32x16<Arch> q(std::size_t, std::size_t g) const {
        const auto low = nibbles<Arch>(unit + quants, g);
        if constexpr (Fifth) return low | fifth_bits<Arch>(load_stored_words<Arch>(unit + bits), g);
        return low;
    }
    [[gnu::always_inline]] f32x16<Arch> scale(std::size_t, std::size_t) const { return load_stored_halves<Arch>(unit); }
    [[gnu::always_inline]] f32x16<Arch> minimum(std::size_t) const { return load_stored_halves<Arch>(unit + minima); }
};

/// q4_k and q5_k: cells of 16 scales, 16 minima, nibbles and fifth bits under the two scales of 256 terms.
template <class Arch, class F, bool Fifth>
struct k_panel {
    static constexpr std::size_t terms = 256, halves = 1;
    static constexpr unsigned offset = 0, most = Fifth ? 31 : 15;
    static constexpr bool has_minimum = true;
    static constexpr std::size_t header = 64, bits = 32, quants = bits + (Fifth ? 64 : 0), cell_bytes = quants + 256,
                                 bytes = header + 8 * cell_bytes;

    static void pack(const std::byte* rows, std::size_t stride, std::byte* out) {
        gather_halves(rows, stride, out);
        gather_halves(rows + 2, stride, out + 32);
        for (unsigned j = 0; j < 8; ++j)
            for (std::size_t r = 0; r < panel_columns; ++r) {
                const auto [scale, minimum] = formats_detail::k_scale_min(rows + r * stride + 4, j);
                std::byte* cell = out + header + j * cell_bytes;
                cell[r] = static_cast<std::byte>(scale);
                cell[16 + r] = static_cast<std::byte>(minimum);
            }
        for (std::size_t pair = 0; pair < 4; ++pair) {
            u32x16<Arch> words[8];
            load_eight_columns<Arch>(rows + F::bytes - 128 + 32 * pair, stride, words);
            std::byte* cell = out + header + 2 * pair * cell_bytes + quants;
            for (std::size_t w = 0; w < 4; ++w) {
                store_words<Arch>(join_nibbles<Arch>(words[w], words[w + 4]), cell + 64 * w);
                store_words<Arch>(join_nibbles<Arch>(words[w] >> 4, words[w + 4] >> 4), cell + cell_bytes + 64 * w);
            }
        }
        if constexpr (Fifth) {
            u32x16<Arch> words[8];
            load_eight_columns<Arch>(rows + 16, stride, words);
            for (unsigned j = 0; j < 8; ++j) {
                auto turned = u32x16<Arch>::broadcast(0);
                for (unsigned g = 0; g < 8; ++g) turned = turned | (((words[g] >> j) & 0x01010101u) << g);
                store_words<Arch>(turned, out + header + j * cell_bytes + bits);
            }
        }
    }

    const std::byte* unit;
    [[gnu::always_inline]] const std::byte* cell(std::size_t j) const { return unit + header + j * cell_bytes; }
    [[gnu::always_inline]] u32x16<Arch> q(std::size_t j, std::size_t g) const {
        const auto low = nibbles<Arch>(cell(j) + quants, g);
        if constexpr (Fifth) return low | fifth_bits<Arch>(load_stored_words<Arch>(cell(j) + bits), g);
        return low;
    }
    [[gnu::always_inline]] f32x16<Arch> scale(std::size_t j, std::size_t) const {
        return load_stored_halves<Arch>(unit) * to_float(load_stored_bytes<Arch, false>(cell(j)));
    }
    [[gnu::always_inline]] f32x16<Arch> minimum(std::size_t j) const {
        const auto m = load_stored_halves<Arch>(unit + 32) * to_float(load_stored_bytes<Arch, false>(cell(j) + 16));
        return f32x16<Arch>::broadcast(0.0f) - m;
    }
};

}  // namespace detail

template <class Arch>
struct panel<Arch, format::q4_0> : detail::nibble_panel<Arch, format::q4_0, false, false, 8> {};
template <class Arch>
struct panel<Arch, format::q4_1> : detail::nibble_panel<Arch, format::q4_1, true, false, 0> {};
template <class Arch>
struct panel<Arch, format::q5_0> : detail::nibble_panel<Arch, format::q5_0, false, true, 16> {};
template <class Arch>
struct panel<Arch, format::q5_1> : detail::nibble_panel<Arch, format::q5_1, true, true, 0> {};
template <class Arch>
struct panel<Arch, format::q4_k> : detail::k_panel<Arch, format::q4_k, false> {};
template <class Arch>
struct panel<Arch, format::q5_k> : detail::k_panel<Arch, format::q5_k, true> {};

template <class Arch>
struct panel<Arch, format::q8_0> {
    static constexpr std::size_t terms = 32, halves = 1, bytes = 32 + 8 * 64;
    static constexpr unsigned offset = 128, most = 255;  // signed bytes, their sign bit flipped
    static constexpr bool has_minimum = false;

    static void pack(const std::byte* rows, std::size_t stride, std::byte* out) {
        detail::gather_halves(rows, stride, out);
        u32x16<Arch> words[8];
        detail::load_eight_columns<Arch>(rows + 2, stride, words);
        for (std::size_t w = 0; w < 8; ++w) detail::store_words<Arch>(subtract_bytes(words[w], 128), out + 32 + 64 * w);
    }

    const std::byte* unit;
    [[gnu::always_inline]] u32x16<Arch> q(std::size_t, std::size_t g) const {
        return detail::load_stored_words<Arch>(unit + 32 + 64 * g);
    }
    [[gnu::always_inline]] f32x16<Arch> scale(std::size_t, std::size_t) const {
        return detail::load_stored_halves<Arch>(unit);
    }
};

template <class Arch>
struct panel<Arch, format::q6_k> {
    static constexpr std::size_t terms = 256, halves = 2;
    static constexpr unsigned offset = 32, most = 63;
    static constexpr bool has_minimum = false;
    // A cell: scales of its first and second 16 terms, bit pairs of steps 0-3 and 4-7, nibbles.
    static constexpr std::size_t header = 32, pairs = 32, quants = pairs + 128, cell_bytes = quants + 256,
                                 bytes = header + 8 * cell_bytes;

    static void pack(const std::byte* rows, std::size_t stride, std::byte* out) {
        detail::gather_halves(rows + 208, stride, out);
        for (std::size_t i = 0; i < 16; ++i)
            for (std::size_t r = 0; r < panel_columns; ++r)
                out[header + i / 2 * cell_bytes + i % 2 * 16 + r] = rows[r * stride + 192 + i];
        for (unsigned half = 0; half < 2; ++half) {
            u32x16<Arch> low[16], high[8];
            for (std::size_t i = 0; i < 4; ++i) {
                u32x16<Arch> four[4];
                load_columns<Arch>(rows + std::size_t{64} * half + 16 * i, stride, four);
                for (std::size_t w = 0; w < 4; ++w) low[4 * i + w] = four[w];
            }
            detail::load_eight_columns<Arch>(rows + 128 + std::size_t{32} * half, stride, high);
            for (unsigned quarter = 0; quarter < 4; ++quarter) {
                std::byte* cell = out + header + (4 * half + quarter) * cell_bytes;
                const u32x16<Arch>* from = low + std::size_t{8} * (quarter & 1);
                for (unsigned w = 0; w < 4; ++w)
                    detail::store_words<Arch>(detail::join_nibbles<Arch>(from[w] >> (4 * (quarter >> 1)),
                                                                         from[w + 4] >> (4 * (quarter >> 1))),
                                              cell + quants + std::size_t{64} * w);
                for (unsigned part = 0; part < 2; ++part) {
                    auto turned = u32x16<Arch>::broadcast(0);
                    for (unsigned u = 0; u < 4; ++u)
                        turned = turned | (((high[4 * part + u] >> (2 * quarter)) & 0x03030303u) << (2 * u));
                    detail::store_words<Arch>(turned, cell + pairs + std::size_t{64} * part);
                }
            }
        }
    }

    const std::byte* unit;
    [[gnu::always_inline]] const std::byte* cell(std::size_t j) const { return unit + header + j * cell_bytes; }
    [[gnu::always_inline]] u32x16<Arch> q(std::size_t j, std::size_t g) const {
        const auto high = detail::load_stored_words<Arch>(cell(j) + pairs + 64 * (g / 4));
        const auto shift = static_cast<unsigned>(2 * (g % 4));
        return detail::nibbles<Arch>(cell(j) + quants, g) |
               ((shift <= 4 ? high << (4 - shift) : high >> (shift - 4)) & 0x30303030u);
    }
    [[gnu::always_inline]] f32x16<Arch> scale(std::size_t j, std::size_t half) const {
        return detail::load_stored_halves<Arch>(unit) *
               to_float(detail::load_stored_bytes<Arch, true>(cell(j) + 16 * half));
    }
};

/// Two successive terms of 16 columns, a word each: what the bfloat16 dot product takes.
template <class Arch>
struct panel<Arch, format::bf16> {
    static constexpr std::size_t terms = 2, bytes = 64;
    static void pack(const std::byte* rows, std::size_t stride, std::byte* out) {
        detail::store_words<Arch>(detail::load_words<Arch>(rows, stride), out);
    }
};
template <class Arch>
struct panel<Arch, format::f16> {
    static constexpr std::size_t terms = 1, bytes = 32;
    static void pack(const std::byte* rows, std::size_t stride, std::byte* out) {
        detail::gather_halves(rows, stride, out);
    }
};

/// Four terms, one after another, each of 16 columns.
template <class Arch>
struct panel<Arch, format::f32> {
    static constexpr std::size_t terms = 4, bytes = 256;
    static void pack(const std::byte* rows, std::size_t stride, std::byte* out) {
        u32x16<Arch> words[4];
        load_columns<Arch>(rows, stride, words);
        unroll<4>([&](auto t) __attribute__((always_inline)) { detail::store_words<Arch>(words[t], out + 64 * t); });
    }
};

/// True when a matrix of this type and row length can be packed.
[[nodiscard]] inline bool has_panels(dtype type, std::size_t columns) {
    return columns != 0 &&
           visit_format(type, [&](auto f) { return columns % panel<arch::scalar, decltype(f)>::terms == 0; });
}
/// Bytes of one panel of rows of `columns` elements, and of all panels of a matrix.
template <class F>
[[nodiscard]] std::size_t panel_bytes(std::size_t columns) {
    return columns / panel<arch::scalar, F>::terms * panel<arch::scalar, F>::bytes;
}
[[nodiscard]] inline std::size_t packed_bytes(const matrix_view& w) {
    return visit_format(w.type, [&](auto f) {
        return (w.rows + panel_columns - 1) / panel_columns * panel_bytes<decltype(f)>(w.columns);
    });
}

/// Packs rows [16 p, 16 p + 16) of w, those beyond its end as zeros.
template <class Arch, class F>
void pack_panel(const matrix_view& w, std::size_t p, std::byte* out) {
    using P = panel<Arch, F>;
    constexpr std::size_t unit = P::terms / F::block * F::bytes;
    const std::size_t stride = w.row_stride(), units = w.columns / P::terms, first = p * panel_columns;
    if (first + panel_columns <= w.rows) {
        const std::byte* rows = w.data + first * stride;
        for (std::size_t u = 0; u < units; ++u) P::pack(rows + u * unit, stride, out + u * P::bytes);
        return;
    }
    std::byte part[panel_columns * unit] = {};
    for (std::size_t u = 0; u < units; ++u) {
        for (std::size_t r = first; r < w.rows; ++r)
            std::memcpy(part + (r - first) * unit, w.data + r * stride + u * unit, unit);
        P::pack(part, unit, out + u * P::bytes);
    }
}

/// Packs all of w into packed_bytes(w) bytes.
template <class Arch>
void pack_matrix(const matrix_view& w, std::byte* out, thread_pool& pool) {
    visit_format(w.type, [&](auto f) {
        using F = decltype(f);
        const std::size_t count = (w.rows + panel_columns - 1) / panel_columns, bytes = panel_bytes<F>(w.columns);
        pool.parallel_for(count, 4, [&](std::size_t begin, std::size_t end, std::size_t) {
            for (std::size_t p = begin; p < end; ++p) pack_panel<Arch, F>(w, p, out + p * bytes);
        });
    });
}

namespace detail {

/// The terms of one column of a unit.
template <class Arch, class F>
void decode_lane(const std::byte* unit, std::size_t lane, float* out) {
    using P = panel<Arch, F>;
    if constexpr (F::id == dtype::f32) {
        for (std::size_t t = 0; t < P::terms; ++t) F::decode(unit + (t * panel_columns + lane) * F::bytes, out + t);
    } else if constexpr (F::block == 1) {
        for (std::size_t t = 0; t < P::terms; ++t) F::decode(unit + (lane * P::terms + t) * F::bytes, out + t);
    } else {
        const P at{unit};
        constexpr std::size_t steps = 8 / P::halves;
        float scale[16], minimum[16];
        std::uint32_t words[16];
        for (std::size_t j = 0; j < P::terms / 32; ++j) {
            if constexpr (P::has_minimum) at.minimum(j).store(minimum);
            for (std::size_t g = 0; g < 8; ++g) {
                if (g % steps == 0) at.scale(j, g / steps).store(scale);
                at.q(j, g).store(words);
                for (unsigned i = 0; i < 4; ++i, ++out) {
                    const auto level = static_cast<int>((words[lane] >> (8 * i)) & 255u) - static_cast<int>(P::offset);
                    *out = scale[lane] * static_cast<float>(level);
                    if constexpr (P::has_minimum) *out += minimum[lane];
                }
            }
        }
    }
}

}  // namespace detail

/// Row `row` of a packed matrix as floats, the same as from where it was packed from.
template <class Arch>
void decode_packed_row(const matrix_view& w, std::size_t row, float* out) {
    visit_format(w.type, [&](auto f) {
        using F = decltype(f);
        using P = panel<Arch, F>;
        const std::byte* unit = w.panels + row / panel_columns * panel_bytes<F>(w.columns);
        for (std::size_t k = 0; k < w.columns; k += P::terms, unit += P::bytes)
            detail::decode_lane<Arch, F>(unit, row % panel_columns, out + k);
    });
}

}  // namespace LAB_ISA
}  // namespace lab::kernels
