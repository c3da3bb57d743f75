// Which matrix gets which type when a model is quantised: one type throughout, or llama.cpp's mixtures, which give more
// bits to the head, and to values and down-projections of the layers where errors cost most (llama-quant.cpp).
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "lab/core/dtype.hpp"
#include "lab/core/error.hpp"
#include "lab/nn/dims.hpp"
#include "lab/nn/tensor_info.hpp"

namespace lab::nn {

struct quantize_mix {
    std::string_view name;
    dtype base = dtype::f32;  // of most matrices
    dtype head = dtype::f32;  // of the head, and of the embedding of a tied model, which is its head
    dtype more = dtype::f32;  // of values and down-projections in the layers that get more bits
};

inline constexpr std::array quantize_mixes{
    quantize_mix{"f32", dtype::f32, dtype::f32, dtype::f32},
    quantize_mix{"f16", dtype::f16, dtype::f16, dtype::f16},
    quantize_mix{"bf16", dtype::bf16, dtype::bf16, dtype::bf16},
    quantize_mix{"q8_0", dtype::q8_0, dtype::q8_0, dtype::q8_0},
    quantize_mix{"q4_0", dtype::q4_0, dtype::q6_k, dtype::q4_0},
    quantize_mix{"q4_1", dtype::q4_1, dtype::q6_k, dtype::q4_1},
    quantize_mix{"q5_0", dtype::q5_0, dtype::q6_k, dtype::q5_0},
    quantize_mix{"q5_1", dtype::q5_1, dtype::q6_k, dtype::q5_1},
    quantize_mix{"q4_k", dtype::q4_k, dtype::q6_k, dtype::q4_k},
    quantize_mix{"q5_k", dtype::q5_k, dtype::q6_k, dtype::q5_k},
    quantize_mix{"q6_k", dtype::q6_k, dtype::q6_k, dtype::q6_k},
    quantize_mix{"q4_k_m", dtype::q4_k, dtype::q6_k, dtype::q6_k},
    quantize_mix{"q5_k_m", dtype::q5_k, dtype::q6_k, dtype::q6_k},
};

/// The mixture called `name` ("q4_k_m").
/// @throws config_error listing the known names.
[[nodiscard]] inline quantize_mix mix_from_name(std::string_view name) {
    std::string known;
    for (const auto& mix : quantize_mixes) {
        if (mix.name == name) return mix;
        known.append(known.empty() ? "" : ", ").append(mix.name);
    }
    throw config_error(explain("type '" + std::string(name) + "'", "unknown", "one of " + known));
}

/// `type`, or what llama.cpp falls back to where rows of `columns` are no whole number of its blocks.
[[nodiscard]] inline dtype storable(dtype type, std::size_t columns) {
    const auto fits = [&](dtype t) { return columns % block_size(t) == 0; };
    if (fits(type)) return type;
    const dtype smaller = type == dtype::q4_k   ? dtype::q5_0
                          : type == dtype::q5_k ? dtype::q5_1
                          : type == dtype::q6_k ? dtype::q8_0
                                                : dtype::f16;
    return fits(smaller) ? smaller : dtype::f16;
}

/// Whether no format but f32 is used for it, in llama.cpp's files too: gains, and the few rows of a router.
[[nodiscard]] inline bool stays_f32(const tensor_info& info) { return info.rank == 1 || info.role == "router"; }

/// The type of a tensor of a model of these sizes.
[[nodiscard]] inline dtype mixed_type(const quantize_mix& mix, const tensor_info& info, const runtime_dims& d) {
    if (stays_f32(info)) return dtype::f32;
    if (info.role == "head" || (info.role == "embedding" && d.tied)) return storable(mix.head, info.columns);
    const bool values = info.role == "attention.v", sensitive = values || info.role.ends_with("down");
    if (d.experts == 8 && block_size(mix.base) > 1) {  // Mixtral's attention is a small part of it
        if (values || info.role == "attention.k") return storable(dtype::q8_0, info.columns);
        if (info.role == "attention.output" && mix.base == dtype::q4_k) return storable(dtype::q5_k, info.columns);
    }
    const std::size_t eighth = d.layers / 8;
    const bool more =
        sensitive && (info.layer < eighth || info.layer >= 7 * d.layers / 8 || (info.layer - eighth) % 3 == 2);
    dtype type = more ? mix.more : mix.base;
    if (values && d.layers == 80 && type == dtype::q4_k) type = dtype::q5_k;  // a 70B model: 8 heads share each value
    return storable(type, info.columns);
}

}  // namespace lab::nn
