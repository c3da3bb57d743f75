// JSON over HTTP with patience: base URL with any path prefix, bearer key, timeout, retries with exponential back-off
// and seeded jitter, Retry-After in seconds honoured. Time is injected, so that tests do not sleep. Needs cpp-httplib
// built with OpenSSL (Debian's is a library: link lab::sdg).
#pragma once

#include <httplib.h>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "lab/core/error.hpp"
#include "lab/core/rng.hpp"
#include "lab/formats/json.hpp"

namespace lab::sdg {

struct retry_policy {
    unsigned retries = 6;        // after the first attempt
    double first_wait = 0.5;     // seconds; doubles with each retry
    double longest_wait = 30.0;  // seconds; also bounds Retry-After times four
    double jitter = 0.5;         // each wait is drawn from [1 - jitter, 1] times its nominal length
    std::uint64_t seed = 0;
};

struct http_options {
    std::string base_url;                         // "http://host:port/v1", "https://host/any/prefix"; no path means /v1
    std::string key_variable = "OPENAI_API_KEY";  // environment variable that holds the bearer key; may be unset
    double timeout = 300.0;                       // seconds for one answer
    retry_policy retry;
    std::string certificate_authority;               // file of extra trusted certificates (PEM); empty: the system's
    std::function<void(double)> sleep;               // seconds; default sleeps the thread
    std::function<bool()> cancelled;                 // asked between attempts; true ends with io_error
    std::function<void(const std::string&)> notice;  // one line for each retry
};

/// A URL in two parts: what a connection needs, and the path before every endpoint.
struct base_url {
    std::string origin;  // "http://host:port"
    std::string prefix;  // "" or "/v1", no slash at the end
};

/// @throws config_error for anything but http(s)://host[:port][/path]
[[nodiscard]] inline base_url parse_base_url(std::string_view url) {
    const auto scheme_end = url.find("://");
    const auto scheme = url.substr(0, scheme_end == url.npos ? 0 : scheme_end);
    if (scheme != "http" && scheme != "https")
        throw config_error(explain(std::string(url), "is not an http:// or https:// address"));
    const auto path = url.find('/', scheme_end + 3);
    const auto host = url.substr(scheme_end + 3, path == url.npos ? url.npos : path - scheme_end - 3);
    if (host.empty() || host.find_first_of(" @?#") != host.npos)
        throw config_error(
            explain(std::string(url), "has no usable host", "write http://host:port/v1; keys go in the environment"));
    if (url.find_first_of("?#", scheme_end) != url.npos)
        throw config_error(explain(std::string(url), "a base URL has no query"));
    std::string prefix(path == url.npos ? "" : url.substr(path));
    while (!prefix.empty() && prefix.back() == '/') prefix.pop_back();
    if (prefix.empty()) prefix = "/v1";
    return {std::string(url.substr(0, path)), prefix};
}

/// One connection; use one for each thread.
class http_client {
public:
    http_client(const http_options& options, const std::string& key)
        : options_(options),
          url_(parse_base_url(options.base_url)),
          client_(std::make_unique<httplib::Client>(url_.origin)) {
        const auto whole = static_cast<time_t>(options.timeout);
        client_->set_connection_timeout(std::min<time_t>(whole, 10), 0);
        client_->set_read_timeout(whole, static_cast<time_t>((options.timeout - static_cast<double>(whole)) * 1e6));
        client_->set_write_timeout(whole, 0);
        client_->set_keep_alive(true);
        client_->set_tcp_nodelay(true);
        if (!options.certificate_authority.empty()) client_->set_ca_cert_path(options.certificate_authority.c_str());
        if (!key.empty()) client_->set_bearer_token_auth(key);
    }
    [[nodiscard]] formats::json get(const std::string& path) { return call(url_.prefix + path, nullptr, 0); }
    /// `stream` numbers the request: it picks the jitter's random stream.
    [[nodiscard]] formats::json post(const std::string& path, const formats::json& body, std::uint64_t stream) {
        return call(url_.prefix + path, &body, stream);
    }
    /// The same beside the OpenAI endpoints: without the closing "/v1" of the base URL.
    [[nodiscard]] formats::json post_native(const std::string& path, const formats::json& body, std::uint64_t stream) {
        const bool versioned = url_.prefix.ends_with("/v1");
        return call(url_.prefix.substr(0, url_.prefix.size() - (versioned ? 3 : 0)) + path, &body, stream);
    }

private:
    struct fault {
        std::string what;
        bool may_pass = false;  // worth another try
        std::optional<double> wait;
    };

    formats::json call(const std::string& path, const formats::json* body, std::uint64_t stream) {
        const std::string place = url_.origin + path;
        const std::string text = body == nullptr ? std::string() : formats::to_text(*body);
        counter_rng rng(options_.retry.seed, stream);
        for (unsigned attempt = 0;; ++attempt) {
            if (options_.cancelled && options_.cancelled()) throw io_error(explain(place, "cancelled"));
            const auto result = body == nullptr ? client_->Get(path) : client_->Post(path, text, "application/json");
            if (result && result->status == 200) return json_in(*result, place);
            const fault problem = result ? refused(*result) : unreachable(result.error());
            if (!problem.may_pass) throw io_error(explain(place, problem.what));
            if (attempt >= options_.retry.retries)
                throw io_error(
                    explain(place, problem.what + "; gave up after " + std::to_string(attempt + 1) + " attempts",
                            "see that the server runs, then run the same command again: what is done is kept"));
            const double nominal =
                std::min(options_.retry.longest_wait, options_.retry.first_wait * std::exp2(attempt));
            double wait = nominal * (1.0 - options_.retry.jitter * rng.uniform());
            if (problem.wait) wait = std::min(*problem.wait, 4 * options_.retry.longest_wait);
            if (options_.notice)
                options_.notice(place + ": " + problem.what + "; retry " + std::to_string(attempt + 1) + " of " +
                                std::to_string(options_.retry.retries) + " in " + std::to_string(wait).substr(0, 4) +
                                " s");
            sleep(wait);
        }
    }

    void sleep(double seconds) const {
        if (options_.sleep) return options_.sleep(seconds);
        using clock = std::chrono::steady_clock;
        const std::chrono::duration<double> nap(0.1);  // short, so that cancelling does not have to wait
        const auto end = clock::now() + std::chrono::duration<double>(seconds);
        for (auto now = clock::now(); now < end; now = clock::now()) {
            if (options_.cancelled && options_.cancelled()) return;
            std::this_thread::sleep_for(std::min<std::chrono::duration<double>>(end - now, nap));
        }
    }

    fault unreachable(httplib::Error error) const {
        const bool certificate =
            error == httplib::Error::SSLServerVerification || error == httplib::Error::SSLLoadingCerts;
        std::string what = "no answer (" + httplib::to_string(error) + ")";
        if (error == httplib::Error::Connection) what = "no server listens there, or it refuses to talk";
        if (error == httplib::Error::Read)
            what = "the answer broke off or did not come within the timeout of " +
                   formats::to_text(formats::json(options_.timeout)) + " s";
        return {what, !certificate, std::nullopt};
    }

    /// @throws io_error for a page that is no JSON: the address is likely that of something else
    static formats::json json_in(const httplib::Response& response, const std::string& place) {
        try {
            return formats::parse_json(response.body, place);
        } catch (const format_error&) {
            const std::string type = response.get_header_value("Content-Type");
            throw io_error(explain(place,
                                   "the answer is no JSON (" + (type.empty() ? "no type" : type) +
                                       "): " + formats::escape(response.body, 80),
                                   "see that the address is an OpenAI-compatible server's; it usually ends in /v1"));
        }
    }

    [[nodiscard]] fault refused(const httplib::Response& response) const {
        const int status = response.status;
        fault f{"HTTP status " + std::to_string(status), false, std::nullopt};
        f.may_pass = status == 408 || status == 425 || status == 429 || status == 500 || status == 502 ||
                     status == 503 || status == 504;
        if (status == 401 || status == 403) f.what += " (no key, or a wrong one, in " + options_.key_variable + ")";
        if (status == 404) f.what += " (the base URL usually ends in /v1)";
        if (const std::string said = message_in(response.body); !said.empty()) f.what += ": " + said;
        const std::string after = response.get_header_value("Retry-After");
        double seconds = 0;
        if (const auto [end, code] = std::from_chars(after.data(), after.data() + after.size(), seconds);
            code == std::errc() && end == after.data() + after.size() && seconds >= 0)
            f.wait = seconds;
        return f;
    }

    /// The server's own words: {"error": {"message": ...}}, {"error": ...}, {"message": ...} or the start of the body.
    static std::string message_in(const std::string& body) {
        const auto value = formats::json::parse(body, nullptr, false);
        const auto* at = &value;
        if (at->is_object() && at->contains("error")) at = &(*at)["error"];
        if (at->is_object() && at->contains("message")) at = &(*at)["message"];
        return formats::escape(at->is_string() ? at->get<std::string>() : body, 300);
    }

    const http_options& options_;
    base_url url_;
    std::unique_ptr<httplib::Client> client_;
};

}  // namespace lab::sdg
