// What `load_model` and `load_trainable` can be asked for.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>

#include "lab/core/backend.hpp"
#include "lab/core/dtype.hpp"
#include "lab/core/profile.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/nn/lora_options.hpp"
#include "lab/nn/training_settings.hpp"

namespace lab::nn {

struct load_options {
    /// Type to hold the matrices in; unset: as stored, inside the mapped file.
    std::optional<dtype> expand{};
    std::size_t threads = 0;                      // 0: one per hardware thread; ignored when `pool` is given
    std::shared_ptr<thread_pool> pool{};          // to share one pool between models
    lab::compute compute = lab::compute::native;  // operands of matrix products
    op_profile* profile = nullptr;                // where to add up the time of operations; must outlive the model
    /// Copy the matrices into the order of the kernels: faster, loads slower, to the same bytes. What that took stands
    /// in model_info.
    bool pack = true;
    /// Rows to add to the vocabulary, in the embedding and the head, each the mean of the file's rows: for the special
    /// tokens of a chat format that the checkpoint lacks. Save them with save_options::special_tokens.
    std::size_t extra_tokens = 0;

    // Of load_trainable alone.
    lab::compute training = lab::compute::f32;      // operands in training passes: f32, or bf16 where it is faster
    nn::recompute recompute = nn::recompute::none;  // in training passes: less memory, more work
    /// Adapters to learn beside the weights, which stay as they are: `expand` then holds for the blocks' linear layers
    /// alone, the tables are kept as stored.
    std::optional<lora_options> lora{};
    /// Folder of an adapter in PEFT's format to load beside the weights; of `lora`, dropout and seed are then taken.
    std::filesystem::path adapter{};
};

}  // namespace lab::nn
