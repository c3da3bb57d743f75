// Jinja templates as found in checkpoints: the subset of jinja2 that chat templates use, rendered byte for byte as
// transformers does (trim_blocks, lstrip_blocks, sandboxed, tojson without HTML escapes). Hostile templates are the
// normal case: no input or output, no attributes beyond the data, limits on steps, text and depth.
// Errors name the line: format_error for the template's faults, config_error where it calls raise_exception.
#pragma once

#include <string>
#include <string_view>

#include "lab/text/jinja/ast.hpp"
#include "lab/text/jinja/options.hpp"
#include "lab/text/jinja/value.hpp"
#ifndef LAB_COMPILED
#include "lab/text/jinja/interpreter.hpp"
#include "lab/text/jinja/parser.hpp"
#endif

namespace lab::text::jinja {

#ifdef LAB_COMPILED  // lab::compiled has these
[[nodiscard]] block parse_template(std::string_view source, const syntax_options& syntax);
[[nodiscard]] std::string run_template(const block& program, const value& context, const jinja_options& options);
#else
[[nodiscard]] inline block parse_template(std::string_view source, const syntax_options& syntax) {
    return parser(source, syntax).run();
}
[[nodiscard]] inline std::string run_template(const block& program, const value& context,
                                              const jinja_options& options) {
    return interpreter(context, options).run(program);
}
#endif

/// A parsed template. Rendering does not change it: threads may share one.
class compiled {
public:
    /// @throws format_error "template: line N: ..."
    explicit compiled(std::string_view source, const syntax_options& syntax = {})
        : program_(parse_template(source, syntax)) {}

    /// context: a dict; its entries are the template's variables.
    [[nodiscard]] std::string render(const value& context, const jinja_options& options = {}) const {
        return run_template(program_, context, options);
    }

private:
    block program_;
};

[[nodiscard]] inline std::string render(std::string_view source, const value& context,
                                        const jinja_options& options = {}) {
    return compiled(source).render(context, options);
}

}  // namespace lab::text::jinja
