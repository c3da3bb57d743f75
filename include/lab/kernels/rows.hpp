// Kernels that work row by row: RMSNorm (Zhang & Sennrich 2019), SwiGLU (Shazeer 2020) and addition, forward and
// backward. Sums over a row run in 16 lanes reduced by a fixed tree; sums over rows run in row order.
#pragma once

#include <cassert>
#include <cmath>
#include <cstddef>

#include "lab/core/tensor.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/kernels/simd.hpp"

namespace lab::kernels {
inline namespace LAB_ISA {

/// Calls f(vector index offset, count) over [0, n) in steps of 16; `count` is 16 but at the end.
template <class F>
[[gnu::always_inline]] inline void for_each_vector(std::size_t n, F&& f) {
    std::size_t j = 0;
    for (; j + 16 <= n; j += 16) f(j, std::integral_constant<std::size_t, 16>{});
    if (j < n) f(j, n - j);
}
template <class Arch, class Count>
[[gnu::always_inline]] inline f32x16<Arch> get(const float* p, Count count) {
    if constexpr (std::is_same_v<Count, std::size_t>)
        return load_part<Arch>(p, count);
    else
        return f32x16<Arch>::load(p);
}
template <class Arch, class Count>
[[gnu::always_inline]] inline void put(f32x16<Arch> x, float* p, Count count) {
    if constexpr (std::is_same_v<Count, std::size_t>)
        store_part<Arch>(x, p, count);
    else
        x.store(p);
}

/// a . b in 16 lanes.
template <class Arch>
[[nodiscard]] float dot(const float* a, const float* b, std::size_t n) {
    auto total = f32x16<Arch>::broadcast(0.0f);
    for_each_vector(
        n, [&](std::size_t j, auto count) { total = fma(get<Arch>(a + j, count), get<Arch>(b + j, count), total); });
    return sum<Arch>(total);
}

/// 1 / sqrt(mean(x^2) + eps)
template <class Arch>
[[nodiscard]] float inverse_rms(const float* x, std::size_t n, double eps) {
    const double square = static_cast<double>(dot<Arch>(x, x, n));
    return static_cast<float>(1.0 / std::sqrt(square / static_cast<double>(n) + eps));
}

/// y = g x r, r = 1 / sqrt(mean(x^2) + eps), over rows of [m, dim].
template <class Arch>
void rms_norm(view<const float> x, view<const float, 1> g, double eps, view<float> y, thread_pool& pool) {
    assert(x.shape() == y.shape() && g.size() == x.extent(1));
    const std::size_t dim = x.extent(1);
    pool.parallel_for(x.extent(0), 8, [&](std::size_t begin, std::size_t end, std::size_t) {
        for (std::size_t i = begin; i < end; ++i) {
            const float *in = x.data() + i * dim, *gain = g.data();
            float* out = y.data() + i * dim;
            const auto r = f32x16<Arch>::broadcast(inverse_rms<Arch>(in, dim, eps));
            for_each_vector(dim, [&](std::size_t j, auto n) {
                put<Arch>(get<Arch>(in + j, n) * r * get<Arch>(gain + j, n), out + j, n);
            });
        }
    });
}

/// With n = x r: dx += r (g dy - n mean(g dy n)), dg += sum over rows of dy n, in row order; an empty dg is
/// not wanted.
template <class Arch>
void rms_norm_backward(view<const float> dy, view<const float> x, view<const float, 1> g, double eps, view<float> dx,
                       view<float, 1> dg, thread_pool& pool) {
    assert(x.shape() == dy.shape() && x.shape() == dx.shape() && g.size() == x.extent(1));
    assert(dg.size() == g.size() || dg.size() == 0);
    using v = f32x16<Arch>;
    const std::size_t rows = x.extent(0), dim = x.extent(1);
    aligned_buffer<float> inverse(rows);
    pool.parallel_for(rows, 8, [&](std::size_t begin, std::size_t end, std::size_t) {
        for (std::size_t i = begin; i < end; ++i) {
            const float *in = x.data() + i * dim, *d = dy.data() + i * dim, *gain = g.data();
            float* out = dx.data() + i * dim;
            const float r = inverse.data()[i] = inverse_rms<Arch>(in, dim, eps);
            v total = v::broadcast(0.0f);
            for_each_vector(dim, [&](std::size_t j, auto n) {
                total = fma(get<Arch>(gain + j, n) * get<Arch>(d + j, n), get<Arch>(in + j, n), total);
            });
            // mean(g dy n) n = (sum(g dy x) r / dim) x r
            const v scale = v::broadcast(r), pull = v::broadcast(-(sum<Arch>(total) * r / static_cast<float>(dim)) * r);
            for_each_vector(dim, [&](std::size_t j, auto n) {
                const v slope = fma(get<Arch>(in + j, n), pull, get<Arch>(gain + j, n) * get<Arch>(d + j, n));
                put<Arch>(fma(scale, slope, get<Arch>(out + j, n)), out + j, n);
            });
        }
    });
    pool.parallel_for(dg.size(), 16, [&](std::size_t begin, std::size_t end, std::size_t) {
        for_each_vector(end - begin, [&](std::size_t offset, auto n) {
            const std::size_t j = begin + offset;
            v total = get<Arch>(dg.data() + j, n);
            for (std::size_t i = 0; i < rows; ++i) {
                const v normal = get<Arch>(x.data() + i * dim + j, n) * v::broadcast(inverse.data()[i]);
                total = fma(get<Arch>(dy.data() + i * dim + j, n), normal, total);
            }
            put<Arch>(total, dg.data() + j, n);
        });
    });
}

/// y = gate sigmoid(gate) up; y may be gate or up.
template <class Arch>
void swiglu(view<const float> gate, view<const float> up, view<float> y, thread_pool& pool) {
    assert(gate.shape() == up.shape() && gate.shape() == y.shape());
    pool.parallel_for(gate.size(), 4096, [&](std::size_t begin, std::size_t end, std::size_t) {
        for_each_vector(end - begin, [&](std::size_t offset, auto n) {
            const std::size_t j = begin + offset;
            const auto x = get<Arch>(gate.data() + j, n);
            put<Arch>(x * sigmoid<Arch>(x) * get<Arch>(up.data() + j, n), y.data() + j, n);
        });
    });
}
/// silu'(g) = s + g s (1 - s), s = sigmoid(g); dgate = dy up silu'(g), dup = dy g s. Outputs may be dy, gate or up.
template <class Arch>
void swiglu_backward(view<const float> dy, view<const float> gate, view<const float> up, view<float> dgate,
                     view<float> dup, thread_pool& pool) {
    assert(dy.shape() == gate.shape() && dy.shape() == up.shape() && dy.shape() == dgate.shape() &&
           dy.shape() == dup.shape());
    using v = f32x16<Arch>;
    pool.parallel_for(gate.size(), 4096, [&](std::size_t begin, std::size_t end, std::size_t) {
        for_each_vector(end - begin, [&](std::size_t offset, auto n) {
            const std::size_t j = begin + offset;
            const v d = get<Arch>(dy.data() + j, n), x = get<Arch>(gate.data() + j, n), u = get<Arch>(up.data() + j, n);
            const v s = sigmoid<Arch>(x), silu = x * s;
            const v slope = fma(silu, v::broadcast(1.0f) - s, s);
            put<Arch>(d * u * slope, dgate.data() + j, n);
            put<Arch>(d * silu, dup.data() + j, n);
        });
    });
}

/// y += x
template <class Arch>
void add(view<const float> x, view<float> y, thread_pool& pool) {
    assert(x.shape() == y.shape());
    pool.parallel_for(x.size(), 16384, [&](std::size_t begin, std::size_t end, std::size_t) {
        for_each_vector(end - begin, [&](std::size_t offset, auto n) {
            const std::size_t j = begin + offset;
            put<Arch>(get<Arch>(y.data() + j, n) + get<Arch>(x.data() + j, n), y.data() + j, n);
        });
    });
}

}  // namespace LAB_ISA
}  // namespace lab::kernels
