// The models to measure: files, or shapes filled with random weights; and how much work they are for the machine.
#pragma once

#include <cstddef>
#include <cstdio>
#include <map>
#include <optional>
#include <string>

#include "common/limits.hpp"
#include "lab/kernels/panel_products.hpp"
#include "lab/nn/load.hpp"
#include "lab/nn/synthetic.hpp"

namespace lab::apps {

/// A model to be loaded: the file `name`, or random weights of these sizes.
struct model_choice {
    std::string name;
    std::optional<nn::runtime_dims> dims;
    dtype type = dtype::f32;
};

/// How the figures' models come to be: the one place that knows.
[[nodiscard]] inline nn::any_model load(const model_choice& choice, const nn::load_options& options) {
    return choice.dims ? nn::make_synthetic(*choice.dims, choice.type, options) : nn::load_model(choice.name, options);
}

/// What a model asks of the machine.
struct model_work {
    std::string type;  // "llama 135M q4_1"
    std::size_t bytes = 0, parameters = 0;
    double body = 0, head = 0;  // matrix parameters that each token, and each row of logits, is multiplied with
    double step_bytes = 0;      // weights that a decoding step of one sequence reads
    kernels::operand with = kernels::operand::f32;  // of the products with most of the weights
};

[[nodiscard]] inline model_work work_of(const nn::any_model& model, compute precision) {
    const auto& d = model.dims();
    model_work work;
    std::map<dtype, std::size_t> bytes_of;
    matrix_view typical;  // of the type that holds the most bytes
    for (const auto& [info, data] : model.weights()) {
        const std::size_t bytes = data.rows * data.row_stride();
        work.bytes += bytes;
        work.parameters += info.size();
        bytes_of[data.type] += bytes;
        // An untied embedding is a table of which a token reads one row; a token visits some of the experts.
        const double share = info.expert == nn::tensor_info::no_index
                                 ? 1.0
                                 : static_cast<double>(d.experts_per_token) / static_cast<double>(d.experts);
        if (info.role == "embedding" && !d.tied) continue;
        if (bytes_of[data.type] >= bytes_of[typical.type]) typical = data;
        work.step_bytes += share * static_cast<double>(bytes);
        // After its attention, the last layer computes the wanted rows alone.
        const bool late =
            info.layer + 1 == d.layers && (info.role == "attention.output" || info.role.starts_with("ffn"));
        if (info.role == "embedding" || info.role == "head" || (late && info.rank == 2))
            work.head += share * static_cast<double>(info.size());
        else if (info.rank == 2)
            work.body += share * static_cast<double>(info.size());
    }
    work.with = kernels::panel_operand<kernels::arch::native>(typical, precision)
                    .value_or(precision == compute::bf16 ? kernels::operand::bf16 : kernels::operand::f32);
    const auto n = static_cast<double>(work.parameters);
    char size[32];
    std::snprintf(size, sizeof size, n >= 1e9 ? "%.1fB" : "%.0f%c",
                  n >= 1e9   ? n / 1e9
                  : n >= 1e6 ? n / 1e6
                             : n / 1e3,
                  n >= 1e6 ? 'M' : 'K');
    work.type = model.info().family + " " + size + " " + std::string(name_of(typical.type));
    return work;
}

/// A bound of the machine that a figure is held against.
struct limit {
    const char* name = "";  // "read", "f32", "bf16", "int8"
    const char* unit = "";
    double peak = 0;  // in that unit; 0: not measured
    double share = 0;
};

/// Weights alone are counted: of a long context, attention and the cache's bytes come on top.
[[nodiscard]] inline limit reading_limit(const machine_limits& m, double bytes_per_second) {
    return {"read", "GB/s", m.read, m.read > 0 ? bytes_per_second / 1e9 / m.read : 0};
}
/// The bound of the operands that matrix products are computed with.
[[nodiscard]] inline limit computing_limit(const machine_limits& m, kernels::operand with, double per_second) {
    const auto against = [&](const char* name, const char* unit, double peak) {
        return limit{name, unit, peak, peak > 0 ? per_second / 1e9 / peak : 0};
    };
    if (with == kernels::operand::int8 && m.int8 > 0) return against("int8", "GOP/s", m.int8);
    if (with == kernels::operand::bf16 && m.bf16 > 0) return against("bf16", "GFLOP/s", m.bf16);
    return against("f32", "GFLOP/s", m.f32);
}

}  // namespace lab::apps
