// A teacher that is asked nothing longer than its context: every request is measured before the call, and one that is
// too long is an error that names the leaf and what in it takes the room (a seed with its line, or a document). For
// teachers whose context and tokens are known here; of others nothing is refused. Cuts nothing down to size.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/sdg/examples.hpp"
#include "lab/sdg/teacher.hpp"

namespace lab::sdg {

/// How long a prompt is for a teacher, chat format included, and how long it may be together with its answer.
struct context_limit {
    std::size_t tokens = 0;  ///< 0: not known
    std::function<std::size_t(const text::messages&, const std::string& answer)> count{};
};

/// A request does not fit the teacher's context.
struct context_error : config_error {
    context_error(const std::string& what, std::string whose) : config_error(what), leaf(std::move(whose)) {}
    std::string leaf;  ///< its id, empty where the request is of none
};

namespace detail {

/// The part of a leaf that takes the most room in a request, as far as it is found there again.
struct found_part {
    std::size_t bytes = 0, of_leaf = 0;  ///< its own, and all parts' of the leaf
    std::string what;
};

[[nodiscard]] inline found_part largest_part(const taxonomy::leaf& leaf, const std::string& asked) {
    found_part most;
    const auto consider = [&](std::string_view part, const std::string& what) {
        const auto text = flat(part);
        if (text.empty() || asked.find(text) == asked.npos) return;
        most.of_leaf += text.size();
        if (text.size() > most.bytes) most.bytes = text.size(), most.what = what;
    };
    for (const auto& seed : leaf.seeds) {
        const auto place = " of the seed example in line " + std::to_string(seed.at.line);
        consider(seed.context, "the context" + place);
        for (const auto& pair : seed.questions_and_answers) {
            consider(pair.question, "a question" + place);
            consider(pair.answer, "an answer" + place);
        }
    }
    return most;
}

/// The longest line of a request that stands in a document of the leaf. A line may begin and end with words of the
/// prompt, so its middle is looked for.
[[nodiscard]] inline found_part largest_passage(const taxonomy::leaf& leaf, const text::messages& messages) {
    std::vector<std::string> lines;
    for (const auto& m : messages)
        for (std::string_view rest = m.content; !rest.empty();) {
            const auto line = rest.substr(0, rest.find('\n'));
            rest.remove_prefix(std::min(line.size() + 1, rest.size()));
            if (line.size() >= 80) lines.push_back(flat(line));
        }
    std::stable_sort(lines.begin(), lines.end(), [](const auto& a, const auto& b) { return a.size() > b.size(); });
    lines.resize(std::min<std::size_t>(lines.size(), 8));
    found_part most;
    for (const auto& document : leaf.documents) {
        const auto text = flat(document.text);
        for (const auto& line : lines)
            if (line.size() > most.bytes && text.find(line.substr(line.size() / 4, line.size() / 2)) != text.npos)
                most = {line.size(), line.size(), "a piece of the document " + document.path};
    }
    return most;
}

[[nodiscard]] inline context_error too_long(std::size_t tokens, std::size_t limit, const text::messages& messages,
                                            std::span<const taxonomy::leaf> leaves) {
    std::string asked;
    for (const auto& m : messages) asked += flat(m.content) + "\n";
    const taxonomy::leaf* whose = nullptr;
    found_part most;
    for (const auto& leaf : leaves) {
        auto part = largest_part(leaf, asked);
        if (auto passage = largest_passage(leaf, messages); passage.bytes > part.bytes) {
            passage.of_leaf += part.of_leaf;
            part = std::move(passage);
        }
        if (part.of_leaf > most.of_leaf) most = std::move(part), whose = &leaf;
    }
    const auto what = "a request of " + std::to_string(tokens) + " tokens does not fit the teacher's context of " +
                      std::to_string(limit);
    if (whose == nullptr) return {explain("teacher", what, "take a teacher with a longer context"), {}};
    return {explain(whose->id,
                    what + "; most room takes " + most.what + " (" + std::to_string(most.bytes) + " of " +
                        std::to_string(asked.size()) + " bytes)",
                    most.what.starts_with("a piece") ? "ask for smaller --chunk-tokens" : "shorten it"),
            whose->id};
}

}  // namespace detail

/// A teacher behind the check. `inner` and `leaves` must outlive it.
template <teacher T>
class within_context {
public:
    within_context(T& inner, context_limit limit, std::span<const taxonomy::leaf> leaves)
        : inner_(&inner), limit_(std::move(limit)), leaves_(leaves) {}

    /// @throws context_error before anything is asked
    void complete_each(std::span<const text::request> requests, completion_sink sink) {
        for (const auto& r : requests) {
            std::string_view answer;
            for (const auto& choice : r.constraint.choices)
                if (choice.size() > answer.size()) answer = choice;
            check(r.messages, r.assistant_prefix + std::string(answer));
        }
        sdg::complete_each(*inner_, requests, sink);
    }
    void score_each(std::span<const text::score_request> requests, score_sink sink) {
        for (const auto& r : requests) check(r.messages, r.answer);
        sdg::score_each(*inner_, requests, sink);
    }
    [[nodiscard]] std::vector<text::completion> complete(std::span<const text::request> requests) {
        std::vector<text::completion> answers(requests.size());
        complete_each(requests, [&](std::size_t i, const text::completion& c) { answers[i] = c; });
        return answers;
    }
    [[nodiscard]] std::vector<text::score> score(std::span<const text::score_request> requests) {
        std::vector<text::score> answers(requests.size());
        score_each(requests, [&](std::size_t i, const text::score& s) { answers[i] = s; });
        return answers;
    }
    [[nodiscard]] std::string identity() const { return std::as_const(*inner_).identity(); }
    [[nodiscard]] bool can_score() const { return sdg::can_score(*inner_); }
    [[nodiscard]] std::vector<std::string> notes() const { return notes_of(*inner_); }

private:
    /// One token must be left for the answer's end.
    void check(const text::messages& messages, const std::string& answer) const {
        if (limit_.tokens == 0 || !limit_.count) return;
        if (const auto tokens = limit_.count(messages, answer); tokens >= limit_.tokens)
            throw detail::too_long(tokens, limit_.tokens, messages, leaves_);
    }

    T* inner_;
    context_limit limit_;
    std::span<const taxonomy::leaf> leaves_;
};

}  // namespace lab::sdg
