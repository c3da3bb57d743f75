// Which chat format a model speaks: the one named; else the known format that says the same as the checkpoint's own
// template; else that template itself; else, where the template uses what the Jinja subset lacks, the known format that
// it resembles.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/text/chat_format.hpp"
#include "lab/text/template_format.hpp"

namespace lab::text {

namespace choose_detail {

/// The known format whose marks stand in a template; empty: none.
[[nodiscard]] inline std::string_view resembling(std::string_view own) {
    const auto has = [&](std::string_view part) { return own.find(part) != std::string_view::npos; };
    if (has("<|im_start|>")) return has("named SmolLM") ? "smollm2" : "chatml";
    if (has("<|user|>")) return has("<|endoftext|>") ? "granite_lab" : "zephyr";
    if (has("[INST]")) return has("<<SYS>>") ? "llama2" : "mistral";
    if (has("USER:")) return "vicuna";
    return {};
}

/// Whether two formats write the same text, with a system message and without, before an answer and after it.
template <ChatFormat A, ChatFormat B>
[[nodiscard]] bool same_text(const A& a, const B& b) {
    const messages chat{{"system", "Be brief."}, {"user", "Why?"}, {"assistant", "So."}, {"user", "And then?"}};
    for (const std::size_t first : {std::size_t{0}, std::size_t{1}})
        for (const std::size_t last : {std::size_t{3}, std::size_t{4}}) {
            const auto part = std::span(chat).subspan(first, last - first);
            const render_options options{.add_generation_prompt = last == 4};
            if (to_string(a.render(part, options)) != to_string(b.render(part, options))) return false;
        }
    return true;
}

}  // namespace choose_detail

/// @throws config_error where no name is given and the model's template is missing or of no known kind; also where the
/// tokenizer lacks one of the format's control tokens.
template <class Tokenizer>
[[nodiscard]] any_chat_format chat_format_of(const std::string& name, const Tokenizer& tokens) {
    std::string chosen = name;
    const std::string_view own = tokens.chat_template();
    if (name.empty()) {
        chosen = choose_detail::resembling(own);
        if (!own.empty()) try {
                auto format = checkpoint_format(tokens);
                (void)format.render(messages{{"user", "Why?"}}, {.add_generation_prompt = true});
                bool same = false;
                if (!chosen.empty()) try {
                        same = choose_detail::same_text(chat_format_by_name(chosen), format);
                    } catch (const error&) {  // a template that refuses system messages, for one
                    }
                if (!same) return format;
            } catch (const format_error&) {  // it uses what the Jinja subset lacks
            }
    }
    if (chosen.empty()) {
        std::string known;
        for (const auto& each : chat_format_names()) known += (known.empty() ? "" : ", ") + each;
        throw config_error(std::string(own.empty() ? "the model has no chat template"
                                                   : "the model's chat template is of no known kind") +
                           " (name a format with --format: " + known + ")");
    }
    auto format = chat_format_by_name(chosen);
    for (const auto& special : format.special_tokens())
        if (const auto id = tokens.find(special); !id || !tokens.is_special(*id))
            throw config_error("the model's tokenizer has no control token " + special + ", which the chat format " +
                               chosen + " needs (choose another with --format)");
    return format;
}

}  // namespace lab::text
