// Packing for the matrix product: copies blocks of its operands into the order in which the micro-kernel reads them,
// decoding weights on the way. A: [depth][tile rows]; B: panels of [depth][tile columns]. Missing rows, columns and depth
// are zeros. Decoding gives the same floats as core's scalar decoders.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "lab/core/backend.hpp"
#include "lab/kernels/scratch.hpp"
#include "lab/kernels/simd.hpp"

namespace lab::kernels {
inline namespace LAB_ISA {

/// Products are summed in blocks of this many terms; part of every result's definition, so not a tuning knob.
inline constexpr std::size_t depth_block = 256;

/// The micro-kernel's block of C: `rows` x 16 `vectors`, chosen so that its accumulators stay in registers.
template <class Arch>
struct tile {
    static constexpr std::size_t rows = 8, vectors = 3, columns = 48;
};
template <>
struct tile<arch::avx2> {
    static constexpr std::size_t rows = 6, vectors = 1, columns = 16;
};
template <>
struct tile<arch::scalar> {
    static constexpr std::size_t rows = 2, vectors = 1, columns = 16;
};

/// Elements [first, first + count) of row `row` of w as floats; first and count may cut through blocks.
template <class Arch>
void decode_part(const matrix_view& w, std::size_t row, std::size_t first, std::size_t count, float* out) {
    const std::byte* in = w.data + row * w.row_stride();
    visit_format(w.type, [&](auto f) {
        using F = decltype(f);
        in += first / F::block * F::bytes;
        if (const std::size_t skip = first % F::block; skip != 0) {
            float block[F::block];
            F::decode(in, block);
            const std::size_t n = std::min(count, F::block - skip);
            std::copy_n(block + skip, n, out);
            in += F::bytes, out += n, count -= n;
        }
        for (; count >= F::block; in += F::bytes, out += F::block, count -= F::block) F::decode(in, out);
        if (count != 0) {
            float block[F::block];
            F::decode(in, block);
            std::copy_n(block, count, out);
        }
    });
}

/// out[k][i] = rows[i][k] for i < count, 0 for the other rows up to `width`.
template <class Arch>
void pack_transposed(const float* rows, std::size_t stride, std::size_t count, std::size_t depth, std::size_t width,
                     float* out) {
    for (std::size_t i = 0; i < width; ++i)
        for (std::size_t k = 0; k < depth; ++k) out[k * width + i] = i < count ? rows[i * stride + k] : 0.0f;
}

/// A block of x [m, k], rows [row, row + count), depth [k0, k0 + depth) -> [depth][tile rows].
template <class Arch>
void pack_a(const float* x, std::size_t stride, std::size_t count, std::size_t depth, float* out) {
    pack_transposed<Arch>(x, stride, count, depth, tile<Arch>::rows, out);
}
/// The same from a matrix stored [k, m].
template <class Arch>
void pack_a_natural(const float* x, std::size_t stride, std::size_t count, std::size_t depth, float* out) {
    constexpr std::size_t rows = tile<Arch>::rows;
    for (std::size_t k = 0; k < depth; ++k)
        for (std::size_t i = 0; i < rows; ++i) out[k * rows + i] = i < count ? x[k * stride + i] : 0.0f;
}

/// One panel of w^T: B[k][j] = w[n0 + j][k0 + k].
template <class Arch>
void pack_b_transposed(const matrix_view& w, std::size_t n0, std::size_t k0, std::size_t depth, float* out) {
    constexpr std::size_t columns = tile<Arch>::columns;
    const std::size_t count = std::min(columns, w.rows - n0);
    float* buffer = scratch<purpose::decoded>(columns * depth_block);
    for (std::size_t j = 0; j < count; ++j) decode_part<Arch>(w, n0 + j, k0, depth, buffer + j * depth_block);
    pack_transposed<Arch>(buffer, depth_block, count, depth, columns, out);
}
/// Panels of w for columns [n0, n1): B[k][j] = w[k0 + k][n0 + j], panel after panel.
template <class Arch>
void pack_b_natural(const matrix_view& w, std::size_t n0, std::size_t n1, std::size_t k0, std::size_t depth, float* out) {
    constexpr std::size_t columns = tile<Arch>::columns;
    float* row = scratch<purpose::decoded>(n1 - n0);
    for (std::size_t k = 0; k < depth; ++k) {
        decode_part<Arch>(w, k0 + k, n0, n1 - n0, row);
        for (std::size_t n = 0; n < n1 - n0; n += columns) {
            float* panel = out + n * depth + k * columns;
            const std::size_t count = std::min(columns, n1 - n0 - n);
            std::copy_n(row + n, count, panel);
            std::fill(panel + count, panel + columns, 0.0f);
        }
    }
}

}  // namespace LAB_ISA
}  // namespace lab::kernels
