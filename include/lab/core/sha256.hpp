// SHA-256 (FIPS 180-4): ids of samples, keys of journals, digests of files in manifests. Plain integer arithmetic, so
// that training and its manifests link nothing. Not for secrets: no key ever passes through it.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "lab/core/file.hpp"

namespace lab {

class sha256 {
public:
    void update(std::span<const std::byte> bytes) {
        length_ += bytes.size();
        if (held_ != 0) {
            const std::size_t n = std::min(bytes.size(), block_.size() - held_);
            std::copy_n(bytes.begin(), n, block_.begin() + static_cast<std::ptrdiff_t>(held_));
            held_ += n;
            bytes = bytes.subspan(n);
            if (held_ < block_.size()) return;
            compress(block_.data());
            held_ = 0;
        }
        for (; bytes.size() >= block_.size(); bytes = bytes.subspan(block_.size())) compress(bytes.data());
        std::copy(bytes.begin(), bytes.end(), block_.begin());
        held_ = bytes.size();
    }
    void update(std::string_view text) { update(std::as_bytes(std::span(text))); }

    /// 64 lower-case hexadecimal digits; ends the sum.
    [[nodiscard]] std::string hex() {
        const std::uint64_t bits = length_ * 8;
        std::array<std::byte, 72> tail{};
        tail[0] = std::byte{0x80};
        const std::size_t zeros = (held_ < 56 ? 56 : 120) - held_;  // up to eight bytes before a block's end
        for (std::size_t i = 0; i < 8; ++i) tail[zeros + i] = static_cast<std::byte>(bits >> (56 - 8 * i));
        update(std::span(tail).first(zeros + 8));
        constexpr std::string_view digits = "0123456789abcdef";
        std::string text;
        for (const std::uint32_t word : state_)
            for (int shift = 28; shift >= 0; shift -= 4) text.push_back(digits[word >> shift & 15u]);
        return text;
    }

private:
    static constexpr std::array<std::uint32_t, 64> constants{
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

    void compress(const std::byte* block) {
        std::array<std::uint32_t, 64> w{};
        for (std::size_t i = 0; i < 16; ++i)
            for (std::size_t b = 0; b < 4; ++b) w[i] = w[i] << 8 | std::to_integer<std::uint32_t>(block[4 * i + b]);
        for (std::size_t i = 16; i < 64; ++i) {
            const std::uint32_t a = w[i - 15], b = w[i - 2];
            w[i] = w[i - 16] + (std::rotr(a, 7) ^ std::rotr(a, 18) ^ a >> 3) + w[i - 7] +
                   (std::rotr(b, 17) ^ std::rotr(b, 19) ^ b >> 10);
        }
        auto [a, b, c, d, e, f, g, h] = state_;
        for (std::size_t i = 0; i < 64; ++i) {
            const std::uint32_t x = h + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) + ((e & f) ^ (~e & g)) +
                                    constants[i] + w[i];
            const std::uint32_t y =
                (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
            h = g, g = f, f = e, e = d + x, d = c, c = b, b = a, a = x + y;
        }
        const std::array<std::uint32_t, 8> more{a, b, c, d, e, f, g, h};
        for (std::size_t i = 0; i < 8; ++i) state_[i] += more[i];
    }

    std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    std::array<std::byte, 64> block_{};
    std::size_t held_ = 0;
    std::uint64_t length_ = 0;
};

[[nodiscard]] inline std::string sha256_hex(std::string_view bytes) {
    sha256 sum;
    sum.update(bytes);
    return sum.hex();
}

/// Digest of a regular file's bytes. @throws io_error
[[nodiscard]] inline std::string sha256_of_file(const std::filesystem::path& path) {
    const mapped_file file(path);
    sha256 sum;
    for (auto rest = file.bytes(); !rest.empty();) {  // piece by piece: the file may be larger than memory
        const auto piece = rest.first(std::min(rest.size(), std::size_t{1} << 22));
        sum.update(piece);
        forget_pages(piece);
        rest = rest.subspan(piece.size());
    }
    return sum.hex();
}

}  // namespace lab
