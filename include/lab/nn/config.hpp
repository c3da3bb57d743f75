// A model's sizes from a file's metadata (GGUF keys, config.json), and back. Arithmetic that the library does not have
// (rotary scaling, biases, other activations) is refused here by name, so that no file is run wrongly.
// GGUF keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/formats/gguf.hpp"
#include "lab/formats/gguf_writer.hpp"
#include "lab/formats/hf_config.hpp"
#include "lab/nn/any_model.hpp"

namespace lab::nn {

/// The double that a float was written for: 1e-05f gives 1e-05, so that both containers give the same model.
[[nodiscard]] inline double as_written(float value) {
    char text[32];
    const auto end = std::to_chars(text, text + sizeof text, value).ptr;
    double result = 0;
    std::from_chars(text, end, result);
    return result;
}

namespace detail {

[[nodiscard]] inline token token_or_none(std::optional<std::int64_t> id, std::size_t vocab) {
    return id && *id >= 0 && static_cast<std::uint64_t>(*id) < vocab ? static_cast<token>(*id) : no_token;
}
[[noreturn]] inline void refuse_config(std::string_view place, const std::string& what) {
    throw config_error(explain(place, what + " is not supported"));
}

}  // namespace detail

/// @throws format_error for missing or ill-typed keys, config_error for what the library does not compute.
[[nodiscard]] inline model_info read_info(const formats::gguf_file& file) {
    const std::string place = file.path().string();
    const auto arch = file.require<std::string>("general.architecture");
    if (arch != "llama")
        detail::refuse_config(place, "architecture '" + arch + "' (known: llama, with Mistral and Mixtral)");
    const auto size = [&](const char* key) { return file.require<std::uint32_t>("llama." + std::string(key)); };
    const auto size_or = [&](const char* key, std::size_t fallback) -> std::size_t {
        return file.get<std::uint32_t>("llama." + std::string(key)).value_or(static_cast<std::uint32_t>(fallback));
    };

    model_info info;
    info.source = file.path();
    auto& d = info.dims;
    d.dim = size("embedding_length");
    d.layers = size("block_count");
    d.heads = size("attention.head_count");
    d.kv_heads = size_or("attention.head_count_kv", d.heads);
    d.hidden = size("feed_forward_length");
    d.head_dim = size_or("attention.key_length", d.heads == 0 ? 0 : d.dim / d.heads);
    if (size_or("attention.value_length", d.head_dim) != d.head_dim)
        detail::refuse_config(place, "a value size other than the key size");
    if (size_or("rope.dimension_count", d.head_dim) != d.head_dim)
        detail::refuse_config(place, "rotating only a part of each head");
    d.norm_eps = as_written(file.require<float>("llama.attention.layer_norm_rms_epsilon"));
    d.rope_theta = as_written(file.get<float>("llama.rope.freq_base").value_or(10000.0f));
    if (const auto scaling = file.get<std::string>("llama.rope.scaling.type"); scaling && *scaling != "none")
        detail::refuse_config(place, "rotary scaling '" + *scaling + "'");
    d.experts = size_or("expert_count", 0);
    d.experts_per_token = d.experts == 0 ? 0 : size_or("expert_used_count", 0);
    if (d.experts != 0) d.hidden = size_or("expert_feed_forward_length", d.hidden);
    d.window = size_or("attention.sliding_window", 0);
    const auto* embedding = file.weights().find("token_embd.weight");
    if (embedding == nullptr)
        throw format_error(
            explain(place, "tensor 'token_embd.weight' is missing", "a vocabulary-only file holds no model"));
    d.vocab = embedding->shape.empty() ? 0 : embedding->shape.front();
    d.tied = file.weights().find("output.weight") == nullptr;
    info.family = d.experts != 0 ? "mixtral" : d.window != 0 ? "mistral" : "llama";
    info.context_length = size_or("context_length", 0);
    info.bos = detail::token_or_none(file.get<std::int64_t>("tokenizer.ggml.bos_token_id"), d.vocab);
    info.eos = detail::token_or_none(file.get<std::int64_t>("tokenizer.ggml.eos_token_id"), d.vocab);
    return info;
}

/// @throws config_error for what the library does not compute.
[[nodiscard]] inline model_info read_info(const formats::hf_config& c, const std::filesystem::path& folder) {
    const std::string place = (folder / "config.json").string();
    if (c.model_type != "llama" && c.model_type != "mistral" && c.model_type != "mixtral")
        detail::refuse_config(place, "model type '" + c.model_type + "' (known: llama, mistral, mixtral)");
    if (c.rope.type != "default") detail::refuse_config(place, "rotary scaling '" + c.rope.type + "'");
    if (c.hidden_act != "silu") detail::refuse_config(place, "activation '" + c.hidden_act + "'");
    if (c.attention_bias || c.mlp_bias) detail::refuse_config(place, "a model with biases");
    model_info info;
    info.family = c.model_type;
    info.source = folder;
    info.dims = {.dim = c.hidden_size,
                 .layers = c.num_hidden_layers,
                 .heads = c.num_attention_heads,
                 .kv_heads = c.num_key_value_heads,
                 .head_dim = c.head_dim,
                 .hidden = c.intermediate_size,
                 .vocab = c.vocab_size,
                 .experts = c.model_type == "mixtral" ? c.num_local_experts : 0,
                 .experts_per_token = c.model_type == "mixtral" ? c.num_experts_per_tok : 0,
                 .window = c.model_type == "llama" ? 0 : c.sliding_window.value_or(0),
                 .tied = c.tie_word_embeddings,
                 .norm_eps = c.rms_norm_eps,
                 .rope_theta = c.rope.theta};
    info.context_length = c.max_position_embeddings;
    info.bos = detail::token_or_none(c.bos_token_id, c.vocab_size);
    info.eos = detail::token_or_none(c.eos_token_ids.empty() ? std::nullopt : std::optional(c.eos_token_ids.front()),
                                     c.vocab_size);
    return info;
}

/// The config.json that describes `info`. `type` names the weights' element type for readers ("float32").
[[nodiscard]] inline formats::hf_config to_hf_config(const model_info& info, std::string type) {
    const auto& d = info.dims;
    formats::hf_config c;
    c.model_type = info.family;
    c.architectures = {info.family == "mixtral"   ? "MixtralForCausalLM"
                       : info.family == "mistral" ? "MistralForCausalLM"
                                                  : "LlamaForCausalLM"};
    c.hidden_size = d.dim;
    c.intermediate_size = d.hidden;
    c.num_hidden_layers = d.layers;
    c.num_attention_heads = d.heads;
    c.num_key_value_heads = d.kv_heads;
    c.head_dim = d.head_dim;
    c.vocab_size = d.vocab;
    c.max_position_embeddings = info.context_length == 0 ? 2048 : info.context_length;
    c.rms_norm_eps = d.norm_eps;
    c.rope.theta = d.rope_theta;
    c.tie_word_embeddings = d.tied;
    if (d.window != 0) c.sliding_window = d.window;
    c.num_local_experts = d.experts;
    c.num_experts_per_tok = d.experts_per_token;
    if (info.bos != no_token) c.bos_token_id = info.bos;
    if (info.eos != no_token) c.eos_token_ids = {info.eos};
    c.dtype = std::move(type);
    return c;
}

/// Sets the keys from which llama.cpp and `read_info` build the model.
inline void write_info(const model_info& info, formats::gguf_writer& out) {
    const auto& d = info.dims;
    const auto size = [&](const char* key, std::size_t value) {
        out.set("llama." + std::string(key), static_cast<std::uint32_t>(value));
    };
    out.set("general.architecture", "llama");
    size("context_length", info.context_length == 0 ? 2048 : info.context_length);
    size("embedding_length", d.dim);
    size("block_count", d.layers);
    size("feed_forward_length", d.hidden);
    size("attention.head_count", d.heads);
    size("attention.head_count_kv", d.kv_heads);
    size("attention.key_length", d.head_dim);
    size("attention.value_length", d.head_dim);
    size("rope.dimension_count", d.head_dim);
    size("vocab_size", d.vocab);
    out.set("llama.attention.layer_norm_rms_epsilon", static_cast<float>(d.norm_eps));
    out.set("llama.rope.freq_base", static_cast<float>(d.rope_theta));
    if (d.experts != 0) {
        size("expert_count", d.experts);
        size("expert_used_count", d.experts_per_token);
    }
    if (d.window != 0) size("attention.sliding_window", d.window);
}

}  // namespace lab::nn
