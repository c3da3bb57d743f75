// A chat message, as every chat format, template, dataset and teacher in the library sees it.
#pragma once

#include <string>
#include <vector>

namespace lab::text {

/// `role` is "system", "user" or "assistant" (others are kept as they come); `content` is UTF-8.
struct message {
    std::string role;
    std::string content;
    friend bool operator==(const message&, const message&) = default;
};

using messages = std::vector<message>;

}  // namespace lab::text
