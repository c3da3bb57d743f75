// Aligned memory of a test program (tensors, blocks of a cache), watched: included by one of its sources, this takes
// the place of the aligned operator new.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace lab::test {
inline std::atomic<std::size_t> heap_bytes = 0;           // asked for so far, by all threads
inline std::atomic<std::ptrdiff_t> heap_until_fault = 0;  // the n-th allocation from now on fails; 0: none

/// @throws std::bad_alloc for no memory
inline void* counted(void* memory, std::size_t bytes) {
    if (memory == nullptr) throw std::bad_alloc();
    heap_bytes += bytes;
    return memory;
}
}  // namespace lab::test

void* operator new(std::size_t bytes, std::align_val_t alignment) {
    const auto grain = static_cast<std::size_t>(alignment);
    if (lab::test::heap_until_fault > 0 && --lab::test::heap_until_fault == 0) throw std::bad_alloc();
    return lab::test::counted(std::aligned_alloc(grain, (bytes + grain - 1) / grain * grain), bytes);
}
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
