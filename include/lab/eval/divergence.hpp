// How far a model's predictions are from another's (a quantised one's from the original's), window by window as in
// perplexity.hpp: Kullback-Leibler divergence KL(original || other), agreement of the likeliest token, and the change
// of the probability of the token that came. The figures are those of llama-perplexity --kl-divergence.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/eval/perplexity.hpp"
#include "lab/kernels/loss.hpp"
#include "lab/nn/any_model.hpp"
#include "lab/nn/batch_builder.hpp"

namespace lab::eval {

struct divergence_result {
    double kl = 0, kl_error = 0;                   // mean in nats, and its standard error
    double kl_median = 0, kl_99 = 0, kl_most = 0;  // of single predictions
    double same_top = 0;                           // share of predictions with the same likeliest token
    double probability_rms = 0;                    // root mean square change of p(token that came)
    double perplexity = 0, original_perplexity = 0;
    std::size_t tokens = 0, windows = 0;
};

namespace detail {

struct prediction {
    double kl, p, q;  // p, q: of the token that came, under the original and the other
    bool same_top;
};
/// Two rows of logits over one vocabulary.
[[nodiscard]] inline prediction compare_predictions(std::span<const float> original, std::span<const float> other,
                                                    token came) {
    using arch = kernels::arch::native;
    const double a = kernels::log_sum_exp<arch>(original), b = kernels::log_sum_exp<arch>(other);
    const auto best = std::max_element(original.begin(), original.end()),
               best_other = std::max_element(other.begin(), other.end());
    double kl = 0;
    for (std::size_t i = 0; i < original.size(); ++i) {
        const double log_p = static_cast<double>(original[i]) - a;
        kl += std::exp(log_p) * (log_p - (static_cast<double>(other[i]) - b));
    }
    const auto t = static_cast<std::size_t>(came);
    return {kl, std::exp(static_cast<double>(original[t]) - a), std::exp(static_cast<double>(other[t]) - b),
            best - original.begin() == best_other - other.begin()};
}

}  // namespace detail

/// @throws config_error where the vocabularies differ, the text is shorter than a window or windows than 4 tokens, or
/// naming the first token of which a model's prediction is no number.
[[nodiscard]] inline divergence_result divergence(nn::any_model original, nn::any_model other,
                                                  std::span<const token> tokens,
                                                  const perplexity_options& options = {}) {
    if (original.dims().vocab != other.dims().vocab)
        throw config_error("the models' vocabularies differ: " + std::to_string(original.dims().vocab) + " and " +
                           std::to_string(other.dims().vocab) + " tokens");
    const nn::kv_cache_options a_window_at_a_time{.max_bytes = nn::kv_cache_options::unbounded};
    auto cache = original.make_cache(a_window_at_a_time), other_cache = other.make_cache(a_window_at_a_time);
    std::vector<detail::prediction> all;
    const auto compare = [&](std::span<const token> window, std::size_t first, std::size_t index) {
        std::vector<std::uint32_t> rows(window.size() - 1 - first);
        std::iota(rows.begin(), rows.end(), static_cast<std::uint32_t>(first));
        nn::batch_builder batch;
        batch.add(window);
        const nn::sequence_id a = cache.create(), b = other_cache.create();
        const auto p = original.forward(batch.get(), cache, std::span(&a, 1), rows);
        const auto q = other.forward(batch.get(), other_cache, std::span(&b, 1), rows);
        const std::size_t before = all.size();
        all.resize(before + rows.size());
        original.pool().share_out(rows.size(), 1, [&](std::size_t begin, std::size_t end, std::size_t) {
            for (std::size_t r = begin; r < end; ++r)
                all[before + r] = detail::compare_predictions(p.row(r), q.row(r), window[first + r + 1]);
        });
        for (std::size_t r = 0; r < rows.size(); ++r) {
            const auto& x = all[before + r];
            if (std::isfinite(x.kl) && std::isfinite(x.p) && std::isfinite(x.q)) continue;
            refuse_prediction(std::isfinite(x.p) ? "the model" : "the original", index, first + r + 1);
        }
        cache.release(a), other_cache.release(b);
    };
    const std::size_t windows = for_each_window(tokens, options, compare);
    divergence_result result{.tokens = all.size(), .windows = windows};
    const auto n = static_cast<double>(all.size());
    double squares = 0, loss = 0, original_loss = 0, changes = 0;
    std::size_t same = 0;
    std::vector<double> each;
    each.reserve(all.size());
    for (const auto& x : all) {
        each.push_back(x.kl);
        result.kl += x.kl / n, squares += x.kl * x.kl / n;
        same += x.same_top ? 1 : 0;
        changes += (x.p - x.q) * (x.p - x.q) / n;
        loss -= std::log(x.q) / n, original_loss -= std::log(x.p) / n;
    }
    result.same_top = static_cast<double>(same) / n;
    std::sort(each.begin(), each.end());
    result.kl_error = n > 1 ? std::sqrt(std::max(0.0, squares - result.kl * result.kl) / (n - 1)) : 0.0;
    result.kl_median = each[each.size() / 2], result.kl_99 = each[each.size() * 99 / 100], result.kl_most = each.back();
    result.probability_rms = std::sqrt(changes);
    result.perplexity = std::exp(loss), result.original_perplexity = std::exp(original_loss);
    return result;
}

}  // namespace lab::eval
