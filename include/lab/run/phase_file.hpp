// A training plan as a file, JSON (replay/phase_file.hpp) or, where its name ends in .yaml or .yml, the same in YAML.
// Needs yaml-cpp (lab::taxonomy), which reading JSON alone does not.
#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "lab/core/file.hpp"
#include "lab/formats/json.hpp"
#include "lab/replay/phase_file.hpp"
#include "lab/taxonomy/yaml_document.hpp"

namespace lab::run {

/// A node of a YAML document and what is below it, as JSON: dates and other special types as their text. `most` bounds
/// the values that aliases may repeat. @throws format_error
[[nodiscard]] inline formats::json to_json(const taxonomy::yaml::document& doc, const taxonomy::yaml::node& node,
                                           const std::string& place, std::size_t& most) {
    using taxonomy::yaml::type;
    const std::string where = place + ":" + std::to_string(node.at.line) + ":" + std::to_string(node.at.column);
    if (most-- == 0) throw format_error(explain(where, "its aliases repeat too much"));
    switch (node.kind) {
        case type::null:
            return nullptr;
        case type::boolean:
            return node.integer == 1;
        case type::integer:
            if (!node.integer) throw format_error(explain(where, "the number " + node.text + " is too large"));
            return *node.integer;
        case type::floating:
            return taxonomy::yaml::detail::float_value(node.text);
        case type::sequence: {
            auto list = formats::json::array();
            for (const auto id : node.items) list.push_back(to_json(doc, doc[id], place, most));
            return list;
        }
        case type::mapping: {
            auto object = formats::json::object();
            for (const auto& m : node.members) {
                if (doc[m.key].kind != type::string)
                    throw format_error(explain(where, "the key " + formats::quote(doc[m.key].text) + " is not text"));
                object[doc[m.key].text] = to_json(doc, doc[m.value], place, most);
            }
            return object;
        }
        default:
            // YAML 1.1 wants "2.0e-4": "2e-4" is text to it, and a number to everyone who writes one.
            if (formats::json::accept(node.text))
                if (auto value = formats::json::parse(node.text); value.is_number()) return value;
            return node.text;
    }
}

/// @throws format_error naming file, line, column, phase and field; config_error for phases that contradict each other.
[[nodiscard]] inline std::vector<replay::phase> parse_yaml_phases(std::string_view text, const std::string& place) {
    namespace yaml = taxonomy::yaml;
    yaml::document doc;
    const auto at = [&](const auto& where) {
        return place + ":" + std::to_string(where.line) + ":" + std::to_string(where.column);
    };
    try {
        doc = yaml::read(text);
    } catch (const yaml::syntax_error& fault) {
        throw format_error(explain(at(fault.at), fault.what()));
    }
    if (!doc.warnings.empty()) {  // repeated keys, each where it comes again
        const auto& where = doc.warnings.front().first;
        const auto key =
            std::find_if(doc.nodes.begin(), doc.nodes.end(), [&](const yaml::node& n) { return n.at == where; });
        throw format_error(explain(at(where), "duplicate key " + formats::quote(key->text)));
    }
    const auto& top = doc[doc.root];
    const yaml::node* list = top.kind == yaml::type::mapping ? doc.find(top, "phases") : nullptr;
    std::size_t most = 100'000;
    return replay::phases_from(to_json(doc, top, place, most), place, [&](std::size_t i) {
        return list != nullptr && i < list->items.size() ? at(doc[list->items[i]].at) : place;
    });
}

/// The plan in a file, by its ending. @throws io_error; as parse_phases and parse_yaml_phases
[[nodiscard]] inline std::vector<replay::phase> read_phases(const std::filesystem::path& path) {
    const bool in_yaml = path.extension() == ".yaml" || path.extension() == ".yml";
    return in_yaml ? parse_yaml_phases(read_file(path), path.string()) : replay::read_phases(path);
}

}  // namespace lab::run
