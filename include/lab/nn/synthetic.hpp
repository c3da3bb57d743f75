// Models of a shape without a file: random bytes that are valid weights, loaded as a file's would be. For measuring
// speed and memory, which depend on shapes and formats, not on values. See synthetic_weights.hpp for the bytes.
// With lab::compiled linked (LAB_COMPILED) this header is a declaration and costs nothing.
#pragma once

#include <cstdint>

#include "lab/core/dtype.hpp"
#include "lab/nn/any_model.hpp"
#include "lab/nn/load_options.hpp"
#ifndef LAB_COMPILED
#include "lab/nn/synthetic_weights.hpp"
#endif

namespace lab::nn {

/// A Llama of these sizes, a Mistral where they have a window, a Mixtral where they have experts. Its matrices are of
/// `type`; where its rows are no whole number of blocks, of the type that llama.cpp falls back to. Any type, also those
/// without an encoder. The same seed gives the same weights. The trainable one learns, as load_trainable's do.
/// @throws config_error when the sizes contradict each other.
#ifdef LAB_COMPILED
[[nodiscard]] any_model make_synthetic(const runtime_dims& dims, dtype type, const load_options& options = {},
                                       std::uint64_t seed = 0);
[[nodiscard]] any_model make_trainable_synthetic(const runtime_dims& dims, dtype type, const load_options& options = {},
                                                 std::uint64_t seed = 0);
#else
[[nodiscard]] inline any_model make_synthetic(const runtime_dims& dims, dtype type, const load_options& options = {},
                                              std::uint64_t seed = 0) {
    return load_synthetic(dims, type, options, seed);
}
[[nodiscard]] inline any_model make_trainable_synthetic(const runtime_dims& dims, dtype type,
                                                        const load_options& options = {}, std::uint64_t seed = 0) {
    return load_trainable_synthetic(dims, type, options, seed);
}
#endif

}  // namespace lab::nn
