// A teacher behind one OpenAI-compatible server, or several that serve the same model: http_endpoint.hpp speaks to
// each, teacher_fleet.hpp shares the work out, waits and retries.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

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

}  // namespace lab::sdg
