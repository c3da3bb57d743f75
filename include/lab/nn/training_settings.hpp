// What a training pass does besides the plain cross-entropy:
//   label smoothing (Szegedy et al. 2016): loss = (1 - s) ce + s mean_j(-log p_j) = ce + s (z_target - mean z)
//   router loss (Mixtral): + r load_balance, the evenness of the experts' load (moe.hpp) over a pass, by its targets
//   NEFTune (arXiv:2310.05914): embeddings + alpha / sqrt(L d) u, u uniform in [-1, 1), L the sequence's length.
// The noise is a function of seed, step and row: the same on any number of threads and after a resume.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "lab/core/batch.hpp"
#include "lab/core/error.hpp"
#include "lab/core/rng.hpp"
#include "lab/core/tensor.hpp"
#include "lab/core/token.hpp"

namespace lab::nn {

/// What a training pass computes again in its backward instead of keeping it (activation checkpointing,
/// arXiv:1604.06174). The results are the same to the bit.
enum class recompute : std::uint8_t {
    none,
    selective,  // the feed-forward's projections: half of what is kept, a sixth more work
    full        // all of a block but its input
};
[[nodiscard]] constexpr std::string_view name_of(recompute r) {
    return r == recompute::none ? "none" : r == recompute::selective ? "selective" : "full";
}
/// @throws config_error for a name that is none of these
[[nodiscard]] inline recompute recompute_from_name(std::string_view name) {
    for (const auto r : {recompute::none, recompute::selective, recompute::full})
        if (name == name_of(r)) return r;
    throw config_error(explain("recompute '" + std::string(name) + "'", "unknown", "one of none, selective, full"));
}

/// Scalars that a pass keeps of each token for its backward, head and working memory not counted.
template <class Dims>
[[nodiscard]] std::size_t kept_activations(const Dims& d, recompute r) {
    const std::size_t attention = 2 * d.heads * d.head_dim + 2 * d.kv_heads * d.head_dim + d.dim;
    const std::size_t feed_forward =
        d.experts == 0 ? 2 * d.hidden : d.experts_per_token * (2 * d.hidden + d.dim) + 2 * d.experts;
    return d.layers * d.dim + (r == recompute::full ? 1 : d.layers) * attention +
           (r == recompute::none ? d.layers : 1) * feed_forward;
}

/// Sums of floats run in double.
template <class S>
using sum_of = std::conditional_t<std::is_floating_point_v<S>, double, S>;

struct training_settings {
    double label_smoothing = 0;
    double neftune_alpha = 0;
    double router_loss = 0;
    std::uint64_t noise_seed = 0, noise_step = 0;
};

/// x [tokens, dim]; `first_row` rows of the same step came before.
template <class S>
void add_embedding_noise(const training_settings& settings, const ragged_batch& batch, std::uint64_t first_row,
                         view<S> x) {
    const std::uint64_t seed = settings.noise_seed ^ hash64("embedding noise");
    const std::array<std::uint32_t, 2> key{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)};
    const std::size_t dim = x.extent(1);
    for (std::size_t s = 0; s < batch.sequences(); ++s) {
        const std::size_t begin = batch.seq_offsets[s], end = batch.seq_offsets[s + 1];
        const double size = settings.neftune_alpha / std::sqrt(static_cast<double>((end - begin) * dim));
        for (std::size_t i = begin; i < end; ++i) {
            const auto row = x.row(i);
            for (std::size_t j = 0; j < dim; j += 4) {
                const auto words = philox({static_cast<std::uint32_t>(j / 4), static_cast<std::uint32_t>(first_row + i),
                                           static_cast<std::uint32_t>(settings.noise_step),
                                           static_cast<std::uint32_t>(settings.noise_step >> 32)},
                                          key);
                for (std::size_t l = 0; l < 4 && j + l < dim; ++l)
                    row[j + l] += S(size * (static_cast<double>(words[l]) * 0x1p-31 - 1.0));
            }
        }
    }
}

/// Cross-entropies [rows] of logits [rows, vocab] become smoothed ones.
template <class S>
void smooth_losses(view<const S> logits, std::span<const token> targets, double smoothing, view<S, 1> losses) {
    using wide = sum_of<S>;
    for (std::size_t i = 0; i < targets.size(); ++i) {
        if (targets[i] < 0) continue;
        const auto row = logits.row(i);
        std::array<wide, 8> sums{};  // eight at a time: compilers make vectors of them
        std::size_t j = 0;
        for (; j + 8 <= row.size(); j += 8)
            for (std::size_t l = 0; l < 8; ++l) sums[l] += wide(row[j + l]);
        for (; j < row.size(); ++j) sums[0] += wide(row[j]);
        wide sum{};
        for (const wide& part : sums) sum += part;
        const wide mean = sum / wide(static_cast<double>(row.size()));
        losses(i) += S(wide(smoothing) * (wide(row[static_cast<std::size_t>(targets[i])]) - mean));
    }
}

/// Their gradients: scale s (one-hot - 1 / vocab) is added to those of the plain loss, [rows, vocab].
template <class S>
void smooth_gradients(view<S> gradients, std::span<const token> targets, double smoothing, double scale) {
    for (std::size_t i = 0; i < targets.size(); ++i) {
        if (targets[i] < 0) continue;
        const auto row = gradients.row(i);
        const S each = S(scale * smoothing / static_cast<double>(row.size()));
        for (S& x : row) x -= each;
        row[static_cast<std::size_t>(targets[i])] += S(scale * smoothing);
    }
}

}  // namespace lab::nn
