// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
// A stream is a pure function of (seed, stream id, position): draws can be skipped, repeated and shared between
// threads with the same bytes everywhere. Not for cryptography.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <string_view>
#include <utility>

namespace lab {

/// The Philox4x32-10 bijection: 4 random words for a 128-bit counter under a 64-bit key.
[[nodiscard]] constexpr std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                                            std::array<std::uint32_t, 2> key) noexcept {
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t a = std::uint64_t{0xD2511F53u} * counter[0];
        const std::uint64_t b = std::uint64_t{0xCD9E8D57u} * counter[2];
        counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
                   static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
        key[0] += 0x9E3779B9u;
        key[1] += 0xBB67AE85u;
    }
    return counter;
}

/// FNV-1a, 64 bits: names for streams ("dedup", a leaf's path), not a digest.
[[nodiscard]] constexpr std::uint64_t hash64(std::string_view text, std::uint64_t seed = 0xcbf29ce484222325u) noexcept {
    for (const char c : text) seed = (seed ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    return seed;
}

/// One stream of random numbers. Copyable; `position` can be stored and restored for exact resumption.
class counter_rng {
public:
    constexpr counter_rng() = default;
    constexpr explicit counter_rng(std::uint64_t seed, std::uint64_t stream = 0, std::uint64_t position = 0) noexcept
        : seed_(seed), stream_(stream), position_(position) {}
    constexpr counter_rng(std::uint64_t seed, std::string_view stream) noexcept : counter_rng(seed, hash64(stream)) {}

    [[nodiscard]] constexpr std::uint64_t position() const noexcept { return position_; }
    constexpr void seek(std::uint64_t position) noexcept { position_ = position; }

    /// The next 32 random bits.
    constexpr std::uint32_t next() noexcept {
        const std::uint64_t block = position_ / 4;
        const auto words = philox({static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32),
                                   static_cast<std::uint32_t>(stream_), static_cast<std::uint32_t>(stream_ >> 32)},
                                  {static_cast<std::uint32_t>(seed_), static_cast<std::uint32_t>(seed_ >> 32)});
        return words[position_++ % 4];
    }
    constexpr std::uint64_t next64() noexcept {
        const std::uint64_t high = next();
        return (high << 32) | next();
    }
    /// Uniform in [0, 1), 53 bits.
    constexpr double uniform() noexcept { return static_cast<double>(next64() >> 11) * 0x1p-53; }
    /// Uniform in [0, n), without bias; n > 0.
    constexpr std::uint64_t below(std::uint64_t n) noexcept {
        const std::uint64_t reject = (0 - n) % n;  // 2^64 mod n
        for (;;) {
            const std::uint64_t x = next64();
            if (x >= reject) return x % n;
        }
    }
    /// Standard normal (Box-Muller, one of the pair).
    double normal() noexcept {
        const double u = 1.0 - uniform(), v = uniform();
        return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
    }

private:
    std::uint64_t seed_ = 0, stream_ = 0, position_ = 0;
};

/// Fisher-Yates; the order is a function of the generator alone.
template <class Container>
constexpr void shuffle(Container& items, counter_rng& rng) {
    for (std::size_t i = items.size(); i > 1; --i) {
        using std::swap;
        swap(items[i - 1], items[static_cast<std::size_t>(rng.below(i))]);
    }
}

}  // namespace lab
