// What a template may use while it renders.
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

struct jinja_options {
    render_limits limits{};
    std::optional<std::tm> now{};  // strftime_now's time; without one the function does not exist, as templates expect
};

}  // namespace lab::text::jinja
