// A measurement in a process of its own, so that its peak memory is its own.
#pragma once

#include <sys/wait.h>
#include <unistd.h>
#include <cstdio>
#include <exception>
#include <string>

#include "lab/core/error.hpp"

namespace lab::bench {

/// Runs `measure` in a child process and waits for it. @throws error, naming `what`, when it ends otherwise than well
template <class Measure>
void in_own_process(const std::string& what, Measure&& measure) {
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
        int code = 0;
        try {
            measure();
        } catch (const std::exception& fault) {
            std::fprintf(stderr, "%s: %s\n", what.c_str(), fault.what());
            code = 1;
        }
        std::fflush(nullptr);
        ::_exit(code);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    if (status != 0) throw error("the measurement of " + what + " failed");
}

}  // namespace lab::bench
