// Measuring a model with held-out questions and plain text: a row of the forgetting matrix. What a training run does
// before it begins and after every phase, and lab-eval on request.
#pragma once

#include <algorithm>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/file.hpp"
#include "lab/core/sha256.hpp"
#include "lab/eval/forgetting.hpp"
#include "lab/eval/question.hpp"
#include "lab/eval/window_scorer.hpp"
#include "lab/formats/json.hpp"
#include "lab/infer/engine.hpp"
#include "lab/infer/teacher.hpp"
#include "lab/nn/any_model.hpp"
#include "lab/text/chat_format.hpp"
#include "lab/tokenizer/tokenizer.hpp"

namespace lab::run {

struct measure_event {
    std::string_view row;   // which state of the model is measured
    std::string_view unit;  // "questions" or "windows"
    std::size_t done = 0, total = 0;
};
/// A stop was heard while a model was measured.
struct stop_heard : error {
    using error::error;
};
using measure_observer = std::function<void(const measure_event&)>;  // what it throws ends the measuring

struct measuring {
    std::vector<eval::question> questions{};
    eval::qa_options qa{};                                          // its `progress` is not used
    std::vector<token> text{};                                      // plain text for perplexity; empty: none
    std::size_t context = 256;                                      // of its windows
    std::size_t cache_bytes = infer::engine_options{}.cache_bytes;  // of the engine that answers
    measure_observer progress{};
};

[[nodiscard]] inline formats::json to_json(std::span<const eval::question> questions) {
    formats::json all = formats::json::array();
    for (const auto& q : questions)
        all.push_back({q.id, q.leaf, q.context, q.phrasings, q.answer, q.aliases, q.distractors});
    return all;
}
/// What is asked and read, as a checksum: rows of one matrix have the same.
[[nodiscard]] inline std::string digest_of(const measuring& what) {
    const auto bytes = std::as_bytes(std::span(what.text));
    return sha256_hex(
        formats::to_text({{"questions", to_json(what.questions)},
                          {"phrasings", what.qa.max_phrasings},
                          {"text", sha256_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()})},
                          {"context", what.context}}));
}

/// Plain text as tokens.
[[nodiscard]] inline std::vector<token> read_text_tokens(const std::filesystem::path& path,
                                                         const tokenizer::tokenizer& tokens) {
    return tokens.encode(read_file(path), {.add_bos = tokens.adds_bos()});
}

[[nodiscard]] inline eval::perplexity_result measure_text(const nn::any_model& model,
                                                          const tokenizer::tokenizer& tokens, const measuring& what,
                                                          std::string_view row) {
    eval::model_window_scorer scorer(model);
    return eval::perplexity(scorer, what.text,
                            {.context = what.context,
                             .bos = tokens.adds_bos() ? tokens.bos() : no_token,
                             .progress = [&](std::size_t done, std::size_t total) {
                                 if (what.progress) what.progress({row, "windows", done, total});
                             }});
}

[[nodiscard]] inline std::vector<eval::qa_item> measure_answers(const nn::any_model& model,
                                                                const tokenizer::tokenizer& tokens,
                                                                const text::any_chat_format& format,
                                                                const measuring& what, std::string_view row) {
    // Of its own: kept prefixes of other weights must not be used.
    infer::engine engine(model, tokens, {.cache_bytes = what.cache_bytes});
    infer::local_teacher teacher(engine, format, model.info().source.string());
    auto options = what.qa;
    options.progress = [&](std::size_t done, std::size_t total) {
        if (what.progress) what.progress({row, "questions", done, total});
    };
    std::size_t items = 0;
    for (const auto& q : what.questions)
        items += options.max_phrasings == 0 ? q.phrasings.size() : std::min(options.max_phrasings, q.phrasings.size());
    options.progress(0, items);
    return eval::ask_all(teacher, what.questions, options);
}

/// One row of the forgetting matrix.
[[nodiscard]] inline eval::matrix_row measure(const nn::any_model& model, const tokenizer::tokenizer& tokens,
                                              const text::any_chat_format& format, const measuring& what,
                                              std::string name) {
    eval::matrix_row row{std::move(name), {}, {}};
    row.items = measure_answers(model, tokens, format, what, row.name);
    if (!what.text.empty()) row.text = measure_text(model, tokens, what, row.name);
    return row;
}

}  // namespace lab::run
