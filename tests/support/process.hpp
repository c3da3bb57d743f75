// Runs a program as a user does: its exit code, what it printed, and a signal in the middle where a test wants one.
#pragma once

#include <sys/wait.h>
#include <unistd.h>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "lab/core/file.hpp"

namespace lab::test {

struct finished {
    int code = -1;
    std::string out, err;
};

/// Runs a program to its end, or sends it `signal` once `when()` holds.
template <class F>
finished execute(const std::vector<std::string>& command, const std::filesystem::path& scratch, F when,
                 int signal = SIGKILL) {
    const auto out = scratch / "stdout", err = scratch / "stderr";
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
        if (std::freopen(out.c_str(), "w", stdout) == nullptr || std::freopen(err.c_str(), "w", stderr) == nullptr)
            ::_exit(126);
        std::vector<char*> argv;
        for (const auto& part : command) argv.push_back(const_cast<char*>(part.c_str()));
        argv.push_back(nullptr);
        ::execv(argv[0], argv.data());
        ::_exit(127);
    }
    int status = 0;
    while (::waitpid(child, &status, WNOHANG) == 0) {
        if (when()) {
            ::kill(child, signal);
            ::waitpid(child, &status, 0);
            break;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(out), read_file(err)};
}

}  // namespace lab::test
