// Part of lab::compiled: reading tokenizers.
#include "lab/tokenizer/read_files.hpp"

#include "lab/tokenizer/load.hpp"

namespace lab::tokenizer {

vocabulary load_vocabulary(const std::filesystem::path& path) { return read_vocabulary(path); }

}  // namespace lab::tokenizer
