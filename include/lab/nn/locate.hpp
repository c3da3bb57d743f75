// From files to tensors: which family a checkpoint is of, where each tensor of the model lies in it, whether every
// shape fits. All is checked against the sizes before anything is allocated from them; missing and unknown tensors are
// refused by name, so that a model of another kind is never half run.
#pragma once

#include <cstddef>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/dtype.hpp"
#include "lab/core/error.hpp"
#include "lab/formats/gguf.hpp"
#include "lab/formats/safetensors.hpp"
#include "lab/nn/any_model.hpp"
#include "lab/nn/arch.hpp"
#include "lab/nn/config.hpp"
#include "lab/nn/tensor_info.hpp"
#include "lab/nn/weights.hpp"

namespace lab::nn {

/// A file or folder, opened: what its metadata says of the model, and its tensors, of which none has been read yet.
struct opened_checkpoint {
    model_info info;
    formats::checkpoint file;
    container in = container::gguf;
};

/// Opens a GGUF file, or a folder with config.json and safetensors, which may be given by one of its files.
/// @throws io_error, format_error, config_error, each naming the file and the field.
[[nodiscard]] inline opened_checkpoint open_checkpoint(const std::filesystem::path& path) {
    const bool in_folder = path.extension() == ".safetensors" || path.extension() == ".json";
    if (in_folder || std::filesystem::is_directory(path)) {
        const auto folder = !in_folder               ? path
                            : path.has_parent_path() ? path.parent_path()
                                                     : std::filesystem::path(".");
        return {read_info(formats::load_hf_config(folder), folder), formats::open_safetensors(folder),
                container::huggingface};
    }
    const formats::gguf_file gguf(path);
    return {read_info(gguf), gguf.weights(), container::gguf};
}

/// Calls f(Architecture{}) for the family that `info` names.
template <class F>
[[nodiscard]] auto visit_family(const model_info& info, F&& f) {
    if (info.family == arch::mixtral::family) return f(arch::mixtral{});
    if (info.family == arch::mistral::family) return f(arch::mistral{});
    return f(arch::llama{});
}

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

/// @throws format_error when `file` holds a tensor that is not among `used`, and not harmless.
inline void refuse_others(const std::set<const formats::stored_tensor*>& used, const model_info& info,
                          const formats::checkpoint& file) {
    std::string extra;
    std::size_t extras = 0;
    for (const auto& tensor : file.tensors())
        if (!used.contains(&tensor) && !is_harmless(tensor, info.dims) && ++extras <= 3)
            extra += (extras == 1 ? "'" : ", '") + tensor.name + "'";
    if (extras != 0)
        throw format_error(explain(file.path().string(),
                                   "holds " + std::to_string(extras) + " tensors that a " + info.family +
                                       " model does not use: " + extra + (extras > 3 ? ", ..." : ""),
                                   "it is a model of another kind, or its metadata is wrong"));
}

}  // namespace detail

/// Locates every tensor of an architecture, in `for_each_tensor` order, and checks that the file holds nothing else.
template <class Architecture>
[[nodiscard]] std::vector<located_tensor> locate_all(const model_info& info, const formats::checkpoint& file,
                                                     container in) {
    if (info.dims.layers > file.tensors().size())
        throw format_error(explain(file.path().string(), "claims " + std::to_string(info.dims.layers) +
                                                             " layers, but holds only " +
                                                             std::to_string(file.tensors().size()) + " tensors"));
    std::vector<located_tensor> found;
    std::set<const formats::stored_tensor*> used;
    for (const tensor_info& tensor : describe_tensors<Architecture>(info.dims)) {
        found.push_back(locate(tensor, file, in));
        used.insert(found.back().stored);
    }
    detail::refuse_others(used, info, file);
    return found;
}

}  // namespace lab::nn
