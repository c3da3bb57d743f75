// What is asked of a language model and what comes back: the vocabulary shared by teachers (sdg/), the in-process
// engine (infer/), HTTP clients and evaluation. Plain data, no behaviour.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lab/text/message.hpp"

namespace lab::text {

/// How to choose the next token. Temperature 0 is greedy. Zero or one-valued fields are off, as in llama.cpp.
struct sampling_options {
    float temperature = 0.0f;
    std::int32_t top_k = 0;
    float top_p = 1.0f;
    float min_p = 0.0f;
    float repetition_penalty = 1.0f;
    std::uint64_t seed = 0;
};

/// What the answer must look like. Empty members do not constrain; at most one kind may be given.
struct output_constraint {
    std::vector<std::string> choices{};  // the answer is exactly one of these
    std::string span_of{};  // the answer is a substring of this text, beginning and ending at a word boundary
    std::size_t min_words = 1, max_words = 0;  // of a span; a maximum of 0 is no limit
    std::string regex{};                       // the whole answer matches this pattern
    std::string json_schema{};                 // the answer is JSON that this schema, itself JSON, allows; {} is any
    std::string grammar{};                     // the answer follows this grammar in GBNF
    /// Whether one of the three above is given.
    [[nodiscard]] bool has_grammar() const noexcept {
        return !regex.empty() || !json_schema.empty() || !grammar.empty();
    }
    [[nodiscard]] bool empty() const noexcept { return choices.empty() && span_of.empty() && !has_grammar(); }
};

struct request {
    text::messages messages{};
    std::string assistant_prefix{};  // put in the model's mouth; not repeated in the completion's text
    std::size_t max_tokens = 256;
    sampling_options sampling{};
    output_constraint constraint{};
    std::vector<std::string> stop{};  // generation ends before any of these
    bool raw = false;  // the messages' contents are the whole prompt, control tokens and all: no chat format is applied
};

enum class finish_reason : std::uint8_t { stop, length, cancelled };

/// What an answer cost, all calls for it together; zero where a teacher does not say.
struct usage {
    std::size_t prompt_tokens = 0, completion_tokens = 0;
    friend bool operator==(const usage&, const usage&) = default;
};

struct completion {
    std::string text{};
    finish_reason finish = finish_reason::stop;
    std::size_t prompt_tokens = 0, completion_tokens = 0;
    double log_probability = 0.0;  // of the text's tokens under the unconstrained model, natural log; 0 if unknown
    std::vector<double> choice_probabilities{};  // for `choices`: probability of each, sums to 1; empty if unknown
    std::string no_verdict{};          // for `choices`: what was said where it was none of them; then `text` is empty
    std::vector<std::string> notes{};  // what could not be done as it was asked, one sentence each
    usage spent{};
    std::size_t more_to_come = 0;  // answers of the same call that follow at once: they are kept together or not at all
};

/// Ask how likely a given answer is: log p(answer | messages), natural log, summed over the answer's tokens.
struct score_request {
    text::messages messages{};
    std::string answer{};
};
struct score {
    double log_probability = 0.0;
    std::size_t tokens = 0;
    usage spent{};
};

}  // namespace lab::text
