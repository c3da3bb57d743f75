// Advice on what the texts of a leaf say, beyond its schema and layout: questions that stand twice or lean on a text
// that the student will not see, answers that no context tells, commits that may move, and leaves that ask the same.
// Warnings only. Knows words, not meanings.
#pragma once

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/taxonomy/documents.hpp"
#include "lab/taxonomy/heldout.hpp"
#include "lab/taxonomy/leaf.hpp"

namespace lab::taxonomy {
namespace detail {

/// Words in small letters (ASCII; other letters as they are), without marks around them.
[[nodiscard]] inline std::vector<std::string> plain_words(std::string_view text) {
    std::vector<std::string> words;
    std::string word;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (std::isalnum(byte) != 0 || byte >= 0x80)
            word += static_cast<char>(byte < 0x80 ? std::tolower(byte) : c);
        else if (!word.empty())
            words.push_back(std::exchange(word, {}));
    }
    if (!word.empty()) words.push_back(std::move(word));
    return words;
}
[[nodiscard]] inline std::string plain_text(std::string_view text) {
    std::string out;
    for (const auto& word : plain_words(text)) out.append(out.empty() ? "" : " ").append(word);
    return out;
}

/// "the passage", "this text", "the document above": the words of a question that only its context explains.
[[nodiscard]] inline std::string leaning_words(std::string_view question) {
    static constexpr std::string_view places[] = {"text",     "passage", "paragraph", "context",
                                                  "document", "article", "excerpt"};
    static constexpr std::string_view before[] = {"the", "this", "given", "above", "provided", "following"};
    const auto words = plain_words(question);
    for (std::size_t i = 1; i < words.size(); ++i) {
        if (std::find(std::begin(places), std::end(places), words[i]) == std::end(places)) continue;
        if (std::find(std::begin(before), std::end(before), words[i - 1]) == std::end(before)) continue;
        const bool leans = i >= 2 && (words[i - 2] == "in" || words[i - 2] == "to" || words[i - 2] == "by" ||
                                      words[i - 2] == "from" || words[i - 2] == "on");
        const bool above = i + 1 < words.size() && (words[i + 1] == "above" || words[i + 1] == "below");
        const bool pointed = words[i - 1] != "the";
        if (leans || above || pointed) return words[i - 1] + " " + words[i];
    }
    return {};
}

/// Whether an answer shares a word of three letters or more with the context; short ones and yes or no need not.
[[nodiscard]] inline bool is_told(std::string_view answer, std::string_view context) {
    const auto words = plain_words(answer);
    if (words.empty() || words[0] == "yes" || words[0] == "no") return true;
    const auto known = plain_words(context);
    const std::set<std::string> told(known.begin(), known.end());
    bool long_ones = false;
    for (const auto& w : words) {
        if (told.contains(w)) return true;
        long_ones = long_ones || w.size() > 2;
    }
    return !long_ones;
}

}  // namespace detail

/// What a curator should look at in one leaf.
inline void lint_texts(const leaf& l, problem_list& problems) {
    const bool knowledge = l.kind == root::knowledge;
    std::map<std::string, std::pair<std::string, std::size_t>> asked;  // context and question: its answer, its line
    std::map<std::string, std::size_t> contexts;
    for (const auto& s : l.seeds) {
        const auto context = detail::plain_text(s.context);
        if (knowledge && !context.empty())
            if (const auto [at, fresh] = contexts.emplace(context, s.at.line); !fresh)
                problems.warning(s.at, "the context is the one of line " + std::to_string(at->second) +
                                           " again (ask about another part of the document)");
        for (const auto& pair : s.questions_and_answers) {
            const auto shown = formats::quote(pair.question, 60);
            const auto question = detail::plain_text(pair.question), answer = detail::plain_text(pair.answer);
            if (!question.empty()) {
                const auto key = knowledge ? question : context + "\n" + question;
                const auto [at, fresh] = asked.try_emplace(key, answer, s.at.line);
                if (!fresh)
                    problems.warning(
                        s.at, "the question " + shown + " stands already in the example of line " +
                                  std::to_string(at->second.second) +
                                  (at->second.first == answer ? " (ask something else)"
                                                              : ", with another answer (name what each is about)"));
            }
            if (question == answer && !question.empty())
                problems.warning(s.at, "the answer to " + shown + " repeats the question (answer it)");
            if (!knowledge) continue;
            if (const auto words = detail::leaning_words(pair.question); !words.empty())
                problems.warning(s.at, "the question " + shown + " speaks of '" + words +
                                           "', which the student will not see (name the subject instead)");
            if (!detail::is_told(pair.answer, s.context))
                problems.warning(s.at, "no word of the answer to " + shown +
                                           " stands in its context (take the answer from the context)");
        }
    }
    if (!knowledge && detail::plain_words(l.task_description).size() < 3)
        problems.warning({}, "the task description " + formats::quote(l.task_description, 40) +
                                 " says little (it goes into the teacher's prompt: say what to do)");
    if (l.source && !is_local(*l.source) && !git::is_full_name(l.source->commit))
        problems.warning(l.source->at,
                         "the commit " + formats::quote(l.source->commit, 60) +
                             " is no full name: branches move and short names become ambiguous (write all "
                             "40 digits, as git rev-parse shows them)");
}

/// Questions kept for the examination that the seeds of the same leaf give away, and a file of them that cannot be
/// read.
inline void lint_heldout(const leaf& l, problem_list& problems) {
    std::map<std::string, std::size_t> asked;
    for (const auto& s : l.seeds)
        for (const auto& pair : s.questions_and_answers)
            asked.emplace(
                detail::plain_text(s.context.empty() || l.kind == root::knowledge ? pair.question
                                                                                  : s.context + "\n" + pair.question),
                s.at.line);
    try {
        for (const auto& h : heldout_beside(l.folder))
            for (const auto& phrasing : h.phrasings)
                if (const auto at =
                        asked.find(detail::plain_text(h.context.empty() ? phrasing : h.context + "\n" + phrasing));
                    at != asked.end())
                    problems.warning({at->second, 1}, "heldout.jsonl asks " + formats::quote(phrasing, 60) +
                                                          " too (a question kept for the examination must not be a "
                                                          "seed: reword one of them)");
    } catch (const error& fault) {
        problems.warning({}, fault.what());
    }
}

/// The same question in several leaves: told at the later one. Grounded skills are compared with their contexts.
class question_register {
public:
    void add(const leaf& l, problem_list& problems) {
        for (const auto& s : l.seeds)
            for (const auto& pair : s.questions_and_answers) {
                const auto question =
                    detail::plain_text(l.kind == root::knowledge ? pair.question : s.context + "\n" + pair.question);
                if (question.empty()) continue;
                const auto [at, fresh] = seen_.try_emplace(question, l.id, s.at.line);
                if (!fresh && at->second.first != l.id)
                    problems.warning(s.at, "the question " + formats::quote(pair.question, 60) + " is asked in " +
                                               at->second.first + " too, line " + std::to_string(at->second.second) +
                                               " (keep it in one leaf)");
            }
    }

private:
    std::map<std::string, std::pair<std::string, std::size_t>> seen_;
};

}  // namespace lab::taxonomy
