// The tree of a template: expressions and statements as plain nodes, walked by interpreter.hpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lab/text/jinja/value.hpp"

namespace lab::text::jinja {

enum class expr_kind : std::uint8_t {
    constant,     // literal
    name,         // text
    list,         // args
    tuple,        // args
    dict,         // args: key, value, key, value ...
    attribute,    // args[0].text
    item,         // args[0][args[1]]
    slice,        // args[0][args[1]:args[2]:args[3]], absent parts null
    call,         // args[0](args[1...], named)
    filter,       // args[0] | text(args[1...], named); args[0] null inside a filter block
    test,         // args[0] is text(args[1...])
    unary,        // text: "-", "+", "not"
    binary,       // text: arithmetic operator, "and", "or", "~"
    compare,      // args[0] names[0] args[1] names[1] args[2] ...
    conditional,  // args[0] if args[1] else args[2]; args[2] may be null
};

struct expr;
using expr_ptr = std::unique_ptr<expr>;

struct expr {
    expr_kind kind;
    std::size_t line;
    std::size_t depth = 1;  // of the tree below, bounded by the parser, so recursion over it is bounded too
    std::string text{};
    value literal{};
    std::vector<expr_ptr> args{};
    std::vector<std::pair<std::string, expr_ptr>> named{};
    std::vector<std::string> names{};
};

enum class stmt_kind : std::uint8_t {
    text,          // text
    print,         // exprs[0]
    if_else,       // exprs[i] guards bodies[i]; one more body is the else
    for_loop,      // names in exprs[0], filtered by exprs[1] or null; bodies[0], else bodies[1]
    set,           // names = exprs[0]; text non-empty: names[0].text = exprs[0], a namespace's attribute
    set_block,     // names[0] = what bodies[0] prints, through the filter exprs[0] or null
    macro,         // text(names), exprs: defaults of the last parameters; bodies[0]
    call_block,    // exprs[0] is the call; names and the other exprs as for a macro; bodies[0]
    filter_block,  // exprs[0] is a filter chain applied to what bodies[0] prints
    scope,         // names = exprs, inside bodies[0] ("with", and "generation" without names)
    break_loop,
    continue_loop,
};

struct stmt {
    stmt_kind kind;
    std::size_t line;
    std::string text{};
    std::vector<std::string> names{};
    std::vector<expr_ptr> exprs{};
    std::vector<std::vector<stmt>> bodies{};
};

using block = std::vector<stmt>;

}  // namespace lab::text::jinja
