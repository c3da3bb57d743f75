// The grammar that a request describes by a regular expression, a JSON Schema or GBNF.
// With lab::compiled linked (LAB_COMPILED) this header is a declaration and costs nothing.
#pragma once

#include "lab/sampling/grammar.hpp"
#include "lab/text/request.hpp"
#ifndef LAB_COMPILED
#include "lab/sampling/grammar/gbnf.hpp"
#include "lab/sampling/grammar/json_schema.hpp"
#include "lab/sampling/grammar/regex.hpp"
#endif

namespace lab::sampling {

/// The grammar of wanted.regex, json_schema or grammar. @throws config_error or format_error when it is refused.
#ifdef LAB_COMPILED
[[nodiscard]] grammar grammar_from(const text::output_constraint& wanted);
#else
[[nodiscard]] inline grammar grammar_from(const text::output_constraint& wanted) {
    if (!wanted.regex.empty()) return grammar_from_regex(wanted.regex);
    if (!wanted.json_schema.empty()) return grammar_from_json_schema(wanted.json_schema);
    return grammar_from_gbnf(wanted.grammar);
}
#endif

}  // namespace lab::sampling
