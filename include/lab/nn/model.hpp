// A decoder-only transformer: `model<Architecture, Dims, Backend>` runs a ragged batch (prefill and decoding of several
// sequences in one call) over a paged KV cache. Pre-norm blocks: x += attention(norm(x)); x += ffn(norm(x)).
// A row's logits depend on its sequence alone, bit for bit. Training lives in training.hpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lab/core/backend.hpp"
#include "lab/core/error.hpp"
#include "lab/nn/arch.hpp"
#include "lab/nn/dims.hpp"
#include "lab/nn/kv_cache.hpp"
#include "lab/nn/scratch.hpp"
#include "lab/nn/weights.hpp"

namespace lab::nn {

/// @throws config_error / shape_error unless the batch is well formed and its tokens lie in [0, vocab).
inline void require_batch(const ragged_batch& batch, std::size_t vocab) {
    const auto& offsets = batch.seq_offsets;
    bool ok = batch.positions.size() == batch.size() && !offsets.empty() && offsets.front() == 0 &&
              offsets.back() == batch.size();
    for (std::size_t s = 0; ok && s < batch.sequences(); ++s) {
        ok = offsets[s] <= offsets[s + 1] && offsets[s + 1] <= batch.size();
        for (std::size_t i = offsets[s] + 1; ok && i < offsets[s + 1]; ++i)
            ok = batch.positions[i] == batch.positions[i - 1] + 1;
    }
    if (!ok)
        throw shape_error(
            "batch: offsets must rise from 0 to the token count and positions must be consecutive within a sequence");
    for (const token t : batch.tokens)
        if (t < 0 || static_cast<std::size_t>(t) >= vocab)
            throw config_error(explain(
                "batch", "token " + std::to_string(t) + " is not in the vocabulary of " + std::to_string(vocab)));
}

template <class Architecture, class Dims, backend Backend>
class model {
public:
    using architecture = Architecture;
    using dims_type = Dims;
    using backend_type = Backend;
    using scalar = typename Backend::scalar;
    using weights_type = model_weights<Architecture, Backend>;
    using cache = kv_cache<scalar>;

    /// `owner` keeps whatever the weights point into alive: an arena, mapped files.
    /// @throws config_error when the sizes contradict each other.
    model(Dims dims, weights_type w, Backend backend, bool half_split, std::shared_ptr<const void> owner = nullptr)
        : dims_(dims),
          weights_(std::move(w)),
          backend_(std::move(backend)),
          half_split_(half_split),
          owner_(std::move(owner)) {
        validate(dims_, "model");
    }

    [[nodiscard]] const Dims& dims() const { return dims_; }
    [[nodiscard]] const weights_type& weights() const { return weights_; }
    [[nodiscard]] const Backend& backend() const { return backend_; }
    /// The rotary layout of the query and key rows: Hugging Face's halves, or llama.cpp's neighbours.
    [[nodiscard]] bool half_split() const { return half_split_; }
    [[nodiscard]] rope_options rope() const { return Architecture::position::options(dims_, half_split_); }
    [[nodiscard]] attention_options attention() const { return Architecture::attention::options(dims_); }

    [[nodiscard]] cache make_cache(kv_cache_options options = {}) const {
        return cache(dims_.layers, dims_.kv_heads, dims_.head_dim, attention().window, options);
    }

    /// Appends batch sequence s to cache sequence `sequences[s]` and returns the logits of the wanted `rows` (indices
    /// into the batch): [rows, vocab], valid until the next call.
    /// Each position must be the next of its sequence; a sequence appears at most once.
    /// @throws config_error when the cache is full or positions do not continue the cache; nothing is appended then.
    view<const scalar> forward(const ragged_batch& batch, cache& kv, std::span<const sequence_id> sequences,
                               std::span<const std::uint32_t> rows) {
        const auto states = hidden(batch, kv, sequences, rows);
        const auto logits = logits_.matrix(rows.size(), dims_.vocab);
        backend_.matmul(states, weights_.head, logits);
        return logits;
    }
    /// The same, up to what the head reads: the last hidden states, normed: [rows, dim].
    view<const scalar> hidden(const ragged_batch& batch, cache& kv, std::span<const sequence_id> sequences,
                              std::span<const std::uint32_t> rows) {
        require_batch(batch, dims_.vocab);
        for (const auto row : rows)
            if (row >= batch.size())
                throw shape_error(
                    explain("batch", "wanted row " + std::to_string(row) + " of " + std::to_string(batch.size())));
        reserve(batch, kv, sequences);

        const auto& d = dims_;
        const std::size_t m = batch.size(), q_dim = d.heads * d.head_dim, kv_dim = d.kv_heads * d.head_dim;
        const auto q = q_.matrix(m, q_dim), k = k_.matrix(m, kv_dim), v = v_.matrix(m, kv_dim);
        const auto q_heads = q.template reshape<3>({m, d.heads, d.head_dim});
        const auto k_heads = k.template reshape<3>({m, d.kv_heads, d.head_dim}),
                   v_heads = v.template reshape<3>({m, d.kv_heads, d.head_dim});
        auto x = x_.matrix(m, d.dim), n = n_.matrix(m, d.dim), y = y_.matrix(m, d.dim), a = a_.matrix(m, q_dim);
        point_blocks(kv, sequences);

        backend_.embed(batch.tokens, weights_.embedding, x);
        for (std::size_t l = 0; l < d.layers; ++l) {
            const auto& w = weights_.layers[l];
            Architecture::norm::forward(backend_, d, view<const scalar>(x), w.attention_norm, n);
            backend_.products(n, {{w.q, q}, {w.k, k}, {w.v, v}});
            backend_.rope(q_heads, batch.positions, rope());
            backend_.rope(k_heads, batch.positions, rope());
            const cached_layer layer{blocks_, first_block_, kv.layer_offset(l), kv.type()};
            backend_.store_cached(k_heads, v_heads, batch, layer);
            backend_.attention(q_heads, batch, layer, attention(), a.template reshape<3>({m, d.heads, d.head_dim}));
            if (l + 1 == d.layers) {  // from here on, the wanted rows alone
                const std::size_t r = rows.size();
                a = gather(a, rows, q_.matrix(r, q_dim));
                x = gather(x, rows, y_.matrix(r, d.dim));
                n = n_.matrix(r, d.dim), y = x_.matrix(r, d.dim);
            }
            backend_.matmul(a, w.output, n);
            backend_.add(n, x);
            Architecture::norm::forward(backend_, d, view<const scalar>(x), w.ffn_norm, n);
            Architecture::ffn::forward(backend_, d, w.ffn, view<const scalar>(n), y, ffn_);
            backend_.add(y, x);
        }
        if (attention().window != 0)
            for (const auto id : sequences) kv.drop_outside_window(id);

        Architecture::norm::forward(backend_, d, view<const scalar>(x), weights_.norm, n);
        return n;
    }

private:
    /// Checks that the batch continues the cache and makes room for it, all or nothing.
    void reserve(const ragged_batch& batch, cache& kv, std::span<const sequence_id> sequences) {
        if (sequences.size() != batch.sequences())
            throw shape_error(explain("batch", std::to_string(batch.sequences()) + " sequences, but " +
                                                   std::to_string(sequences.size()) + " cache ids"));
        std::size_t needed = 0;
        for (std::size_t s = 0; s < sequences.size(); ++s) {
            const std::size_t begin = batch.seq_offsets[s], end = batch.seq_offsets[s + 1];
            for (std::size_t t = 0; t < s; ++t)
                if (sequences[t] == sequences[s]) throw config_error("batch: a cache sequence appears twice");
            if (begin != end && batch.positions[begin] != kv.length(sequences[s]))
                throw config_error(explain("batch", "sequence " + std::to_string(s) + " starts at position " +
                                                        std::to_string(batch.positions[begin]) + ", its cache holds " +
                                                        std::to_string(kv.length(sequences[s]))));
            needed += kv.blocks_needed(sequences[s], end - begin);
        }
        if (needed > kv.free_blocks())
            throw config_error(explain(
                "kv cache",
                "needs " + std::to_string(needed) + " more blocks, " + std::to_string(kv.free_blocks()) + " are free",
                "release sequences or raise max_bytes"));
        for (std::size_t s = 0; s < sequences.size(); ++s)
            kv.extend(sequences[s], batch.seq_offsets[s + 1] - batch.seq_offsets[s]);
    }
    static view<scalar> gather(view<scalar> from, std::span<const std::uint32_t> rows, view<scalar> to) {
        for (std::size_t r = 0; r < rows.size(); ++r)
            std::copy_n(from.row(rows[r]).data(), to.extent(1), to.row(r).data());
        return to;
    }
    /// Fills the table of the batch's blocks.
    void point_blocks(cache& kv, std::span<const sequence_id> sequences) {
        blocks_.clear();
        first_block_.assign(1, 0);
        for (const auto id : sequences) {
            for (std::size_t b = 0; b < kv.block_count(id); ++b) blocks_.push_back(kv.block(id, b));
            first_block_.push_back(static_cast<std::uint32_t>(blocks_.size()));
        }
    }

    Dims dims_;
    weights_type weights_;
    Backend backend_;
    bool half_split_;
    std::shared_ptr<const void> owner_;

    scratch<scalar> x_, n_, y_, q_, k_, v_, a_, logits_;
    typename Architecture::ffn::template workspace<scalar> ffn_;
    std::vector<std::byte*> blocks_;  // of the batch's sequences, in the cache
    std::vector<std::uint32_t> first_block_;
};

}  // namespace lab::nn
