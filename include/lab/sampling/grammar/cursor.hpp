// Reading position in a grammar's text: code points, and errors that say line and column.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/formats/text_bytes.hpp"

namespace lab::sampling {

class text_cursor {
public:
    /// `name` opens messages. @throws config_error when the text is too long or no UTF-8.
    text_cursor(std::string_view text, std::string name, std::size_t longest) : text_(text), name_(std::move(name)) {
        if (text.size() > longest)
            throw config_error(explain(name_, "has " + std::to_string(text.size()) + " bytes, at most " +
                                                  std::to_string(longest) + " are read"));
        if (const auto bad = formats::first_invalid_utf8(text); bad != std::string_view::npos)
            fail_at(bad, "not UTF-8", "save it as UTF-8");
        for (std::size_t i = 0; i < text.size(); ++i)
            if (text[i] == '\n') lines_.push_back(i + 1);
    }

    [[nodiscard]] bool done() const noexcept { return at_ >= text_.size(); }
    [[nodiscard]] std::size_t position() const noexcept { return at_; }
    /// The byte at the position, or NUL at the end.
    [[nodiscard]] char peek(std::size_t ahead = 0) const noexcept {
        return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
    }
    [[nodiscard]] bool starts_with(std::string_view what) const noexcept { return text_.substr(at_).starts_with(what); }
    void skip(std::size_t bytes = 1) noexcept { at_ += bytes; }
    /// Back to an earlier position.
    void go_to(std::size_t position) noexcept { at_ = position; }
    bool take(std::string_view what) noexcept {
        if (!starts_with(what)) return false;
        at_ += what.size();
        return true;
    }
    [[nodiscard]] std::string_view since(std::size_t begin) const noexcept { return text_.substr(begin, at_ - begin); }
    /// The code point at the position, which moves on. Not at the end.
    char32_t next() noexcept {
        const auto byte = [&](std::size_t i) {
            return static_cast<char32_t>(static_cast<unsigned char>(text_[at_ + i]));
        };
        const char32_t lead = byte(0);
        const std::size_t size = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
        char32_t c = size == 1 ? lead : lead & (0x7Fu >> size);
        for (std::size_t i = 1; i < size; ++i) c = (c << 6) | (byte(i) & 0x3F);
        at_ += size;
        return c;
    }
    /// `digits` hexadecimal digits. @throws config_error
    char32_t hexadecimal(std::size_t digits) {
        char32_t value = 0;
        for (std::size_t i = 0; i < digits; ++i) {
            const char c = peek();
            const int digit = c >= '0' && c <= '9'   ? c - '0'
                              : c >= 'a' && c <= 'f' ? c - 'a' + 10
                              : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                     : -1;
            if (digit < 0) fail("expected " + std::to_string(digits) + " hexadecimal digits here");
            value = value * 16 + static_cast<char32_t>(digit);
            skip();
        }
        if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) fail("this number is no character of Unicode");
        return value;
    }
    /// A decimal number up to a million. @throws config_error
    std::size_t number() {
        if (peek() < '0' || peek() > '9') fail("expected a number");
        std::size_t value = 0;
        for (; peek() >= '0' && peek() <= '9'; skip()) {
            value = value * 10 + static_cast<std::size_t>(peek() - '0');
            if (value > 1000000) fail("the number is too large");
        }
        return value;
    }

    /// The bounds of a repetition that begins here: *, +, ?, {n}, {n,} or {n,m}, with `space()` between the parts of
    /// the last three; without an upper one, the largest size_t. Nothing where none begins. @throws config_error
    template <class Space>
    std::optional<std::pair<std::size_t, std::size_t>> repetition(Space&& space) {
        constexpr std::size_t unbounded = std::numeric_limits<std::size_t>::max();
        if (take("*")) return {{0, unbounded}};
        if (take("+")) return {{1, unbounded}};
        if (take("?")) return {{0, 1}};
        if (!take("{")) return std::nullopt;
        space();
        const std::size_t min = number();
        std::size_t max = min;
        space();
        if (take(",")) {
            space();
            max = peek() == '}' ? unbounded : number();
            space();
        }
        if (!take("}")) fail("expected } after the bounds of a repetition");
        return {{min, max}};
    }

    /// "name:line:column"; columns count bytes.
    [[nodiscard]] std::string place(std::size_t at) const {
        at = std::min(at, text_.size());
        const auto line = static_cast<std::size_t>(std::upper_bound(lines_.begin(), lines_.end(), at) - lines_.begin());
        const std::size_t begin = line > 0 ? lines_[line - 1] : 0;
        return name_ + ":" + std::to_string(line + 1) + ":" + std::to_string(at - begin + 1);
    }
    [[noreturn]] void fail_at(std::size_t at, std::string_view what, std::string_view fix = {}) const {
        throw config_error(explain(place(at), what, fix));
    }
    [[noreturn]] void fail(std::string_view what, std::string_view fix = {}) const { fail_at(at_, what, fix); }

private:
    std::string_view text_;
    std::string name_;
    std::vector<std::size_t> lines_;  // where all but the first begin: places are asked for throughout the text
    std::size_t at_ = 0;
};

}  // namespace lab::sampling
