// Questions kept back for scoring (heldout.jsonl beside a qna.yaml) and the table of facts by which generated samples
// are scored (facts.jsonl beside a knowledge leaf). Neither is ever shown to the generator. Formats: docs/taxonomy.md.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "lab/formats/jsonl.hpp"

namespace lab::taxonomy {

struct heldout_question {
    std::string id;
    std::string context;                 ///< for grounded skills, else empty
    std::vector<std::string> phrasings;  ///< at least one, none of them in the seeds
    std::string answer;
    std::vector<std::string> aliases;      ///< also right
    std::vector<std::string> distractors;  ///< exactly three: of the same type, plausible, wrong
};

struct fact {
    std::string id;
    std::string subject;                ///< what the fact is about, in words
    std::string answer;                 ///< stands literally in a document
    std::vector<std::string> aliases;   ///< also right
    std::vector<std::string> keywords;  ///< parts of words that a question about this fact is likely to have
    bool in_seeds = false;              ///< whether a seed example asks for it; else only the documents tell
};

namespace detail {

inline std::vector<std::string> texts(const formats::json& object, std::string_view key, std::string_view place) {
    auto list = formats::field_or(object, key, std::vector<std::string>{}, place);
    for (const auto& text : list)
        if (text.empty()) throw format_error(explain(place, "field '" + std::string(key) + "' holds an empty text"));
    return list;
}
inline std::string filled(const formats::json& object, std::string_view key, std::string_view place) {
    auto text = formats::field<std::string>(object, key, place);
    if (text.empty()) throw format_error(explain(place, "field '" + std::string(key) + "' is empty"));
    return text;
}
inline void refuse_other_keys(const formats::json& object, const std::set<std::string_view>& known,
                              std::string_view place) {
    for (const auto& [key, value] : object.items())
        if (!known.contains(key))
            throw format_error(explain(place, "field " + formats::quote(key) + " is not known (remove it)"));
}

}  // namespace detail

/// Reads a heldout.jsonl. @throws format_error "file:line: what", io_error.
[[nodiscard]] inline std::vector<heldout_question> read_heldout(const std::filesystem::path& file) {
    std::vector<heldout_question> questions;
    std::set<std::string> ids;
    formats::for_each_json_line(file, [&](const formats::json& line, std::size_t number) {
        const auto place = file.string() + ":" + std::to_string(number);
        heldout_question q{
            detail::filled(line, "id", place),       formats::field_or(line, "context", std::string{}, place),
            detail::texts(line, "phrasings", place), detail::filled(line, "answer", place),
            detail::texts(line, "aliases", place),   detail::texts(line, "distractors", place)};
        detail::refuse_other_keys(line, {"id", "context", "phrasings", "answer", "aliases", "distractors"}, place);
        if (q.phrasings.empty()) throw format_error(explain(place, "'phrasings' needs at least one question"));
        if (q.distractors.size() != 3)
            throw format_error(explain(place, "'distractors' needs exactly three wrong answers, it has " +
                                                  std::to_string(q.distractors.size())));
        std::set<std::string> choices(q.distractors.begin(), q.distractors.end());
        choices.insert(q.answer);
        if (choices.size() != 4) throw format_error(explain(place, "answer and distractors must all differ"));
        if (!ids.insert(q.id).second)
            throw format_error(explain(place, "the id " + formats::quote(q.id) + " stands twice"));
        questions.push_back(std::move(q));
    });
    return questions;
}

/// Reads a facts.jsonl. @throws format_error "file:line: what", io_error.
[[nodiscard]] inline std::vector<fact> read_facts(const std::filesystem::path& file) {
    std::vector<fact> facts;
    std::set<std::string> ids;
    formats::for_each_json_line(file, [&](const formats::json& line, std::size_t number) {
        const auto place = file.string() + ":" + std::to_string(number);
        fact f{detail::filled(line, "fact", place),    detail::filled(line, "subject", place),
               detail::filled(line, "answer", place),  detail::texts(line, "aliases", place),
               detail::texts(line, "keywords", place), formats::field_or(line, "in_seeds", false, place)};
        detail::refuse_other_keys(line, {"fact", "subject", "answer", "aliases", "keywords", "in_seeds"}, place);
        if (!ids.insert(f.id).second)
            throw format_error(explain(place, "the fact " + formats::quote(f.id) + " stands twice"));
        facts.push_back(std::move(f));
    });
    return facts;
}

/// The held-out questions beside a leaf; none where there is no such file.
[[nodiscard]] inline std::vector<heldout_question> heldout_beside(const std::filesystem::path& leaf_folder) {
    const auto file = leaf_folder / "heldout.jsonl";
    return std::filesystem::exists(file) ? read_heldout(file) : std::vector<heldout_question>{};
}

/// The facts beside a leaf; none where there is no such file.
[[nodiscard]] inline std::vector<fact> facts_beside(const std::filesystem::path& leaf_folder) {
    const auto file = leaf_folder / "facts.jsonl";
    return std::filesystem::exists(file) ? read_facts(file) : std::vector<fact>{};
}

}  // namespace lab::taxonomy
