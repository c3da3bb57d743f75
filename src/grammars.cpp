// Part of lab::compiled: the front ends of grammars.
#include "lab/sampling/grammar/json_schema.hpp"

#include "lab/sampling/grammar/from_text.hpp"
#include "lab/sampling/grammar/gbnf.hpp"
#include "lab/sampling/grammar/regex.hpp"

namespace lab::sampling {

grammar grammar_from(const text::output_constraint& wanted) {
    if (!wanted.regex.empty()) return grammar_from_regex(wanted.regex);
    if (!wanted.json_schema.empty()) return grammar_from_json_schema(wanted.json_schema);
    return grammar_from_gbnf(wanted.grammar);
}

}  // namespace lab::sampling
