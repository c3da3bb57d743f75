// What the kernel tests share: random tensors, their copies in double, and comparisons scaled by the inputs' norms.
#pragma once

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstring>
#include <vector>

#include "lab/core/backend.hpp"
#include "lab/core/rng.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/kernels/cpu.hpp"
#include "lab/kernels/reference.hpp"

extern template class lab::kernels::cpu<lab::kernels::arch::native>;  // in kernels/cpu.cpp

namespace lab::test {

using native_cpu = kernels::cpu<kernels::arch::native>;
inline constexpr double epsilon = 0x1p-24;

template <std::size_t Rank>
tensor<float, Rank> random(const extents<Rank>& shape, std::uint64_t seed, double size = 1.0) {
    tensor<float, Rank> t(shape);
    counter_rng rng(seed);
    for (float& x : t.flat()) x = static_cast<float>(size * rng.normal());
    return t;
}
template <std::size_t Rank>
tensor<double, Rank> in_double(const tensor<float, Rank>& t) {
    tensor<double, Rank> d(t.shape());
    for (std::size_t i = 0; i < t.size(); ++i) d.data()[i] = static_cast<double>(t.data()[i]);
    return d;
}
inline matrix_view weight(const tensor<float>& w) {
    return {reinterpret_cast<const std::byte*>(w.data()), dtype::f32, w.extent(0), w.extent(1)};
}
template <class T>
view<const T> constant(const tensor<T>& t) {
    return t.get();
}

/// True where every byte is equal.
template <class T, std::size_t Rank>
bool same_bits(view<T, Rank> a, view<T, Rank> b) {
    return a.shape() == b.shape() && (a.size() == 0 || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}
template <std::size_t Rank>
bool same_bits(const tensor<float, Rank>& a, const tensor<float, Rank>& b) {
    return same_bits(a.get(), b.get());
}

/// The largest |actual - expected|.
template <std::size_t Rank>
double largest_error(const tensor<float, Rank>& actual, const tensor<double, Rank>& expected) {
    double worst = 0.0;
    for (std::size_t i = 0; i < actual.size(); ++i) {
        const double error = std::abs(static_cast<double>(actual.data()[i]) - expected.data()[i]);
        worst = error > worst || std::isnan(error) ? error : worst;
    }
    return worst;
}
template <std::size_t Rank>
double largest_magnitude(const tensor<double, Rank>& t) {
    double worst = 0.0;
    for (const double x : t.flat()) worst = std::max(worst, std::abs(x));
    return worst;
}
/// Largest Euclidean norm of a row.
inline double largest_row_norm(const tensor<double>& t) {
    double worst = 0.0;
    for (std::size_t i = 0; i < t.extent(0); ++i) {
        double square = 0.0;
        for (const double x : t.get().row(i)) square += x * x;
        worst = std::max(worst, std::sqrt(square));
    }
    return worst;
}

/// Bytes of `rows` random rows of a weight format; scales are small and finite.
inline std::vector<std::byte> random_weights(dtype type, std::size_t rows, std::size_t columns, std::uint64_t seed) {
    std::vector<std::byte> bytes(rows * row_bytes(type, columns));
    counter_rng rng(seed);
    for (std::byte& b : bytes) b = static_cast<std::byte>(rng.next());
    visit_format(type, [&](auto format) {
        using F = decltype(format);
        for (std::size_t at = 0; at < bytes.size(); at += F::bytes) {
            const auto put_half = [&](std::size_t offset) {
                const f16 h = to_f16(static_cast<float>(rng.uniform() - 0.5) * 0.1f);
                std::memcpy(bytes.data() + at + offset, &h, 2);
            };
            if constexpr (F::id == dtype::f32) {
                const float x = static_cast<float>(rng.normal());
                std::memcpy(bytes.data() + at, &x, 4);
            } else if constexpr (F::id == dtype::bf16) {
                const bf16 x = to_bf16(static_cast<float>(rng.normal()));
                std::memcpy(bytes.data() + at, &x, 2);
            } else {
                put_half(F::id == dtype::q6_k ? 208 : 0);
                if constexpr (F::id == dtype::q4_1 || F::id == dtype::q5_1 || F::id == dtype::q4_k ||
                              F::id == dtype::q5_k)
                    put_half(2);
            }
        }
    });
    return bytes;
}
inline tensor<float> decoded(dtype type, const std::vector<std::byte>& bytes, std::size_t rows, std::size_t columns) {
    tensor<float> w({rows, columns});
    decode(type, bytes.data(), w.data(), rows * columns);
    return w;
}

}  // namespace lab::test
