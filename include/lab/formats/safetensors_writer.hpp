// Writes safetensors: one file, or shards with model.safetensors.index.json, streamed from the tensors' producers.
// Every file appears complete or not at all; the metadata says `format: pt`, without which transformers refuses it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lab/core/file.hpp"
#include "lab/formats/json.hpp"
#include "lab/formats/safetensors.hpp"
#include "lab/formats/tensor_source.hpp"

namespace lab::formats {

class safetensors_writer {
public:
    /// @throws config_error for a name that is taken or reserved, or a type that safetensors lacks (the quantised
    /// ones).
    void add(outgoing_tensor tensor) {
        const auto refuse = [&](const std::string& what) {
            throw config_error(explain("tensor " + quote(tensor.name), what));
        };
        if (tensor.name == "__metadata__") refuse("the name is reserved");
        if (first_invalid_utf8(tensor.name) != std::string::npos) refuse("the name is not UTF-8");
        if (std::any_of(tensors_.begin(), tensors_.end(), [&](const auto& other) { return other.name == tensor.name; }))
            refuse("was added before");
        if (block_size(tensor.type) != 1)
            refuse("safetensors cannot hold " + std::string(lab::name_of(tensor.type)) +
                   ": convert it to f32, f16 or bf16");
        (void)tensor_bytes(tensor.type, tensor.shape);
        tensors_.push_back(std::move(tensor));
    }
    void set_metadata(std::string key, std::string value) { metadata_[std::move(key)] = std::move(value); }

    /// Writes all tensors into one file.
    void write(const std::filesystem::path& path) const {
        std::vector<const outgoing_tensor*> all;
        for (const auto& tensor : tensors_) all.push_back(&tensor);
        write_shard(path, std::move(all));
    }

    /// Writes model.safetensors into `folder`, or, where the tensors are larger than `max_shard_bytes`, shards in the
    /// order of the add calls and their index. Removes a model.safetensors or index of the other kind.
    void write_folder(const std::filesystem::path& folder,
                      std::uint64_t max_shard_bytes = std::numeric_limits<std::uint64_t>::max()) const {
        std::vector<std::vector<const outgoing_tensor*>> shards(1);
        std::uint64_t in_shard = 0, total = 0;
        for (const auto& tensor : tensors_) {
            const std::uint64_t bytes = tensor_bytes(tensor.type, tensor.shape);
            if (in_shard != 0 && (bytes > max_shard_bytes || in_shard > max_shard_bytes - bytes)) {
                shards.emplace_back();
                in_shard = 0;
            }
            shards.back().push_back(&tensor);
            in_shard += bytes;
            total += bytes;
        }
        const auto single = folder / "model.safetensors", index_path = folder / "model.safetensors.index.json";
        if (shards.size() == 1) {
            write_shard(single, std::move(shards.front()));
            std::filesystem::remove(index_path);
            return;
        }
        json index{{"metadata", {{"total_size", total}}}, {"weight_map", json::object()}};
        for (std::size_t i = 0; i < shards.size(); ++i) {
            char name[64];
            std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", i + 1, shards.size());
            for (const outgoing_tensor* tensor : shards[i]) index["weight_map"][tensor->name] = name;
            write_shard(folder / name, std::move(shards[i]));
        }
        write_file_atomically(index_path, to_text(index, 2) + "\n");
        std::filesystem::remove(single);
    }

private:
    void write_shard(const std::filesystem::path& path, std::vector<const outgoing_tensor*> tensors) const {
        // Wide elements first, so that each tensor is aligned to its element; then by name, as the reference does.
        std::sort(tensors.begin(), tensors.end(), [](const auto* a, const auto* b) {
            return std::pair(block_bytes(b->type), std::string_view(a->name)) <
                   std::pair(block_bytes(a->type), std::string_view(b->name));
        });
        json header{{"__metadata__", metadata_}};
        std::uint64_t offset = 0;
        for (const outgoing_tensor* tensor : tensors) {
            const std::uint64_t end = offset + tensor_bytes(tensor->type, tensor->shape);
            header[tensor->name] = {
                {"dtype", type_name(tensor->type)}, {"shape", tensor->shape}, {"data_offsets", {offset, end}}};
            offset = end;
        }
        std::string text = to_text(header);
        text.append((8 - text.size() % 8) % 8, ' ');
        const std::uint64_t length = text.size();
        if (length > safetensors_header_limit)
            throw config_error(explain(path.string(), "the header is too large: write several shards"));
        atomic_file file(path);
        file.write(std::as_bytes(std::span(&length, 1)));
        file.write(text);
        for (const outgoing_tensor* tensor : tensors)
            produce_exactly(*tensor, [&](std::span<const std::byte> bytes) { file.write(bytes); });
        file.commit();
    }
    [[nodiscard]] static std::string_view type_name(dtype type) {
        for (const auto& known : safetensors_detail::element_types)
            if (known.type == type) return known.name;
        throw config_error("safetensors cannot hold " + std::string(lab::name_of(type)));
    }

    std::vector<outgoing_tensor> tensors_;
    std::map<std::string, std::string> metadata_{{"format", "pt"}};
};

}  // namespace lab::formats
