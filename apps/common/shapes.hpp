// Sizes of models that need no file: known ones by name, any others spelt out.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/cli.hpp"
#include "lab/nn/dims.hpp"

namespace lab::apps {

inline constexpr const char* shape_choices =
    "smollm2-135m, llama-15m, gpt2-124m, tinyllama-1.1b, granite-7b, mistral-7b, mixtral-8x7b, or "
    "dim=,layers=,heads=,kv_heads=,head_dim=,hidden=,vocab=,tied=,window=,experts=,used=";

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
    if (name == "llama-15m")  // llama2.c's stories15M
        return nn::runtime_dims{.dim = 288,
                                .layers = 6,
                                .heads = 6,
                                .kv_heads = 6,
                                .head_dim = 48,
                                .hidden = 768,
                                .vocab = 32000,
                                .tied = true};
    if (name == "gpt2-124m")  // GPT-2's sizes in a Llama; three matrices of 2048 weigh what its two of 3072 do
        return nn::runtime_dims{.dim = 768,
                                .layers = 12,
                                .heads = 12,
                                .kv_heads = 12,
                                .head_dim = 64,
                                .hidden = 2048,
                                .vocab = 50257,
                                .tied = true};
    if (name == "tinyllama-1.1b")
        return nn::runtime_dims{
            .dim = 2048, .layers = 22, .heads = 32, .kv_heads = 4, .head_dim = 64, .hidden = 5632, .vocab = 32000};
    if (name == "granite-7b")
        return nn::runtime_dims{
            .dim = 4096, .layers = 32, .heads = 32, .kv_heads = 32, .head_dim = 128, .hidden = 11008, .vocab = 32008};
    if (name == "mistral-7b" || name == "mixtral-8x7b") {
        nn::runtime_dims d{
            .dim = 4096, .layers = 32, .heads = 32, .kv_heads = 8, .head_dim = 128, .hidden = 14336, .vocab = 32000};
        if (name == "mistral-7b")
            d.window = 4096;
        else
            d.experts = 8, d.experts_per_token = 2, d.rope_theta = 1e6;
        return d;
    }
    return std::nullopt;
}

/// One shape: a known name, or "dim=64,layers=2,heads=4,hidden=160,vocab=300" with kv_heads (= heads), head_dim
/// (= dim / heads), tied (= 0), window (= 0: all positions), experts (= 0: dense) and used (= 2, of the experts) where
/// they differ.
[[nodiscard]] inline nn::runtime_dims parse_shape(const std::string& text) {
    if (const auto known = known_shape(text)) return *known;
    std::map<std::string, std::size_t> values{{"dim", 0},    {"layers", 0},   {"heads", 0},    {"hidden", 0},
                                              {"vocab", 0},  {"kv_heads", 0}, {"head_dim", 0}, {"tied", 0},
                                              {"window", 0}, {"experts", 0},  {"used", 0}};
    for (std::string_view rest = text; !rest.empty();) {
        const std::string_view part = rest.substr(0, rest.find(','));
        rest.remove_prefix(std::min(part.size() + 1, rest.size()));
        const auto key = part.substr(0, part.find('='));
        const auto number = part.substr(std::min(key.size() + 1, part.size()));
        const auto found = values.find(std::string(key));
        const char* const last = number.data() + number.size();
        const auto whole = [&](std::from_chars_result r) { return r.ec == std::errc() && r.ptr == last; };
        if (found == values.end() || number.empty() || !whole(std::from_chars(number.data(), last, found->second)))
            throw usage_error("--shape " + text + ": '" + std::string(part) + "' is not one of " + shape_choices +
                              " and numbers");
    }
    const auto or_else = [](std::size_t value, std::size_t fallback) { return value == 0 ? fallback : value; };
    const std::size_t heads = values["heads"], experts = values["experts"];
    return {.dim = values["dim"],
            .layers = values["layers"],
            .heads = heads,
            .kv_heads = or_else(values["kv_heads"], heads),
            .head_dim = or_else(values["head_dim"], heads == 0 ? 0 : values["dim"] / heads),
            .hidden = values["hidden"],
            .vocab = values["vocab"],
            .experts = experts,
            .experts_per_token = experts == 0 ? values["used"] : or_else(values["used"], 2),
            .window = values["window"],
            .tied = values["tied"] != 0};
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

}  // namespace lab::apps
