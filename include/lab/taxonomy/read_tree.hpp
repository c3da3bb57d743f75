// What `load` (load.hpp) and `check` (check.hpp) do.
#pragma once

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/taxonomy/documents.hpp"
#include "lab/taxonomy/fetch.hpp"
#include "lab/taxonomy/leaf_files.hpp"
#include "lab/taxonomy/lint_texts.hpp"
#include "lab/taxonomy/tree.hpp"

namespace lab::taxonomy::detail {

[[nodiscard]] inline tree read_tree(const std::filesystem::path& path, const options& how) {
    tree out;
    std::size_t errors = 0;
    for (const auto& file : find_files(path)) {
        problem_list problems(file.string());
        auto found = judge_file(file, path, problems);
        if (found && how.read_documents && how.fetch && found->source) {
            try {
                fetch_documents(*found->source, how.documents_dir, *how.fetch);
            } catch (const error& why) {
                if (how.fetch->keep_going && !how.fetch->keep_going()) throw;
                problems.error(found->source->at, std::string("the documents cannot be fetched: ") + why.what());
            }
        }
        if (found && how.read_documents && problems.errors() == 0) read_documents(*found, how.documents_dir, problems);
        if (found && problems.errors() == 0) out.leaves.push_back(*std::move(found));
        errors += problems.errors();
        auto list = std::move(problems).take();
        std::move(list.begin(), list.end(), std::back_inserter(out.problems));
    }
    if (errors > 0 && !how.keep_going) {
        std::string first;
        for (const auto& p : out.problems)
            if (first.empty() && p.severity == severity_level::error) first = to_text(p);
        throw taxonomy_error(explain(path.string(),
                                     "the taxonomy has " + std::to_string(errors) + " error" +
                                         (errors == 1 ? "" : "s") + "; the first: " + first,
                                     "mend them, or keep going with the good leaves"),
                             std::move(out.problems));
    }
    return out;
}

[[nodiscard]] inline std::vector<file_report> check_tree(const std::filesystem::path& path,
                                                         const std::filesystem::path& documents_dir) {
    std::vector<file_report> reports;
    question_register questions;
    for (const auto& file : find_files(path)) {
        problem_list problems(file.string());
        auto found = judge_file(file, path, problems);
        if (found) {
            lint_texts(*found, problems);
            lint_heldout(*found, problems);
            questions.add(*found, problems);
        }
        file_report report{file.string(), problems.errors() == 0, std::move(problems).take()};
        if (found && found->source && (is_local(*found->source) || !documents_dir.empty())) {
            problem_list missing(file.string());
            read_documents(*found, documents_dir, missing);
            for (auto& p : std::move(missing).take()) {
                p.severity = severity_level::warning;
                report.problems.push_back(std::move(p));
            }
        }
        std::stable_sort(report.problems.begin(), report.problems.end(), [](const problem& a, const problem& b) {
            return std::pair(a.line, a.column) < std::pair(b.line, b.column);
        });
        reports.push_back(std::move(report));
    }
    return reports;
}

}  // namespace lab::taxonomy::detail
