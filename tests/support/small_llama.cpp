#include "support/small_llama.hpp"

#include <memory>
#include <utility>

#include "lab/core/rng.hpp"
#include "lab/kernels/cpu.hpp"
#include "lab/nn/arch.hpp"
#include "lab/nn/erased_model.hpp"

namespace lab::test {

nn::any_model small_llama(const nn::runtime_dims& dims, double divisor, std::size_t context, std::size_t threads,
                          std::uint64_t seed) {
    using architecture = nn::arch::llama;
    using backend = kernels::cpu<kernels::arch::native>;
    auto storage = std::make_shared<nn::weight_storage<architecture>>();
    storage->pool = std::make_shared<thread_pool>(threads);
    storage->dense = nn::parameter_set<architecture, float>(dims);
    counter_rng rng(seed);
    for (float& x : storage->dense.flat()) x = static_cast<float>(rng.normal() / divisor);
    auto w = nn::as_model_weights<backend, architecture, float>(dims, storage->dense.get());
    nn::model_info info;
    info.family = "llama";
    info.dims = dims;
    info.context_length = context;
    return nn::any_model(std::make_shared<nn::erased_model<architecture, backend>>(
        info, std::move(w), backend(*storage->pool), backend(*storage->pool), storage, true));
}

}  // namespace lab::test
