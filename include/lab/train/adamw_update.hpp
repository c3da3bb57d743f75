// AdamW as the trainer uses it: gradients clipped by their global norm, then AdamW (optim/). Defaults as InstructLab
// trains: betas 0.9 and 0.95, eps 1e-8, no weight decay, clipping at 1.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "lab/core/thread_pool.hpp"
#include "lab/optim/adamw.hpp"
#include "lab/optim/clip.hpp"
#include "lab/train/update.hpp"

namespace lab::train {

struct adamw_update_options {
    optim::adamw_options adamw{};
    double clip_norm = 1.0;  // 0: no clipping
};

class adamw_update {
public:
    /// `ranges` as optim::decay_ranges gives them; empty: all parameters are decayed alike.
    explicit adamw_update(adamw_update_options options = {}, std::vector<optim::parameter_range> ranges = {},
                          thread_pool* pool = nullptr)
        : options_(options), adamw_(options.adamw, std::move(ranges), pool), pool_(pool) {}

    [[nodiscard]] double norm(std::span<const float> gradients) const { return optim::global_norm(gradients, pool_); }
    void step(std::span<float> parameters, std::span<const float> gradients, double learning_rate, double norm) {
        adamw_.step(parameters, gradients, learning_rate, optim::clip_scale(norm, options_.clip_norm));
    }
    void reset(std::size_t count) { adamw_.reset(count); }
    [[nodiscard]] std::vector<std::span<const float>> state() {
        return {adamw_.first_moments(), adamw_.second_moments()};
    }
    template <class Source>
    void restore(Source&& source) {
        restore_arrays(std::array{adamw_.first_moments(), adamw_.second_moments()}, source);
    }
    [[nodiscard]] std::uint64_t steps() const { return adamw_.steps(); }
    void set_steps(std::uint64_t steps) { adamw_.set_steps(steps); }
    [[nodiscard]] std::string describe() const {
        const auto& o = options_.adamw;
        std::ostringstream text;
        text.precision(17);
        text << "adamw " << o.beta1 << ' ' << o.beta2 << ' ' << o.eps << ' ' << o.weight_decay << ' ' << o.decay_vectors
             << " clip " << options_.clip_norm;
        return text.str();
    }

private:
    adamw_update_options options_;
    optim::adamw adamw_;
    thread_pool* pool_;
};
static_assert(ParameterUpdate<adamw_update>);

}  // namespace lab::train
