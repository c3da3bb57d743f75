// An `any_model` with adapters: an architecture over lora_backend<Base>. Its parameters and gradients are those of the
// adapters alone; the weights stay where and as they are, in any format. See lora_options.hpp for what is computed.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "lab/nn/adapters.hpp"
#include "lab/nn/any_model.hpp"
#include "lab/nn/lora_backend.hpp"
#include "lab/nn/model_implementation.hpp"
#include "lab/nn/training.hpp"
#include "lab/nn/weights.hpp"

namespace lab::nn {

template <class Architecture, class Base>
requires std::same_as<typename Base::scalar, float> && std::same_as<typename Base::weight, matrix_view>
class adapted_model final : public model_implementation<Architecture, lora_backend<Base>> {
    using backend_type = lora_backend<Base>;
    using base_class = model_implementation<Architecture, backend_type>;
    using base_class::info_, base_class::model_;

public:
    using adapters_type = adapter_set<Architecture, float>;

    /// `base` computes what is asked of the model, `training` the passes that learn, but for the adapters' own
    /// products, which `beside` does. `owner` keeps the weights alive.
    adapted_model(model_info info, const model_weights<Architecture, Base>& w, Base base, Base training, Base beside,
                  std::shared_ptr<thread_pool> pool, std::shared_ptr<const void> owner, lora_options options,
                  adapters_type adapters, recompute again = recompute::none)
        : base_class(std::move(info), with_adapters<Base>(info.dims, w, adapters), backend_type(std::move(base)),
                     std::move(pool), std::move(owner)),
          options_(std::move(options)),
          adapters_(std::move(adapters)),
          training_(std::move(training), std::move(beside), {.rate = options_.dropout, .seed = options_.seed}),
          again_(again) {
        for_each_tensor(
            info_.dims,
            [&](const tensor_info&, const auto& handle) {
                if constexpr (requires { handle.adapter; })
                    beside_.push_back(handle.adapter);
                else
                    beside_.emplace_back();
            },
            model_.weights());
    }

    [[nodiscard]] const lora_options* lora() const override { return &options_; }
    [[nodiscard]] std::span<const low_rank<const float>> adapters() const override { return beside_; }

    [[nodiscard]] std::span<float> parameters() override { return adapters_.flat(); }
    [[nodiscard]] std::span<float> gradients() override {
        if (!gradients_) gradients_.emplace(info_.dims, options_);
        return gradients_->flat();
    }
    void begin_step(std::uint64_t step) override {
        training_.dropout().step = step;
        training_.dropout().pass = 0;
    }
    void begin_pass(std::uint64_t number, std::uint64_t rows_before) override {
        training_.dropout().pass = static_cast<std::uint32_t>(number);
        pass().begin_at_row(rows_before);
    }
    void set_training(const training_settings& settings) override { pass().set(settings); }
    double loss(const ragged_batch& batch, std::span<const token> targets) override {
        training_.dropout().active = false;
        return pass().loss(batch, targets).sum;
    }
    double loss_and_gradients(const ragged_batch& batch, std::span<const token> targets, double scale) override {
        static_cast<void>(gradients());
        training_.dropout().active = true;
        const double sum = pass().loss_and_gradients(batch, targets, scale, gradients_->get()).sum;
        ++training_.dropout().pass;
        return sum;
    }
    void sequence_losses(const ragged_batch& batch, std::span<const token> targets, std::span<double> losses) override {
        training_.dropout().active = false;
        pass().sequence_losses(batch, targets, losses);
    }
    void weighted_gradients(const ragged_batch& batch, std::span<const token> targets, weigh_losses weigh) override {
        static_cast<void>(gradients());
        training_.dropout().active = true;
        pass().weighted_gradients(batch, targets, weigh, gradients_->get());
        ++training_.dropout().pass;
    }

private:
    using model_type = typename base_class::model_type;

    [[nodiscard]] training_pass<model_type>& pass() {
        if (!pass_) pass_.emplace(model_, training_, again_);  // the copy shares the dropout's state
        return *pass_;
    }

    lora_options options_;
    adapters_type adapters_;
    backend_type training_;
    recompute again_;
    std::vector<low_rank<const float>> beside_;
    std::optional<adapters_type> gradients_;
    std::optional<training_pass<model_type>> pass_;
};

}  // namespace lab::nn
