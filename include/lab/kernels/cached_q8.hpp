// Keys and values cached in q8_0: stored as levels of 8 bits with a scale per 32 dimensions (core/batch.hpp:
// kv_block_shape), and decoded block by block for attention.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "lab/core/batch.hpp"
#include "lab/core/half.hpp"
#include "lab/core/quantize.hpp"
#include "lab/kernels/attention_tiles.hpp"
#include "lab/kernels/panels.hpp"
#include "lab/kernels/scratch.hpp"
#include "lab/kernels/simd.hpp"

namespace lab::kernels {
inline namespace LAB_ISA {

namespace detail {

[[nodiscard]] inline f16* q8_scales(std::byte* block, const kv_block_shape& shape) {
    return reinterpret_cast<f16*>(block + shape.size());
}

/// Puts the key and the value [head_dim] of a head at position t of a block.
inline void store_q8(std::byte* block, const kv_block_shape& shape, std::size_t head, std::size_t t, const float* key,
                     const float* value) {
    constexpr std::size_t scale_bytes = 2, group = 32;
    f16* scales = q8_scales(block, shape);
    std::byte *keys = block + shape.keys(head) + t, *values = block + shape.values(head) + t * shape.padded();
    for (std::size_t g = 0; g < shape.groups(); ++g) {
        const std::size_t first = g * group, count = std::min(group, shape.head_dim - first);
        float terms[group] = {};
        std::byte encoded[scale_bytes + group];
        std::copy_n(key + first, count, terms);
        encode_block(format::q8_0{}, terms, encoded);
        std::memcpy(scales + shape.key_scales(head) + g * kv_block_size + t, encoded, scale_bytes);
        for (std::size_t d = 0; d < count; ++d) keys[(first + d) * kv_block_size] = encoded[scale_bytes + d];
        std::copy_n(value + first, count, terms);
        encode_block(format::q8_0{}, terms, encoded);
        std::memcpy(scales + shape.value_scales(head) + t * shape.groups() + g, encoded, scale_bytes);
        std::memcpy(values + first, encoded + scale_bytes, std::min(group, shape.padded() - first));
    }
}

/// Blocks of such a cache as attention reads them (attention.hpp: float_rows), decoded into `room`.
template <class Arch>
struct q8_rows {
    const cached_layer* layer;
    kv_block_shape shape;

    [[nodiscard]] const void* id(std::size_t s, std::size_t b) const { return layer->block(s, b); }
    [[nodiscard]] const float* keys(std::size_t s, std::size_t b, std::size_t head, float* room) const {
        std::byte* block = layer->block(s, b) + layer->offset;
        const std::byte* levels = block + shape.keys(head);
        const f16* scales = q8_scales(block, shape) + shape.key_scales(head);
        for (std::size_t first = 0; first < shape.head_dim; first += 32, scales += kv_block_size)
            for (std::size_t t = 0; t < kv_block_size; t += 16) {
                const auto scale = load_elements<Arch>(scales + t);
                for (std::size_t d = first; d < std::min(first + 32, shape.head_dim); ++d)
                    (to_float(load_stored_bytes<Arch, true>(levels + d * kv_block_size + t)) * scale)
                        .store(room + d * kv_block_size + t);
            }
        return room;
    }
    [[nodiscard]] std::pair<const float*, std::size_t> values(std::size_t s, std::size_t b, std::size_t head,
                                                              float* room) const {
        std::byte* block = layer->block(s, b) + layer->offset;
        const std::byte* levels = block + shape.values(head);
        const f16* stored = q8_scales(block, shape) + shape.value_scales(head);
        const std::size_t groups = shape.groups(), padded = shape.padded();
        float* scales = scratch<purpose::scales>(kv_block_size * groups);
        for (std::size_t i = 0; i < kv_block_size * groups; i += 16) load_elements<Arch>(stored + i).store(scales + i);
        for (std::size_t t = 0; t < kv_block_size; ++t)
            for (std::size_t d = 0; d < padded; d += 16) {
                const auto scale = f32x16<Arch>::broadcast(scales[t * groups + d / 32]);
                (to_float(load_stored_bytes<Arch, true>(levels + t * padded + d)) * scale).store(room + t * padded + d);
            }
        return {room, padded};
    }
};

}  // namespace detail

}  // namespace LAB_ISA
}  // namespace lab::kernels
