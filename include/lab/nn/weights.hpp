// A model's weights as a tree of handles, and the one walk over them. `for_each_tensor(dims, f, w...)` visits the same
// tensor of several weight sets at once (parameters, gradients, AdamW's moments): loading, saving, counting, the
// optimizer and checkpoints all go through it. `parameter_set` keeps a dense set in one allocation.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "lab/core/backend.hpp"
#include "lab/core/tensor.hpp"
#include "lab/nn/dims.hpp"
#include "lab/nn/tensor_info.hpp"

namespace lab::nn {

template <class Architecture, class Matrix, class Vector>
struct layer_weights {
    Vector attention_norm{};         // [dim]
    Matrix q{}, k{}, v{}, output{};  // [heads head_dim, dim], 2 x [kv_heads head_dim, dim], [dim, heads head_dim]
    Vector ffn_norm{};               // [dim]
    typename Architecture::ffn::template weights<Matrix> ffn{};
};

/// Matrix and Vector are handles: views of an arena, or a backend's weight type.
template <class Architecture, class Matrix, class Vector>
struct weights {
    using architecture = Architecture;
    Matrix embedding{};  // [vocab, dim]
    std::vector<layer_weights<Architecture, Matrix, Vector>> layers;
    Vector norm{};  // [dim]
    Matrix head{};  // [vocab, dim]; equal to `embedding` in a tied model

    weights() = default;
    template <class Dims>
    explicit weights(const Dims& d) : layers(d.layers) {
        for (auto& layer : layers) Architecture::ffn::allocate(d, layer.ffn);
    }
};

/// Calls f(const tensor_info&, handle&...) for every tensor in checkpoint order: embedding, layers, norm, head (if
/// untied).
template <class Dims, class F, class First, class... W>
void for_each_tensor(const Dims& d, F&& f, First& first, W&... w) {
    using architecture = typename First::architecture;
    std::size_t layer = tensor_info::no_index;
    const auto call = [&](std::string_view role, std::size_t rank, std::size_t rows, std::size_t columns,
                          std::size_t expert, std::size_t rope_heads, auto&... handles) __attribute__((noinline)) {
        f(describe_tensor(role, rank, rows, columns, layer, expert, rope_heads, architecture::naming::rules, d.experts),
          handles...);
    };
    const auto matrix = [&](const char* role, std::size_t rows, std::size_t columns, std::size_t rope_heads,
                            auto&... h) { call(role, 2, rows, columns, tensor_info::no_index, rope_heads, h...); };
    const auto vector = [&](const char* role, auto&... h) { call(role, 1, 1, d.dim, tensor_info::no_index, 0, h...); };
    const auto feed_forward = [&](std::string_view role, std::size_t rows, std::size_t columns, std::size_t expert,
                                  auto&... h) { call(role, 2, rows, columns, expert, 0, h...); };

    matrix("embedding", d.vocab, d.dim, 0, first.embedding, w.embedding...);
    for (layer = 0; layer < d.layers; ++layer) {
        auto visit = [&](auto&... l) {
            vector("attention.norm", l.attention_norm...);
            matrix("attention.q", d.heads * d.head_dim, d.dim, d.heads, l.q...);
            matrix("attention.k", d.kv_heads * d.head_dim, d.dim, d.kv_heads, l.k...);
            matrix("attention.v", d.kv_heads * d.head_dim, d.dim, 0, l.v...);
            matrix("attention.output", d.dim, d.heads * d.head_dim, 0, l.output...);
            vector("ffn.norm", l.ffn_norm...);
            architecture::ffn::for_each_tensor(d, "ffn.", tensor_info::no_index, feed_forward, l.ffn...);
        };
        visit(first.layers[layer], w.layers[layer]...);
    }
    layer = tensor_info::no_index;
    vector("norm", first.norm, w.norm...);
    if (!d.tied) matrix("head", d.vocab, d.dim, 0, first.head, w.head...);
}

/// The descriptions alone, in the same order.
template <class Architecture, class Dims>
[[nodiscard]] std::vector<tensor_info> describe_tensors(const Dims& d) {
    struct nothing {};
    weights<Architecture, nothing, nothing> shapes(d);
    std::vector<tensor_info> list;
    for_each_tensor(
        d, [&](const tensor_info& info, auto&) { list.push_back(info); }, shapes);
    return list;
}
template <class Architecture, class Dims>
[[nodiscard]] std::size_t count_parameters(const Dims& d) {
    std::size_t count = 0;
    for (const auto& info : describe_tensors<Architecture>(d)) count += info.size();
    return count;
}

template <class S>
void point_handle(view<S, 2>& handle, S* data, const tensor_info& info) {
    handle = {data, {info.rows, info.columns}};
}
template <class S>
void point_handle(view<S, 1>& handle, S* data, const tensor_info& info) {
    handle = {data, {info.columns}};
}

/// Weights laid out as views of one arena of S, tensor after tensor in `for_each_tensor` order, without gaps.
template <class Architecture, class S>
using dense_weights = weights<Architecture, view<S, 2>, view<S, 1>>;

template <class Architecture, class S, class Dims>
[[nodiscard]] dense_weights<Architecture, S> lay_out(const Dims& d, std::span<S> arena) {
    dense_weights<Architecture, S> w(d);
    std::size_t used = 0;
    for_each_tensor(
        d,
        [&](const tensor_info& info, auto& handle) {
            if (info.size() > arena.size() - used)
                throw shape_error(
                    explain(info.name, "does not fit in an arena of " + std::to_string(arena.size()) + " elements"));
            point_handle(handle, arena.data() + used, info);
            used += info.size();
        },
        w);
    if (d.tied) w.head = w.embedding;
    return w;
}

/// A dense weight set that owns its arena, zero-initialised: parameters, gradients or moments.
template <class Architecture, class S>
class parameter_set {
public:
    parameter_set() = default;
    template <class Dims>
    explicit parameter_set(const Dims& d)
        : arena_(count_parameters<Architecture>(d)), weights_(lay_out<Architecture, S>(d, flat())) {}
    [[nodiscard]] std::span<S> flat() const { return {arena_.data(), arena_.size()}; }
    [[nodiscard]] dense_weights<Architecture, S>& get() { return weights_; }
    [[nodiscard]] const dense_weights<Architecture, S>& get() const { return weights_; }

private:
    aligned_buffer<S> arena_;
    dense_weights<Architecture, S> weights_;
};

/// What `model` computes with: the backend's matrix handles, and vectors (norm gains) as dense scalars.
template <class Architecture, class Backend>
using model_weights = weights<Architecture, typename Backend::weight, view<const typename Backend::scalar, 1>>;

/// What a backward pass adds the gradients to. With the gradients of every matrix and vector it is a
/// `dense_weights`; handles that are empty are of what is frozen.
template <class Architecture, class Backend>
using model_gradients = weights<Architecture, typename Backend::gradient, view<typename Backend::scalar, 1>>;

/// A backend's handle of a dense matrix.
template <class Backend>
[[nodiscard]] typename Backend::weight dense_handle(view<const typename Backend::scalar> m) {
    if constexpr (std::is_same_v<typename Backend::weight, matrix_view>) {
        static_assert(std::is_same_v<typename Backend::scalar, float>);
        return {reinterpret_cast<const std::byte*>(m.data()), dtype::f32, m.extent(0), m.extent(1)};
    } else {
        return m;
    }
}

/// The model's view of a dense weight set; it follows later changes of the values.
template <class Backend, class Architecture, class S, class Dims>
[[nodiscard]] model_weights<Architecture, Backend> as_model_weights(const Dims& d,
                                                                    const dense_weights<Architecture, S>& dense) {
    model_weights<Architecture, Backend> w(d);
    for_each_tensor(
        d,
        [](const tensor_info&, const auto& from, auto& to) {
            if constexpr (std::remove_cvref_t<decltype(from)>::rank == 1) {
                to = from;
            } else {
                to = dense_handle<Backend>(from);
            }
        },
        dense, w);
    if (d.tied) w.head = w.embedding;
    return w;
}

}  // namespace lab::nn
