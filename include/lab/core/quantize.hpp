// Encoders from f32 to the weight formats f32, f16, bf16, q8_0, q4_0 and q4_1, bit-equal to gguf-py 0.19
// (gguf.quants.quantize) for finite input. The k-quants and q5 formats can be read (dtype.hpp) but not written.
// Sums are taken in double, where they are exact or harmless, so that no compiler flag (FMA contraction) changes a bit.
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

namespace lab {

namespace quantize_detail {

template <class T>
void store(std::byte* at, T value) noexcept {
    std::memcpy(at, &value, sizeof value);
}
/// 1 / d for the scale d; 0 where d is 0.
[[nodiscard]] inline float inverse(float d) noexcept { return d == 0.0f ? 0.0f : 1.0f / d; }

/// trunc(product + shift), clamped to 4 bits. A scale whose inverse overflows is 0 in binary16: any level will do.
[[nodiscard]] inline unsigned nibble(float product, double shift) noexcept {
    const double level = static_cast<double>(product) + shift;
    return std::isfinite(level)
               ? static_cast<unsigned>(std::clamp(static_cast<double>(static_cast<float>(level)), 0.0, 15.0))
               : 0u;
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
/// d = x* / -8 for the x* of largest magnitude, q = trunc(x / d + 8.5), at most 15.
inline void encode_block(format::q4_0, const float* in, std::byte* out) noexcept {
    float extreme = in[0];
    for (std::size_t i = 1; i < 32; ++i)
        if (std::fabs(in[i]) > std::fabs(extreme)) extreme = in[i];
    const float d = extreme / -8.0f, inverse = quantize_detail::inverse(d);
    quantize_detail::store(out, to_f16(d).bits);
    for (std::size_t i = 0; i < 16; ++i) {
        const unsigned low = quantize_detail::nibble(in[i] * inverse, 8.5),
                       high = quantize_detail::nibble(in[i + 16] * inverse, 8.5);
        out[2 + i] = static_cast<std::byte>(low | (high << 4));
    }
}
/// m = min x, d = (max x - m) / 15, q = trunc((x - m) / d + 0.5), at most 15.
inline void encode_block(format::q4_1, const float* in, std::byte* out) noexcept {
    float smallest = in[0], largest = in[0];
    for (std::size_t i = 1; i < 32; ++i) {
        smallest = std::min(smallest, in[i]);
        largest = std::max(largest, in[i]);
    }
    const float d = (largest - smallest) / 15.0f, inverse = quantize_detail::inverse(d);
    quantize_detail::store(out, to_f16(d).bits);
    quantize_detail::store(out + 2, to_f16(smallest).bits);
    for (std::size_t i = 0; i < 16; ++i) {
        const unsigned low = quantize_detail::nibble((in[i] - smallest) * inverse, 0.5);
        const unsigned high = quantize_detail::nibble((in[i + 16] - smallest) * inverse, 0.5);
        out[4 + i] = static_cast<std::byte>(low | (high << 4));
    }
}

/// A format that can be written.
template <class F>
concept EncodableFormat = requires(F f, const float* in, std::byte* out) {
    encode_block(f, in, out);
};

[[nodiscard]] inline bool can_encode(dtype type) {
    return visit_format(type, [](auto f) { return EncodableFormat<decltype(f)>; });
}

/// Encodes `count` floats (a multiple of the block size) from `in` to row_bytes(type, count) bytes at `out`.
/// @throws config_error for a format without an encoder, and for NaN or infinity in a block format, which would
/// silently spoil the whole block.
inline void encode(dtype type, const float* in, std::byte* out, std::size_t count) {
    visit_format(type, [&](auto f) {
        using F = decltype(f);
        if constexpr (EncodableFormat<F>) {
            if constexpr (F::block > 1)
                for (std::size_t i = 0; i < count; ++i)
                    if (!std::isfinite(in[i]))
                        throw config_error(explain("element " + std::to_string(i),
                                                   "is not finite and cannot be stored as " + std::string(F::name)));
            for (std::size_t i = 0; i < count; i += F::block, out += F::bytes) encode_block(f, in + i, out);
        } else {
            throw config_error(
                explain(std::string(F::name), "can be read but not written", "f32, f16, bf16, q8_0, q4_0 or q4_1"));
        }
    });
}

}  // namespace lab
