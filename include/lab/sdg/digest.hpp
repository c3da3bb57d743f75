// SHA-256 (FIPS 180-4) through OpenSSL's EVP: ids of samples, keys of the journal, digests of files in the manifest.
#pragma once

#include <openssl/evp.h>
#include <array>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "lab/core/error.hpp"
#include "lab/core/file.hpp"

namespace lab::sdg {

/// 64 lower-case hexadecimal digits.
[[nodiscard]] inline std::string sha256_hex(std::string_view bytes) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1)
        throw error("SHA-256 is not available (OpenSSL refused it)");
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    text.reserve(std::size_t{2} * size);
    for (unsigned i = 0; i < size; ++i) {
        text.push_back(digits[digest[i] >> 4]);
        text.push_back(digits[digest[i] & 15]);
    }
    return text;
}

/// Digest of a regular file's bytes. @throws io_error
[[nodiscard]] inline std::string sha256_of_file(const std::filesystem::path& path) {
    const mapped_file file(path);
    const auto bytes = file.bytes();
    return sha256_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace lab::sdg
