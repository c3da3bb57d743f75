// Part of lab::compiled: writing models and tokenizers.
#include "lab/nn/save_files.hpp"

#include "lab/nn/adapter_files.hpp"
#include "lab/nn/create.hpp"
#include "lab/nn/create_files.hpp"
#include "lab/nn/save.hpp"

namespace lab::nn {

void save_safetensors(const any_model& model, const std::filesystem::path& folder, const save_options& options) {
    write_safetensors(model, folder, options);
}
void save_gguf(const any_model& model, const std::filesystem::path& path, const save_options& options) {
    write_gguf(model, path, options);
}
void save_adapter(const any_model& model, const std::filesystem::path& folder, dtype type) {
    write_adapter(model, folder, type);
}
void save_tokenizer(const tokenizer::vocabulary& v, const std::filesystem::path& folder) {
    write_vocabulary_folder(v, folder, folder.string());
}
void create_model(const std::filesystem::path& folder, const runtime_dims& dims, const std::filesystem::path& tokenizer,
                  const create_options& options) {
    write_new_model(folder, dims, tokenizer, options);
}

}  // namespace lab::nn
