// Template text to tokens, with jinja2's white-space rules: "-" strips, "+" keeps, one final line break of the template
// is dropped; where trim_blocks and lstrip_blocks say so, a block tag takes the line break after it and the blanks
// before it on its line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/formats/text_bytes.hpp"
#include "lab/text/jinja/options.hpp"
#include "lab/text/jinja/unicode.hpp"

namespace lab::text::jinja {

enum class token_kind : std::uint8_t {
    text,
    block_begin,
    block_end,
    print_begin,
    print_end,
    name,
    string,
    integer,
    real,
    op,
    end
};

struct lexeme {
    token_kind kind;
    std::string text{};  // a string's value, a name, an operator, a literal's digits
    std::size_t line = 1;
};

[[noreturn]] inline void fail_at(std::size_t line, const std::string& what) {
    // What is wrong may quote the template: line breaks and broken UTF-8 in it stay out of the message.
    throw format_error(explain("template: line " + std::to_string(line), lab::formats::escape(what, 400)));
}

class lexer {
public:
    explicit lexer(std::string_view source, const syntax_options& syntax = {})
        : source_(normalise(source)), syntax_(syntax) {}

    [[nodiscard]] std::vector<lexeme> run() {
        while (at_ < source_.size()) {
            const std::size_t tag = next_tag();
            take_text(tag);
            if (tag == std::string::npos) break;
            const char kind = source_[tag + 1];
            at_ = tag + 2;
            if (at_ < source_.size() && (source_[at_] == '-' || source_[at_] == '+')) ++at_;
            if (kind == '#')
                skip_comment(tag);
            else if (kind == '%' && !take_raw())
                take_code(token_kind::block_begin, token_kind::block_end, "%}");
            else if (kind == '{')
                take_code(token_kind::print_begin, token_kind::print_end, "}}");
        }
        out_.push_back({token_kind::end, {}, line_});
        return std::move(out_);
    }

private:
    /// Line breaks become "\n", and one at the very end is dropped.
    static std::string normalise(std::string_view source) {
        std::string out;
        out.reserve(source.size());
        for (std::size_t i = 0; i < source.size(); ++i) {
            if (source[i] == '\r') {
                out += '\n';
                if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
            } else {
                out += source[i];
            }
        }
        if (out.ends_with('\n')) out.pop_back();
        return out;
    }
    [[nodiscard]] std::size_t next_tag() const {
        for (std::size_t i = source_.find('{', at_); i != std::string::npos && i + 1 < source_.size();
             i = source_.find('{', i + 1))
            if (source_[i + 1] == '%' || source_[i + 1] == '{' || source_[i + 1] == '#') return i;
        return std::string::npos;
    }
    /// The text before a tag (npos: the rest), shortened as the tag's sign and lstrip_blocks demand.
    void take_text(std::size_t tag) {
        std::string_view text = std::string_view(source_).substr(at_, tag == std::string::npos ? tag : tag - at_);
        const std::string_view whole = text;
        if (tag != std::string::npos) text = before_tag(text, tag);
        if (!text.empty()) out_.push_back({token_kind::text, std::string(text), line_});
        count_lines(whole);
        at_ += whole.size();
        if (!whole.empty()) line_start_ = whole.back() == '\n';
    }
    [[nodiscard]] std::string_view before_tag(std::string_view text, std::size_t tag) const {
        const char sign = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
        if (sign == '-') return strip_right(text);
        if (sign == '+' || source_[tag + 1] == '{' || !syntax_.lstrip_blocks) return text;
        const std::size_t line_break = text.rfind('\n');
        const std::size_t begin = line_break == std::string_view::npos ? 0 : line_break + 1;
        if (begin == 0 && !line_start_) return text;
        return strip_left(text.substr(begin)).empty() ? text.substr(0, begin) : text;
    }
    void count_lines(std::string_view text) {
        for (const char c : text) line_ += c == '\n' ? 1 : 0;
    }
    /// After the end of a tag at `end` (past its last brace). sign: the character before the tag's closing mark.
    void after_tag(char sign, bool takes_line_break) {
        const std::size_t begin = at_;
        if (sign == '-')
            while (at_ < source_.size() && is_space(code_point(source_, at_))) at_ += character_size(source_, at_);
        else if (takes_line_break && syntax_.trim_blocks && sign != '+' && at_ < source_.size() && source_[at_] == '\n')
            ++at_;
        const auto skipped = std::string_view(source_).substr(begin, at_ - begin);
        count_lines(skipped);
        line_start_ = skipped.ends_with('\n');
    }
    void skip_comment(std::size_t begin) {
        const std::size_t end = source_.find("#}", at_);
        if (end == std::string::npos) fail_at(line_, "the comment never ends (missing \"#}\")");
        const char sign = end > at_ ? source_[end - 1] : ' ';
        count_lines(std::string_view(source_).substr(begin, end - begin));
        at_ = end + 2;
        after_tag(sign, true);
    }
    /// {% raw %} ... {% endraw %}; at_ stands behind "{%" and its sign.
    bool take_raw() {
        std::size_t at = at_;
        const auto blanks = [&] {
            while (at < source_.size() && is_space(code_point(source_, at))) at += character_size(source_, at);
        };
        const auto word = [&](std::string_view text) {
            if (source_.compare(at, text.size(), text) != 0) return false;
            at += text.size();
            return true;
        };
        blanks();
        if (!word("raw")) return false;
        blanks();
        char sign = ' ';
        if (at < source_.size() && source_[at] == '-') sign = source_[at++];
        if (!word("%}")) return false;
        const std::size_t begin = at_;
        at_ = at;
        count_lines(std::string_view(source_).substr(begin, at_ - begin));
        after_tag(sign, false);  // a line break behind it stays
        for (std::size_t tag = source_.find("{%", at_); tag != std::string::npos; tag = source_.find("{%", tag + 2)) {
            at = tag + 2;
            if (at < source_.size() && (source_[at] == '-' || source_[at] == '+')) ++at;
            blanks();
            if (!word("endraw")) continue;
            blanks();
            sign = ' ';
            if (at < source_.size() && (source_[at] == '-' || source_[at] == '+')) sign = source_[at++];
            if (!word("%}")) continue;
            take_text(tag);
            at_ = at;
            after_tag(sign, true);
            return true;
        }
        fail_at(line_, "the raw block never ends (missing {% endraw %})");
    }
    void take_code(token_kind begin, token_kind end, std::string_view mark) {
        out_.push_back({begin, {}, line_});
        std::size_t open = 0;  // brackets and braces: "}}" inside a dict literal does not end the tag
        const std::size_t first_line = line_;
        for (;;) {
            while (at_ < source_.size() && is_space(code_point(source_, at_))) {
                line_ += source_[at_] == '\n' ? 1 : 0;
                at_ += character_size(source_, at_);
            }
            if (at_ >= source_.size())
                fail_at(first_line, "the tag never ends (missing \"" + std::string(mark) + "\")");
            const bool signed_end = (source_[at_] == '-' || (source_[at_] == '+' && mark == "%}")) &&
                                    source_.compare(at_ + 1, 2, mark) == 0;
            if (open == 0 && (signed_end || source_.compare(at_, 2, mark) == 0)) {
                const char sign = source_[at_];
                at_ += signed_end ? 3 : 2;
                out_.push_back({end, {}, line_});
                after_tag(sign, mark == "%}");
                return;
            }
            take_lexeme(open);
        }
    }
    void take_lexeme(std::size_t& open) {
        const char c = source_[at_];
        if (c == '"' || c == '\'') return take_string(c);
        if (is_digit(static_cast<unsigned char>(c))) return take_number();
        if (is_name(c)) {
            const std::size_t begin = at_;
            while (at_ < source_.size() &&
                   (is_name(source_[at_]) || is_digit(static_cast<unsigned char>(source_[at_]))))
                ++at_;
            out_.push_back({token_kind::name, source_.substr(begin, at_ - begin), line_});
            return;
        }
        for (const std::string_view two : {"==", "!=", "<=", ">=", "//", "**"})
            if (source_.compare(at_, 2, two) == 0) {
                out_.push_back({token_kind::op, std::string(two), line_});
                at_ += 2;
                return;
            }
        if (std::string_view("+-*/%~<>=.,:|()[]{}").find(c) == std::string_view::npos)
            fail_at(line_, std::string("unexpected character '") + c + "'");
        if (c == '(' || c == '[' || c == '{') ++open;
        if (c == ')' || c == ']' || c == '}') {
            if (open == 0) fail_at(line_, std::string("unexpected '") + c + "'");
            --open;
        }
        out_.push_back({token_kind::op, std::string(1, c), line_});
        ++at_;
    }
    static bool is_name(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
    }
    void take_number() {
        std::string digits;
        const bool after_dot = at_ > 0 && source_[at_ - 1] == '.';  // x.0.1 is two attributes
        const auto take = [&](auto accept) {
            while (at_ < source_.size() && (accept(source_[at_]) || source_[at_] == '_')) {
                if (source_[at_] != '_') digits += source_[at_];
                ++at_;
            }
        };
        const auto decimal = [](char c) { return c >= '0' && c <= '9'; };
        take(decimal);
        bool real = false;
        if (!after_dot && at_ + 1 < source_.size() && source_[at_] == '.' && decimal(source_[at_ + 1])) {
            real = true;
            digits += source_[at_++];
            take(decimal);
        }
        if (at_ < source_.size() && (source_[at_] == 'e' || source_[at_] == 'E')) {
            std::size_t next = at_ + 1;
            if (next < source_.size() && (source_[next] == '+' || source_[next] == '-')) ++next;
            if (next < source_.size() && decimal(source_[next])) {
                real = true;
                digits += source_.substr(at_, next - at_);
                at_ = next;
                take(decimal);
            }
        }
        out_.push_back({real ? token_kind::real : token_kind::integer, digits, line_});
    }
    void take_string(char quote) {
        const std::size_t first_line = line_;
        std::string text;
        for (++at_; at_ < source_.size() && source_[at_] != quote; ++at_) {
            line_ += source_[at_] == '\n' ? 1 : 0;
            if (source_[at_] != '\\') {
                text += source_[at_];
            } else if (++at_ < source_.size()) {
                take_escape(text);
            }
        }
        if (at_ >= source_.size()) fail_at(first_line, "the string never ends");
        ++at_;
        out_.push_back({token_kind::string, std::move(text), first_line});
    }
    /// Python's escapes; at_ stands on the character behind the backslash and stays on the last one taken.
    void take_escape(std::string& text) {
        const char c = source_[at_];
        constexpr std::string_view from = "\\'\"abfnrtv", to = "\\'\"\a\b\f\n\r\t\v";
        if (const std::size_t i = from.find(c); i != std::string_view::npos) {
            text += to[i];
        } else if (c == '\n') {
            ++line_;
        } else if (c >= '0' && c <= '7') {
            std::uint32_t code = 0;
            std::size_t n = 0;
            for (; n < 3 && at_ + n < source_.size() && source_[at_ + n] >= '0' && source_[at_ + n] <= '7'; ++n)
                code = code * 8 + static_cast<std::uint32_t>(source_[at_ + n] - '0');
            append_code_point(text, code);
            at_ += n - 1;
        } else if (c == 'x' || c == 'u' || c == 'U') {
            const std::size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
            std::uint32_t code = 0;
            for (std::size_t n = 1; n <= digits; ++n) {
                const char h = at_ + n < source_.size() ? source_[at_ + n] : ' ';
                const std::size_t digit = std::string_view("0123456789abcdef").find(static_cast<char>(h | 0x20));
                if (digit == std::string_view::npos || h == ' ') fail_at(line_, "a broken escape in a string");
                code = code * 16 + static_cast<std::uint32_t>(digit);
            }
            if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
                fail_at(line_, "a string escape is no Unicode character");
            append_code_point(text, code);
            at_ += digits;
        } else {
            text += '\\';
            text += c;
        }
    }

    std::string source_;
    syntax_options syntax_;
    std::size_t at_ = 0, line_ = 1;
    bool line_start_ = true;
    std::vector<lexeme> out_;
};

}  // namespace lab::text::jinja
