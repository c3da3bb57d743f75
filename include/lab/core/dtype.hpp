// The weight formats: plain floats and ggml's block-quantised ones, as a run-time tag (dtype) and as compile-time
// format types with a scalar decoder each. `visit_format` is the one place that turns the tag into the type.
// Layouts: https://github.com/ggml-org/ggml (ggml-common.h, ggml-quants.c). Encoders live in quantize.hpp.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "lab/core/error.hpp"
#include "lab/core/half.hpp"

namespace lab {

enum class dtype : std::uint8_t { f32, f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1, q4_k, q5_k, q6_k };

inline constexpr std::array all_dtypes{dtype::f32,  dtype::f16,  dtype::bf16, dtype::q8_0, dtype::q4_0, dtype::q4_1,
                                       dtype::q5_0, dtype::q5_1, dtype::q4_k, dtype::q5_k, dtype::q6_k};

namespace formats_detail {

/// Unaligned little-endian load; blocks in a mapped file have no alignment of their own.
template <class T>
[[nodiscard]] inline T load(const std::byte* p) noexcept {
    T value;
    std::memcpy(&value, p, sizeof value);
    return value;
}
[[nodiscard]] inline float load_f16(const std::byte* p) noexcept { return to_float(load<f16>(p)); }
[[nodiscard]] inline unsigned u8(std::byte b) noexcept { return std::to_integer<unsigned>(b); }

/// The packed 6-bit (scale, minimum) pair `j` of 8 in a q4_k / q5_k block; `s` points at its 12 bytes.
[[nodiscard]] inline std::pair<unsigned, unsigned> k_scale_min(const std::byte* s, unsigned j) noexcept {
    if (j < 4) return {u8(s[j]) & 63u, u8(s[j + 4]) & 63u};
    return {(u8(s[j + 4]) & 0xfu) | ((u8(s[j - 4]) >> 6) << 4), (u8(s[j + 4]) >> 4) | ((u8(s[j]) >> 6) << 4)};
}

}  // namespace formats_detail

/// A format type: `id`, `name`, `block` (elements per block), `bytes` (per block) and
/// `decode(const std::byte* in, float* out)`, which writes exactly `block` floats. All products below are exact in
/// binary32, so the result does not depend on whether the compiler fuses multiply and add.
namespace format {

struct f32 {
    static constexpr dtype id = dtype::f32;
    static constexpr std::string_view name = "f32";
    static constexpr std::size_t block = 1, bytes = 4;
    static void decode(const std::byte* in, float* out) noexcept { *out = formats_detail::load<float>(in); }
};
struct f16 {
    static constexpr dtype id = dtype::f16;
    static constexpr std::string_view name = "f16";
    static constexpr std::size_t block = 1, bytes = 2;
    static void decode(const std::byte* in, float* out) noexcept { *out = formats_detail::load_f16(in); }
};
struct bf16 {
    static constexpr dtype id = dtype::bf16;
    static constexpr std::string_view name = "bf16";
    static constexpr std::size_t block = 1, bytes = 2;
    static void decode(const std::byte* in, float* out) noexcept {
        *out = to_float(formats_detail::load<lab::bf16>(in));
    }
};
/// f16 d, int8 q[32]: x = d q.
struct q8_0 {
    static constexpr dtype id = dtype::q8_0;
    static constexpr std::string_view name = "q8_0";
    static constexpr std::size_t block = 32, bytes = 34;
    static void decode(const std::byte* in, float* out) noexcept {
        const float d = formats_detail::load_f16(in);
        for (std::size_t i = 0; i < 32; ++i)
            out[i] = d * static_cast<float>(formats_detail::load<std::int8_t>(in + 2 + i));
    }
};
/// f16 d, 16 bytes of nibbles (low half first): x = d (q - 8).
struct q4_0 {
    static constexpr dtype id = dtype::q4_0;
    static constexpr std::string_view name = "q4_0";
    static constexpr std::size_t block = 32, bytes = 18;
    static void decode(const std::byte* in, float* out) noexcept {
        const float d = formats_detail::load_f16(in);
        for (std::size_t i = 0; i < 16; ++i) {
            const unsigned q = formats_detail::u8(in[2 + i]);
            out[i] = d * (static_cast<float>(q & 15u) - 8.0f);
            out[i + 16] = d * (static_cast<float>(q >> 4) - 8.0f);
        }
    }
};
/// f16 d, f16 m, 16 bytes of nibbles: x = d q + m.
struct q4_1 {
    static constexpr dtype id = dtype::q4_1;
    static constexpr std::string_view name = "q4_1";
    static constexpr std::size_t block = 32, bytes = 20;
    static void decode(const std::byte* in, float* out) noexcept {
        const float d = formats_detail::load_f16(in), m = formats_detail::load_f16(in + 2);
        for (std::size_t i = 0; i < 16; ++i) {
            const unsigned q = formats_detail::u8(in[4 + i]);
            out[i] = d * static_cast<float>(q & 15u) + m;
            out[i + 16] = d * static_cast<float>(q >> 4) + m;
        }
    }
};
/// f16 d, 32 high bits, 16 bytes of nibbles: x = d (q - 16).
struct q5_0 {
    static constexpr dtype id = dtype::q5_0;
    static constexpr std::string_view name = "q5_0";
    static constexpr std::size_t block = 32, bytes = 22;
    static void decode(const std::byte* in, float* out) noexcept {
        const float d = formats_detail::load_f16(in);
        const auto high = formats_detail::load<std::uint32_t>(in + 2);
        for (unsigned i = 0; i < 16; ++i) {
            const unsigned q = formats_detail::u8(in[6 + i]);
            out[i] = d * (static_cast<float>((q & 15u) | (((high >> i) & 1u) << 4)) - 16.0f);
            out[i + 16] = d * (static_cast<float>((q >> 4) | (((high >> (i + 16)) & 1u) << 4)) - 16.0f);
        }
    }
};
/// f16 d, f16 m, 32 high bits, 16 bytes of nibbles: x = d q + m.
struct q5_1 {
    static constexpr dtype id = dtype::q5_1;
    static constexpr std::string_view name = "q5_1";
    static constexpr std::size_t block = 32, bytes = 24;
    static void decode(const std::byte* in, float* out) noexcept {
        const float d = formats_detail::load_f16(in), m = formats_detail::load_f16(in + 2);
        const auto high = formats_detail::load<std::uint32_t>(in + 4);
        for (unsigned i = 0; i < 16; ++i) {
            const unsigned q = formats_detail::u8(in[8 + i]);
            out[i] = d * static_cast<float>((q & 15u) | (((high >> i) & 1u) << 4)) + m;
            out[i + 16] = d * static_cast<float>((q >> 4) | (((high >> (i + 16)) & 1u) << 4)) + m;
        }
    }
};
/// f16 d, f16 dmin, 12 bytes of 6-bit scales and minima, 128 bytes of nibbles: x = (d sc) q - dmin m, per 32.
struct q4_k {
    static constexpr dtype id = dtype::q4_k;
    static constexpr std::string_view name = "q4_k";
    static constexpr std::size_t block = 256, bytes = 144;
    static void decode(const std::byte* in, float* out) noexcept {
        const float d = formats_detail::load_f16(in), dmin = formats_detail::load_f16(in + 2);
        for (unsigned j = 0; j < 8; ++j) {
            const auto [sc, m] = formats_detail::k_scale_min(in + 4, j);
            const float scale = d * static_cast<float>(sc), minimum = dmin * static_cast<float>(m);
            const std::byte* q = in + 16 + std::size_t{32} * (j / 2);
            for (unsigned i = 0; i < 32; ++i)
                out[32 * j + i] =
                    scale * static_cast<float>((formats_detail::u8(q[i]) >> (4 * (j & 1u))) & 15u) - minimum;
        }
    }
};
/// q4_k with 32 bytes of fifth bits before the nibbles.
struct q5_k {
    static constexpr dtype id = dtype::q5_k;
    static constexpr std::string_view name = "q5_k";
    static constexpr std::size_t block = 256, bytes = 176;
    static void decode(const std::byte* in, float* out) noexcept {
        const float d = formats_detail::load_f16(in), dmin = formats_detail::load_f16(in + 2);
        for (unsigned j = 0; j < 8; ++j) {
            const auto [sc, m] = formats_detail::k_scale_min(in + 4, j);
            const float scale = d * static_cast<float>(sc), minimum = dmin * static_cast<float>(m);
            const std::byte *high = in + 16, *q = in + 48 + std::size_t{32} * (j / 2);
            for (unsigned i = 0; i < 32; ++i) {
                const unsigned low = (formats_detail::u8(q[i]) >> (4 * (j & 1u))) & 15u;
                const unsigned fifth = (formats_detail::u8(high[i]) >> j) & 1u;
                out[32 * j + i] = scale * static_cast<float>(low | (fifth << 4)) - minimum;
            }
        }
    }
};
/// 128 bytes of low nibbles, 64 of high bit pairs, int8 scales[16], f16 d: x = (d sc) (q - 32), per 16.
struct q6_k {
    static constexpr dtype id = dtype::q6_k;
    static constexpr std::string_view name = "q6_k";
    static constexpr std::size_t block = 256, bytes = 210;
    static void decode(const std::byte* in, float* out) noexcept {
        const float d = formats_detail::load_f16(in + 208);
        for (unsigned i = 0; i < 256; ++i) {
            const unsigned half = i / 128, quarter = (i % 128) / 32, j = i % 32;
            const unsigned low = formats_detail::u8(in[64 * half + 32 * (quarter & 1u) + j]) >> (4 * (quarter >> 1));
            const unsigned high = formats_detail::u8(in[128 + 32 * half + j]) >> (2 * quarter);
            const auto q = static_cast<float>((low & 15u) | ((high & 3u) << 4)) - 32.0f;
            const auto sc = static_cast<float>(formats_detail::load<std::int8_t>(in + 192 + i / 16));
            out[i] = d * sc * q;
        }
    }
};

}  // namespace format

/// Calls `f(format::x{})` for the format that `type` names and returns its result.
/// @throws format_error for a value outside the enumeration.
template <class F>
constexpr decltype(auto) visit_format(dtype type, F&& f) {
    switch (type) {
        case dtype::f32:
            return std::forward<F>(f)(format::f32{});
        case dtype::f16:
            return std::forward<F>(f)(format::f16{});
        case dtype::bf16:
            return std::forward<F>(f)(format::bf16{});
        case dtype::q8_0:
            return std::forward<F>(f)(format::q8_0{});
        case dtype::q4_0:
            return std::forward<F>(f)(format::q4_0{});
        case dtype::q4_1:
            return std::forward<F>(f)(format::q4_1{});
        case dtype::q5_0:
            return std::forward<F>(f)(format::q5_0{});
        case dtype::q5_1:
            return std::forward<F>(f)(format::q5_1{});
        case dtype::q4_k:
            return std::forward<F>(f)(format::q4_k{});
        case dtype::q5_k:
            return std::forward<F>(f)(format::q5_k{});
        case dtype::q6_k:
            return std::forward<F>(f)(format::q6_k{});
    }
    throw format_error("dtype " + std::to_string(static_cast<int>(type)) + " is not a weight format");
}

[[nodiscard]] inline std::string_view name_of(dtype type) {
    return visit_format(type, [](auto f) { return decltype(f)::name; });
}
/// Elements per block: 1, 32 or 256.
[[nodiscard]] inline std::size_t block_size(dtype type) {
    return visit_format(type, [](auto f) { return decltype(f)::block; });
}
/// Bytes per block.
[[nodiscard]] inline std::size_t block_bytes(dtype type) {
    return visit_format(type, [](auto f) { return decltype(f)::bytes; });
}
/// Bytes of a row of `columns` elements; `columns` must be a multiple of the block size.
[[nodiscard]] inline std::size_t row_bytes(dtype type, std::size_t columns) {
    return columns / block_size(type) * block_bytes(type);
}

/// Decodes `count` elements (a multiple of the block size) from `in` to `out`.
inline void decode(dtype type, const std::byte* in, float* out, std::size_t count) {
    visit_format(type, [&](auto f) {
        using F = decltype(f);
        for (std::size_t i = 0; i < count; i += F::block, in += F::bytes) F::decode(in, out + i);
    });
}

/// The dtype called `name` ("q4_0").
/// @throws config_error listing the known names.
[[nodiscard]] inline dtype dtype_from_name(std::string_view name) {
    std::string known;
    for (const dtype type : all_dtypes) {
        if (name_of(type) == name) return type;
        known.append(known.empty() ? "" : ", ").append(name_of(type));
    }
    throw config_error(explain("type '" + std::string(name) + "'", "unknown weight format", "one of " + known));
}

}  // namespace lab
