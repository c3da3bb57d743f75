// Models to files: `save_safetensors` (a folder that transformers opens) and `save_gguf` (a file that llama.cpp opens),
// each with the tokenizer of the model's source and with its adapters merged; `save_adapter`, those alone for PEFT;
// `save_tokenizer`, a vocabulary alone. With lab::compiled linked this header is only declarations.
#pragma once

#include <filesystem>

#include "lab/nn/any_model.hpp"
#include "lab/nn/save_options.hpp"
#include "lab/tokenizer/vocabulary.hpp"
#ifndef LAB_COMPILED
#include "lab/nn/adapter_files.hpp"
#include "lab/nn/save_files.hpp"
#endif

namespace lab::nn {

#ifdef LAB_COMPILED
void save_safetensors(const any_model& model, const std::filesystem::path& folder, const save_options& options = {});
void save_gguf(const any_model& model, const std::filesystem::path& path, const save_options& options = {});
void save_adapter(const any_model& model, const std::filesystem::path& folder, dtype type = dtype::f32);
void save_tokenizer(const tokenizer::vocabulary& v, const std::filesystem::path& folder);
#else
/// Writes config.json, model.safetensors (or shards) and the tokenizer's files into `folder`, creating it.
/// @throws config_error for a quantised type, which safetensors does not have; io_error.
inline void save_safetensors(const any_model& model, const std::filesystem::path& folder,
                             const save_options& options = {}) {
    write_safetensors(model, folder, options);
}
/// Writes a GGUF file with the model's sizes, its tokenizer and its weights.
/// @throws io_error; config_error for a type without an encoder.
inline void save_gguf(const any_model& model, const std::filesystem::path& path, const save_options& options = {}) {
    write_gguf(model, path, options);
}
/// Writes the adapters of a model, in PEFT's format and without the model itself.
/// @throws config_error where it has none, or for a quantised type; io_error.
inline void save_adapter(const any_model& model, const std::filesystem::path& folder, dtype type = dtype::f32) {
    write_adapter(model, folder, type);
}
/// Writes tokenizer.json and the files beside it, as transformers reads them, creating the folder.
/// @throws config_error for a pre-tokenizer that has no pattern there; io_error.
inline void save_tokenizer(const tokenizer::vocabulary& v, const std::filesystem::path& folder) {
    write_vocabulary_folder(v, folder, folder.string());
}
#endif

}  // namespace lab::nn
