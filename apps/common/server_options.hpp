// The options of apps that ask a teacher behind servers: how they are asked, and what that may cost.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cxxopts.hpp>
#include <string>
#include <utility>

#include "common/cli.hpp"
#include "common/generation_view.hpp"
#include "common/stop.hpp"
#include "lab/sdg/http_options.hpp"
#include "lab/sdg/spending.hpp"

namespace lab::apps {

inline void add_server_options(cxxopts::Options& spec) {
    const auto text = [](const char* fallback = "") { return cxxopts::value<std::string>()->default_value(fallback); };
    const auto real = [](const char* fallback) { return cxxopts::value<double>()->default_value(fallback); };
    spec.add_options("Servers")("key-variable", "environment variable with the server's key", text("OPENAI_API_KEY"))(
        "concurrency", "requests to each server at once; auto finds it; 1 makes llama-server repeat itself exactly",
        text("auto"))("timeout", "seconds for one whole answer", real("300"))(
        "retries", "after a failed attempt", cxxopts::value<unsigned>()->default_value("6"))(
        "context", "tokens that fit the servers' model, prompt and answer together; 0: what they say themselves",
        cxxopts::value<std::size_t>()->default_value("0"))("ca-file", "more trusted certificates (PEM)", text());
    spec.add_options("Budget")("max-tokens-total", "end before the teacher's answers have taken more; 0: no limit",
                               cxxopts::value<std::uint64_t>()->default_value("0"))(
        "max-cost", "end before they have cost more; 0: no limit", real("0"))(
        "price-in", "of a million tokens of prompts", real("0"))("price-out", "of a million tokens of answers",
                                                                 real("0"));
}

/// 0: found by itself. @throws usage_error
[[nodiscard]] inline std::size_t concurrency_of(const std::string& text) {
    if (text == "auto") return 0;
    std::size_t n = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (code != std::errc() || end != text.data() + text.size() || n == 0 || n > 1024)
        throw usage_error("--concurrency is auto or a number from 1 to 1024, not '" + text + "'");
    return n;
}

/// @throws usage_error
inline void read_server_options(const cxxopts::ParseResult& args, sdg::http_teacher_options& h) {
    h.http.key_variable = args["key-variable"].as<std::string>();
    h.http.certificate_authority = args["ca-file"].as<std::string>();
    h.http.timeout = args["timeout"].as<double>();
    if (!(h.http.timeout >= 1 && h.http.timeout <= 1e6))
        throw usage_error("--timeout is at least a second, at most a million");
    h.fleet.concurrency = concurrency_of(args["concurrency"].as<std::string>());
    h.context = args["context"].as<std::size_t>();
    h.fleet.retry.retries = args["retries"].as<unsigned>();
    h.fleet.retry.seed = args["seed"].as<std::uint64_t>();
}

/// @throws usage_error
[[nodiscard]] inline sdg::budget read_budget(const cxxopts::ParseResult& args) {
    sdg::budget b{.most_tokens = args["max-tokens-total"].as<std::uint64_t>()};
    for (const auto& [name, value] :
         {std::pair{"max-cost", &b.most_cost}, {"price-in", &b.price.prompt}, {"price-out", &b.price.completion}}) {
        *value = args[name].as<double>();
        if (!(*value >= 0)) throw usage_error("--" + std::string(name) + " is not below 0");
    }
    if (b.most_cost > 0 && !b.price.known()) throw usage_error("--max-cost needs --price-in or --price-out");
    return b;
}

/// A signal ends the waiting for servers; retries and losses are told on standard error.
inline void attend(sdg::http_teacher_options& h, bool quiet) {
    h.fleet.cancelled = stop_asked;
    if (!quiet) h.fleet.notice = generation_view::say;
}

}  // namespace lab::apps
