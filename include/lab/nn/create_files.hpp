// What `create_model` does: weights drawn tensor by tensor and written with a configuration and a tokenizer.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "lab/core/error.hpp"
#include "lab/core/file.hpp"
#include "lab/formats/json.hpp"
#include "lab/formats/safetensors_writer.hpp"
#include "lab/nn/arch.hpp"
#include "lab/nn/config.hpp"
#include "lab/nn/create_options.hpp"
#include "lab/nn/init.hpp"
#include "lab/nn/tokenizer_files.hpp"
#include "lab/tokenizer/load.hpp"

namespace lab::nn {

/// What `create_model` does.
inline void write_new_model(const std::filesystem::path& folder, const runtime_dims& dims,
                            const std::filesystem::path& tokenizer_source, const create_options& options) {
    if (dims.experts != 0 || dims.window != 0)
        throw config_error(explain(folder.string(), "a new model is a dense Llama: without experts or window"));
    const auto tokens = tokenizer::load_vocabulary(tokenizer_source);
    if (tokens.texts.size() > dims.vocab)
        throw config_error(explain(folder.string(), "the tokenizer has " + std::to_string(tokens.texts.size()) +
                                                        " tokens, the vocabulary " + std::to_string(dims.vocab)));
    const auto parameters = make_parameters<arch::llama, float>(dims, init::normal{options.seed});
    model_info info;
    info.family = "llama";
    info.dims = dims;
    info.context_length = options.context;
    info.bos = tokens.bos;
    info.eos = tokens.eos;
    formats::safetensors_writer writer;
    for_each_tensor(
        dims,
        [&](const tensor_info& tensor, const auto& handle) {
            const std::span<const float> values = handle.flat();
            writer.add({tensor.name, dtype::f32, tensor.shape(),
                        [values](formats::byte_sink sink) { sink(std::as_bytes(values)); }});
        },
        parameters.get());
    make_folder(folder);
    writer.write_folder(folder);
    write_file_atomically(folder / "config.json",
                          formats::to_text(formats::to_json(to_hf_config(info, "float32")), 2) + "\n");
    write_tokenizer_folder(tokenizer_source, folder);
}

}  // namespace lab::nn
