// Which language a text is in, by its commonest words (language_words.hpp and what a pack of prompts adds). A language
// that is not known gets no exercise that wraps words of one language around a text of another.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include "lab/sdg/prompt_pack.hpp"
#include "lab/sdg/rouge.hpp"

namespace lab::sdg {

/// Code of the language whose commonest words make up most of the text: "en"; empty below one word in ten.
[[nodiscard]] inline std::string language_of(std::string_view text, const prompts::pack& wordings = {}) {
    const auto words = loose_words(text);
    std::string best;
    std::size_t most = words.size() / 10;
    for (const auto& code : wordings.languages()) {
        const auto common = loose_words(wordings.text<prompts::common_words>(code));
        const auto count = static_cast<std::size_t>(std::count_if(words.begin(), words.end(), [&](const auto& w) {
            return std::find(common.begin(), common.end(), w) != common.end();
        }));
        if (count > most) most = count, best = code;
    }
    return best;
}

}  // namespace lab::sdg
