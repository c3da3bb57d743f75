// Models from files: `load_model(path)` for a GGUF file or a Hugging Face folder of safetensors. Weights stay in the
// mapped file unless asked for otherwise. Every tensor's shape is checked against the sizes before anything is
// allocated; missing and unknown tensors are refused by name, so that a model of another kind is never half run.
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
#include "lab/nn/any_model.hpp"
#include "lab/nn/arch.hpp"
#include "lab/nn/config.hpp"
#include "lab/nn/erased_model.hpp"

namespace lab::nn {

using default_backend = kernels::cpu<kernels::arch::native>;

struct load_options {
    /// Decode every matrix to f32, into one arena. Needed for training; takes 4 bytes a parameter.
    std::optional<dtype> expand;
    std::size_t threads = 0;            // 0: one per hardware thread; ignored when `pool` is given
    std::shared_ptr<thread_pool> pool;  // to share one pool between models
    kernels::cpu_options backend;
};

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

/// Decodes a matrix to f32.
inline void decode_matrix(const matrix_view& from, float* to, thread_pool& pool) {
    const std::size_t stride = from.row_stride();
    pool.parallel_for(from.rows, 16, [&](std::size_t begin, std::size_t end, std::size_t) {
        decode(from.type, from.data + begin * stride, to + begin * from.columns, (end - begin) * from.columns);
    });
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

/// Builds the model of one family from a checkpoint. The instantiations for the three families can be had compiled:
/// link lab::compiled.
template <class Architecture>
any_model load_as(model_info info, const formats::checkpoint& file, container in, const load_options& options) {
    validate(info.dims, info.source.string());
    if (options.expand && *options.expand != dtype::f32)
        throw config_error(explain("load_options", "expand to " + std::string(name_of(*options.expand)),
                                   "only f32 can be expanded to"));
    const auto found = locate_all<Architecture>(info.dims, file, in);

    using backend = default_backend;
    auto storage = std::make_shared<weight_storage<Architecture>>();
    storage->pool = options.pool ? options.pool : std::make_shared<thread_pool>(options.threads);
    auto& pool = *storage->pool;
    const auto& d = info.dims;
    model_weights<Architecture, backend> w(d);
    std::size_t next = 0;
    info.half_split = true;
    const auto note_layout = [&](const tensor_info& tensor, const located_tensor& at) {
        if (tensor.rope_heads != 0) info.half_split = at.how == transform::identity;
    };
    if (options.expand) {
        storage->dense = parameter_set<Architecture, float>(d);
        for_each_tensor(
            d,
            [&](const tensor_info& tensor, auto& handle) {
                const auto& at = found[next++];
                note_layout(tensor, at);
                decode_matrix(at.data, handle.data(), pool);
            },
            storage->dense.get());
        w = as_model_weights<backend, Architecture, float>(d, storage->dense.get());
    } else {
        storage->files = std::make_shared<formats::checkpoint>(file);
        for_each_tensor(
            d,
            [&](const tensor_info& tensor, auto& handle) {
                const auto& at = found[next++];
                note_layout(tensor, at);
                if constexpr (std::is_same_v<std::remove_cvref_t<decltype(handle)>, matrix_view>) {
                    handle = at.data;
                    if (detail::is_aligned(at.data)) return;
                    const std::size_t bytes = at.data.rows * at.data.row_stride();
                    std::copy_n(at.data.data, bytes, storage->buffers.emplace_back(bytes).data());
                    handle.data = storage->buffers.back().data();
                } else {
                    auto& buffer = storage->buffers.emplace_back(tensor.size() * sizeof(float));
                    auto* values = reinterpret_cast<float*>(buffer.data());
                    decode(at.data.type, at.data.data, values, tensor.size());
                    handle = {values, {tensor.columns}};
                }
            },
            w);
        if (d.tied) w.head = w.embedding;
    }
    const bool dense = options.expand.has_value();
    return any_model(std::make_shared<erased_model<Architecture, backend>>(
        std::move(info), std::move(w), backend(pool, options.backend), std::move(storage), dense));
}

#ifdef LAB_COMPILED
extern template any_model load_as<arch::llama>(model_info, const formats::checkpoint&, container, const load_options&);
extern template any_model load_as<arch::mistral>(model_info, const formats::checkpoint&, container,
                                                 const load_options&);
extern template any_model load_as<arch::mixtral>(model_info, const formats::checkpoint&, container,
                                                 const load_options&);
#endif

/// Loads a GGUF file, or a folder with config.json and safetensors.
/// @throws io_error, format_error, shape_error, config_error, each naming the file and the tensor or field.
[[nodiscard]] inline any_model load_model(const std::filesystem::path& path, const load_options& options = {}) {
    formats::checkpoint file;
    model_info info;
    container in = container::gguf;
    if (std::filesystem::is_directory(path)) {
        info = read_info(formats::load_hf_config(path), path);
        file = formats::open_safetensors(path);
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
