// The adapters of a model: one arena, A and B of one matrix after another in `for_each_tensor` order. What an optimizer
// changes and a checkpoint holds in place of the model's own weights; the same layout serves for its gradients.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <string>

#include "lab/core/rng.hpp"
#include "lab/core/tensor.hpp"
#include "lab/nn/lora_backend.hpp"
#include "lab/nn/lora_options.hpp"
#include "lab/nn/weights.hpp"

namespace lab::nn {

template <class Architecture, class S>
class adapter_set {
public:
    using tree = weights<Architecture, low_rank<S>, view<S, 1>>;  // vectors stay empty: frozen

    adapter_set() = default;
    /// All zero. @throws config_error where the options do not fit the model.
    template <class Dims>
    adapter_set(const Dims& d, const lora_options& o) : tree_(d) {
        const auto tensors = describe_tensors<Architecture>(d);
        validate(o, tensors);
        std::size_t count = 0;
        for (const auto& info : tensors)
            if (is_target(o, info)) count += o.rank * (info.rows + info.columns);
        arena_ = aligned_buffer<S>(count);
        S* next = arena_.data();
        for_each_tensor(
            d,
            [&](const tensor_info& info, auto& handle) {
                if constexpr (requires { handle.b_turned; }) {
                    if (!is_target(o, info)) return;
                    handle.a = {next, {o.rank, info.columns}};
                    handle.b_turned = {next + handle.a.size(), {o.rank, info.rows}};
                    handle.scale = o.scale();
                    handle.id = hash64(info.name);
                    next += handle.a.size() + handle.b_turned.size();
                }
            },
            tree_);
    }

    [[nodiscard]] std::span<S> flat() const { return {arena_.data(), arena_.size()}; }
    [[nodiscard]] tree& get() { return tree_; }
    [[nodiscard]] const tree& get() const { return tree_; }

private:
    aligned_buffer<S> arena_;
    tree tree_;
};

/// A uniform in +-1/sqrt(in), each matrix from a stream of its own; B stays 0.
template <class Architecture, class S, class Dims>
void initialise(adapter_set<Architecture, S>& adapters, const Dims& d, std::uint64_t seed) {
    for_each_tensor(
        d,
        [&](const tensor_info& info, auto& handle) {
            if constexpr (requires { handle.b_turned; }) {
                counter_rng rng(seed, info.name + " lora_A");
                const double bound = 1 / std::sqrt(static_cast<double>(info.columns));
                for (S& x : handle.a.flat()) x = static_cast<S>(bound * (2 * rng.uniform() - 1));
            }
        },
        adapters.get());
}

/// A model's weights with adapters beside them; follows later changes of the adapters.
template <class Base, class Architecture, class S, class Dims>
[[nodiscard]] model_weights<Architecture, lora_backend<Base>> with_adapters(
    const Dims& d, const model_weights<Architecture, Base>& base, const adapter_set<Architecture, S>& adapters) {
    model_weights<Architecture, lora_backend<Base>> w(d);
    for_each_tensor(
        d,
        [](const tensor_info&, const auto& from, [[maybe_unused]] const auto& adapter, auto& to) {
            if constexpr (requires { to.base; }) {
                to.base = from;
                to.adapter = {adapter.a, adapter.b_turned, adapter.scale, adapter.id};
            } else {
                to = from;
            }
        },
        base, adapters.get(), w);
    if (d.tied) w.head = w.embedding;
    return w;
}

}  // namespace lab::nn
