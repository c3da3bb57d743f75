// Part of lab::compiled: reading and checking a taxonomy.
#include "lab/taxonomy/read_tree.hpp"

#include "lab/taxonomy/check.hpp"
#include "lab/taxonomy/load.hpp"

namespace lab::taxonomy {

tree load(const std::filesystem::path& path, const options& how) { return detail::read_tree(path, how); }
std::vector<file_report> check(const std::filesystem::path& path, const std::filesystem::path& documents_dir) {
    return detail::check_tree(path, documents_dir);
}

}  // namespace lab::taxonomy
