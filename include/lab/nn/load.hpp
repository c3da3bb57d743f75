// Models from files, for inference: `load_model(path)` for a GGUF file or a Hugging Face folder of safetensors, any
// family. For those that are to learn see load_trainable.hpp.
// With lab::compiled linked (LAB_COMPILED) this header is a declaration and costs nothing; else it brings the models.
#pragma once

#include <filesystem>

#include "lab/nn/any_model.hpp"
#include "lab/nn/load_options.hpp"
#ifndef LAB_COMPILED
#include "lab/nn/load_files.hpp"
#endif

namespace lab::nn {

/// Loads a GGUF file, or a folder with config.json and safetensors.
/// @throws io_error, format_error, shape_error, config_error, each naming the file and the tensor or field.
#ifdef LAB_COMPILED
[[nodiscard]] any_model load_model(const std::filesystem::path& path, const load_options& options = {});
#else
[[nodiscard]] inline any_model load_model(const std::filesystem::path& path, const load_options& options = {}) {
    return load_files(path, options);
}
#endif

}  // namespace lab::nn
