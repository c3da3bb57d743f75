// A mixture of experts as feed-forward policy: `moe<Expert>`, whose router sends each token to its best experts
// (Mixtral, arXiv:2401.04088), with its backward, and the loss that keeps the experts' load even.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lab/core/backend.hpp"
#include "lab/core/tensor.hpp"
#include "lab/nn/ffn.hpp"
#include "lab/nn/scratch.hpp"
#include "lab/nn/tensor_info.hpp"
#include "lab/nn/training_settings.hpp"

namespace lab::nn {

namespace moe_detail {

/// p = softmax(logits)
template <class S>
void softmax(std::span<const S> logits, std::vector<sum_of<S>>& p) {
    const auto by_value = [](const S& a, const S& b) { return std::real(a) < std::real(b); };
    const S top = *std::max_element(logits.begin(), logits.end(), by_value);
    sum_of<S> sum{};
    p.clear();
    for (const S& logit : logits) sum += p.emplace_back(std::exp(sum_of<S>(logit) - sum_of<S>(top)));
    for (auto& each : p) each /= sum;
}

}  // namespace moe_detail

/// Load balancing (Switch Transformer, arXiv:2101.03961) as transformers computes it for Mixtral:
///   loss = experts sum_e f_e p_e
/// f_e the share of rows that chose expert e, p_e the mean of its probability among all experts, both over all rows and
/// layers of a pass. f has no gradient. 1 for a router without preference and one expert to each token.
template <class S>
class load_balance {
public:
    using wide = sum_of<S>;

    /// @param experts 0: nothing is counted
    void restart(std::size_t experts) {
        chosen_.assign(experts, 0);
        probability_.assign(experts, wide{});
        rows_ = 0;
    }
    [[nodiscard]] bool counts() const { return !chosen_.empty(); }
    /// One row of one layer: its router's logits and the shares of the experts, 0 where not chosen.
    void add(std::span<const S> logits, std::span<const S> share) {
        moe_detail::softmax(logits, p_);
        for (std::size_t e = 0; e < p_.size(); ++e) {
            probability_[e] += p_[e];
            if (share[e] != S{}) ++chosen_[e];
        }
        ++rows_;
    }
    [[nodiscard]] wide loss() const {
        wide sum{};
        for (std::size_t e = 0; e < chosen_.size(); ++e) sum += frequency(e) * probability_[e];
        return rows_ == 0 ? wide{} : sum * static_cast<double>(chosen_.size()) / static_cast<double>(rows_);
    }
    /// Adds weight d loss / d logits of a row that was counted.
    void add_gradient(std::span<const S> logits, double weight, std::span<S> dlogits) {
        moe_detail::softmax(logits, p_);
        wide mean{};
        for (std::size_t e = 0; e < p_.size(); ++e) mean += p_[e] * frequency(e);
        const double factor = weight * static_cast<double>(p_.size()) / static_cast<double>(rows_);
        for (std::size_t e = 0; e < p_.size(); ++e) dlogits[e] += S(factor * p_[e] * (frequency(e) - mean));
    }

private:
    [[nodiscard]] double frequency(std::size_t e) const {
        return static_cast<double>(chosen_[e]) / static_cast<double>(rows_);
    }

    std::vector<std::size_t> chosen_;
    std::vector<wide> probability_, p_;
    std::size_t rows_ = 0;
};

/// y = sum over the `experts_per_token` best experts of s_e expert_e(x), s the softmax over the chosen router logits
/// (equal to the renormalised softmax over all). Each expert runs once over the rows that chose it; a row's sum is
/// taken in expert order, so it does not depend on the other rows.
template <class Expert = swiglu>
struct moe {
    static constexpr bool trainable = Expert::trainable;

    template <class Matrix>
    struct weights {
        Matrix router{};  // [experts, dim]
        std::vector<typename Expert::template weights<Matrix>> experts;
    };
    template <class S>
    struct workspace {
        scratch<S> logits, rows, out, drows;
        typename Expert::template workspace<S> expert;
        std::vector<S> share;              // [m, experts], 0 where not chosen
        std::vector<std::size_t> members;  // rows of the current expert
        std::vector<std::size_t> order;
        load_balance<S> balance;    // of the layers that ran since its restart
        double balance_weight = 0;  // of its loss in what `backward` gives the gradient of
    };
    /// What the backward needs of the forward.
    template <class S>
    struct saved {
        struct visit {
            std::vector<std::size_t> members;  // rows that chose the expert
            scratch<S> out;                    // [members, dim], what it gave them
            typename Expert::template saved<S> inner;
        };
        scratch<S> logits;      // [m, experts]
        std::vector<S> share;   // [m, experts]
        std::vector<visit> to;  // [experts]
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

    /// x [m, dim] -> y [m, dim]
    template <class B, class Dims, class W, class S = typename B::scalar>
    static void forward(const B& b, const Dims& d, const W& w, view<const S> x, view<S> y, workspace<S>& space) {
        const auto logits = space.logits.matrix(x.extent(0), d.experts);
        route_all(b, d, w, x, logits, space.share, space.order);
        for (S& value : y.flat()) value = S{};
        for (std::size_t e = 0; e < d.experts; ++e) {
            find_members(d, e, space.share, space.members);
            if (space.members.empty()) continue;
            const auto rows = gather(x, space.members, space.rows);
            const auto out = space.out.matrix(rows.extent(0), rows.extent(1));
            Expert::forward(b, d, w.experts[e], view<const S>(rows), out, space.expert);
            add_shares(d, e, space.members, space.share, view<const S>(out), y);
        }
    }
    /// The same, keeping what `backward` needs, and counting the experts' load.
    template <class B, class Dims, class W, class S = typename B::scalar>
    static void forward_saving(const B& b, const Dims& d, const W& w, view<const S> x, view<S> y, saved<S>& kept,
                               workspace<S>& space) {
        save(b, d, w, x, kept, space);
        const auto logits = kept.logits.matrix(x.extent(0), d.experts);
        if (space.balance.counts())
            for (std::size_t i = 0; i < x.extent(0); ++i) space.balance.add(logits.row(i), shares_of(d, kept.share, i));
        for (S& value : y.flat()) value = S{};
        for (std::size_t e = 0; e < d.experts; ++e) {
            auto& to = kept.to[e];
            add_shares(d, e, to.members, kept.share, view<const S>(to.out.matrix(to.members.size(), x.extent(1))), y);
        }
    }
    /// What `backward` needs of the forward, alone.
    template <class B, class Dims, class W, class S = typename B::scalar>
    static void save(const B& b, const Dims& d, const W& w, view<const S> x, saved<S>& kept, workspace<S>& space) {
        route_all(b, d, w, x, kept.logits.matrix(x.extent(0), d.experts), kept.share, space.order);
        kept.to.resize(d.experts);
        for (std::size_t e = 0; e < d.experts; ++e) {
            auto& to = kept.to[e];
            find_members(d, e, kept.share, to.members);
            if (to.members.empty()) continue;
            const auto rows = gather(x, to.members, space.rows);
            const auto out = to.out.matrix(rows.extent(0), rows.extent(1));
            Expert::forward_saving(b, d, w.experts[e], view<const S>(rows), out, to.inner, space.expert);
        }
    }
    /// dy -> dx, both [m, dim]; adds the weights' gradients to dw. What was kept is overwritten.
    ///   ds_e = dy . expert_e(x),  dlogit_e = s_e (ds_e - sum s ds) and, of the load balancing, its own
    template <class B, class Dims, class W, class G, class S = typename B::scalar>
    static void backward(const B& b, const Dims& d, const W& w, G& dw, saved<S>& kept, view<const S> x,
                         view<const S> dy, view<S> dx, workspace<S>& space) {
        const std::size_t m = x.extent(0), dim = x.extent(1);
        const auto dlogits = space.logits.matrix(m, d.experts);
        for (S& value : dx.flat()) value = S{};
        for (std::size_t e = 0; e < d.experts; ++e) {
            auto& to = kept.to[e];
            if (to.members.empty()) continue;
            const auto rows = gather(x, to.members, space.rows), dout = gather(dy, to.members, space.out);
            const auto out = to.out.matrix(rows.extent(0), dim), drows = space.drows.matrix(rows.extent(0), dim);
            for (std::size_t r = 0; r < to.members.size(); ++r) {
                const std::size_t i = to.members[r];
                sum_of<S> ds{};
                for (std::size_t j = 0; j < dim; ++j) ds += dout(r, j) * out(r, j);
                dlogits(i, e) = S(ds);
                for (std::size_t j = 0; j < dim; ++j) dout(r, j) *= kept.share[i * d.experts + e];
            }
            Expert::backward(b, d, w.experts[e], dw.experts[e], to.inner, view<const S>(rows), view<const S>(dout),
                             drows, space.expert);
            for (std::size_t r = 0; r < to.members.size(); ++r)
                for (std::size_t j = 0; j < dim; ++j) dx(to.members[r], j) += drows(r, j);
        }
        const auto logits = kept.logits.matrix(m, d.experts);
        for (std::size_t i = 0; i < m; ++i) {
            const auto share = shares_of(d, kept.share, i);
            sum_of<S> mean{};
            for (std::size_t e = 0; e < d.experts; ++e)
                if (share[e] != S{}) mean += share[e] * dlogits(i, e);
            for (std::size_t e = 0; e < d.experts; ++e)
                dlogits(i, e) = share[e] != S{} ? share[e] * (dlogits(i, e) - S(mean)) : S{};
            if (space.balance_weight != 0)
                space.balance.add_gradient(logits.row(i), space.balance_weight, dlogits.row(i));
        }
        b.linear_backward(dlogits, x, w.router, dw.router, dx, true);
    }

private:
    /// Router logits of all rows and the experts' shares in each.
    template <class B, class Dims, class W, class S = typename B::scalar>
    static void route_all(const B& b, const Dims& d, const W& w, view<const S> x, view<S> logits, std::vector<S>& share,
                          std::vector<std::size_t>& order) {
        b.matmul(x, w.router, logits);
        share.assign(x.extent(0) * d.experts, S{});
        for (std::size_t i = 0; i < x.extent(0); ++i)
            route<Dims, S>(d, logits.row(i), std::span(share).subspan(i * d.experts, d.experts), order);
    }
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
    template <class Dims, class S>
    [[nodiscard]] static std::span<const S> shares_of(const Dims& d, const std::vector<S>& share, std::size_t row) {
        return std::span(share).subspan(row * d.experts, d.experts);
    }
    template <class Dims, class S>
    static void find_members(const Dims& d, std::size_t expert, const std::vector<S>& share,
                             std::vector<std::size_t>& members) {
        members.clear();
        for (std::size_t i = 0; i * d.experts < share.size(); ++i)
            if (share[i * d.experts + expert] != S{}) members.push_back(i);
    }
    template <class S>
    [[nodiscard]] static view<S> gather(view<const S> from, const std::vector<std::size_t>& members, scratch<S>& to) {
        const auto rows = to.matrix(members.size(), from.extent(1));
        for (std::size_t r = 0; r < members.size(); ++r)
            std::copy_n(from.row(members[r]).data(), from.extent(1), rows.row(r).data());
        return rows;
    }
    template <class Dims, class S>
    static void add_shares(const Dims& d, std::size_t expert, const std::vector<std::size_t>& members,
                           const std::vector<S>& share, view<const S> out, view<S> y) {
        for (std::size_t r = 0; r < members.size(); ++r) {
            const S weight = share[members[r] * d.experts + expert];
            for (std::size_t j = 0; j < y.extent(1); ++j) y(members[r], j) += weight * out(r, j);
        }
    }
};

}  // namespace lab::nn
