// Adafactor (Shazeer & Stern 2018, arXiv:1804.04235) without first moment: of a matrix's squared gradients only the
// means of rows and columns are kept, R and C, so that the state of [n, m] is n + m numbers in place of AdamW's 2 n m.
//   b = 1 - t^-0.8    R = b R + (1 - b) rowmean(g^2 + eps)    C likewise    V = R C / mean(R)   (vectors: V itself)
//   u = g / sqrt(V)   u /= max(1, rms(u) / d)                 p = p (1 - lr wd) - lr u
// Sums run in double, row by row, in one order: the same bytes on any number of threads.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/tensor.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/optim/groups.hpp"

namespace lab::optim {

struct adafactor_options {
    double beta2_decay = -0.8;
    double eps = 1e-30;       // added to squared gradients
    double clip_rms = 1.0;    // d: a tensor's step is scaled back to this root mean square
    bool relative = false;    // steps are shares of the tensor's own root mean square, the paper's section 8
    double least_rms = 1e-3;  // which counts as at least this
    double weight_decay = 0.0;
};

class adafactor {
public:
    /// `tensors` cover the parameters in order.
    explicit adafactor(adafactor_options options, std::vector<parameter_tensor> tensors, thread_pool* pool = nullptr)
        : options_(options), tensors_(std::move(tensors)), pool_(pool) {
        if (!(options.beta2_decay < 0) || !(options.eps > 0) || !(options.clip_rms > 0) || !(options.least_rms > 0) ||
            !(options.weight_decay >= 0))
            throw config_error(
                "adafactor: the decay's exponent is negative, eps, clipping and least size are positive, weight decay "
                "is not negative");
        for (const auto& t : tensors_) {
            count_ += t.size();
            held_ += t.matrix ? t.rows + t.columns : t.size();
        }
    }

    [[nodiscard]] const adafactor_options& options() const { return options_; }
    [[nodiscard]] std::uint64_t steps() const { return steps_; }
    void set_steps(std::uint64_t steps) { steps_ = steps; }
    /// Forgets everything. @throws shape_error unless the tensors hold `count` parameters
    void reset(std::size_t count) {
        if (count != count_)
            throw shape_error("adafactor: " + std::to_string(count) + " parameters, the tensors hold " +
                              std::to_string(count_));
        if (moments_.size() != held_) moments_ = aligned_buffer<float>(held_);
        std::fill_n(moments_.data(), held_, 0.0f);
        steps_ = 0;
    }
    /// Numbers in `moments`, also before `reset`.
    [[nodiscard]] std::size_t state_size() const { return held_; }
    /// Tensor after tensor: a matrix's row means, then its column means; a vector's second moments.
    [[nodiscard]] std::span<float> moments() { return {moments_.data(), moments_.size()}; }

    /// One update with the gradients times `gradient_scale` (clipping: see clip.hpp).
    /// @throws shape_error unless parameters and gradients are as many as the tensors hold
    void step(std::span<float> parameters, std::span<const float> gradients, double learning_rate,
              double gradient_scale = 1.0) {
        if (moments_.size() != held_) reset(parameters.size());
        if (parameters.size() != count_ || gradients.size() != count_)
            throw shape_error("adafactor: " + std::to_string(parameters.size()) + " parameters and " +
                              std::to_string(gradients.size()) + " gradients, the tensors hold " +
                              std::to_string(count_));
        ++steps_;
        scale_ = gradient_scale;
        fresh_ = std::pow(static_cast<double>(steps_), options_.beta2_decay);
        float *p = parameters.data(), *moments = moments_.data();
        const float* g = gradients.data();
        for (const auto& t : tensors_) {
            if (t.matrix) {
                matrix(t, p, g, moments, moments + t.rows, learning_rate);
                moments += t.rows + t.columns;
            } else {
                vector(t, p, g, moments, learning_rate);
                moments += t.size();
            }
            p += t.size();
            g += t.size();
        }
    }

private:
    static constexpr std::size_t lanes = 8;
    /// sum_j f(j) over eight interleaved sums, which compilers turn into vectors.
    template <class F>
    [[nodiscard]] static double sum_of(std::size_t count, const F& f) {
        std::array<double, lanes> sums{};
        std::size_t j = 0;
        for (; j + lanes <= count; j += lanes)
            for (std::size_t l = 0; l < lanes; ++l) sums[l] += f(j + l);
        for (; j < count; ++j) sums[j % lanes] += f(j);
        return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
    }
    [[nodiscard]] double square(float g) const {
        const double x = static_cast<double>(g) * scale_;
        return x * x + options_.eps;
    }
    [[nodiscard]] float follow(float moment, double mean) const {
        return static_cast<float>(static_cast<double>(moment) + fresh_ * (mean - static_cast<double>(moment)));
    }
    /// p = p keep - rate u for one row of a tensor whose updates' squares sum to `squares`.
    [[nodiscard]] double rate_of(const parameter_tensor& t, double learning_rate, double rms, double squares) const {
        const double length = std::sqrt(squares / static_cast<double>(t.size()));
        const double relative = options_.relative ? std::max(options_.least_rms, rms) : 1.0;
        return learning_rate * relative / std::max(1.0, length / options_.clip_rms);
    }
    [[nodiscard]] double rms_of(const parameter_tensor& t, const float* p) {
        if (!options_.relative) return 0;
        per_row(t, [&](std::size_t r) {
            const float* row = p + r * t.columns;
            return sum_of(t.columns,
                          [&](std::size_t j) { return static_cast<double>(row[j]) * static_cast<double>(row[j]); });
        });
        return std::sqrt(total(t.rows) / static_cast<double>(t.size()));
    }
    template <class F>
    void per_row(const parameter_tensor& t, const F& f) {
        sums_.resize(std::max(sums_.size(), t.rows));
        parallel_for(pool_, t.rows, std::max<std::size_t>(1, 16384 / std::max<std::size_t>(t.columns, 1)),
                     [&](std::size_t begin, std::size_t end, std::size_t) {
                         for (std::size_t r = begin; r < end; ++r) sums_[r] = f(r);
                     });
    }
    [[nodiscard]] double total(std::size_t rows) const {
        return sum_of(rows, [&](std::size_t r) { return sums_[r]; });
    }

    void matrix(const parameter_tensor& t, float* p, const float* g, float* row_means, float* column_means,
                double learning_rate) {
        const double rms = rms_of(t, p);
        per_row(t, [&](std::size_t r) {
            const float* row = g + r * t.columns;
            return sum_of(t.columns, [&](std::size_t j) { return square(row[j]); });
        });
        for (std::size_t r = 0; r < t.rows; ++r)
            row_means[r] = follow(row_means[r], sums_[r] / static_cast<double>(t.columns));
        constexpr std::size_t block = 64;
        parallel_for(pool_, (t.columns + block - 1) / block, 1, [&](std::size_t begin, std::size_t end, std::size_t) {
            for (std::size_t b = begin; b < end; ++b) {
                std::array<double, block> sums{};
                const std::size_t first = b * block, width = std::min(block, t.columns - first);
                for (std::size_t r = 0; r < t.rows; ++r)
                    for (std::size_t j = 0; j < width; ++j) sums[j] += square(g[r * t.columns + first + j]);
                for (std::size_t j = 0; j < width; ++j)
                    column_means[first + j] = follow(column_means[first + j], sums[j] / static_cast<double>(t.rows));
            }
        });
        const double mean = sum_of(t.rows, [&](std::size_t r) { return static_cast<double>(row_means[r]); }) /
                            static_cast<double>(t.rows);
        inverse_.resize(std::max(inverse_.size(), t.columns));
        for (std::size_t j = 0; j < t.columns; ++j) inverse_[j] = 1.0 / std::sqrt(static_cast<double>(column_means[j]));
        const auto row_factor = [&](std::size_t r) {
            return scale_ / std::sqrt(static_cast<double>(row_means[r]) / mean);
        };
        per_row(t, [&](std::size_t r) {
            const double factor = row_factor(r);
            const float* row = g + r * t.columns;
            return sum_of(t.columns, [&](std::size_t j) {
                const double u = static_cast<double>(row[j]) * factor * inverse_[j];
                return u * u;
            });
        });
        const double rate = rate_of(t, learning_rate, rms, total(t.rows));
        const double keep = t.decay ? 1.0 - learning_rate * options_.weight_decay : 1.0;
        per_row(t, [&](std::size_t r) {
            const double factor = rate * row_factor(r);
            const float* from = g + r * t.columns;
            float* to = p + r * t.columns;
            for (std::size_t j = 0; j < t.columns; ++j)
                to[j] = static_cast<float>(static_cast<double>(to[j]) * keep -
                                           static_cast<double>(from[j]) * factor * inverse_[j]);
            return 0.0;
        });
    }

    void vector(const parameter_tensor& t, float* p, const float* g, float* moments, double learning_rate) {
        const std::size_t n = t.size();
        const double rms = rms_of(t, p);
        for (std::size_t j = 0; j < n; ++j) moments[j] = follow(moments[j], square(g[j]));
        const auto step = [&](std::size_t j) {
            return static_cast<double>(g[j]) * scale_ / std::sqrt(static_cast<double>(moments[j]));
        };
        const double rate = rate_of(t, learning_rate, rms, sum_of(n, [&](std::size_t j) { return step(j) * step(j); }));
        const double keep = t.decay ? 1.0 - learning_rate * options_.weight_decay : 1.0;
        for (std::size_t j = 0; j < n; ++j)
            p[j] = static_cast<float>(static_cast<double>(p[j]) * keep - rate * step(j));
    }

    adafactor_options options_;
    std::vector<parameter_tensor> tensors_;
    thread_pool* pool_;
    std::size_t count_ = 0, held_ = 0;
    aligned_buffer<float> moments_;
    std::vector<double> sums_, inverse_;
    double scale_ = 1.0, fresh_ = 1.0;
    std::uint64_t steps_ = 0;
};

}  // namespace lab::optim
