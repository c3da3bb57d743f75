// Low-rank adapters (LoRA, Hu et al. 2021, arXiv:2106.09685): what they are and what can be asked of them.
//   y = W x + s B A x,   A [rank, in], B [out, rank];   W stays as it is, A and B are learnt
//   s = alpha / rank, or alpha / sqrt(rank) rank-stabilised (Kalajdzievski 2023, arXiv:2312.03732)
// A starts uniform in +-1/sqrt(in) and B at 0, as PEFT starts them: the adapted model is the base until it has learnt.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/tensor.hpp"
#include "lab/nn/tensor_info.hpp"

namespace lab::nn {

/// An adapter of one matrix [out, in], or its gradient; empty where the matrix has none. B is kept turned, so that the
/// products of a backend serve for it as for any other matrix.
template <class S>
struct low_rank {
    view<S> a{};           // [rank, in]
    view<S> b_turned{};    // [rank, out]
    double scale = 1;      // s
    std::uint64_t id = 0;  // names the matrix to the random numbers of dropout

    [[nodiscard]] explicit operator bool() const { return a.data() != nullptr; }
    /// Adds s (B A)[row] to the matrix' row of that number.
    void add_row(std::size_t row, std::span<float> values) const {
        for (std::size_t k = 0; k < a.extent(0); ++k) {
            const auto factor = static_cast<float>(scale) * b_turned(k, row);
            for (std::size_t j = 0; j < values.size(); ++j) values[j] += factor * a(k, j);
        }
    }
};

struct lora_options {
    std::size_t rank = 16;
    double alpha = 0;              // 0: twice the rank
    double dropout = 0;            // share of A's inputs that is left out of a training pass; in steps of 2^-16
    bool rank_stabilised = false;  // s = alpha / sqrt(rank)
    std::vector<std::string>
        targets{};  // "q", "k", "v", "o", "gate", "up", "down", or as PEFT says "q_proj", of experts "w1"; empty: all
    std::uint64_t seed = 0;  // of A's first values and of dropout

    [[nodiscard]] double chosen_alpha() const { return alpha != 0 ? alpha : 2 * static_cast<double>(rank); }
    [[nodiscard]] double scale() const {
        const auto r = static_cast<double>(rank);
        return chosen_alpha() / (rank_stabilised ? std::sqrt(r) : r);
    }
};

/// The linear layer that a tensor is the weight of, as PEFT's target_modules name it: "q_proj", of Mixtral's experts
/// "w1", "w2", "w3"; empty for what takes no adapter: tables, gains, routers.
[[nodiscard]] inline std::string_view linear_module(const tensor_info& info) {
    if (info.rank != 2 || info.layer == tensor_info::no_index) return {};
    std::string_view name = info.name;
    constexpr std::string_view end = ".weight", kind = "_proj";
    if (!name.ends_with(end)) return {};
    name.remove_suffix(end.size());
    name.remove_prefix(name.rfind('.') + 1);
    return info.expert != tensor_info::no_index || name.ends_with(kind) ? name : std::string_view{};
}
[[nodiscard]] inline bool is_target(const lora_options& o, const tensor_info& info) {
    const auto module = linear_module(info);
    if (module.empty() || o.targets.empty()) return !module.empty();
    std::string_view part = info.role;  // "gate" of "expert.gate"
    part.remove_prefix(part.rfind('.') + 1);
    for (const auto& t : o.targets)
        if (t == module || t + "_proj" == module || t == part || t == std::string(part) + "_proj") return true;
    return false;
}

/// @throws config_error naming the option that makes no sense for a model of these tensors.
inline void validate(const lora_options& o, std::span<const tensor_info> tensors) {
    const auto refuse = [](const std::string& what, const std::string& fix) {
        throw config_error(explain("lora", what, fix));
    };
    if (o.rank == 0 || o.rank > 4096) refuse("rank " + std::to_string(o.rank), "choose 1 to 4096; 8 to 64 is usual");
    if (!(o.alpha >= 0 && o.alpha <= 1e6)) refuse("alpha is not a positive number", "choose 1 to 4 times the rank");
    if (!(o.dropout >= 0 && o.dropout <= 0.99)) refuse("dropout is not in [0, 0.99]", "0.05 to 0.1 is usual");
    for (const auto& t : o.targets) {
        bool known = false;
        for (const auto& info : tensors) known = known || is_target({.targets = {t}}, info);
        if (!known) refuse("target '" + t + "' takes no adapter in this model", "q, k, v, o, gate, up and down do");
    }
    bool any = false;
    for (const auto& info : tensors) any = any || is_target(o, info);
    if (!any) refuse("this architecture has no layer that takes an adapter", "train a dense model");
}

}  // namespace lab::nn
