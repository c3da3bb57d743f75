// A document's chunk in another form (knowledge_options.hpp names the forms), as it is kept and written to files.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "lab/formats/json.hpp"
#include "lab/sdg/facts.hpp"
#include "lab/sdg/knowledge_options.hpp"

namespace lab::sdg {

struct view_text {
    std::size_t place = 0;  // index of the chunk
    document_view kind = document_view::original;
    std::string document;                // path
    text_range chunk;                    // bytes of the document
    std::string text;                    // sentences, one a line, or running text; empty: nothing of it could be used
    std::size_t taken = 0, dropped = 0;  // sentences or facts
    std::string prompt;                  // tag, for provenance
};
/// What became of a kind of view over a leaf.
struct view_count {
    std::size_t chunks = 0, taken = 0, dropped = 0;
};

[[nodiscard]] inline json to_json(const view_text& v) {
    return {{"document", v.document}, {"chunk", range_json(v.chunk)}, {"view", name_of(v.kind)}, {"text", v.text},
            {"taken", v.taken},       {"dropped", v.dropped},         {"prompt", v.prompt}};
}
/// @throws format_error naming place and field
[[nodiscard]] inline view_text view_from(const json& j, const std::string& place) {
    view_text v;
    v.kind = *views_from(formats::field<std::string>(j, "view", place)).begin();
    v.document = formats::field<std::string>(j, "document", place);
    v.chunk = range_from(j, "chunk", place);
    v.text = formats::field<std::string>(j, "text", place);
    v.taken = formats::field<std::size_t>(j, "taken", place);
    v.dropped = formats::field<std::size_t>(j, "dropped", place);
    v.prompt = formats::field<std::string>(j, "prompt", place);
    return v;
}

[[nodiscard]] inline std::map<std::string, view_count> count_views(const std::vector<view_text>& views) {
    std::map<std::string, view_count> counts;
    for (const auto& v : views) {
        auto& c = counts[std::string(name_of(v.kind))];
        ++c.chunks;
        c.taken += v.taken;
        c.dropped += v.dropped;
    }
    return counts;
}

}  // namespace lab::sdg
