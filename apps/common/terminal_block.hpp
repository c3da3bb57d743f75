// A few lines on stderr that are drawn again and again, and lines of others above them.
#pragma once

#include <sys/ioctl.h>
#include <unistd.h>
#include <cstddef>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace lab::apps {

/// The first `columns` characters, an ellipsis in place of what is cut off.
[[nodiscard]] inline std::string cut_to(std::string_view text, std::size_t columns) {
    std::size_t shown = 0, last = 0;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if ((static_cast<unsigned char>(text[at]) & 0xc0u) == 0x80u) continue;  // inside a character
        if (++shown == columns) last = at;
        if (shown > columns) return std::string(text.substr(0, last)) + "\u2026";
    }
    return std::string(text);
}

/// "[####......]"
[[nodiscard]] inline std::string bar_text(std::size_t done, std::size_t total, std::size_t width = 20) {
    const std::size_t full = total == 0 ? 0 : width * (done < total ? done : total) / total;
    return "[" + std::string(full, '#') + std::string(width - full, '.') + "]";
}

class terminal_block {
public:
    void draw(std::span<const std::string> lines) {
        winsize size{};
        const bool known = ::ioctl(::fileno(stderr), TIOCGWINSZ, &size) == 0 && size.ws_col > 20;
        const std::size_t columns = known ? size.ws_col - 1u : 79;
        std::string text = back();
        for (const auto& line : lines) text += cut_to(line, columns) + "\n";
        drawn_ = lines.size();
        put(text);
    }
    /// A line that stays; what is drawn comes again below it.
    void say(const std::string& line) { put(back() + line + "\n"); }
    void clear() { put(back()); }

private:
    /// "\033[nA" goes up n lines, "\033[J" clears what is below.
    [[nodiscard]] std::string back() {
        const auto n = std::exchange(drawn_, 0);
        return n == 0 ? "" : "\r\033[" + std::to_string(n) + "A\033[J";
    }
    static void put(const std::string& text) {
        std::fputs(text.c_str(), stderr);
        std::fflush(stderr);
    }
    std::size_t drawn_ = 0;
};

}  // namespace lab::apps
