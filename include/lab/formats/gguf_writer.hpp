// Writes GGUF version 3: metadata, then tensors streamed from their producers, padded to the alignment. The file
// appears complete or not at all, and the same calls give the same bytes.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "lab/core/file.hpp"
#include "lab/formats/gguf.hpp"
#include "lab/formats/tensor_source.hpp"

namespace lab::formats {

namespace gguf_detail {

template <class T>
[[nodiscard]] consteval gguf_type type_of() {
    if constexpr (std::is_same_v<T, bool>) {
        return gguf_type::boolean;
    } else if constexpr (std::floating_point<T>) {
        static_assert(sizeof(T) == 4 || sizeof(T) == 8);
        return sizeof(T) == 4 ? gguf_type::f32 : gguf_type::f64;
    } else {
        static_assert(std::integral<T>);
        constexpr std::array signed_types{gguf_type::i8, gguf_type::i16, gguf_type::i32, gguf_type::i64};
        constexpr std::array unsigned_types{gguf_type::u8, gguf_type::u16, gguf_type::u32, gguf_type::u64};
        const auto width = static_cast<std::size_t>(std::countr_zero(sizeof(T)));
        return std::is_signed_v<T> ? signed_types[width] : unsigned_types[width];
    }
}
template <class T>
void append(std::string& out, T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
}
inline void append_string(std::string& out, std::string_view text) {
    append<std::uint64_t>(out, text.size());
    out.append(text);
}

}  // namespace gguf_detail

class gguf_writer {
public:
    /// @param alignment of each tensor's data, a power of two; written to the metadata when it is not the default.
    explicit gguf_writer(std::uint32_t alignment = gguf_default_alignment) : alignment_(alignment) {
        if (!std::has_single_bit(alignment))
            throw config_error(explain("GGUF alignment", std::to_string(alignment) + " is not a power of two"));
        if (alignment != gguf_default_alignment) set("general.alignment", alignment);
    }

    /// Sets a scalar (an existing key keeps its place). The value's C++ type decides the stored type: std::uint32_t
    /// is u32, float is f32, bool is bool.
    template <class T>
    requires std::integral<T> || std::floating_point<T>
    void set(std::string_view key, T value) {
        std::string payload;
        gguf_detail::append(payload, value);
        store(key, gguf_detail::type_of<T>(), std::move(payload));
    }
    void set(std::string_view key, std::string_view value) {
        std::string payload;
        gguf_detail::append_string(payload, value);
        store(key, gguf_type::string, std::move(payload));
    }
    void set(std::string_view key, const char* value) { set(key, std::string_view(value)); }
    /// Sets an array.
    template <class T>
    requires std::integral<T> || std::floating_point<T>
    void set_array(std::string_view key, std::span<const T> values) {
        std::string payload = array_head(gguf_detail::type_of<T>(), values.size());
        for (const T value : values) gguf_detail::append(payload, value);
        store(key, gguf_type::array, std::move(payload));
    }
    template <class T>
    requires std::integral<T> || std::floating_point<T>
    void set_array(std::string_view key, const std::vector<T>& values) {
        std::string payload = array_head(gguf_detail::type_of<T>(), values.size());
        for (const T value : values) gguf_detail::append<T>(payload, value);
        store(key, gguf_type::array, std::move(payload));
    }
    void set_array(std::string_view key, std::span<const std::string> values) {
        std::string payload = array_head(gguf_type::string, values.size());
        for (const std::string& value : values) gguf_detail::append_string(payload, value);
        store(key, gguf_type::array, std::move(payload));
    }
    void set_array(std::string_view key, const std::vector<std::string>& values) {
        set_array(key, std::span<const std::string>(values));
    }
    /// Sets a value as it lies in another file.
    void set(std::string_view key, const gguf_value& value) {
        std::string payload = value.type == gguf_type::array ? array_head(value.element, value.count) : std::string();
        payload.append(as_text(value.bytes));
        store(key, value.type, std::move(payload));
    }
    void erase(std::string_view key) {
        std::erase_if(entries_, [&](const entry& e) { return e.key == key; });
    }

    /// Adds a tensor; tensors are written in the order of these calls.
    /// @throws config_error for a name that is taken, empty or longer than 63 bytes; shape_error for a shape that the
    /// type cannot hold.
    void add(outgoing_tensor tensor) {
        const auto refuse = [&](std::string_view what) {
            throw config_error(explain("tensor " + quote(tensor.name), what));
        };
        if (tensor.name.empty() || tensor.name.size() > gguf_max_name) refuse("GGUF names have 1 to 63 bytes");
        if (tensor.shape.size() > gguf_max_dimensions) refuse("GGUF tensors have at most 4 dimensions");
        if (std::find(tensor.shape.begin(), tensor.shape.end(), std::size_t{0}) != tensor.shape.end())
            refuse("is empty");
        if (std::any_of(tensors_.begin(), tensors_.end(), [&](const auto& other) { return other.name == tensor.name; }))
            refuse("was added before");
        (void)tensor_bytes(tensor.type, tensor.shape);
        tensors_.push_back(std::move(tensor));
    }

    /// @throws io_error; shape_error when a producer gives too few or too many bytes. The target is then untouched.
    void write(const std::filesystem::path& path) const {
        atomic_file file(path);
        file.write(header());
        if (!tensors_.empty()) pad(file);
        for (const outgoing_tensor& tensor : tensors_) {
            produce_exactly(tensor, [&](std::span<const std::byte> bytes) { file.write(bytes); });
            pad(file);
        }
        file.commit();
    }

private:
    struct entry {
        std::string key;
        gguf_type type;
        std::string payload;
    };

    [[nodiscard]] static std::string array_head(gguf_type element, std::uint64_t count) {
        std::string head;
        gguf_detail::append(head, static_cast<std::uint32_t>(element));
        gguf_detail::append(head, count);
        return head;
    }
    void store(std::string_view key, gguf_type type, std::string payload) {
        if (key.empty() || key.size() > gguf_max_key)
            throw config_error(explain("GGUF key " + quote(key), "keys have 1 to 65535 bytes"));
        const auto at = std::find_if(entries_.begin(), entries_.end(), [&](const entry& e) { return e.key == key; });
        if (at != entries_.end())
            *at = {std::string(key), type, std::move(payload)};
        else
            entries_.push_back({std::string(key), type, std::move(payload)});
    }
    [[nodiscard]] std::string header() const {
        using gguf_detail::append;
        std::string out = "GGUF";
        append<std::uint32_t>(out, 3);
        append<std::uint64_t>(out, tensors_.size());
        append<std::uint64_t>(out, entries_.size());
        for (const entry& e : entries_) {
            gguf_detail::append_string(out, e.key);
            append(out, static_cast<std::uint32_t>(e.type));
            out += e.payload;
        }
        std::uint64_t offset = 0;
        for (const outgoing_tensor& tensor : tensors_) {
            gguf_detail::append_string(out, tensor.name);
            append(out, static_cast<std::uint32_t>(tensor.shape.size()));
            for (auto extent = tensor.shape.rbegin(); extent != tensor.shape.rend(); ++extent)
                append<std::uint64_t>(out, *extent);
            append(out, gguf_detail::tensor_type_id(tensor.type));
            append(out, offset);
            offset += (tensor_bytes(tensor.type, tensor.shape) + alignment_ - 1) & ~std::uint64_t{alignment_ - 1};
        }
        return out;
    }
    void pad(atomic_file& file) const {
        const std::size_t over = file.written() & (alignment_ - 1);
        if (over != 0) file.write(std::string(alignment_ - over, '\0'));
    }

    std::uint32_t alignment_;
    std::vector<entry> entries_;
    std::vector<outgoing_tensor> tensors_;
};

}  // namespace lab::formats
