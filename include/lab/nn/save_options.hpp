// What `save_safetensors` and `save_gguf` can be asked for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lab/core/dtype.hpp"
#include "lab/nn/quantize_mix.hpp"

namespace lab::nn {

struct save_options {
    /// Element type of the matrices. Unset: as they are held in memory (safetensors: f32 where that is quantised).
    /// GGUF keeps vectors in f32; matrices whose rows are no whole blocks of the type go to llama.cpp's fallback
    /// (`storable`), as they do in a mixture.
    std::optional<dtype> type{};
    /// Instead of `type`, for GGUF: which matrix gets which type.
    std::optional<quantize_mix> mix{};
    /// File or folder whose tokenizer to carry over; empty: the model's own source.
    std::filesystem::path tokenizer{};
    /// Special tokens to append to the tokenizer, in the order of their ids (see load_options::extra_tokens).
    std::vector<std::string> special_tokens{};
    /// Chat template to write in place of the tokenizer's own, and the token that ends an answer in it; empty: as it
    /// is.
    std::string chat_template{}, end_of_turn{};
    std::uint64_t max_shard_bytes = 5'000'000'000;  // safetensors
    std::string name{};                             // GGUF's general.name; empty: the target's file name
};

}  // namespace lab::nn
