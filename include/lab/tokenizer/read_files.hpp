// Vocabularies from files: a GGUF file (a whole model or vocabulary only), a Hugging Face folder, a tokenizer.json or a
// SentencePiece tokenizer.model. Beside the last two, the folder's tokenizer_config.json, generation_config.json,
// special_tokens_map.json and chat_template.jinja are read for what the tokenizer file itself leaves open.
// The way in is load.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/file.hpp"
#include "lab/formats/gguf.hpp"
#include "lab/formats/json.hpp"
#include "lab/formats/sentencepiece_model.hpp"
#include "lab/tokenizer/load_gguf.hpp"
#include "lab/tokenizer/load_json.hpp"
#include "lab/tokenizer/load_sentencepiece.hpp"
#include "lab/tokenizer/vocabulary.hpp"

namespace lab::tokenizer {

namespace folder_files {

inline formats::json read_json(const std::filesystem::path& path) {
    return std::filesystem::is_regular_file(path) ? formats::parse_json(read_file(path), path.string())
                                                  : formats::json::object();
}

/// A token's text, written either as a string or as an object with "content"; empty where absent.
inline std::string token_text(const formats::json& object, std::string_view key, const std::string& place) {
    const auto value = formats::optional_field<formats::json>(object, key, place);
    if (!value) return {};
    return value->is_string() ? value->get<std::string>()
                              : formats::field_or<std::string>(*value, "content", "", place);
}

/// Tokens that a tokenizer.model lacks: added_tokens.json (text -> id) continues its ids.
inline void apply_added_tokens(vocabulary& v, const std::filesystem::path& path) {
    const formats::json added = read_json(path);
    std::vector<std::pair<std::int64_t, std::string>> order;
    for (const auto& [text, id] : added.items())
        order.emplace_back(formats::value_as<std::int64_t>(id, path.string()), text);
    std::sort(order.begin(), order.end());
    for (const auto& [id, text] : order) {
        if (find_token(v, text) == id) continue;
        if (id != static_cast<std::int64_t>(v.texts.size()))
            throw format_error(explain(path.string(), "token " + formats::quote(text) + " has id " +
                                                          std::to_string(id) + ", expected " +
                                                          std::to_string(v.texts.size())));
        v.texts.push_back(text);
        v.kinds.push_back(token_kind::control);
        if (!v.scores.empty()) v.scores.push_back(0.0f);
        v.added.push_back({.text = text, .id = static_cast<token>(id)});
    }
}

inline void apply_settings(vocabulary& v, const std::filesystem::path& folder) {
    const auto path = folder / "tokenizer_config.json";
    const std::string place = path.string();
    const formats::json config = read_json(path);
    const formats::json map = read_json(folder / "special_tokens_map.json");
    const auto set = [&](std::string_view key, token& id) {
        std::string text = token_text(config, key, place);
        if (text.empty()) text = token_text(map, key, (folder / "special_tokens_map.json").string());
        if (const token found = find_token(v, text); found != no_token) id = found;
    };
    set("bos_token", v.bos);
    set("eos_token", v.eos);
    set("pad_token", v.padding);
    v.add_bos = formats::field_or<bool>(config, "add_bos_token", v.add_bos, place) && v.bos != no_token;
    v.add_eos = formats::field_or<bool>(config, "add_eos_token", v.add_eos, place) && v.eos != no_token;

    if (const auto file = folder / "chat_template.jinja"; std::filesystem::is_regular_file(file)) {
        v.chat_template = read_file(file);
    } else if (const auto text = formats::optional_field<formats::json>(config, "chat_template", place)) {
        if (text->is_string()) v.chat_template = text->get<std::string>();
        if (text->is_array())  // several, by name
            for (const formats::json& named : *text)
                if (v.chat_template.empty() || formats::field<std::string>(named, "name", place) == "default")
                    v.chat_template = formats::field<std::string>(named, "template", place);
    }

    const auto generation = folder / "generation_config.json";
    if (const auto ends =
            formats::optional_field<formats::json>(read_json(generation), "eos_token_id", generation.string())) {
        const formats::json list = ends->is_array() ? *ends : formats::json::array({*ends});
        for (const auto id : formats::value_as<std::vector<std::int64_t>>(list, generation.string() + ": eos_token_id"))
            if (id >= 0 && static_cast<std::uint64_t>(id) < v.texts.size())
                v.end_of_generation.push_back(static_cast<token>(id));
    }
}

/// The pieces of a tokenizer.model. SentencePiece's files have no magic number: what is no such file, and is not called
/// one either, is of no known kind.
inline formats::sentencepiece_model read_pieces(const std::filesystem::path& path) {
    const mapped_file file(path);
    try {
        return formats::parse_sentencepiece(file.bytes(), path.string());
    } catch (const format_error&) {
        if (path.extension() == ".model" && !file.bytes().empty()) throw;
        throw format_error(explain(path.string(),
                                   file.bytes().empty() ? "is empty, so it is of no known kind" : "is of no known kind",
                                   "a tokenizer is read from a GGUF file, a tokenizer.json, a SentencePiece "
                                   "tokenizer.model, or a folder with one of the last two"));
    }
}

}  // namespace folder_files

[[nodiscard]] inline vocabulary read_vocabulary(const std::filesystem::path& path) {
    namespace fs = std::filesystem;
    if (fs::is_directory(path)) {
        for (const auto* name : {"tokenizer.json", "tokenizer.model"})
            if (fs::is_regular_file(path / name)) return read_vocabulary(path / name);
        throw io_error(explain(path.string(), "holds neither tokenizer.json nor tokenizer.model"));
    }
    std::array<char, 4> magic{};
    {
        const mapped_file file(path);
        for (std::size_t i = 0; i < magic.size() && i < file.bytes().size(); ++i)
            magic[i] = static_cast<char>(file.bytes()[i]);
    }
    if (std::string_view(magic.data(), magic.size()) == "GGUF") return read_gguf_vocabulary(formats::gguf_file(path));
    const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
    vocabulary v;
    if (path.extension() == ".json") {
        v = tokenizer_json_reader::read(formats::parse_json(read_file(path), path.string()), path.string());
    } else {
        v = make_vocabulary(folder_files::read_pieces(path), path.string());
        folder_files::apply_added_tokens(v, folder / "added_tokens.json");
    }
    folder_files::apply_settings(v, folder);
    collect_end_of_generation(v);
    return v;
}

}  // namespace lab::tokenizer
