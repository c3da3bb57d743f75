// A leaf as rows for a pipeline, with InstructLab's column names, and a pipeline's rows as samples. Knowledge: every
// chunk of the documents with every seed context (icl_document, icl_query_1 ...); a skill: one row a seed. Samples come
// from `question` and `response`, or from `output` cut behind its first question mark, as its data mixing does. What
// makes no sample is refused with the reason.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/rng.hpp"
#include "lab/sdg/blocks/pipeline.hpp"
#include "lab/sdg/chunk.hpp"
#include "lab/sdg/sample.hpp"

namespace lab::sdg::blocks {

enum class leaf_type : std::uint8_t { knowledge, freeform_skill, grounded_skill };

[[nodiscard]] inline leaf_type type_of(const taxonomy::leaf& leaf) {
    if (leaf.kind == taxonomy::root::knowledge) return leaf_type::knowledge;
    return leaf.grounded ? leaf_type::grounded_skill : leaf_type::freeform_skill;
}
[[nodiscard]] constexpr std::string_view name(leaf_type type) noexcept {
    return type == leaf_type::knowledge        ? "knowledge"
           : type == leaf_type::freeform_skill ? "freeform_skill"
                                               : "grounded_skill";
}

struct leaf_rows {
    table rows;
    std::vector<json> sources;  // of each row: seed, document, span
};

namespace detail {

inline std::string leaf_node_path(std::string id) {
    for (std::size_t at = 0; (at = id.find("->", at)) != id.npos;) id.replace(at, 2, "_");
    return id;
}
/// Adds a row whose values have names; columns are added as they come up.
inline void add_named(table& rows, std::vector<std::pair<std::string, cell>>&& values, std::size_t origin) {
    std::vector<std::pair<std::size_t, cell>> placed;
    for (auto& [column, value] : values) placed.emplace_back(rows.put_column(column), std::move(value));
    row r{std::vector<cell>(rows.columns().size()), origin};
    for (auto& [c, value] : placed) r.cells[c] = std::move(value);
    rows.add(std::move(r));
}

}  // namespace detail

/// @param count tokens of a text, for the chunks
[[nodiscard]] inline leaf_rows rows_of(const taxonomy::leaf& leaf, const chunk_options& chunks, token_counter count) {
    leaf_rows out;
    const std::string path = detail::leaf_node_path(leaf.id);
    if (leaf.kind != taxonomy::root::knowledge) {
        for (std::size_t s = 0; s < leaf.seeds.size(); ++s) {
            const auto& seed = leaf.seeds[s];
            std::vector<std::pair<std::string, cell>> values{{"task_description", leaf.task_description}};
            if (!seed.context.empty()) values.emplace_back("seed_context", seed.context);
            values.emplace_back("seed_question", seed.questions_and_answers.at(0).question);
            values.emplace_back("seed_response", seed.questions_and_answers.at(0).answer);
            values.emplace_back("leaf_node_type", seed.context.empty() ? "freeform_skill" : "grounded_skill");
            values.emplace_back("leaf_node_path", path);
            detail::add_named(out.rows, std::move(values), s);
            out.sources.push_back({{"seed", {s, 0}}, {"line", seed.at.line}});
        }
        return out;
    }
    for (const auto& document : leaf.documents)
        for (const auto& piece : chunks_of(document.text, chunks, count))
            for (std::size_t s = 0; s < leaf.seeds.size(); ++s) {
                const auto& seed = leaf.seeds[s];
                std::vector<std::pair<std::string, cell>> values{{"document", piece.full_text()},
                                                                 {"icl_document", seed.context},
                                                                 {"document_outline", leaf.document_outline},
                                                                 {"domain", leaf.domain},
                                                                 {"leaf_node_type", "knowledge"}};
                for (std::size_t q = 0; q < seed.questions_and_answers.size(); ++q) {
                    const std::string number = std::to_string(q + 1);
                    values.emplace_back("icl_query_" + number, seed.questions_and_answers[q].question);
                    values.emplace_back("icl_response_" + number, seed.questions_and_answers[q].answer);
                }
                values.emplace_back("leaf_node_path", path);
                detail::add_named(out.rows, std::move(values), out.sources.size());
                out.sources.push_back({{"seed", s},
                                       {"line", seed.at.line},
                                       {"document", document.path},
                                       {"span", {piece.span.begin, piece.span.end}},
                                       {"chunk_sha256", sha256_hex(piece.text)}});
            }
    return out;
}

/// Makes samples of what a pipeline gave for one leaf.
class sample_maker {
public:
    /// All must outlive it.
    sample_maker(const taxonomy::leaf& leaf, const leaf_rows& from, const pipeline& p, std::uint64_t seed)
        : leaf_(leaf), from_(from), pipeline_(p), seed_(seed) {}

    /// A sample of each row, refused where question or answer are empty.
    [[nodiscard]] std::vector<candidate> samples(const pipeline_result& made) {
        std::vector<candidate> out;
        for (const auto& r : made.rows.rows()) {
            const cell values = made.rows.object(r);
            candidate c = start(r.origin, values);
            const auto maker = made.report.made_by.find(values.contains("response") ? "response" : "output");
            if (maker != made.report.made_by.end()) c.provenance["block"] = maker->second;
            c.question = question_in(values);
            c.answer = answer_in(values);
            if (leaf_.kind == taxonomy::root::knowledge && c.context.empty())
                c.refuse("sample", "the row has no document");
            else if (c.question.empty())
                c.refuse("sample", values.contains("question") ? "the question is empty"
                                                               : "the output has no question mark to cut it at");
            else if (c.answer.empty())
                c.refuse("sample", "the answer is empty");
            out.push_back(std::move(c));
        }
        add_auxiliary(made, out);
        return out;
    }
    /// What a block dropped.
    [[nodiscard]] candidate refused(const dropped_row& d) {
        candidate c = start(d.origin, d.values);
        c.question = question_in(d.values);
        c.answer = answer_in(d.values);
        c.provenance["kind"] = d.kind;
        c.refuse(d.block, d.reason);
        return c;
    }

private:
    [[nodiscard]] static std::string text_in(const cell& values, const char* column) {
        const auto at = values.find(column);
        return at != values.end() && at->is_string() ? stripped(at->get_ref<const std::string&>()) : std::string();
    }
    [[nodiscard]] static std::string question_in(const cell& values) {
        if (values.contains("question")) return text_in(values, "question");
        const std::string output = text_in(values, "output");
        const auto mark = output.find('?');
        return mark == output.npos ? std::string() : stripped(std::string_view(output).substr(0, mark)) + "?";
    }
    [[nodiscard]] static std::string answer_in(const cell& values) {
        if (values.contains("response")) return text_in(values, "response");
        const std::string output = text_in(values, "output");
        const auto mark = output.find('?');
        return mark == output.npos ? output : stripped(std::string_view(output).substr(mark + 1));
    }
    /// The row's source, the pipeline, and what blocks added to the row besides question and answer.
    [[nodiscard]] candidate start(std::size_t origin, const cell& values) {
        candidate c;
        c.origin = "pipeline";
        c.number = next_++;
        if (leaf_.kind == taxonomy::root::knowledge) c.context = text_in(values, "document");
        if (origin < from_.sources.size()) c.provenance = from_.sources[origin];
        c.provenance["row"] = origin;
        c.provenance["pipeline"] = pipeline_.name;
        c.provenance["pipeline_sha256"] = pipeline_.sha256;
        json columns = json::object();
        for (const auto& [column, value] : values.items()) {
            if (column == "question" || column == "response" || column == "output" || seeded(origin, column, value))
                continue;
            columns[column] = json::parse(value.dump(-1, ' ', false, cell::error_handler_t::replace));
        }
        if (!columns.empty()) c.provenance["columns"] = std::move(columns);
        return c;
    }
    /// Whether the row that it comes from says so already, in this column or, as its document, in another one.
    [[nodiscard]] bool seeded(std::size_t origin, const std::string& column, const cell& value) const {
        if (origin >= from_.rows.size()) return false;
        const row& r = from_.rows.rows()[origin];
        const auto same = from_.rows.find(column), document = from_.rows.find("document");
        return (same && r.cells[*same] == value) || (document && r.cells[*document] == value);
    }
    /// `auxiliary_instructions`: the views of a document as answers to being asked for them, each view once.
    void add_auxiliary(const pipeline_result& made, std::vector<candidate>& out) {
        const auto type = made.rows.find("dataset_type"), raw = made.rows.find("raw_document"),
                   view = made.rows.find("document");
        if (pipeline_.auxiliary.empty() || !type || !raw || !view) return;
        std::set<cell> seen;
        for (const auto& r : made.rows.rows()) {
            const cell &kind = r.cells[*type], &document = r.cells[*view], &source = r.cells[*raw];
            if (!kind.is_string() || !document.is_string() || !source.is_string()) continue;
            const auto list = pipeline_.auxiliary.find(kind.get<std::string>());
            if (list == pipeline_.auxiliary.end() || list->second.empty() || !seen.insert(document).second) continue;
            counter_rng rng(seed_, hash64(document.get_ref<const std::string&>(), hash64(leaf_.id)));
            candidate c = start(r.origin, made.rows.object(r));
            c.origin = "auxiliary";
            c.provenance["columns"] = {{"dataset_type", kind.get<std::string>()}};
            c.question = source.get<std::string>() + "\n\n" + list->second[rng.below(list->second.size())];
            c.answer = stripped(document.get_ref<const std::string&>());
            if (c.answer.empty()) c.refuse("sample", "the answer is empty");
            out.push_back(std::move(c));
        }
    }

    const taxonomy::leaf& leaf_;
    const leaf_rows& from_;
    const pipeline& pipeline_;
    std::uint64_t seed_;
    std::uint64_t next_ = 0;
};

}  // namespace lab::sdg::blocks
