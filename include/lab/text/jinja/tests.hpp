// The tests of jinja2: what stands behind "is", and what select and its like take by name.
#pragma once

#include <string>
#include <string_view>

#include "lab/text/jinja/methods.hpp"

namespace lab::text::jinja {

/// v is name(args). @throws format_error for unknown tests and wrong arguments.
[[nodiscard]] inline bool apply_test(runtime& rt, const std::string& name, const value& v, const arguments& args) {
    rt.step();
    const char* const f = name.c_str();
    const auto other = [&] {
        if (name != "sameas") strictly_defined(rt, v);
        const bound b(rt, f, args, {"other"});
        if (args.positional.empty() && args.named.empty()) rt.fail("the test \"" + name + "\" needs a value");
        return b.get(0);
    };
    if (name == "eq" || name == "equalto" || name == "==") return equal(v, other());
    if (name == "ne" || name == "!=") return !equal(v, other());
    if (name == "lt" || name == "lessthan" || name == "<") return compare(rt, v, other()) < 0;
    if (name == "le" || name == "<=") return compare(rt, v, other()) <= 0;
    if (name == "gt" || name == "greaterthan" || name == ">") return compare(rt, v, other()) > 0;
    if (name == "ge" || name == ">=") return compare(rt, v, other()) >= 0;
    if (name == "in") return contains(rt, other(), v);
    if (name == "sameas") {  // identity; Python's differs from == in telling 1 from true and from 1.0
        const value o = other();
        return std::string_view(v.type_name()) == o.type_name() && equal(v, o);
    }
    if (name == "divisibleby") return arithmetic(rt, "%", v, other()).number() == 0.0;
    const bound none(rt, f, args, {});
    if (name == "defined") return !v.is_undefined();
    if (name == "undefined") return v.is_undefined();
    if (name == "none") return v.is_none();
    if (name == "string") return v.is_string();
    if (name == "mapping") return v.is_dict();
    if (name == "iterable") return strictly_defined(rt, v), v.is_iterable();
    if (name == "sequence") return v.is_iterable() && !v.is_generator();
    if (name == "number") return v.is_number();
    if (name == "integer") return v.is_integer();
    if (name == "float") return v.is_float();
    if (name == "boolean") return v.is_bool();
    if (name == "true") return v.is_bool() && v.boolean();
    if (name == "false") return v.is_bool() && !v.boolean();
    if (name == "callable") return v.is_callable();
    if (name == "escaped") return false;
    if (name == "odd" || name == "even") {
        const double rest = arithmetic(rt, "%", v, value(2)).number();
        return name == "odd" ? rest == 1.0 : rest == 0.0;
    }
    if (name == "upper" || name == "lower") return detail::is_case(to_text(rt, v), name == "upper");
    rt.fail("unknown test \"" + name + "\"");
}

}  // namespace lab::text::jinja
