// The ChatEncoder in use: a tokenizer and a chat format (text/encode_chat.hpp).
#pragma once

#include <utility>

#include "lab/replay/encode.hpp"
#include "lab/text/chat_format.hpp"
#include "lab/text/encode_chat.hpp"

namespace lab::replay {

/// The tokenizer must outlive the encoder.
template <text::ChatTokenizer Tokenizer, text::ChatFormat Format>
class chat_encoder {
public:
    chat_encoder(const Tokenizer& tokenizer, Format format) : tokenizer_(tokenizer), format_(std::move(format)) {}

    [[nodiscard]] encoded operator()(const text::messages& messages, bool unmask) const {
        auto chat = text::encode_chat(tokenizer_, format_, messages, text::render_options{.unmask = unmask});
        // What follows the last learnt token (a line break behind an end token) can neither be learnt nor matter.
        while (!chat.trained.empty() && chat.trained.back() == 0) chat.trained.pop_back(), chat.tokens.pop_back();
        return {std::move(chat.tokens), std::move(chat.trained)};
    }

private:
    const Tokenizer& tokenizer_;
    Format format_;
};

}  // namespace lab::replay
