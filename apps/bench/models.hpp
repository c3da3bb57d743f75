// The models to measure: files, or shapes filled with random weights; and how much work they are for the machine.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdio>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bench/limits.hpp"
#include "common/cli.hpp"
#include "lab/nn/load.hpp"
#include "lab/nn/synthetic.hpp"

namespace lab::apps {

/// A model to be loaded: the file `name`, or random weights of these sizes.
struct model_choice {
    std::string name;
    std::optional<nn::runtime_dims> dims;
    dtype type = dtype::f32;
};

[[nodiscard]] inline std::optional<nn::runtime_dims> known_shape(std::string_view name) {
    if (name == "smollm2-135m")
        return nn::runtime_dims{.dim = 576,
                                .layers = 30,
                                .heads = 9,
                                .kv_heads = 3,
                                .head_dim = 64,
                                .hidden = 1536,
                                .vocab = 49152,
                                .tied = true,
                                .rope_theta = 100000};
    if (name == "tinyllama-1.1b")
        return nn::runtime_dims{
            .dim = 2048, .layers = 22, .heads = 32, .kv_heads = 4, .head_dim = 64, .hidden = 5632, .vocab = 32000};
    if (name == "granite-7b")
        return nn::runtime_dims{
            .dim = 4096, .layers = 32, .heads = 32, .kv_heads = 32, .head_dim = 128, .hidden = 11008, .vocab = 32008};
    return std::nullopt;
}

/// One shape: a known name, or "dim=64,layers=2,heads=4,hidden=160,vocab=300" with kv_heads (= heads), head_dim
/// (= dim / heads) and tied (= 0) where they differ.
[[nodiscard]] inline nn::runtime_dims parse_shape(const std::string& text) {
    if (const auto known = known_shape(text)) return *known;
    std::map<std::string, std::size_t> values{{"dim", 0},   {"layers", 0},   {"heads", 0},    {"hidden", 0},
                                              {"vocab", 0}, {"kv_heads", 0}, {"head_dim", 0}, {"tied", 0}};
    for (std::string_view rest = text; !rest.empty();) {
        const std::string_view part = rest.substr(0, rest.find(','));
        rest.remove_prefix(std::min(part.size() + 1, rest.size()));
        const auto key = part.substr(0, part.find('='));
        const auto number = part.substr(std::min(key.size() + 1, part.size()));
        const auto found = values.find(std::string(key));
        if (found == values.end() || number.empty() ||
            std::from_chars(number.data(), number.data() + number.size(), found->second).ptr != &part.back() + 1)
            throw usage_error("--shape " + text + ": '" + std::string(part) +
                              "' is neither smollm2-135m, tinyllama-1.1b or granite-7b, nor one of dim=, layers=, "
                              "heads=, kv_heads=, head_dim=, hidden=, vocab=, tied= and a number");
    }
    const auto or_else = [](std::size_t value, std::size_t fallback) { return value == 0 ? fallback : value; };
    const std::size_t heads = values["heads"];
    return {.dim = values["dim"],
            .layers = values["layers"],
            .heads = heads,
            .kv_heads = or_else(values["kv_heads"], heads),
            .head_dim = or_else(values["head_dim"], heads == 0 ? 0 : values["dim"] / heads),
            .hidden = values["hidden"],
            .vocab = values["vocab"],
            .tied = values["tied"] != 0};
}

/// How the figures' models come to be: the one place that knows.
[[nodiscard]] inline nn::any_model load(const model_choice& choice, std::size_t threads, lab::compute compute) {
    const nn::load_options options{.threads = threads, .compute = compute};
    return choice.dims ? nn::make_synthetic(*choice.dims, choice.type, options) : nn::load_model(choice.name, options);
}

/// What a model asks of the machine.
struct model_work {
    std::string type;  // "llama 135M q4_1"
    std::size_t bytes = 0, parameters = 0;
    double body = 0, head = 0;  // matrix parameters that each token, and each row of logits, is multiplied with
    double step_bytes = 0;      // weights that a decoding step of one sequence reads
};

[[nodiscard]] inline model_work work_of(const nn::any_model& model) {
    const auto& d = model.dims();
    model_work work;
    std::map<dtype, std::size_t> bytes_of;
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
        work.step_bytes += share * static_cast<double>(bytes);
        if (info.role == "embedding" || info.role == "head")
            work.head += static_cast<double>(info.size());
        else if (info.rank == 2)
            work.body += share * static_cast<double>(info.size());
    }
    dtype main = dtype::f32;
    for (const auto& [type, bytes] : bytes_of)
        if (bytes > bytes_of[main]) main = type;
    const auto n = static_cast<double>(work.parameters);
    char size[32];
    std::snprintf(size, sizeof size, n >= 1e9 ? "%.1fB" : "%.0f%c",
                  n >= 1e9   ? n / 1e9
                  : n >= 1e6 ? n / 1e6
                             : n / 1e3,
                  n >= 1e6 ? 'M' : 'K');
    work.type = model.info().family + " " + size + " " + std::string(name_of(main));
    return work;
}

/// "smollm2-135m,dim=64,layers=2": each known name is a shape, and so is each run of sizes; a size given again begins
/// the next.
[[nodiscard]] inline std::vector<std::string> split_shapes(std::string_view list) {
    std::vector<std::string> shapes;
    std::set<std::string_view> given;
    while (!list.empty()) {
        const auto part = list.substr(0, list.find(','));
        list.remove_prefix(std::min(part.size() + 1, list.size()));
        const auto key = part.substr(0, part.find('='));
        const bool joins = key != part && !given.empty() && !given.contains(key);
        if (joins)
            shapes.back().append(",").append(part);
        else
            shapes.emplace_back(part), given.clear();
        if (key != part) given.insert(key);
    }
    return shapes;
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
[[nodiscard]] inline limit computing_limit(const machine_limits& m, lab::compute compute, double operations_per_second) {
    const bool bf16 = compute == lab::compute::bf16 && m.bf16 > 0;
    const double peak = bf16 ? m.bf16 : m.f32;
    return {bf16 ? "bf16" : "f32", "GFLOP/s", peak, peak > 0 ? operations_per_second / 1e9 / peak : 0};
}

}  // namespace lab::apps
