// Small random models for the tests: a dense parameter set filled from a seed, and a model over it.
#pragma once

#include <memory>
#include <vector>

#include "lab/core/rng.hpp"
#include "lab/kernels/reference.hpp"
#include "lab/nn/batch_builder.hpp"
#include "lab/nn/model.hpp"

namespace lab::test {

inline nn::runtime_dims tiny_dims() {
    return {.dim = 16, .layers = 2, .heads = 4, .kv_heads = 2, .head_dim = 6, .hidden = 24, .vocab = 32};
}

/// A parameter set and a model that reads it.
template <class Architecture, class Backend, class Dims = nn::runtime_dims>
struct owned_model {
    using scalar = typename Backend::scalar;
    std::shared_ptr<nn::parameter_set<Architecture, scalar>> parameters;
    nn::model<Architecture, Dims, Backend> model;
};

template <class Architecture, class Backend, class Dims>
owned_model<Architecture, Backend, Dims> random_model(const Dims& d, Backend backend = {}, std::uint64_t seed = 1,
                                                      bool half_split = true) {
    using S = typename Backend::scalar;
    auto parameters = std::make_shared<nn::parameter_set<Architecture, S>>(d);
    counter_rng rng(seed);
    for (S& x : parameters->flat()) x = static_cast<S>(static_cast<float>(0.3 * rng.normal()));
    auto w = nn::as_model_weights<Backend, Architecture, S>(d, parameters->get());
    return {parameters,
            nn::model<Architecture, Dims, Backend>(d, std::move(w), std::move(backend), half_split, parameters)};
}

inline std::vector<token> random_tokens(std::size_t count, std::size_t vocab, std::uint64_t seed = 7) {
    counter_rng rng(seed);
    std::vector<token> tokens(count);
    for (token& t : tokens) t = static_cast<token>(rng.below(vocab));
    return tokens;
}

/// What a training pass takes.
struct samples {
    nn::batch_builder batch;
    std::vector<token> targets;
};
/// A short sequence and one of several blocks of the cache, the first tokens of each without a target.
inline samples two_samples(std::size_t vocab) {
    samples s;
    const auto a = random_tokens(9, vocab, 3), b = random_tokens(70, vocab, 4);
    s.batch.add(a);
    s.batch.add(b);
    for (std::size_t i = 0; i < a.size(); ++i) s.targets.push_back(i < 4 || i + 1 == a.size() ? no_token : a[i + 1]);
    for (std::size_t i = 0; i < b.size(); ++i) s.targets.push_back(i < 50 || i + 1 == b.size() ? no_token : b[i + 1]);
    return s;
}

/// All logits of one sequence, prefilled in one call: [tokens, vocab].
template <class Model>
std::vector<typename Model::scalar> all_logits(Model& m, const std::vector<token>& tokens) {
    nn::batch_builder batch;
    batch.add(tokens);
    auto cache = m.make_cache();
    const std::vector<nn::sequence_id> ids{cache.create()};
    std::vector<std::uint32_t> rows(tokens.size());
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<std::uint32_t>(i);
    const auto logits = m.forward(batch.get(), cache, ids, rows);
    return {logits.flat().begin(), logits.flat().end()};
}

}  // namespace lab::test
