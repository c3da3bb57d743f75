// Blocks that rearrange columns: combine, rename, duplicate, flatten (pandas' melt), set to the majority's value,
// select by another column, populate from files. A row whose values do not fit is dropped with the reason; a column
// that the rows do not have is a fault of the pipeline.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/sdg/blocks/block.hpp"
#include "lab/sdg/blocks/config_reader.hpp"

namespace lab::sdg::blocks {

/// The texts of some columns, joined into one.
struct combine_columns {
    static constexpr std::string_view type = "CombineColumnsBlock";
    std::vector<std::string> columns{};
    std::string output{}, separator = "\n\n";

    [[nodiscard]] static combine_columns read(config_reader& config) {
        return {config.texts("columns"), config.text("output_col"), config.optional_text("separator").value_or("\n\n")};
    }
    [[nodiscard]] table operator()(block_run& run, table rows) const {
        std::vector<std::size_t> from;
        for (const auto& name : columns) from.push_back(rows.at(name));
        const std::size_t to = rows.put_column(output);
        table out = rows.like();
        for (auto& r : rows.rows()) {
            std::string whole;
            std::size_t k = 0;
            for (; k < from.size() && r.cells[from[k]].is_string(); ++k)
                whole.append(k == 0 ? "" : separator).append(r.cells[from[k]].get_ref<const std::string&>());
            if (k < from.size()) {
                run.drop(rows, r, "not text", columns[k] + " is " + shown(r.cells[from[k]]) + ", no text to combine");
                continue;
            }
            r.cells[to] = std::move(whole);
            out.add(std::move(r));
        }
        return out;
    }
};

struct rename_columns {
    static constexpr std::string_view type = "RenameColumnsBlock";
    std::vector<std::pair<std::string, std::string>> names{};  // old, new; all at once

    [[nodiscard]] static rename_columns read(config_reader& config) { return {config.text_pairs("columns_map")}; }
    [[nodiscard]] table operator()(block_run&, table rows) const {
        rows.rename_columns(names);
        return rows;
    }
};

struct duplicate_columns {
    static constexpr std::string_view type = "DuplicateColumnsBlock";
    std::vector<std::pair<std::string, std::string>> names{};  // there, new

    [[nodiscard]] static duplicate_columns read(config_reader& config) { return {config.text_pairs("columns_map")}; }
    [[nodiscard]] table operator()(block_run&, table rows) const {
        for (const auto& [from, to] : names) {
            const std::size_t source = rows.at(from), copy = rows.add_column(to);
            for (auto& r : rows.rows()) r.cells[copy] = r.cells[source];
        }
        return rows;
    }
};

/// For each of the columns all rows again, the column's name in one new column and its value in another.
struct flatten_columns {
    static constexpr std::string_view type = "FlattenColumnsBlock";
    static constexpr bool whole_table = true;
    std::vector<std::string> columns{};
    std::string value_name{}, name_of_column{};

    [[nodiscard]] static flatten_columns read(config_reader& config) {
        return {config.texts("var_cols"), config.text("value_name"), config.text("var_name")};
    }
    [[nodiscard]] table operator()(block_run&, table rows) const {
        table out;
        std::vector<std::size_t> kept, flat;
        for (const auto& name : columns) flat.push_back(rows.at(name));
        for (std::size_t c = 0; c < rows.columns().size(); ++c) {
            if (std::find(columns.begin(), columns.end(), rows.columns()[c]) != columns.end()) continue;
            kept.push_back(c);
            out.add_column(rows.columns()[c]);
        }
        out.add_column(name_of_column);
        out.add_column(value_name);
        for (std::size_t k = 0; k < flat.size(); ++k)
            for (auto& r : rows.rows()) {
                row made{{}, r.origin};
                made.cells.reserve(kept.size() + 2);
                for (const std::size_t c : kept)
                    made.cells.push_back(k + 1 == flat.size() ? std::move(r.cells[c]) : r.cells[c]);
                made.cells.emplace_back(columns[k]);
                made.cells.push_back(r.cells[flat[k]]);
                out.add(std::move(made));
            }
        return out;
    }
};

/// Every row gets the most frequent value; of several as frequent, the smallest. Nulls do not count.
struct set_to_majority_value {
    static constexpr std::string_view type = "SetToMajorityValueBlock";
    static constexpr bool whole_table = true;
    std::string column{};

    [[nodiscard]] static set_to_majority_value read(config_reader& config) { return {config.text("col_name")}; }
    [[nodiscard]] table operator()(block_run&, table rows) const {
        const std::size_t c = rows.at(column);
        std::map<cell, std::size_t> counts;
        for (const auto& r : rows.rows())
            if (!r.cells[c].is_null()) ++counts[r.cells[c]];
        const auto most = std::max_element(counts.begin(), counts.end(),
                                           [](const auto& a, const auto& b) { return a.second < b.second; });
        if (most != counts.end())
            for (auto& r : rows.rows()) r.cells[c] = most->first;
        return rows;
    }
};

/// Copies the column that the choosing column's value stands for.
struct selector_block {
    static constexpr std::string_view type = "SelectorBlock";
    std::map<std::string, std::string> choices{};  // value of `choice`, column
    std::string choice{}, output{};

    [[nodiscard]] static selector_block read(config_reader& config) {
        const auto pairs = config.text_pairs("choice_map");
        return {{pairs.begin(), pairs.end()}, config.text("choice_col"), config.text("output_col")};
    }
    [[nodiscard]] table operator()(block_run& run, table rows) const {
        const std::size_t by = rows.at(choice);
        for (const auto& [value, column] : choices) (void)rows.at(column);
        const std::size_t to = rows.put_column(output);
        table out = rows.like();
        for (auto& r : rows.rows()) {
            const cell& value = r.cells[by];
            const auto at = value.is_string() ? choices.find(value.get<std::string>()) : choices.end();
            if (at == choices.end()) {
                run.drop(rows, r, "no choice", choice + " is " + shown(value) + ", for which no column is chosen");
                continue;
            }
            r.cells[to] = rows.value(r, at->second);
            out.add(std::move(r));
        }
        return out;
    }
};

/// Adds the values of the YAML file that a column names: "a/b/coffee.yaml" is called coffee.
struct sample_populator {
    static constexpr std::string_view type = "SamplePopulatorBlock";
    std::map<std::string, cell> values{};     // an object for each value of the column
    std::vector<std::string> more_columns{};  // that any of them has
    std::string column{};

    [[nodiscard]] static sample_populator read(config_reader& config) {
        sample_populator out;
        const auto files = config.items("config_paths");
        const auto names = config.texts("config_paths");
        const std::string post_fix = config.optional_text("post_fix").value_or("");
        for (std::size_t i = 0; i < names.size(); ++i) {
            std::string name = names[i];
            if (!post_fix.empty())
                for (std::size_t at = 0; (at = name.find(".yaml", at)) != name.npos; at += post_fix.size() + 6)
                    name.insert(at, "_" + post_fix);
            std::string key = names[i].substr(names[i].rfind('/') + 1);  // npos + 1 is 0
            key = key.substr(0, key.find('.'));
            const auto file = config.open(*files[i], name);
            cell object = to_cell(file, file.top());
            if (!object.is_object()) file.fail(file.top().at, "is a mapping, \"column: value\"");
            for (const auto& [added, value] : object.items())
                if (std::find(out.more_columns.begin(), out.more_columns.end(), added) == out.more_columns.end())
                    out.more_columns.push_back(added);
            out.values.insert_or_assign(key, std::move(object));
        }
        out.column = config.text("column_name");
        return out;
    }
    [[nodiscard]] table operator()(block_run& run, table rows) const {
        const std::size_t by = rows.at(column);
        for (const auto& name : more_columns) rows.put_column(name);
        table out = rows.like();
        for (auto& r : rows.rows()) {
            const cell key = r.cells[by];
            const auto at = key.is_string() ? values.find(key.get<std::string>()) : values.end();
            if (at == values.end()) {
                run.drop(rows, r, "no file", column + " is " + shown(key) + ", for which there is no file");
                continue;
            }
            for (const auto& [name, value] : at->second.items()) r.cells[rows.at(name)] = value;
            out.add(std::move(r));
        }
        return out;
    }
};

}  // namespace lab::sdg::blocks
