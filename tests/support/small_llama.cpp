#include "support/small_llama.hpp"

#include <memory>
#include <utility>

#include "lab/core/rng.hpp"
#include "lab/kernels/cpu.hpp"
#include "lab/nn/arch.hpp"
#include "lab/nn/trainable_model.hpp"

namespace lab::test {

nn::any_model small_llama(const nn::runtime_dims& dims, double divisor, std::size_t context, std::size_t threads,
                          std::uint64_t seed) {
    using architecture = nn::arch::llama;
    using backend = kernels::cpu<kernels::arch::native>;
    auto pool = std::make_shared<thread_pool>(threads);
    nn::parameter_set<architecture, float> parameters(dims);
    counter_rng rng(seed);
    for (float& x : parameters.flat()) x = static_cast<float>(rng.normal() / divisor);
    nn::model_info info;
    info.family = "llama";
    info.dims = dims;
    info.context_length = context;
    return nn::any_model(std::make_shared<nn::trainable_model<architecture, backend>>(
        std::move(info), std::move(parameters), backend(*pool), backend(*pool), pool));
}

}  // namespace lab::test
