// Models that learn, from files: `load_trainable(path)`. What `load_model` gives does not, and compiles in less time.
// With lab::compiled linked (LAB_COMPILED) this header is a declaration and costs nothing; else it brings the models.
#pragma once

#include <filesystem>

#include "lab/nn/any_model.hpp"
#include "lab/nn/load_options.hpp"
#ifndef LAB_COMPILED
#include "lab/nn/load_trainable_files.hpp"
#endif

namespace lab::nn {

/// Loads a GGUF file, or a folder with config.json and safetensors: all weights decoded into f32 (4 bytes a parameter),
/// or, with load_options::lora or ::adapter, adapters beside weights as they are stored.
/// @throws as load_model; config_error too for an architecture that cannot be trained
#ifdef LAB_COMPILED
[[nodiscard]] any_model load_trainable(const std::filesystem::path& path, const load_options& options = {});
#else
[[nodiscard]] inline any_model load_trainable(const std::filesystem::path& path, const load_options& options = {}) {
    return load_trainable_files(path, options);
}
#endif

}  // namespace lab::nn
