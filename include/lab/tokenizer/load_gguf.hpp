// A vocabulary from GGUF metadata (tokenizer.ggml.*), of a whole model or a vocabulary-only file. Models "gpt2"
// (byte-level BPE) and "llama" (SentencePiece BPE); defaults where keys are missing are llama.cpp's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "lab/core/error.hpp"
#include "lab/formats/gguf.hpp"
#include "lab/tokenizer/known_names.hpp"
#include "lab/tokenizer/vocabulary.hpp"

namespace lab::tokenizer {

/// @throws format_error for metadata that contradicts itself, config_error for a tokenizer that is not built in.
[[nodiscard]] inline vocabulary read_gguf_vocabulary(const formats::gguf_file& file) {
    const std::string place = file.path().string();
    vocabulary v;
    const auto model = file.get<std::string>("tokenizer.ggml.model");
    if (!model || *model == "no_vocab")
        throw format_error(explain(place, "has no tokenizer (tokenizer.ggml.model is missing or no_vocab)"));
    v.texts = file.strings("tokenizer.ggml.tokens");
    if (v.texts.empty()) throw format_error(explain(place, "tokenizer.ggml.tokens is missing or empty"));

    if (*model == "gpt2") {
        v.kind = algorithm::byte_level_bpe;
        v.mark = word_mark::never;
        v.broken = broken_utf8::lenient_replace;
        v.emit_unknown = false;
        const auto name = file.get<std::string>("tokenizer.ggml.pre").value_or("");
        const auto known = pre_tokenizer_by_name(name);
        if (!known)
            throw config_error(explain(place, "pre-tokenizer '" + name + "' (tokenizer.ggml.pre) is not built in",
                                       "add its rule to tokenizer/pre_tokenizer.hpp"));
        v.splits = known->rules;
        v.ignore_merges = known->ignore_merges;
        v.add_bos = known->add_bos;
        const auto merges = file.strings("tokenizer.ggml.merges");
        if (merges.empty()) throw format_error(explain(place, "tokenizer.ggml.merges is missing or empty"));
        v.merges.reserve(merges.size());
        for (const std::string& merge : merges) {
            const std::size_t space = merge.find(' ', 1);
            if (space == merge.npos || space + 1 == merge.size())
                throw format_error(explain(place, "tokenizer.ggml.merges[" + std::to_string(v.merges.size()) +
                                                      "] is not two tokens with a space between them"));
            v.merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
        }
    } else if (*model == "llama") {
        v.kind = algorithm::sentencepiece_bpe;
        v.mark = file.get<bool>("tokenizer.ggml.add_space_prefix").value_or(true) ? word_mark::each_section
                                                                                  : word_mark::never;
        v.strip_first_space = v.mark != word_mark::never;
        v.broken = broken_utf8::keep;
        v.control_pieces_merge = true;
        v.add_bos = true;
        v.bos = 1;
        v.eos = 2;
        v.unknown = 0;
        for (const double score : file.floats("tokenizer.ggml.scores")) v.scores.push_back(static_cast<float>(score));
        if (v.scores.size() != v.texts.size())
            throw format_error(explain(place, std::to_string(v.texts.size()) + " tokens but " +
                                                  std::to_string(v.scores.size()) + " tokenizer.ggml.scores"));
    } else {
        throw config_error(explain(place, "tokenizer model '" + *model + "' is not supported", "gpt2 and llama are"));
    }

    const auto types = file.integers("tokenizer.ggml.token_type");
    if (!types.empty() && types.size() != v.texts.size())
        throw format_error(explain(place, std::to_string(v.texts.size()) + " tokens but " +
                                              std::to_string(types.size()) + " entries in tokenizer.ggml.token_type"));
    v.kinds.assign(v.texts.size(), token_kind::normal);
    for (std::size_t i = 0; i < types.size(); ++i)
        if (types[i] >= 1 && types[i] <= 6) v.kinds[i] = static_cast<token_kind>(types[i]);

    for (std::size_t i = 0; i < v.texts.size(); ++i) {
        std::string& text = v.texts[i];
        if (text.empty()) text = "[EMPTY_" + std::to_string(i) + "]";
        // Converters forget to mark these; text such as "</s>" must not be taken for an ordinary word.
        if (v.kinds[i] != token_kind::control &&
            std::find(std::begin(end_of_generation_texts), std::end(end_of_generation_texts), text) !=
                std::end(end_of_generation_texts))
            v.kinds[i] = token_kind::control;
        const token_kind kind = v.kinds[i];
        if (kind == token_kind::control || kind == token_kind::unknown || kind == token_kind::user_defined)
            v.added.push_back({.text = text, .id = static_cast<token>(i), .special = kind != token_kind::user_defined});
    }

    const auto id = [&](std::string_view key, token fallback) {
        const auto value = file.get<std::int64_t>(key);
        if (!value) return fallback >= 0 && static_cast<std::size_t>(fallback) < v.texts.size() ? fallback : no_token;
        if (*value < 0 || static_cast<std::uint64_t>(*value) >= v.texts.size())
            throw format_error(explain(place, std::string(key) + " = " + std::to_string(*value) + " is outside the " +
                                                  std::to_string(v.texts.size()) + " tokens"));
        return static_cast<token>(*value);
    };
    v.bos = id("tokenizer.ggml.bos_token_id", v.bos);
    v.eos = id("tokenizer.ggml.eos_token_id", v.eos);
    v.unknown = id("tokenizer.ggml.unknown_token_id", v.unknown);
    v.padding = id("tokenizer.ggml.padding_token_id", no_token);
    v.add_bos = file.get<bool>("tokenizer.ggml.add_bos_token").value_or(v.add_bos) && v.bos != no_token;
    v.add_eos = file.get<bool>("tokenizer.ggml.add_eos_token").value_or(false) && v.eos != no_token;
    for (const auto key : {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"})
        if (const token end = id(key, no_token); end != no_token) v.end_of_generation.push_back(end);
    collect_end_of_generation(v);
    v.chat_template = file.get<std::string>("tokenizer.chat_template").value_or("");
    return v;
}

}  // namespace lab::tokenizer
