// UTF-8 and Unicode character classes for tokenizers: decoding, repair of broken text, general categories in one
// lookup. Categories come from unicode_tables.hpp (utf8proc's Unicode version); a code point assigned in a later
// version counts as unassigned here, where a peer with newer tables may see a letter. No case mapping, no grapheme
// clusters.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "lab/tokenizer/unicode_tables.hpp"

namespace lab::tokenizer {

/// What a pre-tokenizer pattern asks of a code point, as bits. Unassigned, control and format characters have none.
namespace char_class {
inline constexpr std::uint8_t letter = 1;        // \p{L}
inline constexpr std::uint8_t number = 2;        // \p{N}
inline constexpr std::uint8_t space = 4;         // \s: the White_Space property
inline constexpr std::uint8_t mark = 8;          // \p{M}
inline constexpr std::uint8_t upper_like = 16;   // \p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}
inline constexpr std::uint8_t lower_like = 32;   // \p{Ll}\p{Lm}\p{Lo}\p{M}
inline constexpr std::uint8_t punctuation = 64;  // \p{P}
inline constexpr std::uint8_t symbol = 128;      // \p{S}
}  // namespace char_class

/// General category in the order of Unicode's own list (and of utf8proc).
enum class category : std::uint8_t {
    cn,
    lu,
    ll,
    lt,
    lm,
    lo,
    mn,
    mc,
    me,
    nd,
    nl,
    no,
    pc,
    pd,
    ps,
    pe,
    pi,
    pf,
    po,
    sm,
    sc,
    sk,
    so,
    zs,
    zl,
    zp,
    cc,
    cf,
    cs,
    co
};

inline constexpr char32_t replacement_character = 0xFFFD;
inline constexpr std::size_t code_point_count = 0x110000;

/// Reads the packed numbers of unicode_tables.hpp.
class packed_reader {
public:
    explicit packed_reader(std::string_view text) : text_(text) {}
    [[nodiscard]] bool done() const { return at_ >= text_.size(); }
    std::uint32_t digit() {
        const auto c = static_cast<std::uint32_t>(static_cast<unsigned char>(text_[at_++]));
        return c - '#' - (c > '\\' ? 1U : 0U);
    }
    std::uint32_t number() {
        std::uint32_t value = 0;
        for (unsigned shift = 0;; shift += 5) {
            const std::uint32_t d = digit();
            value |= (d & 31U) << shift;
            if (d < 32) return value;
        }
    }

private:
    std::string_view text_;
    std::size_t at_ = 0;
};

[[nodiscard]] constexpr bool is_white_space(char32_t c) {
    return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

[[nodiscard]] constexpr std::uint8_t classes_of(category c) {
    using enum category;
    using namespace char_class;
    switch (c) {
        case lu:
        case lt:
            return letter | upper_like;
        case ll:
            return letter | lower_like;
        case lm:
        case lo:
            return letter | upper_like | lower_like;
        case mn:
        case mc:
        case me:
            return mark | upper_like | lower_like;
        case nd:
        case nl:
        case no:
            return number;
        case pc:
        case pd:
        case ps:
        case pe:
        case pi:
        case pf:
        case po:
            return punctuation;
        case sm:
        case sc:
        case sk:
        case so:
            return symbol;
        default:
            return 0;
    }
}

/// Categories and classes of all code points, in pages of 256 shared where equal. Built once, on first use (about 1
/// ms).
class unicode_data {
public:
    [[nodiscard]] static const unicode_data& get() {
        static const unicode_data data;
        return data;
    }
    [[nodiscard]] std::uint8_t classes(char32_t c) const { return c < code_point_count ? cells_[index(c)].classes : 0; }
    [[nodiscard]] category general_category(char32_t c) const {
        return c < code_point_count ? cells_[index(c)].general : category::cn;
    }

private:
    struct cell {
        category general = category::cn;
        std::uint8_t classes = 0;
        bool operator==(const cell&) const = default;
    };

    unicode_data() {
        std::array<cell, 256> page{};
        std::size_t at = 0;
        packed_reader in(unicode_tables::categories);
        while (!in.done()) {
            const std::uint32_t head = in.digit();
            const auto general = static_cast<category>(head % 30);
            const std::size_t length = head < 30 ? 1 : head < 60 ? 2 : in.number();
            const std::uint8_t classes = classes_of(general);
            for (const std::size_t end = at + length; at < end; ++at) {
                const bool white = is_white_space(static_cast<char32_t>(at));
                page[at % 256] = {general, white ? char_class::space : classes};
                if (at % 256 == 255) store(page, at / 256);
            }
        }
    }
    void store(const std::array<cell, 256>& page, std::size_t number) {
        // Equal pages are neighbours (CJK, private use, unassigned), so looking at the last one is enough.
        if (cells_.empty() || std::memcmp(&cells_[cells_.size() - 256], page.data(), sizeof(page)) != 0)
            cells_.insert(cells_.end(), page.begin(), page.end());
        pages_[number] = static_cast<std::uint16_t>(cells_.size() / 256 - 1);
    }
    [[nodiscard]] std::size_t index(char32_t c) const { return pages_[c >> 8] * std::size_t{256} + (c & 255); }

    std::array<std::uint16_t, code_point_count / 256> pages_{};
    std::vector<cell> cells_;
};

/// One decoded code point; `length` 0 at the end of the text, `valid` false for a byte that starts no sequence.
struct code_point {
    char32_t value = 0;
    std::uint32_t length = 0;
    bool valid = true;
};

enum class utf8_rules {
    strict,   // RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF
    lenient,  // only the bit patterns count, as llama.cpp decodes
};

/// Decodes at the front of `text`; a broken byte gives U+FFFD of length 1.
[[nodiscard]] inline code_point decode_utf8(std::string_view text, utf8_rules rules = utf8_rules::strict) {
    if (text.empty()) return {};
    const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i])); };
    const auto continues = [&](std::size_t i) { return i < text.size() && (byte(i) & 0xC0U) == 0x80U; };
    const std::uint32_t b0 = byte(0);
    if (b0 < 0x80) return {b0, 1, true};
    constexpr code_point broken{replacement_character, 1, false};
    if (b0 < 0xC0) return broken;
    if (b0 < 0xE0) {
        if (!continues(1)) return broken;
        const std::uint32_t c = (b0 & 0x1FU) << 6 | (byte(1) & 0x3FU);
        if (rules == utf8_rules::strict && c < 0x80) return broken;
        return {c, 2, true};
    }
    if (b0 < 0xF0) {
        if (!continues(1) || !continues(2)) return broken;
        const std::uint32_t c = (b0 & 0x0FU) << 12 | (byte(1) & 0x3FU) << 6 | (byte(2) & 0x3FU);
        if (rules == utf8_rules::strict && (c < 0x800 || (c >= 0xD800 && c <= 0xDFFF))) return broken;
        return {c, 3, true};
    }
    if (b0 >= 0xF8 || !continues(1) || !continues(2) || !continues(3)) return broken;
    const std::uint32_t c = (b0 & 0x07U) << 18 | (byte(1) & 0x3FU) << 12 | (byte(2) & 0x3FU) << 6 | (byte(3) & 0x3FU);
    if (c > 0x10FFFF || (rules == utf8_rules::strict && c < 0x10000)) return broken;
    return {c, 4, true};
}

/// Appends `c` (at most U+10FFFF) as UTF-8; surrogates are written like any other value.
inline void append_utf8(std::string& out, char32_t c) {
    const auto put = [&](std::uint32_t b) { out.push_back(static_cast<char>(static_cast<unsigned char>(b))); };
    if (c < 0x80) {
        put(c);
    } else if (c < 0x800) {
        put(0xC0U | c >> 6);
        put(0x80U | (c & 0x3FU));
    } else if (c < 0x10000) {
        put(0xE0U | c >> 12);
        put(0x80U | (c >> 6 & 0x3FU));
        put(0x80U | (c & 0x3FU));
    } else {
        put(0xF0U | c >> 18);
        put(0x80U | (c >> 12 & 0x3FU));
        put(0x80U | (c >> 6 & 0x3FU));
        put(0x80U | (c & 0x3FU));
    }
}

/// Length of the longest prefix that is valid by RFC 3629.
[[nodiscard]] inline std::size_t valid_utf8_prefix(std::string_view text) {
    std::size_t at = 0;
    while (at < text.size()) {
        std::uint64_t word = 0;
        while (at + 8 <= text.size()) {
            std::memcpy(&word, text.data() + at, 8);
            if ((word & 0x8080808080808080ULL) != 0) break;
            at += 8;
        }
        if (at == text.size()) break;
        const code_point c = decode_utf8(text.substr(at));
        if (!c.valid) return at;
        at += c.length;
    }
    return at;
}

/// The text with U+FFFD in place of each broken byte; by the lenient rules overlong forms become what they stand for.
[[nodiscard]] inline std::string repair_utf8(std::string_view text, utf8_rules rules) {
    std::string out;
    out.reserve(text.size() + 16);
    while (!text.empty()) {
        const std::size_t good = valid_utf8_prefix(text);
        out.append(text.substr(0, good));
        text.remove_prefix(good);
        if (text.empty()) break;
        const code_point c = decode_utf8(text, rules);
        append_utf8(out, c.value);
        text.remove_prefix(c.length);
    }
    return out;
}

/// Bytes in the sequence that the high bits of `lead` promise; 1 for a continuation byte.
[[nodiscard]] constexpr std::size_t utf8_length(unsigned char lead) {
    return lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

}  // namespace lab::tokenizer
