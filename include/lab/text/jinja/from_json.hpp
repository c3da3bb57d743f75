// JSON to template values. A template over the JSON type: nlohmann::ordered_json keeps the order of keys that templates
// with tojson show, nlohmann::json sorts them.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "lab/text/jinja/value.hpp"

namespace lab::text::jinja {

/// @throws format_error for whole numbers beyond 64 bits, and for nesting deeper than max_value_depth.
template <class Json>
[[nodiscard]] value from_json(const Json& j, std::size_t depth = 0) {
    if (depth > max_value_depth) throw format_error("JSON for a template: nested too deeply");
    if (j.is_null()) return value(nullptr);
    if (j.is_boolean()) return value(j.template get<bool>());
    if (j.is_number_unsigned()) {
        const auto n = j.template get<std::uint64_t>();
        if (n > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
            throw format_error("JSON for a template: " + std::to_string(n) + " does not fit in 64 bits with a sign");
        return value(static_cast<std::int64_t>(n));
    }
    if (j.is_number_integer()) return value(j.template get<std::int64_t>());
    if (j.is_number_float()) return value(j.template get<double>());
    if (j.is_string()) return value(j.template get_ref<const std::string&>());
    if (j.is_array()) {
        list_data items;
        for (const auto& each : j) items.push_back(from_json(each, depth + 1));
        return value(std::move(items));
    }
    dict_data entries;
    for (auto it = j.begin(); it != j.end(); ++it)
        entries.entries.emplace_back(it.key(), from_json(it.value(), depth + 1));
    return value(std::move(entries));
}

}  // namespace lab::text::jinja
