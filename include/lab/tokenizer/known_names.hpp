// Token texts that end a generation wherever a file forgets to say so, as llama.cpp collects them.
#pragma once

#include <algorithm>
#include <string_view>

#include "lab/tokenizer/vocabulary.hpp"

namespace lab::tokenizer {

inline constexpr std::string_view end_of_generation_texts[] = {
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "</s>",
    "<|endoftext|>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<eos>",
    "<end_of_utterance>",
    "<\uFF5Cend\u2581of\u2581sentence\uFF5C>",
};

/// Adds eos and every special token with such a text to the vocabulary's end_of_generation.
inline void collect_end_of_generation(vocabulary& v) {
    const auto add = [&](token id) {
        if (id != no_token &&
            std::find(v.end_of_generation.begin(), v.end_of_generation.end(), id) == v.end_of_generation.end())
            v.end_of_generation.push_back(id);
    };
    add(v.eos);
    for (const added_token& t : v.added)
        if (t.special && std::find(std::begin(end_of_generation_texts), std::end(end_of_generation_texts), t.text) !=
                             std::end(end_of_generation_texts))
            add(t.id);
}

}  // namespace lab::tokenizer
