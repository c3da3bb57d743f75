// A model whose key-value cache costs as much as a large one's: 64 MiB a block, though little memory is taken. Tells
// whether who makes a cache makes it large enough.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <utility>

#include "lab/nn/any_model.hpp"

namespace lab::test {

class costly_cache final : public nn::any_model::implementation {
public:
    static constexpr std::size_t block_cost = std::size_t{1} << 26;

    explicit costly_cache(nn::any_model inner) : inner_(std::move(inner)) {}

    [[nodiscard]] const nn::model_info& info() const override { return inner_.info(); }
    [[nodiscard]] thread_pool& pool() const override { return inner_.pool(); }
    [[nodiscard]] std::span<const nn::named_weight> weights() const override { return inner_.weights(); }
    [[nodiscard]] nn::kv_cache<float> make_cache(nn::kv_cache_options options) const override {
        const std::size_t block = inner_.cache_block_bytes(options.type);
        options.max_bytes = options.max_bytes / block_cost * block;
        return inner_.make_cache(options);
    }
    view<const float> forward(const ragged_batch& batch, nn::kv_cache<float>& cache,
                              std::span<const nn::sequence_id> sequences,
                              std::span<const std::uint32_t> rows) override {
        return inner_.forward(batch, cache, sequences, rows);
    }
    view<const float> hidden(const ragged_batch& batch, nn::kv_cache<float>& cache,
                             std::span<const nn::sequence_id> sequences, std::span<const std::uint32_t> rows) override {
        return inner_.hidden(batch, cache, sequences, rows);
    }

private:
    nn::any_model inner_;
};

[[nodiscard]] inline nn::any_model with_costly_cache(nn::any_model inner) {
    return nn::any_model(std::make_shared<costly_cache>(std::move(inner)));
}

}  // namespace lab::test
