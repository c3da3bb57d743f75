// LLMBlock, ConditionalLLMBlock and LLMLogProbBlock: a prompt for every row, n answers to each, parsed into columns.
// LLMMessagesBlock: a row's conversation as it is, the answer as it is. A row whose prompt lacks a variable, that the
// teacher cannot take, or whose answer has none of the tags is dropped with the reason. Prompts of many rows go to the
// teacher together; answers do not depend on which.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/sdg/blocks/generation_options.hpp"
#include "lab/sdg/blocks/output_parser.hpp"
#include "lab/sdg/request_json.hpp"

namespace lab::sdg::blocks {

struct llm_block {
    static constexpr std::string_view type = "LLMBlock";

    std::map<std::string, prompt_config> prompts{};  // by the selector column's value; "": the only one
    std::string selector{};                          // "": rows do not choose
    output_parser parser{};
    generation_options generation{};
    std::optional<std::string> model_prompt{};  // Jinja template around the prompt; "": the prompt alone
    std::string model_family{};
    bool bare = false;   // never wrapped for a family, as InstructLab leaves conditional prompts
    cell num_samples{};  // a column of this value is added where the rows have none

    [[nodiscard]] static llm_block read(config_reader& config) {
        llm_block out;
        const auto name = config.text("config_path");
        const auto file = config.open(config.at("config_path"), name);
        out.read_rest(config, out.prompts.emplace("", prompt_config::read(file, config.common())).first->second);
        return out;
    }
    void read_rest(config_reader& config, const prompt_config& first) {
        parser = read_parser(config, first);
        generation = read_generation(config);
        model_prompt = config.optional_text("model_prompt");
        model_family = config.optional_text("model_family").value_or("");
        try {
            (void)family_of(model_family, "", config.common().families);
        } catch (const config_error& fault) {
            config.fail("model_family", fault.what());
        }
        if (model_prompt) try {
                (void)prompt_template(*model_prompt);
            } catch (const format_error& fault) {
                config.fail("model_prompt", std::string("is no Jinja template: ") + fault.what());
            }
        if (auto batch = config.optional_mapping("batch_kwargs")) {  // its other keys tune InstructLab's batches
            if (batch->optional_real("num_samples")) num_samples = batch->value("num_samples");
        }
    }

    [[nodiscard]] table operator()(block_run& run, table rows) const {
        if (!num_samples.is_null() && !rows.find("num_samples")) {
            const std::size_t c = rows.add_column("num_samples");
            for (auto& r : rows.rows()) r.cells[c] = num_samples;
        }
        table out = rows.like();
        std::vector<std::size_t> places;
        for (std::size_t c = 0; c < parser.filled(); ++c) places.push_back(out.put_column(parser.columns[c]));
        if (prompts.empty() || places.empty())
            throw config_error(std::string(type) + ": needs a prompt, and columns with tags or a pattern");
        const wrapping way = wrapping_of(run);
        for (std::size_t next = 0; next < rows.size();) {
            std::vector<text::request> requests;
            std::vector<std::size_t> asked;  // row of each prompt
            for (std::size_t bytes = 0; next < rows.size() && bytes < most_bytes && requests.size() < most_requests;
                 ++next)
                if (auto prompt = prompt_of(run, rows, rows.rows()[next])) {
                    asked.push_back(next);
                    bytes += add_requests(run, way, std::move(*prompt), requests);
                }
            const auto replies = run.ask(requests, generation.model);
            const std::size_t answers = asked.empty() ? 0 : replies.size() / asked.size();  // of one prompt
            const std::size_t wanted = generation.draws(run.options());
            for (std::size_t a = 0; a < asked.size(); ++a)
                for (std::size_t draw = 0; draw < wanted; ++draw)
                    take(run, rows, rows.rows()[asked[a]], replies[a * answers + draw % answers], places, out);
        }
        return out;
    }

private:
    static constexpr std::size_t most_bytes = std::size_t{16} << 20, most_requests = 4096;  // of one call

    /// How prompts are sent in this run.
    struct wrapping {
        bool raw = false;
        std::optional<prompt_template> around{};
    };
    [[nodiscard]] wrapping wrapping_of(block_run& run) const {
        const auto& options = run.options();
        const bool by_file = model_prompt.has_value() && !bare;
        if (options.form == prompt_form::chat && !by_file) return {};
        if (!run.takes_raw(generation.model)) {
            run.note(by_file ? "the teacher takes no prompt as it is: its own chat format stands in for model_prompt"
                             : "the teacher takes no prompt as it is: its own chat format stands in for the family's");
            return {};
        }
        wrapping out{true, {}};
        if (bare) return out;
        if (model_prompt) {
            if (!model_prompt->empty()) out.around.emplace(*model_prompt);
            return out;
        }
        const auto family = family_of(options.model_family.empty() ? model_family : options.model_family,
                                      generation.model, options.families);
        out.around.emplace(*family_template(family, options.families));
        return out;
    }

    [[nodiscard]] std::optional<std::string> prompt_of(block_run& run, const table& rows, const row& r) const {
        const prompt_config* config = &prompts.begin()->second;
        if (!selector.empty()) {
            const auto column = rows.find(selector);
            const cell* value = column ? &r.cells[*column] : nullptr;
            const auto at =
                value != nullptr && value->is_string() ? prompts.find(value->get<std::string>()) : prompts.end();
            if (at == prompts.end()) {
                run.drop(rows, r, "no prompt for it",
                         column ? selector + " is " + shown(*value) + ", for which there is no prompt"
                                : "there is no column " + formats::quote(selector) + " to choose the prompt by");
                return std::nullopt;
            }
            config = &at->second;
        }
        try {
            return config->prompt.render(variables_of(rows, r));
        } catch (const error& fault) {
            run.drop(rows, r, "prompt not filled", std::string("the prompt cannot be filled: ") + fault.what());
            return std::nullopt;
        }
    }

    /// @return bytes added
    std::size_t add_requests(block_run& run, const wrapping& way, std::string prompt,
                             std::vector<text::request>& requests) const {
        const std::size_t repeat = run.repeat_of(prompt);
        if (way.around) prompt = wrapped(*way.around, prompt);
        // Greedy answers to one prompt are equal: one is asked for.
        const std::size_t draws = generation.sampling.temperature > 0 ? generation.draws(run.options()) : 1;
        for (std::size_t draw = 0; draw < draws; ++draw) {
            auto request = generation.request(run, {{"user", prompt}}, repeat, draw);
            request.raw = way.raw;
            if (run.block() == "gen_knowledge" && run.options().max_num_tokens != 4096)
                request.max_tokens = run.options().max_num_tokens;
            requests.push_back(std::move(request));
        }
        return draws * prompt.size();
    }

    void take(block_run& run, const table& rows, const row& r, const reply& said,
              const std::vector<std::size_t>& places, table& out) const {
        if (!said.refused.empty()) return run.drop(rows, r, "refused by the teacher", said.refused);
        const std::string answer = stripped(clean_utf8(said.answer.text));
        std::vector<std::vector<cell>> lists;
        try {
            lists = parser(answer);
        } catch (const config_error& fault) {
            return run.drop(rows, r, "not parsed", fault.what(), {{"teacher_said", answer}});
        }
        std::size_t shortest = lists.front().size(), empty = 0;
        for (std::size_t c = 0; c < lists.size(); ++c)
            if (lists[c].size() < shortest) shortest = lists[empty = c].size();
        if (shortest == 0)
            return run.drop(rows, r, "not parsed",
                            "the answer holds nothing for column " + formats::quote(parser.columns[empty]) +
                                (parser.custom ? " (the pattern matches nowhere)"
                                               : " (no text between " + formats::quote(parser.start_tags[empty]) +
                                                     " and " + formats::quote(parser.end_tags[empty]) + ")"),
                            {{"teacher_said", answer}});
        for (std::size_t i = 0; i < shortest; ++i) {
            row made{r.cells, r.origin};
            made.cells.resize(out.columns().size());
            for (std::size_t c = 0; c < lists.size(); ++c) made.cells[places[c]] = std::move(lists[c][i]);
            out.add(std::move(made));
        }
        for (std::size_t c = 0; c < lists.size(); ++c) {
            if (lists[c].size() == shortest) continue;
            const cell rest(
                std::vector<cell>(lists[c].begin() + static_cast<std::ptrdiff_t>(shortest), lists[c].end()));
            run.drop(
                rows, r, "left over",
                "the answer has more values for column " + formats::quote(parser.columns[c]) + " than for the others",
                {{"left_over", rest}});
        }
    }
};

/// The prompt is chosen by a column. `config_paths` are pairs of a file and that column's value; one pair with "All" is
/// for every row. Tags are those of the first file.
struct conditional_llm_block : llm_block {
    static constexpr std::string_view type = "ConditionalLLMBlock";

    [[nodiscard]] static conditional_llm_block read(config_reader& config) {
        conditional_llm_block out;
        const auto pairs = config.items("config_paths");
        if (pairs.empty()) config.fail("config_paths", "needs at least one entry");
        std::optional<prompt_config> first;
        const std::string selector = config.text("selector_column_name");
        for (const auto* pair : pairs) {
            const auto parts = config.texts_of(*pair, "config_paths");
            if (parts.size() != 2) config.fail(*pair, "config_paths: each entry is a file and a value of the selector");
            auto prompt = prompt_config::read(config.open(*pair, parts[0]), config.common());
            if (!first) first = prompt;
            const bool all = pairs.size() == 1 && parts[1] == "All";
            out.prompts.insert_or_assign(all ? "" : parts[1], std::move(prompt));
            if (!all) out.selector = selector;
        }
        out.bare = true;
        out.read_rest(config, *first);
        return out;
    }
};

/// InstructLab's block of this name does what LLMBlock does: its reading of log-probabilities is commented out.
struct llm_logprob_block : llm_block {
    static constexpr std::string_view type = "LLMLogProbBlock";
    [[nodiscard]] static llm_logprob_block read(config_reader& config) { return {llm_block::read(config)}; }
};

/// A column of conversations, [{"role": ..., "content": ...}, ...], is put to the teacher; the answer becomes a column,
/// or the list of answers where n is above 1. Nothing is parsed or trimmed.
struct llm_messages_block {
    static constexpr std::string_view type = "LLMMessagesBlock";

    std::string input{}, output{};
    generation_options generation{};

    [[nodiscard]] static llm_messages_block read(config_reader& config) {
        llm_messages_block out;
        out.input = config.text("input_col");
        out.output = config.text("output_col");
        out.generation = read_generation(config);
        if (out.generation.n > 1 && out.generation.sampling.temperature <= 0) {
            out.generation.sampling.temperature = 0.7f;
            config.warn("gen_kwargs",
                        "asks for several answers at temperature 0, which would be equal: it is set to "
                        "0.7, as InstructLab does");
        }
        return out;
    }

    [[nodiscard]] table operator()(block_run& run, table rows) const {
        const std::size_t from = rows.at(input);
        table out = rows.like();
        out.add_column(output);
        const std::size_t draws = generation.draws(run.options());
        for (std::size_t next = 0; next < rows.size();) {
            std::vector<text::request> requests;
            std::vector<std::size_t> asked;
            for (; next < rows.size() && requests.size() < most_requests; ++next) {
                auto conversation = messages_of(rows.rows()[next].cells[from]);
                if (!conversation) {
                    run.drop(
                        rows, rows.rows()[next], "no conversation",
                        input + " is " + shown(rows.rows()[next].cells[from]) + ", no list of {\"role\", \"content\"}");
                    continue;
                }
                const std::size_t repeat = run.repeat_of(formats::to_text(to_json(*conversation)));
                for (std::size_t draw = 0; draw < draws; ++draw)
                    requests.push_back(generation.request(run, *conversation, repeat, draw));
                asked.push_back(next);
            }
            const auto replies = run.ask(requests, generation.model);
            for (std::size_t a = 0; a < asked.size(); ++a)
                take(run, rows, rows.rows()[asked[a]], std::span(replies).subspan(a * draws, draws), out);
        }
        return out;
    }

private:
    static constexpr std::size_t most_requests = 1024;  // of one call

    [[nodiscard]] static std::optional<text::messages> messages_of(const cell& value) {
        if (!value.is_array() || value.empty()) return std::nullopt;
        text::messages out;
        for (const auto& m : value) {
            if (!m.is_object() || !m.contains("role") || !m["role"].is_string() || !m.contains("content") ||
                !m["content"].is_string())
                return std::nullopt;
            out.push_back({m["role"].get<std::string>(), m["content"].get<std::string>()});
        }
        return out;
    }
    static void take(block_run& run, const table& rows, const row& r, std::span<const reply> said, table& out) {
        cell answers = cell::array();
        for (const auto& one : said) {
            if (!one.refused.empty()) return run.drop(rows, r, "refused by the teacher", one.refused);
            answers.push_back(clean_utf8(one.answer.text));
        }
        row made{r.cells, r.origin};
        made.cells.push_back(said.size() == 1 ? answers[0] : std::move(answers));
        out.add(std::move(made));
    }
};

}  // namespace lab::sdg::blocks
