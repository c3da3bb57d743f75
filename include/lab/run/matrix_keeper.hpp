// The forgetting matrix of a run as files: one for each row, eval/<number>-<name>.json, so that a resumed run does not
// measure again what it has measured, and anything may look at single answers later.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/file.hpp"
#include "lab/eval/forgetting.hpp"
#include "lab/formats/json.hpp"
#include "lab/replay/phase.hpp"

namespace lab::run {

using replay::untouched;  // the first row: the model before training

/// Measures each state of the model once; rows are kept in `folder`.
class matrix_keeper {
public:
    /// @param asked a checksum of what is measured
    matrix_keeper(std::filesystem::path folder, std::string asked)
        : folder_(std::move(folder)), asked_(std::move(asked)) {}
    /// The row of this name, measured by `measure()` unless it is kept already. @throws config_error where the kept one
    /// was asked something else; io_error, format_error
    template <class F>
    const eval::matrix_row& row(const std::string& name, F&& measure) {
        for (const auto& known : matrix.rows)
            if (known.name == name) return known;
        std::string file = std::to_string(matrix.rows.size()) + "-" + name + ".json";
        for (char& c : file)
            if (c == '/') c = '_';
        const auto path = folder_ / file;
        if (std::filesystem::exists(path)) {
            const auto kept = formats::parse_json(read_file(path), path.string());
            if (formats::field_or<std::string>(kept, "asked", asked_, path.string()) != asked_)
                throw config_error(explain(path.string(),
                                           "was measured with other questions, phrasings or plain text, or "
                                           "of another model",
                                           "measure with the same ones, or begin the run anew"));
            matrix.rows.push_back(eval::matrix_row_from(kept, path.string()));
        } else {
            make_folder(folder_);
            matrix.rows.push_back(measure());
            auto row = eval::to_json(matrix.rows.back());
            row["asked"] = asked_;
            write_file_atomically(path, formats::to_text(row, 1) + "\n");
        }
        return matrix.rows.back();
    }
    eval::forgetting_matrix matrix;

private:
    std::filesystem::path folder_;
    std::string asked_;
};

/// Removes the rows kept in `folder`, or all but the untouched model's. @throws std::filesystem::filesystem_error
inline void forget_rows(const std::filesystem::path& folder, bool keep_untouched) {
    if (!std::filesystem::is_directory(folder)) return;
    std::vector<std::filesystem::path> rows;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) rows.push_back(entry.path());
    for (const auto& row : rows)
        if (!keep_untouched || row.filename() != "0-" + std::string(untouched) + ".json") std::filesystem::remove(row);
}

/// The matrix that a finished run left in its folder. @throws io_error, format_error
[[nodiscard]] inline eval::forgetting_matrix stored_matrix(const std::filesystem::path& run) {
    const auto read = [](const std::filesystem::path& path) {
        return formats::parse_json(read_file(path), path.string());
    };
    const std::string place = (run / "forgetting.json").string();
    eval::forgetting_matrix matrix;
    for (const auto& c : formats::field<std::vector<formats::json>>(read(place), "columns", place)) {
        const auto name = formats::field<std::string>(c, "name", place);
        const auto kind = replay::parse_kind(name);
        if (!kind) throw format_error(explain(place, "column '" + name + "' is no kind of question"));
        matrix.columns.push_back({name, *kind, formats::optional_field<std::size_t>(c, "learnt_after_row", place)});
    }
    std::map<std::size_t, std::filesystem::path> rows;
    for (const auto& entry : std::filesystem::directory_iterator(run / "eval"))
        if (entry.path().extension() == ".json")  // not what a killed write left
            rows.emplace(std::strtoul(entry.path().filename().c_str(), nullptr, 10), entry.path());
    for (const auto& [number, path] : rows) matrix.rows.push_back(eval::matrix_row_from(read(path), path.string()));
    return matrix;
}

}  // namespace lab::run
