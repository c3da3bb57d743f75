// safetensors: a u64 header length, a JSON header, and one buffer that the tensors cover exactly. All of the format's
// rules are enforced, every byte being unproven: https://github.com/huggingface/safetensors (README, "Format").
// Reads single files and folders of shards; integer tensors are checked and listed but are no weights.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/dtype.hpp"
#include "lab/core/file.hpp"
#include "lab/formats/json.hpp"
#include "lab/formats/tensor_source.hpp"
#include "lab/formats/text_bytes.hpp"

namespace lab::formats {

inline constexpr std::uint64_t safetensors_header_limit = 100'000'000;

namespace safetensors_detail {

struct element_type {
    std::string_view name;
    std::size_t bits;
    std::optional<dtype> type;
};
inline constexpr std::array element_types{
    element_type{"F32", 32, dtype::f32},      element_type{"F16", 16, dtype::f16},
    element_type{"BF16", 16, dtype::bf16},    element_type{"BOOL", 8, std::nullopt},
    element_type{"U8", 8, std::nullopt},      element_type{"I8", 8, std::nullopt},
    element_type{"U16", 16, std::nullopt},    element_type{"I16", 16, std::nullopt},
    element_type{"U32", 32, std::nullopt},    element_type{"I32", 32, std::nullopt},
    element_type{"U64", 64, std::nullopt},    element_type{"I64", 64, std::nullopt},
    element_type{"F64", 64, std::nullopt},    element_type{"C64", 64, std::nullopt},
    element_type{"F8_E5M2", 8, std::nullopt}, element_type{"F8_E4M3", 8, std::nullopt},
    element_type{"F8_E8M0", 8, std::nullopt}, element_type{"F6_E2M3", 6, std::nullopt},
    element_type{"F6_E3M2", 6, std::nullopt}, element_type{"F4", 4, std::nullopt},
};

/// a * b where it fits in 64 bits.
[[nodiscard]] constexpr std::optional<std::uint64_t> multiply(std::uint64_t a, std::uint64_t b) {
    if (a != 0 && b > std::numeric_limits<std::uint64_t>::max() / a) return std::nullopt;
    return a * b;
}

}  // namespace safetensors_detail

class safetensors_file {
public:
    struct entry {
        std::string name;
        std::string_view dtype_name;     ///< "F32", "I64", ...
        std::optional<dtype> type;       ///< set for weights
        std::vector<std::size_t> shape;  ///< row-major, outermost first; empty for a scalar
        std::span<const std::byte> bytes;
    };

    /// Maps and checks a file. @throws io_error, format_error "file: offset N: what".
    explicit safetensors_file(const std::filesystem::path& path)
        : name_(path.string()), map_(std::make_shared<const mapped_file>(path)) {
        parse(map_->bytes());
    }
    /// Reads memory that must outlive this object and its weights; `name` stands for the file in messages.
    safetensors_file(std::span<const std::byte> bytes, std::string name) : name_(std::move(name)) { parse(bytes); }

    /// All tensors, in the order of their bytes.
    [[nodiscard]] std::span<const entry> entries() const noexcept { return entries_; }
    /// The strings under `__metadata__`.
    [[nodiscard]] const std::map<std::string, std::string>& metadata() const noexcept { return metadata_; }
    /// The tensors of types that core/dtype.hpp knows.
    [[nodiscard]] checkpoint weights() const {
        std::vector<stored_tensor> tensors;
        append_weights(tensors);
        return {name_, std::move(tensors), {map_}, true};
    }
    void append_weights(std::vector<stored_tensor>& tensors) const {
        for (const entry& e : entries_)
            if (e.type) tensors.push_back({e.name, *e.type, e.shape, e.bytes});
    }
    [[nodiscard]] std::shared_ptr<const void> owner() const noexcept { return map_; }

private:
    void parse(std::span<const std::byte> bytes) {
        byte_reader in(bytes, name_);
        const auto length = in.read<std::uint64_t>("the header's length");
        if (length > safetensors_header_limit)
            in.fail(0,
                    "the header's length " + std::to_string(length) + " exceeds " +
                        std::to_string(safetensors_header_limit),
                    "this is not a safetensors file, or it is corrupt");
        const auto header = as_text(in.take(length, "the header"));
        if (header.empty() || header.front() != '{') in.fail(8, "the header does not begin with '{'");
        if (const auto bad = first_invalid_utf8(header); bad != header.npos)
            in.fail(8 + bad, "the header is not UTF-8");
        const json object = parse_json(header, name_ + ": header");
        const auto buffer = in.take(in.remaining(), "the tensors");

        for (const auto& [name, value] : object.items()) {
            if (name == "__metadata__")
                read_metadata(value);
            else
                entries_.push_back(read_entry(name, value, buffer));
        }
        // One pass in the order of the bytes finds overlap, holes, a late start and an early end.
        std::sort(entries_.begin(), entries_.end(), [](const entry& a, const entry& b) {
            return std::pair(a.bytes.data(), a.bytes.size()) < std::pair(b.bytes.data(), b.bytes.size());
        });
        std::uint64_t covered = 0;
        for (const entry& e : entries_) {
            const auto begin = static_cast<std::uint64_t>(e.bytes.data() - buffer.data());
            if (begin != covered)
                refuse(e.name, (begin < covered ? "overlaps the tensor before it: it begins at "
                                                : "leaves a hole before it: it begins at ") +
                                   std::to_string(begin) + ", expected " + std::to_string(covered));
            covered = begin + e.bytes.size();
        }
        if (covered != buffer.size())
            in.fail(8 + length + covered, "the tensors end here but the buffer has " +
                                              std::to_string(buffer.size() - covered) + " more bytes");
    }

    void read_metadata(const json& value) {
        if (!value.is_object()) throw format_error(explain(name_, "header: '__metadata__' is not an object"));
        for (const auto& [key, text] : value.items())
            metadata_[key] = value_as<std::string>(text, name_ + ": header: metadata " + quote(key));
    }

    [[nodiscard]] entry read_entry(const std::string& name, const json& value,
                                   std::span<const std::byte> buffer) const {
        using safetensors_detail::multiply;
        const std::string place = name_ + ": header: tensor " + quote(name);
        entry e;
        e.name = name;
        const auto type_name = field<std::string>(value, "dtype", place);
        const auto known =
            std::find_if(safetensors_detail::element_types.begin(), safetensors_detail::element_types.end(),
                         [&](const auto& t) { return t.name == type_name; });
        if (known == safetensors_detail::element_types.end()) refuse(name, "has the unknown dtype " + quote(type_name));
        e.dtype_name = known->name;
        e.type = known->type;
        e.shape = field<std::vector<std::size_t>>(value, "shape", place);

        // The product of the extents other than 0 must fit too, so that no later product can wrap.
        std::optional<std::uint64_t> bits = known->bits;
        bool empty = false;
        for (const std::size_t extent : e.shape) {
            empty = empty || extent == 0;
            if (bits && extent != 0) bits = multiply(*bits, extent);
        }
        if (!bits) refuse(name, "has the shape " + to_string(e.shape) + ", whose size overflows");
        if (empty) bits = 0;
        if (*bits % 8 != 0) refuse(name, "does not fill whole bytes");
        const auto range = field<std::vector<std::uint64_t>>(value, "data_offsets", place);
        if (range.size() != 2) refuse(name, "has " + std::to_string(range.size()) + " data_offsets, expected 2");
        if (range[0] > range[1] || range[1] > buffer.size())
            refuse(name, "has the data_offsets [" + std::to_string(range[0]) + ", " + std::to_string(range[1]) +
                             "], which do not lie in the buffer of " + std::to_string(buffer.size()) + " bytes");
        if (range[1] - range[0] != *bits / 8)
            refuse(name, "(" + type_name + " " + to_string(e.shape) + ") needs " + std::to_string(*bits / 8) +
                             " bytes, its data_offsets span " + std::to_string(range[1] - range[0]));
        e.bytes = buffer.subspan(static_cast<std::size_t>(range[0]), static_cast<std::size_t>(range[1] - range[0]));
        return e;
    }

    [[noreturn]] void refuse(std::string_view tensor, const std::string& what) const {
        throw format_error(explain(at_offset(name_, 8) + ": header", "tensor " + quote(tensor) + " " + what));
    }

    std::string name_;
    std::shared_ptr<const mapped_file> map_;
    std::vector<entry> entries_;
    std::map<std::string, std::string> metadata_;
};

namespace safetensors_detail {

/// The shards that an index names, each tensor checked to lie in the shard that the index gives for it.
[[nodiscard]] inline checkpoint open_sharded(const std::filesystem::path& index_path) {
    const std::string place = index_path.string();
    const json index = parse_json(read_file(index_path), place);
    const json map = field<json>(index, "weight_map", place);
    if (!map.is_object()) throw format_error(explain(place, "field 'weight_map' is not an object"));
    std::map<std::string, std::vector<std::string>> shards;
    for (const auto& [tensor, value] : map.items()) {
        const auto shard = value_as<std::string>(value, place + ": weight_map: " + quote(tensor));
        // A shard lies beside its index: anything else would let a download read files elsewhere.
        if (shard.empty() || shard == "." || shard == ".." ||
            shard.find_first_of(std::string_view("/\\\0", 3)) != shard.npos)
            throw format_error(explain(place, "weight_map names the shard " + quote(shard) + " for " + quote(tensor) +
                                                  ", expected a plain file name"));
        shards[shard].push_back(tensor);
    }
    std::vector<stored_tensor> tensors;
    std::vector<std::shared_ptr<const void>> owners;
    std::map<std::string, std::string> home;
    for (const auto& [shard, names] : shards) {
        const safetensors_file file(index_path.parent_path() / shard);
        for (const auto& e : file.entries()) {
            const auto [other, fresh] = home.emplace(e.name, shard);
            if (!fresh)
                throw format_error(
                    explain(place, "tensor " + quote(e.name) + " lies in both " + other->second + " and " + shard));
        }
        for (const std::string& name : names)
            if (const auto at = home.find(name); at == home.end() || at->second != shard)
                throw format_error(
                    explain(place, "tensor " + quote(name) + " is not in " + shard + ", where weight_map puts it"));
        file.append_weights(tensors);
        owners.push_back(file.owner());
    }
    return {index_path.parent_path(), std::move(tensors), std::move(owners), true};
}

}  // namespace safetensors_detail

/// The weights of a .safetensors file, of an index (*.index.json) with its shards, or of a folder that holds
/// model.safetensors or model.safetensors.index.json.
[[nodiscard]] inline checkpoint open_safetensors(const std::filesystem::path& path) {
    if (std::filesystem::is_directory(path)) {
        if (std::filesystem::exists(path / "model.safetensors")) return open_safetensors(path / "model.safetensors");
        if (std::filesystem::exists(path / "model.safetensors.index.json"))
            return open_safetensors(path / "model.safetensors.index.json");
        throw io_error(explain(path.string(), "holds neither model.safetensors nor model.safetensors.index.json"));
    }
    if (path.extension() == ".json") return safetensors_detail::open_sharded(path);
    return safetensors_file(path).weights();
}

}  // namespace lab::formats
