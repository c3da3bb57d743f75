// lab-model perplexity and kl: what a model predicts of a text, window by window.
#pragma once

#include <cstddef>
#include <cstdio>
#include <cxxopts.hpp>
#include <filesystem>
#include <iostream>
#include <span>

#include "common/progress.hpp"
#include "lab/core/token.hpp"
#include "lab/eval/divergence.hpp"
#include "lab/eval/perplexity.hpp"
#include "lab/eval/window_scorer.hpp"
#include "lab/formats/json.hpp"
#include "lab/tokenizer/load.hpp"
#include "model/arguments.hpp"

namespace lab::apps {

/// measure(tokens, options) over the text of the arguments in tokens of `vocabulary`, with a progress line.
template <class F>
auto over_windows(const cxxopts::ParseResult& args, const char* what, const std::filesystem::path& vocabulary,
                  F&& measure) {
    const auto text = read_input(args);
    const auto tokenizer = tokenizer::load_tokenizer(vocabulary);
    const auto tokens = tokenizer.encode(text, {.add_bos = tokenizer.adds_bos()});
    const auto context = args["ctx"].as<std::size_t>();
    progress shown(what, context == 0 ? 0 : tokens.size() / context, "windows", style_of(args));
    return measure(std::span<const token>(tokens),
                   eval::perplexity_options{.context = context,
                                            .bos = tokenizer.adds_bos() ? tokenizer.bos() : no_token,
                                            .progress = [&](std::size_t done, std::size_t) { shown.update(done); }});
}

inline int perplexity(const cxxopts::ParseResult& args) {
    const auto path = required(args, "model");
    const auto result = over_windows(args, "perplexity", path, [&](auto tokens, const auto& options) {
        eval::model_window_scorer scorer(load(path, args));
        return eval::perplexity(scorer, tokens, options);
    });
    const auto context = args["ctx"].as<std::size_t>();
    if (args.count("json") != 0) {
        std::cout << formats::to_text({{"perplexity", result.perplexity},
                                       {"error", result.error},
                                       {"mean_loss", result.mean_loss},
                                       {"tokens", result.tokens},
                                       {"windows", result.windows},
                                       {"context", context}})
                  << '\n';
    } else {
        std::printf("%zu tokens scored in %zu windows of %zu\nperplexity: %.4f +/- %.4f\n", result.tokens,
                    result.windows, context, result.perplexity, result.error);
        std::fflush(stdout);
    }
    return 0;
}

inline int kl(const cxxopts::ParseResult& args) {
    const auto path = required(args, "model"), original = required(args, "against");
    const auto r = over_windows(args, "kl", original, [&](auto tokens, const auto& options) {
        return eval::divergence(load(original, args), load(path, args), tokens, options);
    });
    if (args.count("json") != 0) {
        std::cout << formats::to_text({{"kl", r.kl},
                                       {"kl_error", r.kl_error},
                                       {"kl_median", r.kl_median},
                                       {"kl_99", r.kl_99},
                                       {"kl_most", r.kl_most},
                                       {"same_top", r.same_top},
                                       {"probability_rms", r.probability_rms},
                                       {"perplexity", r.perplexity},
                                       {"original_perplexity", r.original_perplexity},
                                       {"tokens", r.tokens},
                                       {"windows", r.windows}})
                  << '\n';
    } else {
        std::printf(
            "%zu predictions in %zu windows of %zu\nperplexity: %.4f, the original's %.4f\n"
            "same likeliest token: %.2f %%\nchange of p(next token), root mean square: %.2f %%\n"
            "KL: median %.5f, 99 %% below %.5f, most %.5f\nKL: %.5f +/- %.5f\n",
            r.tokens, r.windows, args["ctx"].as<std::size_t>(), r.perplexity, r.original_perplexity, 100 * r.same_top,
            100 * r.probability_rms, r.kl_median, r.kl_99, r.kl_most, r.kl, r.kl_error);
        std::fflush(stdout);
    }
    return 0;
}

}  // namespace lab::apps
