// Tables of pipelines as JSON, there and back.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/formats/json.hpp"
#include "lab/sdg/blocks/table.hpp"

namespace lab::test {

/// A table of the objects of a list, numbered in its order.
inline sdg::blocks::table table_of(const sdg::blocks::cell& list) {
    sdg::blocks::table out;
    for (const auto& object : list) {
        for (const auto& [name, value] : object.items()) out.put_column(name);
        sdg::blocks::row r{std::vector<sdg::blocks::cell>(out.columns().size()), out.size()};
        for (const auto& [name, value] : object.items()) r.cells[out.at(name)] = value;
        out.add(std::move(r));
    }
    return out;
}
inline sdg::blocks::table parse_table(std::string_view json) {
    return table_of(formats::parse_json<sdg::blocks::cell>(json, "rows"));
}
inline std::string text_of(const sdg::blocks::table& t) {
    std::string out;
    for (const auto& r : t.rows()) out += t.line(r);
    return out;
}

}  // namespace lab::test
