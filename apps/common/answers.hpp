// Answers of a model to held-out questions, for people: a few of them, before and after side by side.
#pragma once

#include <algorithm>
#include <cstddef>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "lab/eval/qa.hpp"

namespace lab::apps {

/// `count` indices spread evenly over `size` items, so that the examples shown are of different leaves.
[[nodiscard]] inline std::vector<std::size_t> spread(std::size_t size, std::size_t count) {
    std::vector<std::size_t> chosen;
    for (std::size_t i = 0; i < std::min(size, count); ++i)
        chosen.push_back((2 * i + 1) * size / (2 * std::min(size, count)));
    return chosen;
}

/// Prints `count` answers; `before` holds another model's to the same questions, or nothing.
inline void show_answers(std::ostream& out, std::span<const eval::qa_item> items, std::span<const eval::qa_item> before,
                         std::size_t count) {
    const auto one_line = [](std::string text) {
        std::replace(text.begin(), text.end(), '\n', ' ');
        return text;
    };
    for (const std::size_t i : spread(items.size(), count)) {
        out << "Q         " << items[i].asked << "\n  expected " << items[i].answer << "\n";
        if (!before.empty()) out << "  before   " << one_line(before[i].answered) << "\n";
        out << (before.empty() ? "  answered " : "  now      ") << one_line(items[i].answered) << "\n\n";
    }
}

}  // namespace lab::apps
