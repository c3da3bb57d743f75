// Rows with named columns, as generation pipelines pass them on: every row has a value (JSON, null where it has none)
// for every column, and columns keep their order. A row knows the input row it comes from. JSON Lines in, read in
// batches, and out.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/file.hpp"
#include "lab/formats/json.hpp"
#include "lab/text/jinja/unicode.hpp"

namespace lab::sdg::blocks {

/// Objects inside a value keep the order of their members.
using cell = formats::ordered_json;

struct row {
    std::vector<cell> cells;
    std::size_t origin = 0;  // number of the input row it comes from
};

/// What Python's str.strip() leaves.
[[nodiscard]] inline std::string stripped(std::string_view text) {
    return std::string(text::jinja::strip_left(text::jinja::strip_right(text)));
}

/// A value in a few words, for messages.
[[nodiscard]] inline std::string shown(const cell& value) {
    if (value.is_null()) return "nothing";
    if (value.is_string()) return formats::quote(value.get_ref<const std::string&>(), 60);
    return formats::escape(value.dump(-1, ' ', false, cell::error_handler_t::replace), 60);
}

class table {
public:
    static constexpr std::size_t most_columns = formats::ordered_member_limit;

    table() = default;
    /// @throws config_error for a name that is there twice
    explicit table(std::vector<std::string> columns) {
        for (auto& name : columns) add_column(std::move(name));
    }
    /// The same columns, no rows.
    [[nodiscard]] table like() const {
        table t;
        t.columns_ = columns_;
        return t;
    }

    [[nodiscard]] const std::vector<std::string>& columns() const noexcept { return columns_; }
    [[nodiscard]] const std::vector<row>& rows() const noexcept { return rows_; }
    /// To change values in place; every row keeps as many cells as there are columns.
    [[nodiscard]] std::vector<row>& rows() noexcept { return rows_; }
    [[nodiscard]] std::size_t size() const noexcept { return rows_.size(); }
    [[nodiscard]] bool empty() const noexcept { return rows_.empty(); }

    [[nodiscard]] std::optional<std::size_t> find(std::string_view name) const {
        const auto at = std::find(columns_.begin(), columns_.end(), name);
        if (at == columns_.end()) return std::nullopt;
        return static_cast<std::size_t>(at - columns_.begin());
    }
    /// Index of a column. @throws config_error that lists the columns there are
    [[nodiscard]] std::size_t at(std::string_view name) const {
        if (const auto found = find(name)) return *found;
        std::string list;
        for (const auto& c : columns_) list += (list.empty() ? "" : ", ") + c;
        throw config_error(explain("", "the rows have no column " + formats::quote(name),
                                   list.empty() ? "they have none" : "they have " + list));
    }
    [[nodiscard]] const cell& value(const row& r, std::string_view name) const { return r.cells[at(name)]; }

    /// A new last column, null in every row. @throws config_error where there is one of that name
    std::size_t add_column(std::string name) {
        if (find(name))
            throw config_error(
                explain("", "there is a column " + formats::quote(name) + " already", "choose another name"));
        if (columns_.size() == most_columns)
            throw config_error("more than " + std::to_string(most_columns) + " columns");
        columns_.push_back(std::move(name));
        for (auto& r : rows_) r.cells.emplace_back();
        return columns_.size() - 1;
    }
    /// The column of that name, which is added where it is missing.
    std::size_t put_column(const std::string& name) {
        if (const auto found = find(name)) return *found;
        return add_column(name);
    }
    /// Removes those that are there.
    void drop_columns(std::span<const std::string> names) {
        std::vector<std::size_t> kept;
        for (std::size_t c = 0; c < columns_.size(); ++c)
            if (std::find(names.begin(), names.end(), columns_[c]) == names.end()) kept.push_back(c);
        if (kept.size() == columns_.size()) return;
        const auto pick = [&](auto& list) {
            for (std::size_t k = 0; k < kept.size(); ++k)
                if (kept[k] != k) list[k] = std::move(list[kept[k]]);
            list.resize(kept.size());
        };
        pick(columns_);
        for (auto& r : rows_) pick(r.cells);
    }
    /// All at once, so that names can be exchanged. @throws config_error for a name that is missing, or there twice
    /// then
    void rename_columns(std::span<const std::pair<std::string, std::string>> names) {
        std::vector<std::string> renamed = columns_;
        for (const auto& [from, to] : names) renamed[at(from)] = to;
        table check(renamed);  // names must differ
        columns_ = std::move(check.columns_);
    }
    void add(row r) {
        if (r.cells.size() != columns_.size()) throw error("table: a row needs a value for every column");
        rows_.push_back(std::move(r));
    }
    /// Rows of another table behind these; columns are matched by name, and added where they are missing.
    void append(table other) {
        std::vector<std::size_t> places;
        for (const auto& name : other.columns_) places.push_back(put_column(name));
        for (auto& r : other.rows_) {
            row moved{std::vector<cell>(columns_.size()), r.origin};
            for (std::size_t c = 0; c < places.size(); ++c) moved.cells[places[c]] = std::move(r.cells[c]);
            rows_.push_back(std::move(moved));
        }
    }
    [[nodiscard]] cell object(const row& r) const {
        cell out = cell::object();
        for (std::size_t c = 0; c < columns_.size(); ++c) out[columns_[c]] = r.cells[c];
        return out;
    }
    /// A row as one line of JSON, its end included.
    [[nodiscard]] std::string line(const row& r) const {
        return object(r).dump(-1, ' ', false, cell::error_handler_t::replace) + "\n";
    }

private:
    std::vector<std::string> columns_;
    std::vector<row> rows_;
};

/// Rows of a JSON Lines file, as many at a time as are asked for. All lines have all columns that any line has.
class row_file {
public:
    /// Reads the file once to learn its columns. @throws format_error naming line and column, io_error
    explicit row_file(const std::filesystem::path& path) : path_(path), file_(path) {
        table columns;
        std::map<std::string, std::size_t> known;
        read(static_cast<std::size_t>(-1), [&](const cell& object, std::size_t) {
            for (const auto& [name, value] : object.items())
                if (known.try_emplace(name, known.size()).second) columns.add_column(name);
        });
        total_ = next_;
        columns_ = columns;
        rewind();
    }
    [[nodiscard]] const std::vector<std::string>& columns() const { return columns_.columns(); }
    [[nodiscard]] std::size_t size() const noexcept { return total_; }
    void rewind() noexcept { offset_ = line_ = next_ = 0; }

    /// The next rows, at most `most`; none at the end.
    [[nodiscard]] table next(std::size_t most) {
        table out = columns_.like();
        read(most, [&](cell& object, std::size_t number) {
            row r{std::vector<cell>(columns_.columns().size()), number};
            for (auto& [name, value] : object.items()) r.cells[columns_.at(name)] = std::move(value);
            out.add(std::move(r));
        });
        return out;
    }

private:
    template <class Visit>
    void read(std::size_t most, Visit visit) {
        const std::string_view text = formats::as_text(file_.bytes());
        for (std::size_t taken = 0; taken < most && offset_ < text.size();) {
            const auto end = std::min(text.find('\n', offset_), text.size());
            const auto line = text.substr(offset_, end - offset_);
            offset_ = end + 1;
            ++line_;
            if (line.find_first_not_of(" \t\r") == line.npos) continue;
            const std::string place = path_.string() + ":" + std::to_string(line_);
            cell object = formats::parse_json<cell>(line, place);
            if (!object.is_object())
                throw format_error(
                    explain(place, "a row is an object, {\"column\": value, ...}, not " + shown(object)));
            visit(object, next_++);
            ++taken;
        }
    }

    std::filesystem::path path_;
    mapped_file file_;
    table columns_;
    std::size_t total_ = 0, offset_ = 0, line_ = 0, next_ = 0;
};

}  // namespace lab::sdg::blocks
