// Encoders for the k-quants: q4_k, q5_k (scale and minimum to 32 weights) and q6_k (scale to 16), 256 to a block. The
// format leaves the choice of scales open; here each run's are those of least weighted squared error among candidates,
// each refined by linear least squares. Larger weights count more, as they meet larger activations.
// Layouts: https://github.com/ggml-org/ggml (ggml-quants.c).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "lab/core/dtype.hpp"
#include "lab/core/half.hpp"

namespace lab {

namespace quantize_detail {

/// x is nearly scale q - minimum, minimum >= 0.
struct affine {
    double scale = 0.0, minimum = 0.0;
};

/// The levels of 32 weights under a scale and minimum, in [0, most].
inline void levels_under(const affine& a, const float* x, int most, int* q) noexcept {
    for (std::size_t i = 0; i < 32; ++i)
        q[i] = a.scale == 0.0
                   ? 0
                   : static_cast<int>(std::clamp(std::nearbyint((static_cast<double>(x[i]) + a.minimum) / a.scale), 0.0,
                                                 static_cast<double>(most)));
}

/// Scale and minimum for 32 weights on levels [0, most].
[[nodiscard]] inline affine best_affine(const float* x, int most) noexcept {
    double w[32], square = 0.0, low = 0.0, high = static_cast<double>(x[0]);
    for (std::size_t i = 0; i < 32; ++i) {
        const auto v = static_cast<double>(x[i]);
        square += v * v;
        low = std::min(low, v), high = std::max(high, v);
    }
    if (!(high > low)) return {0.0, -low};
    const double typical = std::sqrt(square / 32.0);
    for (std::size_t i = 0; i < 32; ++i) w[i] = typical + std::fabs(static_cast<double>(x[i]));
    affine best{(high - low) / most, -low};
    double least = -1.0;
    const auto consider = [&](const affine& a) {
        int q[32];
        levels_under(a, x, most, q);
        double error = 0.0;
        for (std::size_t i = 0; i < 32; ++i) {
            const double miss = a.scale * q[i] - a.minimum - static_cast<double>(x[i]);
            error += w[i] * miss * miss;
        }
        if (least < 0.0 || error < least) least = error, best = a;
    };
    consider(best);
    for (int step = -10; step <= 10; ++step) {
        // Levels under a wider or narrower spacing, then the scale and minimum that fit those levels best.
        int q[32];
        levels_under({(high - low) / (most + 0.1 * step), -low}, x, most, q);
        double sw = 0.0, sq = 0.0, sqq = 0.0, sx = 0.0, sxq = 0.0;
        for (std::size_t i = 0; i < 32; ++i) {
            const auto v = static_cast<double>(x[i]);
            sw += w[i], sq += w[i] * q[i], sqq += w[i] * q[i] * q[i], sx += w[i] * v, sxq += w[i] * v * q[i];
        }
        const double determinant = sw * sqq - sq * sq;
        if (!(determinant > 0.0)) continue;
        affine a{(sw * sxq - sx * sq) / determinant, (sq * sxq - sqq * sx) / determinant};
        if (a.minimum < 0.0) a = {sxq / sqq, 0.0};
        if (a.scale > 0.0) consider(a);
    }
    return best;
}

/// The value nearest to x / unit in [0, most]; 0 for a unit of 0.
[[nodiscard]] inline unsigned units(double x, double unit, double most) noexcept {
    return unit == 0.0 ? 0u : static_cast<unsigned>(std::clamp(std::nearbyint(x / unit), 0.0, most));
}
[[nodiscard]] inline double rounded_to_f16(double x, std::byte* at) noexcept {
    const f16 h = to_f16(static_cast<float>(std::min(x, 65504.0)));
    std::memcpy(at, &h, 2);
    return static_cast<double>(to_float(h));
}

/// q4_k and q5_k: 8 runs of 32, their scales and minima in 6 bits under two halves.
template <bool Fifth>
void encode_k(const float* in, std::byte* out) noexcept {
    constexpr int most = Fifth ? 31 : 15;
    affine runs[8];
    double top_scale = 0.0, top_minimum = 0.0;
    for (std::size_t j = 0; j < 8; ++j) {
        runs[j] = best_affine(in + 32 * j, most);
        top_scale = std::max(top_scale, runs[j].scale), top_minimum = std::max(top_minimum, runs[j].minimum);
    }
    const double d = rounded_to_f16(top_scale / 63.0, out), dmin = rounded_to_f16(top_minimum / 63.0, out + 2);
    std::byte* packed = out + 4;
    std::byte* high = out + 16;
    std::byte* low = high + (Fifth ? 32 : 0);
    std::memset(packed, 0, 12);
    std::memset(high, 0, (Fifth ? 32 : 0) + 128);
    for (std::size_t j = 0; j < 8; ++j) {
        const unsigned sc = units(runs[j].scale, d, 63.0), m = units(runs[j].minimum, dmin, 63.0);
        if (j < 4) {
            packed[j] |= static_cast<std::byte>(sc);
            packed[j + 4] |= static_cast<std::byte>(m);
        } else {
            packed[j + 4] |= static_cast<std::byte>((sc & 15u) | ((m & 15u) << 4));
            packed[j - 4] |= static_cast<std::byte>((sc >> 4) << 6);
            packed[j] |= static_cast<std::byte>((m >> 4) << 6);
        }
        int q[32];
        levels_under({d * sc, dmin * m}, in + 32 * j, most, q);
        for (std::size_t i = 0; i < 32; ++i) {
            const auto level = static_cast<unsigned>(q[i]);
            low[32 * (j / 2) + i] |= static_cast<std::byte>((level & 15u) << (4 * (j % 2)));
            if constexpr (Fifth) high[i] |= static_cast<std::byte>((level >> 4) << j);
        }
    }
}

/// The scale of 16 weights on levels [-32, 31]: the best of some around the largest weight's.
[[nodiscard]] inline double best_scale(const float* x) noexcept {
    double extreme = 0.0;
    for (std::size_t i = 0; i < 16; ++i)
        if (std::fabs(static_cast<double>(x[i])) > std::fabs(extreme)) extreme = static_cast<double>(x[i]);
    if (extreme == 0.0) return 0.0;
    double best = extreme / -32.0, least = -1.0;
    for (int step = -9; step <= 9; ++step) {
        const double spacing = extreme / (-32.0 - 0.1 * step);
        double sxq = 0.0, sqq = 0.0;
        for (std::size_t i = 0; i < 16; ++i) {
            const auto v = static_cast<double>(x[i]);
            const double q = std::clamp(std::nearbyint(v / spacing), -32.0, 31.0), w = v * v;
            sxq += w * v * q, sqq += w * q * q;
        }
        if (!(sqq > 0.0)) continue;
        // With the scale that fits these levels best, sxq / sqq, the error falls by sxq^2 / sqq.
        if (const double gain = sxq * sxq / sqq; gain > least) least = gain, best = sxq / sqq;
    }
    return best;
}

}  // namespace quantize_detail

inline void encode_block(format::q4_k, const float* in, std::byte* out) noexcept {
    quantize_detail::encode_k<false>(in, out);
}
inline void encode_block(format::q5_k, const float* in, std::byte* out) noexcept {
    quantize_detail::encode_k<true>(in, out);
}
inline void encode_block(format::q6_k, const float* in, std::byte* out) noexcept {
    double scales[16], extreme = 0.0;
    for (std::size_t j = 0; j < 16; ++j) {
        scales[j] = quantize_detail::best_scale(in + 16 * j);
        if (std::fabs(scales[j]) > std::fabs(extreme)) extreme = scales[j];
    }
    std::memset(out, 0, format::q6_k::bytes);
    const f16 half = to_f16(static_cast<float>(std::clamp(extreme / -128.0, -65504.0, 65504.0)));
    std::memcpy(out + 208, &half, 2);
    const auto d = static_cast<double>(to_float(half));
    for (unsigned j = 0; j < 16; ++j) {
        const double sc = d == 0.0 ? 0.0 : std::clamp(std::nearbyint(scales[j] / d), -128.0, 127.0);
        out[192 + j] = static_cast<std::byte>(static_cast<std::int8_t>(sc));
        for (unsigned i = 16 * j; i < 16 * (j + 1); ++i) {
            const double unit = d * sc;
            const double level =
                unit == 0.0 ? 0.0 : std::clamp(std::nearbyint(static_cast<double>(in[i]) / unit), -32.0, 31.0);
            const auto q = static_cast<unsigned>(static_cast<int>(level) + 32);
            const unsigned part = i / 128, quarter = (i % 128) / 32, place = i % 32;
            out[64 * part + 32 * (quarter & 1u) + place] |= static_cast<std::byte>((q & 15u) << (4 * (quarter >> 1)));
            out[128 + 32 * part + place] |= static_cast<std::byte>((q >> 4) << (2 * quarter));
        }
    }
}

}  // namespace lab
