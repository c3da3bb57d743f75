// Dense row-major arrays: `view` (pointer + extents, non-owning) and `tensor` (the same, owning, 64-byte aligned).
// Both are contiguous; there are no strides and no lazy expressions. Rank is a compile-time number, sizes are data.
#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "lab/core/error.hpp"

namespace lab {

template <std::size_t Rank>
using extents = std::array<std::size_t, Rank>;

/// a * b, or shape_error where it does not fit in size_t.
[[nodiscard]] constexpr std::size_t checked_mul(std::size_t a, std::size_t b) {
    if (a != 0 && b > std::numeric_limits<std::size_t>::max() / a)
        throw shape_error("size overflows: " + std::to_string(a) + " x " + std::to_string(b));
    return a * b;
}

/// "[2, 3]"
[[nodiscard]] inline std::string to_string(std::span<const std::size_t> shape) {
    std::string text = "[";
    for (std::size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
    return text + "]";
}

template <std::size_t Rank>
[[nodiscard]] constexpr std::size_t element_count(const extents<Rank>& e) {
    std::size_t n = 1;
    for (const std::size_t x : e) n = checked_mul(n, x);
    return n;
}

/// A non-owning row-major array of `Rank` dimensions. Copying copies the pointer; constness of T is the data's.
template <class T, std::size_t Rank = 2>
class view {
public:
    using element_type = T;
    static constexpr std::size_t rank = Rank;

    constexpr view() = default;
    constexpr view(T* data, const extents<Rank>& shape) : data_(data), shape_(shape) {}
    /// A view of mutable data reads as a view of const data.
    template <class U>
    requires(std::is_same_v<const U, T> && !std::is_same_v<U, T>) constexpr view(const view<U, Rank>& other)
        : data_(other.data()), shape_(other.shape()) {}

    [[nodiscard]] constexpr T* data() const noexcept { return data_; }
    [[nodiscard]] constexpr const extents<Rank>& shape() const noexcept { return shape_; }
    [[nodiscard]] constexpr std::size_t extent(std::size_t dimension) const noexcept { return shape_[dimension]; }
    [[nodiscard]] constexpr std::size_t size() const noexcept {
        std::size_t n = 1;
        for (const std::size_t x : shape_) n *= x;
        return n;
    }
    [[nodiscard]] constexpr std::span<T> flat() const noexcept { return {data_, size()}; }

    /// Element at the given index of every dimension.
    template <class... I>
    requires(sizeof...(I) == Rank) [[nodiscard]] constexpr T& operator()(I... index) const noexcept {
        std::size_t offset = 0, dimension = 0;
        ((assert(static_cast<std::size_t>(index) < shape_[dimension]),
          offset = offset * shape_[dimension++] + static_cast<std::size_t>(index)),
         ...);
        return data_[offset];  // NOLINT(clang-analyzer-core.uninitialized.UndefReturn): an empty view has no index
    }

    /// The sub-array at index `i` of the first dimension.
    [[nodiscard]] constexpr auto operator[](std::size_t i) const noexcept {
        assert(i < shape_[0]);
        if constexpr (Rank == 1) {
            return std::ref(data_[i]);
        } else {
            extents<Rank - 1> inner{};
            std::size_t stride = 1;
            for (std::size_t d = 1; d < Rank; ++d) stride *= inner[d - 1] = shape_[d];
            return view<T, Rank - 1>(data_ + i * stride, inner);
        }
    }
    /// Row `i` of a matrix as a span.
    [[nodiscard]] constexpr std::span<T> row(std::size_t i) const noexcept requires(Rank == 2) {
        assert(i < shape_[0]);
        return {data_ + i * shape_[1], shape_[1]};
    }
    /// Entries [begin, end) of the first dimension.
    [[nodiscard]] constexpr view slice(std::size_t begin, std::size_t end) const noexcept {
        assert(begin <= end && end <= shape_[0]);
        std::size_t stride = 1;
        for (std::size_t d = 1; d < Rank; ++d) stride *= shape_[d];
        extents<Rank> part = shape_;
        part[0] = end - begin;
        return {data_ + begin * stride, part};
    }
    /// The same elements under another shape of equal size.
    template <std::size_t NewRank>
    [[nodiscard]] constexpr view<T, NewRank> reshape(const extents<NewRank>& shape) const noexcept {
        assert(element_count(shape) == size());
        return {data_, shape};
    }

private:
    T* data_ = nullptr;
    extents<Rank> shape_{};
};

/// Cache-line aligned storage for trivially destructible elements; zero-initialised.
template <class T>
class aligned_buffer {
    static_assert(std::is_trivially_destructible_v<T>);

public:
    static constexpr std::size_t alignment = 64;

    aligned_buffer() = default;
    explicit aligned_buffer(std::size_t count) : size_(count) {
        const std::size_t bytes = checked_mul(count, sizeof(T));
        if (count == 0) return;
        data_.reset(static_cast<T*>(::operator new (bytes, std::align_val_t{alignment})));
        std::uninitialized_value_construct_n(data_.get(), count);
    }
    [[nodiscard]] T* data() const noexcept { return data_.get(); }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
    struct release {
        void operator()(T* p) const noexcept { ::operator delete (p, std::align_val_t{alignment}); }
    };
    std::unique_ptr<T, release> data_;
    std::size_t size_ = 0;
};

/// An owning row-major array; moves, never copies by accident (see `clone`).
template <class T, std::size_t Rank = 2>
class tensor {
public:
    tensor() = default;
    explicit tensor(const extents<Rank>& shape) : buffer_(element_count(shape)), shape_(shape) {}
    tensor(tensor&& other) noexcept
        : buffer_(std::move(other.buffer_)), shape_(std::exchange(other.shape_, extents<Rank>{})) {}
    tensor& operator=(tensor&& other) noexcept {
        buffer_ = std::move(other.buffer_);
        shape_ = std::exchange(other.shape_, extents<Rank>{});
        return *this;
    }

    [[nodiscard]] view<T, Rank> get() noexcept { return {buffer_.data(), shape_}; }
    [[nodiscard]] view<const T, Rank> get() const noexcept { return {buffer_.data(), shape_}; }
    operator view<T, Rank>() noexcept { return get(); }
    operator view<const T, Rank>() const noexcept { return get(); }

    [[nodiscard]] T* data() noexcept { return buffer_.data(); }
    [[nodiscard]] const T* data() const noexcept { return buffer_.data(); }
    [[nodiscard]] const extents<Rank>& shape() const noexcept { return shape_; }
    [[nodiscard]] std::size_t extent(std::size_t dimension) const noexcept { return shape_[dimension]; }
    [[nodiscard]] std::size_t size() const noexcept { return get().size(); }
    [[nodiscard]] std::span<T> flat() noexcept { return get().flat(); }
    [[nodiscard]] std::span<const T> flat() const noexcept { return get().flat(); }

    template <class... I>
    [[nodiscard]] T& operator()(I... index) noexcept {
        return get()(index...);
    }
    template <class... I>
    [[nodiscard]] const T& operator()(I... index) const noexcept {
        return get()(index...);
    }

    [[nodiscard]] tensor clone() const {
        tensor copy(shape_);
        for (std::size_t i = 0; i < size(); ++i) copy.data()[i] = data()[i];
        return copy;
    }

private:
    aligned_buffer<T> buffer_;
    extents<Rank> shape_{};
};

/// @throws shape_error naming the tensor and both shapes.
template <std::size_t Rank>
void require_shape(std::string_view name, const extents<Rank>& actual, const extents<Rank>& expected) {
    if (actual != expected)
        throw shape_error(explain(name, "has shape " + to_string(actual) + ", expected " + to_string(expected)));
}

}  // namespace lab
