// The Backend concept: where tensors live and which kernels run. `model<Architecture, Dims, Backend>` is written
// against these operations alone. Models: kernels/cpu.hpp (`cpu<Arch>`, fast) and kernels/reference.hpp
// (`reference<T>`, naive, for T = double or complex<double>); nn/lora_backend.hpp wraps either. Matrices are row-major;
// weights are [out, in] as checkpoints store them.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "lab/core/batch.hpp"
#include "lab/core/dtype.hpp"
#include "lab/core/error.hpp"
#include "lab/core/tensor.hpp"

namespace lab {

/// A weight matrix as stored: [rows, columns] = [out, in] in any weight format, possibly inside a mapped file.
struct matrix_view {
    const std::byte* data = nullptr;
    dtype type = dtype::f32;
    std::size_t rows = 0, columns = 0;
    const std::byte* panels = nullptr;  // the same once more, in the order of the processor's kernels, or none

    [[nodiscard]] std::size_t row_stride() const { return row_bytes(type, columns); }
};

/// Operands of matrix products; sums are always in float (of integers, exact until then).
enum class compute {
    f32,     // floats
    bf16,    // rounded to bfloat16: for training on processors with the instruction
    native,  // forward, what the weight is stored in: block formats multiply activations quantised to 8 bits in blocks
             // of 32, bf16 weights activations rounded to bfloat16 where the processor can; all else as f32
};

[[nodiscard]] constexpr std::string_view name_of(compute c) {
    return c == compute::f32 ? "f32" : c == compute::bf16 ? "bf16" : "native";
}
/// The compute called `name`: "f32", "bf16" or "native".
/// @throws config_error for any other.
[[nodiscard]] inline compute compute_from_name(std::string_view name) {
    for (const compute c : {compute::f32, compute::bf16, compute::native})
        if (name == name_of(c)) return c;
    throw config_error(explain("compute '" + std::string(name) + "'", "unknown", "one of native, f32, bf16"));
}

/// One of several products of the same x: y [m, out] = x [m, in] w^T.
template <class Weight, class S>
struct product {
    Weight w;
    view<S> y;
};

/// Rotary embedding: pair (i, i + head_dim/2) when `half_split` (HF's layout), else (2i, 2i + 1) (llama.cpp's "norm").
struct rope_options {
    double theta = 10000.0;
    bool half_split = true;
};

/// Attention of one layer. `window` 0 means all earlier positions, else position p sees (p - window, p].
struct attention_options {
    std::size_t heads = 0, kv_heads = 0, head_dim = 0;
    std::size_t window = 0;
    double scale = 1.0;
};

/// What a backend offers. S is its scalar, `weight` its handle of a [out, in] matrix, `gradient` that of its gradient.
/// Each op writes its whole output, except those documented as accumulating (`+=`). Outputs never alias inputs, save
/// where stated. Every op gives the same bytes per row whatever other rows are in the call, on any thread count.
///
///   matmul(x [m, in], w [out, in], y [m, out])                              y = x w^T
///   products(x, {{w, y}, ...})                                              the same for several w, in one call
///   matmul_backward_input(dy [m, out], w, dx [m, in], accumulate)           dx (+)= dy w
///   matmul_backward_weight(dy [m, out], x [m, in], dw [out, in])            dw += dy^T x, summed in token order
///   linear_backward(dy, x, w, dw, dx, accumulate)                           both of y = x w^T; dx may be x
///   embed(tokens [m], w [vocab, dim], y [m, dim])                           y_i = w[token_i]
///   embed_backward(tokens [m], dy [m, dim], dw [vocab, dim])                dw[token_i] += dy_i, in token order
///   rms_norm(x [m, dim], g [dim], eps, y [m, dim])                          y = g x / sqrt(mean(x^2) + eps)
///   rms_norm_backward(dy, x, g, eps, dx, dg)                                dx += , dg +=; empty where not wanted
///   rope(x [m, heads, head_dim], positions [m], options)                    in place
///   rope_backward(dx [m, heads, head_dim], positions, options)              in place (the inverse rotation)
///   attention(q [m, heads, head_dim], batch, kv [sequences], options, y [m, heads, head_dim])
///   attention(q, batch, cached_layer, options, y)                           causal softmax attention
///   store_cached(k [m, kv_heads, head_dim], v, batch, cached_layer)         keys and values into their places
///   attention_backward(dy, q, batch, kv, options, dq =, dkv [sequences] +=)
///   swiglu(gate [m, n], up [m, n], y [m, n])                                y = gate sigmoid(gate) up; may alias
///   swiglu_backward(dy, gate, up, dgate, dup)                               may alias
///   add(x [m, dim], y [m, dim])                                             y += x
///   cross_entropy(logits [m, vocab], targets [m], losses [m])               -log softmax(logits_i)[target_i]
///   cross_entropy_backward(logits [m, vocab], targets [m], scale)           in place: scale (softmax - one-hot)
template <class B>
concept backend = requires(const B& b, typename B::weight w, typename B::gradient dw, view<const typename B::scalar> in,
                           view<typename B::scalar> out, view<const typename B::scalar, 1> vector,
                           view<typename B::scalar, 1> vector_out, view<const typename B::scalar, 3> heads,
                           view<typename B::scalar, 3> heads_out, std::span<const token> tokens,
                           std::span<const std::int32_t> positions, const ragged_batch& batch,
                           std::span<const kv_sequence<const typename B::scalar>> kv,
                           std::span<const kv_sequence<typename B::scalar>> dkv, const cached_layer& layer) {
    b.matmul(in, w, out);
    b.products(in, {{w, out}, {w, out}});
    b.matmul_backward_input(in, w, out, true);
    b.matmul_backward_weight(in, in, out);
    b.linear_backward(in, in, w, dw, out, true);
    b.embed(tokens, w, out);
    b.embed_backward(tokens, in, dw);
    b.rms_norm(in, vector, 1e-5, out);
    b.rms_norm_backward(in, in, vector, 1e-5, out, vector_out);
    b.rope(heads_out, positions, rope_options{});
    b.rope_backward(heads_out, positions, rope_options{});
    b.attention(heads, batch, kv, attention_options{}, heads_out);
    b.attention(heads, batch, layer, attention_options{}, heads_out);
    b.store_cached(heads, heads, batch, layer);
    b.attention_backward(heads, heads, batch, kv, attention_options{}, heads_out, dkv);
    b.swiglu(in, in, out);
    b.swiglu_backward(in, in, in, out, out);
    b.add(in, out);
    b.cross_entropy(in, tokens, vector_out);
    b.cross_entropy_backward(out, tokens, 1.0);
};

}  // namespace lab
