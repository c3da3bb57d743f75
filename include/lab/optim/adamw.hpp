// AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101): Adam with weight decay applied to the weights, not the gradient.
//   m = b1 m + (1 - b1) g      v = b2 v + (1 - b2) g^2
//   p = p (1 - lr wd) - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
// Elementwise, so the same bytes on any number of threads.
#pragma once

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
#include "lab/kernels/rows.hpp"
#include "lab/optim/groups.hpp"

namespace lab::optim {

struct adamw_options {
    double beta1 = 0.9, beta2 = 0.95;
    double eps = 1e-8;
    double weight_decay = 0.0;
    bool decay_vectors = false;  // norm gains are not decayed unless asked for
};

class adamw {
public:
    /// `ranges` cover the parameters in order; empty: all are decayed.
    explicit adamw(adamw_options options = {}, std::vector<parameter_range> ranges = {}, thread_pool* pool = nullptr)
        : options_(options), ranges_(std::move(ranges)), pool_(pool) {
        const auto in = [](double x, double low, double high) { return x >= low && x < high; };
        if (!in(options.beta1, 0, 1) || !in(options.beta2, 0, 1) || !(options.eps > 0) || !(options.weight_decay >= 0))
            throw config_error("adamw: betas lie in [0, 1), eps is positive, weight decay is not negative");
    }

    [[nodiscard]] const adamw_options& options() const { return options_; }
    [[nodiscard]] std::uint64_t steps() const { return steps_; }
    void set_steps(std::uint64_t steps) { steps_ = steps; }
    /// Forgets everything, for `count` parameters.
    void reset(std::size_t count) {
        if (m_.size() != count) {
            m_ = aligned_buffer<float>(count);
            v_ = aligned_buffer<float>(count);
        } else {
            std::fill_n(m_.data(), count, 0.0f);
            std::fill_n(v_.data(), count, 0.0f);
        }
        steps_ = 0;
    }
    /// First and second moments, in the parameters' order.
    [[nodiscard]] std::span<float> first_moments() { return {m_.data(), m_.size()}; }
    [[nodiscard]] std::span<float> second_moments() { return {v_.data(), v_.size()}; }

    /// One update with the gradients times `gradient_scale` (clipping: see clip.hpp).
    /// @throws shape_error unless parameters and gradients have the size given to `reset` (or the first call's).
    void step(std::span<float> parameters, std::span<const float> gradients, double learning_rate,
              double gradient_scale = 1.0) {
        if (m_.size() == 0) reset(parameters.size());
        if (parameters.size() != m_.size() || gradients.size() != m_.size())
            throw shape_error("adamw: " + std::to_string(parameters.size()) + " parameters and " +
                              std::to_string(gradients.size()) + " gradients, the state is for " +
                              std::to_string(m_.size()));
        ++steps_;
        const auto t = static_cast<double>(steps_);
        constants c;
        c.beta1 = static_cast<float>(options_.beta1);
        c.beta2 = static_cast<float>(options_.beta2);
        c.rest1 = static_cast<float>(1.0 - options_.beta1);
        c.rest2 = static_cast<float>(1.0 - options_.beta2);
        c.scale = static_cast<float>(gradient_scale);
        c.rate = static_cast<float>(learning_rate / (1.0 - std::pow(options_.beta1, t)));
        c.correction2 = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(options_.beta2, t)));
        c.eps = static_cast<float>(options_.eps);
        const auto decayed = static_cast<float>(1.0 - learning_rate * options_.weight_decay);
        for_each_part(ranges_, m_.size(), pool_, [&](std::size_t begin, std::size_t end, bool decay) {
            update(parameters.data() + begin, gradients.data() + begin, m_.data() + begin, v_.data() + begin,
                   end - begin, decay || options_.decay_vectors ? decayed : 1.0f, c);
        });
    }

private:
    struct constants {
        float beta1, beta2, rest1, rest2, scale, rate, correction2, eps;
    };
    /// p -= rate m / (sqrt(v) correction2 + eps), with rate = lr / (1 - b1^t) and correction2 = 1 / sqrt(1 - b2^t).
    static void update(float* p, const float* g, float* m, float* v, std::size_t count, float keep,
                       const constants& c) {
        using f = kernels::f32x16<kernels::arch::native>;
        const auto all = [](float x) { return f::broadcast(x); };
        const f beta1 = all(c.beta1), beta2 = all(c.beta2), rest1 = all(c.rest1), rest2 = all(c.rest2),
                scale = all(c.scale), rate = all(c.rate), correction2 = all(c.correction2), eps = all(c.eps),
                kept = all(keep);
        kernels::for_each_vector(count, [&](std::size_t i, auto n) {
            const f gradient = kernels::get<kernels::arch::native>(g + i, n) * scale;
            const f mi = beta1 * kernels::get<kernels::arch::native>(m + i, n) + rest1 * gradient;
            const f vi = beta2 * kernels::get<kernels::arch::native>(v + i, n) + rest2 * gradient * gradient;
            kernels::put(mi, m + i, n);
            kernels::put(vi, v + i, n);
            kernels::put(kernels::get<kernels::arch::native>(p + i, n) * kept -
                             rate * mi / (square_root(vi) * correction2 + eps),
                         p + i, n);
        });
    }

    adamw_options options_;
    std::vector<parameter_range> ranges_;
    thread_pool* pool_;
    aligned_buffer<float> m_, v_;
    std::uint64_t steps_ = 0;
};

}  // namespace lab::optim
