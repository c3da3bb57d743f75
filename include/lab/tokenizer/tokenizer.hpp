// `tokenizer`: one handle over byte-level BPE and SentencePiece BPE (or a segment encoder of one's own). Special tokens
// are cut out first, then each stretch of text is encoded. Immutable: copies share the tables, every member is
// thread-safe. load.hpp makes one from a file. Broken UTF-8 is treated as the vocabulary's `broken` says
// (vocabulary.hpp). With lab::compiled linked (LAB_COMPILED) the two algorithms are compiled there.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/token.hpp"
#include "lab/tokenizer/added_tokens.hpp"
#include "lab/tokenizer/tables.hpp"
#include "lab/tokenizer/unicode.hpp"
#include "lab/tokenizer/vocabulary.hpp"

namespace lab::tokenizer {

namespace detail {
#ifdef LAB_COMPILED
[[nodiscard]] std::shared_ptr<const tables> own_tables(vocabulary v);
#else
[[nodiscard]] inline std::shared_ptr<const tables> own_tables(vocabulary v) { return make_own_tables(std::move(v)); }
#endif
}  // namespace detail

/// Turns text that holds no special tokens into ids; `at_start` when the stretch begins the whole text.
template <class E>
concept SegmentEncoder = requires(const E& e, std::string_view text, bool at_start, std::vector<token>& out) {
    { e.encode(text, at_start, out) } -> std::same_as<void>;
};

struct encode_options {
    bool add_bos = false;
    bool add_eos = false;
    bool parse_special = false;  // false: "<|im_end|>" in the text is text
};

struct decode_options {
    bool skip_special = false;
};

class tokenizer {
public:
    /// Builds the tables of the vocabulary's own algorithm. @throws format_error, config_error for one that contradicts
    /// itself.
    explicit tokenizer(vocabulary v) : state_(detail::own_tables(std::move(v))) {}
    /// The same handle over another algorithm.
    template <SegmentEncoder E>
    tokenizer(vocabulary v, E encoder)
        : state_(detail::make_tables(std::move(v), [&](const vocabulary&) { return std::move(encoder); })) {}

    /// @throws config_error for text of 2 GiB and more, or when bos/eos is asked for and the vocabulary has none.
    [[nodiscard]] std::vector<token> encode(std::string_view text, encode_options options = {}) const {
        if (text.size() > 0x7fffffff) throw config_error("text of 2 GiB or more: encode it in parts");
        std::vector<token> out;
        out.reserve(text.size() / 4 + 4);
        if (options.add_bos) out.push_back(require(bos(), "beginning-of-text"));
        std::string repaired;
        const vocabulary& v = state_->v;
        if (v.broken != broken_utf8::keep && valid_utf8_prefix(text) != text.size()) {
            repaired =
                repair_utf8(text, v.broken == broken_utf8::strict_replace ? utf8_rules::strict : utf8_rules::lenient);
            text = repaired;
        }
        state_->added.split(
            text, options.parse_special,
            [&](std::string_view stretch, std::size_t offset) { state_->encode(stretch, offset == 0, out); },
            [&](token id) { out.push_back(id); });
        if (options.add_eos) out.push_back(require(eos(), "end-of-text"));
        return out;
    }

    /// The bytes the ids stand for, not always valid UTF-8 (see stream_decoder). A SentencePiece vocabulary's leading
    /// space is dropped at the start of the result. @throws config_error for an id outside the vocabulary.
    [[nodiscard]] std::string decode(std::span<const token> ids, decode_options options = {}) const {
        std::string out;
        bool at_start = true;
        for (const token id : ids) append_decoded(id, options, at_start, out);
        return out;
    }
    /// Appends one id's bytes; `at_start` is true before the first and kept up by this function.
    void append_decoded(token id, decode_options options, bool& at_start, std::string& out) const {
        const std::string_view bytes = piece_bytes(id);
        if (is_special(id) && options.skip_special) return;
        const bool strip = at_start && !is_special(id) && strips_first_space() && bytes.starts_with(' ');
        out.append(bytes.substr(strip ? 1 : 0));
        at_start = at_start && bytes.empty();
    }

    /// The raw bytes of one token (a special token's are its text). @throws config_error for an id outside the
    /// vocabulary.
    [[nodiscard]] std::string_view piece_bytes(token id) const {
        if (id < 0 || static_cast<std::size_t>(id) >= size())
            throw config_error(explain("token " + std::to_string(id),
                                       "is outside the vocabulary of " + std::to_string(size()) + " tokens",
                                       "do model and tokenizer belong together?"));
        const auto i = static_cast<std::size_t>(id);
        return std::string_view(state_->blob).substr(state_->offsets[i], state_->offsets[i + 1] - state_->offsets[i]);
    }

    [[nodiscard]] std::size_t size() const { return state_->v.texts.size(); }
    [[nodiscard]] token bos() const { return state_->v.bos; }
    [[nodiscard]] token eos() const { return state_->v.eos; }
    [[nodiscard]] token unknown() const { return state_->v.unknown; }
    [[nodiscard]] token padding() const { return state_->v.padding; }
    /// What the vocabulary's file asks callers to add.
    [[nodiscard]] bool adds_bos() const { return state_->v.add_bos; }
    [[nodiscard]] bool adds_eos() const { return state_->v.add_eos; }
    /// Control and unknown tokens; not those a user merely added as words.
    [[nodiscard]] bool is_special(token id) const {
        if (id < 0 || static_cast<std::size_t>(id) >= size()) return false;
        const token_kind kind = state_->v.kinds[static_cast<std::size_t>(id)];
        return kind == token_kind::control || kind == token_kind::unknown;
    }
    [[nodiscard]] bool is_end_of_generation(token id) const {
        const auto& ends = state_->v.end_of_generation;
        return std::find(ends.begin(), ends.end(), id) != ends.end();
    }
    /// The token with this text (as the file spells it) or, failing that, with these bytes.
    [[nodiscard]] std::optional<token> find(std::string_view text) const {
        if (const added_token* t = state_->added.find(text)) return t->id;
        token id = state_->by_text.find(text);
        if (id == no_token) id = state_->by_bytes.find(text);
        return id == no_token ? std::nullopt : std::optional(id);
    }
    [[nodiscard]] const std::string& chat_template() const { return state_->v.chat_template; }
    [[nodiscard]] bool strips_first_space() const {
        return state_->v.kind == algorithm::sentencepiece_bpe && state_->v.strip_first_space;
    }
    /// The data behind it, for writers of GGUF and tokenizer.json.
    [[nodiscard]] const vocabulary& source() const { return state_->v; }

    /// A tokenizer with these texts as further special tokens, at the end of the vocabulary; present ones stay as they
    /// are.
    [[nodiscard]] tokenizer with_special(std::span<const std::string> texts) const {
        vocabulary v = state_->v;
        for (const std::string& text : texts) {
            if (state_->added.find(text) != nullptr) continue;
            const auto id = static_cast<token>(v.texts.size());
            v.texts.push_back(text);
            v.kinds.push_back(token_kind::control);
            if (!v.scores.empty()) v.scores.push_back(0.0f);
            v.added.push_back({.text = text, .id = id});
        }
        return tokenizer(std::move(v));
    }

private:
    static token require(token id, std::string_view name) {
        if (id == no_token)
            throw config_error(explain("tokenizer", "has no " + std::string(name) + " token", "do not ask to add it"));
        return id;
    }

    std::shared_ptr<const detail::tables> state_;
};

}  // namespace lab::tokenizer
