// From a model to files: tensors are converted and their rotary rows reordered while they are streamed out; nothing is
// held twice in memory. The tokenizer is carried over from the model's source (tokenizer_files.hpp). See save.hpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lab/core/dtype.hpp"
#include "lab/core/error.hpp"
#include "lab/core/file.hpp"
#include "lab/formats/gguf_writer.hpp"
#include "lab/formats/safetensors_writer.hpp"
#include "lab/nn/any_model.hpp"
#include "lab/nn/config.hpp"
#include "lab/nn/convert.hpp"
#include "lab/nn/quantize_mix.hpp"
#include "lab/nn/save_options.hpp"
#include "lab/nn/tokenizer_files.hpp"

namespace lab::nn {

/// Streams a matrix as `type`, an adapter merged into it, its rows in the order row(0), row(1), ...
template <class RowOrder>
void stream_matrix(const matrix_view& m, const low_rank<const float>& adapter, dtype type, RowOrder row,
                   thread_pool& pool, formats::byte_sink sink) {
    constexpr std::size_t chunk_rows = 1024;
    const std::size_t stride = row_bytes(type, m.columns);
    std::vector<std::byte> bytes(std::min(chunk_rows, m.rows) * stride);
    for (std::size_t first = 0; first < m.rows; first += chunk_rows) {
        const std::size_t count = std::min(chunk_rows, m.rows - first);
        convert_rows(m, type, row, first, count, bytes.data(), pool, adapter);
        sink(std::span<const std::byte>(bytes).first(count * stride));
    }
}

/// The model's tensors as container `in` stores them, stacks joined, adapters merged. `choose(info, held)` gives the
/// type to write. The model must outlive the result.
template <class Choose>
[[nodiscard]] std::vector<formats::outgoing_tensor> outgoing_tensors(const any_model& model, container in,
                                                                     Choose choose) {
    struct part {
        std::size_t first_row;
        const named_weight* weight;
        low_rank<const float> adapter;
    };
    std::vector<std::string> order;
    std::map<std::string, std::vector<part>> parts;
    const auto all = model.weights();
    const auto adapters = model.adapters();
    for (std::size_t i = 0; i < all.size(); ++i) {
        const auto& source = all[i].info.sources(in).front();
        auto& list = parts[source.name];
        if (list.empty()) order.push_back(source.name);
        list.push_back({source.first_row, &all[i], adapters.empty() ? low_rank<const float>{} : adapters[i]});
    }
    std::vector<formats::outgoing_tensor> out;
    const bool held_half_split = model.info().half_split;
    for (const auto& name : order) {
        auto& list = parts[name];
        std::sort(list.begin(), list.end(), [](const part& a, const part& b) { return a.first_row < b.first_row; });
        const auto& first = *list.front().weight;
        const dtype type = choose(first.info, first.data.type);
        auto produce = [list, type, in, held_half_split, pool = &model.pool()](formats::byte_sink sink) {
            for (const part& p : list) {
                const auto& info = p.weight->info;
                const bool want_half_split = info.sources(in).front().how == transform::identity;
                const bool move = info.rope_heads != 0 && want_half_split != held_half_split;
                const std::size_t head_dim = move ? info.rows / info.rope_heads : 1;
                stream_matrix(
                    p.weight->data, p.adapter, type,
                    [&](std::size_t r) { return move ? reordered_row(r, head_dim, want_half_split) : r; }, *pool, sink);
            }
        };
        out.push_back({name, type, first.info.sources(in).front().shape, std::move(produce)});
    }
    return out;
}

/// What `save_safetensors` does.
inline void write_safetensors(const any_model& model, const std::filesystem::path& folder,
                              const save_options& options) {
    dtype type = options.type.value_or(model.weights().front().data.type);
    if (block_size(type) != 1) {
        if (options.type)
            throw config_error(explain(folder.string(), "safetensors cannot hold " + std::string(name_of(type)),
                                       "choose f32, f16 or bf16"));
        type = dtype::f32;
    }
    make_folder(folder);
    const char* names[] = {"float32", "float16", "bfloat16"};
    const auto config = to_hf_config(model.info(), names[static_cast<std::size_t>(type)]);
    formats::safetensors_writer writer;
    for (auto& tensor :
         outgoing_tensors(model, container::huggingface, [&](const tensor_info&, dtype) { return type; }))
        writer.add(std::move(tensor));
    writer.write_folder(folder, options.max_shard_bytes);
    write_file_atomically(folder / "config.json", formats::to_text(formats::to_json(config), 2) + "\n");
    write_tokenizer_folder(options.tokenizer.empty() ? model.info().source : options.tokenizer, folder, options);
}

/// What `save_gguf` does.
inline void write_gguf(const any_model& model, const std::filesystem::path& path, const save_options& options) {
    formats::gguf_writer writer;
    write_info(model.info(), writer);
    writer.set("general.name", options.name.empty() ? path.stem().string() : options.name);
    write_tokenizer_metadata(options.tokenizer.empty() ? model.info().source : options.tokenizer, model.info(), writer,
                             options);
    const auto choose = [&](const tensor_info& info, dtype held) {
        if (options.mix) return mixed_type(*options.mix, info, model.dims());
        if (info.rank == 1 || info.role == "router") return dtype::f32;
        return storable(options.type.value_or(held), info.columns);
    };
    for (auto& tensor : outgoing_tensors(model, container::gguf, choose)) writer.add(std::move(tensor));
    writer.write(path);
}

}  // namespace lab::nn
