// Reads one qna.yaml into a leaf, with all that is wrong with it. Texts lose the blanks at both ends (block scalars of
// YAML carry a line end).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "lab/taxonomy/leaf.hpp"
#include "lab/taxonomy/lint.hpp"
#include "lab/taxonomy/problem.hpp"
#include "lab/taxonomy/schema.hpp"
#include "lab/taxonomy/yaml_document.hpp"

namespace lab::taxonomy {

namespace detail {

inline std::string text_of(const yaml::document& doc, const yaml::node& mapping, std::string_view key) {
    const auto* value = doc.find(mapping, key);
    return value == nullptr ? std::string{} : trim(value->text);
}

/// The leaf in a document that the schema found valid.
inline leaf leaf_from(const yaml::document& doc, root kind, long long version) {
    const auto& top = doc[doc.root];
    leaf out;
    out.kind = kind;
    out.version = static_cast<int>(version);
    out.created_by = text_of(doc, top, "created_by");
    out.task_description = text_of(doc, top, "task_description");
    out.domain = text_of(doc, top, "domain");
    out.document_outline = text_of(doc, top, "document_outline");
    for (const auto id : doc.find(top, "seed_examples")->items) {
        const auto& example = doc[id];
        seed s{text_of(doc, example, "context"), {}, example.at};
        if (kind == root::knowledge) {
            for (const auto pair : doc.find(example, "questions_and_answers")->items)
                s.questions_and_answers.push_back(
                    {text_of(doc, doc[pair], "question"), text_of(doc, doc[pair], "answer")});
        } else {
            s.questions_and_answers.push_back({text_of(doc, example, "question"), text_of(doc, example, "answer")});
        }
        out.seeds.push_back(std::move(s));
    }
    out.grounded = kind != root::knowledge && !out.seeds.front().context.empty();
    if (const auto* source = doc.find(top, "document"); source != nullptr && kind == root::knowledge) {
        out.source.emplace(
            document_source{text_of(doc, *source, "repo"), text_of(doc, *source, "commit"), {}, source->at, {}});
        for (const auto id : doc.find(*source, "patterns")->items) {
            out.source->patterns.push_back(trim(doc[id].text));
            out.source->pattern_positions.push_back(doc[id].at);
        }
    }
    return out;
}

/// What the schema lets pass and a generator stumbles over.
inline void advise(const leaf& l, problem_list& problems) {
    static constexpr std::size_t context_words = 500,
                                 answer_words = 250;  // limits of the contribution guide, for knowledge
    for (const auto& s : l.seeds) {
        if (l.kind != root::knowledge && s.context.empty() == l.grounded)
            problems.warning(
                s.at, l.grounded ? "this example has no context, the first one has (give all a context, or none)"
                                 : "this example has a context, the first one has none (give all a context, or none)");
        if (l.kind != root::knowledge) continue;
        if (const auto n = count_words(s.context); n > context_words)
            problems.warning(s.at, "the context has " + std::to_string(n) + " words (keep it below 500)");
        for (const auto& pair : s.questions_and_answers)
            if (count_words(pair.question) > answer_words || count_words(pair.answer) > answer_words)
                problems.warning(s.at, "a question or an answer has more than 250 words (shorten it)");
    }
}

}  // namespace detail

/// Judges the text of one qna.yaml. `kind` is nothing where no folder tells: then a `document` key means knowledge.
/// @return the leaf (without id, files and documents) when the file is valid and not empty.
[[nodiscard]] inline std::optional<leaf> judge(std::string_view text, std::optional<root> kind,
                                               problem_list& problems) {
    yaml::document doc;
    try {
        doc = yaml::read(text);
    } catch (const yaml::syntax_error& fault) {
        problems.error(fault.at, fault.what());
        return std::nullopt;
    }
    const auto& top = doc[doc.root];
    // instructlab-schema knows no rules for foundational skills: they are judged as compositional ones.
    const bool has_document = top.kind == yaml::type::mapping && doc.find(top, "document") != nullptr;
    if (!kind || (*kind == root::foundational && has_document))
        kind = has_document ? root::knowledge : root::compositional;
    const auto version = schema::check(doc, *kind, problems);
    for (const auto& [at, message] : doc.warnings) problems.warning(at, message);
    if (!version) return std::nullopt;
    if (*version > 1) lint_layout(text, problems);
    if (problems.errors() > 0) return std::nullopt;
    auto out = detail::leaf_from(doc, *kind, *version);
    detail::advise(out, problems);
    return out;
}

}  // namespace lab::taxonomy
