// Adapters to and from files as PEFT writes and reads them (format: huggingface.co/docs/peft, checkpoint format): a
// folder with adapter_config.json and adapter_model.safetensors, tensors
// base_model.model.<module>.lora_A.weight [rank, in] and .lora_B.weight [out, rank], rows in Hugging Face's order.
// Plain and rank-stabilised LoRA of linear layers; DoRA, biases, patterns of ranks and retrained modules are refused.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/file.hpp"
#include "lab/formats/json.hpp"
#include "lab/formats/safetensors.hpp"
#include "lab/formats/safetensors_writer.hpp"
#include "lab/nn/adapters.hpp"
#include "lab/nn/any_model.hpp"
#include "lab/nn/convert.hpp"
#include "lab/nn/lora_options.hpp"
#include "lab/nn/tensor_info.hpp"

namespace lab::nn {

namespace detail {

/// "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
[[nodiscard]] inline std::string adapter_tensor_name(const tensor_info& info, char which) {
    const std::string_view name = info.name;
    return "base_model.model." + std::string(name.substr(0, name.size() - std::string_view(".weight").size())) +
           ".lora_" + which + ".weight";
}

/// Refuses what would make the adapter another function than lora_options.hpp's.
inline void require_plain_lora(const formats::json& config, const std::string& place) {
    const auto refuse = [&](const char* field, const std::string& what) {
        throw config_error(explain(formats::field_place(field, place), what, "merge it with PEFT first"));
    };
    if (formats::field<std::string>(config, "peft_type", place) != "LORA") refuse("peft_type", "only LORA is read");
    if (formats::field_or<std::string>(config, "bias", "none", place) != "none") refuse("bias", "biases are not read");
    for (const char* name : {"use_dora", "fan_in_fan_out", "lora_bias", "use_qalora"})
        if (formats::field_or<bool>(config, name, false, place)) refuse(name, "is not supported");
    for (const char* name : {"rank_pattern", "alpha_pattern", "modules_to_save", "target_parameters",
                             "layer_replication", "trainable_token_indices", "alora_invocation_tokens", "arrow_config",
                             "kasa_config", "monteclora_config", "use_bdlora"})
        if (const auto value = formats::optional_field<formats::json>(config, name, place);
            value && !value->empty() && *value != false)
            refuse(name, "is not supported");
    if (const auto start = formats::optional_field<formats::json>(config, "init_lora_weights", place);
        start && start->is_string()) {
        const auto& kind = start->get_ref<const std::string&>();
        if (kind != "gaussian" && kind != "eva" && kind != "orthogonal")  // the others change the base as well
            refuse("init_lora_weights", "'" + kind + "' belongs to a base that was changed with it");
    }
}

}  // namespace detail

/// An adapter's files, read but not yet bound to a model.
struct adapter_file {
    lora_options options;
    formats::checkpoint tensors;
};

/// @param asked dropout and seed are taken from it where it is given, else dropout from the file
/// @throws io_error, format_error; config_error for an adapter of another kind
[[nodiscard]] inline adapter_file read_adapter(const std::filesystem::path& folder,
                                               const std::optional<lora_options>& asked = {}) {
    const auto path = folder / "adapter_config.json";
    const std::string place = path.string();
    const auto config = formats::parse_json(read_file(path), place);
    detail::require_plain_lora(config, place);
    adapter_file file{.options = {}, .tensors = formats::open_safetensors(folder / "adapter_model.safetensors")};
    auto& o = file.options;
    o.rank = formats::field<std::size_t>(config, "r", place);
    o.alpha = formats::field<double>(config, "lora_alpha", place);
    o.rank_stabilised = formats::field_or<bool>(config, "use_rslora", false, place);
    o.dropout = asked ? asked->dropout : formats::field_or<double>(config, "lora_dropout", 0.0, place);
    if (asked) o.seed = asked->seed;
    if (!(o.alpha > 0)) throw format_error(explain(place, "field 'lora_alpha' is not positive"));
    // Which layers have one is told by the tensors: target_modules may be a pattern, or have exceptions.
    std::set<std::string> modules;
    constexpr std::string_view end = ".lora_A.weight";
    for (const auto& tensor : file.tensors.tensors()) {
        const std::string_view name = tensor.name;
        if (!name.ends_with(end)) continue;
        if (tensor.shape.size() != 2 || tensor.shape.front() != o.rank)  // before anything is allocated of that rank
            throw shape_error(explain(file.tensors.path().string() + ": tensor '" + tensor.name + "'",
                                      "has shape " + to_string(tensor.shape) +
                                          ", its first extent should be the rank " + std::to_string(o.rank)));
        const auto layer = name.substr(0, name.size() - end.size());
        modules.emplace(layer.substr(layer.rfind('.') + 1));
    }
    if (modules.empty())
        throw format_error(explain(file.tensors.path().string(), "holds no tensor called ..." + std::string(end)));
    o.targets.assign(modules.begin(), modules.end());
    return file;
}

/// Whether the file's tensors are those of linear layers of these sizes, before anything is laid out by its options.
/// @throws format_error for one of a pair, and for tensors that no layer of the model takes; shape_error
inline void require_adapter_fits(const adapter_file& file, std::span<const tensor_info> tensors) {
    const std::string place = file.tensors.path().string();
    const std::size_t rank = file.options.rank;
    std::size_t used = 0;
    for (const auto& info : tensors) {
        if (linear_module(info).empty()) continue;
        const auto *a = file.tensors.find(detail::adapter_tensor_name(info, 'A')),
                   *b = file.tensors.find(detail::adapter_tensor_name(info, 'B'));
        if (a == nullptr && b == nullptr) continue;
        if (a == nullptr || b == nullptr)
            throw format_error(explain(
                place, "tensor '" + detail::adapter_tensor_name(info, a == nullptr ? 'A' : 'B') + "' is missing"));
        const auto require = [&](const formats::stored_tensor& t, const std::vector<std::size_t>& shape) {
            if (t.shape != shape)
                throw shape_error(
                    explain(place + ": tensor '" + t.name + "'",
                            "has shape " + to_string(t.shape) + ", rank and model demand " + to_string(shape)));
        };
        require(*a, {rank, info.columns});
        require(*b, {info.rows, rank});
        used += 2;
    }
    if (used != file.tensors.tensors().size())
        throw format_error(explain(
            place,
            std::to_string(file.tensors.tensors().size() - used) + " of its tensors belong to no layer of this model",
            "it is the adapter of another model, or of layers other than linear ones"));
}

/// Copies the tensors of a file that fits into adapters that were laid out by its options. A layer of which it holds
/// nothing stays at zero, and never learns.
template <class Architecture, class Dims>
void copy_adapters(const adapter_file& file, const Dims& d, bool half_split, thread_pool& pool,
                   adapter_set<Architecture, float>& adapters) {
    for_each_tensor(
        d,
        [&](const tensor_info& info, auto& handle) {
            if constexpr (requires { handle.b_turned; }) {
                const auto* a = handle ? file.tensors.find(detail::adapter_tensor_name(info, 'A')) : nullptr;
                if (a == nullptr) return;
                const std::size_t rank = handle.a.extent(0);
                decode(a->type, a->bytes.data(), handle.a.data(), handle.a.size());
                const auto rows = formats::to_floats(*file.tensors.find(detail::adapter_tensor_name(info, 'B')));
                const std::size_t head_dim = info.rope_heads != 0 ? info.rows / info.rope_heads : 1;
                const bool move = info.rope_heads != 0 && !half_split;
                pool.parallel_for(info.rows, 64, [&](std::size_t begin, std::size_t last, std::size_t) {
                    for (std::size_t i = begin; i < last; ++i) {
                        const std::size_t from = move ? reordered_row(i, head_dim, false) : i;
                        for (std::size_t k = 0; k < rank; ++k) handle.b_turned(k, i) = rows[from * rank + k];
                    }
                });
            }
        },
        adapters.get());
}

/// What `save_adapter` does.
inline void write_adapter(const any_model& model, const std::filesystem::path& folder, dtype type) {
    const auto* options = model.lora();
    if (options == nullptr)
        throw config_error(explain(folder.string(), "the model has no adapter", "load it with load_options::lora"));
    if (block_size(type) != 1)
        throw config_error(explain(folder.string(), "adapters are not quantised", "choose f32, f16 or bf16"));
    make_folder(folder);
    formats::safetensors_writer writer;
    std::set<std::string> modules;
    const auto all = model.weights();
    for (std::size_t i = 0; i < all.size(); ++i) {
        const auto& info = all[i].info;
        const auto adapter = model.adapters()[i];
        if (!adapter) continue;
        modules.emplace(linear_module(info));
        const std::size_t rank = adapter.a.extent(0);
        const bool move = info.rope_heads != 0 && !model.info().half_split;
        const std::size_t head_dim = info.rope_heads != 0 ? info.rows / info.rope_heads : 1;
        const auto add = [&](char which, std::vector<std::size_t> shape, auto value) {
            writer.add(
                {detail::adapter_tensor_name(info, which), type, shape, [type, shape, value](formats::byte_sink sink) {
                     std::vector<float> row(shape[1]);
                     std::vector<std::byte> bytes(row_bytes(type, shape[1]));
                     for (std::size_t r = 0; r < shape[0]; ++r) {
                         for (std::size_t j = 0; j < shape[1]; ++j) row[j] = value(r, j);
                         encode(type, row.data(), bytes.data(), row.size());
                         sink(bytes);
                     }
                 }});
        };
        add('A', {rank, info.columns}, [adapter](std::size_t r, std::size_t j) { return adapter.a(r, j); });
        add('B', {info.rows, rank}, [adapter, move, head_dim](std::size_t r, std::size_t k) {
            return adapter.b_turned(k, move ? reordered_row(r, head_dim, true) : r);
        });
    }
    writer.write(folder / "adapter_model.safetensors");
    const double alpha = options->chosen_alpha();
    const formats::json config{
        {"peft_type", "LORA"},
        {"task_type", "CAUSAL_LM"},
        {"base_model_name_or_path", model.info().source.string()},
        {"r", options->rank},
        {"lora_alpha",
         alpha == std::floor(alpha) ? formats::json(static_cast<std::uint64_t>(alpha)) : formats::json(alpha)},
        {"lora_dropout", options->dropout},
        {"use_rslora", options->rank_stabilised},
        {"target_modules", modules},
        {"bias", "none"},
        {"fan_in_fan_out", false},
        {"init_lora_weights", true},
        {"inference_mode", true},
        {"modules_to_save", nullptr},
        {"use_dora", false}};
    write_file_atomically(folder / "adapter_config.json", formats::to_text(config, 2) + "\n");
}

}  // namespace lab::nn
