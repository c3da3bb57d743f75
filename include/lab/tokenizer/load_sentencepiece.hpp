// A vocabulary from a SentencePiece tokenizer.model of type BPE whose normaliser is the identity (Llama's, Mistral's).
// Unigram models and normalisation tables are refused with a message.
#pragma once

#include <filesystem>
#include <string>
#include <utility>

#include "lab/core/error.hpp"
#include "lab/formats/sentencepiece_model.hpp"
#include "lab/tokenizer/known_names.hpp"
#include "lab/tokenizer/vocabulary.hpp"

namespace lab::tokenizer {

/// @param place the file's name, for messages. @throws config_error for settings that are not supported.
[[nodiscard]] inline vocabulary make_vocabulary(formats::sentencepiece_model model, const std::string& place) {
    if (model.algorithm != formats::sentencepiece_algorithm::bpe)
        throw config_error(
            explain(place, "is a SentencePiece model of another type than BPE", "only BPE is supported"));
    if (!model.precompiled_charsmap.empty())
        throw config_error(explain(place, "normalises text by a table ('" + model.normalizer_name + "')",
                                   "only models with the identity normaliser are supported"));
    if (model.treat_whitespace_as_suffix)
        throw config_error(explain(place, "marks word ends, not starts (treat_whitespace_as_suffix)"));
    vocabulary v;
    v.kind = algorithm::sentencepiece_bpe;
    v.mark = model.add_dummy_prefix ? word_mark::each_section : word_mark::never;
    v.strip_first_space = model.add_dummy_prefix;
    v.escape_spaces = model.escape_whitespaces;
    v.remove_extra_spaces = model.remove_extra_whitespaces;
    v.byte_fallback = model.byte_fallback;
    v.user_defined_inline = true;
    v.broken = broken_utf8::strict_replace;
    for (auto& piece : model.pieces) {
        const auto kind = static_cast<token_kind>(piece.type);
        const auto id = static_cast<token>(v.texts.size());
        if (kind == token_kind::control || kind == token_kind::unknown)
            v.added.push_back({.text = piece.text, .id = id});
        if (kind == token_kind::unknown) v.unknown = id;
        v.texts.push_back(std::move(piece.text));
        v.kinds.push_back(kind);
        v.scores.push_back(piece.score);
    }
    // The model finds these by name; the ids in its trainer_spec are only what training was asked for.
    const auto control = [&](const std::string& text) {
        for (const added_token& t : v.added)
            if (t.text == text && v.kinds[static_cast<std::size_t>(t.id)] == token_kind::control) return t.id;
        return no_token;
    };
    v.bos = control(model.bos_piece);
    v.eos = control(model.eos_piece);
    v.padding = control(model.pad_piece);
    v.add_bos = v.bos != no_token;
    collect_end_of_generation(v);
    return v;
}

}  // namespace lab::tokenizer
