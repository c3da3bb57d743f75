// Per-thread working memory of the kernels: each purpose has its own buffer, which grows to the largest size asked of
// it and is kept, so that nothing is allocated once a thread has seen its largest call.
#pragma once

#include <cstddef>

#include "lab/core/tensor.hpp"

namespace lab::kernels {

/// What a buffer is for; buffers of different purposes may be in use at the same time.
enum class purpose {
    packed_a,
    packed_b,
    decoded,
    scales,
    scores,
    queries,
    keys,
    partial,
    split,
    order,
    logits,
    gathered,
    gradient
};

/// At least `count` elements, 64-byte aligned, content unspecified; valid until this thread's next call for the same
/// purpose and type.
template <purpose P, class T = float>
[[nodiscard]] T* scratch(std::size_t count) {
    thread_local aligned_buffer<T> buffer;
    if (count > buffer.size()) {
        buffer = {};
        buffer = aligned_buffer<T>(count + count / 4);
    }
    return buffer.data();
}

}  // namespace lab::kernels
