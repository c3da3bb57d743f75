// The answer must be a stretch of a given text that begins and ends at word boundaries. The state is the set of places
// in the text where the answer so far may stand, kept on bytes: tokens may split words anywhere. White space in the
// text counts as one space; a blank line ends a section, and no answer crosses it.
#pragma once

#include <algorithm>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/sampling/candidates.hpp"
#include "lab/sampling/token_trie.hpp"

namespace lab::sampling {

struct span_options {
    std::size_t min_words = 1;
    std::size_t max_words = 0;   // 0: no limit
    bool leading_space = false;  // one space before the answer is allowed, for models whose words begin with it
};

namespace detail {

/// A text prepared for span constraints. Positions are between bytes, 0 to size.
/// A word is a run of letters, digits and non-ASCII characters other than spaces and general punctuation; an
/// apostrophe, hyphen, full stop, comma or colon between two of its characters belongs to it ("don't", "co-op", "3.5",
/// "12:30").
class span_text {
public:
    static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

    explicit span_text(std::string_view raw) : text_(squeeze(raw)) {
        if (text_.size() >= none) throw config_error("the text for a span is too long");
        const std::size_t n = text_.size();
        std::vector<bool> word = word_bytes();
        const auto inside = [&](std::size_t p) { return p > 0 && p < n && word[p - 1] && word[p]; };
        start_.resize(n + 1);
        end_.resize(n + 1);
        words_before_.resize(n + 1);
        for (std::size_t p = 0; p <= n; ++p) {
            const bool begins_word = p < n && word[p] && !(p > 0 && word[p - 1]);
            if (p < n) words_before_[p + 1] = words_before_[p] + (begins_word ? 1 : 0);
            start_[p] = p < n && !is_blank(text_[p]) && !inside(p) && !one_of(text_[p], ".,;:!?)]}");
            end_[p] = p > 0 && !is_blank(text_[p - 1]) && !inside(p) && !one_of(text_[p - 1], ",;:([{");
        }
        next_end_.assign(n + 1, none);
        last_end_.assign(n + 1, none);
        std::uint32_t next = none, last = none;
        for (std::size_t p = n + 1; p-- > 0;) {
            if (p < n && text_[p] == '\n') next = last = none;
            if (end_[p]) {
                next = static_cast<std::uint32_t>(p);
                if (last == none) last = next;
            }
            next_end_[p] = next;
            last_end_[p] = last;
        }
    }

    [[nodiscard]] std::size_t size() const noexcept { return text_.size(); }
    [[nodiscard]] char operator[](std::size_t p) const noexcept { return text_[p]; }
    [[nodiscard]] std::string_view text() const noexcept { return text_; }
    [[nodiscard]] bool can_start(std::size_t p) const { return start_[p]; }
    [[nodiscard]] bool can_end(std::size_t p) const { return end_[p]; }
    [[nodiscard]] std::size_t words(std::size_t begin, std::size_t end) const {
        return words_before_[end] - words_before_[begin];
    }
    /// Whether an answer that began at `begin` and has come to p can still end within the limits.
    [[nodiscard]] bool can_finish(std::size_t begin, std::size_t p, const span_options& o) const {
        return next_end_[p] != none && (o.max_words == 0 || words(begin, next_end_[p]) <= o.max_words) &&
               words(begin, last_end_[p]) >= o.min_words;
    }

private:
    static bool is_blank(char c) { return c == ' ' || c == '\n'; }
    static bool one_of(char c, std::string_view set) { return set.find(c) != std::string_view::npos; }

    /// Runs of white space become one space, runs with a blank line one line break.
    static std::string squeeze(std::string_view raw) {
        std::string out;
        std::size_t lines = 0;
        bool blank = false;
        for (const char c : raw) {
            if (one_of(c, " \t\r\n\f\v")) {
                blank = true;
                lines += c == '\n' ? 1 : 0;
                continue;
            }
            if (blank && !out.empty()) out += lines > 1 ? '\n' : ' ';
            blank = false;
            lines = 0;
            out += c;
        }
        return out;
    }
    [[nodiscard]] std::vector<bool> word_bytes() const {
        const auto byte = [&](std::size_t i) { return i < text_.size() ? static_cast<unsigned char>(text_[i]) : 0u; };
        const auto digit = [](unsigned c) { return c >= '0' && c <= '9'; };
        const auto alphanumeric = [&](unsigned c) {
            return digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        };
        std::vector<bool> word(text_.size());
        for (std::size_t i = 0; i < text_.size();) {
            const unsigned c = byte(i);
            std::size_t length = c < 0xC0 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
            length = std::min(length, text_.size() - i);
            // U+0080-00BF (signs, no-break space), U+2000-206F and U+3000-303F are spaces and punctuation.
            const bool punctuation = (c == 0xC2) || (c == 0xE2 && (byte(i + 1) == 0x80 || byte(i + 1) == 0x81)) ||
                                     (c == 0xE3 && byte(i + 1) == 0x80);
            const bool letter = alphanumeric(c) || (c >= 0x80 && !punctuation);
            for (std::size_t j = 0; j < length; ++j) word[i + j] = letter;
            i += length;
        }
        std::vector<bool> joined = word;
        for (std::size_t i = 1; i + 1 < text_.size(); ++i) {
            const unsigned c = byte(i);
            const bool between_digits = digit(byte(i - 1)) && digit(byte(i + 1));
            if (word[i - 1] && word[i + 1] &&
                (c == '\'' || c == '-' || c == '.' || ((c == ',' || c == ':') && between_digits)))
                joined[i] = true;
            if (c == 0xE2 && byte(i + 1) == 0x80 && byte(i + 2) == 0x99 && word[i - 1] && i + 3 < text_.size() &&
                word[i + 3])
                joined[i] = joined[i + 1] = joined[i + 2] = true;  // U+2019, the typographic apostrophe
        }
        return joined;
    }

    std::string text_;
    std::vector<bool> start_, end_;
    std::vector<std::uint32_t> words_before_;  // words that begin before each position
    std::vector<std::uint32_t> next_end_;      // nearest end at or after each position in its section
    std::vector<std::uint32_t> last_end_;      // the section's last end
};

}  // namespace detail

/// Same interface as choice_constraint. Copies are independent states. The trie must outlive it.
class span_constraint {
public:
    /// @throws config_error when the text holds no stretch of that many words.
    span_constraint(const token_trie& trie, std::string_view text, span_options options = {})
        : trie_(&trie), text_(text), options_(options) {
        if (options.max_words != 0 && options.max_words < options.min_words)
            throw config_error("a span of at least " + std::to_string(options.min_words) + " and at most " +
                               std::to_string(options.max_words) + " words cannot exist");
        for (std::size_t p = 0; p < text_.size(); ++p)
            if (text_.can_start(p) && text_.can_finish(p, p, options_))
                places_.push_back(static_cast<std::uint32_t>(p));
        if (places_.empty())
            throw config_error("the text holds no span of at least " + std::to_string(options.min_words) + " words");
    }

    /// The tokens that may come next, ascending.
    void allowed(std::vector<token>& out) const {
        out.clear();
        if (!ended_) {
            std::vector<std::uint32_t> stack = places_;
            collect(trie_->root(), length_, stack, 0, out);
            if (const auto* space = may_take_space() ? trie_->child(trie_->root(), ' ') : nullptr) {
                const auto here = trie_->tokens(*space);
                out.insert(out.end(), here.begin(), here.end());
                collect(*space, length_, stack, 0, out);
            }
        }
        if (can_end()) out.insert(out.end(), trie_->end_tokens().begin(), trie_->end_tokens().end());
        std::sort(out.begin(), out.end());
        out.erase(std::unique(out.begin(), out.end()), out.end());
    }
    /// Keeps only allowed tokens.
    void mask(candidates& c) const {
        std::vector<token> ids;
        allowed(ids);
        c.keep_ids(ids);
    }
    /// @throws config_error when the token is not allowed here.
    void advance(token id) {
        if (trie_->is_end(id) && can_end()) {
            ended_ = true;
            return;
        }
        std::string_view bytes = trie_->bytes(id);
        bool fine = !bytes.empty() && !ended_;
        if (fine && may_take_space() && bytes.front() == ' ') {
            bytes.remove_prefix(1);
            spaced_ = true;
        }
        std::vector<std::uint32_t> places = places_;
        std::size_t length = length_;
        for (const char byte : bytes) {
            std::erase_if(places, [&](std::uint32_t p) { return !takes(p, length, byte); });
            for (auto& p : places) ++p;
            ++length;
        }
        if (!fine || places.empty())
            throw config_error("token " + std::to_string(id) + " does not continue any span of the text");
        places_ = std::move(places);
        length_ = length;
    }
    /// Whether the answer so far may stand as it is.
    [[nodiscard]] bool can_end() const {
        return ended_ || (length_ > 0 && std::any_of(places_.begin(), places_.end(), [&](std::uint32_t p) {
                              const std::size_t words = text_.words(p - length_, p);
                              return text_.can_end(p) && words >= options_.min_words &&
                                     (options_.max_words == 0 || words <= options_.max_words);
                          }));
    }
    /// Whether nothing can follow.
    [[nodiscard]] bool finished() const {
        if (ended_) return true;
        return length_ > 0 && std::none_of(places_.begin(), places_.end(), [&](std::uint32_t p) {
                   return p < text_.size() && takes(p, length_, text_[p]);
               });
    }

private:
    [[nodiscard]] bool may_take_space() const noexcept { return options_.leading_space && length_ == 0 && !spaced_; }
    /// Whether an answer of `length` bytes that has come to p can go on with this byte.
    [[nodiscard]] bool takes(std::uint32_t p, std::size_t length, char byte) const {
        return p < text_.size() && text_[p] == byte && byte != '\n' && text_.can_finish(p - length, p + 1, options_);
    }
    /// stack[begin...] are the places for this node; children's places are pushed behind them and taken off again.
    void collect(const token_trie::node& node, std::size_t length, std::vector<std::uint32_t>& stack, std::size_t begin,
                 std::vector<token>& out) const {
        const std::size_t end = stack.size();
        std::bitset<256> next_bytes;
        for (std::size_t i = begin; i < end; ++i)
            if (stack[i] < text_.size()) next_bytes.set(static_cast<unsigned char>(text_[stack[i]]));
        for (const auto& child : trie_->children(node)) {
            if (!next_bytes[child.byte]) continue;
            for (std::size_t i = begin; i < end; ++i)
                if (const std::uint32_t p = stack[i]; takes(p, length, static_cast<char>(child.byte)))
                    stack.push_back(p + 1);
            if (stack.size() > end) {
                const auto here = trie_->tokens(child);
                out.insert(out.end(), here.begin(), here.end());
                collect(child, length + 1, stack, end, out);
            }
            stack.resize(end);
        }
    }

    const token_trie* trie_;
    detail::span_text text_;
    span_options options_;
    std::vector<std::uint32_t>
        places_;              // ends of the answer so far in the text, ascending; its starts while it is empty
    std::size_t length_ = 0;  // bytes of the answer so far, a leading space not counted
    bool spaced_ = false, ended_ = false;
};

}  // namespace lab::sampling
