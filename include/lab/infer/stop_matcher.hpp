// Ends streamed text before any of a set of stop strings, without ever showing a part of one.
// Text that could still become a stop string is held back until it is decided. Matching is on bytes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lab::infer {

class stop_matcher {
public:
    explicit stop_matcher(std::vector<std::string> stops) : stops_(std::move(stops)) {
        std::erase_if(stops_, [](const std::string& stop) { return stop.empty(); });
    }

    /// Adds text and returns what is now safe to show. After a match it returns nothing more.
    [[nodiscard]] std::string push(std::string_view text) {
        if (stopped_) return {};
        held_ += text;
        std::size_t cut = std::string::npos;
        for (const auto& stop : stops_) cut = std::min(cut, held_.find(stop));
        if (cut != std::string::npos) {
            stopped_ = true;
            held_.resize(cut);
            return std::exchange(held_, {});
        }
        const std::size_t keep = longest_open_prefix();
        std::string shown = held_.substr(0, held_.size() - keep);
        held_.erase(0, shown.size());
        return shown;
    }
    /// What is still held back, when the stream has ended by itself.
    [[nodiscard]] std::string flush() { return std::exchange(held_, {}); }
    [[nodiscard]] bool stopped() const noexcept { return stopped_; }

private:
    /// Length of the longest end of the held text that a stop string begins with.
    [[nodiscard]] std::size_t longest_open_prefix() const {
        std::size_t longest = 0;
        for (const auto& stop : stops_)
            for (std::size_t n = std::min(stop.size() - 1, held_.size()); n > longest; --n)
                if (std::string_view(held_).substr(held_.size() - n) == std::string_view(stop).substr(0, n))
                    longest = n;
        return longest;
    }

    std::vector<std::string> stops_;
    std::string held_;
    bool stopped_ = false;
};

}  // namespace lab::infer
