// A small HTTP server on the loopback interface that can misbehave in every way a real one does: hang, drip, break off
// in the middle, send what is no HTTP, close without a word. What it answers is a function of the test's.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <cctype>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "lab/formats/json.hpp"

namespace lab::test {

struct http_question {
    std::string method, path, body;
    std::map<std::string, std::string> headers;  // names in lower case
    [[nodiscard]] formats::json json() const { return formats::json::parse(body); }
};

struct http_answer {
    enum class how {
        whole,
        half,   // the promised length, half the bytes, then closed
        hang,   // nothing, for as long as the client waits
        drip,   // a byte now and then
        cut,    // closed without a byte
        noise,  // the body alone, as it is: no HTTP
        chunks  // chunked encoding that ends without its last chunk
    };
    int status = 200;
    std::string body{}, type = "application/json", more_headers{};  // each "Name: value\r\n"
    how sent = how::whole;

    static http_answer of(const formats::json& value, int status = 200) { return {status, value.dump()}; }
    static http_answer bad(how h, std::string body = R"({"choices":[{"message":{"content":"never whole"}}]})") {
        return {200, std::move(body), "application/json", {}, h};
    }
};

class fault_server {
public:
    using handler = std::function<http_answer(const http_question&)>;

    /// @param port 0: any free one
    explicit fault_server(handler h, int port = 0) : handler_(std::move(h)) {
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const int on = 1;
        ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 128) != 0 ||
            ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
            throw std::runtime_error("fault_server: cannot listen");
        port_ = ntohs(address.sin_port);
        acceptor_ = std::thread([this] { accept_all(); });
    }
    fault_server(const fault_server&) = delete;
    fault_server& operator=(const fault_server&) = delete;
    ~fault_server() { stop(); }

    /// Nobody listens any more, and every connection is closed.
    void stop() {
        if (stopping_.exchange(true)) return;
        ::shutdown(listener_, SHUT_RDWR);
        acceptor_.join();
        ::close(listener_);
        for (auto& t : connections_) t.join();
    }
    [[nodiscard]] int port() const { return port_; }
    [[nodiscard]] std::string url(const std::string& path = "/v1") const {
        return std::string("http://127.0.0.1:").append(std::to_string(port_)).append(path);
    }

private:
    void accept_all() {
        for (;;) {
            const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
            if (fd < 0 || stopping_) {
                if (fd >= 0) ::close(fd);
                return;
            }
            connections_.emplace_back([this, fd] {
                while (serve(fd)) {
                }
                ::close(fd);
            });
        }
    }
    /// False once the other side is gone or the server stops.
    bool readable(int fd, int milliseconds = -1) const {
        for (int waited = 0; !stopping_ && (milliseconds < 0 || waited < milliseconds); waited += 20) {
            pollfd p{fd, POLLIN, 0};
            if (::poll(&p, 1, 20) > 0) return true;
        }
        return false;
    }
    bool send_all(int fd, const std::string& bytes) const {
        for (std::size_t at = 0; at < bytes.size();) {
            const auto n = ::send(fd, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
            if (n <= 0) return false;
            at += static_cast<std::size_t>(n);
        }
        return true;
    }
    bool receive(int fd, std::string& buffer) const {
        char block[4096];
        if (!readable(fd)) return false;
        const auto n = ::recv(fd, block, sizeof block, 0);
        if (n <= 0) return false;
        buffer.append(block, static_cast<std::size_t>(n));
        return true;
    }

    bool serve(int fd) {
        std::string text;
        std::size_t head = 0;
        while ((head = text.find("\r\n\r\n")) == text.npos)
            if (!receive(fd, text)) return false;
        http_question q;
        const auto first = text.substr(0, text.find("\r\n"));
        q.method = first.substr(0, first.find(' '));
        q.path = first.substr(q.method.size() + 1, first.rfind(' ') - q.method.size() - 1);
        for (auto at = first.size() + 2; at < head;) {
            const auto end = text.find("\r\n", at);
            const auto line = text.substr(at, end - at);
            const auto colon = line.find(':');
            std::string name = line.substr(0, colon);
            std::transform(name.begin(), name.end(), name.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
            q.headers[name] = line.substr(std::min(line.size(), colon + 2));
            at = end + 2;
        }
        const std::size_t length =
            q.headers.contains("content-length") ? std::stoul(q.headers["content-length"]) : std::size_t{0};
        while (text.size() < head + 4 + length)
            if (!receive(fd, text)) return false;
        q.body = text.substr(head + 4, length);
        return answer(fd, handler_(q));
    }

    bool answer(int fd, const http_answer& a) const {
        using how = http_answer::how;
        if (a.sent == how::cut) return false;
        if (a.sent == how::hang) {
            (void)readable(fd);
            return false;
        }
        if (a.sent == how::noise) {
            send_all(fd, a.body);
            return false;
        }
        std::string text =
            "HTTP/1.1 " + std::to_string(a.status) + " So\r\nContent-Type: " + a.type + "\r\n" + a.more_headers;
        if (a.sent == how::chunks) {
            send_all(fd, text + "Transfer-Encoding: chunked\r\n\r\n5\r\n" + a.body.substr(0, 5) + "\r\n");
            return false;
        }
        text += "Content-Length: " + std::to_string(a.body.size()) + "\r\n\r\n";
        if (a.sent == how::half) {
            send_all(fd, text + a.body.substr(0, a.body.size() / 2));
            return false;
        }
        text += a.body;
        if (a.sent == how::whole) return send_all(fd, text);
        for (const char c : text)  // drips until the other side has had enough
            if (!send_all(fd, std::string(1, c)) || readable(fd, 100)) return false;
        return true;
    }

    handler handler_;
    int listener_ = -1, port_ = 0;
    std::atomic<bool> stopping_{false};
    std::thread acceptor_;
    std::list<std::thread> connections_;
};

/// An answer as servers write it.
inline formats::json chat_reply(const std::string& text, formats::json tokens = nullptr, int prompt = 5,
                                int completion = 2) {
    formats::json choice{{"message", {{"role", "assistant"}, {"content", text}}}, {"finish_reason", "stop"}};
    if (!tokens.is_null()) choice["logprobs"] = {{"content", std::move(tokens)}};
    return {{"choices", {choice}}, {"usage", {{"prompt_tokens", prompt}, {"completion_tokens", completion}}}};
}
inline formats::json model_list(const std::string& id = "tiny", const std::string& owner = "llamacpp") {
    return {{"data", {{{"id", id}, {"owned_by", owner}, {"meta", {{"n_params", 7}}}}}}};
}

}  // namespace lab::test
