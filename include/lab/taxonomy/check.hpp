// Checking without generating: one report for each file, as JSON Lines for scripts and as text for people.
// Missing documents are warnings here: a taxonomy can be checked where its repositories are not cloned.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "lab/formats/json.hpp"
#include "lab/taxonomy/tree.hpp"
#ifndef LAB_COMPILED
#include "lab/taxonomy/read_tree.hpp"
#endif

namespace lab::taxonomy {

/// Judges every qna.yaml at `path`. Documents are looked for where they are local or `documents_dir` is given.
/// @throws io_error or format_error when there is nothing to read.
#ifdef LAB_COMPILED  // lab::compiled has it
[[nodiscard]] std::vector<file_report> check(const std::filesystem::path& path,
                                             const std::filesystem::path& documents_dir = {});
#else
[[nodiscard]] inline std::vector<file_report> check(const std::filesystem::path& path,
                                                    const std::filesystem::path& documents_dir = {}) {
    return detail::check_tree(path, documents_dir);
}
#endif

[[nodiscard]] inline bool all_valid(std::span<const file_report> reports) {
    return std::all_of(reports.begin(), reports.end(), [](const file_report& r) { return r.valid; });
}

/// {"path", "valid", "problems": [{"line", "column", "severity", "message"}]} without a line end.
[[nodiscard]] inline std::string to_json_line(const file_report& report) {
    auto list = formats::json::array();
    for (const auto& p : report.problems)
        list.push_back(
            {{"line", p.line}, {"column", p.column}, {"severity", name(p.severity)}, {"message", p.message}});
    const formats::json line{{"path", report.path}, {"valid", report.valid}, {"problems", std::move(list)}};
    return line.dump(-1, ' ', false, formats::json::error_handler_t::replace);  // a path may be no UTF-8
}

/// Every problem on a line of its own, then a summary.
[[nodiscard]] inline std::string to_text(std::span<const file_report> reports) {
    std::string out;
    std::size_t valid = 0, warnings = 0;
    for (const auto& r : reports) {
        valid += r.valid ? 1 : 0;
        for (const auto& p : r.problems) {
            out += to_text(p) + "\n";
            warnings += p.severity == severity_level::warning ? 1 : 0;
        }
    }
    return out + std::to_string(valid) + " of " + std::to_string(reports.size()) +
           (reports.size() == 1 ? " file" : " files") + " valid, " + std::to_string(warnings) +
           (warnings == 1 ? " warning\n" : " warnings\n");
}

}  // namespace lab::taxonomy
