// A checkpoint's tokenizer carried into what is written: files of a Hugging Face folder are copied, GGUF metadata is
// copied, and each is made from the other where source and target differ, so that transformers and llama.cpp open the
// result without help. A source without a tokenizer gives a model without one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/file.hpp"
#include "lab/formats/gguf.hpp"
#include "lab/formats/gguf_writer.hpp"
#include "lab/formats/json.hpp"
#include "lab/nn/any_model.hpp"
#include "lab/nn/save_options.hpp"
#include "lab/tokenizer/load.hpp"
#include "lab/tokenizer/vocabulary.hpp"

namespace lab::nn {

namespace tokenizer_files_detail {

using formats::json;
using tokenizer::algorithm;
using tokenizer::split_rule;
using tokenizer::token_kind;
using tokenizer::vocabulary;

/// Pre-tokenizers that both containers can name: GGUF's tokenizer.ggml.pre and a tokenizer.json pattern.
struct known_splits {
    split_rule rule;
    std::string_view gguf;
    bool ignore_merges = false;  // what llama.cpp takes the GGUF name to mean
    std::string_view regex{};    // empty: ByteLevel's own pattern
    bool digits = false;         // Digits(individual) before it
};
inline constexpr std::string_view llama3_regex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view qwen2_regex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr known_splits splits_table[] = {
    {split_rule::gpt2, "gpt-2"},
    {split_rule::smollm, "smollm", false, {}, true},
    {split_rule::llama3, "llama-bpe", true, llama3_regex},
    {split_rule::llama3, "smaug-bpe", false, llama3_regex},
    {split_rule::qwen2, "qwen2", false, qwen2_regex},
};
[[nodiscard]] inline const known_splits& find_splits(const vocabulary& v, const std::string& place) {
    for (const auto& known : splits_table) {
        tokenizer::pre_tokenizer rules{known.rule};
        rules.fold_long_s = v.splits.fold_long_s;
        if (rules == v.splits && known.ignore_merges == v.ignore_merges) return known;
    }
    throw config_error(explain(place, "its pre-tokenizer cannot be written in the other format",
                               "give a tokenizer of that format in save_options::tokenizer"));
}

[[nodiscard]] inline bool is_gguf(const std::filesystem::path& path) {
    if (!std::filesystem::is_regular_file(path)) return false;
    const mapped_file file(path);
    return file.bytes().size() >= 4 && formats::as_text(file.bytes().first(4)) == "GGUF";
}
/// The folder a tokenizer path means, when it is no GGUF file.
[[nodiscard]] inline std::filesystem::path folder_of(const std::filesystem::path& path) {
    if (std::filesystem::is_directory(path)) return path;
    return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

inline constexpr std::string_view tokenizer_file_names[] = {"tokenizer.json",
                                                            "tokenizer.model",
                                                            "tokenizer_config.json",
                                                            "special_tokens_map.json",
                                                            "added_tokens.json",
                                                            "chat_template.jinja",
                                                            "vocab.json",
                                                            "merges.txt",
                                                            "generation_config.json"};

/// Merges in the order in which SentencePiece's scores would make them: by the score of the result.
[[nodiscard]] inline std::vector<std::pair<std::string, std::string>> merges_from_scores(const vocabulary& v) {
    std::unordered_map<std::string_view, std::size_t> ids;
    for (std::size_t i = 0; i < v.texts.size(); ++i) ids.emplace(v.texts[i], i);
    struct candidate {
        float score;
        std::size_t left, right;
    };
    std::vector<candidate> found;
    for (std::size_t i = 0; i < v.texts.size(); ++i) {
        if (v.kinds[i] != token_kind::normal) continue;
        const std::string_view text = v.texts[i];
        for (std::size_t cut = 1; cut < text.size(); ++cut) {
            if ((static_cast<unsigned char>(text[cut]) & 0xC0u) == 0x80u) continue;  // inside a character
            const auto left = ids.find(text.substr(0, cut)), right = ids.find(text.substr(cut));
            if (left != ids.end() && right != ids.end()) found.push_back({v.scores[i], left->second, right->second});
        }
    }
    std::stable_sort(found.begin(), found.end(), [](const candidate& a, const candidate& b) {
        return a.score != b.score ? a.score > b.score : std::pair(a.left, a.right) < std::pair(b.left, b.right);
    });
    std::vector<std::pair<std::string, std::string>> merges;
    merges.reserve(found.size());
    for (const auto& c : found) merges.emplace_back(v.texts[c.left], v.texts[c.right]);
    return merges;
}
/// Scores that rank pieces as the merges do; pieces that no merge makes come last.
[[nodiscard]] inline std::vector<float> scores_from_merges(const vocabulary& v) {
    std::unordered_map<std::string, std::size_t> rank;
    for (std::size_t i = 0; i < v.merges.size(); ++i) rank.emplace(v.merges[i].first + v.merges[i].second, i);
    std::vector<float> scores(v.texts.size(), 0.0f);
    for (std::size_t i = 0; i < v.texts.size(); ++i) {
        if (v.kinds[i] != token_kind::normal) continue;
        const auto found = rank.find(v.texts[i]);
        scores[i] = -static_cast<float>(found == rank.end() ? v.merges.size() : found->second);
    }
    return scores;
}

/// What the options change in a vocabulary. @throws config_error where the end of turn is no token.
inline void apply_options(vocabulary& v, const save_options& options) {
    tokenizer::append_special_tokens(v, options.special_tokens);
    if (!options.chat_template.empty()) v.chat_template = options.chat_template;
    if (options.end_of_turn.empty()) return;
    v.eos = tokenizer::find_token(v, options.end_of_turn);
    if (v.eos == no_token)
        throw config_error("save_options: the tokenizer has no token '" + options.end_of_turn + "' to end a turn with");
}
/// Names for what is left of the model's vocabulary. @throws config_error where the tokenizer has more tokens
inline void fill_up(std::vector<std::string>& texts, const model_info& info, const std::filesystem::path& source) {
    if (texts.size() > info.dims.vocab)
        throw config_error(explain(source.string(),
                                   "its tokenizer has " + std::to_string(texts.size()) +
                                       " tokens, the model's vocabulary " + std::to_string(info.dims.vocab),
                                   "take the tokenizer that the model was trained with"));
    texts.resize(info.dims.vocab);
    for (std::size_t i = 0; i < texts.size(); ++i)
        if (texts[i].empty()) texts[i] = "[PAD" + std::to_string(i) + "]";
}
/// Copies a tokenizer's files; special tokens are appended to tokenizer.json or, beside a tokenizer.model, to
/// added_tokens.json.
inline void copy_folder(const std::filesystem::path& from, const std::filesystem::path& to,
                        const save_options& options) {
    namespace fs = std::filesystem;
    if (!fs::equivalent(from, to))
        for (const auto name : tokenizer_file_names)
            if (fs::is_regular_file(from / name)) write_file_atomically(to / name, read_file(from / name));
    const auto& special = options.special_tokens;
    if (special.empty() && options.chat_template.empty() && options.end_of_turn.empty()) return;
    const bool has_json = fs::is_regular_file(from / "tokenizer.json");
    if (!has_json && !fs::is_regular_file(from / "tokenizer.model")) return;
    const auto read = [&](const char* name) {
        return fs::is_regular_file(from / name) ? formats::parse_json(read_file(from / name), (from / name).string())
                                                : json::object();
    };
    const char* target = has_json ? "tokenizer.json" : "added_tokens.json";
    vocabulary v = tokenizer::load_vocabulary(from);
    std::size_t next = v.texts.size();
    apply_options(v, options);
    const auto write = [&](const char* name, const json& content) {
        write_file_atomically(to / name, formats::to_text(content, 2) + "\n");
    };
    if (!options.chat_template.empty()) fs::remove(to / "chat_template.jinja");  // it would go before the config's
    if (!options.chat_template.empty() || !options.end_of_turn.empty()) {
        json config = read("tokenizer_config.json"), generation = read("generation_config.json");
        config["chat_template"] = v.chat_template;
        if (!options.end_of_turn.empty()) config["eos_token"] = options.end_of_turn;
        if (v.eos != no_token) generation["eos_token_id"] = v.eos;
        write("tokenizer_config.json", config);
        write("generation_config.json", generation);
        if (fs::is_regular_file(to / "special_tokens_map.json") && !options.end_of_turn.empty()) {
            json map = read("special_tokens_map.json");
            map["eos_token"] = options.end_of_turn;
            write("special_tokens_map.json", map);
        }
    }
    if (special.empty()) return;
    json content = read(target);
    for (const std::string& text : special) {
        if (has_json)
            content["added_tokens"].push_back({{"id", next},
                                               {"content", text},
                                               {"single_word", false},
                                               {"lstrip", false},
                                               {"rstrip", false},
                                               {"normalized", false},
                                               {"special", true}});
        else
            content[text] = next;
        ++next;
    }
    write(target, content);
}

[[nodiscard]] inline json tokenizer_json(const vocabulary& v, const std::string& place) {
    const bool bytes = v.kind == algorithm::byte_level_bpe;
    json added = json::array();
    for (const auto& t : v.added)
        added.push_back({{"id", t.id},
                         {"content", t.text},
                         {"single_word", t.single_word},
                         {"lstrip", t.lstrip},
                         {"rstrip", t.rstrip},
                         {"normalized", t.normalized},
                         {"special", t.special}});
    json vocab = json::object();
    for (std::size_t i = 0; i < v.texts.size(); ++i) vocab[v.texts[i]] = i;
    json merges = json::array();
    const auto& pairs = v.merges.empty() && !v.scores.empty() ? merges_from_scores(v) : v.merges;
    for (const auto& [left, right] : pairs) merges.push_back({left, right});

    const json byte_level{{"type", "ByteLevel"},
                          {"add_prefix_space", v.mark != tokenizer::word_mark::never},
                          {"trim_offsets", true},
                          {"use_regex", true}};
    json out{{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}, {"added_tokens", added}};
    if (bytes) {
        const auto& known = find_splits(v, place);
        json last = byte_level, steps = json::array();
        if (known.digits) steps.push_back({{"type", "Digits"}, {"individual_digits", true}});
        if (!known.regex.empty()) {
            steps.push_back({{"type", "Split"},
                             {"pattern", {{"Regex", known.regex}}},
                             {"behavior", "Isolated"},
                             {"invert", false}});
            last["use_regex"] = false;
        }
        steps.push_back(last);
        out["normalizer"] = v.compose ? json{{"type", "NFC"}} : json(nullptr);
        out["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", steps}};
        out["decoder"] = byte_level;
    } else {
        const std::string mark = "\u2581";
        json steps = json::array();
        if (v.mark != tokenizer::word_mark::never) steps.push_back({{"type", "Prepend"}, {"prepend", mark}});
        steps.push_back({{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", mark}});
        json decoders = json::array({{{"type", "Replace"}, {"pattern", {{"String", mark}}}, {"content", " "}},
                                     {{"type", "ByteFallback"}},
                                     {{"type", "Fuse"}}});
        if (v.strip_first_space) decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
        out["normalizer"] = {{"type", "Sequence"}, {"normalizers", steps}};
        out["pre_tokenizer"] = nullptr;
        out["decoder"] = {{"type", "Sequence"}, {"decoders", decoders}};
    }
    out["post_processor"] = nullptr;
    if (v.add_bos) {
        const auto& text = v.texts[static_cast<std::size_t>(v.bos)];
        const json bos{{"SpecialToken", {{"id", text}, {"type_id", 0}}}};
        const auto sequence = [](const char* id, int type) {
            return json{{"Sequence", {{"id", id}, {"type_id", type}}}};
        };
        json second = bos;
        second["SpecialToken"]["type_id"] = 1;
        out["post_processor"] = {{"type", "TemplateProcessing"},
                                 {"single", json::array({bos, sequence("A", 0)})},
                                 {"pair", json::array({bos, sequence("A", 0), second, sequence("B", 1)})},
                                 {"special_tokens", {{text, {{"id", text}, {"ids", {v.bos}}, {"tokens", {text}}}}}}};
    }
    out["model"] = {{"type", "BPE"},
                    {"dropout", nullptr},
                    {"unk_token", !bytes && v.unknown != no_token ? json(v.texts[static_cast<std::size_t>(v.unknown)])
                                                                  : json(nullptr)},
                    {"continuing_subword_prefix", nullptr},
                    {"end_of_word_suffix", nullptr},
                    {"fuse_unk", !bytes},
                    {"byte_fallback", !bytes},
                    {"ignore_merges", v.ignore_merges},
                    {"vocab", std::move(vocab)},
                    {"merges", std::move(merges)}};
    return out;
}

}  // namespace tokenizer_files_detail

/// Writes tokenizer.json, tokenizer_config.json and generation_config.json as transformers reads them.
/// @throws config_error naming `place` for a pre-tokenizer that has no pattern of Hugging Face's.
inline void write_vocabulary_folder(const tokenizer::vocabulary& v, const std::filesystem::path& folder,
                                    const std::string& place) {
    using namespace tokenizer_files_detail;
    make_folder(folder);
    write_file_atomically(folder / "tokenizer.json", formats::to_text(tokenizer_json(v, place), 1) + "\n");
    json config{{"tokenizer_class", "PreTrainedTokenizerFast"},
                {"clean_up_tokenization_spaces", false},
                {"add_bos_token", v.add_bos},
                {"add_eos_token", v.add_eos},
                {"model_max_length", 1'000'000'000}};
    const auto name = [&](const char* key, token id) {
        if (id != no_token) config[key] = v.texts[static_cast<std::size_t>(id)];
    };
    name("bos_token", v.bos);
    name("eos_token", v.eos);
    name("unk_token", v.unknown);
    name("pad_token", v.padding);
    if (!v.chat_template.empty()) config["chat_template"] = v.chat_template;
    write_file_atomically(folder / "tokenizer_config.json", formats::to_text(config, 2) + "\n");
    json generation{{"_from_model_config", true}};
    if (v.bos != no_token) generation["bos_token_id"] = v.bos;
    if (v.padding != no_token) generation["pad_token_id"] = v.padding;
    if (v.eos != no_token) generation["eos_token_id"] = v.eos;
    write_file_atomically(folder / "generation_config.json", formats::to_text(generation, 2) + "\n");
}

/// Puts the tokenizer of `source` (GGUF file or folder; may be empty or without one) into a Hugging Face folder.
inline void write_tokenizer_folder(const std::filesystem::path& source, const std::filesystem::path& folder,
                                   const save_options& options = {}) {
    namespace fs = std::filesystem;
    using namespace tokenizer_files_detail;
    if (source.empty()) return;
    if (!is_gguf(source)) return copy_folder(folder_of(source), folder, options);
    if (!formats::gguf_file(source).contains("tokenizer.ggml.tokens")) return;
    vocabulary v = tokenizer::load_vocabulary(source);
    apply_options(v, options);
    write_vocabulary_folder(v, folder, source.string());
}

/// Sets the tokenizer.* keys of a GGUF file from `source`. The token list is filled up to the model's vocabulary.
/// @throws config_error when the tokenizer has more tokens than the model.
inline void write_tokenizer_metadata(const std::filesystem::path& source, const model_info& info,
                                     formats::gguf_writer& out, const save_options& options = {}) {
    using namespace tokenizer_files_detail;
    namespace fs = std::filesystem;
    out.set("tokenizer.ggml.model", "no_vocab");  // until there is one: llama.cpp opens no file without the key
    if (source.empty()) return;
    if (is_gguf(source)) {
        const formats::gguf_file from(source);
        for (const auto& entry : from.metadata())
            if (entry.key.starts_with("tokenizer.")) out.set(entry.key, entry.value);
        if (!from.contains("tokenizer.ggml.tokens")) return;
        if (!options.chat_template.empty()) out.set("tokenizer.chat_template", options.chat_template);
        if (!options.end_of_turn.empty()) {
            vocabulary v = tokenizer::load_vocabulary(source);
            apply_options(v, options);
            out.set("tokenizer.ggml.eos_token_id", static_cast<std::uint32_t>(v.eos));
        }
        auto texts = from.strings("tokenizer.ggml.tokens");
        const std::size_t stored = texts.size();
        const auto& special = options.special_tokens;
        texts.insert(texts.end(), special.begin(), special.end());
        const std::size_t known = texts.size();
        fill_up(texts, info, source);
        if (texts.size() == stored) return;
        std::vector<std::int32_t> kinds(stored, static_cast<std::int32_t>(token_kind::normal));
        const auto stored_kinds = from.integers("tokenizer.ggml.token_type");
        for (std::size_t i = 0; i < std::min(stored, stored_kinds.size()); ++i)
            kinds[i] = static_cast<std::int32_t>(stored_kinds[i]);
        kinds.resize(known, static_cast<std::int32_t>(token_kind::control));
        kinds.resize(texts.size(), static_cast<std::int32_t>(token_kind::unused));
        out.set_array("tokenizer.ggml.tokens", texts);
        out.set_array("tokenizer.ggml.token_type", kinds);
        std::vector<float> scores;
        for (const double score : from.floats("tokenizer.ggml.scores")) scores.push_back(static_cast<float>(score));
        if (!scores.empty()) {
            scores.resize(texts.size(), 0.0f);
            out.set_array("tokenizer.ggml.scores", scores);
        }
        return;
    }
    const auto folder = folder_of(source);
    const bool pieces = fs::is_regular_file(folder / "tokenizer.model");
    if (!pieces && !fs::is_regular_file(folder / "tokenizer.json")) return;
    vocabulary v = tokenizer::load_vocabulary(folder / (pieces ? "tokenizer.model" : "tokenizer.json"));
    apply_options(v, options);
    const bool bytes = v.kind == algorithm::byte_level_bpe;
    if (!bytes && v.scores.empty()) v.scores = scores_from_merges(v);
    fill_up(v.texts, info, source);
    v.kinds.resize(v.texts.size(), token_kind::unused);
    if (!bytes) v.scores.resize(v.texts.size(), 0.0f);

    out.set("tokenizer.ggml.model", bytes ? "gpt2" : "llama");
    if (bytes) {
        out.set("tokenizer.ggml.pre", find_splits(v, source.string()).gguf);
        std::vector<std::string> merges;
        merges.reserve(v.merges.size());
        for (const auto& [left, right] : v.merges) merges.push_back(left + " " + right);
        out.set_array("tokenizer.ggml.merges", merges);
    } else {
        out.set("tokenizer.ggml.pre", "default");
        out.set_array("tokenizer.ggml.scores", v.scores);
        out.set("tokenizer.ggml.add_space_prefix", v.mark != tokenizer::word_mark::never);
    }
    out.set_array("tokenizer.ggml.tokens", v.texts);
    std::vector<std::int32_t> kinds;
    for (const auto kind : v.kinds) kinds.push_back(static_cast<std::int32_t>(kind));
    out.set_array("tokenizer.ggml.token_type", kinds);
    const auto id = [&](const char* key, token value) {
        if (value != no_token) out.set("tokenizer.ggml." + std::string(key), static_cast<std::uint32_t>(value));
    };
    id("bos_token_id", v.bos);
    id("eos_token_id", v.eos);
    id("unknown_token_id", v.unknown);
    id("padding_token_id", v.padding);
    out.set("tokenizer.ggml.add_bos_token", v.add_bos);
    out.set("tokenizer.ggml.add_eos_token", v.add_eos);
    if (!v.chat_template.empty()) out.set("tokenizer.chat_template", v.chat_template);
}

}  // namespace lab::nn
