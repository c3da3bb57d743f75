// Text inside HTML: what has a meaning there is written as an entity. For pages that lab writes; reads nothing.
#pragma once

#include <string>
#include <string_view>

namespace lab::formats {

/// For element content and for attributes in double quotes.
[[nodiscard]] inline std::string escape_html(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        if (c == '&')
            out += "&amp;";
        else if (c == '<')
            out += "&lt;";
        else if (c == '>')
            out += "&gt;";
        else if (c == '"')
            out += "&quot;";
        else
            out += c;
    }
    return out;
}

}  // namespace lab::formats
