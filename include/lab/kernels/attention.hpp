// Causal softmax attention over keys and values in blocks of 64 absolute positions, forward and backward, with grouped
// query heads and an optional sliding window. Each block gives a partial (largest score, sum, weighted values); partials
// are merged left to right (Milakov & Gimelshein 2018), so a token's output depends on nothing but its query and prefix.
#pragma once

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>

#include "lab/core/backend.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/kernels/rows.hpp"
#include "lab/kernels/scratch.hpp"

namespace lab::kernels {
inline namespace LAB_ISA {

/// y_h = sum_t p_t v_t, p = softmax(scale q_h . k_t) over the visible positions.
template <class Arch>
void attention(view<const float, 3> q, const ragged_batch& batch, std::span<const kv_sequence<const float>> kv,
               const attention_options& o, view<float, 3> y, thread_pool& pool) {
    using v = f32x16<Arch>;
    const std::size_t dim = o.head_dim, group = o.heads / o.kv_heads, stride = o.kv_heads * dim;
    for (std::size_t s = 0; s < batch.sequences(); ++s) {
        const std::size_t first_token = batch.seq_offsets[s], count = batch.seq_offsets[s + 1] - first_token;
        pool.parallel_for(count * o.heads, 1, [&](std::size_t begin, std::size_t end, std::size_t) {
            float* partial = scratch<purpose::partial>(dim);
            for (std::size_t task = begin; task < end; ++task) {
                const std::size_t i = first_token + task / o.heads, h = task % o.heads, kv_head = h / group;
                const auto p = static_cast<std::size_t>(batch.positions[i]);
                const std::size_t first = o.window != 0 && p + 1 > o.window ? p + 1 - o.window : 0;
                const float* query = q.data() + (i * o.heads + h) * dim;
                float* out = y.data() + (i * o.heads + h) * dim;
                std::fill_n(out, dim, 0.0f);
                float top = -std::numeric_limits<float>::infinity(), total = 0.0f;
                for (std::size_t b = first / kv_block_size; b <= p / kv_block_size; ++b) {
                    const std::size_t from = std::max(first, b * kv_block_size) % kv_block_size;
                    const std::size_t to = std::min(p - b * kv_block_size, kv_block_size - 1) + 1;
                    const float *keys = kv[s].keys[b] + kv_head * dim, *values = kv[s].values[b] + kv_head * dim;
                    alignas(64) float scores[kv_block_size];
                    std::fill_n(scores, kv_block_size, -std::numeric_limits<float>::infinity());
                    float block_top = -std::numeric_limits<float>::infinity();
                    for (std::size_t t = from; t < to; ++t) {
                        scores[t] = dot<Arch>(query, keys + t * stride, dim) * static_cast<float>(o.scale);
                        block_top = std::max(block_top, scores[t]);
                    }
                    v sums = v::broadcast(0.0f);
                    for (std::size_t t = 0; t < kv_block_size; t += 16) {
                        const v e = exp<Arch>(v::load(scores + t) - v::broadcast(block_top));
                        sums = sums + e;
                        e.store(scores + t);
                    }
                    const float block_total = sum<Arch>(sums);
                    std::fill_n(partial, dim, 0.0f);
                    for (std::size_t t = from; t < to; ++t)
                        for_each_vector(dim, [&](std::size_t j, auto n) {
                            put<Arch>(fma(v::broadcast(scores[t]), get<Arch>(values + t * stride + j, n),
                                          get<Arch>(partial + j, n)), partial + j, n);
                        });
                    const float new_top = std::max(top, block_top);
                    alignas(64) float change[16] = {top - new_top, block_top - new_top};
                    exp<Arch>(v::load(change)).store(change);
                    const v keep = v::broadcast(change[0]), take = v::broadcast(change[1]);
                    for_each_vector(dim, [&](std::size_t j, auto n) {
                        put<Arch>(fma(get<Arch>(partial + j, n), take, get<Arch>(out + j, n) * keep), out + j, n);
                    });
                    total = fused(block_total, change[1], total * change[0]);
                    top = new_top;
                }
                const v inverse = v::broadcast(1.0f / total);
                for_each_vector(dim, [&](std::size_t j, auto n) { put<Arch>(get<Arch>(out + j, n) * inverse, out + j, n); });
            }
        });
    }
}

/// dv_t += p_t dy; dp_t = dy . v_t; ds_t = scale p_t (dp_t - sum p dp); dq = sum ds_t k_t; dk_t += ds_t q.
template <class Arch>
void attention_backward(view<const float, 3> dy, view<const float, 3> q, const ragged_batch& batch,
                        std::span<const kv_sequence<const float>> kv, const attention_options& o, view<float, 3> dq,
                        std::span<const kv_sequence<float>> dkv, thread_pool& pool) {
    using v = f32x16<Arch>;
    const std::size_t dim = o.head_dim, group = o.heads / o.kv_heads, stride = o.kv_heads * dim;
    pool.parallel_for(batch.sequences() * o.kv_heads, 1, [&](std::size_t begin, std::size_t end, std::size_t) {
        for (std::size_t task = begin; task < end; ++task) {
            const std::size_t s = task / o.kv_heads, kv_head = task % o.kv_heads;
            const auto row = [&](const auto& blocks, std::size_t t) {
                return blocks[t / kv_block_size] + (t % kv_block_size) * stride + kv_head * dim;
            };
            for (std::size_t i = batch.seq_offsets[s]; i < batch.seq_offsets[s + 1]; ++i)
                for (std::size_t h = kv_head * group; h < (kv_head + 1) * group; ++h) {
                    const auto p = static_cast<std::size_t>(batch.positions[i]);
                    const std::size_t first = o.window != 0 && p + 1 > o.window ? p + 1 - o.window : 0;
                    const std::size_t offset = (i * o.heads + h) * dim;
                    const float *query = q.data() + offset, *d = dy.data() + offset;
                    float *out = dq.data() + offset, *weights = scratch<purpose::scores>(p + 17),
                          *slopes = scratch<purpose::partial>(p + 17);
                    float top = -std::numeric_limits<float>::infinity();
                    for (std::size_t t = first; t <= p; ++t) {
                        weights[t] = dot<Arch>(query, row(kv[s].keys, t), dim) * static_cast<float>(o.scale);
                        slopes[t] = dot<Arch>(d, row(kv[s].values, t), dim);
                        top = std::max(top, weights[t]);
                    }
                    v totals = v::broadcast(0.0f);
                    for_each_vector(p + 1 - first, [&](std::size_t j, auto n) {
                        v x = exp<Arch>(get<Arch>(weights + first + j, n) - v::broadcast(top));
                        put<Arch>(x, weights + first + j, n);
                        totals = totals + get<Arch>(weights + first + j, n);
                    });
                    const float inverse = 1.0f / sum<Arch>(totals);
                    for (std::size_t t = first; t <= p; ++t) weights[t] *= inverse;
                    const float mean = dot<Arch>(weights + first, slopes + first, p + 1 - first);
                    std::fill_n(out, dim, 0.0f);
                    for (std::size_t t = first; t <= p; ++t) {
                        const float slope = static_cast<float>(o.scale) * weights[t] * (slopes[t] - mean);
                        const float* key = row(kv[s].keys, t);
                        float *dk = row(dkv[s].keys, t), *dv = row(dkv[s].values, t);
                        const v a = v::broadcast(slope), w = v::broadcast(weights[t]);
                        for_each_vector(dim, [&](std::size_t j, auto n) {
                            put<Arch>(fma(a, get<Arch>(key + j, n), get<Arch>(out + j, n)), out + j, n);
                            put<Arch>(fma(a, get<Arch>(query + j, n), get<Arch>(dk + j, n)), dk + j, n);
                            put<Arch>(fma(w, get<Arch>(d + j, n), get<Arch>(dv + j, n)), dv + j, n);
                        });
                    }
                }
        }
    });
}

}  // namespace LAB_ISA
}  // namespace lab::kernels
