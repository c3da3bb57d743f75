// One ragged batch: the tokens of several sequences laid end to end, and where their keys and values are found.
// It is the only batch type: training, prefill and decoding differ in their numbers, not in their code.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "lab/core/dtype.hpp"
#include "lab/core/token.hpp"

namespace lab {

/// Keys and values are attended in blocks of this many absolute positions, partial results merged left to right,
/// so that a token's output does not depend on how its prefix was cut into batches.
inline constexpr std::size_t kv_block_size = 64;

struct ragged_batch {
    std::span<const token> tokens;               // [tokens]
    std::span<const std::int32_t> positions;     // [tokens] absolute position of each within its sequence, from 0
    std::span<const std::uint32_t> seq_offsets;  // [sequences + 1] first token of each; the last is tokens.size()

    [[nodiscard]] std::size_t size() const noexcept { return tokens.size(); }
    [[nodiscard]] std::size_t sequences() const noexcept { return seq_offsets.empty() ? 0 : seq_offsets.size() - 1; }
};

/// The keys and values one sequence may attend to, as blocks of `kv_block_size` positions: block b holds positions
/// [64 b, 64 b + 64), each row [kv_heads, head_dim]. `length` counts the valid positions, the batch's own included.
/// Blocks that lie wholly outside a sliding window may be null.
template <class S>
struct kv_sequence {
    std::span<S* const> keys;    // [blocks] -> [64, kv_heads, head_dim]
    std::span<S* const> values;  // [blocks] -> [64, kv_heads, head_dim]
    std::int32_t length = 0;
};

/// The elements of one layer in a block of a cache: keys [kv_heads, head_dim, 64], turned so that a register holds one
/// dimension of many positions, then values [kv_heads, 64, padded head_dim], zeros beyond head_dim. In q8_0, elements
/// are levels of 8 bits, and after them come the scales in f16, one for each 32 dimensions of a position (fewer in the
/// last group): of keys [kv_heads, groups, 64], of values [kv_heads, 64, groups].
struct kv_block_shape {
    std::size_t kv_heads, head_dim;

    [[nodiscard]] constexpr std::size_t padded() const noexcept { return (head_dim + 15) / 16 * 16; }
    /// Offsets of a head's keys and values, in elements, and the size of it all.
    [[nodiscard]] constexpr std::size_t keys(std::size_t head) const noexcept {
        return head * head_dim * kv_block_size;
    }
    [[nodiscard]] constexpr std::size_t values(std::size_t head) const noexcept {
        return keys(kv_heads) + head * kv_block_size * padded();
    }
    [[nodiscard]] constexpr std::size_t size() const noexcept { return values(kv_heads); }
    /// Of q8_0, the same of the scales, in scales.
    [[nodiscard]] constexpr std::size_t groups() const noexcept { return (head_dim + 31) / 32; }
    [[nodiscard]] constexpr std::size_t key_scales(std::size_t head) const noexcept {
        return head * groups() * kv_block_size;
    }
    [[nodiscard]] constexpr std::size_t value_scales(std::size_t head) const noexcept {
        return key_scales(kv_heads + head);
    }
    /// Bytes of it all, where an element of f32 takes `scalar` bytes.
    [[nodiscard]] constexpr std::size_t bytes(dtype type, std::size_t scalar = 4) const noexcept {
        if (type == dtype::q8_0) return size() + 2 * value_scales(kv_heads);
        return size() * (type == dtype::f32 ? scalar : 2);
    }
};

/// One layer of a cache as the sequences of a batch see it. Sequence s has blocks [first_block[s], first_block[s + 1])
/// of `blocks`, each of 64 positions and all layers; this one's kv_block_shape begins `offset` bytes in. Blocks that
/// lie outside a sliding window may be null.
struct cached_layer {
    std::span<std::byte* const> blocks;
    std::span<const std::uint32_t> first_block;  // [sequences + 1]
    std::size_t offset = 0;
    dtype type = dtype::f32;  // of the elements: f32 (or the backend's scalar), f16, bf16 or q8_0

    [[nodiscard]] std::byte* block(std::size_t sequence, std::size_t b) const noexcept {
        return blocks[first_block[sequence] + b];
    }
};

}  // namespace lab
