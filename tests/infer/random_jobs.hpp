// What random jobs ask for besides their prompts, and when two results are the same.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "infer/tiny.hpp"
#include "lab/core/rng.hpp"
#include "lab/infer/generation.hpp"
#include "lab/sampling/constraint.hpp"
#include "lab/sampling/token_trie.hpp"

namespace lab::test {

/// Gives a job of byte_tokenizer's vocabulary alternatives, a constraint of any kind and stop strings, each at random;
/// a scored one only the first.
inline void add_random_wishes(infer::generation& job, counter_rng& rng) {
    static const sampling::token_trie trie(byte_tokenizer());
    static sampling::grammar_store grammars(trie);
    static const std::vector<text::output_constraint> forms{
        {.choices = {"yes", "no", "never", "nearly so"}},
        {.span_of = "one two three, one two four; and one more"},
        {.regex = "(ab|a[bc]){1,4}(é|\\d{2})"},
        {.json_schema = R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"enum":["x","xy",null]}},
                            "required":["a"]})"},
        {.grammar = "root ::= \"a\" root | [b-d]{1,3} \"e\"?"}};
    if (rng.below(3) == 0) job.alternatives = 1 + rng.below(6);
    if (!job.forced.empty()) return;
    if (rng.below(2) == 0)
        job.constraint = sampling::make_constraint(trie, forms[rng.below(forms.size())], rng.below(4) == 0, &grammars);
    if (rng.below(4) == 0) job.stop = {std::string(1, "abe1\" "[rng.below(6)]), "ne"};
}

[[nodiscard]] inline bool same_result(const infer::generated& a, const infer::generated& b) {
    const auto same_lists = [](const auto& x, const auto& y) {
        return std::equal(x.begin(), x.end(), y.begin(), y.end(), [](const auto& one, const auto& other) {
            return one.id == other.id && one.log_probability == other.log_probability;
        });
    };
    return a.tokens == b.tokens && a.log_probabilities == b.log_probabilities &&
           a.log_probability == b.log_probability && a.text == b.text && a.finish == b.finish &&
           std::equal(a.alternatives.begin(), a.alternatives.end(), b.alternatives.begin(), b.alternatives.end(),
                      same_lists);
}

}  // namespace lab::test
