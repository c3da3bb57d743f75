// Encoders from f32 to the weight formats, bit-equal to gguf-py 0.19 (gguf.quants.quantize) for finite input; gguf-py
// has none for the k-quants, whose search for the best scales is in quantize_k.hpp. Sums are taken in double, where
// they are exact or harmless, so that no compiler flag (FMA contraction) changes a bit.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

#include "lab/core/dtype.hpp"
#include "lab/core/error.hpp"
#include "lab/core/half.hpp"
#include "lab/core/quantize_k.hpp"

namespace lab {

namespace quantize_detail {

template <class T>
void store(std::byte* at, T value) noexcept {
    std::memcpy(at, &value, sizeof value);
}
/// 1 / d for the scale d; 0 where d is 0.
[[nodiscard]] inline float inverse(float d) noexcept { return d == 0.0f ? 0.0f : 1.0f / d; }

/// trunc(product + shift), clamped to [0, most]. A scale whose inverse overflows is 0 in binary16: any level will do.
[[nodiscard]] inline unsigned level_of(float product, double shift, double most) noexcept {
    const double level = static_cast<double>(product) + shift;
    return std::isfinite(level)
               ? static_cast<unsigned>(std::clamp(static_cast<double>(static_cast<float>(level)), 0.0, most))
               : 0u;
}
/// Puts 32 levels of up to 5 bits: fifth bits (where the format has them) and nibbles, low halves first.
template <bool Fifth>
void store_levels(const unsigned (&q)[32], std::byte* fifth, std::byte* nibbles) noexcept {
    for (std::size_t i = 0; i < 16; ++i) nibbles[i] = static_cast<std::byte>((q[i] & 15u) | ((q[i + 16] & 15u) << 4));
    if constexpr (Fifth) {
        std::uint32_t bits = 0;
        for (std::size_t i = 0; i < 32; ++i) bits |= (q[i] >> 4) << i;
        store(fifth, bits);
    }
}
/// d = x* / -half for the x* of largest magnitude, q = trunc(x / d + half + 0.5), at most 2 half - 1.
template <bool Fifth>
void encode_symmetric(const float* in, std::byte* out) noexcept {
    constexpr float half = Fifth ? 16.0f : 8.0f;
    float extreme = in[0];
    for (std::size_t i = 1; i < 32; ++i)
        if (std::fabs(in[i]) > std::fabs(extreme)) extreme = in[i];
    const float d = extreme / -half, inverse_d = inverse(d);
    store(out, to_f16(d).bits);
    unsigned q[32];
    for (std::size_t i = 0; i < 32; ++i)
        q[i] = level_of(in[i] * inverse_d, static_cast<double>(half) + 0.5, 2.0 * static_cast<double>(half) - 1.0);
    store_levels<Fifth>(q, out + 2, out + (Fifth ? 6 : 2));
}
/// m = min x, d = (max x - m) / most, q = trunc((x - m) / d + 0.5), at most `most`.
template <bool Fifth>
void encode_with_minimum(const float* in, std::byte* out) noexcept {
    constexpr float most = Fifth ? 31.0f : 15.0f;
    float smallest = in[0], largest = in[0];
    for (std::size_t i = 1; i < 32; ++i) {
        smallest = std::min(smallest, in[i]);
        largest = std::max(largest, in[i]);
    }
    const float d = (largest - smallest) / most, inverse_d = inverse(d);
    store(out, to_f16(d).bits);
    store(out + 2, to_f16(smallest).bits);
    unsigned q[32];
    for (std::size_t i = 0; i < 32; ++i)
        q[i] = level_of((in[i] - smallest) * inverse_d, 0.5, static_cast<double>(most));
    store_levels<Fifth>(q, out + 4, out + (Fifth ? 8 : 4));
}

/// Offsets of the f16 scales in a block.
template <class Format>
[[nodiscard]] constexpr auto scales() noexcept {
    if constexpr (Format::id == dtype::q6_k)
        return std::array{Format::bytes - 2};
    else if constexpr (Format::id == dtype::q8_0 || Format::id == dtype::q4_0 || Format::id == dtype::q5_0)
        return std::array{std::size_t{0}};
    else
        return std::array{std::size_t{0}, std::size_t{2}};
}

}  // namespace quantize_detail

/// Encodes one block (F::block finite floats) into F::bytes bytes. A scale that overflows binary16 becomes infinite
/// (k-quants': its largest number): `encode` refuses those.
inline void encode_block(format::f32, const float* in, std::byte* out) noexcept { quantize_detail::store(out, *in); }
inline void encode_block(format::f16, const float* in, std::byte* out) noexcept {
    quantize_detail::store(out, to_f16(*in).bits);
}
inline void encode_block(format::bf16, const float* in, std::byte* out) noexcept {
    quantize_detail::store(out, to_bf16(*in).bits);
}
/// d = max |x| / 127, q = round(x / d), halves away from zero.
inline void encode_block(format::q8_0, const float* in, std::byte* out) noexcept {
    float largest = 0.0f;
    for (std::size_t i = 0; i < 32; ++i) largest = std::max(largest, std::fabs(in[i]));
    const float d = largest / 127.0f, inverse = quantize_detail::inverse(d);
    quantize_detail::store(out, to_f16(d).bits);
    for (std::size_t i = 0; i < 32; ++i) {
        const float level = std::round(in[i] * inverse);
        quantize_detail::store(out + 2 + i, static_cast<std::int8_t>(std::isfinite(level) ? level : 0.0f));
    }
}
inline void encode_block(format::q4_0, const float* in, std::byte* out) noexcept {
    quantize_detail::encode_symmetric<false>(in, out);
}
inline void encode_block(format::q5_0, const float* in, std::byte* out) noexcept {
    quantize_detail::encode_symmetric<true>(in, out);
}
inline void encode_block(format::q4_1, const float* in, std::byte* out) noexcept {
    quantize_detail::encode_with_minimum<false>(in, out);
}
inline void encode_block(format::q5_1, const float* in, std::byte* out) noexcept {
    quantize_detail::encode_with_minimum<true>(in, out);
}

/// Whether all of `blocks` blocks hold finite numbers alone. Floats are looked at by their bits, of a block its scales
/// alone: its values are finite if and only if these are. @param limit scales from this one on count as not finite
template <class Format>
[[nodiscard]] bool all_finite(const std::byte* in, std::size_t blocks, std::uint16_t limit = 0x7c00) noexcept {
    using formats_detail::load;
    using bits = std::conditional_t<Format::id == dtype::f32, std::uint32_t, std::uint16_t>;
    constexpr bits no_sign = std::numeric_limits<bits>::max() / 2;
    bits top = 0;  // a maximum is what compilers turn into vector instructions
    for (std::size_t b = 0; b < blocks; ++b)
        if constexpr (Format::block == 1)
            top = std::max(top, static_cast<bits>(load<bits>(in + b * Format::bytes) & no_sign));
        else
            for (const std::size_t at : quantize_detail::scales<Format>())
                top = std::max(top, static_cast<bits>(load<bits>(in + b * Format::bytes + at) & no_sign));
    return top < (Format::id == dtype::f32 ? 0x7f800000u : Format::id == dtype::bf16 ? 0x7f80u : limit);
}

/// Encodes `count` floats (a multiple of the block size) from `in` to row_bytes(type, count) bytes at `out`. Returns
/// the place of the first that cannot be stored; `count` where there is none: what is finite must stay so, and NaN and
/// infinity would silently spoil a whole block. Types without blocks carry them.
[[nodiscard]] inline std::size_t try_encode(dtype type, const float* in, std::byte* out, std::size_t count) {
    return visit_format(type, [&](auto f) {
        using F = decltype(f);
        if (F::block > 1 && !all_finite<format::f32>(reinterpret_cast<const std::byte*>(in), count))
            return static_cast<std::size_t>(std::find_if(in, in + count, [](float x) { return !std::isfinite(x); }) -
                                            in);
        for (std::size_t i = 0; i < count; i += F::block) encode_block(f, in + i, out + i / F::block * F::bytes);
        constexpr std::uint16_t limit = F::block == 256 ? 0x7bff : 0x7c00;  // k-quants' encoders stop at the largest
        if (all_finite<F>(out, count / F::block, limit)) return count;
        for (std::size_t i = 0; i < count; i += F::block) {
            if (all_finite<F>(out + i / F::block * F::bytes, 1, limit)) continue;
            const auto less = [](float a, float b) { return std::fabs(a) < std::fabs(b); };
            const float* largest = std::max_element(in + i, in + i + F::block, less);
            if (std::isfinite(*largest)) return static_cast<std::size_t>(largest - in);
        }
        return count;
    });
}

/// What is wrong with a value that `try_encode` stopped at, and how to mend it: for explain().
[[nodiscard]] inline std::pair<std::string, std::string> why_not_stored(float value, dtype type) {
    if (!std::isfinite(value))
        return {std::isnan(value) ? "is not a number" : "is infinite",
                "the file is damaged or its training failed: take an earlier one"};
    char text[32];
    std::snprintf(text, sizeof text, "%g", static_cast<double>(value));
    return {std::string("is ").append(text).append(", too large for ").append(name_of(type)),
            type == dtype::bf16 ? "store it as f32" : "store it as bf16 or f32"};
}

/// `try_encode` of what can be stored. @throws config_error naming the first element that cannot
inline void encode(dtype type, const float* in, std::byte* out, std::size_t count) {
    const std::size_t stopped = try_encode(type, in, out, count);
    if (stopped == count) return;
    const auto [what, fix] = why_not_stored(in[stopped], type);
    throw config_error(explain({}, "element " + std::to_string(stopped) + " " + what, fix));
}

}  // namespace lab
