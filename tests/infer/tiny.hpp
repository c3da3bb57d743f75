// A random two-layer llama over a tokenizer of single bytes: enough to test how generations are run, not what they say.
#pragma once

#include <string>

#include "lab/tokenizer/tokenizer.hpp"
#include "support/small_llama.hpp"

namespace lab::test {

/// 256 byte tokens and <|im_start|>, <|im_end|> (ends a generation).
inline tokenizer::tokenizer byte_tokenizer() {
    tokenizer::vocabulary v;
    int next = 0;
    for (int byte = 0; byte < 256; ++byte) {
        // GPT-2's printable alphabet: printable Latin-1 stands for itself, the rest follows from U+0100 on.
        const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
        const int code = printable ? byte : 256 + next++;
        std::string text;
        if (code < 0x80) {
            text += static_cast<char>(code);
        } else {
            text += static_cast<char>(0xc0 | (code >> 6));
            text += static_cast<char>(0x80 | (code & 0x3f));
        }
        v.texts.push_back(text);
        v.kinds.push_back(tokenizer::token_kind::normal);
    }
    for (const char* special : {"<|im_start|>", "<|im_end|>"}) {
        v.added.push_back({.text = special, .id = static_cast<token>(v.texts.size())});
        v.texts.emplace_back(special);
        v.kinds.push_back(tokenizer::token_kind::control);
    }
    v.mark = tokenizer::word_mark::never;
    v.end_of_generation = {257};
    v.eos = 257;
    return tokenizer::tokenizer(std::move(v));
}

/// `seed`: of its weights.
inline nn::any_model byte_model(std::size_t threads = 1, std::size_t context = 512, std::uint64_t seed = 3) {
    return small_llama({.dim = 32, .layers = 2, .heads = 4, .kv_heads = 2, .head_dim = 8, .hidden = 48, .vocab = 258},
                       4.0, context, threads, seed);
}

}  // namespace lab::test
