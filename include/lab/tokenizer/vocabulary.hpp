// A vocabulary as plain data: what a GGUF, tokenizer.json or tokenizer.model says, before any table is built from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/token.hpp"
#include "lab/tokenizer/pre_tokenizer.hpp"

namespace lab::tokenizer {

enum class algorithm : std::uint8_t {
    byte_level_bpe,     // GPT-2's: bytes, ranked merges, pre-tokenizer
    sentencepiece_bpe,  // SentencePiece's: characters, merges by score (or by rank, from tokenizer.json), byte fallback
};

/// The numbers are those of GGUF's token_type and of SentencePiece's piece type.
enum class token_kind : std::uint8_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

/// A token matched in the text before anything else, as in tokenizer.json's added_tokens.
struct added_token {
    std::string text;
    token id = no_token;
    bool special = true;       // matched only when parse_special is asked for
    bool lstrip = false;       // takes the white space on its left with it
    bool rstrip = false;       // ... on its right
    bool single_word = false;  // only between characters that are not part of a word
    bool normalized = false;   // matched after the normaliser ran, not before
};

/// Where SentencePiece's word mark U+2581 is put in front of a text.
enum class word_mark : std::uint8_t {
    never,
    each_section,          // before every stretch between special tokens (SentencePiece, llama.cpp, HF's Prepend)
    each_section_if_none,  // the same, unless it begins with one (HF's Metaspace, "always")
    first_if_none,         // only at the very start of the text (HF's Metaspace, "first")
};

/// What becomes of bytes that are not UTF-8. One reference per family and file form; HF takes valid text only.
enum class broken_utf8 : std::uint8_t {
    lenient_replace,  // byte-level BPE, after llama.cpp: U+FFFD per broken byte; overlong forms and surrogates are
                      // decoded
    strict_replace,   // tokenizer.model and SentencePiece-like tokenizer.json, after sentencepiece: U+FFFD per broken
                      // byte
    keep,             // SentencePiece BPE from GGUF, after llama.cpp: the bytes go through byte fallback as they are
};

struct vocabulary {
    algorithm kind = algorithm::byte_level_bpe;
    std::vector<std::string> texts;  // as the file spells them: byte-level tokens in GPT-2's printable alphabet
    std::vector<token_kind> kinds;   // one per text
    std::vector<float> scores;       // one per text, or empty; SentencePiece BPE without merges needs them
    std::vector<std::pair<std::string, std::string>> merges;  // best first; empty where the scores rule
    std::vector<added_token> added;

    pre_tokenizer splits;        // byte-level BPE
    bool ignore_merges = false;  // a piece that is a token is taken whole, whatever the merges say
    bool emit_unknown = true;    // what the vocabulary cannot spell becomes `unknown`; false: it is dropped

    word_mark mark =
        word_mark::each_section;  // byte-level BPE: a plain space; anything but `never` means "unless there is one"
    // SentencePiece BPE from here on
    bool user_defined_inline = false;  // user-defined pieces are matched inside the text, without a new word mark
    bool escape_spaces = true;         // ' ' is written as U+2581
    bool split_at_every_mark = false;  // merges never cross to the left of any U+2581 (HF's Metaspace, split)
    bool remove_extra_spaces = false;
    bool control_pieces_merge = false;  // llama.cpp lets merges end in any token; sentencepiece only in normal ones
    bool byte_fallback = true;
    bool fuse_unknown = true;
    bool strip_first_space = true;  // decoding drops the space that the word mark at the start stands for

    bool compose = false;  // normalise to NFC first
    broken_utf8 broken = broken_utf8::lenient_replace;

    token bos = no_token;
    token eos = no_token;
    token unknown = no_token;
    token padding = no_token;
    bool add_bos = false;  // what the file asks callers to do; encode() does only what its options say
    bool add_eos = false;
    std::vector<token> end_of_generation;
    std::string chat_template;
};

/// The token with this text, added ones first; no_token for an empty text and where there is none.
[[nodiscard]] inline token find_token(const vocabulary& v, std::string_view text) {
    for (const added_token& t : v.added)
        if (t.text == text) return t.id;
    for (std::size_t i = 0; i < v.texts.size() && !text.empty(); ++i)
        if (v.texts[i] == text) return static_cast<token>(i);
    return no_token;
}

}  // namespace lab::tokenizer
