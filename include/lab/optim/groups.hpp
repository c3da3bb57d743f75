// What an optimizer must know of the parameters besides their values: the tensors they belong to, in arena order, and
// which of them weight decay pulls on. By custom it pulls on matrices and leaves vectors (norm gains) alone.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/nn/any_model.hpp"

namespace lab::optim {

/// One tensor of the parameter arena. Tensors follow each other without gaps.
struct parameter_tensor {
    std::size_t rows = 1, columns = 0;
    bool matrix = true;  // a vector is one row
    bool decay = true;
    [[nodiscard]] std::size_t size() const { return rows * columns; }
};

/// Which tensors decay.
struct decay_groups {
    bool vectors = false;
    std::vector<std::string> without{};  // roles of matrices that do not decay: "embedding", "head", "ffn.down" ...
};

/// A model's tensors. @throws config_error for a role in `groups.without` that no tensor has
[[nodiscard]] inline std::vector<parameter_tensor> parameter_tensors(std::span<const nn::named_weight> weights,
                                                                     const decay_groups& groups = {}) {
    for (const auto& role : groups.without)
        if (std::none_of(weights.begin(), weights.end(),
                         [&](const auto& w) { return w.info.rank > 1 && w.info.role == role; })) {
            std::vector<std::string> roles;
            std::string known;
            for (const auto& w : weights)
                if (w.info.rank > 1 && std::find(roles.begin(), roles.end(), w.info.role) == roles.end())
                    roles.push_back(w.info.role), known += (known.empty() ? "" : ", ") + w.info.role;
            throw config_error(explain("weight decay", "no matrix has the role '" + role + "'", "one of " + known));
        }
    std::vector<parameter_tensor> tensors;
    for (const auto& w : weights) {
        const bool matrix = w.info.rank > 1;
        const bool spared =
            std::find(groups.without.begin(), groups.without.end(), w.info.role) != groups.without.end();
        tensors.push_back(
            {matrix ? w.info.rows : 1, w.info.columns, matrix, matrix ? !spared : groups.vectors && !spared});
    }
    return tensors;
}

/// What a model learns, in the order of its `parameters()`: its tensors, or the two matrices of each of its adapters.
[[nodiscard]] inline std::vector<parameter_tensor> parameter_tensors(const nn::any_model& model,
                                                                     const decay_groups& groups = {}) {
    auto weights = parameter_tensors(model.weights(), groups);
    if (model.lora() == nullptr) return weights;
    std::vector<parameter_tensor> tensors;
    const auto adapters = model.adapters();
    for (std::size_t i = 0; i < adapters.size(); ++i)
        for (const auto& part : {adapters[i].a, adapters[i].b_turned})
            if (part.size() != 0) tensors.push_back({part.extent(0), part.extent(1), true, weights[i].decay});
    return tensors;
}

/// A run of parameters that are decayed alike.
struct parameter_range {
    std::size_t begin = 0, end = 0;
    bool decay = true;
};

/// The parameters [begin, end) of these, for optimizers that take them one by one: each tensor's share is one row.
[[nodiscard]] inline std::vector<parameter_tensor> cut(std::span<const parameter_tensor> tensors, std::size_t begin,
                                                       std::size_t end) {
    std::vector<parameter_tensor> parts;
    std::size_t at = 0;
    for (const auto& t : tensors) {
        const std::size_t from = std::max(at, begin), to = std::min(at + t.size(), end);
        if (from < to) parts.push_back({1, to - from, t.matrix, t.decay});
        at += t.size();
    }
    return parts;
}

/// Neighbours that decay alike, joined.
[[nodiscard]] inline std::vector<parameter_range> ranges_of(std::span<const parameter_tensor> tensors) {
    std::vector<parameter_range> ranges;
    std::size_t at = 0;
    for (const auto& t : tensors) {
        if (!ranges.empty() && ranges.back().decay == t.decay)
            ranges.back().end += t.size();
        else
            ranges.push_back({at, at + t.size(), t.decay});
        at += t.size();
    }
    return ranges;
}

/// part(begin, end, decay) for stretches of `count` parameters, shared out over the pool where there is one. No ranges:
/// all decay.
template <class F>
void for_each_part(std::span<const parameter_range> ranges, std::size_t count, thread_pool* pool, const F& part) {
    const auto range = [&](std::size_t begin, std::size_t end, bool decay) {
        parallel_for(pool, end - begin, std::size_t{1} << 14,
                     [&](std::size_t a, std::size_t b, std::size_t) { part(begin + a, begin + b, decay); });
    };
    if (ranges.empty()) range(0, count, true);
    for (const auto& r : ranges) range(r.begin, r.end, r.decay);
}

/// The ranges of a model's parameter arena: matrices decay, vectors do not.
[[nodiscard]] inline std::vector<parameter_range> decay_ranges(std::span<const nn::named_weight> weights) {
    return ranges_of(parameter_tensors(weights));
}
/// The same of what the model learns.
[[nodiscard]] inline std::vector<parameter_range> decay_ranges(const nn::any_model& model) {
    return ranges_of(parameter_tensors(model));
}

}  // namespace lab::optim
