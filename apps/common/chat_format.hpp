// Which chat format a model speaks: the one named on the command line, else the one its own template is known to be.
#pragma once

#include <string>
#include <string_view>

#include "lab/core/error.hpp"
#include "lab/text/chat_format.hpp"
#include "lab/tokenizer/tokenizer.hpp"

namespace lab::apps {

/// @throws config_error where no name is given and the model's template is missing or of no known kind; also where the
/// tokenizer lacks one of the format's control tokens.
[[nodiscard]] inline text::any_chat_format chat_format_of(std::string name, const tokenizer::tokenizer& tokens) {
    const std::string_view own = tokens.chat_template();
    const auto has = [&](std::string_view part) { return own.find(part) != std::string_view::npos; };
    if (name.empty()) {
        if (has("<|im_start|>"))
            name = has("named SmolLM") ? "smollm2" : "chatml";
        else if (has("<|user|>"))
            name = has("<|endoftext|>") ? "granite_lab" : "zephyr";
        else if (has("[INST]"))
            name = has("<<SYS>>") ? "llama2" : "mistral";
        else if (has("USER:"))
            name = "vicuna";
    }
    if (name.empty()) {
        std::string known;
        for (const auto& each : text::chat_format_names()) known += (known.empty() ? "" : ", ") + each;
        throw config_error(std::string(own.empty() ? "the model has no chat template"
                                                   : "the model's chat template is of no known kind") +
                           " (name a format with --format: " + known + ")");
    }
    auto format = text::chat_format_by_name(name);
    for (const auto& special : format.special_tokens())
        if (const auto id = tokens.find(special); !id || !tokens.is_special(*id))
            throw config_error("the model's tokenizer has no control token " + special + ", which the chat format " +
                               name + " needs (choose another with --format)");
    return format;
}

}  // namespace lab::apps
