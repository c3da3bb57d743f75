// cpu<Arch>: the processor's kernels as a lab::backend. Scalars are floats, weights any format of core/dtype.hpp. Every
// output row is the same bits whatever other rows are in the call, on any number of threads; forward products and sums
// are the same bits on every instruction set with fused multiply-add. Shapes are asserted, not checked.
#pragma once

#include <cassert>
#include <cstddef>
#include <memory>
#include <span>

#include "lab/core/backend.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/kernels/attention.hpp"
#include "lab/kernels/gemm.hpp"
#include "lab/kernels/loss.hpp"
#include "lab/kernels/rope.hpp"
#include "lab/kernels/rows.hpp"

namespace lab::kernels {

/// Precision of the operands of matrix products; sums are always in float.
enum class compute { f32, bf16 };

struct cpu_options {
    lab::kernels::compute compute = lab::kernels::compute::f32;
};

inline namespace LAB_ISA {

/// Copies share the pool, which must outlive them. Ops may be called from several threads at once.
template <class Arch = arch::native>
class cpu {
public:
    using scalar = float;
    using weight = matrix_view;

    explicit cpu(thread_pool& pool, cpu_options options = {})
        : pool_(&pool), options_(options), rope_(std::make_shared<rope_table>()) {}

    [[nodiscard]] thread_pool& pool() const noexcept { return *pool_; }
    [[nodiscard]] const cpu_options& options() const noexcept { return options_; }

    /// y [m, out] = x [m, in] w^T
    void matmul(view<const float> x, matrix_view w, view<float> y) const {
        assert(x.extent(1) == w.columns && y.extent(1) == w.rows && x.extent(0) == y.extent(0));
        gemm<Arch>({.a = x.data(), .a_stride = w.columns, .b = w, .b_transposed = true, .c = y.data(), .c_stride = w.rows,
                    .m = x.extent(0), .n = w.rows, .k = w.columns}, *pool_);
    }
    /// dx [m, in] (+)= dy [m, out] w
    void matmul_backward_input(view<const float> dy, matrix_view w, view<float> dx, bool accumulate) const {
        assert(dy.extent(1) == w.rows && dx.extent(1) == w.columns && dy.extent(0) == dx.extent(0));
        gemm<Arch>({.a = dy.data(), .a_stride = w.rows, .b = w, .c = dx.data(), .c_stride = w.columns,
                    .m = dy.extent(0), .n = w.columns, .k = w.rows, .accumulate = accumulate}, *pool_);
    }
    /// dw [out, in] += dy^T x
    void matmul_backward_weight(view<const float> dy, view<const float> x, view<float> dw) const {
        assert(dy.extent(0) == x.extent(0) && dw.extent(0) == dy.extent(1) && dw.extent(1) == x.extent(1));
        gemm<Arch>({.a = dy.data(), .a_stride = dy.extent(1), .a_transposed = true, .b = as_weight(x), .c = dw.data(),
                    .c_stride = dw.extent(1), .m = dw.extent(0), .n = dw.extent(1), .k = x.extent(0), .accumulate = true},
                   *pool_);
    }

    /// y_i = w[token_i]
    void embed(std::span<const token> tokens, matrix_view w, view<float> y) const {
        assert(y.extent(0) == tokens.size() && y.extent(1) == w.columns);
        pool_->parallel_for(tokens.size(), 8, [&](std::size_t begin, std::size_t end, std::size_t) {
            for (std::size_t i = begin; i < end; ++i)
                decode_part(w, static_cast<std::size_t>(tokens[i]), 0, w.columns, y.data() + i * w.columns);
        });
    }
    /// dw[token_i] += dy_i, in token order
    void embed_backward(std::span<const token> tokens, view<const float> dy, view<float> dw) const {
        assert(dy.extent(0) == tokens.size() && dy.extent(1) == dw.extent(1));
        const std::size_t dim = dy.extent(1);
        pool_->parallel_for(dim, 64, [&](std::size_t begin, std::size_t end, std::size_t) {
            for (std::size_t i = 0; i < tokens.size(); ++i) {
                float* row = dw.data() + static_cast<std::size_t>(tokens[i]) * dim;
                for (std::size_t j = begin; j < end; ++j) row[j] += dy.data()[i * dim + j];
            }
        });
    }

    void rms_norm(view<const float> x, view<const float, 1> g, double eps, view<float> y) const {
        kernels::rms_norm<Arch>(x, g, eps, y, *pool_);
    }
    void rms_norm_backward(view<const float> dy, view<const float> x, view<const float, 1> g, double eps, view<float> dx,
                           view<float, 1> dg) const {
        kernels::rms_norm_backward<Arch>(dy, x, g, eps, dx, dg, *pool_);
    }
    void rope(view<float, 3> x, std::span<const std::int32_t> positions, const rope_options& o) const {
        kernels::rope<Arch>(x, positions, o, 1.0f, *rope_, *pool_);
    }
    void rope_backward(view<float, 3> dx, std::span<const std::int32_t> positions, const rope_options& o) const {
        kernels::rope<Arch>(dx, positions, o, -1.0f, *rope_, *pool_);
    }
    void attention(view<const float, 3> q, const ragged_batch& batch, std::span<const kv_sequence<const float>> kv,
                   const attention_options& o, view<float, 3> y) const {
        kernels::attention<Arch>(q, batch, kv, o, y, *pool_);
    }
    void attention_backward(view<const float, 3> dy, view<const float, 3> q, const ragged_batch& batch,
                            std::span<const kv_sequence<const float>> kv, const attention_options& o, view<float, 3> dq,
                            std::span<const kv_sequence<float>> dkv) const {
        kernels::attention_backward<Arch>(dy, q, batch, kv, o, dq, dkv, *pool_);
    }
    void swiglu(view<const float> gate, view<const float> up, view<float> y) const {
        kernels::swiglu<Arch>(gate, up, y, *pool_);
    }
    void swiglu_backward(view<const float> dy, view<const float> gate, view<const float> up, view<float> dgate,
                         view<float> dup) const {
        kernels::swiglu_backward<Arch>(dy, gate, up, dgate, dup, *pool_);
    }
    void add(view<const float> x, view<float> y) const { kernels::add<Arch>(x, y, *pool_); }
    void cross_entropy(view<const float> logits, std::span<const token> targets, view<float, 1> losses) const {
        kernels::cross_entropy<Arch>(logits, targets, losses, *pool_);
    }
    void cross_entropy_backward(view<float> logits, std::span<const token> targets, double scale) const {
        kernels::cross_entropy_backward<Arch>(logits, targets, scale, *pool_);
    }

private:
    static matrix_view as_weight(view<const float> x) {
        return {reinterpret_cast<const std::byte*>(x.data()), dtype::f32, x.extent(0), x.extent(1)};
    }
    thread_pool* pool_;
    cpu_options options_;
    std::shared_ptr<rope_table> rope_;
};

static_assert(backend<cpu<arch::native>>);

}  // namespace LAB_ISA
}  // namespace lab::kernels
