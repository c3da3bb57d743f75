// The matrix product behind matmul and both of its gradients: C [m, n] (+)= A B, blocked as in Goto & van de Geijn,
// "Anatomy of high-performance matrix multiplication" (2008). Each element of C is defined as
//   ((b_0 + b_1) + b_2) + ...,   b_i = the fused-multiply-add chain of its terms [256 i, 256 i + 256) in order, from 0
// (with the old value in front when accumulating). It depends on nothing else: not on m, n, tiles, threads or
// processor. bf16.hpp says what differs when the operands are rounded.
#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstring>
#include <utility>

#include "lab/core/backend.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/kernels/bf16.hpp"
#include "lab/kernels/chains.hpp"
#include "lab/kernels/pack.hpp"

namespace lab::kernels {
inline namespace LAB_ISA {

/// A is a [m, k] or, transposed, stored as [k, m]; B is b [k, n] or, transposed, stored as [n, k].
struct gemm_arguments {
    const float* a = nullptr;
    std::size_t a_stride = 0;
    bool a_transposed = false;
    matrix_view b;
    bool b_transposed = false;
    float* c = nullptr;
    std::size_t c_stride = 0;
    std::size_t m = 0, n = 0, k = 0;
    bool accumulate = false;
    compute precision = compute::f32;
};

/// Where a tile finds its operands: a [depth][8] as pack_a leaves it, or rows of a matrix as they lie, `a_stride`
/// apart; b [depth][tile columns].
struct tile_operands {
    const float* a;
    std::size_t a_stride;
    const float* b;
};
enum class rows_of_a : bool { packed, as_they_lie };

/// C[R][columns] (+)= a b over `depth` terms; `columns` <= 16 V are stored, all 16 V are read.
template <class Arch, compute Precision, std::size_t R, std::size_t V, rows_of_a Rows = rows_of_a::packed>
void multiply_tile(std::size_t depth, const tile_operands& from, float* c, std::size_t c_stride, std::size_t columns,
                   bool add) {
    using v = f32x16<Arch>;
    const float *a = from.a, *b = from.b;
    // Here they have the time of the whole tile to come.
    LAB_UNROLL for (std::size_t r = 0; r < R; ++r) LAB_UNROLL for (std::size_t j = 0; j < V; ++j)
        __builtin_prefetch(c + r * c_stride + 16 * j, 1);
    v sums[R][V] = {};
    if constexpr (Precision == compute::bf16 && std::is_same_v<Arch, arch::avx512_bf16>) {
#if defined(LAB_AVX512_BF16)
        add_pairs<Arch>(depth, a, b, tile<Arch>::columns, sums);
#endif
    } else {
        constexpr bool packed = Rows == rows_of_a::packed;
        for (std::size_t k = 0; k < depth; ++k, a += packed ? 8 : 1, b += tile<Arch>::columns) {
            v line[V];
            LAB_UNROLL for (std::size_t j = 0; j < V; ++j) line[j] = v::load(b + 16 * j);
            LAB_UNROLL for (std::size_t r = 0; r < R; ++r) {
                const v x = v::broadcast(a[packed ? r : r * from.a_stride]);
                LAB_UNROLL for (std::size_t j = 0; j < V; ++j) sums[r][j] = fma(x, line[j], sums[r][j]);
            }
        }
    }
    const auto put_tile = [&](float* to, std::size_t stride) __attribute__((always_inline)) {
        LAB_UNROLL for (std::size_t r = 0; r < R; ++r) LAB_UNROLL for (std::size_t j = 0; j < V; ++j) {
            float* p = to + r * stride + 16 * j;
            (add ? v::load(p) + sums[r][j] : sums[r][j]).store(p);
        }
    };
    if (columns == 16 * V) return put_tile(c, c_stride);
    alignas(64) float whole[R * 16 * V];  // a narrow tile goes through a full one
    for (std::size_t r = 0; r < R; ++r) std::memcpy(whole + r * 16 * V, c + r * c_stride, columns * sizeof(float));
    put_tile(whole, 16 * V);
    for (std::size_t r = 0; r < R; ++r) std::memcpy(c + r * c_stride, whole + r * 16 * V, columns * sizeof(float));
}

using tile_kernel = void (*)(std::size_t depth, const tile_operands& from, float* c, std::size_t c_stride,
                             std::size_t columns, bool add);
/// The tile kernel for rows and columns of at most a tile. Only full tiles of rows have kernels for fewer vectors, and
/// for rows of floats as they lie.
template <class Arch>
[[nodiscard]] tile_kernel tile_kernel_for(compute precision, rows_of_a lie, std::size_t rows, std::size_t columns) {
    assert(lie == rows_of_a::packed || (rows == tile<Arch>::rows && precision == compute::f32));
    using T = tile<Arch>;
    // Without the instruction, bf16 is the float kernel on rounded operands.
    constexpr compute bf16 = std::is_same_v<Arch, arch::avx512_bf16> ? compute::bf16 : compute::f32;
    static constexpr auto fewer_rows = []<std::size_t... I>(std::index_sequence<I...>) {
        return std::array<std::array<tile_kernel, 2>, sizeof...(I)>{
            {{&multiply_tile<Arch, compute::f32, I + 1, T::vectors>,
              &multiply_tile<Arch, bf16, I + 1, T::vectors>}...}};
    }
    (std::make_index_sequence<T::rows>{});
    static constexpr auto fewer_columns = []<std::size_t... I>(std::index_sequence<I...>) {
        return std::array<std::array<tile_kernel, 3>, sizeof...(I)>{
            {{&multiply_tile<Arch, compute::f32, T::rows, I + 1>, &multiply_tile<Arch, bf16, T::rows, I + 1>,
              &multiply_tile<Arch, compute::f32, T::rows, I + 1, rows_of_a::as_they_lie>}...}};
    }
    (std::make_index_sequence<T::vectors>{});
    const std::size_t kind = lie == rows_of_a::as_they_lie ? 2 : precision == compute::bf16 ? 1 : 0;
    return rows == T::rows ? fewer_columns[(columns + 15) / 16 - 1][kind] : fewer_rows[rows - 1][kind];
}

/// Rows [m0, m1) and columns [n0, n1) of C, on one thread. Rows of A are packed unless a single tile takes all
/// columns, as those of an adapter of low rank.
template <class Arch>
void gemm_part(const gemm_arguments& g, std::size_t m0, std::size_t m1, std::size_t n0, std::size_t n1) {
    using T = tile<Arch>;
    constexpr std::size_t n_block = 768, m_block = 64 / T::rows * T::rows;
    constexpr std::size_t rows_at_once = T::rows > 4 ? 8 : T::rows;  // packed fastest, also where a tile has fewer
    float* packed_a = scratch<purpose::packed_a>((m_block + T::rows) / T::rows * 8 * depth_block);
    float* packed_b = scratch<purpose::packed_b>(n_block * depth_block);
    const bool a_as_it_lies = g.precision == compute::f32 && !g.a_transposed && n1 - n0 <= T::columns;
    for (std::size_t jc = n0; jc < n1; jc += n_block) {
        const std::size_t width = std::min(n_block, n1 - jc);
        for (std::size_t pc = 0; pc < g.k; pc += depth_block) {
            const std::size_t depth = std::min(depth_block, g.k - pc);
            const bool add = g.accumulate || pc != 0;
            if (g.b_transposed)
                visit_format(g.b.type, [&](auto f) {
                    for (std::size_t j = 0; j < width; j += T::columns)
                        pack_b_transposed<Arch, decltype(f)>(g.b, jc + j, pc, depth, packed_b + j * depth);
                });
            else
                pack_b_natural<Arch>(g.b, jc, jc + width, pc, depth, packed_b);
            if (g.precision == compute::bf16)
                for (std::size_t j = 0; j < width; j += T::columns)
                    round_packed<Arch, T::columns>(packed_b + j * depth, depth);
            for (std::size_t ic = m0; ic < m1; ic += m_block) {
                const std::size_t height = std::min(m_block, m1 - ic);
                const std::size_t as_they_lie = a_as_it_lies ? height / T::rows * T::rows : 0;
                if (g.a_transposed)
                    pack_a_natural<Arch>(g.a + pc * g.a_stride + ic, g.a_stride, height, depth, packed_a);
                for (std::size_t i = as_they_lie; i < height; i += T::rows) {
                    float* block = packed_a + i / T::rows * 8 * depth;
                    if (!g.a_transposed)
                        pack_a<Arch>(g.a + (ic + i) * g.a_stride + pc, g.a_stride, std::min(rows_at_once, g.m - ic - i),
                                     depth, block);
                    if (g.precision == compute::bf16) round_packed<Arch, 8>(block, depth);
                }
                for (std::size_t j = 0; j < width; j += T::columns) {
                    const float* b = packed_b + j * depth;
                    const std::size_t columns = std::min(T::columns, width - j);
                    for (std::size_t i = 0; i < height; i += T::rows) {
                        float* c = g.c + (ic + i) * g.c_stride + jc + j;
                        const bool packed = i >= as_they_lie;
                        const tile_operands from = packed
                                                       ? tile_operands{packed_a + i / T::rows * 8 * depth, 8, b}
                                                       : tile_operands{g.a + (ic + i) * g.a_stride + pc, g.a_stride, b};
                        tile_kernel_for<Arch>(g.precision, packed ? rows_of_a::packed : rows_of_a::as_they_lie,
                                              std::min(T::rows, height - i),
                                              columns)(depth, from, c, g.c_stride, columns, add);
                    }
                }
            }
        }
    }
}

/// Whether C has so few rows that packing B would not pay.
[[nodiscard]] inline bool has_few_rows(const gemm_arguments& g) {
    return g.m <= 32 && !g.b_transposed && g.b.type == dtype::f32 && g.precision == compute::f32;
}
/// Columns [n0, n1), a multiple of 16, of a C of few rows; B natural, of floats, and not packed: of a few of its lines
/// at a time, which stay in the first cache, all rows take their terms.
template <class Arch>
void few_rows_part(const gemm_arguments& g, std::size_t n0, std::size_t n1) {
    using v = f32x16<Arch>;
    constexpr std::size_t n_block = 128, lines = 64;
    const std::size_t a_row = g.a_transposed ? 1 : g.a_stride, a_step = g.a_transposed ? g.a_stride : 1;
    float* chain = scratch<purpose::packed_b>(g.m * n_block);
    for (std::size_t jc = n0; jc < n1; jc += n_block) {
        const std::size_t width = std::min(n_block, n1 - jc);
        for (std::size_t pc = 0; pc < g.k; pc += depth_block) {
            const std::size_t end = std::min(g.k, pc + depth_block);
            for (std::size_t k = pc; k < end; k += lines)
                for (std::size_t i = 0; i < g.m; i += detail::chain_rows<Arch>)
                    detail::chains<Arch>(std::min(detail::chain_rows<Arch>, g.m - i), width, std::min(lines, end - k),
                                         g.a + i * a_row + k * a_step, a_row, a_step,
                                         reinterpret_cast<const float*>(g.b.data) + k * g.b.columns + jc, g.b.columns,
                                         chain + i * width, width, k != pc);
            for (std::size_t i = 0; i < g.m; ++i)
                for (std::size_t j = 0; j < width; j += 16) {
                    float* c = g.c + i * g.c_stride + jc + j;
                    const v sum = v::load(chain + i * width + j);
                    (g.accumulate || pc != 0 ? v::load(c) + sum : sum).store(c);
                }
        }
    }
}

/// The same for one row of A against stored rows [n0, n1) of B, plain floats: reads B once, packs nothing.
template <class Arch, class F>
void gemv_part(const gemm_arguments& g, std::size_t n0, std::size_t n1) {
    static_assert(F::block == 1);
    using v = f32x16<Arch>;
    constexpr std::size_t groups = 2;  // independent chains, so that one's latency hides behind the others
    const std::size_t stride = g.b.row_stride();
    std::size_t n = n0;
    for (; n + 16 * groups <= n1; n += 16 * groups) {
        // The hardware does not follow 32 rows at once: fetch the next group, one piece after another, during this one.
        const std::byte* next = g.b.data + std::min(n + 16 * groups, n1 - 16 * groups) * stride;
        v totals[groups] = {};
        for (std::size_t pc = 0; pc < g.k; pc += depth_block) {
            const std::size_t depth = std::min(depth_block, g.k - pc);
            const std::byte* p = g.b.data + n * stride + pc * F::bytes;
            v chains[groups];
            for (v& chain : chains) chain = v::broadcast(0.0f);
            for (std::size_t k = 0; k < depth; k += 16) {
                const float* x = g.a + pc + k;
                const std::size_t part = std::min<std::size_t>(16, depth - k), bytes = 16 * groups * part * F::bytes;
                for (std::size_t line = 0; line < bytes; line += 64) __builtin_prefetch(next + line, 0, 2);
                next += bytes;
                read_columns<Arch, F, groups>(
                    p + k * F::bytes, stride,
                    part, [&](std::size_t i, std::size_t j, v values) __attribute__((always_inline)) {
                        chains[i] = fma(v::broadcast(x[j]), values, chains[i]);
                    });
            }
            for (std::size_t i = 0; i < groups; ++i) totals[i] = pc == 0 ? chains[i] : totals[i] + chains[i];
        }
        for (std::size_t i = 0; i < groups; ++i) totals[i].store(g.c + n + 16 * i);
    }
    float* row = scratch<purpose::decoded>(depth_block);
    for (; n < n1; ++n) {
        float total = 0.0f;
        for (std::size_t pc = 0; pc < g.k; pc += depth_block) {
            const std::size_t depth = std::min(depth_block, g.k - pc);
            decode_part(g.b, n, pc, depth, row);
            float chain = 0.0f;
            for (std::size_t k = 0; k < depth; ++k) chain = fused(g.a[pc + k], row[k], chain);
            total = pc == 0 ? chain : total + chain;
        }
        g.c[n] = total;
    }
}

/// The same for blocks, which the packing of panels decodes: the decoders are most of what a product costs to compile,
/// and a row of blocks at this precision is rare (products of panel_products.hpp take them as they lie).
template <class Arch>
void gemv_packed(const gemm_arguments& g, std::size_t n0, std::size_t n1) {
    using v = f32x16<Arch>;
    using T = tile<Arch>;
    constexpr std::size_t panels = T::vectors == 1 ? 2 : 1, chains = panels * T::vectors, width = panels * T::columns;
    float* packed = scratch<purpose::packed_b>(width * depth_block);
    for (std::size_t n = n0; n < n1; n += width) {
        const std::byte* next = g.b.data + std::min(n + width, n1 - std::min(n1, width)) * g.b.row_stride();
        v totals[chains] = {};
        for (std::size_t pc = 0; pc < g.k; pc += depth_block) {
            const std::size_t depth = std::min(depth_block, g.k - pc), bytes = width * row_bytes(g.b.type, depth);
            visit_format(g.b.type, [&](auto f) {
                for (std::size_t i = 0; i < panels && n + i * T::columns < n1; ++i)
                    pack_b_transposed<Arch, decltype(f)>(g.b, n + i * T::columns, pc, depth,
                                                         packed + i * T::columns * depth);
            });
            v sums[chains];
            for (v& sum : sums) sum = v::broadcast(0.0f);
            for (std::size_t k = 0; k < depth; ++k) {
                if (64 * k < bytes) __builtin_prefetch(next + 64 * k, 0, 2);
                const v x = v::broadcast(g.a[pc + k]);
                LAB_UNROLL for (std::size_t i = 0; i < chains; ++i) sums[i] =
                    fma(x, v::load(packed + (i / T::vectors * depth + k) * T::columns + i % T::vectors * 16), sums[i]);
            }
            next += bytes;
            for (std::size_t i = 0; i < chains; ++i) totals[i] = pc == 0 ? sums[i] : totals[i] + sums[i];
        }
        alignas(64) float row[width];
        for (std::size_t i = 0; i < chains; ++i) totals[i].store(row + 16 * i);
        std::copy_n(row, std::min(width, n1 - n), g.c + n);
    }
}

template <class Arch>
void gemm(const gemm_arguments& g, thread_pool& pool) {
    if (g.k == 0 && !g.accumulate)
        for (std::size_t i = 0; i < g.m; ++i) std::fill_n(g.c + i * g.c_stride, g.n, 0.0f);
    if (g.m == 0 || g.n == 0 || g.k == 0) return;
    if (g.m == 1 && g.b_transposed && !g.accumulate && g.precision != compute::bf16)
        pool.parallel_for(g.n, 32, [&](std::size_t begin, std::size_t end, std::size_t) {
            visit_format(g.b.type, [&](auto f) {
                if constexpr (decltype(f)::block == 1)
                    gemv_part<Arch, decltype(f)>(g, begin, end);
                else
                    gemv_packed<Arch>(g, begin, end);
            });
        });
    else if (has_few_rows(g))
        pool.parallel_for(g.n, 64, [&](std::size_t begin, std::size_t end, std::size_t) {
            const std::size_t whole = begin + (end - begin) / 16 * 16;
            few_rows_part<Arch>(g, begin, whole);
            if (whole != end) gemm_part<Arch>(g, 0, g.m, whole, end);
        });
    else if (g.m > g.n)
        pool.parallel_for(g.m, tile<Arch>::rows, [&](std::size_t begin, std::size_t end, std::size_t) {
            gemm_part<Arch>(g, begin, end, 0, g.n);
        });
    else
        pool.parallel_for(g.n, tile<Arch>::columns, [&](std::size_t begin, std::size_t end, std::size_t) {
            gemm_part<Arch>(g, 0, g.m, begin, end);
        });
}

/// y [m, out] = x [m, in] w^T
template <class Arch>
void matmul(view<const float> x, const matrix_view& w, view<float> y, compute precision, thread_pool& pool) {
    assert(x.extent(1) == w.columns && y.extent(1) == w.rows && x.extent(0) == y.extent(0));
    gemm<Arch>({.a = x.data(),
                .a_stride = w.columns,
                .b = w,
                .b_transposed = true,
                .c = y.data(),
                .c_stride = w.rows,
                .m = x.extent(0),
                .n = w.rows,
                .k = w.columns,
                .precision = precision},
               pool);
}
/// y = x w^T, so dx (+)= dy w.
template <class Arch>
void matmul_backward_input(view<const float> dy, const matrix_view& w, view<float> dx, bool accumulate,
                           compute precision, thread_pool& pool) {
    assert(dy.extent(1) == w.rows && dx.extent(1) == w.columns && dy.extent(0) == dx.extent(0));
    gemm<Arch>({.a = dy.data(),
                .a_stride = w.rows,
                .b = w,
                .c = dx.data(),
                .c_stride = w.columns,
                .m = dy.extent(0),
                .n = w.columns,
                .k = w.rows,
                .accumulate = accumulate,
                .precision = precision},
               pool);
}
/// y = x w^T, so dw [out, in] += dy^T x.
template <class Arch>
void matmul_backward_weight(view<const float> dy, view<const float> x, view<float> dw, compute precision,
                            thread_pool& pool) {
    assert(dy.extent(0) == x.extent(0) && dw.extent(0) == dy.extent(1) && dw.extent(1) == x.extent(1));
    const matrix_view rows{reinterpret_cast<const std::byte*>(x.data()), dtype::f32, x.extent(0), x.extent(1)};
    gemm<Arch>({.a = dy.data(),
                .a_stride = dy.extent(1),
                .a_transposed = true,
                .b = rows,
                .c = dw.data(),
                .c_stride = dw.extent(1),
                .m = dw.extent(0),
                .n = dw.extent(1),
                .k = x.extent(0),
                .accumulate = true,
                .precision = precision},
               pool);
}

}  // namespace LAB_ISA
}  // namespace lab::kernels
