// cpu<Arch>: the processor's kernels as a lab::backend. Scalars are floats, weights any format of core/dtype.hpp. Every
// output row is the same bits whatever other rows are in the call, on any number of threads; in float (not bf16)
// compute also on every instruction set with fused multiply-add. Shapes are asserted, not checked.
#pragma once

#include <cassert>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <span>

#include "lab/core/backend.hpp"
#include "lab/core/profile.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/kernels/attention.hpp"
#include "lab/kernels/attention_backward.hpp"
#include "lab/kernels/gemm.hpp"
#include "lab/kernels/head.hpp"
#include "lab/kernels/loss.hpp"
#include "lab/kernels/panel_products.hpp"
#include "lab/kernels/rope.hpp"
#include "lab/kernels/rows.hpp"

namespace lab::kernels {

struct cpu_options {
    lab::compute compute = lab::compute::f32;
    op_profile* profile = nullptr;  // must outlive the backend
};

inline namespace LAB_ISA {

/// Copies share the pool, which must outlive them, and the table of rotations. Ops may be called from several threads.
/// The definitions are below and not inline, so that `extern template class cpu<...>` spares a unit from compiling
/// them.
template <class Arch = arch::native>
class cpu {
public:
    using scalar = float;
    using weight = matrix_view;
    using gradient = view<float>;

    explicit cpu(thread_pool& pool, cpu_options options = {});

    [[nodiscard]] thread_pool& pool() const { return *pool_; }
    [[nodiscard]] const cpu_options& options() const { return options_; }
    /// Whether products with this weight are faster when `matrix_view::panels` is set (pack_matrix in panels.hpp).
    [[nodiscard]] static bool takes_panels(matrix_view w, lab::compute precision) {
        w.panels = w.data;
        return panel_operand<Arch>(w, precision).has_value();
    }

    /// y [m, out] = x [m, in] w^T
    void matmul(view<const float> x, matrix_view w, view<float> y) const;
    /// The same for several weights; x is prepared once.
    void products(view<const float> x, std::initializer_list<product<matrix_view, float>> list) const;
    /// dx [m, in] (+)= dy [m, out] w
    void matmul_backward_input(view<const float> dy, matrix_view w, view<float> dx, bool accumulate) const;
    /// dw [out, in] += dy^T x
    void matmul_backward_weight(view<const float> dy, view<const float> x, view<float> dw) const;
    /// Both, of one linear layer; dx may be x.
    void linear_backward(view<const float> dy, view<const float> x, matrix_view w, view<float> dw, view<float> dx,
                         bool accumulate) const;
    /// y_i = w[token_i]
    void embed(std::span<const token> tokens, matrix_view w, view<float> y) const;
    /// dw[token_i] += dy_i, in token order
    void embed_backward(std::span<const token> tokens, view<const float> dy, view<float> dw) const;
    /// y = g x / sqrt(mean(x^2) + eps)
    void rms_norm(view<const float> x, view<const float, 1> g, double eps, view<float> y) const;
    /// dx += , dg += unless it is empty
    void rms_norm_backward(view<const float> dy, view<const float> x, view<const float, 1> g, double eps,
                           view<float> dx, view<float, 1> dg) const;
    /// In place.
    void rope(view<float, 3> x, std::span<const std::int32_t> positions, const rope_options& o) const;
    void rope_backward(view<float, 3> dx, std::span<const std::int32_t> positions, const rope_options& o) const;
    void attention(view<const float, 3> q, const ragged_batch& batch, std::span<const kv_sequence<const float>> kv,
                   const attention_options& o, view<float, 3> y) const;
    void attention(view<const float, 3> q, const ragged_batch& batch, const cached_layer& layer,
                   const attention_options& o, view<float, 3> y) const;
    void store_cached(view<const float, 3> k, view<const float, 3> v, const ragged_batch& batch,
                      const cached_layer& layer) const;
    /// dq = , dkv +=
    void attention_backward(view<const float, 3> dy, view<const float, 3> q, const ragged_batch& batch,
                            std::span<const kv_sequence<const float>> kv, const attention_options& o, view<float, 3> dq,
                            std::span<const kv_sequence<float>> dkv) const;
    /// y = gate sigmoid(gate) up; y may be gate or up.
    void swiglu(view<const float> gate, view<const float> up, view<float> y) const;
    /// Outputs may be dy, gate or up.
    void swiglu_backward(view<const float> dy, view<const float> gate, view<const float> up, view<float> dgate,
                         view<float> dup) const;
    /// y += x
    void add(view<const float> x, view<float> y) const;
    /// losses_i = -log softmax(logits_i)[target_i]; 0 where the target is negative.
    void cross_entropy(view<const float> logits, std::span<const token> targets, view<float, 1> losses) const;
    /// In place: scale (softmax - one-hot); 0 where the target is negative.
    void cross_entropy_backward(view<float> logits, std::span<const token> targets, double scale) const;

    /// The output head and its loss in one, for vocabularies whose logits [m, vocab] would not fit (head.hpp):
    /// losses_i = cross-entropy of hidden_i [dim] head^T [vocab], 0 where the target is negative.
    void head_loss(view<const float> hidden, matrix_view head, std::span<const token> targets,
                   view<float, 1> losses) const;
    /// The same and its gradients: dhidden = , dhead += scale d(sum of losses).
    void head_loss_backward(view<const float> hidden, matrix_view head, std::span<const token> targets, double scale,
                            view<float, 1> losses, view<float> dhidden, view<float> dhead) const;

private:
    [[nodiscard]] op_timer timed(std::string_view name) const { return {options_.profile, {name}}; }
    /// A product of m rows with a weight [rows, columns] of that many bytes.
    [[nodiscard]] op_timer timed(std::string_view name, std::size_t m, std::size_t columns, std::size_t rows,
                                 std::size_t bytes) const {
        const double cells = static_cast<double>(columns) * static_cast<double>(rows);
        return {
            options_.profile, {name, columns, rows}, 2 * static_cast<double>(m) * cells, static_cast<double>(bytes)};
    }

    thread_pool* pool_;
    cpu_options options_;
    std::shared_ptr<rope_table> rope_;
};

template <class Arch>
cpu<Arch>::cpu(thread_pool& pool, cpu_options options)
    : pool_(&pool), options_(options), rope_(std::make_shared<rope_table>()) {}

template <class Arch>
void cpu<Arch>::matmul(view<const float> x, matrix_view w, view<float> y) const {
    products(x, {{w, y}});
}
template <class Arch>
void cpu<Arch>::products(view<const float> x, std::initializer_list<product<matrix_view, float>> list) const {
    std::size_t rows = 0, bytes = 0;
    for (const auto& each : list) rows += each.w.rows, bytes += each.w.rows * each.w.row_stride();
    const auto timer = timed("product", x.extent(0), x.extent(1), rows, bytes);
    kernels::products<Arch>(x, {list.begin(), list.size()}, options_.compute, *pool_);
}
template <class Arch>
void cpu<Arch>::matmul_backward_input(view<const float> dy, matrix_view w, view<float> dx, bool accumulate) const {
    const auto timer =
        timed("product, gradient of its input", dy.extent(0), w.columns, w.rows, w.rows * w.row_stride());
    kernels::matmul_backward_input<Arch>(dy, w, dx, accumulate, options_.compute, *pool_);
}
template <class Arch>
void cpu<Arch>::matmul_backward_weight(view<const float> dy, view<const float> x, view<float> dw) const {
    const auto timer = timed("product, gradient of its weight", dy.extent(0), x.extent(1), dy.extent(1), 0);
    kernels::matmul_backward_weight<Arch>(dy, x, dw, options_.compute, *pool_);
}
template <class Arch>
void cpu<Arch>::linear_backward(view<const float> dy, view<const float> x, matrix_view w, view<float> dw,
                                view<float> dx, bool accumulate) const {
    matmul_backward_weight(dy, x, dw);
    matmul_backward_input(dy, w, dx, accumulate);
}
template <class Arch>
void cpu<Arch>::embed(std::span<const token> tokens, matrix_view w, view<float> y) const {
    const auto timer = timed("embedding");
    assert(y.extent(0) == tokens.size() && y.extent(1) == w.columns);
    pool_->parallel_for(tokens.size(), 8, [&](std::size_t begin, std::size_t end, std::size_t) {
        for (std::size_t i = begin; i < end; ++i) {
            const auto row = static_cast<std::size_t>(tokens[i]);
            float* out = y.data() + i * w.columns;
            if (w.panels != nullptr)  // and not the file, whose pages then need not be in memory
                decode_packed_row<Arch>(w, row, out);
            else
                decode_part(w, row, 0, w.columns, out);
        }
    });
}
template <class Arch>
void cpu<Arch>::embed_backward(std::span<const token> tokens, view<const float> dy, view<float> dw) const {
    const auto timer = timed("embedding, gradient");
    assert(dy.extent(0) == tokens.size() && dy.extent(1) == dw.extent(1));
    const std::size_t dim = dy.extent(1);
    pool_->parallel_for(dim, 64, [&](std::size_t begin, std::size_t end, std::size_t) {
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            float* row = dw.data() + static_cast<std::size_t>(tokens[i]) * dim;
            for (std::size_t j = begin; j < end; ++j) row[j] += dy.data()[i * dim + j];
        }
    });
}
template <class Arch>
void cpu<Arch>::rms_norm(view<const float> x, view<const float, 1> g, double eps, view<float> y) const {
    const auto timer = timed("norm");
    kernels::rms_norm<Arch>(x, g, eps, y, *pool_);
}
template <class Arch>
void cpu<Arch>::rms_norm_backward(view<const float> dy, view<const float> x, view<const float, 1> g, double eps,
                                  view<float> dx, view<float, 1> dg) const {
    const auto timer = timed("norm, gradient");
    kernels::rms_norm_backward<Arch>(dy, x, g, eps, dx, dg, *pool_);
}
template <class Arch>
void cpu<Arch>::rope(view<float, 3> x, std::span<const std::int32_t> positions, const rope_options& o) const {
    const auto timer = timed("rotation");
    kernels::rope<Arch>(x, positions, o, 1.0f, *rope_, *pool_);
}
template <class Arch>
void cpu<Arch>::rope_backward(view<float, 3> dx, std::span<const std::int32_t> positions, const rope_options& o) const {
    const auto timer = timed("rotation, gradient");
    kernels::rope<Arch>(dx, positions, o, -1.0f, *rope_, *pool_);
}
template <class Arch>
void cpu<Arch>::attention(view<const float, 3> q, const ragged_batch& batch,
                          std::span<const kv_sequence<const float>> kv, const attention_options& o,
                          view<float, 3> y) const {
    const auto timer = timed("attention");
    kernels::attention<Arch>(q, batch, kv, o, y, *pool_);
}
template <class Arch>
void cpu<Arch>::attention(view<const float, 3> q, const ragged_batch& batch, const cached_layer& layer,
                          const attention_options& o, view<float, 3> y) const {
    const auto timer = timed("attention");
    kernels::attention<Arch>(q, batch, layer, o, y, *pool_);
}
template <class Arch>
void cpu<Arch>::store_cached(view<const float, 3> k, view<const float, 3> v, const ragged_batch& batch,
                             const cached_layer& layer) const {
    const auto timer = timed("cache write");
    kernels::store_cached<Arch>(k, v, batch, layer, *pool_);
}
template <class Arch>
void cpu<Arch>::attention_backward(view<const float, 3> dy, view<const float, 3> q, const ragged_batch& batch,
                                   std::span<const kv_sequence<const float>> kv, const attention_options& o,
                                   view<float, 3> dq, std::span<const kv_sequence<float>> dkv) const {
    const auto timer = timed("attention, gradient");
    kernels::attention_backward<Arch>(dy, q, batch, kv, o, dq, dkv, *pool_);
}
template <class Arch>
void cpu<Arch>::swiglu(view<const float> gate, view<const float> up, view<float> y) const {
    const auto timer = timed("swiglu");
    kernels::swiglu<Arch>(gate, up, y, *pool_);
}
template <class Arch>
void cpu<Arch>::swiglu_backward(view<const float> dy, view<const float> gate, view<const float> up, view<float> dgate,
                                view<float> dup) const {
    const auto timer = timed("swiglu, gradient");
    kernels::swiglu_backward<Arch>(dy, gate, up, dgate, dup, *pool_);
}
template <class Arch>
void cpu<Arch>::add(view<const float> x, view<float> y) const {
    const auto timer = timed("addition");
    kernels::add<Arch>(x, y, *pool_);
}
template <class Arch>
void cpu<Arch>::cross_entropy(view<const float> logits, std::span<const token> targets, view<float, 1> losses) const {
    const auto timer = timed("loss");
    kernels::cross_entropy<Arch>(logits, targets, losses, *pool_);
}
template <class Arch>
void cpu<Arch>::cross_entropy_backward(view<float> logits, std::span<const token> targets, double scale) const {
    const auto timer = timed("loss, gradient");
    kernels::cross_entropy_backward<Arch>(logits, targets, scale, *pool_);
}
template <class Arch>
void cpu<Arch>::head_loss(view<const float> hidden, matrix_view head, std::span<const token> targets,
                          view<float, 1> losses) const {
    const auto timer = timed("head and loss");
    kernels::head_loss<Arch>(hidden, head, targets, losses, options_.compute, *pool_);
}
template <class Arch>
void cpu<Arch>::head_loss_backward(view<const float> hidden, matrix_view head, std::span<const token> targets,
                                   double scale, view<float, 1> losses, view<float> dhidden, view<float> dhead) const {
    const auto timer = timed("head and loss, gradient");
    kernels::head_loss_backward<Arch>(hidden, head, targets, scale, losses, dhidden, dhead, options_.compute, *pool_);
}

static_assert(backend<cpu<arch::native>>);

}  // namespace LAB_ISA
}  // namespace lab::kernels
