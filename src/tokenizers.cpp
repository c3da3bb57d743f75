// Part of lab::compiled: tokenizers and reading them.
#include "lab/tokenizer/read_files.hpp"

#include "lab/tokenizer/load.hpp"
#include "lab/tokenizer/tables.hpp"

namespace lab::tokenizer {

vocabulary load_vocabulary(const std::filesystem::path& path) { return read_vocabulary(path); }

std::shared_ptr<const detail::tables> detail::own_tables(vocabulary v) { return make_own_tables(std::move(v)); }

}  // namespace lab::tokenizer
