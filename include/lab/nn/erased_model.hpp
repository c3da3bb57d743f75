// The usual implementation of `any_model`: an architecture over a CPU backend, with what its weights point into
// (mapped files, an arena) and, for training, its gradients. With adapters: adapted_model.hpp.
#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/file.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/nn/any_model.hpp"
#include "lab/nn/model_implementation.hpp"
#include "lab/nn/training.hpp"
#include "lab/nn/weights.hpp"

namespace lab::nn {

/// Everything the weights of a model may point into.
template <class Architecture>
struct weight_storage {
    std::shared_ptr<thread_pool> pool;
    std::shared_ptr<const void> files;               // mapped checkpoint
    parameter_set<Architecture, float> dense;        // all weights, when they were expanded to f32
    std::vector<aligned_buffer<std::byte>> buffers;  // single tensors that were converted or re-aligned
    large_buffer panels;                             // matrices once more, packed for the kernels
};

template <class Architecture, class Backend>
requires std::same_as<typename Backend::scalar, float> && std::same_as<typename Backend::weight, matrix_view>
class erased_model final : public model_implementation<Architecture, Backend> {
    using base = model_implementation<Architecture, Backend>;
    using base::info_, base::model_;

public:
    using storage = weight_storage<Architecture>;
    using weights_type = model_weights<Architecture, Backend>;

    /// `dense` says that `w` are the tensors of `owned->dense`: then the model can be trained, with products computed
    /// by `training`.
    erased_model(model_info info, weights_type w, Backend backend, Backend training, std::shared_ptr<storage> owned,
                 bool dense)
        : base(std::move(info), std::move(w), std::move(backend), {}),
          owned_(std::move(owned)),
          dense_(dense),
          training_(std::move(training)) {}

    [[nodiscard]] thread_pool& pool() const override { return *owned_->pool; }
    [[nodiscard]] std::span<float> parameters() override {
        require_dense();
        return owned_->dense.flat();
    }
    [[nodiscard]] std::span<float> gradients() override {
        require_dense();
        if (!gradients_) gradients_.emplace(info_.dims);
        return gradients_->flat();
    }
    double loss(const ragged_batch& batch, std::span<const token> targets) override {
        if constexpr (trainable) {
            return pass().loss(batch, targets).sum;
        } else {
            refuse_training();
        }
    }
    double loss_and_gradients(const ragged_batch& batch, std::span<const token> targets, double scale) override {
        if constexpr (trainable) {
            static_cast<void>(gradients());
            return pass().loss_and_gradients(batch, targets, scale, gradients_->get()).sum;
        } else {
            refuse_training();
        }
    }
    void set_training(const training_settings& settings) override {
        if constexpr (trainable) {
            pass().set(settings);
        } else {
            refuse_training();
        }
    }

private:
    using model_type = typename base::model_type;
    static constexpr bool trainable = Architecture::ffn::trainable;
    struct nothing {};
    template <bool Yes, class M>
    struct pass_of {
        using type = nothing;
    };
    template <class M>
    struct pass_of<true, M> {
        using type = training_pass<M>;
    };
    using pass_type = typename pass_of<trainable, model_type>::type;

    [[noreturn]] void refuse_training() const {
        throw config_error(explain(info_.family, "this architecture cannot be trained: its experts have no backward",
                                   "train a dense model"));
    }
    void require_dense() const {
        if constexpr (!trainable) refuse_training();
        if (!dense_)
            throw config_error(explain(info_.source.string(),
                                       "was loaded with its weights as stored, training needs them as f32",
                                       "load it with load_options{.expand = dtype::f32}"));
    }
    [[nodiscard]] pass_type& pass() {
        if (!pass_) pass_.emplace(model_, training_);
        return *pass_;
    }

    std::shared_ptr<storage> owned_;
    bool dense_;
    Backend training_;
    std::optional<parameter_set<Architecture, float>> gradients_;
    std::optional<pass_type> pass_;
};

}  // namespace lab::nn
