// Measuring a model with held-out questions and plain text: what lab-train does after every phase, and lab-eval on
// request.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/progress.hpp"
#include "lab/core/file.hpp"
#include "lab/eval/forgetting.hpp"
#include "lab/eval/window_scorer.hpp"
#include "lab/infer/engine.hpp"
#include "lab/infer/teacher.hpp"
#include "lab/nn/any_model.hpp"
#include "lab/text/chat_format.hpp"
#include "lab/tokenizer/tokenizer.hpp"

namespace lab::apps {

struct measuring {
    std::vector<eval::question> questions{};
    eval::qa_options qa{};
    std::vector<token> text{};  // plain text for perplexity; empty: none
    std::size_t context = 256;  // of its windows
    progress::style style = progress::style::automatic;
};

/// Plain text as tokens.
[[nodiscard]] inline std::vector<token> read_text_tokens(const std::filesystem::path& path,
                                                         const tokenizer::tokenizer& tokens) {
    return tokens.encode(read_file(path), {.add_bos = tokens.adds_bos()});
}

[[nodiscard]] inline eval::perplexity_result measure_text(const nn::any_model& model,
                                                          const tokenizer::tokenizer& tokens, const measuring& what,
                                                          std::string title) {
    progress shown(std::move(title), 0, "windows of text", what.style);
    eval::model_window_scorer scorer(model);
    return eval::perplexity(scorer, what.text,
                            {.context = what.context,
                             .bos = tokens.adds_bos() ? tokens.bos() : no_token,
                             .progress = [&](std::size_t done, std::size_t) { shown.update(done); }});
}

[[nodiscard]] inline std::vector<eval::qa_item> measure_answers(const nn::any_model& model,
                                                                const tokenizer::tokenizer& tokens,
                                                                const text::any_chat_format& format,
                                                                const measuring& what, std::string title) {
    infer::engine engine(model, tokens);  // of its own: kept prefixes of other weights must not be used
    infer::local_teacher teacher(engine, format, model.info().source.string());
    std::size_t items = 0;
    for (const auto& q : what.questions)
        items += what.qa.max_phrasings == 0 ? q.phrasings.size() : std::min(what.qa.max_phrasings, q.phrasings.size());
    progress shown(std::move(title), items, "questions", what.style);
    auto options = what.qa;
    options.progress = [&](std::size_t done, std::size_t) { shown.update(done); };
    return eval::ask_all(teacher, what.questions, options);
}

/// One row of the forgetting matrix.
[[nodiscard]] inline eval::matrix_row measure(const nn::any_model& model, const tokenizer::tokenizer& tokens,
                                              const text::any_chat_format& format, const measuring& what,
                                              std::string name) {
    eval::matrix_row row{name, measure_answers(model, tokens, format, what, "asking (" + name + ")"), {}};
    if (!what.text.empty()) row.text = measure_text(model, tokens, what, "reading (" + name + ")");
    return row;
}

/// The matrix that a lab-train run left in its folder. @throws io_error, format_error
[[nodiscard]] inline eval::forgetting_matrix stored_matrix(const std::filesystem::path& run) {
    const auto read = [](const std::filesystem::path& path) {
        return formats::parse_json(read_file(path), path.string());
    };
    const std::string place = (run / "forgetting.json").string();
    eval::forgetting_matrix matrix;
    for (const auto& c : formats::field<std::vector<formats::json>>(read(place), "columns", place)) {
        const auto name = formats::field<std::string>(c, "name", place);
        const auto kind = replay::parse_kind(name);
        if (!kind) throw format_error(explain(place, "column '" + name + "' is no kind of question"));
        matrix.columns.push_back({name, *kind, formats::optional_field<std::size_t>(c, "learnt_after_row", place)});
    }
    std::map<std::size_t, std::filesystem::path> rows;  // files are called <number>-<name>.json
    for (const auto& entry : std::filesystem::directory_iterator(run / "eval"))
        rows.emplace(std::strtoul(entry.path().filename().c_str(), nullptr, 10), entry.path());
    for (const auto& [number, path] : rows) matrix.rows.push_back(eval::matrix_row_from(read(path), path.string()));
    return matrix;
}

}  // namespace lab::apps
