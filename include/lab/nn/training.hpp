// Loss and gradients of a model over a ragged batch of whole samples (each sequence starts at position 0 and sees only
// itself). Forward keeps what the hand-written backward needs and recomputes what is cheap (norms, activations), or as
// much as `recompute` asks for.
// The head runs only over rows with a target, in chunks, so that [tokens, vocab] logits never exist.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lab/core/backend.hpp"
#include "lab/core/error.hpp"
#include "lab/core/tensor.hpp"
#include "lab/nn/model.hpp"
#include "lab/nn/training_settings.hpp"
#include "lab/nn/weights.hpp"

namespace lab::nn {

/// Sum of the cross-entropies (nats) of the rows with a target, and how many they were.
template <class S>
struct loss_sum {
    sum_of<S> sum{};
    std::size_t targets = 0;
};

/// Workspace for training passes over one model; reuse it from step to step.
template <class Model>
class training_pass {
public:
    using S = typename Model::scalar;
    using architecture = typename Model::architecture;
    using ffn = typename architecture::ffn;
    using gradients = model_gradients<architecture, typename Model::backend_type>;
    static_assert(ffn::trainable, "this architecture's feed-forward policy has no backward");

    /// `head_rows`: rows of logits held at once. Runs that must agree to the bit need the same value: sums over rows
    /// are taken chunk by chunk.
    explicit training_pass(const Model& m, std::size_t head_rows = 256)
        : training_pass(m, m.backend(), recompute::none, head_rows) {}
    /// The same, computed by another backend than the model's own: in another precision.
    training_pass(const Model& m, typename Model::backend_type backend, recompute again = recompute::none,
                  std::size_t head_rows = 256)
        : model_(m), backend_(std::move(backend)), again_(again), head_rows_(head_rows) {}

    /// Of the steps to come: what `loss_and_gradients` does besides. The noise starts anew.
    void set(const training_settings& settings) { settings_ = settings, noised_rows_ = 0; }
    /// So many rows of the step come before the next pass, where it does not simply follow the last one.
    void begin_at_row(std::uint64_t rows) { noised_rows_ = rows; }

    /// Loss alone. `targets[i]` is the token that row i should predict, or `no_token`.
    loss_sum<S> loss(const ragged_batch& batch, std::span<const token> targets) {
        forward(batch, targets, false);
        return head(nullptr, 0.0);
    }
    /// The losses of each sequence apart: losses [sequences], a sum over its rows with a target.
    void sequence_losses(const ragged_batch& batch, std::span<const token> targets, std::span<sum_of<S>> losses) {
        forward(batch, targets, false);
        head(nullptr, 0.0);
        sum_by_sequence(batch, losses);
    }
    /// The gradient of any function of the sequences' losses added to `g`: `weigh(losses, weights)` is told the losses
    /// [sequences] and says the function's derivative by each. The head's products run twice, as its logits are not
    /// kept. Label smoothing and the experts' balance have no part in it.
    template <class Weigh>
    void weighted_gradients(const ragged_batch& batch, std::span<const token> targets, Weigh&& weigh, gradients& g) {
        forward(batch, targets, true);
        head(nullptr, 0.0);
        std::vector<sum_of<S>> losses(batch.sequences());
        std::vector<double> weights(batch.sequences());
        sum_by_sequence(batch, losses);
        weigh(std::span<const sum_of<S>>(losses), std::span<double>(weights));
        row_weights_.resize(rows_.size());
        each_row_of_a_sequence(batch, [&](std::size_t r, std::size_t s) { row_weights_[r] = weights[s]; });
        if constexpr (routed) ffn_.balance_weight = 0.0;
        head(&g, 1.0, row_weights_);
        backward(batch, g);
    }
    /// Loss, and its gradient times `loss_scale` added to `g`.
    loss_sum<S> loss_and_gradients(const ragged_batch& batch, std::span<const token> targets, double loss_scale,
                                   gradients& g) {
        forward(batch, targets, true);
        auto result = head(&g, loss_scale);
        if constexpr (routed) {  // a pass counts in it as in the loss, by its targets
            const double weight = settings_.router_loss * static_cast<double>(result.targets);
            if (weight != 0) result.sum += weight * ffn_.balance.loss();
            ffn_.balance_weight = weight * loss_scale;
        }
        backward(batch, g);
        return result;
    }

private:
    static constexpr bool routed = requires(typename ffn::template workspace<S> & space) { space.balance; };

    /// Of one block: q after rope, k/v blocks, attention out, x between its halves.
    struct attention_state {
        scratch<S> q, keys, values, attended, middle;
    };

    void forward(const ragged_batch& batch, std::span<const token> targets, bool learning) {
        const auto& d = model_.dims();
        const auto& b = backend_;
        const auto& w = model_.weights();
        require_batch(batch, d.vocab);
        if (targets.size() != batch.size())
            throw shape_error(explain("targets", "has " + std::to_string(targets.size()) + " entries, the batch " +
                                                     std::to_string(batch.size())));
        rows_.clear();
        row_targets_.clear();
        for (std::size_t i = 0; i < targets.size(); ++i) {
            if (targets[i] == no_token) continue;
            if (targets[i] < 0 || static_cast<std::size_t>(targets[i]) >= d.vocab)
                throw config_error(
                    explain("targets", "token " + std::to_string(targets[i]) + " is not in the vocabulary"));
            rows_.push_back(i);
            row_targets_.push_back(targets[i]);
        }
        place(batch);

        const std::size_t m = m_ = batch.size();
        inputs_.resize(d.layers);
        attention_.resize(again_ == recompute::full ? 1 : d.layers);
        ffn_saved_.resize(again_ == recompute::none ? d.layers : 1);
        if constexpr (routed) ffn_.balance.restart(learning && settings_.router_loss != 0 ? d.experts : 0);
        const auto x = inputs_[0].matrix(m, d.dim);
        b.embed(batch.tokens, w.embedding, x);
        if (learning && settings_.neftune_alpha > 0) {
            add_embedding_noise(settings_, batch, noised_rows_, x);
            noised_rows_ += m;
        }
        for (std::size_t l = 0; l < d.layers; ++l) {
            const auto middle = attend(l, batch);
            const auto n = n_.matrix(m, d.dim);
            architecture::norm::forward(b, d, middle, w.layers[l].ffn_norm, n);
            const auto next = l + 1 < d.layers ? inputs_[l + 1].matrix(m, d.dim) : last_.matrix(m, d.dim);
            ffn::forward_saving(b, d, w.layers[l].ffn, view<const S>(n), next, ffn_saved(l), ffn_);
            b.add(middle, next);
        }
    }

    /// middle = x + output(attention(rope(q), rope(k), v)), q, k, v linear in norm(x): the first half of a block.
    view<const S> attend(std::size_t l, const ragged_batch& batch) {
        const auto& d = model_.dims();
        const auto& b = backend_;
        const auto& w = model_.weights().layers[l];
        auto& state = attention_state_of(l);
        const std::size_t m = m_, q_dim = d.heads * d.head_dim, kv_dim = d.kv_heads * d.head_dim;
        const view<const S> x = inputs_[l].matrix(m, d.dim);
        const auto n = n_.matrix(m, d.dim), q = state.q.matrix(m, q_dim), attended = state.attended.matrix(m, q_dim);
        const auto k = k_.matrix(m, kv_dim), v = v_.matrix(m, kv_dim);
        architecture::norm::forward(b, d, x, w.attention_norm, n);
        b.matmul(n, w.q, q);
        b.matmul(n, w.k, k);
        b.matmul(n, w.v, v);
        b.rope(heads(q, d.heads), batch.positions, model_.rope());
        b.rope(heads(k, d.kv_heads), batch.positions, model_.rope());
        scatter(k, state.keys.matrix(slots_, kv_dim));
        scatter(v, state.values.matrix(slots_, kv_dim));
        point(state.keys.matrix(slots_, kv_dim), state.values.matrix(slots_, kv_dim));
        b.attention(heads(q, d.heads), batch, kv_, model_.attention(), heads(attended, d.heads));
        const auto middle = state.middle.matrix(m, d.dim);
        b.matmul(attended, w.output, middle);
        b.add(x, middle);
        return middle;
    }
    [[nodiscard]] attention_state& attention_state_of(std::size_t l) {
        return attention_[again_ == recompute::full ? 0 : l];
    }
    [[nodiscard]] typename ffn::template saved<S>& ffn_saved(std::size_t l) {
        return ffn_saved_[again_ == recompute::none ? l : 0];
    }

    /// Calls f(r, s) for the r-th row with a target, which is of sequence s.
    template <class F>
    void each_row_of_a_sequence(const ragged_batch& batch, F&& f) const {
        for (std::size_t r = 0, s = 0; r < rows_.size(); ++r) {
            while (rows_[r] >= batch.seq_offsets[s + 1]) ++s;
            f(r, s);
        }
    }
    void sum_by_sequence(const ragged_batch& batch, std::span<sum_of<S>> losses) {
        assert(losses.size() == batch.sequences());
        std::fill(losses.begin(), losses.end(), sum_of<S>{});
        each_row_of_a_sequence(batch, [&](std::size_t r, std::size_t s) { losses[s] += row_losses_[r]; });
    }

    /// Final norm, head and cross-entropy over the rows with a target; with `g` also their backward into dx, of each
    /// row times its weight where there are `weights`.
    loss_sum<S> head(gradients* g, double loss_scale, std::span<const double> weights = {}) {
        const auto& d = model_.dims();
        const auto& b = backend_;
        const auto& w = model_.weights();
        if (g != nullptr) {
            const auto dx = dx_buffer_.matrix(m_, d.dim);
            std::fill_n(dx.data(), dx.size(), S{});
        }
        const auto last = last_.matrix(m_, d.dim);
        row_losses_.resize(rows_.size());
        loss_sum<S> result{{}, rows_.size()};
        for (std::size_t begin = 0; begin < rows_.size(); begin += head_rows_) {
            const std::size_t count = std::min(head_rows_, rows_.size() - begin);
            const auto x = head_x_.matrix(count, d.dim), n = head_n_.matrix(count, d.dim);
            const auto logits = logits_.matrix(count, d.vocab);
            const auto losses = losses_.template shaped<1>({count});
            const auto targets = std::span<const token>(row_targets_).subspan(begin, count);
            for (std::size_t r = 0; r < count; ++r)
                std::copy_n(last.row(rows_[begin + r]).data(), d.dim, x.row(r).data());
            architecture::norm::forward(b, d, view<const S>(x), w.norm, n);
            b.matmul(n, w.head, logits);
            b.cross_entropy(logits, targets, losses);
            std::copy_n(losses.data(), count, row_losses_.begin() + static_cast<std::ptrdiff_t>(begin));
            const double smoothing = g != nullptr && weights.empty() ? settings_.label_smoothing : 0.0;
            if (smoothing > 0) smooth_losses<S>(logits, targets, smoothing, losses);
            for (const S& loss : losses.flat()) result.sum += loss;
            if (g == nullptr) continue;
            b.cross_entropy_backward(logits, targets, loss_scale);
            if (smoothing > 0) smooth_gradients<S>(logits, targets, smoothing, loss_scale);
            for (std::size_t r = 0; r < count && !weights.empty(); ++r)
                for (S& z : logits.row(r)) z *= static_cast<S>(weights[begin + r]);
            const auto dn = head_dn_.matrix(count, d.dim), dx = head_dx_.matrix(count, d.dim);
            b.linear_backward(logits, n, w.head, d.tied ? g->embedding : g->head, dn, false);
            std::fill_n(dx.data(), dx.size(), S{});
            architecture::norm::backward(b, d, view<const S>(dn), view<const S>(x), w.norm, dx, g->norm);
            const auto all = dx_buffer_.matrix(m_, d.dim);
            for (std::size_t r = 0; r < count; ++r)
                std::copy_n(dx.row(r).data(), d.dim, all.row(rows_[begin + r]).data());
        }
        return result;
    }

    void backward(const ragged_batch& batch, gradients& g) {
        const auto& d = model_.dims();
        const auto& b = backend_;
        const std::size_t m = m_, q_dim = d.heads * d.head_dim, kv_dim = d.kv_heads * d.head_dim;
        const auto dx = dx_buffer_.matrix(m, d.dim);
        for (std::size_t l = d.layers; l-- > 0;) {
            const bool kept = l + 1 == d.layers;  // by the forward, whatever is computed again
            if (again_ == recompute::full && !kept) attend(l, batch);
            auto& state = attention_state_of(l);
            auto& dw = g.layers[l];
            const auto& w = model_.weights().layers[l];
            const auto n = n_.matrix(m, d.dim), dn = last_.matrix(m, d.dim);
            const view<const S> middle = state.middle.matrix(m, d.dim), input = inputs_[l].matrix(m, d.dim);

            // x_out = middle + ffn(norm(middle)): dx passes through, and once more through the branch.
            architecture::norm::forward(b, d, middle, w.ffn_norm, n);
            if (again_ != recompute::none && !kept) ffn::save(b, d, w.ffn, view<const S>(n), ffn_saved(l), ffn_);
            ffn::backward(b, d, w.ffn, dw.ffn, ffn_saved(l), view<const S>(n), view<const S>(dx), dn, ffn_);
            architecture::norm::backward(b, d, view<const S>(dn), middle, w.ffn_norm, dx, dw.ffn_norm);

            // Back through `attend`.
            const auto attended = state.attended.matrix(m, q_dim), q = state.q.matrix(m, q_dim);
            const auto da = da_.matrix(m, q_dim), dq = dq_.matrix(m, q_dim), dk = k_.matrix(m, kv_dim),
                       dv = v_.matrix(m, kv_dim);
            b.linear_backward(dx, attended, w.output, dw.output, da, false);
            const auto dkeys = dkeys_.matrix(slots_, kv_dim), dvalues = dvalues_.matrix(slots_, kv_dim);
            std::fill_n(dkeys.data(), dkeys.size(), S{});
            std::fill_n(dvalues.data(), dvalues.size(), S{});
            point(state.keys.matrix(slots_, kv_dim), state.values.matrix(slots_, kv_dim));
            point_gradients(dkeys, dvalues);
            b.attention_backward(heads(da, d.heads), heads(q, d.heads), batch, kv_, model_.attention(),
                                 heads(dq, d.heads), dkv_);
            gather(dkeys, dk);
            gather(dvalues, dv);
            b.rope_backward(heads(dq, d.heads), batch.positions, model_.rope());
            b.rope_backward(heads(dk, d.kv_heads), batch.positions, model_.rope());
            architecture::norm::forward(b, d, input, w.attention_norm, n);
            b.linear_backward(dq, n, w.q, dw.q, dn, false);
            b.linear_backward(dk, n, w.k, dw.k, dn, true);
            b.linear_backward(dv, n, w.v, dw.v, dn, true);
            architecture::norm::backward(b, d, view<const S>(dn), input, w.attention_norm, dx, dw.attention_norm);
        }
        b.embed_backward(batch.tokens, dx, g.embedding);
    }

    [[nodiscard]] view<S, 3> heads(view<S> x, std::size_t count) const {
        return x.template reshape<3>({x.extent(0), count, x.extent(1) / count});
    }
    /// Gives every sequence its own 64-aligned slots in the key and value stores.
    void place(const ragged_batch& batch) {
        slot_.resize(batch.size());
        block_counts_.clear();
        lengths_.clear();
        slots_ = 0;
        for (std::size_t s = 0; s < batch.sequences(); ++s) {
            const std::size_t begin = batch.seq_offsets[s], end = batch.seq_offsets[s + 1];
            if (begin != end && batch.positions[begin] != 0)
                throw config_error(
                    explain("batch", "training sequence " + std::to_string(s) + " does not start at position 0"));
            for (std::size_t i = begin; i < end; ++i) slot_[i] = slots_ + (i - begin);
            block_counts_.push_back((end - begin + kv_block_size - 1) / kv_block_size);
            lengths_.push_back(static_cast<std::int32_t>(end - begin));
            slots_ += block_counts_.back() * kv_block_size;
        }
    }
    void scatter(view<const S> rows, view<S> store) const {
        for (std::size_t i = 0; i < slot_.size(); ++i)
            std::copy_n(rows.row(i).data(), rows.extent(1), store.row(slot_[i]).data());
    }
    void gather(view<const S> store, view<S> rows) const {
        for (std::size_t i = 0; i < slot_.size(); ++i)
            std::copy_n(store.row(slot_[i]).data(), rows.extent(1), rows.row(i).data());
    }
    template <class T>
    void point_blocks(view<S> keys, view<S> values, std::vector<T*>& key_blocks, std::vector<T*>& value_blocks,
                      std::vector<kv_sequence<T>>& sequences) const {
        const std::size_t blocks = slots_ / kv_block_size, stride = kv_block_size * keys.extent(1);
        key_blocks.resize(blocks);
        value_blocks.resize(blocks);
        sequences.resize(block_counts_.size());
        for (std::size_t i = 0; i < blocks; ++i) {
            key_blocks[i] = keys.data() + i * stride;
            value_blocks[i] = values.data() + i * stride;
        }
        std::size_t first = 0;
        for (std::size_t s = 0; s < sequences.size(); ++s) {
            sequences[s] = {std::span<T* const>(key_blocks.data() + first, block_counts_[s]),
                            std::span<T* const>(value_blocks.data() + first, block_counts_[s]), lengths_[s]};
            first += block_counts_[s];
        }
    }
    void point(view<S> keys, view<S> values) { point_blocks<const S>(keys, values, key_blocks_, value_blocks_, kv_); }
    void point_gradients(view<S> keys, view<S> values) {
        point_blocks<S>(keys, values, dkey_blocks_, dvalue_blocks_, dkv_);
    }

    const Model& model_;
    typename Model::backend_type backend_;
    recompute again_;
    std::size_t head_rows_;
    training_settings settings_;
    std::uint64_t noised_rows_ = 0;
    std::size_t m_ = 0, slots_ = 0;
    std::vector<scratch<S>> inputs_;  // of the blocks
    std::vector<attention_state> attention_;
    std::vector<typename ffn::template saved<S>> ffn_saved_;
    scratch<S> last_;  // what leaves the last block; the backward of the blocks overwrites it
    scratch<S> n_, k_, v_, dx_buffer_, da_, dq_, dkeys_, dvalues_;
    scratch<S> head_x_, head_n_, head_dn_, head_dx_, logits_, losses_;
    typename ffn::template workspace<S> ffn_;
    std::vector<std::size_t> rows_, slot_, block_counts_;
    std::vector<std::int32_t> lengths_;
    std::vector<token> row_targets_;
    std::vector<S> row_losses_;  // of the last head
    std::vector<double> row_weights_;
    std::vector<const S*> key_blocks_, value_blocks_;
    std::vector<S*> dkey_blocks_, dvalue_blocks_;
    std::vector<kv_sequence<const S>> kv_;
    std::vector<kv_sequence<S>> dkv_;
};

}  // namespace lab::nn
