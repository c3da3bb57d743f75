// Conversations to tokens with a loss mask. Control tokens come only from the format's own text; everything between two
// of them is encoded as one run, so that the ids equal those of the whole text, except that a token never straddles the
// point where an answer begins: the prompt's tokens are a prefix of the full conversation's, as in generation.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lab/core/token.hpp"
#include "lab/text/chat_format.hpp"

namespace lab::text {

/// What encode_chat needs of a tokenizer (lab::tokenizer::tokenizer is one).
template <class T>
concept ChatTokenizer = requires(const T& t, std::string_view text, token id) {
    { t.encode(text, {.parse_special = true}) } -> std::convertible_to<std::vector<token>>;
    { t.is_special(id) } -> std::convertible_to<bool>;
    std::string(t.piece_bytes(id));
};

struct encoded_chat {
    std::vector<token> tokens;
    std::vector<std::uint8_t> trained;  // [tokens] 1 where the token counts in the loss
};

/// Tokens of text that continues other text: without the space that SentencePiece models put before a beginning.
template <ChatTokenizer T>
[[nodiscard]] std::vector<token> encode_continuation(const T& tokenizer, std::string_view text) {
    const std::vector<token> line_break = tokenizer.encode("\n", {.parse_special = false});
    std::string after_break = "\n";
    after_break.append(text);
    std::vector<token> tokens = tokenizer.encode(after_break, {.parse_special = false});
    if (tokens.size() < line_break.size() || !std::equal(line_break.begin(), line_break.end(), tokens.begin()))
        return tokenizer.encode(text, {.parse_special = false});
    tokens.erase(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(line_break.size()));
    return tokens;
}

namespace detail {

/// Collects segments into runs of plain text between control tokens and encodes each run.
template <ChatTokenizer T>
class chat_encoder {
public:
    explicit chat_encoder(const T& tokenizer) : tokenizer_(tokenizer) {}

    void add(const segment& s) {
        if (!s.parse_special) return add_plain(s.text, s.trained);
        std::string_view rest = s.text;
        for (const token id : tokenizer_.encode(rest, {.parse_special = true})) {
            if (!tokenizer_.is_special(id)) continue;
            const std::string piece(tokenizer_.piece_bytes(id));
            const std::size_t at = piece.empty() ? std::string_view::npos : rest.find(piece);
            if (at == std::string_view::npos) continue;
            add_plain(rest.substr(0, at), s.trained);
            flush();
            push(id, s.trained);
            rest.remove_prefix(at + piece.size());
        }
        add_plain(rest, s.trained);
    }

    [[nodiscard]] encoded_chat finish() && {
        flush();
        return std::move(out_);
    }

private:
    void add_plain(std::string_view text, bool trained) {
        if (text.empty()) return;
        run_.append(text);
        if (ends_.empty() || ends_.back().trained != trained) ends_.push_back({run_.size(), trained});
        ends_.back().at = run_.size();
    }
    void push(token id, bool trained) {
        out_.tokens.push_back(id);
        out_.trained.push_back(trained ? 1 : 0);
    }
    /// Encodes the run whole where its parts fall on token boundaries, else part by part.
    void flush() {
        if (run_.empty()) return;
        const std::vector<token> whole = tokenizer_.encode(run_, {.parse_special = false});
        std::vector<std::size_t> counts;  // tokens up to the end of each part
        for (std::size_t i = 0; i + 1 < ends_.size(); ++i) {
            const auto head =
                tokenizer_.encode(std::string_view(run_).substr(0, ends_[i].at), {.parse_special = false});
            if (head.size() > whole.size() || !std::equal(head.begin(), head.end(), whole.begin())) break;
            counts.push_back(head.size());
        }
        counts.push_back(whole.size());
        if (counts.size() == ends_.size()) {
            std::size_t part = 0;
            for (std::size_t i = 0; i < whole.size(); ++i) {
                while (part + 1 < counts.size() && i >= counts[part]) ++part;
                push(whole[i], ends_[part].trained);
            }
        } else {
            std::size_t begin = 0;
            for (const part_end& part : ends_) {
                const std::string_view text = std::string_view(run_).substr(begin, part.at - begin);
                const std::vector<token> tokens = begin == 0 ? tokenizer_.encode(text, {.parse_special = false})
                                                             : encode_continuation(tokenizer_, text);
                for (const token id : tokens) push(id, part.trained);
                begin = part.at;
            }
        }
        run_.clear();
        ends_.clear();
    }

    struct part_end {
        std::size_t at;
        bool trained;
    };
    const T& tokenizer_;
    std::string run_;
    std::vector<part_end> ends_;
    encoded_chat out_;
};

}  // namespace detail

template <ChatTokenizer T>
[[nodiscard]] encoded_chat encode_segments(const T& tokenizer, std::span<const segment> segments) {
    detail::chat_encoder<T> encoder(tokenizer);
    for (const segment& s : segments) encoder.add(s);
    return std::move(encoder).finish();
}

/// Tokens and loss mask of a conversation in a chat format.
template <ChatTokenizer T, ChatFormat F>
[[nodiscard]] encoded_chat encode_chat(const T& tokenizer, const F& format, std::span<const message> conversation,
                                       const render_options& options = {}) {
    return encode_segments(tokenizer, std::span<const segment>(format.render(conversation, options)));
}
template <ChatTokenizer T, ChatFormat F>
[[nodiscard]] encoded_chat encode_chat(const T& tokenizer, const F& format, std::span<const message> conversation,
                                       bool add_generation_prompt) {
    return encode_chat(tokenizer, format, conversation, render_options{.add_generation_prompt = add_generation_prompt});
}

}  // namespace lab::text
