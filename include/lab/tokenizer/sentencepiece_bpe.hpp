// SentencePiece's BPE: spaces become U+2581, a word mark is put in front, characters are joined by piece score (or by
// the merge ranks of a tokenizer.json), what no piece covers is spelled in bytes. Reference: google/sentencepiece
// bpe_model.cc (Kudo and Richardson 2018) and llama.cpp. Text is cut before word marks where no piece spans such a
// place: same ids, but most words are found whole. Not done: dropout, vocabulary restriction ("unused" pieces count as
// normal ones).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/tokenizer/added_tokens.hpp"
#include "lab/tokenizer/byte_level_bpe.hpp"
#include "lab/tokenizer/merges.hpp"
#include "lab/tokenizer/piece_index.hpp"
#include "lab/tokenizer/vocabulary.hpp"

namespace lab::tokenizer {

inline constexpr std::string_view word_mark_text = "\xE2\x96\x81";  // U+2581

/// The byte of a "<0x41>" piece, -1 for any other text.
[[nodiscard]] inline int byte_piece_value(std::string_view text) {
    if (text.size() != 6 || text.substr(0, 3) != "<0x" || text[5] != '>') return -1;
    const auto hex = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; };
    const int high = hex(text[3]);
    const int low = hex(text[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

class sentencepiece_bpe {
public:
    explicit sentencepiece_bpe(const vocabulary& v)
        : mark_(v.mark),
          escape_spaces_(v.escape_spaces),
          remove_extra_spaces_(v.remove_extra_spaces),
          split_at_every_mark_(v.split_at_every_mark),
          fuse_unknown_(v.fuse_unknown),
          ignore_merges_(v.ignore_merges),
          unknown_(v.emit_unknown ? v.unknown : no_token),
          size_(static_cast<token>(v.texts.size())),
          pieces_(v.texts.size()),
          reachable_(v.texts.size()) {
        bytes_.fill(no_token);
        std::vector<added_token> inline_tokens;
        for (std::size_t i = 0; i < v.texts.size(); ++i) {
            const auto kind = v.kinds[i];
            if (const int byte = byte_piece_value(v.texts[i]);
                v.byte_fallback && byte >= 0 && bytes_[static_cast<std::size_t>(byte)] == no_token)
                bytes_[static_cast<std::size_t>(byte)] = static_cast<token>(i);
            const bool plain =
                kind == token_kind::normal || kind == token_kind::user_defined || kind == token_kind::unused;
            if ((plain || v.control_pieces_merge) && !v.texts[i].empty()) {
                pieces_.insert(v.texts[i], static_cast<token>(i));
                longest_ = std::max(longest_, v.texts[i].size());
            }
            if (plain && spans_word_start(v.texts[i])) cut_words_ = false;
            if (v.user_defined_inline && kind == token_kind::user_defined)
                inline_tokens.push_back({.text = v.texts[i], .id = static_cast<token>(i), .special = false});
        }
        inline_ = added_token_matcher(std::move(inline_tokens));
        merges_ = merge_table(v.merges.empty() ? rules_from_scores(v) : rules_from_merges(v));
    }

    /// Appends the ids of a stretch without special tokens; `at_start` when it begins the whole text.
    void encode(std::string_view text, bool at_start, std::vector<token>& out) const {
        const std::string normal = normalize(text, at_start);
        merge_scratch scratch;
        bool after_unknown = false;
        inline_.split(
            normal, false,
            [&](std::string_view rest, std::size_t) {
                while (!rest.empty()) {
                    const std::size_t length = cut_words_ || split_at_every_mark_ ? word_length(rest) : rest.size();
                    encode_word(rest.substr(0, length), scratch, after_unknown, out);
                    rest.remove_prefix(length);
                }
            },
            [&](token id) {
                out.push_back(id);
                after_unknown = false;
            });
    }

    /// The text as the merges see it.
    [[nodiscard]] std::string normalize(std::string_view text, bool at_start) const {
        std::string out;
        if (remove_extra_spaces_) {
            while (text.starts_with(' ')) text.remove_prefix(1);
            while (text.ends_with(' ')) text.remove_suffix(1);
        }
        if (text.empty()) return out;
        out.reserve(text.size() + text.size() / 2 + 3);
        const std::string_view space = escape_spaces_ ? word_mark_text : std::string_view(" ");
        const bool has_mark = text.starts_with(space) || text.starts_with(' ');
        if (mark_ == word_mark::each_section || (mark_ == word_mark::each_section_if_none && !has_mark) ||
            (mark_ == word_mark::first_if_none && at_start && !has_mark))
            out.append(space);
        while (!text.empty()) {
            const std::size_t gap = std::min(text.find(' '), text.size());
            out.append(text.substr(0, gap));
            text.remove_prefix(gap);
            if (text.empty()) break;
            out.append(space);
            do text.remove_prefix(1);
            while (remove_extra_spaces_ && text.starts_with(' '));
        }
        return out;
    }

private:
    // Bytes of the character at the front, by its lead byte alone: llama.cpp takes broken sequences apart like this.
    [[nodiscard]] static std::size_t char_length(std::string_view text) {
        return std::min(utf8_length(static_cast<unsigned char>(text[0])), text.size());
    }
    // Whether a word mark follows another character inside the piece.
    [[nodiscard]] static bool spans_word_start(std::string_view piece) {
        const std::size_t body = piece.starts_with(word_mark_text) ? [&] {
            std::size_t at = 0;
            while (piece.substr(at).starts_with(word_mark_text)) at += word_mark_text.size();
            return at;
        }() : std::size_t{0};
        return piece.find(word_mark_text, body) != piece.npos;
    }
    [[nodiscard]] std::size_t word_length(std::string_view text) const {
        std::size_t at = 0;
        if (!split_at_every_mark_)
            while (text.substr(at).starts_with(word_mark_text)) at += word_mark_text.size();
        if (at == 0) at = char_length(text);
        while (at < text.size()) {
            const auto lead = static_cast<unsigned char>(text[at]);
            if (lead == 0xE2 && text.substr(at).starts_with(word_mark_text)) break;
            at += lead < 0x80 ? 1 : char_length(text.substr(at));
        }
        return at;
    }

    // Symbols 0..size_-1 are tokens; from size_ on, texts that only rules know; -2 and below, characters without a
    // symbol.
    token symbol_of(std::string_view text) {
        const token known = pieces_.find(text);
        if (known != no_token) return known;
        const token fresh = size_ + static_cast<token>(extra_.size());
        extra_.emplace_back(text);
        return pieces_.insert(text, fresh);
    }

    std::vector<merge_rule> rules_from_merges(const vocabulary& v) {
        std::vector<merge_rule> rules;
        rules.reserve(v.merges.size());
        for (const auto& [left, right] : v.merges)
            rules.push_back(
                {symbol_of(left), symbol_of(right), symbol_of(left + right), static_cast<std::uint32_t>(rules.size())});
        return rules;
    }

    // Any two neighbours whose joined text is a piece may merge; the rank of the pair is that of the piece's score.
    std::vector<merge_rule> rules_from_scores(const vocabulary& v) {
        if (v.scores.size() != v.texts.size())
            throw format_error(explain("SentencePiece vocabulary", "has neither merges nor one score for each piece"));
        std::vector<token> order;
        for (token id = 0; id < size_; ++id)
            if (pieces_.find(v.texts[static_cast<std::size_t>(id)]) == id) order.push_back(id);
        const auto score = [&](token id) { return v.scores[static_cast<std::size_t>(id)]; };
        std::sort(order.begin(), order.end(),
                  [&](token a, token b) { return score(a) != score(b) ? score(a) > score(b) : a < b; });
        // Characters that are no piece of their own still begin merges.
        for (const token id : order) {
            std::string_view text = v.texts[static_cast<std::size_t>(id)];
            while (!text.empty()) {
                const std::size_t n = char_length(text);
                (void)symbol_of(text.substr(0, n));
                text.remove_prefix(n);
            }
        }
        std::vector<merge_rule> rules;
        std::uint32_t rank = 0;
        for (std::size_t i = 0; i < order.size(); ++i) {
            if (i > 0 && score(order[i]) != score(order[i - 1])) ++rank;
            const std::string_view text = v.texts[static_cast<std::size_t>(order[i])];
            for (std::size_t at = char_length(text); at < text.size(); at += char_length(text.substr(at))) {
                const token left = pieces_.find(text.substr(0, at));
                const token right = left == no_token ? no_token : pieces_.find(text.substr(at));
                if (right != no_token) rules.push_back({left, right, order[i], rank});
            }
        }
        return rules;
    }

    void encode_word(std::string_view word, merge_scratch& scratch, bool& after_unknown,
                     std::vector<token>& out) const {
        if (word.size() <= longest_) {
            const token id = pieces_.find(word);
            if (id != no_token && id < size_ && (ignore_merges_ || reachable_(id, [&] {
                                                     load(word, scratch);
                                                     merges_.merge(scratch);
                                                     return scratch.symbols.size() == 1 && scratch.symbols[0] == id;
                                                 }))) {
                after_unknown = false;
                return out.push_back(id);
            }
        }
        load(word, scratch);
        merges_.merge(scratch);
        for (const token symbol : scratch.symbols) {
            if (symbol >= 0 && symbol < size_) {
                after_unknown = false;
                out.push_back(symbol);
            } else if (symbol >= size_) {
                spell(extra_[static_cast<std::size_t>(symbol - size_)], after_unknown, out);
            } else {
                const auto at = static_cast<std::size_t>(-2 - symbol);
                spell(word.substr(at, char_length(word.substr(at))), after_unknown, out);
            }
        }
    }
    void load(std::string_view word, merge_scratch& scratch) const {
        scratch.symbols.clear();
        for (std::size_t at = 0; at < word.size();) {
            const std::size_t n = char_length(word.substr(at));
            const token id = pieces_.find(word.substr(at, n));
            scratch.symbols.push_back(id != no_token ? id : -2 - static_cast<token>(at));
            at += n;
        }
    }
    void spell(std::string_view text, bool& after_unknown, std::vector<token>& out) const {
        const auto byte_token = [&](char c) { return bytes_[static_cast<unsigned char>(c)]; };
        if (std::all_of(text.begin(), text.end(), [&](char c) { return byte_token(c) != no_token; })) {
            for (const char c : text) out.push_back(byte_token(c));
            after_unknown = false;
            return;
        }
        if (unknown_ != no_token && !(after_unknown && fuse_unknown_)) out.push_back(unknown_);
        after_unknown = true;
    }

    word_mark mark_;
    bool escape_spaces_;
    bool remove_extra_spaces_;
    bool split_at_every_mark_;
    bool fuse_unknown_;
    bool ignore_merges_;
    bool cut_words_ = true;
    token unknown_;
    token size_;
    piece_index pieces_;
    added_token_matcher inline_;
    std::size_t longest_ = 1;
    reachable_memo reachable_;
    std::array<token, 256> bytes_{};
    std::vector<std::string> extra_;
    merge_table merges_;
};

}  // namespace lab::tokenizer
