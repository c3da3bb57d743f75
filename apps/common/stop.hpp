// Ctrl-C and SIGTERM as a wish: the work ends at the next good place. Asked twice, the process ends at once.
#pragma once

#include <csignal>
#include <cstdlib>

namespace lab::apps {

inline volatile std::sig_atomic_t stop_signal = 0;  // 0, SIGINT or SIGTERM

extern "C" inline void ask_to_stop(int signal) {
    if (stop_signal != 0) std::_Exit(128 + signal);
    stop_signal = signal;
}
inline void listen_for_stop() {
    std::signal(SIGINT, ask_to_stop);
    std::signal(SIGTERM, ask_to_stop);
}
[[nodiscard]] inline bool stop_asked() { return stop_signal != 0; }
/// What a shell expects of a program that a signal ended, to this process or to one that it works with.
[[nodiscard]] inline int stopped_exit_code() { return 128 + (stop_signal != 0 ? stop_signal : SIGTERM); }

}  // namespace lab::apps
