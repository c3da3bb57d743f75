// The output head and its cross-entropy in one pass over chunks of rows, so that the logits of a large vocabulary never
// exist for the whole batch: 256 rows of 150,000 logits are 154 MB, all 4096 would be 2.5 GB. Rows without a target are
// skipped before any work is done. dz = scale (softmax(z) - one-hot), dhidden = dz head, dhead += dz^T hidden.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <span>
#include <vector>

#include "lab/core/backend.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/kernels/gemm.hpp"
#include "lab/kernels/loss.hpp"
#include "lab/kernels/scratch.hpp"

namespace lab::kernels {

/// Rows per chunk: part of dhead's definition (a sum per chunk, chunks in order), so not a tuning knob.
inline constexpr std::size_t head_chunk = 256;

inline namespace LAB_ISA {

namespace detail {
/// Calls f(rows, targets, hidden, logits) for each chunk of the rows that have a target; hidden [n, dim] is gathered,
/// logits [n, vocab] are computed.
template <class Arch, class F>
void each_head_chunk(view<const float> hidden, const matrix_view& head, std::span<const token> targets,
                     view<float, 1> losses, compute precision, thread_pool& pool, F&& f) {
    assert(hidden.extent(0) == targets.size() && hidden.extent(1) == head.columns && losses.size() == targets.size());
    std::vector<std::size_t> rows;
    std::vector<token> wanted;
    for (std::size_t i = 0; i < targets.size(); ++i) {
        losses.data()[i] = 0.0f;
        if (targets[i] >= 0) rows.push_back(i), wanted.push_back(targets[i]);
    }
    const std::size_t dim = head.columns;
    for (std::size_t begin = 0; begin < rows.size(); begin += head_chunk) {
        const std::size_t n = std::min(head_chunk, rows.size() - begin);
        const view<float> x(scratch<purpose::gathered>(n * dim), {n, dim});
        const view<float> logits(scratch<purpose::logits>(n * head.rows), {n, head.rows});
        const std::span chunk = std::span(rows).subspan(begin, n);
        const std::span<const token> chunk_targets = std::span(wanted).subspan(begin, n);
        for (std::size_t i = 0; i < n; ++i) std::copy_n(hidden.data() + chunk[i] * dim, dim, x.data() + i * dim);
        matmul<Arch>(x, head, logits, precision, pool);
        std::vector<float> chunk_losses(n);
        cross_entropy<Arch>(logits, chunk_targets, {chunk_losses.data(), {n}}, pool);
        for (std::size_t i = 0; i < n; ++i) losses.data()[chunk[i]] = chunk_losses[i];
        f(std::span<const std::size_t>(chunk), chunk_targets, view<const float>(x), logits);
    }
}
}  // namespace detail

/// losses_i = cross-entropy of hidden_i head^T against target_i; 0 where the target is negative.
template <class Arch>
void head_loss(view<const float> hidden, const matrix_view& head, std::span<const token> targets, view<float, 1> losses,
               compute precision, thread_pool& pool) {
    detail::each_head_chunk<Arch>(hidden, head, targets, losses, precision, pool, [](auto&&...) {});
}

/// The same, dhidden = scale d(sum of losses) / dhidden, and dhead += that / dhead.
template <class Arch>
void head_loss_backward(view<const float> hidden, const matrix_view& head, std::span<const token> targets, double scale,
                        view<float, 1> losses, view<float> dhidden, view<float> dhead, compute precision,
                        thread_pool& pool) {
    assert(dhidden.shape() == hidden.shape() && dhead.extent(0) == head.rows && dhead.extent(1) == head.columns);
    const std::size_t dim = head.columns;
    std::fill_n(dhidden.data(), dhidden.size(), 0.0f);
    detail::each_head_chunk<Arch>(
        hidden, head, targets, losses, precision, pool,
        [&](std::span<const std::size_t> rows, std::span<const token> wanted, view<const float> x, view<float> logits) {
            cross_entropy_backward<Arch>(logits, wanted, scale, pool);
            const view<float> dx(scratch<purpose::gradient>(x.size()), x.shape());
            matmul_backward_input<Arch>(logits, head, dx, false, precision, pool);
            for (std::size_t i = 0; i < rows.size(); ++i)
                std::copy_n(dx.data() + i * dim, dim, dhidden.data() + rows[i] * dim);
            matmul_backward_weight<Arch>(logits, x, dhead, precision, pool);
        });
}

}  // namespace LAB_ISA
}  // namespace lab::kernels
