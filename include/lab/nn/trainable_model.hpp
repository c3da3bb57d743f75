// An `any_model` whose weights are learnt: an architecture over a CPU backend, all of its weights in one arena of f32,
// and its gradients in a second. With adapters instead: adapted_model.hpp.
#pragma once

#include <concepts>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "lab/core/thread_pool.hpp"
#include "lab/nn/any_model.hpp"
#include "lab/nn/model_implementation.hpp"
#include "lab/nn/training.hpp"
#include "lab/nn/weights.hpp"

namespace lab::nn {

template <class Architecture, class Backend>
requires std::same_as<typename Backend::scalar, float> && std::same_as<typename Backend::weight, matrix_view>
class trainable_model final : public model_implementation<Architecture, Backend> {
    using base = model_implementation<Architecture, Backend>;
    using base::info_, base::model_;

public:
    using parameters_type = parameter_set<Architecture, float>;

    /// `backend` computes what is asked of the model, `training` the passes that learn; both work on `pool`.
    trainable_model(model_info info, parameters_type parameters, Backend backend, Backend training,
                    std::shared_ptr<thread_pool> pool, recompute again = recompute::none)
        : base(std::move(info), as_model_weights<Backend, Architecture, float>(info.dims, parameters.get()),
               std::move(backend), std::move(pool), {}),
          parameters_(std::move(parameters)),
          training_(std::move(training)),
          again_(again) {}

    [[nodiscard]] std::span<float> parameters() override { return parameters_.flat(); }
    [[nodiscard]] std::span<float> gradients() override {
        if (!gradients_) gradients_.emplace(info_.dims);
        return gradients_->flat();
    }
    double loss(const ragged_batch& batch, std::span<const token> targets) override {
        return pass().loss(batch, targets).sum;
    }
    double loss_and_gradients(const ragged_batch& batch, std::span<const token> targets, double scale) override {
        static_cast<void>(gradients());
        return pass().loss_and_gradients(batch, targets, scale, gradients_->get()).sum;
    }
    void sequence_losses(const ragged_batch& batch, std::span<const token> targets, std::span<double> losses) override {
        pass().sequence_losses(batch, targets, losses);
    }
    void weighted_gradients(const ragged_batch& batch, std::span<const token> targets, weigh_losses weigh) override {
        static_cast<void>(gradients());
        pass().weighted_gradients(batch, targets, weigh, gradients_->get());
    }
    void begin_pass(std::uint64_t, std::uint64_t rows_before) override { pass().begin_at_row(rows_before); }
    void set_training(const training_settings& settings) override { pass().set(settings); }

private:
    using pass_type = training_pass<typename base::model_type>;

    [[nodiscard]] pass_type& pass() {
        if (!pass_) pass_.emplace(model_, training_, again_);
        return *pass_;
    }

    parameters_type parameters_;
    Backend training_;
    recompute again_;
    std::optional<parameters_type> gradients_;
    std::optional<pass_type> pass_;
};

}  // namespace lab::nn
