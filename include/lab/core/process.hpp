// Runs another program to its end, within limits (POSIX): an argument vector and never a shell, no terminal to ask at,
// input from bytes, output collected up to a size, a deadline, a bound on memory where the system has one. Everything
// the program started dies with it. Does not stream and does not keep a program alive.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/file.hpp"

extern "C" char** environ;  // POSIX declares it in no header

namespace lab {

struct process_options {
    /// Set beside, or instead of, what this process has; nothing: taken away.
    std::map<std::string, std::optional<std::string>> environment{};
    std::string_view input{};                         ///< what the program reads from its standard input
    std::size_t most_output = std::size_t{64} << 20;  ///< bytes of standard output
    std::size_t memory = 0;                           ///< bytes of address space; 0: as much as it wants
    double seconds = 60;
    std::function<bool()> keep_going{};  ///< asked a few times a second; false ends the program
};

struct process_result {
    enum class ending { exited, signalled, too_slow, too_much_output, stopped };
    ending how = ending::exited;
    int code = 0;          ///< exit status, or the signal's number
    std::string out, err;  ///< of standard error the first 64 KiB
    [[nodiscard]] bool ok() const noexcept { return how == ending::exited && code == 0; }
};

/// The file that a program's name means, looked up in PATH as a shell does; nothing where there is none.
[[nodiscard]] inline std::optional<std::filesystem::path> find_program(std::string_view name) {
    namespace fs = std::filesystem;
    const auto runs = [](const fs::path& file) {
        std::error_code no;
        return fs::is_regular_file(file, no) && ::access(file.c_str(), X_OK) == 0;
    };
    if (name.find('/') != name.npos) return runs(name) ? std::optional(fs::path(name)) : std::nullopt;
    const char* set = std::getenv("PATH");
    for (std::string_view rest = set != nullptr ? set : "/usr/local/bin:/usr/bin:/bin"; !rest.empty();) {
        const auto end = std::min(rest.find(':'), rest.size());
        const auto folder = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (!folder.starts_with('/')) continue;  // what is called must not depend on where it is called
        if (auto file = fs::path(folder) / name; runs(file)) return file;
    }
    return std::nullopt;
}

namespace detail {

/// Arguments or environment as exec wants them.
class c_strings {
public:
    explicit c_strings(std::vector<std::string> texts) : texts_(std::move(texts)) {
        for (auto& t : texts_) pointers_.push_back(t.data());
        pointers_.push_back(nullptr);
    }
    [[nodiscard]] char** get() noexcept { return pointers_.data(); }

private:
    std::vector<std::string> texts_;
    std::vector<char*> pointers_;
};

inline std::vector<std::string> environment_with(const std::map<std::string, std::optional<std::string>>& changes) {
    std::vector<std::string> all;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string_view text(*entry);
        if (!changes.contains(std::string(text.substr(0, text.find('='))))) all.emplace_back(text);
    }
    for (const auto& [name, value] : changes)
        if (value) all.push_back(name + "=" + *value);
    return all;
}

/// An unnamed file that holds `bytes`, read from its start; /dev/null for none.
inline file_descriptor input_file(std::string_view bytes) {
    if (bytes.empty()) return file_descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    std::string name = (std::filesystem::temp_directory_path() / "lab-input-XXXXXX").string();
    file_descriptor fd(::mkostemp(name.data(), O_CLOEXEC));
    if (fd.get() < 0) throw_errno(name, "create");
    ::unlink(name.c_str());
    for (std::string_view rest = bytes; !rest.empty();) {
        const ssize_t n = ::write(fd.get(), rest.data(), rest.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno(name, "write");
        rest.remove_prefix(static_cast<std::size_t>(n));
    }
    ::lseek(fd.get(), 0, SEEK_SET);
    return fd;
}

struct pipe_ends {
    file_descriptor read, write;
    pipe_ends() {
        int fds[2];
        if (::pipe2(fds, O_CLOEXEC) != 0) throw_errno("pipe", "open");
        read = file_descriptor(fds[0]);
        write = file_descriptor(fds[1]);
    }
};

/// A started program, in a session of its own: no terminal, and one signal reaches all that it starts.
class child {
public:
    child(const std::filesystem::path& program, const std::vector<std::string>& arguments,
          const process_options& options, int in, int out, int err) {
        posix_spawn_file_actions_t files;
        posix_spawnattr_t attributes;
        ::posix_spawn_file_actions_init(&files);
        ::posix_spawnattr_init(&attributes);
        ::posix_spawn_file_actions_adddup2(&files, in, 0);
        ::posix_spawn_file_actions_adddup2(&files, out, 1);
        ::posix_spawn_file_actions_adddup2(&files, err, 2);
        sigset_t none, all;
        ::sigemptyset(&none);
        ::sigfillset(&all);
        ::posix_spawnattr_setsigmask(&attributes, &none);
        ::posix_spawnattr_setsigdefault(&attributes, &all);
        ::posix_spawnattr_setpgroup(&attributes, 0);
#if defined(POSIX_SPAWN_SETSID)
        constexpr int own = POSIX_SPAWN_SETSID;
#else
        constexpr int own = POSIX_SPAWN_SETPGROUP;
#endif
        ::posix_spawnattr_setflags(&attributes,
                                   static_cast<short>(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | own));
        std::vector<std::string> words{program.filename().string()};
        words.insert(words.end(), arguments.begin(), arguments.end());
        c_strings argv(std::move(words)), environment(environment_with(options.environment));
        const int fault = ::posix_spawn(&pid_, program.c_str(), &files, &attributes, argv.get(), environment.get());
        ::posix_spawn_file_actions_destroy(&files);
        ::posix_spawnattr_destroy(&attributes);
        if (fault != 0) {
            errno = fault;
            throw_errno(program, "start");
        }
#if defined(__linux__)
        if (options.memory > 0) {
            const rlimit bound{options.memory, options.memory};
            ::prlimit(pid_, RLIMIT_AS, &bound, nullptr);
        }
#endif
    }
    child(const child&) = delete;
    child& operator=(const child&) = delete;
    ~child() {
        if (!ended_) {
            end();
            wait(0);
        }
    }
    void end() const noexcept { ::kill(-pid_, SIGKILL); }
    /// Whether it has ended; then what it left running is ended too. @param flags WNOHANG: look and do not wait
    bool wait(int flags) noexcept {
        while (!ended_) {
            siginfo_t seen{};  // looked at before it is reaped: until then no stranger can have its number
            const int fault = ::waitid(P_PID, static_cast<id_t>(pid_), &seen, WEXITED | WNOWAIT | flags);
            if (fault != 0 && errno == EINTR) continue;
            if (fault == 0 && seen.si_pid == 0) return false;
            end();
            while (::waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
            }
            ended_ = true;
        }
        return true;
    }
    [[nodiscard]] int status() const noexcept { return status_; }

private:
    pid_t pid_ = -1;
    int status_ = 0;
    bool ended_ = false;
};

}  // namespace detail

/// Runs `program` (a file, see find_program) with `arguments`, its own name left out, until it ends or breaks a limit.
/// @throws io_error when it cannot be started.
[[nodiscard]] inline process_result run_process(const std::filesystem::path& program,
                                                const std::vector<std::string>& arguments,
                                                const process_options& options = {}) {
    using clock = std::chrono::steady_clock;
    for (const auto& a : arguments)
        if (a.find('\0') != a.npos) throw io_error(explain(program.string(), "an argument holds a zero byte"));
    const auto in = detail::input_file(options.input);
    if (in.get() < 0) throw_errno("/dev/null", "open");
    detail::pipe_ends out, err;
    detail::child running(program, arguments, options, in.get(), out.write.get(), err.write.get());
    out.write = file_descriptor();
    err.write = file_descriptor();

    process_result result;
    const auto deadline = clock::now() + std::chrono::duration_cast<clock::duration>(
                                             std::chrono::duration<double>(std::min(options.seconds, 1e8)));
    constexpr std::size_t most_errors = std::size_t{64} << 10;
    std::array<pollfd, 2> open{{{out.read.get(), POLLIN, 0}, {err.read.get(), POLLIN, 0}}};
    std::array<char, 65536> block;
    const auto stop = [&](process_result::ending why) {
        result.how = why;
        running.end();
        running.wait(0);
    };
    for (bool ended = false; open[0].fd >= 0 || open[1].fd >= 0;) {
        if (clock::now() >= deadline) return stop(process_result::ending::too_slow), result;
        if (options.keep_going && !options.keep_going()) return stop(process_result::ending::stopped), result;
        const int ready = ::poll(open.data(), open.size(), ended ? 0 : 100);
        if (ready < 0 && errno != EINTR) throw_errno(program, "read the output of");
        // What the program left running may hold its output open: with the program's end only what is there is read.
        if (ready == 0 && ended) break;
        ended = running.wait(WNOHANG);  // even while others write: they die with it
        for (std::size_t i = 0; ready > 0 && i < open.size(); ++i) {
            if (open[i].fd < 0 || open[i].revents == 0) continue;
            const ssize_t n = ::read(open[i].fd, block.data(), block.size());
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) {
                open[i].fd = -1;
                continue;
            }
            const std::string_view piece(block.data(), static_cast<std::size_t>(n));
            if (i == 1) {
                result.err += piece.substr(0, most_errors - std::min(most_errors, result.err.size()));
            } else if (piece.size() > options.most_output - result.out.size()) {
                return stop(process_result::ending::too_much_output), result;
            } else {
                result.out += piece;
            }
        }
    }
    while (!running.wait(WNOHANG)) {  // it closed its output and goes on
        if (clock::now() >= deadline) return stop(process_result::ending::too_slow), result;
        if (options.keep_going && !options.keep_going()) return stop(process_result::ending::stopped), result;
        ::poll(nullptr, 0, 5);
    }
    if (WIFSIGNALED(running.status())) {
        result.how = process_result::ending::signalled;
        result.code = WTERMSIG(running.status());
    } else {
        result.code = WEXITSTATUS(running.status());
    }
    return result;
}

/// Why a result is no good, for messages: "ended with status 1: ...", the first line of its standard error at its end.
[[nodiscard]] inline std::string to_text(const process_result& result) {
    using ending = process_result::ending;
    std::string text = result.how == ending::too_slow          ? "took too long and was ended"
                       : result.how == ending::too_much_output ? "wrote more than it may and was ended"
                       : result.how == ending::stopped         ? "was stopped"
                       : result.how == ending::signalled       ? "was ended by signal " + std::to_string(result.code)
                                                               : "ended with status " + std::to_string(result.code);
    const auto begin = result.err.find_first_not_of(" \t\r\n");
    if (begin != result.err.npos) {
        text += ": ";
        for (const char c :
             std::string_view(result.err).substr(begin, result.err.find('\n', begin) - begin).substr(0, 400))
            text += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
    }
    return text;
}

}  // namespace lab
