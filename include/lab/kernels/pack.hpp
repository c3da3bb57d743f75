// Packing for the matrix product: copies blocks of its operands into the order in which the micro-kernel reads them,
// decoding weights on the way. A: [depth][tile rows]; B: panels of [depth][tile columns]. What stands
// where rows or columns are missing is unspecified. Decoding gives the same floats as core's scalar decoders.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "lab/core/backend.hpp"
#include "lab/kernels/columns.hpp"
#include "lab/kernels/panels.hpp"
#include "lab/kernels/scratch.hpp"
#include "lab/kernels/simd.hpp"
#include "lab/kernels/transpose.hpp"

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
inline void decode_part(const matrix_view& w, std::size_t row, std::size_t first, std::size_t count, float* out) {
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

/// A block of x [m, k]: `count` <= 8 rows -> [depth][8]; the content of missing rows is unspecified.
template <class Arch>
void pack_a(const float* x, std::size_t stride, std::size_t count, std::size_t depth, float* out) {
    if (count == 8) return transpose_8<Arch>(x, stride, depth, out);
    for (std::size_t i = 0; i < count; ++i)
        for (std::size_t k = 0; k < depth; ++k) out[k * 8 + i] = x[i * stride + k];
}
/// `count` columns of a matrix stored [k, m] -> blocks of [depth][8], one for each tile::rows of them.
template <class Arch>
void pack_a_natural(const float* x, std::size_t stride, std::size_t count, std::size_t depth, float* out) {
    constexpr std::size_t rows = tile<Arch>::rows;
    for (std::size_t k = 0; k < depth; ++k) {
        const float* line = x + k * stride;
        float* to = out + 8 * k;
        std::size_t i = 0;
        for (; i + rows <= count; i += rows, to += 8 * depth) std::memcpy(to, line + i, rows * sizeof(float));
        for (; i < count; ++i) *to++ = line[i];
    }
}

/// One panel of w^T: B[k][j] = w[n0 + j][k0 + k], n0 a multiple of 16; the content of missing columns is unspecified.
template <class Arch, class F>
void pack_b_transposed(const matrix_view& w, std::size_t n0, std::size_t k0, std::size_t depth, float* out) {
    constexpr std::size_t columns = tile<Arch>::columns;
    if constexpr (F::id == dtype::f32)
        if (w.panels != nullptr) {  // turned already, and the rows perhaps no longer in memory
            for (std::size_t j = 0; j < columns && n0 + j < w.rows; j += panel_columns) {
                const auto* panel =
                    reinterpret_cast<const float*>(w.panels) + ((n0 + j) * w.columns + k0 * panel_columns);
                for (std::size_t k = 0; k < depth; ++k)
                    f32x16<Arch>::load(panel + k * panel_columns).store(out + j + k * columns);
            }
            return;
        }
    const std::size_t stride = w.columns / F::block * F::bytes;
    for (std::size_t j = 0; j < columns && n0 + j < w.rows; j += 16) {
        const std::size_t count = std::min<std::size_t>(16, w.rows - n0 - j);
        float* panel = out + j;
        if (count == 16) {
            read_columns<Arch, F, 1>(
                w.data + (n0 + j) * stride + k0 / F::block * F::bytes, stride, depth,
                [&](std::size_t, std::size_t k, f32x16<Arch> values) { values.store(panel + k * columns); });
            continue;
        }
        float* row = scratch<purpose::decoded>(depth_block);
        for (std::size_t i = 0; i < count; ++i) {
            decode_part(w, n0 + j + i, k0, depth, row);
            for (std::size_t k = 0; k < depth; ++k) panel[k * columns + i] = row[k];
        }
    }
}
/// Panels of w for columns [n0, n1): B[k][j] = w[k0 + k][n0 + j], panel after panel.
template <class Arch>
void pack_b_natural(const matrix_view& w, std::size_t n0, std::size_t n1, std::size_t k0, std::size_t depth,
                    float* out) {
    constexpr std::size_t columns = tile<Arch>::columns;
    const std::size_t width = n1 - n0;
    float* row = scratch<purpose::decoded>(width);
    for (std::size_t k = 0; k < depth; ++k) {
        const float* line = row;
        if (w.type == dtype::f32)
            line = reinterpret_cast<const float*>(w.data) + (k0 + k) * w.columns + n0;
        else
            decode_part(w, k0 + k, n0, width, row);
        float* panel = out + k * columns;
        std::size_t n = 0;
        for (; n + columns <= width; n += columns, panel += columns * depth)
            std::memcpy(panel, line + n, columns * sizeof(float));
        if (n == width) continue;
        std::copy_n(line + n, width - n, panel);
        std::fill(panel + (width - n), panel + columns, 0.0f);
    }
}

}  // namespace LAB_ISA
}  // namespace lab::kernels
