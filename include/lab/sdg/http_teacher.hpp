// A teacher behind one OpenAI-compatible server, or several that serve the same model: http_endpoint.hpp speaks to
// each, teacher_fleet.hpp shares the work out, waits and retries.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/sdg/context_check.hpp"
#include "lab/sdg/http_endpoint.hpp"
#include "lab/sdg/http_options.hpp"
#include "lab/sdg/teacher_fleet.hpp"

namespace lab::sdg {

/// Asks every server for its models. @throws as teacher_fleet does; config_error for a bad URL or format
[[nodiscard]] inline teacher_fleet connect(const http_teacher_options& o) {
    std::vector<std::string> urls{o.http.base_url};
    urls.insert(urls.end(), o.more_servers.begin(), o.more_servers.end());
    std::vector<any_endpoint> servers;
    for (const auto& url : urls) {
        auto http = o.http;
        http.base_url = url;
        if (!http.cancelled) http.cancelled = o.fleet.cancelled;
        // Nothing else in the batch and nothing cached: then llama-server repeats itself to the bit.
        servers.emplace_back(std::make_unique<http_endpoint>(
            http_endpoint_options{std::move(http), o.model, o.dialect, o.api, o.format, o.fleet.concurrency == 1}));
    }
    return {std::move(servers), o.fleet};
}

class http_teacher : public teacher_fleet {
public:
    explicit http_teacher(const http_teacher_options& options) : teacher_fleet(connect(options)) {}
};
static_assert(teacher<http_teacher>);

/// What fits the servers' context: the shorter of what they say and `given` (0: not given). A token is a byte at least,
/// so a short request is not counted; a longer one is, by the servers, and where they do not count by `estimate`, if a
/// length was given. Else nothing is refused here: the server does it. `servers` must outlive it.
[[nodiscard]] inline context_limit server_context(teacher_fleet& servers, std::size_t given,
                                                  std::function<std::size_t(std::string_view)> estimate) {
    constexpr std::size_t longest_frame = 1024;  // bytes that a chat format puts around the messages
    const auto said = servers.context();
    const auto limit = said == 0 || given == 0 ? std::max(said, given) : std::min(said, given);
    return {limit, [&servers, limit, given, estimate = std::move(estimate)](const text::messages& messages,
                                                                            const std::string& answer) {
                std::size_t bytes = answer.size();
                for (const auto& m : messages) bytes += m.content.size();
                if (bytes + longest_frame < limit) return bytes;
                const auto counted = servers.prompt_tokens(messages, answer);
                if (counted > 0 || given == 0) return counted;
                std::string all = answer;
                for (const auto& m : messages) all += m.content;
                return estimate(all);
            }};
}

}  // namespace lab::sdg
