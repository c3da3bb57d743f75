// Guesses at what comes next, from the text itself: what followed the last few tokens when they stood there before
// (prompt look-up decoding, Saxena 2023). A guess is only ever checked, so it changes speed and nothing else.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "lab/core/token.hpp"

namespace lab::infer {

/// At most `most` tokens that followed the latest earlier occurrence of the last 4 (else 3, else 2) of `known`; empty
/// where there is none.
[[nodiscard]] inline std::span<const token> look_up(std::span<const token> known, std::size_t most) {
    for (std::size_t n = 4; n >= 2; --n) {
        if (known.size() < n + 1) continue;
        const auto tail = known.last(n), before = known.first(known.size() - 1);
        const auto found = std::find_end(before.begin(), before.end(), tail.begin(), tail.end());
        if (found == before.end()) continue;
        const auto next = static_cast<std::size_t>(found - before.begin()) + n;
        return known.subspan(next, std::min(most, known.size() - next));
    }
    return {};
}

}  // namespace lab::infer
