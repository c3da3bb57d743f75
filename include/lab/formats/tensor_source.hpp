// What every weight file boils down to: named tensors whose bytes lie in mapped files (`checkpoint`), and the same
// seen from a writer (`outgoing_tensor`). The bytes of a safetensors file may lie at any address: copy, or decode
// through core/dtype.hpp, before reading them as floats in place.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/dtype.hpp"
#include "lab/core/error.hpp"
#include "lab/core/file.hpp"
#include "lab/core/function_ref.hpp"
#include "lab/core/tensor.hpp"

namespace lab::formats {

/// Elements of a shape. @throws shape_error where the extents' product overflows, also when a zero would hide it.
[[nodiscard]] inline std::size_t element_count(std::span<const std::size_t> shape) {
    std::size_t n = 1;
    bool empty = false;
    for (const std::size_t x : shape) x == 0 ? void(empty = true) : void(n = checked_mul(n, x));
    return empty ? 0 : n;
}

/// Bytes of a tensor; a shape of rank 0 is one element.
/// @throws shape_error on overflow, or when the innermost extent is not a multiple of the format's block.
[[nodiscard]] inline std::size_t tensor_bytes(dtype type, std::span<const std::size_t> shape) {
    const std::size_t columns = shape.empty() ? 1 : shape.back();
    if (columns % block_size(type) != 0)
        throw shape_error("rows of " + std::to_string(columns) + " elements cannot be stored as " +
                          std::string(name_of(type)) + ": blocks hold " + std::to_string(block_size(type)));
    return checked_mul(element_count(shape) / block_size(type), block_bytes(type));
}

/// A tensor in a file. `shape` is row-major, outermost first; `bytes` are tensor_bytes(type, shape) long.
struct stored_tensor {
    std::string name;
    dtype type = dtype::f32;
    std::vector<std::size_t> shape;
    std::span<const std::byte> bytes;
};

/// The tensor's elements as floats.
[[nodiscard]] inline std::vector<float> to_floats(const stored_tensor& tensor) {
    std::vector<float> values(element_count(tensor.shape));
    decode(tensor.type, tensor.bytes.data(), values.data(), values.size());
    return values;
}

/// The indexes below `count`, sorted by text_of(index); equal texts by index.
[[nodiscard]] inline std::vector<std::size_t> order_of(std::size_t count,
                                                       function_ref<std::string_view(std::size_t)> text_of) {
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        const int difference = text_of(a).compare(text_of(b));
        return difference != 0 ? difference < 0 : a < b;
    });
    return order;
}

/// Tensors by name, and shared ownership of the memory they lie in. Copies share.
class checkpoint {
public:
    checkpoint() : checkpoint({}, {}, {}) {}
    /// @param owners keep the tensors' bytes alive. Names are unique (the file readers see to that).
    /// @param mapped says that all bytes lie in mapped files.
    checkpoint(std::filesystem::path path, std::vector<stored_tensor> tensors,
               std::vector<std::shared_ptr<const void>> owners, bool mapped = false) {
        auto content = std::make_shared<data>();
        content->path = std::move(path);
        content->tensors = std::move(tensors);
        content->owners = std::move(owners);
        content->mapped = mapped;
        content->by_name = order_of(content->tensors.size(),
                                    [&](std::size_t i) -> std::string_view { return content->tensors[i].name; });
        data_ = std::move(content);
    }

    [[nodiscard]] const std::filesystem::path& path() const noexcept { return data_->path; }
    /// In the file's order. Not of a temporary: `for (auto& t : open_gguf(path).tensors())` would dangle.
    [[nodiscard]] std::span<const stored_tensor> tensors() const& noexcept { return data_->tensors; }
    std::span<const stored_tensor> tensors() const&& = delete;
    /// Indexes of `tensors()` in the order of their names; of equal names by the index.
    [[nodiscard]] std::span<const std::size_t> by_name() const& noexcept { return data_->by_name; }
    std::span<const std::size_t> by_name() const&& = delete;
    /// The tensor called `name`, or nullptr.
    [[nodiscard]] const stored_tensor* find(std::string_view name) const noexcept {
        const auto at = std::lower_bound(data_->by_name.begin(), data_->by_name.end(), name,
                                         [&](std::size_t i, std::string_view n) { return data_->tensors[i].name < n; });
        return at != data_->by_name.end() && data_->tensors[*at].name == name ? &data_->tensors[*at] : nullptr;
    }
    /// @throws format_error naming file and tensor.
    [[nodiscard]] const stored_tensor& require(std::string_view name) const {
        const stored_tensor* tensor = find(name);
        if (tensor == nullptr)
            throw format_error(explain(path().string(), "tensor '" + std::string(name) + "' is missing"));
        return *tensor;
    }

    /// Frees the memory of a tensor's bytes where they can be read from their file again.
    void forget(std::span<const std::byte> bytes) const {
        if (data_->mapped) forget_pages(bytes);
    }

private:
    struct data {
        std::filesystem::path path;
        std::vector<stored_tensor> tensors;
        std::vector<std::size_t> by_name;
        std::vector<std::shared_ptr<const void>> owners;
        bool mapped = false;
    };
    std::shared_ptr<const data> data_;
};

/// Takes the next bytes of a tensor that is being written.
using byte_sink = function_ref<void(std::span<const std::byte>)>;

/// A tensor to be written: `produce` passes its bytes, in order and in pieces of any size, to the sink. It is called
/// once for each write of the file, so nothing needs to be held in memory until then.
struct outgoing_tensor {
    std::string name;
    dtype type = dtype::f32;
    std::vector<std::size_t> shape;
    std::function<void(byte_sink)> produce;

    /// A tensor whose bytes exist already; they must outlive the writing.
    [[nodiscard]] static outgoing_tensor of(std::string name, dtype type, std::vector<std::size_t> shape,
                                            std::span<const std::byte> bytes) {
        return {std::move(name), type, std::move(shape), [bytes](byte_sink sink) { sink(bytes); }};
    }
};

/// Runs the producer and checks that it gives exactly the bytes that type and shape demand.
/// @throws shape_error naming the tensor.
inline void produce_exactly(const outgoing_tensor& tensor, byte_sink sink) {
    const std::size_t expected = tensor_bytes(tensor.type, tensor.shape);
    std::size_t given = 0;
    const auto mismatch = [&] {
        throw shape_error(explain("tensor '" + tensor.name + "'", "its producer gave " + std::to_string(given) +
                                                                      " bytes, " + std::string(name_of(tensor.type)) +
                                                                      " " + to_string(tensor.shape) + " needs " +
                                                                      std::to_string(expected)));
    };
    const auto counted = [&](std::span<const std::byte> bytes) {
        given += bytes.size();
        if (given > expected) mismatch();
        sink(bytes);
    };
    tensor.produce(counted);
    if (given != expected) mismatch();
}

}  // namespace lab::formats
