// 16-bit floats as storage types: IEEE binary16 (f16) and bfloat16 (bf16), converted by bit manipulation.
// Rounding is to nearest, ties to even; NaN stays NaN. Arithmetic is done in float, never in these types.
#pragma once

#include <bit>
#include <cstdint>

namespace lab {

/// IEEE 754 binary16 bits.
struct f16 {
    std::uint16_t bits = 0;
    friend bool operator==(f16, f16) = default;
};
/// bfloat16 bits: the upper half of a binary32.
struct bf16 {
    std::uint16_t bits = 0;
    friend bool operator==(bf16, bf16) = default;
};

[[nodiscard]] constexpr float to_float(bf16 h) noexcept {
    return std::bit_cast<float>(static_cast<std::uint32_t>(h.bits) << 16);
}

[[nodiscard]] constexpr float to_float(f16 h) noexcept {
    const std::uint32_t sign = static_cast<std::uint32_t>(h.bits & 0x8000u) << 16;
    const std::uint32_t exponent = (h.bits >> 10) & 0x1fu;
    const std::uint32_t mantissa = h.bits & 0x3ffu;
    if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
    if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
    // Subnormal: mantissa * 2^-24 is exact in binary32.
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign != 0 ? -magnitude : magnitude;
}

[[nodiscard]] constexpr bf16 to_bf16(float value) noexcept {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<std::uint16_t>((bits >> 16) | 0x40u)};
    return {static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

[[nodiscard]] constexpr f16 to_f16(float value) noexcept {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
    const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000u);
    const std::uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return {static_cast<std::uint16_t>(sign | 0x7e00u)};
    if (magnitude >= 0x477ff000u) return {static_cast<std::uint16_t>(sign | 0x7c00u)};  // rounds to infinity
    const std::uint32_t exponent = magnitude >> 23;
    std::uint32_t mantissa = (magnitude & 0x7fffffu) | 0x800000u;
    std::uint32_t shift = 13;
    if (exponent < 113) {  // becomes subnormal (or zero) in binary16
        shift += 113 - exponent;
        if (shift > 24) return {sign};
        const std::uint32_t half = mantissa >> shift;
        const std::uint32_t rest = mantissa & ((1u << shift) - 1);
        const std::uint32_t mid = 1u << (shift - 1);
        const std::uint32_t rounded =
            half + static_cast<std::uint32_t>(rest > mid || (rest == mid && (half & 1u) != 0));
        return {static_cast<std::uint16_t>(sign | rounded)};
    }
    mantissa &= 0x7fffffu;
    std::uint32_t half = ((exponent - 112) << 10) | (mantissa >> 13);
    const std::uint32_t rest = mantissa & 0x1fffu;
    half += static_cast<std::uint32_t>(rest > 0x1000u || (rest == 0x1000u && (half & 1u) != 0));
    return {static_cast<std::uint16_t>(sign | half)};
}

}  // namespace lab
