// Byte-level BPE as GPT-2 introduced it: a pre-tokenizer cuts the text, each piece is a string of bytes, ranked merges
// join them. Files spell bytes in a printable alphabet (0x20 is U+0120, "Ġ"); here everything is raw bytes. References:
// https://github.com/openai/gpt-2 encoder.py; llama.cpp for bytes that the vocabulary lacks (they are dropped).
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/tokenizer/merges.hpp"
#include "lab/tokenizer/piece_index.hpp"
#include "lab/tokenizer/vocabulary.hpp"

namespace lab::tokenizer {

/// GPT-2's alphabet: printable Latin-1 bytes stand for themselves, the other 68 for U+0100 onwards in order.
class byte_alphabet {
public:
    [[nodiscard]] static const byte_alphabet& get() {
        static const byte_alphabet alphabet;
        return alphabet;
    }
    [[nodiscard]] char32_t letter(unsigned char byte) const { return letters_[byte]; }
    [[nodiscard]] std::string spell(std::string_view bytes) const {
        std::string out;
        for (const char c : bytes) append_utf8(out, letter(static_cast<unsigned char>(c)));
        return out;
    }
    /// The bytes a spelling stands for; nothing when it holds a character outside the alphabet.
    [[nodiscard]] std::optional<std::string> bytes(std::string_view spelling) const {
        std::string out;
        while (!spelling.empty()) {
            const code_point c = decode_utf8(spelling);
            if (!c.valid || c.value >= bytes_.size() || bytes_[c.value] < 0) return std::nullopt;
            out.push_back(static_cast<char>(static_cast<unsigned char>(bytes_[c.value])));
            spelling.remove_prefix(c.length);
        }
        return out;
    }

private:
    byte_alphabet() {
        bytes_.fill(-1);
        char32_t next = 0x100;
        for (unsigned b = 0; b < 256; ++b) {
            const bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b != 0xAD);
            letters_[b] = printable ? static_cast<char32_t>(b) : next++;
            bytes_[letters_[b]] = static_cast<std::int16_t>(b);
        }
    }
    std::array<char32_t, 256> letters_{};
    std::array<std::int16_t, 0x144> bytes_{};
};

/// Remembers, per token, whether merging its own bytes gives that one token back; safe to ask from many threads.
class reachable_memo {
public:
    explicit reachable_memo(std::size_t count = 0) : known_(count) {}
    template <class Check>
    bool operator()(token id, Check&& check) const {
        auto& state = known_[static_cast<std::size_t>(id)];
        std::uint8_t value = state.load(std::memory_order_relaxed);
        if (value == 0) {
            value = check() ? 2 : 1;
            state.store(value, std::memory_order_relaxed);
        }
        return value == 2;
    }

private:
    mutable std::vector<std::atomic<std::uint8_t>> known_;
};

class byte_level_bpe {
public:
    explicit byte_level_bpe(const vocabulary& v)
        : splits_(v.splits),
          mark_(v.mark),
          ignore_merges_(v.ignore_merges),
          skip_missing_(v.emit_unknown && v.unknown == no_token),
          fuse_unknown_(v.fuse_unknown),
          unknown_(v.emit_unknown ? v.unknown : no_token),
          size_(static_cast<token>(v.texts.size())),
          pieces_(v.texts.size()),
          reachable_(v.texts.size()) {
        const auto& alphabet = byte_alphabet::get();
        piece_index by_text(v.texts.size());
        for (std::size_t i = 0; i < v.texts.size(); ++i) {
            by_text.insert(v.texts[i], static_cast<token>(i));
            if (v.kinds[i] != token_kind::normal) continue;
            if (const auto bytes = alphabet.bytes(v.texts[i]); bytes && !bytes->empty()) {
                pieces_.insert(*bytes, static_cast<token>(i));
                longest_ = std::max(longest_, bytes->size());
            }
        }
        // Symbols beyond the vocabulary stand for texts that only the merges know.
        const auto symbol_of = [&](const std::string& text) {
            const token known = by_text.find(text);
            if (known != no_token) return known;
            const token fresh = size_ + static_cast<token>(extra_.size());
            extra_.push_back(alphabet.bytes(text).value_or(""));
            return by_text.insert(text, fresh);
        };
        for (unsigned b = 0; b < 256; ++b)
            bytes_[b] = symbol_of(alphabet.spell(std::string(1, static_cast<char>(static_cast<unsigned char>(b)))));
        std::vector<merge_rule> rules;
        rules.reserve(v.merges.size());
        for (const auto& [left, right] : v.merges)
            rules.push_back(
                {symbol_of(left), symbol_of(right), symbol_of(left + right), static_cast<std::uint32_t>(rules.size())});
        merges_ = merge_table(rules);
    }

    /// Appends the ids of a text without special tokens.
    void encode(std::string_view text, bool at_start, std::vector<token>& out) const {
        merge_scratch scratch;
        std::string prefixed;
        if (mark_ != word_mark::never && !text.starts_with(' ') && (at_start || mark_ != word_mark::first_if_none))
            text = prefixed.append(" ").append(text);
        splits_.split(text, [&](std::string_view piece) { encode_piece(piece, scratch, out); });
    }

private:
    void encode_piece(std::string_view piece, merge_scratch& scratch, std::vector<token>& out) const {
        if (piece.size() <= longest_) {
            const token id = pieces_.find(piece);
            if (id != no_token && (ignore_merges_ || reachable_(id, [&] {
                                       load(piece, scratch);
                                       merges_.merge(scratch);
                                       return scratch.symbols.size() == 1 && scratch.symbols[0] == id;
                                   })))
                return out.push_back(id);
        }
        load(piece, scratch);
        merges_.merge(scratch);
        bool after_unknown = false;
        for (const token symbol : scratch.symbols) emit(symbol, after_unknown, out);
    }
    void load(std::string_view piece, merge_scratch& scratch) const {
        scratch.symbols.resize(piece.size());
        for (std::size_t i = 0; i < piece.size(); ++i)
            scratch.symbols[i] = bytes_[static_cast<unsigned char>(piece[i])];
        // HF drops such bytes before merging, llama.cpp after: their neighbours meet only here.
        if (skip_missing_) std::erase_if(scratch.symbols, [this](token symbol) { return symbol >= size_; });
    }
    void emit(token symbol, bool& after_unknown, std::vector<token>& out) const {
        const auto put = [&](token id) {
            const bool missing = id >= size_;
            if (!missing)
                out.push_back(id);
            else if (unknown_ != no_token && !(after_unknown && fuse_unknown_))
                out.push_back(unknown_);
            after_unknown = missing;
        };
        if (symbol < size_) return put(symbol);
        for (const char c : extra_[static_cast<std::size_t>(symbol - size_)])
            put(bytes_[static_cast<unsigned char>(c)]);
    }

    pre_tokenizer splits_;
    word_mark mark_;
    bool ignore_merges_;
    bool skip_missing_;
    bool fuse_unknown_;
    token unknown_;
    token size_;
    piece_index pieces_;
    std::size_t longest_ = 1;
    reachable_memo reachable_;
    std::array<token, 256> bytes_{};
    std::vector<std::string> extra_;
    merge_table merges_;
};

}  // namespace lab::tokenizer
