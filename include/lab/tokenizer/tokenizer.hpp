// `tokenizer`: one handle over byte-level BPE and SentencePiece BPE (or a segment encoder of one's own). Special tokens
// are cut out first, then each stretch of text is encoded. Immutable: copies share the tables, every member is
// thread-safe. load.hpp makes one from a file. Broken UTF-8 is treated as the vocabulary's `broken` says
// (vocabulary.hpp).
#pragma once

#include <algorithm>
#include <cmath>
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
#include "lab/tokenizer/byte_level_bpe.hpp"
#include "lab/tokenizer/normalize.hpp"
#include "lab/tokenizer/sentencepiece_bpe.hpp"
#include "lab/tokenizer/vocabulary.hpp"

namespace lab::tokenizer {

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
    explicit tokenizer(vocabulary v) {
        check(v);
        if (v.kind == algorithm::byte_level_bpe)
            build(std::move(v), [](const vocabulary& w) { return byte_level_bpe(w); });
        else
            build(std::move(v), [](const vocabulary& w) { return sentencepiece_bpe(w); });
    }
    /// The same handle over another algorithm.
    template <SegmentEncoder E>
    tokenizer(vocabulary v, E encoder) {
        check(v);
        build(std::move(v), [&](const vocabulary&) { return std::move(encoder); });
    }

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
            [&](std::string_view stretch, std::size_t offset) {
                if (v.compose && needs_composing(stretch))
                    state_->encode(compose(stretch), offset == 0, out);
                else
                    state_->encode(stretch, offset == 0, out);
            },
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
    struct any_state {
        explicit any_state(vocabulary from)
            : v(std::move(from)), by_text(v.texts.size()), by_bytes(v.texts.size()), added(v.added) {
            offsets.reserve(v.texts.size() + 1);
            for (std::size_t i = 0; i < v.texts.size(); ++i) {
                offsets.push_back(blob.size());
                blob += raw_bytes(i);
                by_text.insert(v.texts[i], static_cast<token>(i));
                by_bytes.insert(std::string_view(blob).substr(offsets[i]), static_cast<token>(i));
            }
            offsets.push_back(blob.size());
        }
        virtual ~any_state() = default;
        virtual void encode(std::string_view text, bool at_start, std::vector<token>& out) const = 0;

        [[nodiscard]] std::string raw_bytes(std::size_t i) const {
            const std::string& text = v.texts[i];
            const token_kind kind = v.kinds[i];
            if (kind == token_kind::control || kind == token_kind::unknown) return text;
            if (v.kind == algorithm::byte_level_bpe)
                return kind == token_kind::user_defined ? text : byte_alphabet::get().bytes(text).value_or(text);
            if (const int byte = byte_piece_value(text); kind == token_kind::byte && byte >= 0)
                return std::string(1, static_cast<char>(static_cast<unsigned char>(byte)));
            std::string out;
            for (std::string_view rest = text; !rest.empty();) {
                const std::size_t at = v.escape_spaces ? std::min(rest.find(word_mark_text), rest.size()) : rest.size();
                out.append(rest.substr(0, at));
                rest.remove_prefix(at);
                if (rest.empty()) break;
                out.push_back(' ');
                rest.remove_prefix(word_mark_text.size());
            }
            return out;
        }

        vocabulary v;
        std::string blob;
        std::vector<std::size_t> offsets;
        piece_index by_text;
        piece_index by_bytes;
        added_token_matcher added;
    };
    template <class E>
    struct state_of final : any_state {
        template <class Make>
        state_of(vocabulary from, Make&& make) : any_state(std::move(from)), encoder(make(this->v)) {}
        void encode(std::string_view text, bool at_start, std::vector<token>& out) const override {
            encoder.encode(text, at_start, out);
        }
        E encoder;
    };
    template <class Make>
    void build(vocabulary v, Make&& make) {
        using encoder = decltype(make(v));
        state_ = std::make_shared<state_of<encoder>>(std::move(v), make);
    }

    static constexpr std::size_t longest_text = std::size_t{1} << 14;

    static void check(const vocabulary& v) {
        constexpr std::string_view place = "vocabulary";
        if (v.texts.empty()) throw format_error(explain(place, "has no tokens"));
        if (v.texts.size() > 0x1000000) throw format_error(explain(place, "has more than 16 million tokens"));
        if (v.kinds.size() != v.texts.size())
            throw format_error(explain(place, std::to_string(v.texts.size()) + " tokens but " +
                                                  std::to_string(v.kinds.size()) + " token types"));
        for (std::size_t i = 0; i < v.texts.size(); ++i)
            if (v.texts[i].size() > longest_text)  // building the tables takes the square of a text's length
                throw format_error(explain(place, "token " + std::to_string(i) + " is " +
                                                      std::to_string(v.texts[i].size()) + " bytes long, at most " +
                                                      std::to_string(longest_text) + " are read"));
        if (std::any_of(v.scores.begin(), v.scores.end(), [](float score) { return std::isnan(score); }))
            throw format_error(explain(place, "a token's score is not a number"));
        if (v.merges.size() > 0x10000000) throw format_error(explain(place, "has more than 268 million merges"));
        const auto in_range = [&](token id) { return id >= 0 && static_cast<std::size_t>(id) < v.texts.size(); };
        for (const token id : {v.bos, v.eos, v.unknown, v.padding})
            if (id != no_token && !in_range(id))
                throw format_error(explain(place, "special token " + std::to_string(id) + " is outside its " +
                                                      std::to_string(v.texts.size()) + " tokens"));
        for (const added_token& t : v.added)
            if (!in_range(t.id)) throw format_error(explain(place, "added token '" + t.text + "' has no valid id"));
    }
    static token require(token id, std::string_view name) {
        if (id == no_token)
            throw config_error(explain("tokenizer", "has no " + std::string(name) + " token", "do not ask to add it"));
        return id;
    }

    std::shared_ptr<const any_state> state_;
};

}  // namespace lab::tokenizer
