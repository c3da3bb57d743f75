// Stochastic gradient descent with momentum, plain or Nesterov's (Sutskever et al. 2013), as torch.optim.SGD has it:
//   g += wd p      v = mu v + g      p -= lr v   (Nesterov: p -= lr (g + mu v))
// Half of AdamW's state, none without momentum. Weight decay goes through the momentum. Elementwise: the same bytes on
// any number of threads.
#pragma once

#include <algorithm>
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

struct sgd_options {
    double momentum = 0.9;
    bool nesterov = false;
    double weight_decay = 0.0;
};

class sgd {
public:
    /// `ranges` cover the parameters in order; empty: all are decayed.
    explicit sgd(sgd_options options = {}, std::vector<parameter_range> ranges = {}, thread_pool* pool = nullptr)
        : options_(options), ranges_(std::move(ranges)), pool_(pool) {
        if (!(options.momentum >= 0 && options.momentum < 1) || !(options.weight_decay >= 0))
            throw config_error("sgd: momentum lies in [0, 1), weight decay is not negative");
        if (options.nesterov && options.momentum == 0)
            throw config_error("sgd: Nesterov's step needs a momentum (try 0.9)");
    }

    [[nodiscard]] const sgd_options& options() const { return options_; }
    [[nodiscard]] std::uint64_t steps() const { return steps_; }
    void set_steps(std::uint64_t steps) { steps_ = steps; }
    /// Forgets everything, for `count` parameters.
    void reset(std::size_t count) {
        count_ = count;
        const std::size_t held = options_.momentum > 0 ? count : 0;
        if (velocity_.size() != held)
            velocity_ = aligned_buffer<float>(held);
        else
            std::fill_n(velocity_.data(), held, 0.0f);
        steps_ = 0;
    }
    /// In the parameters' order; empty without momentum.
    [[nodiscard]] std::span<float> velocity() { return {velocity_.data(), velocity_.size()}; }

    /// One update with the gradients times `gradient_scale` (clipping: see clip.hpp).
    /// @throws shape_error unless parameters and gradients have the size given to `reset` (or the first call's).
    void step(std::span<float> parameters, std::span<const float> gradients, double learning_rate,
              double gradient_scale = 1.0) {
        if (count_ == 0) reset(parameters.size());
        if (parameters.size() != count_ || gradients.size() != count_)
            throw shape_error("sgd: " + std::to_string(parameters.size()) + " parameters and " +
                              std::to_string(gradients.size()) + " gradients, the state is for " +
                              std::to_string(count_));
        ++steps_;
        const auto c = [&](bool decay) {
            return constants{static_cast<float>(options_.momentum), static_cast<float>(gradient_scale),
                             static_cast<float>(learning_rate),
                             decay ? static_cast<float>(options_.weight_decay) : 0.0f};
        };
        for_each_part(ranges_, count_, pool_, [&](std::size_t begin, std::size_t end, bool decay) {
            float* v = velocity_.size() != 0 ? velocity_.data() + begin : nullptr;
            update(parameters.data() + begin, gradients.data() + begin, v, end - begin, c(decay));
        });
    }

private:
    struct constants {
        float momentum, scale, rate, decay;
    };
    void update(float* p, const float* g, float* v, std::size_t count, const constants& c) const {
        using native = kernels::arch::native;
        using f = kernels::f32x16<native>;
        const f momentum = f::broadcast(c.momentum), scale = f::broadcast(c.scale), rate = f::broadcast(c.rate),
                decay = f::broadcast(c.decay);
        kernels::for_each_vector(count, [&](std::size_t i, auto n) {
            const f at = kernels::get<native>(p + i, n);
            const f gradient = kernels::get<native>(g + i, n) * scale + decay * at;
            f along = gradient;
            if (v != nullptr) {
                const f velocity = momentum * kernels::get<native>(v + i, n) + gradient;
                kernels::put(velocity, v + i, n);
                along = options_.nesterov ? gradient + momentum * velocity : velocity;
            }
            kernels::put(at - rate * along, p + i, n);
        });
    }

    sgd_options options_;
    std::vector<parameter_range> ranges_;
    thread_pool* pool_;
    std::size_t count_ = 0;
    aligned_buffer<float> velocity_;
    std::uint64_t steps_ = 0;
};

}  // namespace lab::optim
