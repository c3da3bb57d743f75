// The sizes of a model: as run-time data (`runtime_dims`) or fixed at compile time (`static_dims<sizes{...}>`), with
// the same member spelling, so that `d.dim` folds to a constant where it can. Numbers only; what the code does with
// them is the architecture's business.
#pragma once

#include <cstddef>
#include <string>

#include "lab/core/error.hpp"
#include "lab/core/tensor.hpp"

namespace lab::nn {

struct runtime_dims {
    std::size_t dim = 0;  // width of the residual stream
    std::size_t layers = 0;
    std::size_t heads = 0;     // query heads
    std::size_t kv_heads = 0;  // key/value heads; divides `heads`
    std::size_t head_dim = 0;  // need not be dim / heads
    std::size_t hidden = 0;    // width of the feed-forward network (of one expert)
    std::size_t vocab = 0;
    std::size_t experts = 0;  // 0: a dense feed-forward network
    std::size_t experts_per_token = 0;
    std::size_t window = 0;  // sliding attention window; 0: all earlier positions
    bool tied = false;       // the output head is the embedding matrix
    double norm_eps = 1e-5;
    double rope_theta = 10000.0;

    friend bool operator==(const runtime_dims&, const runtime_dims&) = default;
};

/// `static_dims`' argument: integers only, because clang 14 takes no floating-point template arguments.
struct sizes {
    std::size_t dim = 0, layers = 0, heads = 0, kv_heads = 0, head_dim = 0, hidden = 0, vocab = 0;
    std::size_t experts = 0, experts_per_token = 0, window = 0;
    bool tied = false;
    std::size_t inverse_norm_eps = 100000;
    std::size_t rope_theta = 10000;
};

template <sizes S>
struct static_dims {
    static constexpr std::size_t dim = S.dim, layers = S.layers, heads = S.heads, kv_heads = S.kv_heads,
                                 head_dim = S.head_dim, hidden = S.hidden, vocab = S.vocab, experts = S.experts,
                                 experts_per_token = S.experts_per_token, window = S.window;
    static constexpr bool tied = S.tied;
    static constexpr double norm_eps = 1.0 / static_cast<double>(S.inverse_norm_eps);
    static constexpr double rope_theta = static_cast<double>(S.rope_theta);
};

/// The same numbers as run-time data.
template <class Dims>
[[nodiscard]] runtime_dims to_runtime(const Dims& d) {
    return {d.dim,    d.layers, d.heads,    d.kv_heads,  d.head_dim, d.hidden, d.vocab, d.experts, d.experts_per_token,
            d.window, d.tied,   d.norm_eps, d.rope_theta};
}

/// Refuses sizes that contradict each other or that no honest file has, before anything is allocated from them.
/// @throws config_error naming `place`, the field and the rule.
template <class Dims>
void validate(const Dims& d, const std::string& place) {
    const auto require = [&](bool ok, const std::string& what) {
        if (!ok) throw config_error(explain(place, what));
    };
    const auto within = [&](const char* name, std::size_t value, std::size_t low, std::size_t high) {
        require(value >= low && value <= high, std::string(name) + " is " + std::to_string(value) + ", expected " +
                                                   std::to_string(low) + " to " + std::to_string(high));
    };
    constexpr std::size_t wide = std::size_t{1} << 20, many = 4096;
    within("embedding width", d.dim, 1, wide);
    within("layer count", d.layers, 1, 1024);
    within("head count", d.heads, 1, many);
    within("key/value head count", d.kv_heads, 1, many);
    within("head size", d.head_dim, 2, many);
    within("feed-forward width", d.hidden, 1, wide);
    within("vocabulary size", d.vocab, 1, std::size_t{1} << 24);
    within("expert count", d.experts, 0, 512);
    within("experts per token", d.experts_per_token, d.experts == 0 ? 0 : 1, d.experts);
    within("attention window", d.window, 0, std::size_t{1} << 30);
    require(d.heads % d.kv_heads == 0, "head count " + std::to_string(d.heads) +
                                           " is not a multiple of the key/value head count " +
                                           std::to_string(d.kv_heads));
    require(d.head_dim % 2 == 0, "head size " + std::to_string(d.head_dim) + " is odd; rotary embedding needs pairs");
    require(d.norm_eps > 0 && d.norm_eps < 1, "norm epsilon " + std::to_string(d.norm_eps) + " is not in (0, 1)");
    require(d.rope_theta >= 1 && d.rope_theta < 1e12,
            "rope theta " + std::to_string(d.rope_theta) + " is not in [1, 1e12)");
}

}  // namespace lab::nn
