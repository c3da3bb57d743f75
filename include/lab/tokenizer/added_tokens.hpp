// Finds added and special tokens in a text before it is tokenized: leftmost match, the longest of those that start
// there, then tokenizer.json's flags (lstrip, rstrip, single_word). Special ones count only on request.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/tokenizer/piece_index.hpp"
#include "lab/tokenizer/unicode.hpp"
#include "lab/tokenizer/vocabulary.hpp"

namespace lab::tokenizer {

class added_token_matcher {
public:
    added_token_matcher() = default;
    explicit added_token_matcher(std::vector<added_token> tokens) : tokens_(std::move(tokens)), index_(tokens_.size()) {
        for (std::size_t i = 0; i < tokens_.size(); ++i) {
            const added_token& t = tokens_[i];
            if (t.text.empty() || index_.insert(t.text, static_cast<token>(i)) != static_cast<token>(i)) continue;
            auto& lengths = lengths_[static_cast<unsigned char>(t.text[0])];
            if (std::find(lengths.begin(), lengths.end(), t.text.size()) == lengths.end())
                lengths.push_back(t.text.size());
            any_plain_ = any_plain_ || !t.special;
        }
        for (auto& lengths : lengths_) std::sort(lengths.begin(), lengths.end(), std::greater<>());
    }
    [[nodiscard]] const std::vector<added_token>& tokens() const { return tokens_; }
    [[nodiscard]] const added_token* find(std::string_view text) const {
        const token at = index_.find(text);
        return at == no_token ? nullptr : &tokens_[static_cast<std::size_t>(at)];
    }

    /// Calls on_text(stretch, offset) for what lies between tokens (never empty) and on_token(id) for each token, in
    /// order.
    template <class OnText, class OnToken>
    void split(std::string_view text, bool parse_special, OnText&& on_text, OnToken&& on_token) const {
        std::size_t done = 0;
        const auto finish = [&](std::size_t end) {
            if (end > done) on_text(text.substr(done, end - done), done);
        };
        if (!tokens_.empty() && (parse_special || any_plain_)) {
            for (std::size_t at = 0; at < text.size();) {
                const added_token* found = longest_at(text, at, parse_special);
                if (found == nullptr) {
                    ++at;
                    continue;
                }
                std::size_t start = at;
                std::size_t end = at + found->text.size();
                if (found->lstrip) start = std::max(done, start_of_space(text, start));
                if (found->rstrip)
                    for (code_point c = decode_utf8(text.substr(end)); c.length != 0 && is_white_space(c.value);
                         c = decode_utf8(text.substr(end)))
                        end += c.length;
                finish(start);
                on_token(found->id);
                done = at = end;
            }
        }
        finish(text.size());
    }

private:
    [[nodiscard]] const added_token* longest_at(std::string_view text, std::size_t at, bool parse_special) const {
        for (const std::size_t length : lengths_[static_cast<unsigned char>(text[at])]) {
            if (length > text.size() - at) continue;
            const added_token* found = find(text.substr(at, length));
            if (found == nullptr || (found->special && !parse_special)) continue;
            if (found->single_word && !stands_alone(text, at, at + length)) continue;
            return found;
        }
        return nullptr;
    }
    [[nodiscard]] static std::size_t previous_character(std::string_view text, std::size_t at) {
        do --at;
        while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U);
        return at;
    }
    [[nodiscard]] static std::size_t start_of_space(std::string_view text, std::size_t at) {
        while (at > 0) {
            const std::size_t before = previous_character(text, at);
            if (!is_white_space(decode_utf8(text.substr(before)).value)) break;
            at = before;
        }
        return at;
    }
    [[nodiscard]] static bool stands_alone(std::string_view text, std::size_t start, std::size_t end) {
        const auto word_character = [&](std::size_t at) {
            const code_point c = decode_utf8(text.substr(at));
            const auto& data = unicode_data::get();
            const auto general = data.general_category(c.value);
            return (data.classes(c.value) & (char_class::letter | char_class::mark)) != 0 || general == category::nd ||
                   general == category::pc;
        };
        return (start == 0 || !word_character(previous_character(text, start))) &&
               (end == text.size() || !word_character(end));
    }

    std::vector<added_token> tokens_;
    piece_index index_;
    std::array<std::vector<std::size_t>, 256> lengths_;  // of the tokens that begin with this byte, longest first
    bool any_plain_ = false;
};

}  // namespace lab::tokenizer
