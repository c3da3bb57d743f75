// Causal softmax attention over keys and values in blocks of 64 absolute positions, with grouped query heads and an
// optional sliding window. Each block gives a partial (largest score, sum, weighted values); partials are merged left
// to right (Milakov & Gimelshein 2018), so a token's output depends on nothing but its query and prefix. Every score
// and every weighted sum is one fused-multiply-add chain, in order of dimension or position. Queries of several
// sequences that share a block are taken together: a shared prefix is read once, as a matrix product.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>
#include <span>
#include <utility>

#include "lab/core/backend.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/kernels/attention_tiles.hpp"
#include "lab/kernels/cached_q8.hpp"
#include "lab/kernels/rows.hpp"
#include "lab/kernels/scratch.hpp"

namespace lab::kernels {
inline namespace LAB_ISA {

namespace detail {

/// Keys and values as rows of floats: what training keeps. Where attention reads blocks from, as `cached_rows` below:
///   id(s, b)                 equal for equal blocks; null where there is none
///   keys(s, b, head, room)   [head_dim][64]; `room` holds a block of floats
///   values(s, b, head, room) [64][stride], stride a multiple of 16
template <class Arch>
struct float_rows {
    std::span<const kv_sequence<const float>> kv;
    std::size_t row, dim, padded;

    [[nodiscard]] const void* id(std::size_t s, std::size_t b) const { return kv[s].keys[b]; }
    [[nodiscard]] const float* keys(std::size_t s, std::size_t b, std::size_t head, float* room) const {
        transpose_block<Arch>(kv[s].keys[b] + head * dim, row, dim, room);
        return room;
    }
    [[nodiscard]] std::pair<const float*, std::size_t> values(std::size_t s, std::size_t b, std::size_t head,
                                                              float* room) const {
        const padded_block block(kv[s].values[b] + head * dim, row, dim, padded, room);
        return {block.rows, block.stride};
    }
};

/// Blocks of a cache, read in place.
template <class T>
struct cached_rows {
    const cached_layer* layer;
    kv_block_shape shape;

    [[nodiscard]] const void* id(std::size_t s, std::size_t b) const { return layer->block(s, b); }
    [[nodiscard]] const T* keys(std::size_t s, std::size_t b, std::size_t head, float*) const {
        return reinterpret_cast<const T*>(layer->block(s, b) + layer->offset) + shape.keys(head);
    }
    [[nodiscard]] std::pair<const T*, std::size_t> values(std::size_t s, std::size_t b, std::size_t head,
                                                          float*) const {
        return {reinterpret_cast<const T*>(layer->block(s, b) + layer->offset) + shape.values(head), shape.padded()};
    }
};

/// What one block gives rows of queries: per row its largest score, the sum of exponentials (0: sees nothing of the
/// block) and the weighted sum of values [padded].
struct block_partial {
    float *top, *sum, *values;
};

/// Rows [r0, r1) of a tile, all of which have this block, against it. `scores` has room for chain_rows rows.
template <class Arch, class T>
void attend_block(const query_tile& tile, std::size_t r0, std::size_t r1, const float* queries,
                  std::span<const std::int32_t> positions, std::size_t window, std::size_t b, const T* keys,
                  const T* values, std::size_t value_stride, std::size_t padded, float* scores,
                  const block_partial& out) {
    constexpr std::size_t most = chain_rows<Arch>;
    for (; r0 < r1; r0 += most) {
        const std::size_t height = std::min(most, r1 - r0);
        std::pair<std::size_t, std::size_t> range[most], common{0, kv_block_size}, all{kv_block_size, 0};
        for (std::size_t i = 0; i < height; ++i) {
            range[i] = visible(positions[tile.token(r0 + i)], window).in(b);
            common = {std::max(common.first, range[i].first), std::min(common.second, range[i].second)};
            all = {std::min(all.first, range[i].first), std::max(all.second, range[i].second)};
            out.sum[r0 + i] = 0.0f;
        }
        if (all.second == 0) continue;
        const std::size_t column = all.first / 16 * 16, columns = (all.second + 15) / 16 * 16 - column;
        chains<Arch>(height, columns, tile.dim, queries + r0 * padded, padded, 1, keys + column, kv_block_size,
                     scores + column, kv_block_size, false);
        for (std::size_t i = 0; i < height; ++i)
            if (range[i].first < range[i].second)
                out.sum[r0 + i] =
                    exponentials<Arch>(scores + i * kv_block_size, range[i].first, range[i].second, out.top[r0 + i]);
        const auto weigh = [&](std::size_t i, std::size_t n, std::size_t from, std::size_t to, bool resume) {
            chains<Arch>(n, padded, to - from, scores + i * kv_block_size + from, kv_block_size, 1,
                         values + from * value_stride, value_stride, out.values + (r0 + i) * padded, padded, resume);
        };
        if (common == all) {
            weigh(0, height, all.first, all.second, false);
            continue;
        }
        // Positions that all rows see go together; before and after them, row by row.
        const bool together = common.first < common.second;
        for (std::size_t i = 0; i < height; ++i)
            weigh(i, 1, range[i].first, together ? common.first : std::max(range[i].first, range[i].second), false);
        if (!together) continue;
        weigh(0, height, common.first, common.second, true);
        for (std::size_t i = 0; i < height; ++i)
            if (common.second < range[i].second) weigh(i, 1, common.second, range[i].second, true);
    }
}

/// Calls f(s, r0, r1) for the runs of a tile's rows that have the same block b, s one of their sequences.
template <class Source, class F>
void each_run(const query_tile& tile, const std::uint32_t* sequence_of, std::span<const std::int32_t> positions,
              const Source& source, std::size_t b, F&& f) {
    const std::size_t count = tile.tokens.size();
    for (std::size_t i = 0; i < count;) {
        const auto block_of = [&](std::size_t j) -> const void* {
            const std::uint32_t t = tile.tokens[j];
            return static_cast<std::size_t>(positions[t]) / kv_block_size < b ? nullptr : source.id(sequence_of[t], b);
        };
        const void* id = block_of(i);
        std::size_t j = i + 1;
        while (j < count && block_of(j) == id) ++j;
        if (id != nullptr) f(sequence_of[tile.tokens[i]], i * tile.group, j * tile.group);
        i = j;
    }
}

/// Merges partials [rows] into the running (top, sum, values), row by row.
template <class Arch>
void merge_partials(std::size_t r0, std::size_t r1, std::size_t padded, const block_partial& next,
                    const block_partial& merged) {
    using v = f32x16<Arch>;
    for (; r0 < r1; r0 += 16) {
        const std::size_t height = std::min<std::size_t>(16, r1 - r0);
        alignas(64) float keep[16] = {}, take[16] = {};
        for (std::size_t i = 0; i < height; ++i) {
            if (next.sum[r0 + i] == 0.0f) continue;
            const float top = std::max(merged.top[r0 + i], next.top[r0 + i]);
            keep[i] = merged.top[r0 + i] - top, take[i] = next.top[r0 + i] - top;
            merged.top[r0 + i] = top;
        }
        exp<Arch>(v::load(keep)).store(keep);
        exp<Arch>(v::load(take)).store(take);
        for (std::size_t i = 0; i < height; ++i) {
            if (next.sum[r0 + i] == 0.0f) continue;
            const v old_share = v::broadcast(keep[i]), new_share = v::broadcast(take[i]);
            float* to = merged.values + (r0 + i) * padded;
            const float* from = next.values + (r0 + i) * padded;
            for (std::size_t d = 0; d < padded; d += 16)
                fma(v::load(from + d), new_share, v::load(to + d) * old_share).store(to + d);
            merged.sum[r0 + i] = fused(next.sum[r0 + i], take[i], merged.sum[r0 + i] * keep[i]);
        }
    }
}

/// A block_partial of `rows` rows in `memory` of partial_size floats.
[[nodiscard]] inline std::size_t partial_size(std::size_t rows, std::size_t padded) {
    return rows * padded + 2 * ((rows + 15) / 16 * 16);
}
[[nodiscard]] inline block_partial partial_at(float* memory, std::size_t rows, std::size_t padded) {
    float* top = memory + rows * padded;
    return {top, top + (rows + 15) / 16 * 16, memory};
}
inline void clear(const block_partial& p, std::size_t rows, std::size_t padded) {
    std::fill_n(p.values, rows * padded, 0.0f);
    std::fill_n(p.top, rows, -std::numeric_limits<float>::infinity());
    std::fill_n(p.sum, rows, 0.0f);
}

/// A batch cut into tiles, and the attention of one layer over them.
template <class Arch, class Source>
class tiled_attention {
public:
    tiled_attention(const float* q, const ragged_batch& batch, const Source& source, const attention_options& o,
                    float* y, thread_pool& pool)
        : q_(q), batch_(batch), source_(source), o_(o), y_(y), pool_(pool) {
        const std::size_t m = batch.size(), sequences = batch.sequences();
        std::uint32_t* memory = scratch<purpose::order, std::uint32_t>(3 * m + 2 * sequences + 2);
        sequence_of_ = memory, tokens_ = memory + m, tile_ends_ = memory + 2 * m;
        std::uint32_t* order = memory + 3 * m + 1;
        // Sequences with the same beginning side by side.
        std::iota(order, order + sequences, 0u);
        const auto first_block = [&](std::uint32_t s) {
            const bool empty = batch.seq_offsets[s] == batch.seq_offsets[s + 1];
            return empty ? 0 : reinterpret_cast<std::uintptr_t>(source.id(s, 0));
        };
        std::sort(order, order + sequences, [&](std::uint32_t a, std::uint32_t b) {
            return std::pair(first_block(a), a) < std::pair(first_block(b), b);
        });
        const std::size_t group = o.heads / o.kv_heads, most = std::max<std::size_t>(1, 48 / group);
        const std::size_t size = std::clamp<std::size_t>((m + 2 * pool.size() - 1) / (2 * pool.size()), 1, most);
        std::size_t used = 0, tile = 0;
        const auto end_tile = [&] {
            if (tile == 0) return;
            tile_ends_[tiles_++] = static_cast<std::uint32_t>(used);
            tile = 0;
        };
        for (std::size_t i = 0; i < sequences; ++i) {
            const std::uint32_t s = order[i], begin = batch.seq_offsets[s], end = batch.seq_offsets[s + 1];
            const bool is_long = std::size_t{4} * (end - begin) > size;
            if (is_long) end_tile();  // it gets tiles of its own
            for (std::uint32_t t = begin; t < end; ++t) {
                sequence_of_[t] = s;
                tokens_[used++] = t;
                if (++tile == size) end_tile();
            }
            if (is_long) end_tile();
        }
        end_tile();
    }

    void run() {
        const std::size_t tasks = tiles_ * o_.kv_heads;
        std::size_t blocks = 0;
        for (std::size_t t = 0; t < tiles_; ++t) {
            const auto [first, last] = tile(t, 0).blocks(batch_.positions, o_.window);
            blocks = std::max(blocks, last + 1 - first);
        }
        if (tasks < 4 * pool_.size() && blocks >= 8 && pool_.size() > 1 && batch_.size() <= 16)
            run_split(tasks, blocks);
        else
            pool_.share_out(tasks, 1, [&](std::size_t begin, std::size_t end, std::size_t) {
                for (std::size_t i = begin; i < end; ++i) whole(task_tile(i), i / tiles_);
            });
    }

private:
    [[nodiscard]] std::size_t padded() const { return (o_.head_dim + 15) / 16 * 16; }
    [[nodiscard]] query_tile tile(std::size_t t, std::size_t kv_head) const {
        const std::size_t group = o_.heads / o_.kv_heads, begin = t == 0 ? 0 : tile_ends_[t - 1];
        return {{tokens_ + begin, tile_ends_[t] - begin}, group, o_.heads, kv_head * group, o_.head_dim};
    }
    /// A later tile sees more: pairs of an early and a late one make the threads' shares alike.
    [[nodiscard]] std::size_t task_tile(std::size_t task) const {
        const std::size_t place = task % tiles_;
        return place % 2 == 0 ? place / 2 : tiles_ - 1 - place / 2;
    }
    /// One tile against one block.
    void block(const query_tile& t, std::size_t kv_head, const float* queries, std::size_t b,
               const block_partial& out) const {
        float* room = scratch<purpose::keys>(2 * kv_block_size * padded());
        float* scores = scratch<purpose::scores>(chain_rows<Arch> * kv_block_size);
        std::fill_n(out.sum, t.rows(), 0.0f);
        each_run(t, sequence_of_, batch_.positions, source_, b, [&](std::size_t s, std::size_t r0, std::size_t r1) {
            const auto* keys = source_.keys(s, b, kv_head, room);
            const auto [values, stride] = source_.values(s, b, kv_head, room + kv_block_size * padded());
            attend_block<Arch>(t, r0, r1, queries, batch_.positions, o_.window, b, keys, values, stride, padded(),
                               scores, out);
        });
    }
    void finish(const query_tile& t, const block_partial& merged) const {
        for (std::size_t r = 0; r < t.rows(); ++r) {
            const float inverse = 1.0f / merged.sum[r];
            for (std::size_t d = 0; d < o_.head_dim; ++d)
                y_[t.offset(r) + d] = merged.values[r * padded() + d] * inverse;
        }
    }
    void whole(std::size_t index, std::size_t kv_head) const {
        const query_tile t = tile(index, kv_head);
        const std::size_t rows = t.rows(), size = partial_size(rows, padded());
        float* queries = scratch<purpose::queries>(rows * padded());
        float* memory = scratch<purpose::partial>(2 * size);
        const block_partial merged = partial_at(memory, rows, padded()),
                            next = partial_at(memory + size, rows, padded());
        t.gather(q_, static_cast<float>(o_.scale), padded(), queries);
        clear(merged, rows, padded());
        const auto [first, last] = t.blocks(batch_.positions, o_.window);
        for (std::size_t b = first; b <= last; ++b) {
            block(t, kv_head, queries, b, next);
            merge_partials<Arch>(0, rows, padded(), next, merged);
        }
        finish(t, merged);
    }
    /// Few tiles that see much: their blocks are shared out among the threads, then merged in order.
    void run_split(std::size_t tasks, std::size_t blocks) {
        std::size_t rows = 0;
        for (std::size_t t = 0; t < tiles_; ++t) rows = std::max(rows, tile(t, 0).rows());
        const std::size_t size = partial_size(rows, padded());
        float* memory = scratch<purpose::split>(tasks * blocks * size);
        pool_.share_out(tasks * blocks, 1, [&](std::size_t begin, std::size_t end, std::size_t) {
            float* queries = scratch<purpose::queries>(rows * padded());
            for (std::size_t i = begin; i < end; ++i) {
                const query_tile t = tile(i / blocks % tiles_, i / blocks / tiles_);
                if (i == begin || i % blocks == 0) t.gather(q_, static_cast<float>(o_.scale), padded(), queries);
                const auto [first, last] = t.blocks(batch_.positions, o_.window);
                const std::size_t b = first + i % blocks;
                if (b <= last)
                    block(t, i / blocks / tiles_, queries, b, partial_at(memory + i * size, t.rows(), padded()));
            }
        });
        pool_.share_out(tasks, 1, [&](std::size_t begin, std::size_t end, std::size_t) {
            for (std::size_t i = begin; i < end; ++i) {
                const query_tile t = tile(i % tiles_, i / tiles_);
                const block_partial merged = partial_at(scratch<purpose::partial>(size), t.rows(), padded());
                clear(merged, t.rows(), padded());
                const auto [first, last] = t.blocks(batch_.positions, o_.window);
                for (std::size_t b = 0; b <= last - first; ++b)
                    merge_partials<Arch>(0, t.rows(), padded(),
                                         partial_at(memory + (i * blocks + b) * size, t.rows(), padded()), merged);
                finish(t, merged);
            }
        });
    }

    const float* q_;
    const ragged_batch& batch_;
    const Source& source_;
    const attention_options& o_;
    float* y_;
    thread_pool& pool_;
    std::uint32_t *sequence_of_, *tokens_, *tile_ends_;
    std::size_t tiles_ = 0;
};

/// Calls f(T{}) for the element type of a cache that holds numbers as they are.
template <class F>
void visit_elements(dtype type, F&& f) {
    if (type == dtype::f16) return f(f16{});
    if (type == dtype::bf16) return f(bf16{});
    assert(type == dtype::f32);
    f(float{});
}

}  // namespace detail

/// y_h = sum_t p_t v_t, p = softmax(scale q_h . k_t) over the visible positions; head h reads kv head h kv_heads /
/// heads.
template <class Arch>
void attention(view<const float, 3> q, const ragged_batch& batch, std::span<const kv_sequence<const float>> kv,
               const attention_options& o, view<float, 3> y, thread_pool& pool) {
    assert(q.shape() == y.shape() && q.extent(1) == o.heads && q.extent(2) == o.head_dim && o.heads % o.kv_heads == 0);
    const detail::float_rows<Arch> source{kv, o.kv_heads * o.head_dim, o.head_dim, (o.head_dim + 15) / 16 * 16};
    detail::tiled_attention<Arch, detail::float_rows<Arch>>(q.data(), batch, source, o, y.data(), pool).run();
}
/// The same over a layer of a cache.
template <class Arch>
void attention(view<const float, 3> q, const ragged_batch& batch, const cached_layer& layer, const attention_options& o,
               view<float, 3> y, thread_pool& pool) {
    assert(q.shape() == y.shape() && q.extent(1) == o.heads && q.extent(2) == o.head_dim && o.heads % o.kv_heads == 0);
    const auto attend = [&]<class Source>(const Source& source) {
        detail::tiled_attention<Arch, Source>(q.data(), batch, source, o, y.data(), pool).run();
    };
    const kv_block_shape shape{o.kv_heads, o.head_dim};
    if (layer.type == dtype::q8_0) return attend(detail::q8_rows<Arch>{&layer, shape});
    detail::visit_elements(layer.type, [&]<class T>(T) { attend(detail::cached_rows<T>{&layer, shape}); });
}

/// Puts the keys and values [m, kv_heads, head_dim] of a batch into their places in a cache.
template <class Arch>
void store_cached(view<const float, 3> k, view<const float, 3> v, const ragged_batch& batch, const cached_layer& layer,
                  thread_pool& pool) {
    assert(k.shape() == v.shape() && k.extent(0) == batch.size());
    const std::size_t m = k.extent(0), dim = k.extent(2);
    const kv_block_shape shape{k.extent(1), dim};
    std::byte** homes = scratch<purpose::order, std::byte*>(m);  // of each token, its block
    for (std::size_t s = 0; s < batch.sequences(); ++s)
        for (std::size_t i = batch.seq_offsets[s]; i < batch.seq_offsets[s + 1]; ++i)
            homes[i] = layer.block(s, static_cast<std::size_t>(batch.positions[i]) / kv_block_size) + layer.offset;
    // Head by head: threads seldom share a line of keys. store(block, head, position in it, row of the batch)
    const auto each = [&](auto store) {
        pool.parallel_for(shape.kv_heads * m, 16, [&](std::size_t begin, std::size_t end, std::size_t) {
            for (std::size_t j = begin; j < end; ++j) {
                const std::size_t i = j % m;
                store(homes[i], j / m, static_cast<std::size_t>(batch.positions[i]) % kv_block_size, i);
            }
        });
    };
    if (layer.type == dtype::q8_0)
        return each([&](std::byte* block, std::size_t head, std::size_t t, std::size_t i) {
            detail::store_q8(block, shape, head, t, &k(i, head, 0), &v(i, head, 0));
        });
    detail::visit_elements(layer.type, [&]<class T>(T) {
        each([&](std::byte* memory, std::size_t head, std::size_t t, std::size_t i) {
            T* block = reinterpret_cast<T*>(memory);
            T *keys = block + shape.keys(head) + t, *values = block + shape.values(head) + t * shape.padded();
            const float *from_k = &k(i, head, 0), *from_v = &v(i, head, 0);
            for_each_vector(dim, [&](std::size_t d, auto n) {
                T turned[16];
                detail::store_elements<Arch>(get<Arch>(from_k + d, n), turned);
                for (std::size_t e = 0; e < n; ++e) keys[(d + e) * kv_block_size] = turned[e];
                detail::store_elements<Arch>(get<Arch>(from_v + d, n), values + d);  // zeros beyond dim
            });
        });
    });
}

}  // namespace LAB_ISA
}  // namespace lab::kernels
