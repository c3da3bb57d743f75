// Messages JSON Lines as InstructLab's trainer reads them: {"id", "messages": [{"role", "content"}], "metadata",
// "unmask"}, where metadata is an object or a string that holds one. Leaf and kind come from the metadata (field lists
// below). Faults name file and line. Nothing is tokenised here (replay/encode.hpp).
#pragma once

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/file.hpp"
#include "lab/formats/json.hpp"
#include "lab/formats/jsonl.hpp"
#include "lab/replay/sample.hpp"
#include "lab/text/message.hpp"

namespace lab::replay {

/// One conversation as stored.
struct sample {
    std::string id{};
    text::messages messages{};
    std::string leaf{};  // "" where the metadata does not say
    sample_kind kind = sample_kind::compositional;
    bool unmask = false;  // learn what every role but "system" says, not only "assistant"
    std::string place{};  // "file:line"
};

struct dataset_options {
    /// For samples whose metadata does not tell: neither `kind`, nor a leaf's path, nor InstructLab's "document_..."
    /// dataset.
    sample_kind default_kind = sample_kind::compositional;
};

/// Metadata fields that may hold the kind or the leaf's path, in order of preference.
inline constexpr std::array<std::string_view, 3> kind_fields{"kind", "leaf_node_type", "branch"};
inline constexpr std::array<std::string_view, 3> leaf_fields{"leaf", "leaf_node_path", "taxonomy_path"};

namespace dataset_detail {

[[nodiscard]] inline std::string first_string(const formats::json& object, std::span<const std::string_view> names) {
    for (const std::string_view name : names)
        if (const auto found = object.find(name); found != object.end() && found->is_string())
            return found->get<std::string>();
    return {};
}

[[nodiscard]] inline formats::json metadata_of(const formats::json& line, const std::string& place) {
    const auto found = line.find("metadata");
    if (found == line.end() || found->is_null()) return formats::json::object();
    if (found->is_object()) return *found;
    const auto text = formats::value_as<std::string>(*found, place + ": field 'metadata'");
    if (text.empty()) return formats::json::object();
    auto parsed = formats::parse_json(text, place + ": field 'metadata'");
    if (!parsed.is_object())
        throw format_error(
            explain(place, "field 'metadata' holds no JSON object", "write an object, or one as a string"));
    return parsed;
}

/// Field "id", text or a whole number; `place` where there is none.
[[nodiscard]] inline std::string id_of(const formats::json& object, const std::string& place) {
    const formats::json* found = formats::find_field(object, "id", place);
    if (found == nullptr) return place;
    if (found->is_number_integer()) return found->dump();
    auto id = formats::value_as<std::string>(*found, formats::field_place("id", place));
    return id.empty() ? place : id;
}

[[nodiscard]] inline bool blank(std::string_view text) {
    return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

}  // namespace dataset_detail

/// One parsed line. @throws format_error naming place and field.
[[nodiscard]] inline sample parse_sample(const formats::json& line, const std::string& place,
                                         const dataset_options& options = {}) {
    namespace detail = dataset_detail;
    sample s;
    s.place = place;
    s.id = detail::id_of(line, place);
    s.unmask = formats::field_or<bool>(line, "unmask", false, place);

    const auto list = formats::field<std::vector<formats::json>>(line, "messages", place);
    bool learns = false;
    for (std::size_t i = 0; i < list.size(); ++i) {
        const std::string where = place + ": messages[" + std::to_string(i) + "]";
        text::message m{.role = formats::field<std::string>(list[i], "role", where),
                        .content = formats::field<std::string>(list[i], "content", where)};
        if (m.role == "pretraining")
            throw format_error(explain(where, "has the old role 'pretraining'",
                                       "split it into user and assistant messages and set \"unmask\": true"));
        if (m.role.empty()) throw format_error(explain(where, "has an empty role"));
        if (m.role != "system" && detail::blank(m.content))
            throw format_error(explain(where, "has empty content", "remove the sample or fill the message"));
        learns |= m.role == "assistant" || (s.unmask && m.role != "system");
        s.messages.push_back(std::move(m));
    }
    if (!learns)
        throw format_error(
            explain(place, "has no message to learn from", "add an assistant message, or set \"unmask\": true"));

    const formats::json metadata = detail::metadata_of(line, place);
    s.leaf = detail::first_string(metadata, leaf_fields);
    const std::string kind = detail::first_string(metadata, kind_fields);
    if (const auto named = parse_kind(kind))
        s.kind = *named;
    else if (const auto by_path = parse_kind(s.leaf))
        s.kind = *by_path;
    else if (detail::first_string(metadata, std::array<std::string_view, 1>{"dataset"}).starts_with("document_"))
        s.kind = sample_kind::knowledge;
    else
        s.kind = options.default_kind;
    return s;
}

/// All samples of JSON Lines text. @throws format_error naming place, line and field.
[[nodiscard]] inline std::vector<sample> parse_samples(std::string_view text, const std::string& place,
                                                       const dataset_options& options = {}) {
    std::vector<sample> samples;
    formats::for_each_json_line(text, place, [&](const formats::json& line, std::size_t number) {
        samples.push_back(parse_sample(line, place + ":" + std::to_string(number), options));
    });
    return samples;
}

/// The files a data folder stands for: `samples.jsonl` if it is there, else every *.jsonl of the folder by name.
[[nodiscard]] inline std::vector<std::filesystem::path> dataset_files(const std::filesystem::path& data) {
    namespace fs = std::filesystem;
    if (!fs::exists(data)) throw io_error(explain(data.string(), "there is no such file or folder"));
    if (!fs::is_directory(data)) return {data};
    if (fs::exists(data / "samples.jsonl")) return {data / "samples.jsonl"};
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(data))
        if (entry.is_regular_file() && entry.path().extension() == ".jsonl") files.push_back(entry.path());
    if (files.empty())
        throw io_error(explain(data.string(), "the folder holds no .jsonl file", "name a messages JSON Lines file"));
    std::sort(files.begin(), files.end());
    return files;
}

/// Every sample of a file or folder, in file order. @throws io_error, format_error; config_error where there is none.
[[nodiscard]] inline std::vector<sample> read_samples(const std::filesystem::path& data,
                                                      const dataset_options& options = {}) {
    std::vector<sample> samples;
    for (const auto& file : dataset_files(data)) {
        const mapped_file map(file);
        auto part = parse_samples(formats::as_text(map.bytes()), file.string(), options);
        samples.insert(samples.end(), std::make_move_iterator(part.begin()), std::make_move_iterator(part.end()));
    }
    if (samples.empty()) throw config_error(explain(data.string(), "holds no sample"));
    return samples;
}

}  // namespace lab::replay
