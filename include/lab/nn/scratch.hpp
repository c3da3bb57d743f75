// Buffers for intermediate results: each grows to the largest size asked of it and is then reused, so that a model
// allocates nothing per token once it has seen its largest batch.
#pragma once

#include <algorithm>
#include <cstddef>

#include "lab/core/tensor.hpp"

namespace lab::nn {

/// One reusable buffer. Its content is unspecified after `shaped`.
template <class S>
class scratch {
public:
    /// A view of the given shape, valid until the next call.
    template <std::size_t Rank>
    [[nodiscard]] view<S, Rank> shaped(const extents<Rank>& shape) {
        const std::size_t count = element_count(shape);
        if (count > buffer_.size()) {
            const std::size_t grown = std::max(count, buffer_.size() + buffer_.size() / 2);
            buffer_ = {};  // release first: old and new need not exist together
            buffer_ = aligned_buffer<S>(grown);
        }
        return {buffer_.data(), shape};
    }
    [[nodiscard]] view<S> matrix(std::size_t rows, std::size_t columns) { return shaped<2>({rows, columns}); }

private:
    aligned_buffer<S> buffer_;
};

}  // namespace lab::nn
