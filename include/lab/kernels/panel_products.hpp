// Products y = x w^T over weights in panels (panels.hpp), several of one x at a time. Each output is defined as
//   int8   ((c_0 + c_1) + ...), added by fused multiply-adds: c_b = float(sum q_x q_w) (d_x d_w) over the 32 terms of
//          cell b (16 for q6_k), then the minimum times d_x sum q_x
//   bf16   the dot-product instruction's chain over pairs of terms
//   f32    as in gemm.hpp: chains of 256 terms
// It depends on nothing else, whether panels were packed beforehand or on the way. Integers are exact, so int8 gives
// the same bytes on every processor with fused multiply-add.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "lab/core/backend.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/kernels/activations.hpp"
#include "lab/kernels/dot_sums.hpp"
#include "lab/kernels/gemm.hpp"
#include "lab/kernels/panels.hpp"
#include "lab/kernels/scratch.hpp"

namespace lab::kernels {
inline namespace LAB_ISA {

namespace detail {

/// `to` columns of row r at c, at most 16.
template <class Arch>
[[gnu::always_inline]] inline void put_row(f32x16<Arch> values, float* c, std::size_t columns) {
    if (columns >= 16)
        values.store(c);
    else
        store_part<Arch>(values, c, columns);
}

/// Where a kernel writes: c[row][16 v + lane], of `rows` rows and `columns` columns.
struct tile_target {
    float* c;
    std::size_t stride, rows, columns;
};

template <class Arch, std::size_t R, std::size_t V>
[[gnu::always_inline]] inline void put_tile(const f32x16<Arch> (&totals)[R][V], const tile_target& to) {
    LAB_UNROLL for (std::size_t v = 0; v < V; ++v)
        LAB_UNROLL for (std::size_t r = 0; r < R; ++r) if (16 * v < to.columns && r < to.rows)
            put_row<Arch>(totals[r][v], to.c + r * to.stride + 16 * v, to.columns - 16 * v);
}

/// R rows of quantised activations by V panels, `step` bytes apart.
template <class Arch, class F, std::size_t R, std::size_t V>
void multiply_int8(std::size_t k, const std::uint32_t* x, const std::byte* panels, std::size_t step,
                   const tile_target& to) {
    using P = panel<Arch, F>;
    using f = f32x16<Arch>;
    using u = u32x16<Arch>;
    using dots = dot_sums<Arch, P::most>;
    constexpr cell_layout at{R};
    constexpr std::uint32_t offset = P::offset - dots::taken_off;
    constexpr std::size_t steps = 8 / P::halves;
    f totals[R][V] = {};
    for (std::size_t unit = 0; unit < k / P::terms; ++unit, panels += P::bytes)
        for (std::size_t j = 0; j < P::terms / cell_terms; ++j, x += cell_layout::words * R) {
            LAB_UNROLL for (std::size_t half = 0; half < P::halves; ++half) {
                const std::uint32_t* minus_sum = x + (P::halves == 1 ? at.sum() : at.half_sum(half));
                auto sums = [&]<std::size_t... I>(std::index_sequence<I...>) __attribute__((always_inline)) {
                    return std::array{dots(offset == 0 ? 0 : offset * minus_sum[I / V])...};
                }
                (std::make_index_sequence<R * V>{});
                LAB_UNROLL for (std::size_t g = 0; g < steps; ++g) LAB_UNROLL for (std::size_t v = 0; v < V; ++v) {
                    const u w = P{panels + v * step}.q(j, half * steps + g);
                    LAB_UNROLL for (std::size_t r = 0; r < R; ++r) sums[r * V + v].add(g, w,
                                                                                       x[(half * steps + g) * R + r]);
                }
                LAB_UNROLL for (std::size_t v = 0; v < V; ++v) {
                    const f scale = P{panels + v * step}.scale(j, half);
                    LAB_UNROLL for (std::size_t r = 0; r < R; ++r) totals[r][v] =
                        fma(to_float(sums[r * V + v].total()),
                            scale * f::broadcast(std::bit_cast<float>(x[at.d() + r])), totals[r][v]);
                }
            }
            if constexpr (P::has_minimum) LAB_UNROLL for (std::size_t v = 0; v < V; ++v) {
                    const f minimum = P{panels + v * step}.minimum(j);
                    LAB_UNROLL for (std::size_t r = 0; r < R; ++r) totals[r][v] =
                        fma(minimum, f::broadcast(std::bit_cast<float>(x[at.d_sum() + r])), totals[r][v]);
                }
        }
    put_tile<Arch, R, V>(totals, to);
}

/// R rows of floats by V panels of bf16, f16 or f32: chains of depth_block terms.
template <class Arch, class F, std::size_t R, std::size_t V>
void multiply_f32(std::size_t k, const std::uint32_t* x, const std::byte* panels, std::size_t step,
                  const tile_target& to) {
    using f = f32x16<Arch>;
    constexpr std::size_t terms = F::id == dtype::bf16 ? 2 : 1;  // to a step
    f totals[R][V] = {};
    for (std::size_t first = 0; first < k; first += depth_block) {
        f chains[R][V] = {};
        const std::size_t last = std::min(first + depth_block, k);
        for (std::size_t i = first; i < last; i += terms) LAB_UNROLL for (std::size_t v = 0; v < V; ++v) {
                const std::byte* unit = panels + v * step + i * 16 * F::bytes;
                f w[terms];
                if constexpr (terms == 2) {
                    const auto pair = load_stored_words<Arch>(unit);
                    w[0] = as_float(pair << 16), w[1] = as_float(pair & 0xffff0000u);
                } else if constexpr (F::id == dtype::f16) {
                    w[0] = load_stored_halves<Arch>(unit);
                } else {
                    w[0] = as_float(load_stored_words<Arch>(unit));
                }
                LAB_UNROLL for (std::size_t t = 0; t < terms; ++t) LAB_UNROLL for (std::size_t r = 0; r < R; ++r)
                    chains[r][v] = fma(f::broadcast(std::bit_cast<float>(x[(i + t) * R + r])), w[t], chains[r][v]);
            }
        LAB_UNROLL for (std::size_t r = 0; r < R; ++r) LAB_UNROLL for (std::size_t v = 0; v < V; ++v) totals[r][v] =
            first == 0 ? chains[r][v] : totals[r][v] + chains[r][v];
    }
    put_tile<Arch, R, V>(totals, to);
}

#if defined(LAB_AVX512_BF16)
template <class Arch, std::size_t R, std::size_t V>
void multiply_bf16(std::size_t k, const std::uint32_t* x, const std::byte* panels, std::size_t step,
                   const tile_target& to) {
    f32x16<Arch> totals[R][V] = {};
    for (std::size_t i = 0; i < k / 2; ++i, x += R) LAB_UNROLL for (std::size_t v = 0; v < V; ++v) {
            const std::byte* at = panels + v * step + i * 64;
            __builtin_prefetch(at + step, 0, 2);  // the panel after this one
            const auto w = (__m512bh)load_stored_words<Arch>(at).v[0];
            LAB_UNROLL for (std::size_t r = 0; r < R; ++r) totals[r][v].v[0] =
                _mm512_dpbf16_ps(totals[r][v].v[0], (__m512bh)_mm512_set1_epi32(static_cast<int>(x[r])), w);
        }
    put_tile<Arch, R, V>(totals, to);
}
#endif

using panel_kernel = void (*)(std::size_t k, const std::uint32_t* x, const std::byte* panels, std::size_t step,
                              const tile_target& to);

template <class Arch, class F, operand Kind, std::size_t R, std::size_t V>
constexpr panel_kernel kernel_of() {
    if constexpr (Kind == operand::int8) return &multiply_int8<Arch, F, R, V>;
#if defined(LAB_AVX512_BF16)
    else if constexpr (Kind == operand::bf16)
        return &multiply_bf16<Arch, R, V>;
#endif
    else
        return &multiply_f32<Arch, F, R, V>;
}

/// Panels that a kernel for few rows takes at once, to have enough independent sums.
template <class Arch>
constexpr std::size_t panels_at_once(std::size_t height) {
    if (!has_avx512<Arch>) return has_avx2<Arch> && height == 1 ? 2 : 1;
    return height == 1 ? 4 : height == 4 ? 2 : 1;
}

/// The kernel for a tile height, and for its panels at once or (`single`) one.
template <class Arch, class F, operand Kind>
[[nodiscard]] panel_kernel panel_kernel_for(std::size_t height, bool single) {
    static constexpr auto heights = tile_heights<Arch>(Kind);
    static constexpr auto kernels = []<std::size_t... I>(std::index_sequence<I...>) {
        return std::array<std::array<panel_kernel, 2>, heights.size()>{
            {{kernel_of<Arch, F, Kind, heights[I], panels_at_once<Arch>(heights[I])>(),
              kernel_of<Arch, F, Kind, heights[I], 1>()}...}};
    }
    (std::make_index_sequence<heights.size()>{});
    std::size_t i = 0;
    while (heights[i] != height) ++i;
    return kernels[i][single];
}

/// Panels [begin, end) of y = x w^T, on one thread.
template <class Arch, class F, operand Kind>
void panel_part(const tiled_activations<Arch>& x, const matrix_view& w, std::size_t begin, std::size_t end, float* y) {
    constexpr std::size_t group = 4;
    const std::size_t bytes = panel_bytes<F>(w.columns), at_once = x.tiles_at_once();
    std::byte* packed = w.panels == nullptr ? scratch<purpose::packed_b, std::byte>(group * bytes) : nullptr;
    for (std::size_t t0 = 0; t0 < x.tiles(); t0 += at_once) {
        const std::size_t t1 = std::min(x.tiles(), t0 + at_once);
        for (std::size_t p0 = begin; p0 < end; p0 += group) {
            const std::size_t p1 = std::min(end, p0 + group);
            const std::byte* panels = packed;
            if (packed == nullptr)
                panels = w.panels + p0 * bytes;
            else
                for (std::size_t p = p0; p < p1; ++p) pack_panel<Arch, F>(w, p, packed + (p - p0) * bytes);
            const auto multiply = [&](std::size_t t, std::size_t p, std::size_t count) {
                const std::size_t height = x.height(t), column = p * panel_columns;
                panel_kernel_for<Arch, F, Kind>(height, count == 1)(
                    w.columns, x.tile(t), panels + (p - p0) * bytes, bytes,
                    {y + x.first_row(t) * w.rows + column, w.rows, x.count(t), w.rows - column});
            };
            const bool short_tile = x.height(t1 - 1) != x.full();
            for (std::size_t p = p0; p < p1; ++p)
                for (std::size_t t = t0; t < t1 - short_tile; ++t) multiply(t, p, 1);
            if (!short_tile) continue;
            const std::size_t wide = panels_at_once<Arch>(x.height(t1 - 1));
            for (std::size_t p = p0; p < p1;) {
                const std::size_t count = p + wide <= p1 ? wide : 1;
                multiply(t1 - 1, p, count);
                p += count;
            }
        }
    }
}

}  // namespace detail

/// What a weight is multiplied with, as panels, in a product of `rows`; nothing where it goes through gemm.hpp: to the
/// same floats, which are faster there where the rows are many enough to pay for a copy that the first cache holds.
template <class Arch>
[[nodiscard]] std::optional<operand> panel_operand(const matrix_view& w, compute precision, std::size_t rows = 1) {
    if (precision == compute::bf16 || !has_panels(w.type, w.columns)) return std::nullopt;
    const bool floats = block_size(w.type) == 1;
    if (precision == compute::native && !floats) return operand::int8;
    if (precision == compute::native && w.type == dtype::bf16 && std::is_same_v<Arch, arch::avx512_bf16>)
        return operand::bf16;
    const bool blocked = w.type == dtype::f32 && rows >= 64;
    if (floats && w.panels != nullptr && !blocked) return operand::f32;
    return std::nullopt;
}

/// y_i [m, rows_i] = x [m, k] w_i^T for the products of the list whose weights have this operand.
template <class Arch>
void panel_products(view<const float> x, std::span<const product<matrix_view, float>> list, operand kind,
                    compute precision, thread_pool& pool) {
    const std::size_t m = x.extent(0), k = x.extent(1);
    const auto panels_of = [&](const matrix_view& w) {
        return panel_operand<Arch>(w, precision, m) == kind ? (w.rows + panel_columns - 1) / panel_columns : 0;
    };
    std::size_t total = 0;
    for (const auto& each : list) total += panels_of(each.w);
    if (m == 0 || total == 0) return;
    const tiled_activations<Arch> tiles(
        kind, m, k, scratch<purpose::packed_a, std::uint32_t>(tiled_activations<Arch>::words_needed(kind, m, k)));
    tiles.fill(x, pool);
    // Parts as small as the kernels like them: 36 panels in fours would leave one of two threads idle for a tenth.
    pool.share_out(total, m >= tiles.full() ? 1 : detail::panels_at_once<Arch>(tiles.height(0)),
                   [&](std::size_t begin, std::size_t end, std::size_t) {
                       std::size_t first = 0;
                       for (const auto& each : list) {
                           const std::size_t count = panels_of(each.w);
                           const std::size_t from = std::max(begin, first), to = std::min(end, first + count);
                           if (from < to)
                               visit_format(each.w.type, [&](auto f) {
                                   using F = decltype(f);
                                   const auto part = [&]<operand Kind>() {
                                       detail::panel_part<Arch, F, Kind>(tiles, each.w, from - first, to - first,
                                                                         each.y.data());
                                   };
                                   if constexpr (F::id == dtype::bf16 && std::is_same_v<Arch, arch::avx512_bf16>)
                                       kind == operand::bf16 ? part.template operator()<operand::bf16>()
                                                             : part.template operator()<operand::f32>();
                                   else if constexpr (F::block == 1)
                                       part.template operator()<operand::f32>();
                                   else
                                       part.template operator()<operand::int8>();
                               });
                           first += count;
                       }
                   });
}

/// The same for any weights and precision.
template <class Arch>
void products(view<const float> x, std::span<const product<matrix_view, float>> list, compute precision,
              thread_pool& pool) {
    for (const operand kind : {operand::int8, operand::bf16, operand::f32})
        panel_products<Arch>(x, list, kind, precision, pool);
    for (const auto& each : list)
        if (!panel_operand<Arch>(each.w, precision, x.extent(0))) matmul<Arch>(x, each.w, each.y, precision, pool);
}

}  // namespace LAB_ISA
}  // namespace lab::kernels
