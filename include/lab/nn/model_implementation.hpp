// The usual implementation of `any_model`: a model of an architecture over a backend, its tensors listed in checkpoint
// order, its forward passes. Inference needs no more; trainable_model.hpp and adapted_model.hpp add what is learnt.
#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "lab/core/thread_pool.hpp"
#include "lab/nn/any_model.hpp"
#include "lab/nn/model.hpp"
#include "lab/nn/weights.hpp"

namespace lab::nn {

template <class Architecture, class Backend>
class model_implementation : public any_model::implementation {
public:
    /// `backend` works on `pool`; `owner` keeps alive what the weights point into.
    /// @param info taken over only once the arguments are complete
    model_implementation(model_info&& info, model_weights<Architecture, Backend> w, Backend backend,
                         std::shared_ptr<thread_pool> pool, std::shared_ptr<const void> owner)
        : info_(std::move(info)),
          pool_(std::move(pool)),
          model_(info_.dims, std::move(w), std::move(backend), info_.half_split, std::move(owner)) {
        for_each_tensor(
            info_.dims,
            [&](const tensor_info& tensor, const auto& handle) {
                list_.push_back({tensor, stored(handle)});
            },
            model_.weights());
    }

    [[nodiscard]] const model_info& info() const final { return info_; }
    [[nodiscard]] thread_pool& pool() const final { return *pool_; }
    [[nodiscard]] std::span<const named_weight> weights() const final { return list_; }
    [[nodiscard]] kv_cache<float> make_cache(kv_cache_options options) const final {
        return model_.make_cache(options);
    }
    view<const float> forward(const ragged_batch& batch, kv_cache<float>& cache, std::span<const sequence_id> sequences,
                              std::span<const std::uint32_t> rows) final {
        return model_.forward(batch, cache, sequences, rows);
    }
    view<const float> hidden(const ragged_batch& batch, kv_cache<float>& cache, std::span<const sequence_id> sequences,
                             std::span<const std::uint32_t> rows) final {
        return model_.hidden(batch, cache, sequences, rows);
    }

protected:
    using model_type = model<Architecture, runtime_dims, Backend>;

    /// As it is held in memory, an adapter apart.
    template <class Handle>
    [[nodiscard]] static matrix_view stored(const Handle& handle) {
        if constexpr (requires { handle.base; })
            return handle.base;
        else if constexpr (std::same_as<std::remove_cvref_t<Handle>, matrix_view>)
            return handle;
        else
            return {reinterpret_cast<const std::byte*>(handle.data()), dtype::f32, 1, handle.size()};
    }

    model_info info_;
    std::shared_ptr<thread_pool> pool_;
    model_type model_;

private:
    std::vector<named_weight> list_;
};

}  // namespace lab::nn
