// What the copies of a tokenizer share: the vocabulary, each token's bytes, the indexes by text and by bytes, and the
// algorithm that encodes stretches of text between special tokens.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/token.hpp"
#include "lab/tokenizer/added_tokens.hpp"
#include "lab/tokenizer/byte_level_bpe.hpp"
#include "lab/tokenizer/normalize.hpp"
#include "lab/tokenizer/piece_index.hpp"
#include "lab/tokenizer/sentencepiece_bpe.hpp"
#include "lab/tokenizer/vocabulary.hpp"

namespace lab::tokenizer::detail {

inline constexpr std::size_t longest_text = std::size_t{1} << 14;

inline void check(const vocabulary& v) {
    constexpr std::string_view place = "vocabulary";
    if (v.texts.empty()) throw format_error(explain(place, "has no tokens"));
    if (v.texts.size() > 0x1000000) throw format_error(explain(place, "has more than 16 million tokens"));
    if (v.kinds.size() != v.texts.size())
        throw format_error(explain(
            place, std::to_string(v.texts.size()) + " tokens but " + std::to_string(v.kinds.size()) + " token types"));
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

/// The vocabulary with its indexes, and the algorithm behind a virtual call.
struct tables {
    /// @throws format_error for a vocabulary that contradicts itself
    explicit tables(vocabulary from)
        : v((check(from), std::move(from))), by_text(v.texts.size()), by_bytes(v.texts.size()), added(v.added) {
        offsets.reserve(v.texts.size() + 1);
        for (std::size_t i = 0; i < v.texts.size(); ++i) {
            offsets.push_back(blob.size());
            blob += raw_bytes(i);
            by_text.insert(v.texts[i], static_cast<token>(i));
            by_bytes.insert(std::string_view(blob).substr(offsets[i]), static_cast<token>(i));
        }
        offsets.push_back(blob.size());
    }
    virtual ~tables() = default;
    /// One stretch without special tokens; `at_start` when it begins the whole text.
    virtual void encode(std::string_view stretch, bool at_start, std::vector<token>& out) const = 0;

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

template <class Encoder>
struct tables_of final : tables {
    /// @param make gives the encoder for the vocabulary, which stays where it is
    template <class Make>
    tables_of(vocabulary from, Make&& make) : tables(std::move(from)), encoder(make(this->v)) {}
    void encode(std::string_view stretch, bool at_start, std::vector<token>& out) const override {
        if (v.compose && needs_composing(stretch))
            encoder.encode(compose(stretch), at_start, out);
        else
            encoder.encode(stretch, at_start, out);
    }
    Encoder encoder;
};

template <class Make>
[[nodiscard]] std::shared_ptr<const tables> make_tables(vocabulary v, Make&& make) {
    return std::make_shared<tables_of<decltype(make(v))>>(std::move(v), make);
}

/// With the vocabulary's own algorithm.
[[nodiscard]] inline std::shared_ptr<const tables> make_own_tables(vocabulary v) {
    if (v.kind == algorithm::byte_level_bpe)
        return make_tables(std::move(v), [](const vocabulary& w) { return byte_level_bpe(w); });
    return make_tables(std::move(v), [](const vocabulary& w) { return sentencepiece_bpe(w); });
}

}  // namespace lab::tokenizer::detail
