// What can be said of a teacher behind HTTP servers: the calls, the API's form, the fleet. Plain data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "lab/sdg/retry.hpp"

namespace lab::sdg {

struct http_options {
    std::string base_url;                         // "http://host:port/v1", "https://host/any/prefix"; no path means /v1
    std::string key_variable = "OPENAI_API_KEY";  // environment variable that holds the bearer key; may be unset
    double timeout = 300.0;                       // seconds for one answer, from connecting to its last byte
    std::size_t longest_answer = 16u << 20;       // bytes
    std::string certificate_authority;            // file of extra trusted certificates (PEM); empty: the system's
    std::function<bool()> cancelled;              // true ends calls that are on their way
};

enum class http_dialect : std::uint8_t { automatic, plain, llama_cpp, vllm };
/// /chat/completions, where the server knows the model's chat format, or /completions, where `format` names it.
enum class http_api : std::uint8_t { chat, completions };

struct fleet_options {
    std::size_t concurrency = 0;        // requests at once at each server; 0: found by itself
    std::size_t most_concurrency = 64;  // of what is found
    std::size_t seeds_per_call = 8;     // requests that differ in their seeds alone, together where servers can
    retry_policy retry{};
    double longest_absence = 300;  // seconds between looks at a server that was taken out
    time_source time{};
    std::function<bool()> cancelled{};                 // true ends the work with io_error
    std::function<void(const std::string&)> notice{};  // one line for each retry, loss and return
};

struct http_teacher_options {
    http_options http{};
    std::vector<std::string> more_servers{};  // base URLs beside http.base_url
    std::string model{};                      // empty: the first model that the server lists
    http_dialect dialect = http_dialect::automatic;
    http_api api = http_api::chat;
    std::string format{};     // chat format for /completions
    std::size_t context = 0;  // tokens for a prompt and its answer; 0: what the servers say
    fleet_options fleet{};
};

}  // namespace lab::sdg
