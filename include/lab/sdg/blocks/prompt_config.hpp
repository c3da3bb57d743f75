// The prompt of an LLM block, as InstructLab's config files have it: `system`, `introduction`, `principles`,
// `examples`, `generation`, joined by line breaks into one Jinja template over a row's columns; `start_tags` and
// `end_tags` for its parser. Rendered as jinja2 does by itself (no trimming, what is undefined is a fault). And the
// wrapping of a prompt for a family of models, where it is sent as it is.
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/sdg/blocks/config_reader.hpp"
#include "lab/text/jinja/from_json.hpp"
#include "lab/text/jinja/template.hpp"

namespace lab::sdg::blocks {

namespace jinja = text::jinja;

/// A Jinja template as a plain jinja2 environment with StrictUndefined reads it.
class prompt_template {
public:
    /// @throws format_error for a template that does not parse
    explicit prompt_template(const std::string& source)
        : program_(std::make_shared<const jinja::compiled>(
              source, jinja::syntax_options{.trim_blocks = false, .lstrip_blocks = false})) {}
    /// White space at both ends removed. @throws format_error where a variable is not there
    [[nodiscard]] std::string render(jinja::dict_data variables) const {
        jinja::jinja_options options;
        options.strict_undefined = true;
        return stripped(program_->render(jinja::value(std::move(variables)), options));
    }

private:
    std::shared_ptr<const jinja::compiled> program_;
};

struct prompt_config {
    prompt_template prompt{""};
    std::vector<std::string> start_tags{}, end_tags{};

    static constexpr std::array sections{"system", "introduction", "principles", "examples", "generation"};

    /// @throws config_fault for a section that is missing, text that is none, a template that does not parse
    [[nodiscard]] static prompt_config read(const yaml_file& file, config_reader::shared& common) {
        config_reader config(file, file.top(), "prompt", common);
        prompt_config out;
        std::string source;
        for (const char* name : sections) {
            const auto& value = config.at(name);
            if (name != sections.front()) source += "\n";
            if (value.kind != yaml::type::null) source += config.text(name);
        }
        out.start_tags = config.optional_texts("start_tags").value_or(std::vector<std::string>{});
        out.end_tags = config.optional_texts("end_tags").value_or(std::vector<std::string>{});
        try {
            out.prompt = prompt_template(source);
        } catch (const format_error& fault) {
            config.fail(config.node(),
                        std::string("the five sections together are no Jinja template: ") + fault.what());
        }
        try {
            config.done();
        } catch (const config_fault& unknown) {  // InstructLab takes no notice of further keys
            common.warnings.push_back(unknown.where);
            common.warnings.back().severity = taxonomy::severity_level::warning;
        }
        return out;
    }
};

/// A row's columns as variables of a template.
[[nodiscard]] inline jinja::dict_data variables_of(const table& rows, const row& r) {
    jinja::dict_data out;
    out.entries.reserve(r.cells.size());
    for (std::size_t c = 0; c < r.cells.size(); ++c)
        out.entries.emplace_back(rows.columns()[c], jinja::from_json(r.cells[c]));
    return out;
}

/// How InstructLab wraps one prompt for the families of models that it knows.
inline constexpr std::array<std::pair<std::string_view, std::string_view>, 6> known_families{{
    {"blank", "{{ prompt }}"},
    {"granite", "<|user|>\n{{ prompt }}\n<|assistant|>\n"},
    {"merlinite", "<|user|>\n{{ prompt }}\n<|assistant|>\n"},
    {"mistral", "<s> [INST] {{ prompt }} [/INST]"},
    {"mixtral", "<s> [INST] {{ prompt }} [/INST]"},
    {"llama",
     "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n"
     "Today Date: 26 Jul 2024\n\n<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n"
     "{{ prompt | trim }}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"},
}};

/// The template of a family, or nothing where it is not known. `more` comes first.
[[nodiscard]] inline std::optional<std::string> family_template(std::string_view family,
                                                                const std::map<std::string, std::string>& more) {
    if (const auto own = more.find(std::string(family)); own != more.end()) return own->second;
    for (const auto& [name, source] : known_families)
        if (name == family) return std::string(source);
    return std::nullopt;
}

/// The family named; else the one that the model's file name begins with; else merlinite, as InstructLab has it.
/// @throws config_error for a name that is not known
[[nodiscard]] inline std::string family_of(const std::string& named, const std::string& model,
                                           const std::map<std::string, std::string>& more) {
    if (!named.empty()) {
        if (!family_template(named, more)) {
            std::string list;
            for (const auto& [name, source] : known_families) list += (list.empty() ? "" : ", ") + std::string(name);
            throw config_error("no model family is called " + formats::quote(named) + " (known: " + list + ")");
        }
        return named;
    }
    const auto slash = model.find_last_of('/');
    std::string guess;
    for (const char c : std::string_view(model).substr(slash == std::string::npos ? 0 : slash + 1)) {
        if (c != '_' && !(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z')) break;
        guess += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    return family_template(guess, more) ? guess : "merlinite";
}

/// `prompt` wrapped by a template of `prompt`, `messages` (one user's message) and `add_generation_prompt`.
[[nodiscard]] inline std::string wrapped(const prompt_template& wrapping, const std::string& prompt) {
    jinja::dict_data message, variables;
    message.entries = {{"role", "user"}, {"content", prompt}};
    variables.entries = {{"messages", jinja::list_data{jinja::value(std::move(message))}},
                         {"prompt", prompt},
                         {"add_generation_prompt", true}};
    return wrapping.render(std::move(variables));
}

}  // namespace lab::sdg::blocks
