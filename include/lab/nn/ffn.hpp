// Feed-forward policies: `swiglu` (Shazeer 2020, arXiv:2002.05202) and `moe<Expert>`, whose router sends each token to
// its best experts (Mixtral, arXiv:2401.04088). A policy names its weights once (`for_each_tensor`) and runs forward;
// `swiglu` has a backward, gradients through a mixture of experts are not implemented (`trainable` says so).
#pragma once

#include <cmath>
#include <complex>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "lab/core/backend.hpp"
#include "lab/core/token.hpp"
#include "lab/nn/scratch.hpp"
#include "lab/nn/tensor_info.hpp"

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
        const auto gate = kept.gate.matrix(x.extent(0), d.hidden), up = kept.up.matrix(x.extent(0), d.hidden);
        const auto active = space.gate.matrix(x.extent(0), d.hidden);
        b.matmul(x, w.gate, gate);
        b.matmul(x, w.up, up);
        b.swiglu(gate, up, active);
        b.matmul(active, w.down, y);
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

/// y = sum over the `experts_per_token` best experts of p_e expert_e(x), p the softmax over the chosen router logits
/// (equal to the renormalised softmax over all). Each expert runs once over the rows that chose it; a row's sum is
/// taken in expert order, so it does not depend on the other rows.
template <class Expert = swiglu>
struct moe {
    static constexpr bool trainable = false;

    template <class Matrix>
    struct weights {
        Matrix router{};  // [experts, dim]
        std::vector<typename Expert::template weights<Matrix>> experts;
    };
    template <class S>
    struct workspace {
        scratch<S> logits, rows, out;
        typename Expert::template workspace<S> expert;
        std::vector<S> share;              // [m, experts], 0 where not chosen
        std::vector<std::size_t> members;  // rows of the current expert
        std::vector<std::size_t> order;
    };

    template <class Dims, class W>
    static void allocate(const Dims& d, W& w) {
        w.experts.resize(d.experts);
    }
    template <class Dims, class Visit, class... W>
    static void for_each_tensor(const Dims& d, const std::string&, std::size_t, Visit&& visit, W&... w) {
        visit(std::string("router"), d.experts, d.dim, tensor_info::no_index, w.router...);
        for (std::size_t e = 0; e < d.experts; ++e) Expert::for_each_tensor(d, "expert.", e, visit, w.experts[e]...);
    }

    template <class B, class Dims, class W, class S = typename B::scalar>
    static void forward(const B& b, const Dims& d, const W& w, view<const S> x, view<S> y, workspace<S>& space) {
        const std::size_t m = x.extent(0), dim = x.extent(1);
        const auto logits = space.logits.matrix(m, d.experts);
        b.matmul(x, w.router, logits);
        space.share.assign(m * d.experts, S{});
        for (std::size_t i = 0; i < m; ++i)
            route<Dims, S>(d, logits.row(i), std::span(space.share).subspan(i * d.experts, d.experts), space.order);

        for (S& value : y.flat()) value = S{};
        for (std::size_t e = 0; e < d.experts; ++e) {
            space.members.clear();
            for (std::size_t i = 0; i < m; ++i)
                if (space.share[i * d.experts + e] != S{}) space.members.push_back(i);
            if (space.members.empty()) continue;
            const auto rows = space.rows.matrix(space.members.size(), dim),
                       out = space.out.matrix(space.members.size(), dim);
            for (std::size_t r = 0; r < space.members.size(); ++r)
                for (std::size_t j = 0; j < dim; ++j) rows(r, j) = x(space.members[r], j);
            Expert::forward(b, d, w.experts[e], view<const S>(rows), out, space.expert);
            for (std::size_t r = 0; r < space.members.size(); ++r) {
                const std::size_t i = space.members[r];
                for (std::size_t j = 0; j < dim; ++j) y(i, j) += space.share[i * d.experts + e] * out(r, j);
            }
        }
    }

private:
    /// Softmax over the largest `experts_per_token` logits; ties go to the lower index.
    template <class Dims, class S>
    static void route(const Dims& d, std::span<const S> logits, std::span<S> share, std::vector<std::size_t>& chosen) {
        chosen.clear();
        S sum{};
        for (std::size_t k = 0; k < d.experts_per_token; ++k) {
            std::size_t best = d.experts;
            for (std::size_t e = 0; e < d.experts; ++e)
                if (share[e] == S{} && (best == d.experts || std::real(logits[e]) > std::real(logits[best]))) best = e;
            chosen.push_back(best);
            // The first chosen is the largest: its share is exp(0) = 1; the others underflow to no less than the
            // minimum.
            const S weight = std::exp(logits[best] - logits[chosen.front()]);
            share[best] = weight == S{} ? S(1e-30) : weight;
            sum += share[best];
        }
        for (const std::size_t e : chosen) share[e] /= sum;
    }
};

}  // namespace lab::nn
