// Architectures as sets of policies. To make one of your own, inherit and replace a policy:
//   struct tiny_moe : lab::nn::arch::llama { using ffn = lab::nn::moe<lab::nn::swiglu>; };
// A policy is a stateless type; sizes come from the dims, weights from `weights<...>`.
#pragma once

#include <cmath>
#include <cstddef>
#include <string_view>

#include "lab/core/backend.hpp"
#include "lab/nn/ffn.hpp"
#include "lab/nn/moe.hpp"
#include "lab/nn/tensor_info.hpp"

namespace lab::nn {

/// Root mean square norm (Zhang & Sennrich 2019, arXiv:1910.07467).
struct rms_norm {
    template <class B, class Dims, class S = typename B::scalar>
    static void forward(const B& b, const Dims& d, view<const S> x, view<const S, 1> gain, view<S> y) {
        b.rms_norm(x, gain, d.norm_eps, y);
    }
    /// Adds to dx and dgain.
    template <class B, class Dims, class S = typename B::scalar>
    static void backward(const B& b, const Dims& d, view<const S> dy, view<const S> x, view<const S, 1> gain,
                         view<S> dx, view<S, 1> dgain) {
        b.rms_norm_backward(dy, x, gain, d.norm_eps, dx, dgain);
    }
};

/// Grouped-query attention over all earlier positions (Ainslie et al. 2023, arXiv:2305.13245).
struct full_attention {
    template <class Dims>
    static attention_options options(const Dims& d) {
        return {d.heads, d.kv_heads, d.head_dim, 0, 1.0 / std::sqrt(static_cast<double>(d.head_dim))};
    }
};
/// The same over the last `window` positions (Mistral 7B, arXiv:2310.06825); window 0 means all.
struct sliding_attention {
    template <class Dims>
    static attention_options options(const Dims& d) {
        return {d.heads, d.kv_heads, d.head_dim, d.window, 1.0 / std::sqrt(static_cast<double>(d.head_dim))};
    }
};

/// Rotary position embedding (Su et al. 2021, arXiv:2104.09864), the whole head, without scaling.
struct rotary {
    template <class Dims>
    static rope_options options(const Dims& d, bool half_split) {
        return {d.rope_theta, half_split};
    }
};

struct llama_naming {
    static constexpr auto& rules = llama_names;
};

namespace arch {

struct llama {
    static constexpr std::string_view family = "llama";
    using norm = rms_norm;
    using attention = full_attention;
    using position = rotary;
    using ffn = swiglu;
    using naming = llama_naming;
};
struct mistral : llama {
    static constexpr std::string_view family = "mistral";
    using attention = sliding_attention;
};
struct mixtral : mistral {
    static constexpr std::string_view family = "mixtral";
    using ffn = moe<swiglu>;
};

}  // namespace arch
}  // namespace lab::nn
