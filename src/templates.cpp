// Part of lab::compiled: Jinja templates.
#include "lab/text/jinja/interpreter.hpp"
#include "lab/text/jinja/parser.hpp"
#include "lab/text/jinja/template.hpp"

namespace lab::text::jinja {

block parse_template(std::string_view source, const syntax_options& syntax) { return parser(source, syntax).run(); }
std::string run_template(const block& program, const value& context, const jinja_options& options) {
    return interpreter(context, options).run(program);
}

}  // namespace lab::text::jinja
