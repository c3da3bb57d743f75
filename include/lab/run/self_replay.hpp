// Conversations that a model makes up from nothing, to be replayed while it learns something else: what it can do
// already, in its own words, where its training data are not to be had. After Magpie (Xu et al., arXiv 2406.08464): a
// chat model given the beginning of a user's turn continues with a question of the kind it was tuned on; asked that, it
// answers as it would.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/rng.hpp"
#include "lab/infer/engine.hpp"
#include "lab/infer/teacher.hpp"
#include "lab/nn/any_model.hpp"
#include "lab/replay/dataset.hpp"
#include "lab/text/chat_format.hpp"
#include "lab/tokenizer/tokenizer.hpp"

namespace lab::run {

struct self_replay_options {
    std::size_t count = 100;  // conversations
    std::uint64_t seed = 0;
    std::size_t question_tokens = 128;                 // a longer question has no end and is left out
    std::size_t answer_tokens = 256;                   // a longer answer is cut
    std::function<bool(std::size_t done)> progress{};  // asked between steps of the model; false ends the work
};

struct made_up_conversation {
    replay::sample sample;
    bool cut = false;  // the answer goes on: its end is not to be learnt
};

namespace self_replay_detail {

inline constexpr std::string_view mark = "\x1f";  // stands for what is said; no format has it

struct openings {
    std::string user;                // all before a user's first words
    std::vector<std::string> stops;  // what follows them
};
/// @throws config_error for a format that shows no user's turn
[[nodiscard]] inline openings openings_of(const text::any_chat_format& format) {
    const text::messages turn{{"user", std::string(mark)}, {"assistant", std::string(mark)}};
    const std::string whole = text::to_string(format.render(turn, {}));
    const auto first = whole.find(mark), second = whole.find(mark, first + 1);
    if (second == whole.npos)
        throw config_error(
            explain("chat format " + format.name(), "shows no user's turn", "name another with --format"));
    std::string between = whole.substr(first + 1, second - first - 1);
    between.erase(0, between.find_first_not_of(" \n"));
    between.erase(between.find_last_not_of(" \n") + 1);
    return {whole.substr(0, first), between.empty() ? std::vector<std::string>{} : std::vector{std::move(between)}};
}

[[nodiscard]] inline std::string trimmed(std::string text) {
    text.erase(0, std::min(text.find_first_not_of(" \t\r\n"), text.size()));
    text.erase(text.find_last_not_of(" \t\r\n") + 1);
    return text;
}

}  // namespace self_replay_detail

/// As many conversations as asked for, of kind `general` and leaf "self". Questions are drawn, answers are the
/// likeliest; a question that came before, or has no end, gives place to another. Fewer where the model repeats itself:
/// after four times as many attempts as conversations wanted.
/// @throws config_error where the format shows no user's turn; error where `progress` ended the work
[[nodiscard]] inline std::vector<made_up_conversation> make_up_conversations(const nn::any_model& model,
                                                                             const tokenizer::tokenizer& tokens,
                                                                             const text::any_chat_format& format,
                                                                             const self_replay_options& o) {
    namespace detail = self_replay_detail;
    const auto opening = detail::openings_of(format);
    infer::engine engine(model, tokens);
    infer::local_teacher teacher(engine, format, model.info().source.string());
    std::vector<made_up_conversation> made;
    std::size_t answered = 0;
    teacher.set_keep_going([&] { return !o.progress || o.progress(answered); });
    std::set<std::string> asked;
    for (std::size_t attempt = 0; made.size() < o.count && attempt < 4 * o.count;) {
        std::vector<text::request> questions, answers;
        for (std::size_t wanted = o.count - made.size(); wanted != 0 && attempt < 4 * o.count; --wanted, ++attempt)
            questions.push_back(
                {.messages = {{"user", opening.user}},
                 .max_tokens = o.question_tokens,
                 .sampling = {.temperature = 1.0f, .top_p = 0.99f, .seed = hash64("self-replay", o.seed) + attempt},
                 .stop = opening.stops,
                 .raw = true});
        for (const auto& c : teacher.complete(questions)) {
            auto question = detail::trimmed(c.text);
            if (c.finish == text::finish_reason::stop && !question.empty() && asked.insert(question).second)
                answers.push_back({.messages = {{"user", std::move(question)}}, .max_tokens = o.answer_tokens});
        }
        std::vector<text::completion> got(answers.size());
        teacher.complete_each(answers, [&](std::size_t i, const text::completion& c) {
            got[i] = c;
            answered += !detail::trimmed(c.text).empty();
        });
        for (std::size_t i = 0; i < got.size(); ++i) {
            auto answer = detail::trimmed(got[i].text);
            if (answer.empty()) continue;
            const std::string number = std::to_string(made.size());
            made.push_back({{.id = "self-" + number,
                             .messages = {answers[i].messages[0], {"assistant", std::move(answer)}},
                             .leaf = "self",
                             .kind = replay::sample_kind::general,
                             .place = "made-up conversation " + number},
                            got[i].finish != text::finish_reason::stop});
        }
    }
    return made;
}

}  // namespace lab::run
