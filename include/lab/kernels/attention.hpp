// Causal softmax attention over keys and values in blocks of 64 absolute positions, forward and backward, with grouped
// query heads and an optional sliding window. Each block gives a partial (largest score, sum, weighted values);
// partials are merged left to right (Milakov & Gimelshein 2018), so a token's output depends on nothing but its query
// and prefix. Every score and every weighted sum is one fused-multiply-add chain, in order of dimension or position.
#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstring>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "lab/core/backend.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/kernels/rows.hpp"
#include "lab/kernels/scratch.hpp"
#include "lab/kernels/transpose.hpp"

namespace lab::kernels {
inline namespace LAB_ISA {

namespace detail {

/// Rows and vectors of the register block below.
template <class Arch>
inline constexpr std::size_t chain_rows = has_avx2<Arch> ? 6 : 2;
template <class Arch>
inline constexpr std::size_t chain_vectors = has_avx512<Arch> ? 4 : 1;

/// C[r][0, 16 V) = chain over k < depth of a[r a_row + k a_step] b[k b_step + ...], from 0 or, resuming, from C.
template <class Arch, std::size_t R, std::size_t V>
void chain_tile(std::size_t depth, const float* a, std::size_t a_row, std::size_t a_step, const float* b,
                std::size_t b_step, float* c, std::size_t c_row, bool resume) {
    using v = f32x16<Arch>;
    v sums[R][V];
    unroll<R>([&](auto r) __attribute__((always_inline)) {
        unroll<V>([&](auto j) __attribute__((always_inline)) {
            sums[r][j] = resume ? v::load(c + r * c_row + 16 * j) : v::broadcast(0.0f);
        });
    });
    for (std::size_t k = 0; k < depth; ++k, a += a_step, b += b_step) {
        v line[V];
        unroll<V>([&](auto j) __attribute__((always_inline)) { line[j] = v::load(b + 16 * j); });
        unroll<R>([&](auto r) __attribute__((always_inline)) {
            const v x = v::broadcast(a[r * a_row]);
            unroll<V>([&](auto j) __attribute__((always_inline)) { sums[r][j] = fma(x, line[j], sums[r][j]); });
        });
    }
    unroll<R>([&](auto r) __attribute__((always_inline)) {
        unroll<V>([&](auto j) __attribute__((always_inline)) { sums[r][j].store(c + r * c_row + 16 * j); });
    });
}

/// chain_tile over `rows` <= chain_rows rows and `columns`, a multiple of 16.
template <class Arch>
void chains(std::size_t rows, std::size_t columns, std::size_t depth, const float* a, std::size_t a_row,
            std::size_t a_step, const float* b, std::size_t b_step, float* c, std::size_t c_row, bool resume) {
    using kernel = void (*)(std::size_t, const float*, std::size_t, std::size_t, const float*, std::size_t, float*,
                            std::size_t, bool);
    constexpr std::size_t wide = chain_vectors<Arch>;
    static constexpr auto kernels = []<std::size_t... I>(std::index_sequence<I...>) {
        return std::array<std::array<kernel, 2>, sizeof...(I)>{
            {{&chain_tile<Arch, I + 1, 1>, &chain_tile<Arch, I + 1, wide>}...}};
    }
    (std::make_index_sequence<chain_rows<Arch>>{});
    for (std::size_t j = 0; j < columns;) {
        const bool whole = j + 16 * wide <= columns;
        kernels[rows - 1][whole](depth, a, a_row, a_step, b + j, b_step, c + j, c_row, resume);
        j += whole ? 16 * wide : 16;
    }
}

/// The positions [first, last] a query at `position` sees, and their part of a block.
struct visible {
    std::size_t first, last;

    visible(std::int32_t position, std::size_t window) : last(static_cast<std::size_t>(position)) {
        first = window != 0 && last + 1 > window ? last + 1 - window : 0;
    }
    /// Offsets [from, to) within block b; {0, 0} where it sees none.
    [[nodiscard]] std::pair<std::size_t, std::size_t> in(std::size_t b) const {
        const std::size_t begin = b * kv_block_size;
        if (last < begin || first >= begin + kv_block_size) return {0, 0};
        return {std::max(first, begin) - begin, std::min(last - begin + 1, kv_block_size)};
    }
};

/// A tile of queries of one sequence that share a key/value head: rows (token, head), token by token.
struct query_tile {
    std::size_t first_token, rows, group, heads, first_head, dim;

    [[nodiscard]] std::size_t token(std::size_t row) const { return first_token + row / group; }
    /// Offset of the row in a [tokens, heads, head_dim] array.
    [[nodiscard]] std::size_t offset(std::size_t row) const {
        return (token(row) * heads + first_head + row % group) * dim;
    }
    /// out[row][padded] = scale x, zeros beyond dim.
    void gather(const float* x, float scale, std::size_t padded, float* out) const {
        for (std::size_t r = 0; r < rows; ++r, out += padded) {
            for (std::size_t d = 0; d < dim; ++d) out[d] = x[offset(r) + d] * scale;
            std::fill(out + dim, out + padded, 0.0f);
        }
    }
};

/// keys [64] rows of dim floats, `stride` apart -> out[d][64].
template <class Arch>
void transpose_block(const float* keys, std::size_t stride, std::size_t dim, float* out) {
    for (std::size_t t = 0; t < kv_block_size; t += 16) {
        const auto* rows = reinterpret_cast<const std::byte*>(keys + t * stride);
        std::size_t d = 0;
        for (; d + 4 <= dim; d += 4) {
            u32x16<Arch> words[4];
            load_columns<Arch>(rows + 4 * d, 4 * stride, words);
            unroll<4>([&](auto w) __attribute__((always_inline)) {
                as_float(words[w]).store(out + (d + w) * kv_block_size + t);
            });
        }
        for (; d < dim; ++d)
            for (std::size_t i = 0; i < 16; ++i) out[d * kv_block_size + t + i] = keys[(t + i) * stride + d];
    }
}
/// The block's rows, padded with zeros to `padded` floats; in place (no copy) where they need no padding.
struct padded_block {
    const float* rows;
    std::size_t stride;

    padded_block(const float* block, std::size_t block_stride, std::size_t dim, std::size_t padded, float* buffer)
        : rows(block), stride(block_stride) {
        if (dim == padded) return;
        for (std::size_t t = 0; t < kv_block_size; ++t) {
            std::copy_n(block + t * block_stride, dim, buffer + t * padded);
            std::fill(buffer + t * padded + dim, buffer + (t + 1) * padded, 0.0f);
        }
        rows = buffer, stride = padded;
    }
};

/// In place: e^(score - top) over [from, to) of the 64 scores, 0 elsewhere; returns their sum.
template <class Arch>
float exponentials(float* scores, std::size_t from, std::size_t to, float& top) {
    using v = f32x16<Arch>;
    constexpr float lowest = -std::numeric_limits<float>::infinity();
    std::fill_n(scores, from, lowest);
    std::fill(scores + to, scores + kv_block_size, lowest);
    top = largest<Arch>(larger<Arch>(larger<Arch>(v::load(scores), v::load(scores + 16)),
                                     larger<Arch>(v::load(scores + 32), v::load(scores + 48))));
    v sums = v::broadcast(0.0f);
    for (std::size_t t = 0; t < kv_block_size; t += 16) {
        const v e = exp<Arch>(v::load(scores + t) - v::broadcast(top));
        sums = sums + e;
        e.store(scores + t);
    }
    return sum<Arch>(sums);
}

/// Tokens per tile, so that a tile has about `rows` rows.
[[nodiscard]] inline std::size_t tile_tokens(std::size_t rows, std::size_t group) {
    return std::max<std::size_t>(1, rows / group);
}

}  // namespace detail

/// One tile of queries against all the blocks it sees.
template <class Arch>
void attend(const detail::query_tile& tile, const float* q, std::span<const std::int32_t> positions,
            const kv_sequence<const float>& kv, const attention_options& o, std::size_t kv_head, float* y) {
    using v = f32x16<Arch>;
    const std::size_t dim = o.head_dim, stride = o.kv_heads * dim, padded = (dim + 15) / 16 * 16, rows = tile.rows;
    float* queries = scratch<purpose::queries>(rows * padded);
    float* keys = scratch<purpose::keys>(2 * kv_block_size * padded);
    float *scores = scratch<purpose::scores>(rows * kv_block_size), *values = keys + kv_block_size * padded;
    float* totals =
        scratch<purpose::partial>(2 * rows * (padded + 16));  // per row: merged, partial, then the two below
    float *partials = totals + rows * padded, *tops = partials + rows * padded, *sums = tops + rows;
    tile.gather(q, static_cast<float>(o.scale), padded, queries);
    std::fill_n(totals, rows * padded, 0.0f);
    std::fill_n(tops, rows, -std::numeric_limits<float>::infinity());
    std::fill_n(sums, rows, 0.0f);
    std::size_t first_block = std::numeric_limits<std::size_t>::max(), last_block = 0;
    for (std::size_t r = 0; r < rows; r += tile.group) {
        const detail::visible range(positions[tile.token(r)], o.window);
        first_block = std::min(first_block, range.first / kv_block_size);
        last_block = std::max(last_block, range.last / kv_block_size);
    }
    for (std::size_t b = first_block; b <= last_block; ++b) {
        if (kv.keys[b] == nullptr) continue;
        detail::transpose_block<Arch>(kv.keys[b] + kv_head * dim, stride, dim, keys);
        const detail::padded_block value_rows(kv.values[b] + kv_head * dim, stride, dim, padded, values);
        for (std::size_t r0 = 0; r0 < rows; r0 += detail::chain_rows<Arch>) {
            const std::size_t height = std::min(detail::chain_rows<Arch>, rows - r0);
            std::pair<std::size_t, std::size_t> range[detail::chain_rows<Arch>], common{0, kv_block_size};
            bool seen = false;
            for (std::size_t i = 0; i < height; ++i) {
                range[i] = detail::visible(positions[tile.token(r0 + i)], o.window).in(b);
                common = {std::max(common.first, range[i].first), std::min(common.second, range[i].second)};
                seen |= range[i].first < range[i].second;
            }
            if (!seen) continue;
            float* block = scores + r0 * kv_block_size;
            detail::chains<Arch>(height, kv_block_size, dim, queries + r0 * padded, padded, 1, keys, kv_block_size,
                                 block, kv_block_size, false);
            float top[detail::chain_rows<Arch>] = {}, total[detail::chain_rows<Arch>] = {};
            for (std::size_t i = 0; i < height; ++i)
                if (range[i].first < range[i].second)
                    total[i] =
                        detail::exponentials<Arch>(block + i * kv_block_size, range[i].first, range[i].second, top[i]);
            // Positions that all rows see go together; before and after them, row by row.
            const auto weigh = [&](std::size_t i, std::size_t n, std::size_t from, std::size_t to, bool resume) {
                detail::chains<Arch>(n, padded, to - from, block + i * kv_block_size + from, kv_block_size, 1,
                                     value_rows.rows + from * value_rows.stride, value_rows.stride,
                                     partials + (r0 + i) * padded, padded, resume);
            };
            const bool together = common.first < common.second;
            for (std::size_t i = 0; i < height; ++i)
                weigh(i, 1, range[i].first, together ? common.first : std::max(range[i].first, range[i].second), false);
            if (together) {
                weigh(0, height, common.first, common.second, true);
                for (std::size_t i = 0; i < height; ++i)
                    if (common.second < range[i].second) weigh(i, 1, common.second, range[i].second, true);
            }
            for (std::size_t i = 0; i < height; ++i) {
                if (range[i].first >= range[i].second) continue;
                float &merged_top = tops[r0 + i], *merged = totals + (r0 + i) * padded;
                const float* partial = partials + (r0 + i) * padded;
                const float new_top = std::max(merged_top, top[i]);
                alignas(64) float change[16] = {merged_top - new_top, top[i] - new_top};
                exp<Arch>(v::load(change)).store(change);
                const v keep = v::broadcast(change[0]), take = v::broadcast(change[1]);
                for (std::size_t d = 0; d < padded; d += 16)
                    fma(v::load(partial + d), take, v::load(merged + d) * keep).store(merged + d);
                sums[r0 + i] = fused(total[i], change[1], sums[r0 + i] * change[0]);
                merged_top = new_top;
            }
        }
    }
    for (std::size_t r = 0; r < rows; ++r) {
        const float inverse = 1.0f / sums[r];
        for (std::size_t d = 0; d < dim; ++d) y[tile.offset(r) + d] = totals[r * padded + d] * inverse;
    }
}

/// y_h = sum_t p_t v_t, p = softmax(scale q_h . k_t) over the visible positions; head h reads kv head h kv_heads /
/// heads.
template <class Arch>
void attention(view<const float, 3> q, const ragged_batch& batch, std::span<const kv_sequence<const float>> kv,
               const attention_options& o, view<float, 3> y, thread_pool& pool) {
    assert(q.shape() == y.shape() && q.extent(1) == o.heads && q.extent(2) == o.head_dim && o.heads % o.kv_heads == 0);
    const std::size_t group = o.heads / o.kv_heads, tokens = detail::tile_tokens(48, group);
    struct task {
        std::size_t sequence, first_token, count;
    };
    std::vector<task> tasks;
    for (std::size_t s = 0; s < batch.sequences(); ++s) {
        const std::size_t begin = batch.seq_offsets[s], end = batch.seq_offsets[s + 1];
        for (std::size_t i = begin; i < end; i += tokens) tasks.push_back({s, i, std::min(tokens, end - i)});
    }
    // A later tile sees more: pairs of an early and a late one make the threads' shares alike.
    const std::size_t count = tasks.size();
    pool.parallel_for(count * o.kv_heads, 1, [&](std::size_t begin, std::size_t end, std::size_t) {
        for (std::size_t i = begin; i < end; ++i) {
            const std::size_t kv_head = i / count, place = i % count;
            const task& t = tasks[place % 2 == 0 ? place / 2 : count - 1 - place / 2];
            attend<Arch>({t.first_token, t.count * group, group, o.heads, kv_head * group, o.head_dim}, q.data(),
                         batch.positions, kv[t.sequence], o, kv_head, y.data());
        }
    });
}

/// One tile of queries: dq, and its share of dk and dv.
template <class Arch>
void attend_backward(const detail::query_tile& tile, const float* dy, const float* q,
                     std::span<const std::int32_t> positions, const kv_sequence<const float>& kv,
                     const attention_options& o, std::size_t kv_head, float* dq, const kv_sequence<float>& dkv) {
    using v = f32x16<Arch>;
    const std::size_t dim = o.head_dim, stride = o.kv_heads * dim, padded = (dim + 15) / 16 * 16, rows = tile.rows;
    std::size_t first_block = std::numeric_limits<std::size_t>::max(), last_block = 0;
    for (std::size_t r = 0; r < rows; r += tile.group) {
        const detail::visible range(positions[tile.token(r)], o.window);
        first_block = std::min(first_block, range.first / kv_block_size);
        last_block = std::max(last_block, range.last / kv_block_size);
    }
    const std::size_t width = (last_block + 1 - first_block) * kv_block_size;
    float* queries = scratch<purpose::queries>(3 * rows * padded);  // scaled queries, dy, dq
    float *gradients = queries + rows * padded, *slopes_q = gradients + rows * padded;
    float* buffer = scratch<purpose::keys>(2 * kv_block_size * padded);
    float* weights = scratch<purpose::scores>(2 * rows * width);  // softmax weights p, then their slopes
    float* slopes = weights + rows * width;
    const auto scale = static_cast<float>(o.scale);
    tile.gather(q, scale, padded, queries);
    tile.gather(dy, 1.0f, padded, gradients);
    const auto each_tile = [&](std::size_t count, auto&& f) {
        for (std::size_t r = 0; r < count; r += detail::chain_rows<Arch>)
            f(r, std::min(detail::chain_rows<Arch>, count - r));
    };
    const auto each_block = [&](auto&& f) {
        for (std::size_t b = first_block; b <= last_block; ++b)
            if (kv.keys[b] != nullptr) f(b, (b - first_block) * kv_block_size);
    };
    // Rows of a block that hold something: what lies beyond a sequence's end may be anything.
    const auto filled = [&](std::size_t b) {
        return std::min(kv_block_size, static_cast<std::size_t>(kv.length) - b * kv_block_size);
    };
    each_block([&](std::size_t b, std::size_t column) {
        detail::transpose_block<Arch>(kv.keys[b] + kv_head * dim, stride, dim, buffer);
        each_tile(rows, [&](std::size_t r, std::size_t n) {
            detail::chains<Arch>(n, kv_block_size, dim, queries + r * padded, padded, 1, buffer, kv_block_size,
                                 weights + r * width + column, width, false);
        });
        detail::transpose_block<Arch>(kv.values[b] + kv_head * dim, stride, dim, buffer);
        each_tile(rows, [&](std::size_t r, std::size_t n) {
            detail::chains<Arch>(n, kv_block_size, dim, gradients + r * padded, padded, 1, buffer, kv_block_size,
                                 slopes + r * width + column, width, false);
        });
    });
    for (std::size_t r = 0; r < rows; ++r) {
        const detail::visible range(positions[tile.token(r)], o.window);
        const std::size_t from = range.first - first_block * kv_block_size,
                          to = range.last + 1 - first_block * kv_block_size;
        float *p = weights + r * width, *d = slopes + r * width;
        constexpr float lowest = -std::numeric_limits<float>::infinity();
        std::fill_n(p, from, lowest), std::fill(p + to, p + width, lowest);
        std::fill_n(d, from, 0.0f), std::fill(d + to, d + width, 0.0f);
        v top = v::broadcast(lowest), sums = v::broadcast(0.0f), products = v::broadcast(0.0f);
        for (std::size_t t = 0; t < width; t += 16) top = larger<Arch>(top, v::load(p + t));
        top = v::broadcast(largest<Arch>(top));
        for (std::size_t t = 0; t < width; t += 16) {
            const v e = exp<Arch>(v::load(p + t) - top);
            sums = sums + e, products = fma(e, v::load(d + t), products);
            e.store(p + t);
        }
        const float inverse = 1.0f / sum<Arch>(sums);
        const v share = v::broadcast(inverse), mean = v::broadcast(sum<Arch>(products) * inverse);
        for (std::size_t t = 0; t < width; t += 16) {
            const v weight = v::load(p + t) * share;
            weight.store(p + t);
            (weight * (v::load(d + t) - mean)).store(d + t);
        }
    }
    std::fill_n(slopes_q, rows * padded, 0.0f);
    each_block([&](std::size_t b, std::size_t column) {
        const detail::padded_block keys(kv.keys[b] + kv_head * dim, stride, dim, padded, buffer);
        each_tile(rows, [&](std::size_t r, std::size_t n) {
            detail::chains<Arch>(n, padded, filled(b), slopes + r * width + column, width, 1, keys.rows, keys.stride,
                                 slopes_q + r * padded, padded, true);
        });
        // dk += slopes^T (scale q), dv += weights^T dy
        const auto add = [&](const float* coefficients, const float* x, float* out) {
            each_tile(filled(b), [&](std::size_t t, std::size_t n) {
                float *to = out + t * stride, *narrow = buffer + kv_block_size * padded;
                if (dim == padded) {
                    detail::chains<Arch>(n, padded, rows, coefficients + column + t, 1, width, x, padded, to, stride,
                                         true);
                    return;
                }
                for (std::size_t i = 0; i < n; ++i) std::copy_n(to + i * stride, dim, narrow + i * padded);
                detail::chains<Arch>(n, padded, rows, coefficients + column + t, 1, width, x, padded, narrow, padded,
                                     true);
                for (std::size_t i = 0; i < n; ++i) std::copy_n(narrow + i * padded, dim, to + i * stride);
            });
        };
        add(slopes, queries, dkv.keys[b] + kv_head * dim);
        add(weights, gradients, dkv.values[b] + kv_head * dim);
    });
    for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t d = 0; d < dim; ++d) dq[tile.offset(r) + d] = slopes_q[r * padded + d] * scale;
}

/// dv_t += p_t dy; dp_t = dy . v_t; ds_t = p_t (dp_t - sum p dp); dq = scale sum ds_t k_t; dk_t += scale ds_t q.
/// One thread does one key/value head of one sequence, in token order.
template <class Arch>
void attention_backward(view<const float, 3> dy, view<const float, 3> q, const ragged_batch& batch,
                        std::span<const kv_sequence<const float>> kv, const attention_options& o, view<float, 3> dq,
                        std::span<const kv_sequence<float>> dkv, thread_pool& pool) {
    assert(q.shape() == dy.shape() && q.shape() == dq.shape() && o.heads % o.kv_heads == 0);
    const std::size_t group = o.heads / o.kv_heads, tokens = detail::tile_tokens(24, group);
    pool.parallel_for(batch.sequences() * o.kv_heads, 1, [&](std::size_t begin, std::size_t end, std::size_t) {
        for (std::size_t i = begin; i < end; ++i) {
            const std::size_t s = i / o.kv_heads, kv_head = i % o.kv_heads, last = batch.seq_offsets[s + 1];
            for (std::size_t t = batch.seq_offsets[s]; t < last; t += tokens)
                attend_backward<Arch>(
                    {t, std::min(tokens, last - t) * group, group, o.heads, kv_head * group, o.head_dim}, dy.data(),
                    q.data(), batch.positions, kv[s], o, kv_head, dq.data(), dkv[s]);
        }
    });
}

}  // namespace LAB_ISA
}  // namespace lab::kernels
