// What the engine is asked for and what it gives back, at the level of tokens.
#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lab/core/token.hpp"
#include "lab/sampling/chain.hpp"
#include "lab/sampling/constraint.hpp"
#include "lab/text/request.hpp"

namespace lab::infer {

/// One continuation to make. With `forced` tokens it is scored instead of sampled.
struct generation {
    std::vector<token> prompt{};  // at least one token
    std::vector<token> forced{};
    std::size_t max_tokens = 256;
    sampling::any_chain sampler = sampling::chain{sampling::greedy{}};
    sampling::any_constraint constraint{};
    std::vector<std::string> stop{};                  // the text ends before any of these
    std::function<bool(std::string_view)> on_text{};  // called with each new piece; false ends the generation
    int priority = 0;                                 // higher ones come first, and take the place of lower ones
    std::size_t alternatives = 0;                     // the likeliest tokens to report for each position
};

struct alternative {
    token id;
    double log_probability;  // under the plain model, natural logarithm
};

struct generated {
    std::vector<token> tokens;  // without the end-of-generation token
    std::string text;           // without the stop string
    text::finish_reason finish = text::finish_reason::length;
    double log_probability = 0.0;  // of `tokens` (and the end, if it came) under the plain model, natural logarithm
    std::vector<double> log_probabilities{};               // of each of `tokens`
    std::vector<std::vector<alternative>> alternatives{};  // for each of `tokens`, likeliest first, where asked for
    std::exception_ptr fault{};  // what a callback, sampler or constraint threw, and ended it with
    std::size_t prompt_tokens = 0;
    std::size_t cached_tokens = 0;                      // of the prompt, found computed already
    std::size_t guessed_tokens = 0, guesses_right = 0;  // see engine_options
};

}  // namespace lab::infer
