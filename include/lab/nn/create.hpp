// A new model from nothing but sizes, a tokenizer and a seed, as a Hugging Face folder: what training from scratch
// begins with. With lab::compiled linked this header is only a declaration.
#pragma once

#include <filesystem>

#include "lab/nn/create_options.hpp"
#include "lab/nn/dims.hpp"
#ifndef LAB_COMPILED
#include "lab/nn/create_files.hpp"
#endif

namespace lab::nn {

/// Writes a dense Llama of these sizes, its weights in f32 drawn by `init::normal`, and beside it the tokenizer of a
/// file or folder. The same seed gives the same bytes.
/// @throws config_error where the sizes contradict each other, ask for experts or a window, or have fewer rows than
/// the tokenizer has tokens; io_error
#ifdef LAB_COMPILED
void create_model(const std::filesystem::path& folder, const runtime_dims& dims, const std::filesystem::path& tokenizer,
                  const create_options& options = {});
#else
inline void create_model(const std::filesystem::path& folder, const runtime_dims& dims,
                         const std::filesystem::path& tokenizer, const create_options& options = {}) {
    write_new_model(folder, dims, tokenizer, options);
}
#endif

}  // namespace lab::nn
