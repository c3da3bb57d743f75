// Which weights a phase hands on: those of its last step, those with the lowest held-out loss, or an average:
//   ema      e += (1 - b) (p - e) after each step, b = min(decay, (1 + t) / (10 + t)), e from the phase's start
//   average  the mean of the last k snapshots, taken every n steps up to the phase's last (LAWA, arXiv:2209.14981)
// One array of the parameters' size, kept in checkpoints. Elementwise: the same bytes on any number of threads.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "lab/core/error.hpp"
#include "lab/core/tensor.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/formats/json.hpp"

namespace lab::train {

enum class phase_result : std::uint8_t { last, best, ema, average };
inline constexpr std::array<std::pair<std::string_view, phase_result>, 4> phase_result_names{
    {{"last", phase_result::last},
     {"best", phase_result::best},
     {"ema", phase_result::ema},
     {"average", phase_result::average}}};

/// @throws config_error listing the known names.
[[nodiscard]] inline phase_result phase_result_from_name(std::string_view name) {
    for (const auto& [known, kind] : phase_result_names)
        if (known == name) return kind;
    throw config_error(explain("result '" + std::string(name) + "'", "unknown", "one of last, best, ema, average"));
}

struct result_options {
    phase_result kind = phase_result::last;
    double ema_decay = 0.999;
    std::size_t average_last = 5;    // snapshots
    std::size_t average_every = 10;  // steps between them
};

class result_keeper {
public:
    /// @throws config_error
    explicit result_keeper(result_options options = {}) : options_(options) {
        if (!(options.ema_decay > 0 && options.ema_decay < 1))
            throw config_error("result: the decay of a running average lies between 0 and 1 (try 0.999)");
        if (options.average_last == 0 || options.average_every == 0)
            throw config_error("result: an average is of at least one snapshot, at least one step apart");
    }

    [[nodiscard]] const result_options& options() const { return options_; }
    [[nodiscard]] bool on() const { return options_.kind != phase_result::last; }
    void set_pool(thread_pool* pool) { pool_ = pool; }
    /// Snapshots in the average, or the step of the best.
    [[nodiscard]] std::size_t count() const { return count_; }
    [[nodiscard]] double best_loss() const { return best_loss_; }

    /// A phase begins with these parameters.
    void begin(std::span<const float> parameters) {
        count_ = 0;
        best_loss_ = 0;
        if (!on()) return;
        if (kept_.size() != parameters.size()) kept_ = aligned_buffer<float>(parameters.size());
        copy(parameters, values());
    }
    /// `step` of `steps` was taken, counted from 1.
    void after_step(std::span<const float> parameters, std::size_t step, std::size_t steps) {
        if (options_.kind == phase_result::ema) {
            const auto t = static_cast<double>(++count_);
            blend(parameters, static_cast<float>(1.0 - std::min(options_.ema_decay, (1.0 + t) / (10.0 + t))));
        } else if (options_.kind == phase_result::average && (steps - step) % options_.average_every == 0 &&
                   (steps - step) / options_.average_every < options_.average_last) {
            blend(parameters, 1.0f / static_cast<float>(++count_));
        }
    }
    /// These parameters have this held-out loss; one that is not finite is never the best.
    void offer(std::span<const float> parameters, std::size_t step, double loss) {
        if (options_.kind != phase_result::best || !std::isfinite(loss) || (count_ != 0 && loss >= best_loss_)) return;
        best_loss_ = loss;
        count_ = step;
        copy(parameters, values());
    }
    /// Puts the result in place of the parameters.
    void hand_over(std::span<float> parameters) const {
        if (on() && count_ != 0) copy(values(), parameters);
    }

    /// What a checkpoint inside a phase holds.
    [[nodiscard]] std::span<float> values() { return {kept_.data(), kept_.size()}; }
    [[nodiscard]] formats::json state() const { return {{"count", count_}, {"best_loss", best_loss_}}; }
    void restore(const formats::json& state, const std::string& place) {
        count_ = formats::field<std::size_t>(state, "count", place);
        best_loss_ = formats::field<double>(state, "best_loss", place);
    }
    /// Settings that change results.
    [[nodiscard]] formats::json describe() const {
        for (const auto& [name, kind] : phase_result_names)
            if (kind == options_.kind)
                return {{"kind", name},
                        {"ema_decay", options_.ema_decay},
                        {"average_last", options_.average_last},
                        {"average_every", options_.average_every}};
        return {};
    }

private:
    [[nodiscard]] std::span<const float> values() const { return {kept_.data(), kept_.size()}; }
    template <class F>
    void over(std::size_t count, const F& part) const {
        parallel_for(pool_, count, std::size_t{1} << 14,
                     [&](std::size_t begin, std::size_t end, std::size_t) { part(begin, end); });
    }
    void copy(std::span<const float> from, std::span<float> to) const {
        over(from.size(), [&](std::size_t begin, std::size_t end) {
            std::copy(from.begin() + static_cast<std::ptrdiff_t>(begin),
                      from.begin() + static_cast<std::ptrdiff_t>(end), to.begin() + static_cast<std::ptrdiff_t>(begin));
        });
    }
    /// kept += share (parameters - kept)
    void blend(std::span<const float> parameters, float share) {
        const float* p = parameters.data();
        float* k = kept_.data();
        over(parameters.size(), [&](std::size_t begin, std::size_t end) {
            for (std::size_t i = begin; i < end; ++i) k[i] += share * (p[i] - k[i]);
        });
    }

    result_options options_;
    thread_pool* pool_ = nullptr;
    aligned_buffer<float> kept_;
    std::size_t count_ = 0;
    double best_loss_ = 0;
};

}  // namespace lab::train
