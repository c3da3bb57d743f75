// Keys and values of many sequences in blocks of 64 positions (paged attention, Kwon et al. 2023, arXiv:2309.06180).
// A block holds all layers' keys and values of its positions. Blocks are reference-counted: `fork` shares a prefix,
// and a shared block is copied only when one of its owners writes to it. Not thread-safe; one cache per engine.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "lab/core/batch.hpp"
#include "lab/core/dtype.hpp"
#include "lab/core/error.hpp"
#include "lab/core/tensor.hpp"

namespace lab::nn {

/// Names a sequence within its cache; ids of released sequences are used again.
using sequence_id = std::uint32_t;

struct kv_cache_options {
    static constexpr std::size_t unbounded = static_cast<std::size_t>(-1);  // for who bounds what is kept himself

    std::size_t max_bytes = std::size_t{1} << 30;  // bound of all blocks together; memory is taken as it is needed
    dtype type = dtype::f32;                       // of the elements: f32, f16, bf16 or q8_0
};

template <class S>
class kv_cache {
public:
    /// @throws config_error when not even one block fits in `max_bytes`, for other types of elements, or where a block
    /// holds nothing.
    kv_cache(std::size_t layers, std::size_t kv_heads, std::size_t head_dim, std::size_t window,
             kv_cache_options options = {})
        : layers_(layers), window_(window), type_(options.type) {
        const bool smaller = type_ == dtype::f16 || type_ == dtype::bf16 || type_ == dtype::q8_0;
        if (type_ != dtype::f32 && !(std::is_same_v<S, float> && smaller))
            throw config_error(
                explain("kv cache", "cannot hold " + std::string(name_of(type_)), "f32, f16, bf16 or q8_0"));
        const kv_block_shape shape{kv_heads, head_dim};
        static_cast<void>(
            checked_mul(checked_mul(kv_block_size, sizeof(S)), checked_mul(kv_heads, checked_mul(2, shape.padded()))));
        layer_bytes_ = shape.bytes(type_, sizeof(S));
        block_bytes_ = checked_mul(layers_, layer_bytes_);
        if (block_bytes_ == 0) throw config_error(explain("kv cache", "it needs layers, heads and a dimension"));
        max_blocks_ = options.max_bytes / block_bytes_;
        if (max_blocks_ == 0)
            throw config_error(explain("kv cache", "one block needs " + std::to_string(block_bytes_) + " bytes",
                                       "max_bytes is only " + std::to_string(options.max_bytes)));
    }

    [[nodiscard]] dtype type() const { return type_; }
    [[nodiscard]] std::size_t block_bytes() const { return block_bytes_; }
    /// Where a layer begins in a block, in bytes (core/batch.hpp: cached_layer).
    [[nodiscard]] std::size_t layer_offset(std::size_t layer) const { return layer * layer_bytes_; }
    [[nodiscard]] std::size_t max_blocks() const { return max_blocks_; }
    [[nodiscard]] std::size_t used_blocks() const { return storage_.size() - free_.size(); }
    [[nodiscard]] std::size_t free_blocks() const { return max_blocks_ - used_blocks(); }

    /// A new empty sequence.
    [[nodiscard]] sequence_id create() {
        if (!free_ids_.empty()) {
            const sequence_id id = free_ids_.back();
            free_ids_.pop_back();
            sequences_[id] = {};
            sequences_[id].live = true;
            return id;
        }
        sequences_.emplace_back();
        sequences_.back().live = true;
        return static_cast<sequence_id>(sequences_.size() - 1);
    }
    /// A new sequence that shares the first `length` positions of `from`.
    /// @throws config_error when `from` is shorter, or a sliding window has dropped positions that the fork needs.
    [[nodiscard]] sequence_id fork(sequence_id from, std::int32_t length) {
        const auto& source = at(from);
        if (length < 0 || length > source.length)
            throw config_error(explain("kv cache", "cannot fork " + std::to_string(length) +
                                                       " positions of a sequence of " + std::to_string(source.length)));
        require_window(source, length);
        const sequence_id id = create();
        auto& target = sequences_[id];
        const auto& blocks = sequences_[from].blocks;  // `create` may have moved the table
        target.length = length;
        target.dropped = std::min(sequences_[from].dropped, blocks_for(length));
        target.blocks.assign(blocks.begin(), blocks.begin() + static_cast<std::ptrdiff_t>(blocks_for(length)));
        for (const auto block : target.blocks)
            if (block != no_block) ++references_[block];
        return id;
    }
    /// Forgets the positions from `length` on.
    /// @throws config_error when a sliding window has dropped positions that are needed to go on from there.
    void truncate(sequence_id id, std::int32_t length) {
        auto& s = at(id);
        if (length < 0 || length > s.length)
            throw config_error(explain("kv cache", "cannot truncate a sequence of " + std::to_string(s.length) +
                                                       " to " + std::to_string(length)));
        require_window(s, length);
        while (s.blocks.size() > blocks_for(length)) {
            drop(s.blocks.back());
            s.blocks.pop_back();
        }
        s.length = length;
        s.dropped = std::min(s.dropped, s.blocks.size());
    }
    void release(sequence_id id) {
        auto& s = at(id);
        for (const auto block : s.blocks) drop(block);
        s = {};
        free_ids_.push_back(id);
    }
    [[nodiscard]] std::int32_t length(sequence_id id) const { return at(id).length; }

    /// Blocks that appending `count` positions would take from the pool (copies of shared blocks included).
    [[nodiscard]] std::size_t blocks_needed(sequence_id id, std::size_t count) const {
        const auto& s = at(id);
        if (count == 0) return 0;
        const auto last = static_cast<std::size_t>(s.length) + count;
        const std::size_t fresh = (last + kv_block_size - 1) / kv_block_size - s.blocks.size();
        return fresh + static_cast<std::size_t>(ends_shared(s));
    }
    /// Makes room for `count` more positions and counts them as present: what `model::forward` does before writing.
    /// Either everything is reserved or nothing.
    /// @throws config_error when the cache is full.
    void extend(sequence_id id, std::size_t count) {
        auto& s = at(id);
        const std::size_t needed = blocks_needed(id, count);
        if (needed > free_blocks())
            throw config_error(explain("kv cache",
                                       "needs " + std::to_string(needed) + " more blocks, " +
                                           std::to_string(free_blocks()) + " of " + std::to_string(max_blocks_) +
                                           " are free",
                                       "release sequences or raise max_bytes"));
        if (count > static_cast<std::size_t>(INT32_MAX - s.length))
            throw config_error("kv cache: a sequence is limited to 2^31 - 1 positions");
        if (count != 0 && ends_shared(s)) {
            const block_id copy = take();
            std::copy_n(storage_[s.blocks.back()].data(), block_bytes_, storage_[copy].data());
            drop(s.blocks.back());
            s.blocks.back() = copy;
        }
        const std::int32_t length = s.length + static_cast<std::int32_t>(count);
        const std::size_t held = s.blocks.size();
        try {
            while (s.blocks.size() < blocks_for(length)) s.blocks.push_back(take());
        } catch (...) {
            for (; s.blocks.size() > held; s.blocks.pop_back()) drop(s.blocks.back());
            throw;
        }
        s.length = length;
    }
    /// Gives back the blocks that no later position of the sequence can see. Nothing without a window.
    void drop_outside_window(sequence_id id) {
        auto& s = at(id);
        if (window_ == 0 || static_cast<std::size_t>(s.length) + 1 <= window_) return;
        const std::size_t first_visible = (static_cast<std::size_t>(s.length) + 1 - window_) / kv_block_size;
        for (; s.dropped < first_visible && s.dropped < s.blocks.size(); ++s.dropped) {
            drop(s.blocks[s.dropped]);
            s.blocks[s.dropped] = no_block;
        }
    }

    [[nodiscard]] std::size_t block_count(sequence_id id) const { return at(id).blocks.size(); }
    /// Block `b` of a sequence, all layers; null when the window has dropped it.
    [[nodiscard]] std::byte* block(sequence_id id, std::size_t b) {
        const block_id which = at(id).blocks[b];
        return which == no_block ? nullptr : storage_[which].data();
    }

private:
    using block_id = std::uint32_t;
    static constexpr block_id no_block = static_cast<block_id>(-1);
    struct sequence {
        std::vector<block_id> blocks;
        std::int32_t length = 0;
        std::size_t dropped = 0;  // leading blocks given back by the window
        bool live = false;
    };

    [[nodiscard]] static std::size_t blocks_for(std::int32_t length) {
        return (static_cast<std::size_t>(length) + kv_block_size - 1) / kv_block_size;
    }
    [[nodiscard]] const sequence& at(sequence_id id) const {
        if (id >= sequences_.size() || !sequences_[id].live)
            throw config_error(explain("kv cache", "there is no sequence " + std::to_string(id)));
        return sequences_[id];
    }
    [[nodiscard]] sequence& at(sequence_id id) { return const_cast<sequence&>(std::as_const(*this).at(id)); }
    /// The last block has room, and another sequence holds it too.
    [[nodiscard]] bool ends_shared(const sequence& s) const {
        return static_cast<std::size_t>(s.length) % kv_block_size != 0 && references_[s.blocks.back()] > 1;
    }
    /// The next position after `length` sees (length - window, length]; its blocks must still be there.
    void require_window(const sequence& s, std::int32_t length) const {
        const auto next = static_cast<std::size_t>(length);
        const std::size_t first = window_ == 0 || next + 1 <= window_ ? 0 : (next + 1 - window_) / kv_block_size;
        if (length != 0 && first < s.dropped)
            throw config_error(
                explain("kv cache",
                        "the sliding window has dropped positions before " + std::to_string(s.dropped * kv_block_size),
                        "start the sequence again"));
    }
    [[nodiscard]] block_id take() {
        block_id id;
        if (!free_.empty()) {
            id = free_.back();
            free_.pop_back();
        } else {
            references_.push_back(0);
            storage_.emplace_back(block_bytes_);
            id = static_cast<block_id>(storage_.size() - 1);
        }
        references_[id] = 1;
        return id;
    }
    void drop(block_id id) {
        if (id != no_block && --references_[id] == 0) free_.push_back(id);
    }
    std::size_t layers_, window_, layer_bytes_ = 0, block_bytes_ = 0, max_blocks_ = 0;
    dtype type_;
    std::vector<aligned_buffer<std::byte>> storage_;  // by block id
    std::vector<std::uint32_t> references_;
    std::vector<block_id> free_;
    std::vector<sequence> sequences_;
    std::vector<sequence_id> free_ids_;
};

}  // namespace lab::nn
