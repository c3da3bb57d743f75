// A read-only hash table from byte strings to token ids: linear probing over one array, keys in one blob.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "lab/core/token.hpp"

namespace lab::tokenizer {

/// Fast hash of short strings; not keyed, so tables built from hostile files degrade to linear search, never to errors.
[[nodiscard]] inline std::uint64_t hash_bytes(const char* data, std::size_t size) {
    constexpr std::uint64_t k = 0x9E3779B97F4A7C15ULL;
    std::uint64_t h = size * k;
    const auto mix = [&h](std::uint64_t word) {
        h = (h ^ word) * 0xD6E8FEB86659FD93ULL;
        h ^= h >> 32;
    };
    while (size >= 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, data, 8);
        mix(word);
        data += 8;
        size -= 8;
    }
    if (size >= 4) {
        std::uint32_t low = 0;
        std::uint32_t high = 0;
        std::memcpy(&low, data, 4);
        std::memcpy(&high, data + size - 4, 4);
        mix(std::uint64_t{high} << 32 | low);
    } else if (size > 0) {
        const auto byte = [data](std::size_t i) { return std::uint64_t{static_cast<unsigned char>(data[i])}; };
        mix(byte(0) << 16 | byte(size / 2) << 8 | byte(size - 1));
    }
    return h ^ h >> 29;
}

class piece_index {
public:
    piece_index() = default;
    /// Ready for `count` pieces; more still fit, at the price of a rebuild.
    explicit piece_index(std::size_t count) { slots_.resize(std::bit_ceil(count * 2 + 2)); }

    /// Adds a piece; the first id of equal pieces stays. @return the id the piece now has.
    token insert(std::string_view piece, token id) {
        if (2 * (count_ + 1) > slots_.size()) grow();
        const auto hash = static_cast<std::uint32_t>(hash_bytes(piece.data(), piece.size()));
        std::size_t at = hash & (slots_.size() - 1);
        for (; slots_[at].id != no_token; at = (at + 1) & (slots_.size() - 1))
            if (slots_[at].hash == hash && key(slots_[at]) == piece) return slots_[at].id;
        slots_[at] = {hash, static_cast<std::uint32_t>(piece.size()), blob_.size(), id};
        blob_.append(piece);
        ++count_;
        return id;
    }
    [[nodiscard]] token find(std::string_view piece) const {
        if (slots_.empty()) return no_token;
        const auto hash = static_cast<std::uint32_t>(hash_bytes(piece.data(), piece.size()));
        for (std::size_t at = hash & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1)) {
            const slot& s = slots_[at];
            if (s.id == no_token) return no_token;
            if (s.hash == hash && s.size == piece.size() &&
                std::memcmp(blob_.data() + s.offset, piece.data(), s.size) == 0)
                return s.id;
        }
    }
    [[nodiscard]] std::size_t size() const { return count_; }

private:
    struct slot {
        std::uint32_t hash = 0;
        std::uint32_t size = 0;
        std::size_t offset = 0;
        token id = no_token;
    };
    [[nodiscard]] std::string_view key(const slot& s) const { return std::string_view(blob_).substr(s.offset, s.size); }
    void grow() {
        std::vector<slot> old(std::max<std::size_t>(slots_.size() * 2, 16));
        old.swap(slots_);
        for (const slot& s : old) {
            if (s.id == no_token) continue;
            std::size_t at = s.hash & (slots_.size() - 1);
            while (slots_[at].id != no_token) at = (at + 1) & (slots_.size() - 1);
            slots_[at] = s;
        }
    }
    std::vector<slot> slots_;
    std::string blob_;
    std::size_t count_ = 0;
};

}  // namespace lab::tokenizer
