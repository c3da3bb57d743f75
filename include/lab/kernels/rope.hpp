// Rotary position embedding (Su et al. 2021) in both layouts, and its inverse for the gradient. Pair i of a head turns
// by position * theta^(-2 i / head_dim); angle, sine and cosine are computed in double and rounded once, so a
// position's rotation is the same bits in every call.
#pragma once

#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "lab/core/backend.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/kernels/simd.hpp"

namespace lab::kernels {

/// Cosines and sines of the positions met so far, [position][cos x half, sin x half], shared by all calls of a backend.
class rope_table {
public:
    /// Positions beyond this are computed on the spot and not kept.
    static constexpr std::size_t kept_positions = 16384;

    /// Rows for [0, positions), at least; the rows stay valid while the returned pointer lives.
    [[nodiscard]] std::shared_ptr<const std::vector<float>> rows(double theta, std::size_t half,
                                                                 std::size_t positions) {
        const std::lock_guard lock(mutex_);
        for (entry& e : entries_)
            if (e.theta == theta && e.half == half) {
                if (e.rows->size() < positions * 2 * half) e.rows = computed(theta, half, 2 * positions);
                return e.rows;
            }
        entries_.push_back({theta, half, computed(theta, half, positions)});
        return entries_.back().rows;
    }
    /// cos and sin of one position.
    static void compute(double theta, std::size_t half, std::size_t position, float* row) {
        for (std::size_t i = 0; i < half; ++i) {
            const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(2 * half);
            const double angle = static_cast<double>(position) * std::pow(theta, exponent);
            row[i] = static_cast<float>(std::cos(angle));
            row[half + i] = static_cast<float>(std::sin(angle));
        }
    }

private:
    struct entry {
        double theta;
        std::size_t half;
        std::shared_ptr<const std::vector<float>> rows;
    };
    static std::shared_ptr<const std::vector<float>> computed(double theta, std::size_t half, std::size_t positions) {
        auto rows = std::make_shared<std::vector<float>>(positions * 2 * half);
        for (std::size_t p = 0; p < positions; ++p) compute(theta, half, p, rows->data() + p * 2 * half);
        return rows;
    }
    std::mutex mutex_;
    std::vector<entry> entries_;
};

inline namespace LAB_ISA {

/// Turns one head; `sign` -1 turns back.
template <class Arch>
void rotate(float* x, const float* cosine, const float* sine, std::size_t half, bool half_split, float sign) {
    using v = f32x16<Arch>;
    std::size_t i = 0;
    if (half_split) {
        for (; i + 16 <= half; i += 16) {
            const v c = v::load(cosine + i), s = v::load(sine + i) * v::broadcast(sign);
            const v a = v::load(x + i), b = v::load(x + half + i);
            fma(a, c, v::broadcast(0.0f) - b * s).store(x + i);
            fma(a, s, b * c).store(x + half + i);
        }
    }
    for (; i < half; ++i) {
        float &first = half_split ? x[i] : x[2 * i], &second = half_split ? x[half + i] : x[2 * i + 1];
        const float a = first, b = second, c = cosine[i], s = sine[i] * sign;
        first = fused(a, c, 0.0f - b * s);
        second = fused(a, s, b * c);
    }
}

/// In place over x [m, heads, head_dim].
template <class Arch>
void rope(view<float, 3> x, std::span<const std::int32_t> positions, const rope_options& o, float sign,
          rope_table& table, thread_pool& pool) {
    assert(positions.size() == x.extent(0) && x.extent(2) % 2 == 0);
    const std::size_t heads = x.extent(1), dim = x.extent(2), half = dim / 2;
    std::size_t highest = 0;
    for (const std::int32_t p : positions) highest = std::max(highest, static_cast<std::size_t>(p));
    const auto rows = table.rows(o.theta, half, std::min(highest + 1, rope_table::kept_positions));
    pool.parallel_for(x.extent(0), 16, [&](std::size_t begin, std::size_t end, std::size_t) {
        std::vector<float> far;
        for (std::size_t m = begin; m < end; ++m) {
            const auto p = static_cast<std::size_t>(positions[m]);
            const float* row = rows->data() + p * dim;
            if (p * dim >= rows->size()) {
                far.resize(dim);
                rope_table::compute(o.theta, half, p, far.data());
                row = far.data();
            }
            for (std::size_t h = 0; h < heads; ++h)
                rotate<Arch>(x.data() + (m * heads + h) * dim, row, row + half, half, o.half_split, sign);
        }
    });
}

}  // namespace LAB_ISA
}  // namespace lab::kernels
