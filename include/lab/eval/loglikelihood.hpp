// Choosing among given answers by their log-likelihood after the question: summed over the answer's tokens (as
// MMLU-style tests do for options of like length) and per token (which does not favour short answers).
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/text/request.hpp"

namespace lab::eval {

/// What evaluation asks of a model: the teacher's two calls (sdg/teacher.hpp), answers in the order of the requests.
template <class M>
concept AnsweringModel = requires(M& m, std::span<const text::request> requests,
                                  std::span<const text::score_request> scores) {
    { m.complete(requests) } -> std::convertible_to<std::vector<text::completion>>;
    { m.score(scores) } -> std::convertible_to<std::vector<text::score>>;
};

/// Nats per token; an empty answer is impossible.
[[nodiscard]] inline double per_token(const text::score& s) {
    return s.tokens == 0 ? -std::numeric_limits<double>::infinity() : s.log_probability / static_cast<double>(s.tokens);
}

struct choice {
    bool by_sum = false, by_mean = false;  // the first option (the right one) is strictly the likeliest
};

/// `scores[0]` is the right answer's. A tie is not a success: a model that knows nothing must not pass.
[[nodiscard]] inline choice choose_first(std::span<const text::score> scores) {
    if (scores.size() < 2) throw config_error("a choice needs at least two answers");
    const auto others = scores.subspan(1);
    return {
        std::all_of(others.begin(), others.end(),
                    [&](const auto& s) { return s.log_probability < scores[0].log_probability; }),
        std::all_of(others.begin(), others.end(), [&](const auto& s) { return per_token(s) < per_token(scores[0]); })};
}

}  // namespace lab::eval
