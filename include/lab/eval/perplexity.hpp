// Perplexity as llama-perplexity measures it: the text is cut into windows of `context` tokens that do not overlap,
// each starts with an empty memory, and only the predictions made from its second half on are scored; a last partial
// window is left out. exp(mean NLL), with the standard error of the mean carried through the exponential.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/token.hpp"

namespace lab::eval {

/// `token_losses(window, first)`: -log p(window[i + 1] | window[0..i]) for i = first .. window.size() - 2, in nats.
template <class M>
concept WindowScorer = requires(M& m, std::span<const token> window, std::size_t first) {
    { m.token_losses(window, first) } -> std::convertible_to<std::vector<double>>;
};

struct perplexity_options {
    std::size_t context = 512;
    token bos = no_token;         // takes the place of each window's first token, as for models trained with one
    std::size_t max_windows = 0;  // 0: all
    std::function<void(std::size_t done, std::size_t windows)> progress{};
};

struct perplexity_result {
    double perplexity = 0, error = 0;      // error: one standard error
    double mean_loss = 0, loss_error = 0;  // nats per token
    std::size_t tokens = 0, windows = 0;   // scored
};

/// Calls f(window, first, index) for the windows of `tokens` in order: what follows window[first] and later tokens is
/// scored. Returns their number.
/// @throws config_error where the text is shorter than a window or windows than 4 tokens.
template <class F>
std::size_t for_each_window(std::span<const token> tokens, const perplexity_options& options, F&& f) {
    if (options.context < 4) throw config_error("windows need a context of at least 4 tokens");
    std::size_t windows = tokens.size() / options.context;
    if (windows == 0)
        throw config_error("the text has " + std::to_string(tokens.size()) + " tokens, a window needs " +
                           std::to_string(options.context) + " (give more text or a smaller context)");
    if (options.max_windows != 0) windows = std::min(windows, options.max_windows);
    for (std::size_t w = 0; w < windows; ++w) {
        const auto part = tokens.subspan(w * options.context, options.context);
        std::vector<token> window(part.begin(), part.end());
        if (options.bos != no_token) window[0] = options.bos;
        f(std::span<const token>(window), options.context / 2, w);
        if (options.progress) options.progress(w + 1, windows);
    }
    return windows;
}

/// @param whose "the model"; window and place in it count from 0
[[noreturn]] inline void refuse_prediction(std::string_view whose, std::size_t window, std::size_t place) {
    throw config_error(explain("window " + std::to_string(window) + ", token " + std::to_string(place),
                               "what " + std::string(whose) + " predicts is not a number",
                               "its weights are damaged or its training failed: take an earlier one"));
}

/// @throws config_error where the text is shorter than a window or windows are shorter than 4 tokens, or naming the
/// first token of which the model's prediction is no number.
template <WindowScorer Model>
[[nodiscard]] perplexity_result perplexity(Model& model, std::span<const token> tokens,
                                           const perplexity_options& options = {}) {
    double sum = 0, squares = 0;
    perplexity_result result;
    const auto score = [&](std::span<const token> window, std::size_t first, std::size_t index) {
        std::size_t place = first;
        for (const double loss : model.token_losses(window, first)) {
            ++place;
            if (!std::isfinite(loss)) refuse_prediction("the model", index, place);
            sum += loss;
            squares += loss * loss;
            ++result.tokens;
        }
    };
    result.windows = for_each_window(tokens, options, score);
    const double n = static_cast<double>(result.tokens);
    result.mean_loss = sum / n;
    result.loss_error =
        result.tokens > 1 ? std::sqrt(std::max(0.0, squares / n - result.mean_loss * result.mean_loss) / (n - 1)) : 0.0;
    result.perplexity = std::exp(result.mean_loss);
    result.error = result.perplexity * result.loss_error;
    return result;
}

}  // namespace lab::eval
