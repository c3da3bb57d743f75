// Few-shot examples from a leaf's own seeds, as chat turns. A small teacher learns the form of an answer from them;
// they always come from that leaf alone (LAB, arXiv 2403.01081, section 3.2) and never from the example at hand.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/sdg/flat_text.hpp"
#include "lab/sdg/prompt_pack.hpp"
#include "lab/taxonomy/leaf.hpp"
#include "lab/text/request.hpp"

namespace lab::sdg {

inline constexpr std::size_t no_seed = static_cast<std::size_t>(-1);

inline void add_turn(text::messages& messages, std::string user, std::string assistant) {
    messages.push_back({"user", std::move(user)});
    messages.push_back({"assistant", std::move(assistant)});
}

[[nodiscard]] inline std::string open_book_text(const prompts::pack& wordings, std::string_view text,
                                                std::string_view question) {
    if (text.empty()) return std::string(question);
    return wordings.render<prompts::open_book>(text::field<"text">(text), text::field<"question">(question));
}

/// Up to `count` examples "text, question -> answer", one of a seed, from seeds other than `not_this` and with other
/// answers than `answer`: an example must not hold what is asked for.
[[nodiscard]] inline text::messages open_book_examples(const prompts::pack& wordings, const taxonomy::leaf& leaf,
                                                       std::size_t not_this, std::string_view answer, std::size_t count,
                                                       bool with_text = true) {
    text::messages m;
    for (std::size_t i = 0; i < leaf.seeds.size() && m.size() < 2 * count; ++i) {
        if (i == not_this) continue;
        for (const auto& qa : leaf.seeds[i].questions_and_answers) {
            if (qa.answer.find(answer) != std::string::npos || answer.find(qa.answer) != std::string_view::npos ||
                qa.question.find(answer) != std::string::npos)
                continue;
            add_turn(m, open_book_text(wordings, with_text ? flat(leaf.seeds[i].context) : "", qa.question), qa.answer);
            break;
        }
    }
    return m;
}

/// The sentence of the context that holds the answer, else the whole context.
[[nodiscard]] inline std::string sentence_with(std::string_view context, std::string_view answer) {
    for (const auto& s : sentences_of(context))
        if (auto sentence = flat(s.of(context)); sentence.find(answer) != std::string::npos) return sentence;
    return flat(context);
}

/// Up to `count` examples "sentence, answer -> question".
[[nodiscard]] inline text::messages ask_about_examples(const prompts::pack& wordings, const taxonomy::leaf& leaf,
                                                       std::size_t not_this, std::size_t count) {
    text::messages m;
    for (std::size_t i = 0; i < leaf.seeds.size() && m.size() < 2 * count; ++i) {
        if (i == not_this) continue;
        const auto& qa = leaf.seeds[i].questions_and_answers[i % leaf.seeds[i].questions_and_answers.size()];
        add_turn(
            m,
            wordings.render<prompts::ask_about>(text::field<"text">(sentence_with(leaf.seeds[i].context, qa.answer)),
                                                text::field<"answer">(qa.answer)),
            qa.question);
    }
    return m;
}

}  // namespace lab::sdg
