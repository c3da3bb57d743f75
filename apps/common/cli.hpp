// What every app does around its work: faults become one line on stderr and an exit code (1: the work failed,
// 2: the call was wrong), and colours are used only on a terminal that wants them.
#pragma once

#include <unistd.h>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cxxopts.hpp>
#include <exception>
#include <iostream>
#include <new>
#include <string>
#include <string_view>

#include "lab/core/error.hpp"

namespace lab::apps {

/// The call itself is wrong: an unknown subcommand, a missing argument. Exit code 2.
struct usage_error : lab::error {
    using lab::error::error;
};

/// Whether the call is wrong, not the work.
[[nodiscard]] inline bool is_wrong_call(const std::exception& fault) {
    return dynamic_cast<const usage_error*>(&fault) != nullptr ||
           dynamic_cast<const cxxopts::exceptions::exception*>(&fault) != nullptr;
}

inline constexpr int exit_failure = 1, exit_usage = 2, exit_incomplete = 3;  // 3: written, with parts missing

/// More threads than any machine has processors are a slip. @throws usage_error
inline std::size_t checked_threads(std::size_t asked) {
    constexpr std::size_t most = 4096;
    if (asked > most)
        throw usage_error("--threads " + std::to_string(asked) + ": at most " + std::to_string(most) +
                          ", 0 is one per processor");
    return asked;
}
/// What --threads says; 0: one per processor. @throws usage_error for too many
[[nodiscard]] inline std::size_t chosen_threads(const cxxopts::ParseResult& args) {
    return args.count("threads") == 0 ? 0 : checked_threads(args["threads"].as<std::size_t>());
}

/// --cache-mib, of apps that run an engine.
inline constexpr const char* cache_help =
    "MiB that cached keys and values may take at most: bounds the longest context, and how many are answered at once";
inline constexpr std::size_t default_cache_mib = 1024;
[[nodiscard]] inline std::size_t bytes_of_mib(std::size_t mib) {
    if (mib == 0 || mib > (SIZE_MAX >> 20))
        throw usage_error("--cache-mib " + std::to_string(mib) + ": at least 1, and no more than memory has");
    return mib << 20;
}
/// In bytes. @throws usage_error for none, or more than has an address
[[nodiscard]] inline std::size_t chosen_cache_bytes(const cxxopts::ParseResult& args) {
    return bytes_of_mib(args.count("cache-mib") == 0 ? default_cache_mib : args["cache-mib"].as<std::size_t>());
}

/// Runs `body()` (which returns the exit code) and turns what it throws into "name: message". SIGXFSZ is passed over: a
/// write beyond `ulimit -f` fails and is told, where else the process would end without a word.
template <class F>
int run_app(std::string_view name, F&& body) {
    const auto report = [&](std::string_view message, int code) {
        std::cout.flush();
        std::cerr << name << ": " << message << '\n';
        if (code == exit_usage) std::cerr << "Try '" << name << " --help'.\n";
        return code;
    };
    std::signal(SIGXFSZ, SIG_IGN);
    try {
        const int code = body();
        std::cout.flush();
        return std::cout ? code : report("cannot write to standard output", exit_failure);
    } catch (const std::bad_alloc&) {
        return report("out of memory", exit_failure);
    } catch (const std::exception& fault) {
        return report(fault.what(), is_wrong_call(fault) ? exit_usage : exit_failure);
    }
}

/// Whether `stream` (stdout, stderr) is a terminal that shows colours: https://no-color.org is honoured.
[[nodiscard]] inline bool shows_colours(std::FILE* stream) {
    const char* term = std::getenv("TERM");
    const char* no_color = std::getenv("NO_COLOR");
    return ::isatty(::fileno(stream)) != 0 && (no_color == nullptr || *no_color == '\0') && term != nullptr &&
           std::string_view(term) != "dumb";
}

/// Wraps text in ANSI styles where `enabled`, and leaves it alone where not.
struct painter {
    bool enabled = false;
    [[nodiscard]] std::string paint(std::string_view code, std::string_view text) const {
        if (!enabled) return std::string(text);
        return "\033[" + std::string(code) + "m" + std::string(text) + "\033[0m";
    }
    [[nodiscard]] std::string bold(std::string_view text) const { return paint("1", text); }
    [[nodiscard]] std::string dim(std::string_view text) const { return paint("2", text); }
    [[nodiscard]] std::string red(std::string_view text) const { return paint("31", text); }
    [[nodiscard]] std::string green(std::string_view text) const { return paint("32", text); }
    [[nodiscard]] std::string yellow(std::string_view text) const { return paint("33", text); }
    [[nodiscard]] std::string cyan(std::string_view text) const { return paint("36", text); }
};

}  // namespace lab::apps
