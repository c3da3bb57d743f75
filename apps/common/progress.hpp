// Progress on stderr: one line that is redrawn on a terminal, a plain line every few seconds elsewhere, nothing when
// asked to be quiet. Shows the share done, the rate, a note of the caller's, and the time that is left.
#pragma once

#include <unistd.h>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

namespace lab::apps {

/// "41 s", "3 min 05 s", "2 h 10 min"
[[nodiscard]] inline std::string duration_text(double seconds) {
    const auto s = static_cast<std::int64_t>(std::llround(std::clamp(seconds, 0.0, 1e9)));
    const auto two = [](std::int64_t n) { return (n < 10 ? "0" : "") + std::to_string(n); };
    if (s < 60) return std::to_string(s) + " s";
    if (s < 3600) return std::to_string(s / 60) + " min " + two(s % 60) + " s";
    return std::to_string(s / 3600) + " h " + two(s / 60 % 60) + " min";
}

/// Three significant digits: "0.012", "4.56", "123", "12345".
[[nodiscard]] inline std::string rate_text(double rate) {
    char text[32];
    std::snprintf(text, sizeof text, rate >= 100 ? "%.0f" : "%.3g", rate);
    return text;
}

class progress {
public:
    enum class style { automatic, quiet };

    /// @param unit what is counted, in the plural ("tokens"); `total` 0 means unknown: then there is no ETA.
    progress(std::string title, std::uint64_t total, std::string unit, style how = style::automatic)
        : title_(std::move(title)),
          unit_(std::move(unit)),
          total_(total),
          quiet_(how == style::quiet),
          terminal_(::isatty(::fileno(stderr)) != 0),
          start_(clock::now()),
          shown_(start_) {}
    progress(const progress&) = delete;
    progress& operator=(const progress&) = delete;
    /// Where a fault ends the work, only the line is ended.
    ~progress() {
        if (std::uncaught_exceptions() == faults_)
            finish();
        else if (terminal_ && !quiet_ && !finished_)
            std::fputs("\n", stderr);
    }

    /// Sets how much is done and, when given, the note (a loss, a count of rejected samples).
    void update(std::uint64_t done, std::string_view note = {}) {
        done_ = done;
        if (!note.empty()) note_ = note;
        const auto now = clock::now();
        const auto pause = terminal_ ? std::chrono::milliseconds(100) : std::chrono::milliseconds(5000);
        if (now - shown_ < pause) return;
        shown_ = now;
        show(false);
    }
    void advance(std::uint64_t more = 1, std::string_view note = {}) { update(done_ + more, note); }

    /// Ends the line with the time taken; further calls do nothing.
    void finish() {
        if (std::exchange(finished_, true)) return;
        show(true);
    }

private:
    using clock = std::chrono::steady_clock;

    void show(bool last) const {
        if (quiet_) return;
        const double seconds = std::chrono::duration<double>(clock::now() - start_).count();
        const double rate = seconds > 0 ? static_cast<double>(done_) / seconds : 0;
        std::string line = title_ + ": " + std::to_string(done_);
        if (total_ > 0) {
            line += "/" + std::to_string(total_) + " " + unit_ + " (" +
                    std::to_string(100 * std::min(done_, total_) / total_) + " %)";
        } else {
            line += " " + unit_;
        }
        if (rate > 0) line += ", " + rate_text(rate) + " " + unit_ + "/s";
        if (!note_.empty()) line += ", " + note_;
        if (last)
            line += ", took " + duration_text(seconds);
        else if (rate > 0 && total_ > done_)
            line += ", " + duration_text(static_cast<double>(total_ - done_) / rate) + " left";
        // "\033[K" clears what a longer line left behind.
        std::fputs(terminal_ ? ("\r" + line + "\033[K" + (last ? "\n" : "")).c_str() : (line + "\n").c_str(), stderr);
        std::fflush(stderr);
    }

    std::string title_, unit_, note_;
    std::uint64_t total_, done_ = 0;
    bool quiet_, terminal_, finished_ = false;
    clock::time_point start_, shown_;
    int faults_ = std::uncaught_exceptions();
};

}  // namespace lab::apps
