// The naive twin of every kernel: plain loops over doubles, floats or std::complex<double> (the last for complex-step
// derivatives: f'(x) = Im f(x + ih) / h, without cancellation). Says what each op means; makes no attempt at speed.
// Softmax and top-k compare real parts; products use no conjugation, so every op stays analytic.
#pragma once

#include <algorithm>
#include <cassert>
#include <cmath>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

#include "lab/core/backend.hpp"

namespace lab::kernels {

/// A `lab::backend` whose scalar is T. Weights are dense: [out, in].
template <class T>
class reference {
public:
    using scalar = T;
    using weight = view<const T, 2>;
    using gradient = view<T, 2>;

    /// y = x w^T
    void matmul(view<const T> x, weight w, view<T> y) const {
        assert(x.extent(1) == w.extent(1) && y.extent(1) == w.extent(0) && x.extent(0) == y.extent(0));
        for (std::size_t i = 0; i < y.extent(0); ++i)
            for (std::size_t o = 0; o < y.extent(1); ++o) {
                T sum{};
                for (std::size_t j = 0; j < x.extent(1); ++j) sum += x(i, j) * w(o, j);
                y(i, o) = sum;
            }
    }
    void products(view<const T> x, std::initializer_list<product<weight, T>> list) const {
        for (const auto& each : list) matmul(x, each.w, each.y);
    }
    /// y = x w^T, so dL/dx = dL/dy w.
    void matmul_backward_input(view<const T> dy, weight w, view<T> dx, bool accumulate) const {
        assert(dy.extent(1) == w.extent(0) && dx.extent(1) == w.extent(1) && dx.extent(0) == dy.extent(0));
        for (std::size_t i = 0; i < dx.extent(0); ++i)
            for (std::size_t j = 0; j < dx.extent(1); ++j) {
                T sum = accumulate ? dx(i, j) : T{};
                for (std::size_t o = 0; o < dy.extent(1); ++o) sum += dy(i, o) * w(o, j);
                dx(i, j) = sum;
            }
    }
    /// dL/dw += dL/dy^T x.
    void matmul_backward_weight(view<const T> dy, view<const T> x, view<T> dw) const {
        assert(dy.extent(1) == dw.extent(0) && x.extent(1) == dw.extent(1) && x.extent(0) == dy.extent(0));
        for (std::size_t i = 0; i < x.extent(0); ++i)
            for (std::size_t o = 0; o < dw.extent(0); ++o)
                for (std::size_t j = 0; j < dw.extent(1); ++j) dw(o, j) += dy(i, o) * x(i, j);
    }

    /// Both, of one linear layer; dx may be x.
    void linear_backward(view<const T> dy, view<const T> x, weight w, view<T> dw, view<T> dx, bool accumulate) const {
        matmul_backward_weight(dy, x, dw);
        matmul_backward_input(dy, w, dx, accumulate);
    }

    void embed(std::span<const token> tokens, weight w, view<T> y) const {
        for (std::size_t i = 0; i < tokens.size(); ++i)
            for (std::size_t j = 0; j < y.extent(1); ++j) y(i, j) = w(tokens[i], j);
    }
    void embed_backward(std::span<const token> tokens, view<const T> dy, view<T> dw) const {
        for (std::size_t i = 0; i < tokens.size(); ++i)
            for (std::size_t j = 0; j < dy.extent(1); ++j) dw(tokens[i], j) += dy(i, j);
    }

    /// y = g x r with r = 1 / sqrt(mean(x^2) + eps).
    void rms_norm(view<const T> x, view<const T, 1> g, double eps, view<T> y) const {
        for (std::size_t i = 0; i < x.extent(0); ++i) {
            const T r = inverse_rms(x.row(i), eps);
            for (std::size_t j = 0; j < x.extent(1); ++j) y(i, j) = g(j) * x(i, j) * r;
        }
    }
    /// With n = x r: dr/dx_j = -r^3 x_j / D, so dx = r (g dy - n mean(g dy n)) and dg = sum over rows of dy n.
    /// An empty dg is not wanted.
    void rms_norm_backward(view<const T> dy, view<const T> x, view<const T, 1> g, double eps, view<T> dx,
                           view<T, 1> dg) const {
        const std::size_t dim = x.extent(1);
        for (std::size_t i = 0; i < x.extent(0); ++i) {
            const T r = inverse_rms(x.row(i), eps);
            T dot{};
            for (std::size_t j = 0; j < dim; ++j) dot += dy(i, j) * g(j) * x(i, j) * r;
            dot /= static_cast<T>(static_cast<double>(dim));
            for (std::size_t j = 0; j < dim; ++j) {
                const T n = x(i, j) * r;
                dx(i, j) += r * (g(j) * dy(i, j) - n * dot);
                if (dg.size() != 0) dg(j) += dy(i, j) * n;
            }
        }
    }

    /// Rotates pair i of every head by the angle position * theta^(-2 i / head_dim).
    void rope(view<T, 3> x, std::span<const std::int32_t> positions, const rope_options& o) const {
        rotate(x, positions, o, 1.0);
    }
    /// A rotation's transpose is its inverse: rotate the gradient back.
    void rope_backward(view<T, 3> dx, std::span<const std::int32_t> positions, const rope_options& o) const {
        rotate(dx, positions, o, -1.0);
    }

    /// y_h = sum_t p_t v_t over the visible positions t, p = softmax(scale q_h . k_t); head h reads kv head
    /// h kv_heads / heads.
    void attention(view<const T, 3> q, const ragged_batch& batch, std::span<const kv_sequence<const T>> kv,
                   const attention_options& o, view<T, 3> y) const {
        std::vector<T> p;
        for_each_query(batch, o, [&](std::size_t s, std::size_t i, std::size_t first, std::size_t last) {
            for (std::size_t h = 0; h < o.heads; ++h) {
                probabilities(&q(i, h, 0), kv[s], h, first, last, o, p);
                for (std::size_t d = 0; d < o.head_dim; ++d) {
                    T sum{};
                    for (std::size_t t = first; t <= last; ++t) sum += p[t - first] * entry(kv[s].values, t, h, o)[d];
                    y(i, h, d) = sum;
                }
            }
        });
    }
    /// The same over a cache, whose elements are T: its blocks are first turned into rows.
    void attention(view<const T, 3> q, const ragged_batch& batch, const cached_layer& layer, const attention_options& o,
                   view<T, 3> y) const {
        const kv_block_shape shape{o.kv_heads, o.head_dim};
        const std::size_t row = o.kv_heads * o.head_dim, count = layer.blocks.size();
        std::vector<std::vector<T>> keys(count), values(count);
        std::vector<const T*> key_blocks(count), value_blocks(count);
        for (std::size_t b = 0; b < count; ++b) {
            if (layer.blocks[b] == nullptr) continue;
            const T* block = reinterpret_cast<const T*>(layer.blocks[b] + layer.offset);
            keys[b].resize(kv_block_size * row), values[b].resize(kv_block_size * row);
            for (std::size_t t = 0; t < kv_block_size; ++t)
                for (std::size_t h = 0; h < o.kv_heads; ++h)
                    for (std::size_t d = 0; d < o.head_dim; ++d) {
                        const std::size_t at = t * row + h * o.head_dim + d;
                        keys[b][at] = block[shape.keys(h) + d * kv_block_size + t];
                        values[b][at] = block[shape.values(h) + t * shape.padded() + d];
                    }
            key_blocks[b] = keys[b].data(), value_blocks[b] = values[b].data();
        }
        std::vector<kv_sequence<const T>> kv;
        for (std::size_t s = 0; s < batch.sequences(); ++s) {
            const std::size_t first = layer.first_block[s], n = layer.first_block[s + 1] - first;
            const auto last = batch.seq_offsets[s + 1];
            kv.push_back({std::span(key_blocks).subspan(first, n), std::span(value_blocks).subspan(first, n),
                          last == batch.seq_offsets[s] ? 0 : batch.positions[last - 1] + 1});
        }
        attention(q, batch, kv, o, y);
    }
    void store_cached(view<const T, 3> k, view<const T, 3> v, const ragged_batch& batch,
                      const cached_layer& layer) const {
        const kv_block_shape shape{k.extent(1), k.extent(2)};
        for (std::size_t s = 0; s < batch.sequences(); ++s)
            for (std::size_t i = batch.seq_offsets[s]; i < batch.seq_offsets[s + 1]; ++i) {
                const auto p = static_cast<std::size_t>(batch.positions[i]), t = p % kv_block_size;
                T* block = reinterpret_cast<T*>(layer.blocks[layer.first_block[s] + p / kv_block_size] + layer.offset);
                for (std::size_t h = 0; h < shape.kv_heads; ++h)
                    for (std::size_t d = 0; d < shape.head_dim; ++d) {
                        block[shape.keys(h) + d * kv_block_size + t] = k(i, h, d);
                        block[shape.values(h) + t * shape.padded() + d] = v(i, h, d);
                    }
            }
    }
    /// dv_t += p_t dy; dp_t = dy . v_t; softmax: ds_t = p_t (dp_t - sum p dp); dq = scale sum ds_t k_t;
    /// dk_t += scale ds_t q. Keys and values before the batch get gradients too, where their blocks are given.
    void attention_backward(view<const T, 3> dy, view<const T, 3> q, const ragged_batch& batch,
                            std::span<const kv_sequence<const T>> kv, const attention_options& o, view<T, 3> dq,
                            std::span<const kv_sequence<T>> dkv) const {
        std::vector<T> p, dp;
        const T scale = static_cast<T>(o.scale);
        for_each_query(batch, o, [&](std::size_t s, std::size_t i, std::size_t first, std::size_t last) {
            for (std::size_t h = 0; h < o.heads; ++h) {
                probabilities(&q(i, h, 0), kv[s], h, first, last, o, p);
                dp.assign(p.size(), T{});
                T mean{};
                for (std::size_t t = first; t <= last; ++t) {
                    const T* v = entry(kv[s].values, t, h, o);
                    for (std::size_t d = 0; d < o.head_dim; ++d) dp[t - first] += dy(i, h, d) * v[d];
                    mean += p[t - first] * dp[t - first];
                }
                for (std::size_t d = 0; d < o.head_dim; ++d) dq(i, h, d) = T{};
                for (std::size_t t = first; t <= last; ++t) {
                    const T ds = scale * p[t - first] * (dp[t - first] - mean);
                    const T* k = entry(kv[s].keys, t, h, o);
                    T *dk = entry(dkv[s].keys, t, h, o), *dv = entry(dkv[s].values, t, h, o);
                    for (std::size_t d = 0; d < o.head_dim; ++d) {
                        dq(i, h, d) += ds * k[d];
                        dk[d] += ds * q(i, h, d);
                        dv[d] += p[t - first] * dy(i, h, d);
                    }
                }
            }
        });
    }

    /// y = silu(gate) up, silu(g) = g sigmoid(g).
    void swiglu(view<const T> gate, view<const T> up, view<T> y) const {
        for (std::size_t i = 0; i < gate.size(); ++i)
            y.data()[i] = gate.data()[i] * sigmoid(gate.data()[i]) * up.data()[i];
    }
    /// silu'(g) = s (1 + g (1 - s)) with s = sigmoid(g).
    void swiglu_backward(view<const T> dy, view<const T> gate, view<const T> up, view<T> dgate, view<T> dup) const {
        for (std::size_t i = 0; i < gate.size(); ++i) {
            const T g = gate.data()[i], s = sigmoid(g), d = dy.data()[i];
            dgate.data()[i] = d * up.data()[i] * s * (T(1) + g * (T(1) - s));
            dup.data()[i] = d * g * s;
        }
    }

    void add(view<const T> x, view<T> y) const {
        for (std::size_t i = 0; i < x.size(); ++i) y.data()[i] += x.data()[i];
    }

    /// losses_i = log(sum exp(logits_i)) - logits_i[target_i]
    void cross_entropy(view<const T> logits, std::span<const token> targets, view<T, 1> losses) const {
        for (std::size_t i = 0; i < targets.size(); ++i) {
            const auto row = logits.row(i);
            const double top = largest(row);
            T sum{};
            for (const T& x : row) sum += std::exp(x - T(top));
            losses(i) = std::log(sum) + T(top) - row[static_cast<std::size_t>(targets[i])];
        }
    }
    /// In place: scale (softmax(logits) - one-hot(target)).
    void cross_entropy_backward(view<T> logits, std::span<const token> targets, double scale) const {
        for (std::size_t i = 0; i < targets.size(); ++i) {
            const auto row = logits.row(i);
            const double top = largest(std::span<const T>(row));
            T sum{};
            for (T& x : row) sum += x = std::exp(x - T(top));
            for (T& x : row) x *= T(scale) / sum;
            row[static_cast<std::size_t>(targets[i])] -= T(scale);
        }
    }

private:
    [[nodiscard]] static T sigmoid(T x) { return T(1) / (T(1) + std::exp(-x)); }
    [[nodiscard]] static double largest(std::span<const T> row) {
        double top = static_cast<double>(std::real(row[0]));
        for (const T& x : row) top = std::max(top, static_cast<double>(std::real(x)));
        return top;
    }
    [[nodiscard]] static T inverse_rms(std::span<const T> x, double eps) {
        T sum{};
        for (const T& v : x) sum += v * v;
        return T(1) / std::sqrt(sum / T(static_cast<double>(x.size())) + T(eps));
    }
    static void rotate(view<T, 3> x, std::span<const std::int32_t> positions, const rope_options& o, double direction) {
        const std::size_t half = x.extent(2) / 2;
        for (std::size_t m = 0; m < x.extent(0); ++m)
            for (std::size_t i = 0; i < half; ++i) {
                const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(x.extent(2));
                const double angle = static_cast<double>(positions[m]) * std::pow(o.theta, exponent);
                const T c = T(std::cos(angle)), s = T(direction * std::sin(angle));
                for (std::size_t h = 0; h < x.extent(1); ++h) {
                    T& a = o.half_split ? x(m, h, i) : x(m, h, 2 * i);
                    T& b = o.half_split ? x(m, h, i + half) : x(m, h, 2 * i + 1);
                    const T a0 = a, b0 = b;
                    a = a0 * c - b0 * s;
                    b = a0 * s + b0 * c;
                }
            }
    }
    /// The key or value row that head `h` reads at position `t`.
    template <class U>
    [[nodiscard]] static U* entry(std::span<U* const> blocks, std::size_t t, std::size_t h,
                                  const attention_options& o) {
        const std::size_t kv_head = h * o.kv_heads / o.heads;
        return blocks[t / kv_block_size] + ((t % kv_block_size) * o.kv_heads + kv_head) * o.head_dim;
    }
    /// Calls f(sequence, token index, first visible position, last visible position) for every query.
    template <class F>
    static void for_each_query(const ragged_batch& batch, const attention_options& o, F&& f) {
        for (std::size_t s = 0; s < batch.sequences(); ++s)
            for (std::size_t i = batch.seq_offsets[s]; i < batch.seq_offsets[s + 1]; ++i) {
                const auto last = static_cast<std::size_t>(batch.positions[i]);
                f(s, i, o.window != 0 && last + 1 > o.window ? last + 1 - o.window : 0, last);
            }
    }
    static void probabilities(const T* q, const kv_sequence<const T>& kv, std::size_t h, std::size_t first,
                              std::size_t last, const attention_options& o, std::vector<T>& p) {
        p.assign(last - first + 1, T{});
        for (std::size_t t = first; t <= last; ++t) {
            const T* k = entry(kv.keys, t, h, o);
            for (std::size_t d = 0; d < o.head_dim; ++d) p[t - first] += q[d] * k[d];
            p[t - first] *= T(o.scale);
        }
        const double top = largest(p);
        T sum{};
        for (T& x : p) sum += x = std::exp(x - T(top));
        for (T& x : p) x /= sum;
    }
};

static_assert(backend<reference<double>> && backend<reference<float>> && backend<reference<std::complex<double>>>);

}  // namespace lab::kernels
