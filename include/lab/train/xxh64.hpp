// XXH64 (Collet, xxHash specification 0.1.1): a fast 64-bit checksum, here of checkpoints and of data sets.
// Detects torn and flipped bytes; it is no cryptographic digest. Little-endian machines.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace lab::train {

/// Streaming XXH64: update() any number of times, then digest().
class xxh64 {
public:
    explicit xxh64(std::uint64_t seed = 0) noexcept
        : lanes_{seed + prime1 + prime2, seed + prime2, seed, seed - prime1}, seed_(seed) {}

    void update(std::span<const std::byte> bytes) noexcept {
        total_ += bytes.size();
        if (filled_ != 0) {
            const std::size_t n = std::min(bytes.size(), block_.size() - filled_);
            std::memcpy(block_.data() + filled_, bytes.data(), n);
            filled_ += n;
            bytes = bytes.subspan(n);
            if (filled_ < block_.size()) return;
            consume(block_.data());
            filled_ = 0;
        }
        for (; bytes.size() >= block_.size(); bytes = bytes.subspan(block_.size())) consume(bytes.data());
        if (!bytes.empty()) std::memcpy(block_.data(), bytes.data(), bytes.size());
        filled_ = bytes.size();
    }
    void update(std::string_view text) noexcept { update(std::as_bytes(std::span(text.data(), text.size()))); }
    template <class T>
    requires(std::is_trivially_copyable_v<T>) void update_values(std::span<const T> values) noexcept {
        update(std::as_bytes(values));
    }

    [[nodiscard]] std::uint64_t digest() const noexcept {
        std::uint64_t h = seed_ + prime5;
        if (total_ >= block_.size()) {
            h = std::rotl(lanes_[0], 1) + std::rotl(lanes_[1], 7) + std::rotl(lanes_[2], 12) + std::rotl(lanes_[3], 18);
            for (const std::uint64_t lane : lanes_) h = (h ^ round(0, lane)) * prime1 + prime4;
        }
        h += total_;
        std::size_t i = 0;
        for (; i + 8 <= filled_; i += 8)
            h = std::rotl(h ^ round(0, word<std::uint64_t>(block_.data() + i)), 27) * prime1 + prime4;
        for (; i + 4 <= filled_; i += 4)
            h = std::rotl(h ^ (word<std::uint32_t>(block_.data() + i) * prime1), 23) * prime2 + prime3;
        for (; i < filled_; ++i) h = std::rotl(h ^ (static_cast<std::uint64_t>(block_[i]) * prime5), 11) * prime1;
        h = (h ^ (h >> 33)) * prime2;
        h = (h ^ (h >> 29)) * prime3;
        return h ^ (h >> 32);
    }
    /// The digest as 16 digits.
    [[nodiscard]] std::string hex_digest() const {
        constexpr char digits[] = "0123456789abcdef";
        std::string text(16, '0');
        std::uint64_t h = digest();
        for (std::size_t i = 16; i-- > 0; h >>= 4) text[i] = digits[h & 15u];
        return text;
    }

private:
    static_assert(std::endian::native == std::endian::little);
    static constexpr std::uint64_t prime1 = 0x9E3779B185EBCA87u, prime2 = 0xC2B2AE3D27D4EB4Fu,
                                   prime3 = 0x165667B19E3779F9u, prime4 = 0x85EBCA77C2B2AE63u,
                                   prime5 = 0x27D4EB2F165667C5u;

    template <class T>
    [[nodiscard]] static std::uint64_t word(const std::byte* p) noexcept {
        T value;
        std::memcpy(&value, p, sizeof value);
        return value;
    }
    [[nodiscard]] static std::uint64_t round(std::uint64_t lane, std::uint64_t input) noexcept {
        return std::rotl(lane + input * prime2, 31) * prime1;
    }
    void consume(const std::byte* p) noexcept {
        for (std::size_t l = 0; l < 4; ++l) lanes_[l] = round(lanes_[l], word<std::uint64_t>(p + 8 * l));
    }

    std::array<std::uint64_t, 4> lanes_;
    std::array<std::byte, 32> block_{};
    std::size_t filled_ = 0;
    std::uint64_t total_ = 0, seed_;
};

}  // namespace lab::train
