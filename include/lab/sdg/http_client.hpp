// JSON over HTTP, one attempt at a time: base URL with any path prefix, bearer key, a deadline for the whole call, a
// limit for the answer's size, no redirects. What goes wrong becomes a server_fault (by kind, with Retry-After) or a
// request_refused. Needs cpp-httplib built with OpenSSL (Debian's is a library: link lab::sdg).
#pragma once

#include <httplib.h>
#include <pthread.h>
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "lab/core/error.hpp"
#include "lab/formats/json.hpp"
#include "lab/sdg/deadline_watch.hpp"
#include "lab/sdg/endpoint.hpp"
#include "lab/sdg/http_options.hpp"
#include "lab/sdg/retry.hpp"
#include "lab/sdg/teacher.hpp"

namespace lab::sdg {

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

namespace http_detail {

/// Writing to a connection that the other side has closed is an error to handle, not a signal to die of.
class no_broken_pipe {
public:
    no_broken_pipe() {
        ::sigemptyset(&pipe_);
        ::sigaddset(&pipe_, SIGPIPE);
        sigset_t pending;
        ::sigpending(&pending);
        pending_before_ = ::sigismember(&pending, SIGPIPE) == 1;
        ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
    }
    no_broken_pipe(const no_broken_pipe&) = delete;
    no_broken_pipe& operator=(const no_broken_pipe&) = delete;
    ~no_broken_pipe() {
        const timespec at_once{};
        if (!pending_before_) ::sigtimedwait(&pipe_, nullptr, &at_once);
        ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }

private:
    sigset_t pipe_{}, before_{};
    bool pending_before_ = false;
};

/// The server's own words: {"error": {"message": ...}}, {"error": ...}, {"message": ...} or the start of the body.
[[nodiscard]] inline std::string message_in(const std::string& body) {
    const auto value = formats::try_parse_json(body).value_or(nullptr);
    const auto* at = &value;
    if (at->is_object() && at->contains("error")) at = &(*at)["error"];
    if (at->is_object() && at->contains("message")) at = &(*at)["message"];
    return formats::escape(at->is_string() ? at->get<std::string>() : body, 300);
}

}  // namespace http_detail

/// One connection, for one thread at a time.
class http_client {
public:
    http_client(const http_options& options, const std::string& key, deadline_watch& watch)
        : options_(options), key_(key), watch_(watch), url_(parse_base_url(options.base_url)) {}

    [[nodiscard]] formats::json get(const std::string& path, double seconds) {
        return call(url_.prefix + path, nullptr, seconds);
    }
    [[nodiscard]] formats::json post(const std::string& path, const formats::json& body) {
        return call(url_.prefix + path, &body, options_.timeout);
    }
    /// The same beside the OpenAI endpoints: without the closing "/v1" of the base URL.
    [[nodiscard]] formats::json get_native(const std::string& path, double seconds) {
        return call(native(path), nullptr, seconds);
    }
    [[nodiscard]] formats::json post_native(const std::string& path, const formats::json& body) {
        return call(native(path), &body, options_.timeout);
    }

private:
    using kind = server_fault::kind;

    [[nodiscard]] std::string native(const std::string& path) const {
        const bool versioned = url_.prefix.ends_with("/v1");
        return url_.prefix.substr(0, url_.prefix.size() - (versioned ? 3 : 0)) + path;
    }

    void connect() {
        client_ = std::make_unique<httplib::Client>(url_.origin);
        const auto whole = std::max<time_t>(1, static_cast<time_t>(options_.timeout));
        client_->set_connection_timeout(std::min<time_t>(whole, 10), 0);
        client_->set_read_timeout(whole + 1, 0);  // the deadline comes first
        client_->set_write_timeout(whole + 1, 0);
        client_->set_keep_alive(true);
        client_->set_tcp_nodelay(true);
        client_->set_follow_location(false);
        if (!options_.certificate_authority.empty()) client_->set_ca_cert_path(options_.certificate_authority.c_str());
        if (!key_.empty()) client_->set_bearer_token_auth(key_);
        used_ = false;
    }

    formats::json call(const std::string& path, const formats::json* body, double seconds) {
        const std::string place = url_.origin + path;
        httplib::Request request;
        request.method = body == nullptr ? "GET" : "POST";
        request.path = path;
        if (body != nullptr) {
            request.body = formats::to_text(*body);
            request.set_header("Content-Type", "application/json");
        }
        std::string answer;
        bool began = false, too_long = false;
        request.response_handler = [&](const httplib::Response& r) {
            began = true;
            const auto length = r.get_header_value<std::uint64_t>("Content-Length");
            return !(too_long = length > options_.longest_answer);
        };
        request.content_receiver = [&](const char* data, std::size_t size, std::uint64_t, std::uint64_t) {
            too_long = too_long || size > options_.longest_answer - answer.size();
            if (!too_long) answer.append(data, size);
            return !too_long;
        };
        const http_detail::no_broken_pipe quiet;
        for (bool again = true;; again = false) {
            if (!client_) connect();
            const bool idle = std::exchange(used_, true);
            httplib::Result result{nullptr, httplib::Error::Unknown};
            bool stopped = false;
            {
                const deadline_watch::guard in_time(watch_, seconds, [c = client_.get()] { c->stop(); });
                result = client_->send(request);
                stopped = in_time.stopped();
            }
            if (result && !too_long) return read(*result, answer, place);
            client_.reset();
            // A connection that lay idle may have been closed by the server meanwhile: that is no failure.
            const bool closed = result.error() == httplib::Error::Read || result.error() == httplib::Error::Write;
            if (again && idle && closed && !began && !stopped) continue;
            if (too_long)
                throw server_fault(explain(place, "the answer is longer than " +
                                                      std::to_string(options_.longest_answer >> 20) + " MiB"),
                                   kind::broken);
            throw without_answer(place, result.error(), began, stopped, seconds);
        }
    }

    server_fault without_answer(const std::string& place, httplib::Error error, bool began, bool stopped,
                                double seconds) const {
        using httplib::Error;
        if (stopped && options_.cancelled && options_.cancelled())
            return {explain(place, "cancelled"), kind::unreachable};
        if (stopped)
            return {explain(place, "no whole answer within the time-out of " +
                                       formats::to_text(formats::json(seconds)) + " s"),
                    kind::broken};
        if (began) return {explain(place, "the answer broke off"), kind::broken};
        if (error == Error::SSLServerVerification || error == Error::SSLLoadingCerts)
            return {explain(place, "no answer (" + httplib::to_string(error) + ")"), kind::final};
        if (error == Error::Connection || error == Error::ConnectionTimeout)
            return {explain(place, "no server listens there, or it refuses to talk"), kind::unreachable};
        if (error == Error::Read)
            return {explain(place, "the connection broke before an answer began"), kind::unreachable};
        return {explain(place, "no answer (" + httplib::to_string(error) + ")"), kind::unreachable};
    }

    /// @throws what the answer means where it is not the JSON that was asked for
    [[nodiscard]] formats::json read(const httplib::Response& response, const std::string& body,
                                     const std::string& place) const {
        if (response.status != 200) refuse(response.status, http_detail::message_in(body), response, place);
        const std::string type = response.get_header_value("Content-Type");
        formats::json value;
        try {
            value = formats::parse_json(body, place);
        } catch (const format_error&) {
            const bool page = type.find("html") != type.npos || body.starts_with('<');
            const bool stream = type.find("event-stream") != type.npos;
            throw server_fault(
                explain(place,
                        "the answer is no JSON (" + (type.empty() ? "no type" : formats::escape(type, 60)) +
                            "): " + formats::escape(body, 80),
                        page ? "see that the address is an OpenAI-compatible server's; it usually ends in /v1" : ""),
                page || stream ? kind::final : kind::broken);
        }
        // Some gateways hide their errors behind a 200.
        if (value.is_object() && value.contains("error") && !value["error"].is_null() && !value.contains("choices")) {
            const auto& e = value["error"];
            const bool coded = e.is_object() && e.contains("code") && e["code"].is_number_integer();
            refuse(coded ? e["code"].get<int>() : 500, http_detail::message_in(body), response, place);
        }
        return value;
    }

    [[noreturn]] void refuse(int status, const std::string& said, const httplib::Response& response,
                             const std::string& place) const {
        std::string what = "HTTP status " + std::to_string(status);
        if (status >= 300 && status < 400)
            throw server_fault(explain(place,
                                       what + ": it sends elsewhere, to " +
                                           formats::escape(response.get_header_value("Location"), 200),
                                       "give that address; a key is not carried to another"),
                               kind::final);
        if (status == 401 || status == 403) what += " (no key, or a wrong one, in " + options_.key_variable + ")";
        if (status == 404) what += " (the base URL usually ends in /v1)";
        if (!said.empty()) what += ": " + said;
        switch (status) {
            case 400:
            case 413:
            case 414:
            case 422:
            case 431:
                throw request_refused(explain(place, what));
            case 408:
            case 409:
            case 425:
            case 429:
            case 503:
            case 529:
                throw server_fault(
                    explain(place, what), kind::busy,
                    retry_after(response.get_header_value("Retry-After"), response.get_header_value("Date")));
            default:
                throw server_fault(
                    explain(place, what), status >= 500 && status != 501 && status != 505 ? kind::broken : kind::final,
                    retry_after(response.get_header_value("Retry-After"), response.get_header_value("Date")));
        }
    }

    const http_options& options_;
    const std::string& key_;
    deadline_watch& watch_;
    base_url url_;
    std::unique_ptr<httplib::Client> client_;
    bool used_ = false;
};

}  // namespace lab::sdg
