// Attention's gradients, for keys and values as rows of floats (kv_sequence). The softmax weights are recomputed, a
// tile of queries at a time.
#pragma once

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>

#include "lab/core/backend.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/kernels/attention_tiles.hpp"
#include "lab/kernels/scratch.hpp"

namespace lab::kernels {
inline namespace LAB_ISA {

namespace detail {

/// Where one head's gradients of keys and values are summed up: in a sequence's blocks, or in memory of their own
/// [blocks][2][64][dim].
struct head_gradients {
    const kv_sequence<float>* blocks;
    std::size_t first_column, stride;  // of a row
    float* own = nullptr;

    [[nodiscard]] static std::size_t block_size(std::size_t dim) { return 2 * kv_block_size * dim; }
    [[nodiscard]] float* keys(std::size_t b) const {
        return own != nullptr ? own + b * block_size(stride) : blocks->keys[b] + first_column;
    }
    [[nodiscard]] float* values(std::size_t b) const {
        return own != nullptr ? own + b * block_size(stride) + kv_block_size * stride
                              : blocks->values[b] + first_column;
    }
};

/// A sequence's queries are cut into at most so many parts, each with sums of its own for dk and dv, which are then
/// added up in order: threads have enough to share, and the result depends on the sequence alone.
inline constexpr std::size_t query_parts = 4;
/// Where a part begins among `count` queries, a multiple of `tile`. A query sees what lies before it: the parts are
/// equal areas of a triangle.
[[nodiscard]] inline std::size_t part_begin(std::size_t count, std::size_t part, std::size_t tile) {
    const std::size_t parts = std::clamp<std::size_t>(count / 128, 1, query_parts);
    if (part >= parts) return count;
    const double share = std::sqrt(static_cast<double>(part) / static_cast<double>(parts));
    const auto tiles = static_cast<std::size_t>(share * static_cast<double>(count) / static_cast<double>(tile) + 0.5);
    return std::min(count, tiles * tile);
}

}  // namespace detail

/// One tile of queries: dq, and its share of dk and dv.
template <class Arch>
void attend_backward(const detail::query_tile& tile, const float* dy, const float* q,
                     std::span<const std::int32_t> positions, const kv_sequence<const float>& kv,
                     const attention_options& o, std::size_t kv_head, float* dq, const detail::head_gradients& dkv) {
    using v = f32x16<Arch>;
    const std::size_t dim = o.head_dim, stride = o.kv_heads * dim, padded = (dim + 15) / 16 * 16, rows = tile.rows();
    const auto [first_seen, last_seen] = tile.blocks(positions, o.window);
    const std::size_t first_block = first_seen, last_block = last_seen;  // lambdas capture no structured binding
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
    // How far into a block the last row sees, in positions and in whole vectors. What lies beyond may be anything.
    const auto seen = [&](std::size_t b) {
        const auto furthest = static_cast<std::size_t>(positions[tile.token(rows - 1)]);
        return std::min(kv_block_size, furthest + 1 - b * kv_block_size);
    };
    const auto columns = [&](std::size_t b) { return (seen(b) + 15) / 16 * 16; };
    each_block([&](std::size_t b, std::size_t column) {
        detail::transpose_block<Arch>(kv.keys[b] + kv_head * dim, stride, dim, buffer);
        each_tile(rows, [&](std::size_t r, std::size_t n) {
            detail::chains<Arch>(n, columns(b), dim, queries + r * padded, padded, 1, buffer, kv_block_size,
                                 weights + r * width + column, width, false);
        });
        detail::transpose_block<Arch>(kv.values[b] + kv_head * dim, stride, dim, buffer);
        each_tile(rows, [&](std::size_t r, std::size_t n) {
            detail::chains<Arch>(n, columns(b), dim, gradients + r * padded, padded, 1, buffer, kv_block_size,
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
            detail::chains<Arch>(n, padded, seen(b), slopes + r * width + column, width, 1, keys.rows, keys.stride,
                                 slopes_q + r * padded, padded, true);
        });
        // dk += slopes^T (scale q), dv += weights^T dy
        const auto add = [&](const float* coefficients, const float* x, float* out) {
            each_tile(seen(b), [&](std::size_t t, std::size_t n) {
                float *to = out + t * dkv.stride, *narrow = buffer + kv_block_size * padded;
                if (dim == padded) {
                    detail::chains<Arch>(n, padded, rows, coefficients + column + t, 1, width, x, padded, to,
                                         dkv.stride, true);
                    return;
                }
                for (std::size_t i = 0; i < n; ++i) std::copy_n(to + i * dkv.stride, dim, narrow + i * padded);
                detail::chains<Arch>(n, padded, rows, coefficients + column + t, 1, width, x, padded, narrow, padded,
                                     true);
                for (std::size_t i = 0; i < n; ++i) std::copy_n(narrow + i * padded, dim, to + i * dkv.stride);
            });
        };
        add(slopes, queries, dkv.keys(b));
        add(weights, gradients, dkv.values(b));
    });
    for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t d = 0; d < dim; ++d) dq[tile.offset(r) + d] = slopes_q[r * padded + d] * scale;
}

/// dv_t += p_t dy; dp_t = dy . v_t; ds_t = p_t (dp_t - sum p dp); dq = scale sum ds_t k_t; dk_t += scale ds_t q.
template <class Arch>
void attention_backward(view<const float, 3> dy, view<const float, 3> q, const ragged_batch& batch,
                        std::span<const kv_sequence<const float>> kv, const attention_options& o, view<float, 3> dq,
                        std::span<const kv_sequence<float>> dkv, thread_pool& pool) {
    assert(q.shape() == dy.shape() && q.shape() == dq.shape() && o.heads % o.kv_heads == 0);
    const std::size_t group = o.heads / o.kv_heads, dim = o.head_dim, sequences = batch.sequences(),
                      tokens = std::max<std::size_t>(1, 48 / group);
    std::uint32_t* rows = scratch<purpose::order, std::uint32_t>(batch.size() + sequences + 1);
    std::uint32_t* blocks_before = rows + batch.size();  // of the sequences
    std::iota(rows, rows + batch.size(), 0u);
    blocks_before[0] = 0;
    for (std::size_t s = 0; s < sequences; ++s) {
        const std::size_t count = batch.seq_offsets[s + 1] - batch.seq_offsets[s];
        const bool cut = detail::part_begin(count, 1, tokens) < count;
        blocks_before[s + 1] = blocks_before[s] + static_cast<std::uint32_t>(cut ? kv[s].keys.size() : 0);
    }
    constexpr std::size_t parts = detail::query_parts;
    const std::size_t block = detail::head_gradients::block_size(dim), each = blocks_before[sequences] * block;
    float* own = scratch<purpose::split>((parts - 1) * o.kv_heads * each);  // of the parts but the first
    const auto own_of = [&](std::size_t part, std::size_t kv_head, std::size_t s) {
        return own + ((part - 1) * o.kv_heads + kv_head) * each + blocks_before[s] * block;
    };
    // Calls f(begin, end, blocks) with the queries of a part and the number of blocks they see, where there are any.
    const auto with_part = [&](std::size_t s, std::size_t part, auto&& f) {
        const std::size_t first = batch.seq_offsets[s], count = batch.seq_offsets[s + 1] - first;
        const std::size_t begin = first + detail::part_begin(count, part, tokens),
                          end = first + detail::part_begin(count, part + 1, tokens);
        if (begin != end) f(begin, end, static_cast<std::size_t>(batch.positions[end - 1]) / kv_block_size + 1);
    };
    pool.share_out(sequences * o.kv_heads * parts, 1, [&](std::size_t from, std::size_t to, std::size_t) {
        for (std::size_t i = from; i < to; ++i) {
            const std::size_t part = i % parts, kv_head = i / parts % o.kv_heads, s = i / parts / o.kv_heads;
            with_part(s, part, [&](std::size_t begin, std::size_t end, std::size_t blocks) {
                detail::head_gradients out{&dkv[s], kv_head * dim, o.kv_heads * dim};
                if (part != 0) {
                    out = {nullptr, 0, dim, own_of(part, kv_head, s)};
                    std::fill_n(out.own, blocks * block, 0.0f);
                }
                for (std::size_t t = begin; t < end; t += tokens)
                    attend_backward<Arch>({{rows + t, std::min(tokens, end - t)}, group, o.heads, kv_head * group, dim},
                                          dy.data(), q.data(), batch.positions, kv[s], o, kv_head, dq.data(), out);
            });
        }
    });
    pool.parallel_for(sequences * o.kv_heads, 1, [&](std::size_t from, std::size_t to, std::size_t) {
        for (std::size_t i = from; i < to; ++i)
            for (std::size_t part = 1; part < parts; ++part)
                with_part(i / o.kv_heads, part, [&](std::size_t, std::size_t, std::size_t blocks) {
                    const std::size_t s = i / o.kv_heads, kv_head = i % o.kv_heads;
                    const detail::head_gradients sum{&dkv[s], kv_head * dim, o.kv_heads * dim},
                        more{nullptr, 0, dim, own_of(part, kv_head, s)};
                    for (std::size_t b = 0; b < blocks; ++b) {
                        if (kv[s].keys[b] == nullptr) continue;
                        float *keys = sum.keys(b), *values = sum.values(b);
                        const float *more_keys = more.keys(b), *more_values = more.values(b);
                        for (std::size_t t = 0; t < kv_block_size; ++t)
                            for (std::size_t d = 0; d < dim; ++d) {
                                keys[t * sum.stride + d] += more_keys[t * dim + d];
                                values[t * sum.stride + d] += more_values[t * dim + d];
                            }
                    }
                });
    });
}

}  // namespace LAB_ISA
}  // namespace lab::kernels
