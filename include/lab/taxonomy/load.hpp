// Reads a taxonomy: every qna.yaml below a folder (or one file), in the order of their paths, all problems of all
// files. Links to folders are not followed; held-out questions are never read here (see heldout.hpp). With
// lab::compiled linked (LAB_COMPILED) it is a declaration and costs nothing.
#pragma once

#include <filesystem>

#include "lab/taxonomy/tree.hpp"
#ifndef LAB_COMPILED
#include "lab/taxonomy/read_tree.hpp"
#endif

namespace lab::taxonomy {

/// Reads the taxonomy at `path`, a folder or one qna.yaml.
/// @throws taxonomy_error when a file has errors and `keep_going` is off; io_error or format_error when there is
/// nothing to read; error when fetching was interrupted.
#ifdef LAB_COMPILED
[[nodiscard]] tree load(const std::filesystem::path& path, const options& how = {});
#else
[[nodiscard]] inline tree load(const std::filesystem::path& path, const options& how = {}) {
    return detail::read_tree(path, how);
}
#endif

}  // namespace lab::taxonomy
