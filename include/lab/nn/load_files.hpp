// From files to a model: which family, where each tensor lies, whether every shape fits. Weights stay in the mapped
// file unless asked for otherwise. All tensors are checked against the sizes before anything is allocated from them;
// missing and unknown tensors are refused by name, so that a model of another kind is never half run. See load.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lab/core/dtype.hpp"
#include "lab/core/error.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/formats/gguf.hpp"
#include "lab/formats/safetensors.hpp"
#include "lab/kernels/cpu.hpp"
#include "lab/nn/adapted_model.hpp"
#include "lab/nn/adapter_files.hpp"
#include "lab/nn/any_model.hpp"
#include "lab/nn/arch.hpp"
#include "lab/nn/config.hpp"
#include "lab/nn/convert.hpp"
#include "lab/nn/erased_model.hpp"
#include "lab/nn/load_options.hpp"

namespace lab::nn {

using default_backend = kernels::cpu<kernels::arch::native>;

/// Where a logical tensor's rows lie in a checkpoint.
struct located_tensor {
    matrix_view data;
    transform how = transform::identity;
    const formats::stored_tensor* stored = nullptr;
};

/// @throws format_error naming file and tensor when it is missing, shape_error naming both shapes when it does not fit.
[[nodiscard]] inline located_tensor locate(const tensor_info& info, const formats::checkpoint& file, container in) {
    for (const tensor_source& source : info.sources(in)) {
        const auto* stored = file.find(source.name);
        if (stored == nullptr) continue;
        if (stored->shape != source.shape)
            throw shape_error(explain(
                file.path().string() + ": tensor '" + source.name + "'",
                "has shape " + to_string(stored->shape) + ", the model's sizes demand " + to_string(source.shape)));
        const std::size_t offset = source.first_row * row_bytes(stored->type, info.columns);
        return {{stored->bytes.data() + offset, stored->type, info.rows, info.columns}, source.how, stored};
    }
    std::string known;
    for (const tensor_source& source : info.sources(in)) known += (known.empty() ? "'" : " or '") + source.name + "'";
    throw format_error(explain(file.path().string(), "tensor " + known + " is missing"));
}

namespace detail {

/// Tensors that a checkpoint may hold although the model does not use them.
[[nodiscard]] inline bool is_harmless(const formats::stored_tensor& tensor, const runtime_dims& d) {
    const auto ends_with = [&](std::string_view end) { return std::string_view(tensor.name).ends_with(end); };
    if (ends_with("rotary_emb.inv_freq")) return true;
    if (d.tied && tensor.name == "lm_head.weight") return true;
    if (tensor.name == "rope_freqs.weight") {  // rotary scaling factors: harmless only when they do nothing
        for (const float factor : formats::to_floats(tensor))
            if (factor != 1.0f) return false;
        return true;
    }
    return false;
}

/// Floats in place need their alignment; block formats are read bytewise.
[[nodiscard]] inline bool is_aligned(const matrix_view& m) {
    const std::size_t unit = m.type == dtype::f32 ? 4 : m.type == dtype::f16 || m.type == dtype::bf16 ? 2 : 1;
    return reinterpret_cast<std::uintptr_t>(m.data) % unit == 0;
}

}  // namespace detail

/// Locates every tensor of an architecture, in `for_each_tensor` order, and checks that the file holds nothing else.
template <class Architecture>
[[nodiscard]] std::vector<located_tensor> locate_all(const runtime_dims& d, const formats::checkpoint& file,
                                                     container in) {
    struct nothing {};
    if (d.layers > file.tensors().size())
        throw format_error(explain(file.path().string(), "claims " + std::to_string(d.layers) +
                                                             " layers, but holds only " +
                                                             std::to_string(file.tensors().size()) + " tensors"));
    weights<Architecture, nothing, nothing> shape(d);
    std::vector<located_tensor> found;
    std::set<const formats::stored_tensor*> used;
    for_each_tensor(
        d,
        [&](const tensor_info& info, auto&) {
            found.push_back(locate(info, file, in));
            used.insert(found.back().stored);
        },
        shape);
    std::string extra;
    std::size_t extras = 0;
    for (const auto& tensor : file.tensors())
        if (!used.contains(&tensor) && !detail::is_harmless(tensor, d) && ++extras <= 3)
            extra += (extras == 1 ? "'" : ", '") + tensor.name + "'";
    if (extras != 0)
        throw format_error(explain(file.path().string(),
                                   "holds " + std::to_string(extras) + " tensors that a " +
                                       std::string(Architecture::family) + " model does not use: " + extra +
                                       (extras > 3 ? ", ..." : ""),
                                   "it is a model of another kind, or its metadata is wrong"));
    return found;
}

namespace detail {

/// A matrix as the options want it held: in place, or converted into a buffer of its own.
template <class Architecture>
[[nodiscard]] matrix_view hold_matrix(const matrix_view& stored, const load_options& options,
                                      weight_storage<Architecture>& owned) {
    dtype type = options.expand.value_or(stored.type);
    if (stored.columns % block_size(type) != 0) type = stored.type;  // rows that are no whole number of blocks
    if (type == stored.type && is_aligned(stored)) return stored;
    matrix_view held = stored;
    held.type = type;
    auto& buffer = owned.buffers.emplace_back(held.rows * held.row_stride());
    convert_matrix(stored, type, buffer.data(), *owned.pool);
    held.data = buffer.data();
    return held;
}

/// A matrix that a model holds, and what it was made from in its file.
struct held_matrix {
    matrix_view* held;
    matrix_view stored;
};
/// Packs matrices for the kernels where they have use for it.
template <class Architecture>
void pack(std::span<const held_matrix> matrices, const formats::checkpoint& file, const load_options& options,
          weight_storage<Architecture>& owned) {
    const auto room = [&](const matrix_view& m) {
        return default_backend::takes_panels(m, options.compute) ? (kernels::packed_bytes(m) + 63) / 64 * 64 : 0;
    };
    std::size_t total = 0;
    for (const auto& m : matrices) total += room(*m.held);
    owned.panels = large_buffer(total);
    std::byte* next = owned.panels.data();
    for (const auto& [held, stored] : matrices) {
        const std::size_t bytes = room(*held);
        if (bytes == 0) continue;
        kernels::pack_matrix<kernels::arch::native>(*held, next, *owned.pool);
        held->panels = next;
        next += bytes;
        file.forget({stored.data, stored.rows * stored.row_stride()});
    }
}

/// Fills the rows after the first `known` with the mean of those.
inline void fill_with_mean(view<float> rows, std::size_t known) {
    std::vector<double> mean(rows.extent(1));
    for (std::size_t r = 0; r < known; ++r)
        for (std::size_t j = 0; j < mean.size(); ++j) mean[j] += static_cast<double>(rows(r, j));
    for (std::size_t r = known; r < rows.extent(0); ++r)
        for (std::size_t j = 0; j < mean.size(); ++j)
            rows(r, j) = static_cast<float>(mean[j] / static_cast<double>(known));
}

/// The model with adapters beside its weights: fresh ones, or those of a file.
template <class Architecture>
[[nodiscard]] any_model adapt(model_info info, const model_weights<Architecture, default_backend>& w,
                              default_backend backend, default_backend training,
                              std::shared_ptr<weight_storage<Architecture>> owned, const load_options& options) {
    auto pool = owned->pool;
    lora_options chosen = options.lora.value_or(lora_options{});
    std::optional<adapter_file> file;
    if (!options.adapter.empty()) chosen = (file = read_adapter(options.adapter, options.lora))->options;
    adapter_set<Architecture, float> adapters(info.dims, chosen);
    if (file)
        copy_adapters(*file, info.dims, info.half_split, *pool, adapters);
    else
        initialise(adapters, info.dims, chosen.seed);
    return any_model(std::make_shared<adapted_model<Architecture, default_backend>>(
        std::move(info), w, std::move(backend), std::move(training), std::move(pool), std::move(owned),
        std::move(chosen), std::move(adapters)));
}

}  // namespace detail

/// Builds the model of one family from a checkpoint.
template <class Architecture>
any_model load_as(model_info info, const formats::checkpoint& file, container in, const load_options& options) {
    validate(info.dims, info.source.string());
    const bool adapt = options.lora || !options.adapter.empty();
    if (adapt && !Architecture::ffn::trainable)
        throw config_error(explain(info.source.string(),
                                   "adapters of this architecture are not supported: its experts "
                                   "have no backward",
                                   "adapt a dense model"));
    if (options.extra_tokens != 0 && (options.expand != dtype::f32 || adapt))
        throw config_error(explain("load_options", "extra tokens need weights that can be changed", "expand to f32"));
    const auto found = locate_all<Architecture>(info.dims, file, in);
    info.dims.vocab += options.extra_tokens;
    validate(info.dims, "load_options");
    const auto& d = info.dims;
    auto owned = std::make_shared<weight_storage<Architecture>>();
    owned->pool = options.pool ? options.pool : std::make_shared<thread_pool>(options.threads);
    model_weights<Architecture, default_backend> w(d);
    std::size_t next = 0;
    const auto take = [&](const tensor_info& tensor) -> const matrix_view& {
        const auto& at = found[next++];
        if (tensor.rope_heads != 0) info.half_split = at.how == transform::identity;
        return at.data;
    };
    const bool dense = options.expand == dtype::f32 && !adapt;
    if (dense) {
        owned->dense = parameter_set<Architecture, float>(d);
        for_each_tensor(
            d,
            [&](const tensor_info& tensor, auto& handle) {
                const auto& stored = take(tensor);
                convert_matrix(stored, dtype::f32, reinterpret_cast<std::byte*>(handle.data()), *owned->pool);
                if constexpr (std::remove_cvref_t<decltype(handle)>::rank == 2)
                    if (stored.rows < tensor.rows) detail::fill_with_mean(handle, stored.rows);
            },
            owned->dense.get());
        w = as_model_weights<default_backend, Architecture, float>(d, owned->dense.get());
    } else {
        owned->files = std::make_shared<formats::checkpoint>(file);
        std::vector<detail::held_matrix> matrices;
        for_each_tensor(
            d,
            [&](const tensor_info& tensor, auto& handle) {
                const auto& stored = take(tensor);
                if constexpr (std::is_same_v<std::remove_cvref_t<decltype(handle)>, matrix_view>) {
                    auto how = options;
                    if (adapt && linear_module(tensor).empty()) how.expand.reset();
                    handle = detail::hold_matrix(stored, how, *owned);
                    if (handle.type != stored.type) file.forget({stored.data, stored.rows * stored.row_stride()});
                    if (tensor.role != "embedding" || d.tied) matrices.push_back({&handle, stored});
                } else {
                    auto& buffer = owned->buffers.emplace_back(tensor.size() * sizeof(float));
                    convert_matrix(stored, dtype::f32, buffer.data(), *owned->pool);
                    handle = {reinterpret_cast<const float*>(buffer.data()), {tensor.columns}};
                }
            },
            w);
        if (options.pack && !options.lora) detail::pack<Architecture>(matrices, file, options, *owned);
        if (d.tied) w.head = w.embedding;
    }
    default_backend backend(*owned->pool, {.compute = options.compute, .profile = options.profile});
    default_backend training(*owned->pool, {.compute = options.training, .profile = options.profile});
    if constexpr (Architecture::ffn::trainable) {
        if (adapt)
            return detail::adapt<Architecture>(std::move(info), w, std::move(backend), std::move(training),
                                               std::move(owned), options);
    }
    return any_model(std::make_shared<erased_model<Architecture, default_backend>>(
        std::move(info), std::move(w), std::move(backend), std::move(training), std::move(owned), dense));
}

/// What `load_model` does.
[[nodiscard]] inline any_model load_files(const std::filesystem::path& path, const load_options& options) {
    formats::checkpoint file;
    model_info info;
    container in = container::gguf;
    const bool in_folder =
        path.extension() == ".safetensors" || path.extension() == ".json";  // one of its files was named
    if (in_folder || std::filesystem::is_directory(path)) {
        const auto folder = !in_folder               ? path
                            : path.has_parent_path() ? path.parent_path()
                                                     : std::filesystem::path(".");
        info = read_info(formats::load_hf_config(folder), folder);
        file = formats::open_safetensors(folder);
        in = container::huggingface;
    } else {
        const formats::gguf_file gguf(path);
        info = read_info(gguf);
        file = gguf.weights();
    }
    if (info.family == arch::mixtral::family) return load_as<arch::mixtral>(std::move(info), file, in, options);
    if (info.family == arch::mistral::family) return load_as<arch::mistral>(std::move(info), file, in, options);
    return load_as<arch::llama>(std::move(info), file, in, options);
}

}  // namespace lab::nn
