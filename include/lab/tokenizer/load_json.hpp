// A vocabulary from tokenizer.json (Hugging Face tokenizers), BPE models: byte-level and SentencePiece-like.
// Normalisers, pre-tokenizers and decoders are recognised, not interpreted; an unknown one is a config_error that names
// it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/formats/json.hpp"
#include "lab/tokenizer/sentencepiece_bpe.hpp"
#include "lab/tokenizer/vocabulary.hpp"

namespace lab::tokenizer {

class tokenizer_json_reader {
public:
    /// @throws format_error for what is malformed, config_error for what is not supported; both name place and field.
    static vocabulary read(const formats::json& root, const std::string& place) {
        tokenizer_json_reader reader{place, {}};
        reader.model(root);
        reader.normalizer(formats::field_or<json>(root, "normalizer", json(), place));
        reader.pre_tokenizer_step(formats::field_or<json>(root, "pre_tokenizer", json(), place), true);
        reader.decoder(formats::field_or<json>(root, "decoder", json(), place));
        reader.post_processor(formats::field_or<json>(root, "post_processor", json(), place));
        return reader.finish();
    }

private:
    using json = formats::json;
    tokenizer_json_reader(const std::string& place, vocabulary start) : place_(place), v(std::move(start)) {
        v.mark = word_mark::never;
        v.escape_spaces = false;
        v.strip_first_space = false;
        v.broken = broken_utf8::strict_replace;
        v.kind = algorithm::sentencepiece_bpe;
        v.splits.fold_long_s = true;
    }

    [[noreturn]] void refuse(const std::string& part, const std::string& what) const {
        throw config_error(
            explain(place_, part + " " + what + " is not supported",
                    "use the model's GGUF or tokenizer.model file, or add the rule to include/lab/tokenizer"));
    }
    [[nodiscard]] std::string type_of(const json& step, std::string_view part) const {
        return formats::field<std::string>(step, "type", place_ + ": " + std::string(part));
    }
    template <class T>
    [[nodiscard]] T get(const json& object, std::string_view key, T fallback) const {
        return formats::field_or<T>(object, key, std::move(fallback), place_);
    }
    // {"String": s} or {"Regex": r}
    [[nodiscard]] std::pair<std::string, bool> pattern(const json& step) const {
        const json p = formats::field<json>(step, "pattern", place_);
        if (p.is_object() && p.contains("String")) return {formats::field<std::string>(p, "String", place_), false};
        return {formats::field<std::string>(p, "Regex", place_), true};
    }

    void model(const json& root) {
        const json model = formats::field<json>(root, "model", place_);
        const auto type = get<std::string>(model, "type", "BPE");
        if (type != "BPE") refuse("model type", type);
        for (const auto* key : {"continuing_subword_prefix", "end_of_word_suffix"})
            if (!get<std::string>(model, key, "").empty()) refuse("model option", key);
        if (get<double>(model, "dropout", 0.0) > 0) refuse("model option", "dropout");
        v.byte_fallback = get<bool>(model, "byte_fallback", false);
        v.fuse_unknown = get<bool>(model, "fuse_unk", false);
        v.ignore_merges = get<bool>(model, "ignore_merges", false);

        const json vocab = formats::field<json>(model, "vocab", place_);
        if (!vocab.is_object()) throw format_error(explain(place_, "field 'vocab' is not an object"));
        const json added = formats::field_or<json>(root, "added_tokens", json::array(), place_);
        if (!added.is_array()) throw format_error(explain(place_, "field 'added_tokens' is not an array"));
        // Ids may leave holes, but not so many that a short file asks for much memory.
        const std::size_t limit = 2 * (vocab.size() + added.size()) + 1024;
        const auto place_token = [&](std::int64_t id, const std::string& text, token_kind kind) {
            if (id < 0 || static_cast<std::uint64_t>(id) >= limit)
                throw format_error(explain(place_, "token " + formats::quote(text) + " has id " + std::to_string(id) +
                                                       ", expected 0 to " + std::to_string(limit - 1)));
            const auto at = static_cast<std::size_t>(id);
            if (at >= v.texts.size()) {
                v.texts.resize(at + 1);
                v.kinds.resize(at + 1, token_kind::unused);
            }
            v.texts[at] = text;
            v.kinds[at] = kind;
            return static_cast<token>(id);
        };
        for (const auto& [text, id] : vocab.items()) {
            const auto number = formats::value_as<std::int64_t>(id, place_ + ": vocab");
            const bool byte = v.byte_fallback && byte_piece_value(text) >= 0;
            if (number >= 0 && static_cast<std::size_t>(number) < v.texts.size() &&
                !v.texts[static_cast<std::size_t>(number)].empty())
                throw format_error(explain(place_, "two tokens have id " + std::to_string(number)));
            (void)place_token(number, text, byte ? token_kind::byte : token_kind::normal);
        }
        if (const auto unknown = get<std::string>(model, "unk_token", ""); !unknown.empty()) {
            const auto found = vocab.find(unknown);
            if (found == vocab.end())
                throw format_error(explain(place_, "unk_token " + formats::quote(unknown) + " is not in vocab"));
            v.unknown = found->get<token>();
            if (v.kinds[static_cast<std::size_t>(v.unknown)] == token_kind::normal)
                v.kinds[static_cast<std::size_t>(v.unknown)] = token_kind::unknown;
        }
        for (const json& item : added) {
            added_token t{.text = formats::field<std::string>(item, "content", place_ + ": added_tokens")};
            t.special = get<bool>(item, "special", false);
            t.lstrip = get<bool>(item, "lstrip", false);
            t.rstrip = get<bool>(item, "rstrip", false);
            t.single_word = get<bool>(item, "single_word", false);
            t.normalized = get<bool>(item, "normalized", !t.special);
            const auto id = formats::field<std::int64_t>(item, "id", place_ + ": added_tokens");
            t.id = place_token(id, t.text, t.special ? token_kind::control : token_kind::user_defined);
            v.added.push_back(std::move(t));
        }

        const json merges = formats::field<json>(model, "merges", place_);
        if (!merges.is_array()) throw format_error(explain(place_, "field 'merges' is not an array"));
        v.merges.reserve(merges.size());
        for (const json& merge : merges) {
            const std::string where = place_ + ": merges[" + std::to_string(v.merges.size()) + "]";
            std::string left;
            std::string right;
            if (merge.is_array() && merge.size() == 2) {
                left = formats::value_as<std::string>(merge[0], where);
                right = formats::value_as<std::string>(merge[1], where);
            } else {
                const auto text = formats::value_as<std::string>(merge, where);
                const std::size_t space = std::min(text.find(' '), text.size());
                left = text.substr(0, space);
                right = text.substr(std::min(space + 1, text.size()));
            }
            for (const auto& part : {left, right, left + right})
                if (part.empty() || !vocab.contains(part))
                    throw format_error(explain(where, "token " + formats::quote(part) + " is not in vocab"));
            v.merges.emplace_back(std::move(left), std::move(right));
        }
    }

    void normalizer(const json& step) {
        if (step.is_null()) return;
        const std::string type = type_of(step, "normalizer");
        if (type == "Sequence") {
            for (const json& part : formats::field<std::vector<json>>(step, "normalizers", place_)) normalizer(part);
        } else if (type == "NFC") {
            v.compose = true;
        } else if (type == "Prepend" && formats::field<std::string>(step, "prepend", place_) == word_mark_text) {
            v.mark = word_mark::each_section;
        } else if (type == "Replace" && pattern(step) == std::pair(std::string(" "), false) &&
                   formats::field<std::string>(step, "content", place_) == word_mark_text) {
            v.escape_spaces = true;
        } else {
            refuse("normalizer", type);
        }
    }

    void pre_tokenizer_step(const json& step, bool first) {
        if (step.is_null()) return;
        const std::string type = type_of(step, "pre_tokenizer");
        if (type == "Sequence") {
            for (const json& part : formats::field<std::vector<json>>(step, "pretokenizers", place_)) {
                pre_tokenizer_step(part, first);
                first = false;
            }
        } else if (type == "ByteLevel") {
            v.kind = algorithm::byte_level_bpe;
            if (get<bool>(step, "add_prefix_space", true)) {
                if (!first) refuse("pre_tokenizer", "ByteLevel with add_prefix_space after another step");
                v.mark = word_mark::each_section_if_none;
            }
            if (get<bool>(step, "use_regex", true)) v.splits.add(split_rule::gpt2);
        } else if (type == "Digits") {
            v.splits.add(get<bool>(step, "individual_digits", false) ? split_rule::each_number
                                                                     : split_rule::number_runs);
        } else if (type == "Split") {
            const auto [text, regex] = pattern(step);
            // Gemma's Split on " " comes after every space was replaced: nothing is left to split.
            if (!regex && text == " " && v.escape_spaces) return;
            const auto rule = regex ? split_rule_from_regex(text) : std::nullopt;
            if (!rule)
                throw config_error(
                    explain(place_, "the pre-tokenizer pattern " + formats::quote(text, 400) + " is not built in",
                            "running unknown patterns needs PCRE2, which this build has no reader for; use the "
                            "model's GGUF file or add the rule to tokenizer/pre_tokenizer.hpp"));
            const auto behavior = formats::field<std::string>(step, "behavior", place_);
            const bool inverted = get<bool>(step, "invert", false);
            if (!(behavior == "Isolated" || (behavior == "Removed" && inverted))) refuse("Split behavior", behavior);
            v.splits.add(*rule);
        } else if (type == "Metaspace") {
            if (get<std::string>(step, "replacement", std::string(word_mark_text)) != word_mark_text)
                refuse("Metaspace replacement", "other than U+2581");
            v.escape_spaces = true;
            v.split_at_every_mark = get<bool>(step, "split", true);
            const auto scheme = get<std::string>(step, "prepend_scheme",
                                                 get<bool>(step, "add_prefix_space", true) ? "always" : "never");
            v.mark = scheme == "always"  ? word_mark::each_section_if_none
                     : scheme == "first" ? word_mark::first_if_none
                                         : word_mark::never;
        } else {
            refuse("pre_tokenizer", type);
        }
    }

    void decoder(const json& step) {
        if (step.is_null()) return;
        const std::string type = type_of(step, "decoder");
        if (type == "Sequence") {
            for (const json& part : formats::field<std::vector<json>>(step, "decoders", place_)) decoder(part);
        } else if (type == "Strip") {
            v.strip_first_space =
                get<std::string>(step, "content", "") == " " && get<std::int64_t>(step, "start", 0) > 0;
        } else if (type == "Metaspace") {
            v.strip_first_space = get<std::string>(step, "prepend_scheme", "always") != "never";
        } else if (type == "ByteLevel") {
            v.kind = algorithm::byte_level_bpe;
        }
        // Replace, ByteFallback and Fuse say what decoding does anyway.
    }

    // TemplateProcessing tells which special tokens stand at either end of a single text.
    void post_processor(const json& step) {
        if (step.is_null()) return;
        const std::string type = type_of(step, "post_processor");
        if (type == "Sequence") {
            for (const json& part : formats::field<std::vector<json>>(step, "processors", place_)) post_processor(part);
        } else if (type == "TemplateProcessing") {
            const auto single = formats::field<std::vector<json>>(step, "single", place_);
            const auto special = [&](const json& part) -> token {
                if (!part.is_object() || !part.contains("SpecialToken")) return no_token;
                const auto text = formats::field<std::string>(part.at("SpecialToken"), "id", place_);
                for (const added_token& t : v.added)
                    if (t.text == text) return t.id;
                return no_token;
            };
            if (single.size() < 2) return;
            if (const token id = special(single.front()); id != no_token) {
                v.bos = id;
                v.add_bos = true;
            }
            if (const token id = special(single.back()); id != no_token) {
                v.eos = id;
                v.add_eos = true;
            }
        }
    }

    vocabulary finish() {
        if (v.texts.empty()) throw format_error(explain(place_, "the vocabulary is empty"));
        if (v.kind == algorithm::byte_level_bpe) {
            v.broken = broken_utf8::lenient_replace;
            if (v.escape_spaces) refuse("byte-level BPE", "with a normalizer that replaces spaces");
        } else if (!v.splits.empty()) {
            refuse("a pre-tokenizer pattern", "without ByteLevel");
        } else if (v.merges.empty()) {
            throw format_error(explain(place_, "the model has no merges"));
        }
        return std::move(v);
    }

    const std::string& place_;
    vocabulary v;
};

}  // namespace lab::tokenizer
