// GGUF, versions 2 and 3, little-endian: metadata and tensors of one memory-mapped file, every byte of it unproven.
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; limits as ggml's own reader sets them.
// Not read: version 1, big-endian files, arrays of arrays, and block formats that core/dtype.hpp does not know.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "lab/core/dtype.hpp"
#include "lab/core/file.hpp"
#include "lab/formats/tensor_source.hpp"
#include "lab/formats/text_bytes.hpp"

namespace lab::formats {

/// Types of metadata values, numbered as in the file.
enum class gguf_type : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

inline constexpr std::size_t gguf_max_dimensions = 4, gguf_max_name = 63, gguf_max_key = 65535;
inline constexpr std::uint32_t gguf_default_alignment = 32;

namespace gguf_detail {

inline constexpr std::array<std::string_view, 13> type_names{"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                                             "bool", "string", "array", "u64", "i64", "f64"};
/// Bytes of a value; 0 for string and array.
inline constexpr std::array<std::size_t, 13> type_sizes{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

/// ggml's tensor type numbers; those without a dtype are here for the message that refuses them.
struct tensor_type {
    std::uint32_t id;
    std::string_view name;
    std::optional<dtype> type;
};
inline constexpr std::array tensor_types{
    tensor_type{0, "F32", dtype::f32},        tensor_type{1, "F16", dtype::f16},
    tensor_type{2, "Q4_0", dtype::q4_0},      tensor_type{3, "Q4_1", dtype::q4_1},
    tensor_type{6, "Q5_0", dtype::q5_0},      tensor_type{7, "Q5_1", dtype::q5_1},
    tensor_type{8, "Q8_0", dtype::q8_0},      tensor_type{9, "Q8_1", std::nullopt},
    tensor_type{10, "Q2_K", std::nullopt},    tensor_type{11, "Q3_K", std::nullopt},
    tensor_type{12, "Q4_K", dtype::q4_k},     tensor_type{13, "Q5_K", dtype::q5_k},
    tensor_type{14, "Q6_K", dtype::q6_k},     tensor_type{15, "Q8_K", std::nullopt},
    tensor_type{16, "IQ2_XXS", std::nullopt}, tensor_type{17, "IQ2_XS", std::nullopt},
    tensor_type{18, "IQ3_XXS", std::nullopt}, tensor_type{19, "IQ1_S", std::nullopt},
    tensor_type{20, "IQ4_NL", std::nullopt},  tensor_type{21, "IQ3_S", std::nullopt},
    tensor_type{22, "IQ2_S", std::nullopt},   tensor_type{23, "IQ4_XS", std::nullopt},
    tensor_type{24, "I8", std::nullopt},      tensor_type{25, "I16", std::nullopt},
    tensor_type{26, "I32", std::nullopt},     tensor_type{27, "I64", std::nullopt},
    tensor_type{28, "F64", std::nullopt},     tensor_type{29, "IQ1_M", std::nullopt},
    tensor_type{30, "BF16", dtype::bf16},     tensor_type{34, "TQ1_0", std::nullopt},
    tensor_type{35, "TQ2_0", std::nullopt},   tensor_type{39, "MXFP4", std::nullopt},
};
[[nodiscard]] inline std::uint32_t tensor_type_id(dtype type) {
    for (const auto& entry : tensor_types)
        if (entry.type == type) return entry.id;
    throw format_error("dtype " + std::to_string(static_cast<int>(type)) + " has no GGUF number");
}

}  // namespace gguf_detail

[[nodiscard]] inline std::string_view name_of(gguf_type type) {
    return gguf_detail::type_names.at(static_cast<std::size_t>(type));
}

/// A metadata value as it lies in the file: checked, not copied. A scalar is `count` 1 of `type`; an array is `count`
/// elements of `element`. Strings are a u64 length and bytes each.
struct gguf_value {
    gguf_type type = gguf_type::u8;
    gguf_type element = gguf_type::u8;
    std::uint64_t count = 1;
    std::span<const std::byte> bytes;
    std::uint64_t offset = 0;
};

class gguf_file {
public:
    struct entry {
        std::string_view key;
        gguf_value value;
    };

    /// Maps and checks a file. @throws io_error, format_error "file: offset N: what".
    explicit gguf_file(const std::filesystem::path& path)
        : gguf_file(path, std::make_shared<const mapped_file>(path)) {}
    /// Reads memory that must outlive this object and its weights; `name` stands for the file in messages.
    gguf_file(std::span<const std::byte> bytes, std::string name) : path_(std::move(name)) { parse(bytes, {}); }

    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
    [[nodiscard]] std::uint32_t version() const noexcept { return version_; }
    [[nodiscard]] std::uint32_t alignment() const noexcept { return alignment_; }
    /// All keys, in the file's order.
    [[nodiscard]] std::span<const entry> metadata() const noexcept { return entries_; }
    [[nodiscard]] std::span<const stored_tensor> tensors() const noexcept { return weights_.tensors(); }
    [[nodiscard]] const checkpoint& weights() const noexcept { return weights_; }

    [[nodiscard]] const gguf_value* find(std::string_view key) const noexcept {
        const auto at = std::lower_bound(by_key_.begin(), by_key_.end(), key,
                                         [&](std::size_t i, std::string_view k) { return entries_[i].key < k; });
        return at != by_key_.end() && entries_[*at].key == key ? &entries_[*at].value : nullptr;
    }
    [[nodiscard]] bool contains(std::string_view key) const noexcept { return find(key) != nullptr; }

    /// The scalar under `key`: an integer of any width (range-checked), float or double, bool, std::string.
    /// Nothing where the key is absent. @throws format_error naming the key for another type or range.
    template <class T>
    [[nodiscard]] std::optional<T> get(std::string_view key) const {
        const gguf_value* value = find(key);
        if (value == nullptr) return std::nullopt;
        if constexpr (std::is_same_v<T, bool>) {
            if (value->type != gguf_type::boolean) refuse(key, *value, "bool");
            return value->bytes[0] != std::byte{0};
        } else if constexpr (std::integral<T>) {
            return read_integer<T>(key, *value, value->type, value->bytes.data());
        } else if constexpr (std::floating_point<T>) {
            return static_cast<T>(read_float(key, *value, value->type, value->bytes.data()));
        } else {
            static_assert(std::is_same_v<T, std::string>, "gguf_file::get: bool, integer, float or std::string");
            if (value->type != gguf_type::string) refuse(key, *value, "string");
            return std::string(as_text(value->bytes.subspan(8)));
        }
    }
    /// As get. @throws format_error where the key is absent.
    template <class T>
    [[nodiscard]] T require(std::string_view key) const {
        auto value = get<T>(key);
        if (!value) throw format_error(explain(path_.string(), "metadata key '" + std::string(key) + "' is missing"));
        return *std::move(value);
    }

    /// Arrays; empty where the key is absent. @throws format_error when the elements are of another kind.
    [[nodiscard]] std::vector<std::string> strings(std::string_view key) const {
        std::vector<std::string> items;
        const gguf_value* value = array(key, "strings");
        if (value == nullptr) return items;
        if (value->element != gguf_type::string) refuse(key, *value, "array of strings");
        items.reserve(static_cast<std::size_t>(value->count));
        const std::byte* at = value->bytes.data();
        for (std::uint64_t i = 0; i < value->count; ++i) {
            const auto length = static_cast<std::size_t>(lab::formats_detail::load<std::uint64_t>(at));
            items.emplace_back(reinterpret_cast<const char*>(at + 8), length);
            at += 8 + length;
        }
        return items;
    }
    [[nodiscard]] std::vector<std::int64_t> integers(std::string_view key) const {
        return numbers<std::int64_t>(key, "integers", [&](const gguf_value& value, const std::byte* at) {
            return read_integer<std::int64_t>(key, value, value.element, at);
        });
    }
    [[nodiscard]] std::vector<double> floats(std::string_view key) const {
        return numbers<double>(key, "floats", [&](const gguf_value& value, const std::byte* at) {
            return read_float(key, value, value.element, at);
        });
    }

private:
    gguf_file(const std::filesystem::path& path, std::shared_ptr<const mapped_file> map) : path_(path) {
        const auto bytes = map->bytes();
        parse(bytes, {std::move(map)});
    }

    struct tensor_info {
        stored_tensor tensor;
        std::uint64_t offset = 0, info_offset = 0, size = 0;
    };

    void parse(std::span<const std::byte> bytes, std::vector<std::shared_ptr<const void>> owners) {
        byte_reader in(bytes, path_.string());
        if (as_text(in.take(4, "the magic number")) != "GGUF")
            in.fail(0, "this is not a GGUF file: it does not begin with 'GGUF'");
        version_ = in.read<std::uint32_t>("the version");
        if ((version_ & 0xffffu) == 0 && version_ != 0)
            in.fail(4, "this GGUF file is big-endian", "convert it to little-endian");
        if (version_ != 2 && version_ != 3)
            in.fail(4, "GGUF version " + std::to_string(version_) + " is not supported", "versions 2 and 3 are");
        const auto tensor_count = in.read<std::uint64_t>("the tensor count");
        const auto key_count = in.read<std::uint64_t>("the metadata count");
        // The least that an entry takes: a length, one byte of key, a type and one byte of value.
        in.require_count(key_count, 8 + 1 + 4 + 1, "metadata count");
        parse_metadata(in, key_count);
        read_alignment(in);
        parse_tensors(in, bytes, tensor_count, std::move(owners));
    }

    void parse_metadata(byte_reader& in, std::uint64_t count) {
        entries_.reserve(static_cast<std::size_t>(count));
        for (std::uint64_t i = 0; i < count; ++i) {
            const auto start = in.offset();
            const auto length = in.read<std::uint64_t>("a metadata key's length");
            if (length == 0 || length > gguf_max_key)
                in.fail(start, "metadata key " + std::to_string(i) + " is " + std::to_string(length) +
                                   " bytes long, expected 1 to 65535");
            const auto key = as_text(in.take(length, "a metadata key"));
            entries_.push_back({key, parse_value(in, key)});
        }
        by_key_ = order_of(entries_.size(), [&](std::size_t i) { return entries_[i].key; });
        for (std::size_t i = 1; i < by_key_.size(); ++i)
            if (entries_[by_key_[i]].key == entries_[by_key_[i - 1]].key)
                in.fail(entries_[by_key_[i]].value.offset, "duplicate metadata key " + quote(entries_[by_key_[i]].key));
    }

    static gguf_type parse_type(byte_reader& in, std::string_view key) {
        const auto type = in.read<std::uint32_t>("a metadata type");
        if (type >= gguf_detail::type_names.size())
            in.fail(in.offset() - 4, "metadata key " + quote(key) + " has the unknown type " + std::to_string(type));
        return static_cast<gguf_type>(type);
    }

    static gguf_value parse_value(byte_reader& in, std::string_view key) {
        gguf_value value;
        value.element = value.type = parse_type(in, key);
        if (value.type == gguf_type::array) {
            value.element = parse_type(in, key);
            if (value.element == gguf_type::array)
                in.fail("metadata key " + quote(key) + " is an array of arrays, which is not read");
            value.count = in.read<std::uint64_t>("an array's count");
        }
        value.offset = in.offset();
        const std::size_t size = gguf_detail::type_sizes[static_cast<std::size_t>(value.element)];
        in.require_count(value.count, size == 0 ? 8 : size, "element count of metadata key " + quote(key) + ",");
        if (value.element == gguf_type::string) {
            byte_reader ahead = in;
            const std::string what = "a string of metadata key " + quote(key);
            for (std::uint64_t i = 0; i < value.count; ++i)
                ahead.take(ahead.read<std::uint64_t>("a string's length"), what);
            value.bytes = in.take(ahead.offset() - in.offset(), "strings");
        } else {
            value.bytes = in.take(value.count * size, "a metadata value");
        }
        if (value.element == gguf_type::boolean &&
            std::any_of(value.bytes.begin(), value.bytes.end(), [](std::byte b) { return b > std::byte{1}; }))
            in.fail(value.offset, "metadata key " + quote(key) + " holds a bool that is neither 0 nor 1");
        return value;
    }

    void read_alignment(const byte_reader& in) {
        const gguf_value* value = find("general.alignment");
        if (value == nullptr) return;
        if (value->type != gguf_type::u32)
            in.fail(value->offset, "general.alignment is " + std::string(name_of(value->type)) + ", expected u32");
        alignment_ = lab::formats_detail::load<std::uint32_t>(value->bytes.data());
        if (!std::has_single_bit(alignment_))
            in.fail(value->offset, "general.alignment is " + std::to_string(alignment_) + ", expected a power of two");
    }

    static tensor_info parse_tensor(byte_reader& in) {
        tensor_info info;
        info.info_offset = in.offset();
        const auto length = in.read<std::uint64_t>("a tensor name's length");
        if (length == 0 || length > gguf_max_name)
            in.fail(info.info_offset, "a tensor name is " + std::to_string(length) + " bytes long, expected 1 to 63");
        info.tensor.name = as_text(in.take(length, "a tensor name"));
        const auto refuse = [&](const std::string& what, std::string_view fix = {}) {
            in.fail(info.info_offset, "tensor " + quote(info.tensor.name) + " " + what, fix);
        };
        const auto rank = in.read<std::uint32_t>("a tensor's rank");
        if (rank > gguf_max_dimensions) refuse("has " + std::to_string(rank) + " dimensions, at most 4 are allowed");
        for (std::uint32_t d = 0; d < rank; ++d) {
            const auto extent = in.read<std::uint64_t>("a tensor's shape");
            if (extent == 0 || extent > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
                refuse("has the extent " + std::to_string(static_cast<std::int64_t>(extent)) + " in dimension " +
                       std::to_string(d));
            info.tensor.shape.insert(info.tensor.shape.begin(),
                                     static_cast<std::size_t>(extent));  // the file has the innermost first
        }
        const auto id = in.read<std::uint32_t>("a tensor's type");
        const auto known = std::find_if(gguf_detail::tensor_types.begin(), gguf_detail::tensor_types.end(),
                                        [&](const auto& t) { return t.id == id; });
        if (known == gguf_detail::tensor_types.end()) refuse("has the unknown type " + std::to_string(id));
        if (!known->type)
            refuse("is stored as " + std::string(known->name) + ", which is not read",
                   "requantise the model, e.g. to q8_0, q4_k or q4_0");
        info.tensor.type = *known->type;
        try {
            info.size = tensor_bytes(info.tensor.type, info.tensor.shape);
        } catch (const shape_error& fault) {
            refuse("with shape " + to_string(info.tensor.shape) + ": " + fault.what());
        }
        info.offset = in.read<std::uint64_t>("a tensor's offset");
        return info;
    }

    void parse_tensors(byte_reader& in, std::span<const std::byte> bytes, std::uint64_t count,
                       std::vector<std::shared_ptr<const void>> owners) {
        // The least that an entry takes: a length, one byte of name, rank 0, type and offset.
        in.require_count(count, 8 + 1 + 4 + 4 + 8, "tensor count");
        std::vector<tensor_info> infos;
        infos.reserve(static_cast<std::size_t>(count));
        for (std::uint64_t i = 0; i < count; ++i) infos.push_back(parse_tensor(in));

        const std::uint64_t padding = alignment_ - 1, end = bytes.size();
        const std::uint64_t data = (in.offset() + padding) & ~padding;
        std::uint64_t expected = 0;  // at most the file's size, plus padding: cannot wrap
        std::vector<stored_tensor> tensors;
        tensors.reserve(infos.size());
        for (tensor_info& info : infos) {
            const auto refuse = [&](const std::string& what) {
                in.fail(info.info_offset, "tensor " + quote(info.tensor.name) + " " + what);
            };
            if (info.offset != expected)
                refuse("has data offset " + std::to_string(info.offset) + ", expected " + std::to_string(expected) +
                       ": tensors lie in order, each padded to " + std::to_string(alignment_) + " bytes");
            const std::uint64_t left = data <= end && expected <= end - data ? end - data - expected : 0;
            if (info.size > left)
                refuse("(" + std::string(name_of(info.tensor.type)) + " " + to_string(info.tensor.shape) + ") needs " +
                       std::to_string(info.size) + " bytes of data, " + std::to_string(left) +
                       " are left: the file is truncated");
            info.tensor.bytes =
                bytes.subspan(static_cast<std::size_t>(data + expected), static_cast<std::size_t>(info.size));
            expected += (info.size + padding) & ~padding;
            tensors.push_back(std::move(info.tensor));
        }
        weights_ = checkpoint(path_, std::move(tensors), std::move(owners), true);
        const auto name = [&](std::size_t i) -> std::string_view { return weights_.tensors()[i].name; };
        const auto order = weights_.by_name();
        for (std::size_t i = 1; i < order.size(); ++i)
            if (name(order[i]) == name(order[i - 1]))
                in.fail(infos[order[i]].info_offset, "duplicate tensor " + quote(name(order[i])));
    }

    [[noreturn]] void refuse(std::string_view key, const gguf_value& value, std::string_view expected) const {
        std::string found(name_of(value.type));
        if (value.type == gguf_type::array) found += " of " + std::string(name_of(value.element));
        throw format_error(
            explain(at_offset(path_.string(), value.offset),
                    "metadata key " + quote(key) + " is " + found + ", expected " + std::string(expected)));
    }
    [[nodiscard]] const gguf_value* array(std::string_view key, std::string_view of) const {
        const gguf_value* value = find(key);
        if (value != nullptr && value->type != gguf_type::array) refuse(key, *value, "array of " + std::string(of));
        return value;
    }
    template <class T>
    [[nodiscard]] T read_integer(std::string_view key, const gguf_value& value, gguf_type type,
                                 const std::byte* at) const {
        using lab::formats_detail::load;
        const auto narrow = [&](auto number) {
            if (!std::in_range<T>(number))
                throw format_error(explain(at_offset(path_.string(), value.offset),
                                           "metadata key " + quote(key) + " is " + std::to_string(number) +
                                               ", expected " + std::to_string(std::numeric_limits<T>::min()) + " to " +
                                               std::to_string(std::numeric_limits<T>::max())));
            return static_cast<T>(number);
        };
        switch (type) {
            case gguf_type::u8:
                return narrow(static_cast<unsigned>(load<std::uint8_t>(at)));
            case gguf_type::i8:
                return narrow(static_cast<int>(load<std::int8_t>(at)));
            case gguf_type::u16:
                return narrow(static_cast<unsigned>(load<std::uint16_t>(at)));
            case gguf_type::i16:
                return narrow(static_cast<int>(load<std::int16_t>(at)));
            case gguf_type::u32:
                return narrow(load<std::uint32_t>(at));
            case gguf_type::i32:
                return narrow(load<std::int32_t>(at));
            case gguf_type::u64:
                return narrow(load<std::uint64_t>(at));
            case gguf_type::i64:
                return narrow(load<std::int64_t>(at));
            default:
                refuse(key, value, "an integer");
        }
    }
    [[nodiscard]] double read_float(std::string_view key, const gguf_value& value, gguf_type type,
                                    const std::byte* at) const {
        if (type == gguf_type::f32) return static_cast<double>(lab::formats_detail::load<float>(at));
        if (type == gguf_type::f64) return lab::formats_detail::load<double>(at);
        refuse(key, value, "f32 or f64");
    }
    template <class T, class Read>
    [[nodiscard]] std::vector<T> numbers(std::string_view key, std::string_view of, Read read) const {
        std::vector<T> items;
        const gguf_value* value = array(key, of);
        if (value == nullptr) return items;
        const std::size_t size = gguf_detail::type_sizes[static_cast<std::size_t>(value->element)];
        if (size == 0) refuse(key, *value, "array of " + std::string(of));
        items.reserve(static_cast<std::size_t>(value->count));
        for (std::size_t i = 0; i < value->count; ++i) items.push_back(read(*value, value->bytes.data() + i * size));
        return items;
    }

    std::filesystem::path path_;
    std::uint32_t version_ = 0, alignment_ = gguf_default_alignment;
    std::vector<entry> entries_;
    std::vector<std::size_t> by_key_;
    checkpoint weights_;
};

/// The tensors of a GGUF file; see gguf_file for its metadata.
[[nodiscard]] inline checkpoint open_gguf(const std::filesystem::path& path) { return gguf_file(path).weights(); }

}  // namespace lab::formats
