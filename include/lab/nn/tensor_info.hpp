// What a model's tensors are called and where a checkpoint keeps them. A logical tensor (one matrix or vector that the
// code uses) is a run of rows of one stored tensor: the whole of it, or one expert's part of a stack. Each container
// has its own names and its own row order for rotary heads; both are data here, not code.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"

namespace lab::nn {

enum class container : std::uint8_t { gguf, huggingface };

/// How stored rows become logical rows. `permute_rope`: GGUF's Llama files keep each query and key head's rows
/// interleaved (pair 2i, 2i + 1), Hugging Face's keep them half-split (pair i, i + head_dim / 2). A model keeps the
/// order of its file (`rope_options::half_split`); rows are only moved when the other container is written.
enum class transform : std::uint8_t { identity, permute_rope };

/// One spelling of a role in a container. In `pattern`, {l} is the layer and {e} the expert; an expert's tensor whose
/// pattern lacks {e} lies in a stack [experts, parts rows, columns], as part `part` of its expert's rows.
/// The first rule of a role and container is the one that is written; the others are accepted when reading.
struct name_rule {
    std::string_view role;
    container in;
    std::string_view pattern;
    transform how = transform::identity;
    std::size_t part = 0, parts = 1;
};

/// Where one logical tensor may be found: `rows` rows from `first_row` of a stored tensor of this name and shape.
struct tensor_source {
    std::string name;
    std::vector<std::size_t> shape;  // as stored, outermost first
    std::size_t first_row = 0;
    transform how = transform::identity;
};

/// A logical tensor. Vectors have rank 1 and rows = 1.
struct tensor_info {
    std::string role;  // "attention.q"
    std::string name;  // the Hugging Face spelling; unique within a model
    std::size_t rank = 2, rows = 0, columns = 0;
    std::size_t layer = no_index, expert = no_index;
    std::size_t rope_heads = 0;  // heads whose rows rotate: of a query or key projection, else 0
    std::vector<tensor_source> gguf, huggingface;

    static constexpr std::size_t no_index = static_cast<std::size_t>(-1);

    [[nodiscard]] std::size_t size() const { return rows * columns; }
    [[nodiscard]] std::vector<std::size_t> shape() const {
        return rank == 1 ? std::vector{columns} : std::vector{rows, columns};
    }
    [[nodiscard]] const std::vector<tensor_source>& sources(container in) const {
        return in == container::gguf ? gguf : huggingface;
    }
};

namespace detail {

/// Replaces {l} and {e} in `pattern`.
[[nodiscard]] inline std::string expand_pattern(std::string_view pattern, std::size_t layer, std::size_t expert) {
    std::string name;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        if (pattern.substr(i, 3) == "{l}" || pattern.substr(i, 3) == "{e}") {
            name += std::to_string(pattern[i + 1] == 'l' ? layer : expert);
            i += 2;
        } else {
            name += pattern[i];
        }
    }
    return name;
}

}  // namespace detail

/// Fills in names and sources of `info` from a table of rules; `experts` is the height of a stack.
/// @throws config_error when the table does not name the role.
inline void resolve_names(tensor_info& info, std::span<const name_rule> rules, std::size_t experts) {
    for (const name_rule& rule : rules) {
        if (rule.role != info.role) continue;
        tensor_source source{detail::expand_pattern(rule.pattern, info.layer, info.expert), info.shape(), 0, rule.how};
        if (info.expert != tensor_info::no_index && rule.pattern.find("{e}") == std::string_view::npos) {
            source.shape = std::vector<std::size_t>{experts, rule.parts * info.rows, info.columns};
            source.first_row = (info.expert * rule.parts + rule.part) * info.rows;
        }
        (rule.in == container::gguf ? info.gguf : info.huggingface).push_back(std::move(source));
    }
    if (info.gguf.empty() || info.huggingface.empty())
        throw config_error(
            explain(info.role, "the architecture's name table does not name this tensor for both containers"));
    info.name = detail::expand_pattern(info.huggingface.front().name, info.layer, info.expert);
}

/// A tensor with its names. It is a function of its own so that the walk over the tensors, compiled anew for every set
/// of weights and visitor, stays small. @throws config_error as resolve_names.
[[nodiscard]] inline tensor_info describe_tensor(std::string_view role, std::size_t rank, std::size_t rows,
                                                 std::size_t columns, std::size_t layer, std::size_t expert,
                                                 std::size_t rope_heads, std::span<const name_rule> rules,
                                                 std::size_t experts) {
    tensor_info info;
    info.role = role;
    info.rank = rank;
    info.rows = rows;
    info.columns = columns;
    info.layer = layer;
    info.expert = expert;
    info.rope_heads = rope_heads;
    resolve_names(info, rules, experts);
    return info;
}

/// The names of Llama, Mistral and Mixtral files.
inline constexpr name_rule llama_names[] = {
    {"embedding", container::gguf, "token_embd.weight"},
    {"embedding", container::huggingface, "model.embed_tokens.weight"},
    {"norm", container::gguf, "output_norm.weight"},
    {"norm", container::huggingface, "model.norm.weight"},
    {"head", container::gguf, "output.weight"},
    {"head", container::huggingface, "lm_head.weight"},
    {"attention.norm", container::gguf, "blk.{l}.attn_norm.weight"},
    {"attention.norm", container::huggingface, "model.layers.{l}.input_layernorm.weight"},
    {"attention.q", container::gguf, "blk.{l}.attn_q.weight", transform::permute_rope},
    {"attention.q", container::huggingface, "model.layers.{l}.self_attn.q_proj.weight"},
    {"attention.k", container::gguf, "blk.{l}.attn_k.weight", transform::permute_rope},
    {"attention.k", container::huggingface, "model.layers.{l}.self_attn.k_proj.weight"},
    {"attention.v", container::gguf, "blk.{l}.attn_v.weight"},
    {"attention.v", container::huggingface, "model.layers.{l}.self_attn.v_proj.weight"},
    {"attention.output", container::gguf, "blk.{l}.attn_output.weight"},
    {"attention.output", container::huggingface, "model.layers.{l}.self_attn.o_proj.weight"},
    {"ffn.norm", container::gguf, "blk.{l}.ffn_norm.weight"},
    {"ffn.norm", container::huggingface, "model.layers.{l}.post_attention_layernorm.weight"},
    {"ffn.gate", container::gguf, "blk.{l}.ffn_gate.weight"},
    {"ffn.gate", container::huggingface, "model.layers.{l}.mlp.gate_proj.weight"},
    {"ffn.up", container::gguf, "blk.{l}.ffn_up.weight"},
    {"ffn.up", container::huggingface, "model.layers.{l}.mlp.up_proj.weight"},
    {"ffn.down", container::gguf, "blk.{l}.ffn_down.weight"},
    {"ffn.down", container::huggingface, "model.layers.{l}.mlp.down_proj.weight"},
    // Mixture of experts: per expert as transformers 4 writes them and as old GGUF files have them, or stacked.
    {"router", container::gguf, "blk.{l}.ffn_gate_inp.weight"},
    {"router", container::huggingface, "model.layers.{l}.block_sparse_moe.gate.weight"},
    {"router", container::huggingface, "model.layers.{l}.mlp.gate.weight"},
    {"expert.gate", container::gguf, "blk.{l}.ffn_gate_exps.weight"},
    {"expert.gate", container::gguf, "blk.{l}.ffn_gate.{e}.weight"},
    {"expert.gate", container::huggingface, "model.layers.{l}.block_sparse_moe.experts.{e}.w1.weight"},
    {"expert.gate", container::huggingface, "model.layers.{l}.mlp.experts.gate_up_proj", transform::identity, 0, 2},
    {"expert.up", container::gguf, "blk.{l}.ffn_up_exps.weight"},
    {"expert.up", container::gguf, "blk.{l}.ffn_up.{e}.weight"},
    {"expert.up", container::huggingface, "model.layers.{l}.block_sparse_moe.experts.{e}.w3.weight"},
    {"expert.up", container::huggingface, "model.layers.{l}.mlp.experts.gate_up_proj", transform::identity, 1, 2},
    {"expert.down", container::gguf, "blk.{l}.ffn_down_exps.weight"},
    {"expert.down", container::gguf, "blk.{l}.ffn_down.{e}.weight"},
    {"expert.down", container::huggingface, "model.layers.{l}.block_sparse_moe.experts.{e}.w2.weight"},
    {"expert.down", container::huggingface, "model.layers.{l}.mlp.experts.down_proj"},
};

}  // namespace lab::nn
