// The optimizer by name: AdamW, SGD with momentum or Adafactor (optim/) behind the trainer's seam, each after clipping
// by the gradients' global norm. Bytes of state for each parameter: AdamW 8, SGD 4 (0 without momentum), Adafactor
// next to none.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/optim/adafactor.hpp"
#include "lab/optim/clip.hpp"
#include "lab/optim/groups.hpp"
#include "lab/optim/sgd.hpp"
#include "lab/train/adamw_update.hpp"
#include "lab/train/update.hpp"

namespace lab::train {

enum class optimizer : std::uint8_t { adamw, sgd, adafactor };
inline constexpr std::array<std::pair<std::string_view, optimizer>, 3> optimizer_names{
    {{"adamw", optimizer::adamw}, {"sgd", optimizer::sgd}, {"adafactor", optimizer::adafactor}}};

/// @throws config_error listing the known names.
[[nodiscard]] inline optimizer optimizer_from_name(std::string_view name) {
    for (const auto& [known, kind] : optimizer_names)
        if (known == name) return kind;
    throw config_error(explain("optimizer '" + std::string(name) + "'", "unknown", "one of adamw, sgd, adafactor"));
}

struct optimizer_options {
    optimizer kind = optimizer::adamw;
    optim::adamw_options adamw{};
    optim::sgd_options sgd{};
    optim::adafactor_options adafactor{};
    optim::decay_groups decay{};  // what the weight decay of `kind` pulls on
    double clip_norm = 1.0;       // 0: no clipping
};

class optimizer_update {
public:
    /// `tensors` cover the parameters in order: optim::parameter_tensors(weights, options.decay).
    explicit optimizer_update(optimizer_options options, const std::vector<optim::parameter_tensor>& tensors,
                              thread_pool* pool = nullptr)
        : options_(std::move(options)), optimizer_(make(options_, tensors, pool)), pool_(pool) {
        for (const auto& t : tensors) count_ += t.size();
    }

    [[nodiscard]] double norm(std::span<const float> gradients) const { return optim::global_norm(gradients, pool_); }
    void step(std::span<float> parameters, std::span<const float> gradients, double learning_rate, double norm) {
        const double scale = optim::clip_scale(norm, options_.clip_norm);
        std::visit([&](auto& o) { o.step(parameters, gradients, learning_rate, scale); }, optimizer_);
    }
    void reset(std::size_t count) {
        std::visit([&](auto& o) { o.reset(count); }, optimizer_);
    }
    [[nodiscard]] std::vector<std::span<const float>> state() {
        const auto all = arrays();
        return {all.begin(), all.end()};
    }
    template <class Source>
    void restore(Source&& source) {
        restore_arrays(arrays(), source);
    }
    [[nodiscard]] std::vector<std::span<float>> arrays() {
        return std::visit(
            [](auto& o) -> std::vector<std::span<float>> {
                using kind = std::decay_t<decltype(o)>;
                if constexpr (std::is_same_v<kind, optim::adamw>)
                    return {o.first_moments(), o.second_moments()};
                else if constexpr (std::is_same_v<kind, optim::sgd>)
                    return {o.velocity()};
                else
                    return {o.moments()};
            },
            optimizer_);
    }
    /// Numbers in all of `state()`, also before anything is allocated.
    [[nodiscard]] std::size_t state_size() const {
        switch (options_.kind) {
            case optimizer::adamw:
                return 2 * count_;
            case optimizer::sgd:
                return options_.sgd.momentum > 0 ? count_ : 0;
            case optimizer::adafactor:
                break;
        }
        return std::get<optim::adafactor>(optimizer_).state_size();
    }
    [[nodiscard]] std::uint64_t steps() const {
        return std::visit([](const auto& o) { return o.steps(); }, optimizer_);
    }
    void set_steps(std::uint64_t steps) {
        std::visit([&](auto& o) { o.set_steps(steps); }, optimizer_);
    }
    /// Kind and settings; for AdamW with the usual groups, adamw_update's words.
    [[nodiscard]] std::string describe() const {
        std::ostringstream text;
        text.precision(17);
        switch (options_.kind) {
            case optimizer::adamw:
                text << adamw_update({options_.adamw, options_.clip_norm}).describe();
                break;
            case optimizer::sgd: {
                const auto& o = options_.sgd;
                text << "sgd " << o.momentum << ' ' << o.nesterov << ' ' << o.weight_decay << " clip "
                     << options_.clip_norm;
                break;
            }
            case optimizer::adafactor: {
                const auto& o = options_.adafactor;
                text << "adafactor " << o.beta2_decay << ' ' << o.eps << ' ' << o.clip_rms << ' ' << o.relative << ' '
                     << o.least_rms << ' ' << o.weight_decay << " clip " << options_.clip_norm;
                break;
            }
        }
        if (options_.decay.vectors) text << " vectors decay";
        for (const auto& role : options_.decay.without) text << ' ' << role << " does not decay";
        return text.str();
    }

private:
    using any = std::variant<optim::adamw, optim::sgd, optim::adafactor>;
    [[nodiscard]] static any make(const optimizer_options& o, const std::vector<optim::parameter_tensor>& tensors,
                                  thread_pool* pool) {
        if (!(o.clip_norm >= 0)) throw config_error("optimizer: the norm to clip at is not negative (0: no clipping)");
        switch (o.kind) {
            case optimizer::adamw:
                return optim::adamw(o.adamw, optim::ranges_of(tensors), pool);
            case optimizer::sgd:
                return optim::sgd(o.sgd, optim::ranges_of(tensors), pool);
            case optimizer::adafactor:
                break;
        }
        return optim::adafactor(o.adafactor, tensors, pool);
    }

    optimizer_options options_;
    any optimizer_;
    thread_pool* pool_;
    std::size_t count_ = 0;
};
static_assert(ParameterUpdate<optimizer_update>);

}  // namespace lab::train
