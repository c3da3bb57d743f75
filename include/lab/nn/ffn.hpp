// The feed-forward policy of dense models: `swiglu` (Shazeer 2020, arXiv:2002.05202). A policy names its weights once
// (`for_each_tensor`) and runs forward, and backward where it is `trainable`. Mixtures of experts: moe.hpp.
#pragma once

#include <cstddef>
#include <string>

#include "lab/core/backend.hpp"
#include "lab/core/tensor.hpp"
#include "lab/nn/scratch.hpp"

namespace lab::nn {

/// y = down(silu(gate x) * (up x))
struct swiglu {
    static constexpr bool trainable = true;

    template <class Matrix>
    struct weights {
        Matrix gate{}, up{}, down{};  // [hidden, dim], [hidden, dim], [dim, hidden]
    };
    template <class S>
    struct workspace {
        scratch<S> gate, up;
    };
    /// What the backward needs of the forward: both projections before the activation.
    template <class S>
    struct saved {
        scratch<S> gate, up;  // [tokens, hidden]
    };

    template <class Dims, class W>
    static void allocate(const Dims&, W&) {}

    /// Calls visit(role, rows, columns, expert, w.tensor...) for each tensor.
    template <class Dims, class Visit, class... W>
    static void for_each_tensor(const Dims& d, const std::string& prefix, std::size_t expert, Visit&& visit, W&... w) {
        visit(prefix + "gate", d.hidden, d.dim, expert, w.gate...);
        visit(prefix + "up", d.hidden, d.dim, expert, w.up...);
        visit(prefix + "down", d.dim, d.hidden, expert, w.down...);
    }

    /// x [m, dim] -> y [m, dim]
    template <class B, class Dims, class W, class S = typename B::scalar>
    static void forward(const B& b, const Dims& d, const W& w, view<const S> x, view<S> y, workspace<S>& space) {
        const auto gate = space.gate.matrix(x.extent(0), d.hidden), up = space.up.matrix(x.extent(0), d.hidden);
        b.products(x, {{w.gate, gate}, {w.up, up}});
        b.swiglu(gate, up, gate);
        b.matmul(gate, w.down, y);
    }
    /// The same, keeping what `backward` needs.
    template <class B, class Dims, class W, class S = typename B::scalar>
    static void forward_saving(const B& b, const Dims& d, const W& w, view<const S> x, view<S> y, saved<S>& kept,
                               workspace<S>& space) {
        save(b, d, w, x, kept, space);
        const auto gate = kept.gate.matrix(x.extent(0), d.hidden), up = kept.up.matrix(x.extent(0), d.hidden);
        const auto active = space.gate.matrix(x.extent(0), d.hidden);
        b.swiglu(gate, up, active);
        b.matmul(active, w.down, y);
    }
    /// What `backward` needs of the forward, alone.
    template <class B, class Dims, class W, class S = typename B::scalar>
    static void save(const B& b, const Dims& d, const W& w, view<const S> x, saved<S>& kept, workspace<S>&) {
        b.matmul(x, w.gate, kept.gate.matrix(x.extent(0), d.hidden));
        b.matmul(x, w.up, kept.up.matrix(x.extent(0), d.hidden));
    }
    /// dy -> dx, both [m, dim]; adds the weights' gradients to dw. The activation is recomputed: it is cheap. What was
    /// kept is overwritten.
    template <class B, class Dims, class W, class G, class S = typename B::scalar>
    static void backward(const B& b, const Dims& d, const W& w, G& dw, saved<S>& kept, view<const S> x,
                         view<const S> dy, view<S> dx, workspace<S>& space) {
        const std::size_t m = x.extent(0);
        const auto gate = kept.gate.matrix(m, d.hidden), up = kept.up.matrix(m, d.hidden);
        const auto active = space.gate.matrix(m, d.hidden), dactive = active;
        b.swiglu(gate, up, active);
        b.linear_backward(dy, active, w.down, dw.down, dactive, false);
        b.swiglu_backward(dactive, gate, up, gate, up);  // from here on, they are their own gradients
        b.linear_backward(gate, x, w.gate, dw.gate, dx, false);
        b.linear_backward(up, x, w.up, dw.up, dx, true);
    }
};

}  // namespace lab::nn
