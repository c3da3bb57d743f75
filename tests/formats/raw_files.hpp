// Builds GGUF and safetensors files byte by byte, so that a test can break exactly one thing in a good file.
#pragma once

#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/rng.hpp"
#include "lab/formats/text_bytes.hpp"

namespace lab::test {

template <class T>
std::string raw(T value) {
    std::string out(sizeof value, '\0');
    std::memcpy(out.data(), &value, sizeof value);
    return out;
}
inline std::string raw_string(std::string_view text) { return raw<std::uint64_t>(text.size()) + std::string(text); }

/// A good GGUF file: three keys, tensor "a" f32 [2, 3] and tensor "b" q8_0 [2, 32]. Fields may be replaced.
struct raw_gguf {
    std::string magic = "GGUF";
    std::uint32_t version = 3;
    std::optional<std::uint64_t> tensor_count, key_count;
    std::vector<std::string> keys{
        key("general.architecture", 8, raw_string("llama")), key("n", 4, raw<std::uint32_t>(7)),
        key("list", 9, raw<std::uint32_t>(8) + raw<std::uint64_t>(2) + raw_string("x") + raw_string("yz"))};
    std::vector<std::string> tensors{tensor("a", {3, 2}, 0, 0), tensor("b", {32, 2}, 8, 32)};
    std::string data = std::string(32, '\1') + std::string(96, '\2');
    std::size_t alignment = 32;

    static std::string key(std::string_view name, std::uint32_t type, std::string_view payload) {
        return raw_string(name) + raw(type) + std::string(payload);
    }
    static std::string tensor(std::string_view name, const std::vector<std::uint64_t>& extents, std::uint32_t type,
                              std::uint64_t offset, std::optional<std::uint32_t> rank = {}) {
        std::string out = raw_string(name) + raw(rank.value_or(static_cast<std::uint32_t>(extents.size())));
        for (const std::uint64_t extent : extents) out += raw(extent);
        return out + raw(type) + raw(offset);
    }
    [[nodiscard]] std::string header() const {
        std::string out = magic + raw(version) + raw<std::uint64_t>(tensor_count.value_or(tensors.size())) +
                          raw<std::uint64_t>(key_count.value_or(keys.size()));
        for (const auto& k : keys) out += k;
        for (const auto& t : tensors) out += t;
        return out;
    }
    [[nodiscard]] std::string bytes() const {
        std::string out = header();
        out.append((alignment - out.size() % alignment) % alignment, '\0');
        return out + data;
    }
};

inline std::string raw_safetensors(std::string_view header, std::size_t buffer) {
    return raw<std::uint64_t>(header.size()) + std::string(header) + std::string(buffer, '\3');
}

/// `open(bytes)` must throw a format_error that names the file ("bad") and contains `what`.
template <class Open>
void refused(const std::string& bytes, Open open, std::string_view what) {
    BOOST_CHECK_EXCEPTION(open(as_bytes(std::span(bytes.data(), bytes.size()))), lab::format_error,
                          [&](const lab::format_error& fault) {
                              const std::string_view message = fault.what();
                              BOOST_TEST_INFO(message);
                              const bool good = message.starts_with("bad: ") && message.find(what) != message.npos;
                              if (!good)
                                  BOOST_ERROR("unexpected message: " << message << "  (looked for: " << what << ")");
                              return good;
                          });
}

/// One random change of the first `header` bytes of `good`, or a truncation, chosen by `rng`.
inline std::string mutate(const std::string& good, std::size_t header, lab::counter_rng& rng) {
    static constexpr std::uint64_t interesting[]{0,
                                                 1,
                                                 0x7f,
                                                 0x80,
                                                 0xff,
                                                 0xffff,
                                                 0x7fffffff,
                                                 0x80000000,
                                                 0xffffffff,
                                                 0x7fffffffffffffff,
                                                 0x8000000000000000,
                                                 0xffffffffffffffff,
                                                 0xfffffffffffffff8,
                                                 0x2000000000000001,
                                                 0x100000000};
    std::string bad = good;
    const auto at = static_cast<std::size_t>(rng.below(header));
    switch (rng.below(7)) {
        case 0:
            bad[at] = static_cast<char>(bad[at] ^ static_cast<char>(1u << rng.below(8)));
            break;
        case 1:
            bad[at] = static_cast<char>(rng.next());
            break;
        case 2: {
            const std::uint64_t value = interesting[rng.below(std::size(interesting))];
            std::memcpy(bad.data() + at, &value, std::min<std::size_t>(rng.below(2) == 0 ? 4 : 8, bad.size() - at));
            break;
        }
        case 3:
            bad.resize(at);
            break;
        case 4:
            bad.resize(static_cast<std::size_t>(rng.below(bad.size() + 1)));
            break;
        case 5:
            bad.erase(at, 1 + static_cast<std::size_t>(rng.below(16)));
            break;
        default:
            bad.insert(at, bad.substr(static_cast<std::size_t>(rng.below(header)),
                                      1 + static_cast<std::size_t>(rng.below(16))));
    }
    return bad;
}

/// Reads every byte, so that a sanitizer sees a span that leaves its file.
inline unsigned touch(std::span<const std::byte> bytes) {
    unsigned sum = 0;
    for (const std::byte b : bytes) sum += std::to_integer<unsigned>(b);
    return sum;
}

}  // namespace lab::test
