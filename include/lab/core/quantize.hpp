// Encoders from f32 to the weight formats, bit-equal to gguf-py 0.19 (gguf.quants.quantize) for finite input; gguf-py
// has none for the k-quants, whose search for the best scales is in quantize_k.hpp. Sums are taken in double, where
// they are exact or harmless, so that no compiler flag (FMA contraction) changes a bit.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

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

}  // namespace quantize_detail

/// Encodes one block (F::block floats) into F::bytes bytes.
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

/// Encodes `count` floats (a multiple of the block size) from `in` to row_bytes(type, count) bytes at `out`.
/// @throws config_error for NaN or infinity in a block format, which would silently spoil the whole block.
inline void encode(dtype type, const float* in, std::byte* out, std::size_t count) {
    visit_format(type, [&](auto f) {
        using F = decltype(f);
        if constexpr (F::block > 1)
            for (std::size_t i = 0; i < count; ++i)
                if (!std::isfinite(in[i]))
                    throw config_error(explain("element " + std::to_string(i),
                                               "is not finite and cannot be stored as " + std::string(F::name)));
        for (std::size_t i = 0; i < count; i += F::block, out += F::bytes) encode_block(f, in + i, out);
    });
}

}  // namespace lab
