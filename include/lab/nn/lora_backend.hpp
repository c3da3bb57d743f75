// `lora_backend<Base>`: any backend whose matrices may carry a low-rank adapter beside their frozen weight.
//   forward   y = W x + s B h,  h = A dropout(x)
//   backward  t = s B^T dy;  dA += t^T x,  dB += dy^T s h;  dx (+)= W^T dy + dropout(A^T t)
// W has no gradient and may be of any format that Base multiplies. h is computed again rather than kept. The products
// with A and B may be another Base's than those with W: rounding their operands would save nothing.
// Copies share working memory: one op at a time.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <utility>

#include "lab/core/backend.hpp"
#include "lab/core/rng.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/nn/lora_options.hpp"
#include "lab/nn/scratch.hpp"
#include "lab/nn/weights.hpp"

namespace lab::nn {

/// Which inputs a training pass leaves out: a function of seed, step, pass within the step, matrix, row and column,
/// hence the same in forward and backward, in a resumed run and on any number of threads.
struct lora_dropout {
    double rate = 0;
    std::uint64_t seed = 0, step = 0;
    std::uint32_t pass = 0;
    bool active = false;  // off where nothing is learnt

    [[nodiscard]] std::uint32_t threshold() const { return static_cast<std::uint32_t>(std::lround(rate * 65536)); }
    /// Calls f(column, kept) for each column of a row, in order.
    template <class F>
    void for_row(std::uint64_t id, std::size_t row, std::size_t columns, F&& f) const {
        const std::uint64_t key = seed ^ id;
        const std::uint32_t limit = threshold();
        const std::size_t blocks = (columns + 7) / 8;
        for (std::size_t b = 0; b < blocks; ++b) {
            const auto words = philox({static_cast<std::uint32_t>(row * blocks + b), pass,
                                       static_cast<std::uint32_t>(step), static_cast<std::uint32_t>(step >> 32)},
                                      {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)});
            for (std::size_t i = 0; i < std::min<std::size_t>(8, columns - 8 * b); ++i)
                f(8 * b + i, ((words[i / 2] >> (16 * (i % 2))) & 0xffffu) >= limit);
        }
    }
};

template <class Base>
class lora_backend : public Base {
public:
    using scalar = typename Base::scalar;
    struct weight {
        typename Base::weight base{};
        low_rank<const scalar> adapter{};
    };
    using gradient = low_rank<scalar>;

    explicit lora_backend(Base base = Base(), lora_dropout dropout = {}) : lora_backend(base, base, dropout) {}
    /// `beside` multiplies with A and B.
    lora_backend(Base base, Base beside, lora_dropout dropout)
        : Base(std::move(base)), beside_(std::move(beside)), shared_(std::make_shared<shared>()) {
        shared_->dropout = dropout;
    }
    /// Of this backend and all its copies.
    [[nodiscard]] lora_dropout& dropout() const { return shared_->dropout; }

    void matmul(view<const scalar> x, const weight& w, view<scalar> y) const {
        base().matmul(x, w.base, y);
        if (!w.adapter) return;
        const auto h = rows_of(shared_->h, x, w);
        to_rank(left_out(x, w.adapter), w.adapter.a, w.adapter.scale, h);
        beside_.matmul_backward_input(h, handle(w.adapter.b_turned), y, true);
    }
    void products(view<const scalar> x, std::initializer_list<product<weight, scalar>> list) const {
        for (const auto& each : list) matmul(x, each.w, each.y);
    }
    void matmul_backward_input(view<const scalar> dy, const weight& w, view<scalar> dx, bool accumulate) const {
        const auto t = rows_of(shared_->t, dy, w);
        if (w.adapter) to_rank(dy, w.adapter.b_turned, w.adapter.scale, t);
        input_gradient(dy, w, t, dx, accumulate);
    }
    void linear_backward(view<const scalar> dy, view<const scalar> x, const weight& w, const gradient& dw,
                         view<scalar> dx, bool accumulate) const {
        const auto t = rows_of(shared_->t, dy, w), h = rows_of(shared_->h, dy, w);
        if (w.adapter) {
            to_rank(dy, w.adapter.b_turned, w.adapter.scale, t);
            const auto in = left_out(x, w.adapter);
            beside_.matmul_backward_weight(t, in, dw.a);
            to_rank(in, w.adapter.a, w.adapter.scale, h);
            beside_.matmul_backward_weight(h, dy, dw.b_turned);
        }
        input_gradient(dy, w, t, dx, accumulate);
    }
    void embed(std::span<const token> tokens, const weight& w, view<scalar> y) const {
        base().embed(tokens, w.base, y);
    }
    void embed_backward(std::span<const token>, view<const scalar>, const gradient&) const {}  // frozen

private:
    struct shared {
        lora_dropout dropout;
        scratch<scalar> h, t, in, masked;
    };

    [[nodiscard]] const Base& base() const { return *this; }
    [[nodiscard]] static typename Base::weight handle(view<const scalar> m) { return dense_handle<Base>(m); }
    [[nodiscard]] static view<scalar> rows_of(scratch<scalar>& buffer, view<const scalar> x, const weight& w) {
        return buffer.matrix(x.extent(0), w.adapter.a.extent(0));
    }
    /// out [m, rank] = scale x m^T
    void to_rank(view<const scalar> x, view<const scalar> m, double scale, view<scalar> out) const {
        beside_.matmul(x, handle(m), out);
        for (scalar& value : out.flat()) value *= static_cast<scalar>(scale);
    }
    [[nodiscard]] scalar kept_factor() const {
        return static_cast<scalar>(65536.0 / (65536.0 - static_cast<double>(shared_->dropout.threshold())));
    }
    template <class F>
    void for_each_row(std::size_t rows, F&& f) const {
        parallel_for(pool_of(base()), rows, 8, [&](std::size_t begin, std::size_t end, std::size_t) {
            for (std::size_t i = begin; i < end; ++i) f(i);
        });
    }
    /// x with dropout: itself where there is none.
    [[nodiscard]] view<const scalar> left_out(view<const scalar> x, const low_rank<const scalar>& adapter) const {
        const auto& d = shared_->dropout;
        if (!d.active || d.threshold() == 0) return x;
        const auto in = shared_->in.matrix(x.extent(0), x.extent(1));
        const scalar factor = kept_factor();
        for_each_row(x.extent(0), [&](std::size_t i) {
            d.for_row(adapter.id, i, x.extent(1),
                      [&](std::size_t j, bool kept) { in(i, j) = kept ? factor * x(i, j) : scalar{}; });
        });
        return in;
    }
    /// dx (+)= dy W, and through the adapter t = s dy B.
    void input_gradient(view<const scalar> dy, const weight& w, view<const scalar> t, view<scalar> dx,
                        bool accumulate) const {
        base().matmul_backward_input(dy, w.base, dx, accumulate);
        if (!w.adapter) return;
        const auto& d = shared_->dropout;
        if (!d.active || d.threshold() == 0) return beside_.matmul_backward_input(t, handle(w.adapter.a), dx, true);
        const auto through = shared_->masked.matrix(dx.extent(0), dx.extent(1));
        beside_.matmul_backward_input(t, handle(w.adapter.a), through, false);
        const scalar factor = kept_factor();
        for_each_row(dx.extent(0), [&](std::size_t i) {
            d.for_row(w.adapter.id, i, dx.extent(1), [&](std::size_t j, bool kept) {
                if (kept) dx(i, j) += factor * through(i, j);
            });
        });
    }

    Base beside_;
    std::shared_ptr<shared> shared_;
};

}  // namespace lab::nn
