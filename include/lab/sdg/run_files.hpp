// What a generation left in its folder (output.hpp), read again: the manifest, and the samples one by one, so that runs
// of any length can be looked through. For reports, looking and comparing; changes nothing.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/file.hpp"
#include "lab/core/function_ref.hpp"
#include "lab/formats/jsonl.hpp"

namespace lab::sdg {

using formats::json;

/// A line of samples.jsonl or rejected.jsonl.
struct written_sample {
    std::string id, leaf, kind, origin;
    std::vector<std::pair<std::string, std::string>> messages;  // role, content
    std::map<std::string, double> scores;
    json provenance = json::object();
    std::string refused_by, reason;  // empty: kept
    std::string line;                // as it stands in the file

    [[nodiscard]] bool kept() const { return refused_by.empty(); }
    /// The contents of all messages of a role, one below the other.
    [[nodiscard]] std::string said(const std::string& role) const {
        std::string text;
        for (const auto& [who, what] : messages)
            if (who == role) text += (text.empty() ? "" : "\n") + what;
        return text;
    }
};

/// @throws format_error naming file and line
[[nodiscard]] inline json read_manifest(const std::filesystem::path& folder) {
    const auto path = folder / "manifest.json";
    if (!std::filesystem::exists(path))
        throw io_error(explain(path.string(), "is not there", "give the folder that lab-generate --out wrote"));
    json manifest = formats::parse_json(read_file(path), path.string());
    (void)formats::field<std::vector<json>>(manifest, "leaves", path.string());
    return manifest;
}

[[nodiscard]] inline written_sample read_sample(const json& value, const std::string& place) {
    written_sample s;
    s.line = formats::to_text(value);
    s.id = value.value("id", std::string());
    for (const auto& m : formats::field<std::vector<json>>(value, "messages", place))
        s.messages.emplace_back(formats::field<std::string>(m, "role", place),
                                formats::field<std::string>(m, "content", place));
    json about = value.value("metadata", json());  // a string that holds JSON, or the object itself
    if (about.is_string() && !about.get_ref<const std::string&>().empty())
        about = formats::parse_json(about.get<std::string>(), place + ": metadata");
    if (about.is_object()) {
        const auto text = [&](const char* key) {
            const auto at = about.find(key);
            return at != about.end() && at->is_string() ? at->get<std::string>() : std::string();
        };
        s.leaf = text("leaf"), s.kind = text("kind"), s.origin = text("origin");
        if (const auto at = about.find("provenance"); at != about.end()) s.provenance = *at;
        if (const auto at = about.find("scores"); at != about.end() && at->is_object())
            for (const auto& [name, score] : at->items())
                if (score.is_number()) s.scores[name] = score.get<double>();
    }
    s.refused_by = value.value("refused_by", std::string());
    s.reason = value.value("reason", std::string());
    return s;
}

/// Calls visit(sample) for all that was kept, then for all that was refused. @throws io_error, format_error
inline void for_each_written(const std::filesystem::path& folder, function_ref<void(const written_sample&)> visit) {
    for (const char* name : {"samples.jsonl", "rejected.jsonl"}) {
        const auto path = folder / name;
        formats::for_each_json_line(path, [&](const json& value, std::size_t line) {
            visit(read_sample(value, path.string() + ":" + std::to_string(line)));
        });
    }
}

}  // namespace lab::sdg
