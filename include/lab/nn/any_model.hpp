// `any_model`: a model of any family behind one handle. Virtual per call (a whole batch), never per op. What
// `load_model` and `load_trainable` return, and what the engine, the trainer and the converters use; it names no
// architecture and no backend.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lab/core/backend.hpp"
#include "lab/core/error.hpp"
#include "lab/core/function_ref.hpp"
#include "lab/core/tensor.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/nn/dims.hpp"
#include "lab/nn/kv_cache.hpp"
#include "lab/nn/lora_options.hpp"
#include "lab/nn/tensor_info.hpp"
#include "lab/nn/training_settings.hpp"

namespace lab::nn {

/// What a model is, apart from its weights.
struct model_info {
    std::string family;  // "llama", "mistral", "mixtral"
    runtime_dims dims;
    bool half_split = true;          // rotary row order of the weights in memory
    std::size_t context_length = 0;  // positions it was trained for; 0: unknown
    token bos = no_token, eos = no_token;
    std::filesystem::path source;  // file or folder it was loaded from; empty if made in memory
    // Of the matrices that stand once more in the order of the kernels (load_options::pack).
    std::size_t packed_bytes = 0;
    double pack_seconds = 0;
};

/// A tensor in memory: its description and its bytes. A vector is one row of f32.
struct named_weight {
    tensor_info info;
    matrix_view data;
};

/// Told the losses of a batch's sequences, says the weight of each one's gradient.
using weigh_losses = function_ref<void(std::span<const double> losses, std::span<double> weights)>;

class any_model {
public:
    /// What an architecture over a backend implements; see `model_implementation`.
    class implementation {
    public:
        virtual ~implementation() = default;
        [[nodiscard]] virtual const model_info& info() const = 0;
        [[nodiscard]] virtual thread_pool& pool() const = 0;
        [[nodiscard]] virtual std::span<const named_weight> weights() const = 0;
        [[nodiscard]] virtual kv_cache<float> make_cache(kv_cache_options options) const = 0;
        virtual view<const float> forward(const ragged_batch& batch, kv_cache<float>& cache,
                                          std::span<const sequence_id> sequences,
                                          std::span<const std::uint32_t> rows) = 0;
        virtual view<const float> hidden(const ragged_batch& batch, kv_cache<float>& cache,
                                         std::span<const sequence_id> sequences,
                                         std::span<const std::uint32_t> rows) = 0;

        // Of a model that learns.
        [[nodiscard]] virtual std::span<float> parameters() { refuse_training(); }
        [[nodiscard]] virtual std::span<float> gradients() { refuse_training(); }
        virtual double loss(const ragged_batch&, std::span<const token>) { refuse_training(); }
        virtual double loss_and_gradients(const ragged_batch&, std::span<const token>, double) { refuse_training(); }
        virtual void sequence_losses(const ragged_batch&, std::span<const token>, std::span<double>) {
            refuse_training();
        }
        virtual void weighted_gradients(const ragged_batch&, std::span<const token>, weigh_losses) {
            refuse_training();
        }
        virtual void begin_step(std::uint64_t) {}
        virtual void begin_pass(std::uint64_t, std::uint64_t) {}
        [[nodiscard]] virtual const lora_options* lora() const { return nullptr; }
        [[nodiscard]] virtual std::span<const low_rank<const float>> adapters() const { return {}; }
        virtual void set_training(const training_settings&) { refuse_training(); }

    private:
        [[noreturn]] void refuse_training() const {
            throw config_error(explain(info().source.string(), "was loaded for inference, which learns nothing",
                                       "load it with nn::load_trainable"));
        }
    };

    any_model() = default;
    explicit any_model(std::shared_ptr<implementation> model) : model_(std::move(model)) {}

    [[nodiscard]] const model_info& info() const { return get().info(); }
    [[nodiscard]] const runtime_dims& dims() const { return get().info().dims; }
    [[nodiscard]] thread_pool& pool() const { return get().pool(); }
    /// Every tensor, in checkpoint order (`for_each_tensor`), as it is held in memory, its adapter apart.
    [[nodiscard]] std::span<const named_weight> weights() const { return get().weights(); }
    [[nodiscard]] std::size_t parameter_count() const {
        std::size_t count = 0;
        for (const auto& w : weights()) count += w.info.size();
        return count;
    }

    [[nodiscard]] std::size_t adapter_parameter_count() const {
        std::size_t count = 0;
        for (const auto& a : adapters()) count += a.a.size() + a.b_turned.size();
        return count;
    }

    [[nodiscard]] kv_cache<float> make_cache(kv_cache_options options = {}) const { return get().make_cache(options); }
    /// Bytes of one block (kv_block_size tokens) of a cache whose keys and values are of `type`.
    [[nodiscard]] std::size_t cache_block_bytes(dtype type) const {
        return make_cache({.max_bytes = kv_cache_options::unbounded, .type = type}).block_bytes();
    }
    /// As model::forward: logits [rows, vocab] of the wanted rows, valid until the next call. Not thread-safe.
    view<const float> forward(const ragged_batch& batch, kv_cache<float>& cache, std::span<const sequence_id> sequences,
                              std::span<const std::uint32_t> rows) {
        return get().forward(batch, cache, sequences, rows);
    }
    /// As model::hidden: the last hidden states, normed [rows, dim], of the wanted rows; otherwise like `forward`.
    view<const float> hidden(const ragged_batch& batch, kv_cache<float>& cache, std::span<const sequence_id> sequences,
                             std::span<const std::uint32_t> rows) {
        return get().hidden(batch, cache, sequences, rows);
    }

    /// What the adapters of an adapted model (load_options::lora, ::adapter) are; nullptr: it has none.
    [[nodiscard]] const lora_options* lora() const { return get().lora(); }
    /// For each of `weights()` its adapter, empty where it has none; no entries at all in a model without.
    [[nodiscard]] std::span<const low_rank<const float>> adapters() const { return get().adapters(); }

    /// Training needs a model from `load_trainable`; the calls below throw config_error otherwise. All parameters that
    /// are learnt in one arena, tensor after tensor in the order of `weights()`, without gaps.
    [[nodiscard]] std::span<float> parameters() { return get().parameters(); }
    /// The gradients in the same order; allocated at the first call, zero.
    [[nodiscard]] std::span<float> gradients() { return get().gradients(); }
    void zero_gradients() {
        const auto g = gradients();
        pool().parallel_for(g.size(), std::size_t{1} << 16, [&](std::size_t begin, std::size_t end, std::size_t) {
            for (std::size_t i = begin; i < end; ++i) g[i] = 0.0f;
        });
    }
    /// Tells which step the following passes belong to: what is drawn at random in them depends on it.
    void begin_step(std::uint64_t step) { get().begin_step(step); }
    /// Tells which pass of that step comes next, and how many rows the ones before it have together, where it is not
    /// simply the next one.
    void begin_pass(std::uint64_t number, std::uint64_t rows_before) { get().begin_pass(number, rows_before); }
    /// Sum of -log p(target) over rows whose target is not `no_token`; targets[i] is what row i should predict.
    double loss(const ragged_batch& batch, std::span<const token> targets) { return get().loss(batch, targets); }
    /// The same; adds scale times its gradient to `gradients()`.
    double loss_and_gradients(const ragged_batch& batch, std::span<const token> targets, double scale) {
        return get().loss_and_gradients(batch, targets, scale);
    }
    /// The same sum for each sequence apart: losses [sequences].
    void sequence_losses(const ragged_batch& batch, std::span<const token> targets, std::span<double> losses) {
        get().sequence_losses(batch, targets, losses);
    }
    /// Adds the gradient of a function of the sequences' losses to `gradients()`: `weigh` says its derivative by each
    /// of the losses that it is told. (training_pass::weighted_gradients)
    void weighted_gradients(const ragged_batch& batch, std::span<const token> targets, weigh_losses weigh) {
        get().weighted_gradients(batch, targets, weigh);
    }

    /// Smoothing and noise of the calls of `loss_and_gradients` from now on; `loss` knows neither.
    void set_training(const training_settings& settings) { get().set_training(settings); }

    [[nodiscard]] explicit operator bool() const { return model_ != nullptr; }

private:
    [[nodiscard]] implementation& get() const {
        if (!model_) throw config_error("any_model: empty; assign the result of load_model");
        return *model_;
    }

    std::shared_ptr<implementation> model_;  // copies share weights and workspace
};

}  // namespace lab::nn
