// Models made from nothing: weights drawn from a seed. Each tensor has a stream of its own, named after it, so that the
// values do not depend on the order or the sizes of the others.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "lab/core/rng.hpp"
#include "lab/nn/model.hpp"
#include "lab/nn/weights.hpp"

namespace lab::nn {

namespace init {

/// Matrices normal with mean 0, norm gains 1; the projections back into the residual stream scaled by 1 / sqrt(2
/// layers) (GPT-2), so that the stream's variance does not grow with depth.
struct normal {
    std::uint64_t seed = 0;
    double deviation = 0.02;

    template <class Dims, class S>
    void operator()(const Dims& d, const tensor_info& info, std::span<S> values) const {
        if (info.rank == 1) {
            for (S& x : values) x = S(1);
            return;
        }
        const bool back = info.role == "attention.output" || info.role == "ffn.down" || info.role == "expert.down";
        const double scale = back ? deviation / std::sqrt(2.0 * static_cast<double>(d.layers)) : deviation;
        counter_rng rng(seed, info.name);
        for (S& x : values) x = S(scale * rng.normal());
    }
};

}  // namespace init

/// A dense parameter set filled by `initialise(dims, info, values)`.
template <class Architecture, class S, class Dims, class Init>
[[nodiscard]] parameter_set<Architecture, S> make_parameters(const Dims& d, const Init& initialise) {
    validate(d, "make_parameters");
    parameter_set<Architecture, S> parameters(d);
    for_each_tensor(
        d, [&](const tensor_info& info, auto& handle) { initialise(d, info, handle.flat()); }, parameters.get());
    return parameters;
}

/// A model over its own parameters; `parameters->get()` is what an optimizer changes.
template <class Architecture, class Dims, class Backend>
struct fresh_model {
    std::shared_ptr<parameter_set<Architecture, typename Backend::scalar>> parameters;
    nn::model<Architecture, Dims, Backend> model;
};
template <class Architecture, class Dims, class Backend, class Init>
[[nodiscard]] fresh_model<Architecture, Dims, Backend> make_model(const Dims& d, Backend backend,
                                                                  const Init& initialise) {
    using S = typename Backend::scalar;
    auto owned = std::make_shared<parameter_set<Architecture, S>>(make_parameters<Architecture, S>(d, initialise));
    auto w = as_model_weights<Backend, Architecture, S>(d, owned->get());
    return {owned, nn::model<Architecture, Dims, Backend>(d, std::move(w), std::move(backend), true, owned)};
}

}  // namespace lab::nn
