// Bytes of files that nobody vouches for: a bounded little-endian cursor whose errors name file and offset, a UTF-8
// check, and quoting of foreign names for messages. Nothing here allocates from a count that was not compared with
// the bytes that are left.
#pragma once

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "lab/core/error.hpp"

namespace lab::formats {

static_assert(std::endian::native == std::endian::little, "every format here is little-endian and read in place");

/// Foreign text made fit for a message: control bytes, backslashes and everything outside ASCII as \xNN, cut after
/// `limit` bytes.
[[nodiscard]] inline std::string escape(std::string_view text, std::size_t limit = 80) {
    static constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    for (const char c : text.substr(0, limit)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte < 0x7f && c != '\\')
            out += c;
        else
            out.append("\\x").append(1, digits[byte >> 4]).append(1, digits[byte & 15u]);
    }
    return text.size() > limit ? out + "..." : out;
}
[[nodiscard]] inline std::string quote(std::string_view text, std::size_t limit = 80) {
    return std::string("'").append(escape(text, limit)).append("'");
}

/// Offset of the first byte that is not part of well-formed UTF-8 (RFC 3629), or npos.
[[nodiscard]] inline std::size_t first_invalid_utf8(std::string_view text) noexcept {
    const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    for (std::size_t i = 0; i < text.size();) {
        const unsigned lead = at(i);
        if (lead < 0x80) {
            ++i;
            continue;
        }
        const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
        if (lead < 0xc2 || lead > 0xf4 || text.size() - i < length) return i;
        // The second byte's range excludes overlong forms, surrogates and what lies beyond U+10FFFF.
        const unsigned low = lead == 0xe0 ? 0xa0u : lead == 0xf0 ? 0x90u : 0x80u;
        const unsigned high = lead == 0xed ? 0x9fu : lead == 0xf4 ? 0x8fu : 0xbfu;
        if (at(i + 1) < low || at(i + 1) > high) return i;
        for (std::size_t k = 2; k < length; ++k)
            if ((at(i + k) & 0xc0u) != 0x80) return i;
        i += length;
    }
    return std::string_view::npos;
}

[[nodiscard]] inline std::string_view as_text(std::span<const std::byte> bytes) noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
[[nodiscard]] inline std::span<const std::byte> as_byte_span(std::string_view text) noexcept {
    return std::as_bytes(std::span(text.data(), text.size()));
}

/// A cursor over `bytes` that never passes their end. `name` is the file, for messages.
class byte_reader {
public:
    byte_reader(std::span<const std::byte> bytes, std::string name) : bytes_(bytes), name_(std::move(name)) {}

    [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }
    [[nodiscard]] std::uint64_t remaining() const noexcept { return bytes_.size() - offset_; }
    [[nodiscard]] const std::string& name() const noexcept { return name_; }

    [[noreturn]] void fail(std::uint64_t offset, std::string_view what, std::string_view fix = {}) const {
        throw format_error(explain(at_offset(name_, offset), what, fix));
    }
    [[noreturn]] void fail(std::string_view what, std::string_view fix = {}) const { fail(offset_, what, fix); }

    /// The next `count` bytes. @throws format_error when fewer are left.
    std::span<const std::byte> take(std::uint64_t count, std::string_view what) {
        if (count > remaining())
            fail(std::string(what) + " needs " + std::to_string(count) + " bytes, " + std::to_string(remaining()) +
                     " are left",
                 "the file is truncated or corrupt");
        const auto part = bytes_.subspan(offset_, static_cast<std::size_t>(count));
        offset_ += static_cast<std::size_t>(count);
        return part;
    }
    template <class T>
    requires(std::integral<T> || std::floating_point<T>) T read(std::string_view what) {
        T value;
        std::memcpy(&value, take(sizeof value, what).data(), sizeof value);
        return value;
    }
    /// Refuses a count of items of at least `item_bytes` (> 0) each that cannot fit in what is left.
    void require_count(std::uint64_t count, std::uint64_t item_bytes, std::string_view what) const {
        if (count > remaining() / item_bytes)
            fail(std::string(what) + " " + std::to_string(count) + " cannot fit in the " + std::to_string(remaining()) +
                     " bytes that are left",
                 "the file is truncated or corrupt");
    }

private:
    std::span<const std::byte> bytes_;
    std::size_t offset_ = 0;
    std::string name_;
};

}  // namespace lab::formats
