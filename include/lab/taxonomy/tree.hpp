// What reading and checking a taxonomy take and give.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lab/taxonomy/fetch_options.hpp"
#include "lab/taxonomy/leaf.hpp"
#include "lab/taxonomy/problem.hpp"

namespace lab::taxonomy {

struct options {
    bool keep_going = false;     ///< use the good leaves even if others have errors
    bool read_documents = true;  ///< false: knowledge leaves come without documents, and cannot fail for lack of them
    std::filesystem::path documents_dir{};  ///< checkouts of the leaves' repositories (--documents)
    std::optional<fetch_options> fetch{};   ///< clone what is missing there first (--fetch-documents)
};

struct tree {
    std::vector<leaf> leaves;       ///< in the order of their paths
    std::vector<problem> problems;  ///< of all files, in the same order
};

/// The judgement on one file.
struct file_report {
    std::string path;
    bool valid = false;  ///< no error by the schema; missing documents do not count
    std::vector<problem> problems;
};

}  // namespace lab::taxonomy
