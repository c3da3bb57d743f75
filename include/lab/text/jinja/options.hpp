// How a template is read, and what it may use while it renders.
#pragma once

#include <cstddef>
#include <ctime>
#include <optional>

namespace lab::text::jinja {

struct render_limits {
    std::size_t steps = 5'000'000;               // expressions and statements evaluated, list items made
    std::size_t bytes = std::size_t{256} << 20;  // of all strings made on the way, output included
    std::size_t depth = 800;                     // of expressions, tags and macro calls inside each other at run time
};

/// Both off is jinja2's own default; chat templates expect both on.
struct syntax_options {
    bool trim_blocks = true;    // a block tag takes the line break after it
    bool lstrip_blocks = true;  // and the blanks before it on its line
};

struct jinja_options {
    render_limits limits{};
    bool strict_undefined = false;  // printing, testing or comparing what is undefined is an error (StrictUndefined)
    std::optional<std::tm> now{};   // strftime_now's time; without one the function does not exist, as templates expect
};

}  // namespace lab::text::jinja
