// A known chat format as a Jinja template, for the files of a model that was trained in it: transformers, llama.cpp and
// template_format.hpp then render what text::render does.
#pragma once

#include <string>
#include <string_view>

#include "lab/text/chat_format.hpp"

namespace lab::text {

/// The template of a pattern. Messages of other roles than system, user and assistant are left out by it.
[[nodiscard]] inline std::string template_of(const chat_pattern& p) {
    const auto literal = [](std::string_view text) {
        std::string out = "'";
        for (const char c : text) {
            if (c == '\'' || c == '\\') out += '\\';
            out += c == '\n' ? "\\n" : std::string(1, c);
        }
        return out + "'";
    };
    const auto print = [&](std::string_view text) { return text.empty() ? "" : "{{ " + literal(text) + " }}"; };
    const std::string fit = p.trim ? " | trim" : "";
    const std::string content = "{{ message['content']" + fit + " }}";
    std::string out = print(p.bos) + "{% set ns = namespace(system='', waits=false) %}";

    if (!p.default_system.empty()) {
        out += "{% if not messages or messages[0]['role'] != 'system' %}";
        if (p.system_in_user)
            out += "{% set ns.system = " + literal(p.default_system) + " %}{% set ns.waits = true %}";
        else
            out += print(p.system.before) + print(p.default_system) + print(p.system.end) + print(p.system.after);
        out += "{% endif %}";
    }
    out += "{% for message in messages %}{% if message['role'] == 'system' %}";
    if (p.system_in_user)
        out += "{% set ns.system = message['content']" + fit + " %}{% set ns.waits = true %}";
    else
        out += print(p.system.before) + content + print(p.system.end) + print(p.system.after);
    out += "{% elif message['role'] == 'user' %}" + print(p.user.before);
    if (p.system_in_user)
        out += "{% if ns.waits %}" + print(p.system.before) + "{{ ns.system }}" + print(p.system.end) +
               "{% set ns.waits = false %}{% endif %}";
    out += print(p.user.lead) + content + print(p.user.end) + print(p.user.after);
    out += "{% elif message['role'] == 'assistant' %}" + print(p.assistant.before) + print(p.assistant.lead) + content +
           print(p.assistant.end);
    if (!p.assistant.after.empty())
        out += p.after_last
                   ? print(p.assistant.after)
                   : "{% if not loop.last or add_generation_prompt %}" + print(p.assistant.after) + "{% endif %}";
    out += "{% endif %}{% endfor %}";
    if (!p.assistant.before.empty())
        out += "{% if add_generation_prompt %}" + print(p.assistant.before) + "{% endif %}";
    return out;
}

/// The pattern of a format that chat_format_by_name knows. @throws config_error
[[nodiscard]] inline const chat_pattern& chat_pattern_by_name(std::string_view name) {
    for (const auto* pattern : patterns::all)
        if (pattern->name == name) return *pattern;
    throw config_error("no chat format is called \"" + std::string(name) + "\"");
}

}  // namespace lab::text
