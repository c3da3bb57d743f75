// From files to a model that learns: its weights decoded into one arena of f32, or adapters beside weights that stay as
// and where they are. See load_trainable.hpp for its use, locate.hpp for what is checked.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "lab/core/dtype.hpp"
#include "lab/core/error.hpp"
#include "lab/core/tensor.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/nn/adapted_model.hpp"
#include "lab/nn/adapter_files.hpp"
#include "lab/nn/any_model.hpp"
#include "lab/nn/convert.hpp"
#include "lab/nn/load_files.hpp"
#include "lab/nn/load_options.hpp"
#include "lab/nn/locate.hpp"
#include "lab/nn/trainable_model.hpp"
#include "lab/nn/weights.hpp"

namespace lab::nn {

namespace detail {

/// All weights in one arena.
template <class Architecture>
[[nodiscard]] any_model load_dense(opened_checkpoint from, const load_options& options) {
    auto& info = from.info;
    const auto found = locate_all<Architecture>(info, from.file, from.in);
    info.half_split = half_split(found);
    info.dims.vocab += options.extra_tokens;
    validate(info.dims, "load_options");
    auto pool = pool_of(options);
    parameter_set<Architecture, float> parameters(info.dims);
    std::size_t next = 0;
    for_each_tensor(
        info.dims,
        [&](const tensor_info& tensor, auto& handle) {
            const matrix_view& stored = found[next++].data;
            convert_matrix(stored, dtype::f32, reinterpret_cast<std::byte*>(handle.data()), *pool);
            if constexpr (std::remove_cvref_t<decltype(handle)>::rank == 2)
                if (stored.rows < tensor.rows) fill_with_mean(handle, stored.rows);
        },
        parameters.get());
    default_backend backend(*pool, {.compute = options.compute, .profile = options.profile});
    default_backend training(*pool, {.compute = options.training, .profile = options.profile});
    return any_model(std::make_shared<trainable_model<Architecture, default_backend>>(
        std::move(info), std::move(parameters), std::move(backend), std::move(training), std::move(pool),
        options.recompute));
}

/// Adapters beside the weights: fresh ones, or those of a file. What is trained is read in its file's order, not
/// packed.
template <class Architecture>
[[nodiscard]] any_model load_adapted(opened_checkpoint from, load_options options) {
    auto& info = from.info;
    const auto found = locate_all<Architecture>(info, from.file, from.in);
    info.half_split = half_split(found);
    auto pool = pool_of(options);
    auto owned = std::make_shared<weight_storage>();
    owned->files = from.file;
    options.pack = options.pack && !options.lora;
    const auto w = hold_weights<Architecture>(
        info.dims, found, options,
        [&](const tensor_info& tensor) {
            return linear_module(tensor).empty() ? std::optional<dtype>{} : options.expand;
        },
        *owned, *pool);
    report_packing(*owned, info);
    lora_options chosen = options.lora.value_or(lora_options{});
    std::optional<adapter_file> file;
    if (!options.adapter.empty()) {
        chosen = (file = read_adapter(options.adapter, options.lora))->options;
        require_adapter_fits(*file, describe_tensors<Architecture>(info.dims));
    }
    adapter_set<Architecture, float> adapters(info.dims, chosen);
    if (file)
        copy_adapters(*file, info.dims, info.half_split, *pool, adapters);
    else
        initialise(adapters, info.dims, chosen.seed);
    default_backend backend(*pool, {.compute = options.compute, .profile = options.profile});
    default_backend training(*pool, {.compute = options.training, .profile = options.profile});
    default_backend beside(*pool, {.compute = compute::f32, .profile = options.profile});
    return any_model(std::make_shared<adapted_model<Architecture, default_backend>>(
        std::move(info), w, std::move(backend), std::move(training), std::move(beside), std::move(pool),
        std::move(owned), std::move(chosen), std::move(adapters), options.recompute));
}

}  // namespace detail

/// Builds the model of one family, for learning, from a checkpoint.
template <class Architecture>
[[nodiscard]] any_model load_trainable_as(opened_checkpoint from, const load_options& options) {
    const auto source = from.info.source.string();
    validate(from.info.dims, source);
    const bool adapt = options.lora || !options.adapter.empty();
    if constexpr (!Architecture::ffn::trainable) {
        throw config_error(explain(source,
                                   "this architecture cannot be trained: its feed-forward policy has no backward",
                                   adapt ? "adapt a dense model" : "train a dense model"));
    } else {
        if (adapt && options.extra_tokens != 0)
            throw config_error(explain("load_options", "adapters cannot learn the rows of extra tokens",
                                       "train the weights, or leave the tokens out"));
        if (!adapt && options.expand.value_or(dtype::f32) != dtype::f32)
            throw config_error(
                explain("load_options", "weights are learnt in f32", "expand to f32, or ask for adapters"));
        return adapt ? detail::load_adapted<Architecture>(std::move(from), options)
                     : detail::load_dense<Architecture>(std::move(from), options);
    }
}

/// What `load_trainable` does.
[[nodiscard]] inline any_model load_trainable_files(const std::filesystem::path& path, const load_options& options) {
    auto from = open_checkpoint(path);
    return visit_family(from.info, [&]<class A>(A) { return load_trainable_as<A>(std::move(from), options); });
}

}  // namespace lab::nn
