// Generation while it runs. On a terminal a few lines that are redrawn: the whole run, the leaf in work, what was
// refused and why, the newest sample. Elsewhere a plain line every five seconds. For scripts JSON Lines on stderr:
// {"event": "progress"} about once a second, {"event": "leaf"} for every leaf that is done, {"event": "sample"} now and
// then.
#pragma once

#include <unistd.h>
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/cli.hpp"
#include "common/progress.hpp"
#include "common/terminal_block.hpp"
#include "lab/formats/json.hpp"
#include "lab/sdg/flat_text.hpp"
#include "lab/sdg/run_result.hpp"
#include "lab/sdg/sample.hpp"

namespace lab::apps {

/// "grounded 9, duplicate 5": the most frequent first.
[[nodiscard]] inline std::string reasons_text(const std::map<std::string, std::size_t>& counts, std::size_t most = 5) {
    std::vector<std::pair<std::string, std::size_t>> list(counts.begin(), counts.end());
    std::stable_sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
    std::string text;
    for (std::size_t i = 0; i < std::min(most, list.size()); ++i)
        text += (i == 0 ? "" : ", ") + list[i].first + " " + std::to_string(list[i].second);
    return list.size() > most ? text + ", ..." : text;
}

class generation_view {
public:
    enum class style { automatic, events };

    /// @param tokens of the teacher's answers until now, in this run; none: nobody counts them
    explicit generation_view(style how, std::function<std::uint64_t()> tokens = {})
        : tokens_(std::move(tokens)),
          events_(how == style::events),
          terminal_(!events_ && ::isatty(::fileno(stderr)) != 0),
          start_(clock::now()),
          shown_(start_),
          sampled_(start_) {
        const std::lock_guard lock(mutex_);
        on_screen_ = this;
    }
    generation_view(const generation_view&) = delete;
    generation_view& operator=(const generation_view&) = delete;
    ~generation_view() {
        finish();
        const std::lock_guard lock(mutex_);
        on_screen_ = nullptr;
    }

    /// A line of somebody else's on stderr, above what is drawn. From any thread.
    static void say(const std::string& line) {
        const std::lock_guard lock(mutex_);
        terminal_block none;
        (on_screen_ != nullptr ? on_screen_->block_ : none).say(line);
    }

    void update(const sdg::run_progress& p) {
        take_leaves(p);
        const auto now = clock::now();
        if (now - shown_ < std::chrono::milliseconds(terminal_ ? 100 : events_ ? 1000 : 5000)) return;
        shown_ = now;
        const std::lock_guard lock(mutex_);
        last_ = line_of(p);
        if (events_) {
            tell_progress(p, now);
        } else if (terminal_) {
            draw(p);
        } else {
            std::fputs((last_ + ", " + leaf_line(p) + "\n").c_str(), stderr);
        }
        std::fflush(stderr);
    }

    /// Ends the view with the time taken; further calls do nothing.
    void finish() {
        if (std::exchange(finished_, true) || events_) return;
        const std::lock_guard lock(mutex_);
        const auto took = duration_text(seconds(clock::now()));
        block_.clear();
        if (!last_.empty() && std::uncaught_exceptions() == faults_)
            std::fputs(("generating took " + took + "\n").c_str(), stderr);
        std::fflush(stderr);
    }

private:
    using clock = std::chrono::steady_clock;

    [[nodiscard]] double seconds(clock::time_point now) const {
        return std::chrono::duration<double>(now - start_).count();
    }
    /// Counts the leaves that were done since the last call.
    void take_leaves(const sdg::run_progress& p) {
        if (p.done == nullptr) return;
        for (; leaves_ < p.done->size(); ++leaves_) {
            const auto& s = (*p.done)[leaves_];
            for (const auto& [reason, n] : s.refused_by) reasons_[reason] += n;
            if (!events_) continue;
            formats::json event{{"event", "leaf"},
                                {"leaf", s.leaf->id},
                                {"kept", s.generated()},
                                {"wanted", s.wanted},
                                {"refused", s.refused_by}};
            if (!s.shortfall.empty()) event["shortfall"] = s.shortfall;
            tell(event);
        }
    }
    [[nodiscard]] std::map<std::string, std::size_t> reasons(const sdg::run_progress& p) const {
        auto all = reasons_;
        if (p.now != nullptr)
            for (const auto& [reason, n] : p.now->refused_by()) all[reason] += n;
        return all;
    }
    [[nodiscard]] double left(const sdg::run_progress& p, double s) const {
        return p.kept == 0
                   ? 0
                   : s * static_cast<double>(p.wanted - std::min(p.kept, p.wanted)) / static_cast<double>(p.kept);
    }

    [[nodiscard]] std::string line_of(const sdg::run_progress& p) const {
        const double s = seconds(clock::now());
        std::string line = "generating: " + std::to_string(p.kept);
        if (p.wanted > 0)
            line += "/" + std::to_string(p.wanted) + " samples (" +
                    std::to_string(100 * std::min(p.kept, p.wanted) / p.wanted) + " %)";
        if (s > 0 && p.kept > 0) line += ", " + rate_text(60 * static_cast<double>(p.kept) / s) + " a minute";
        if (const auto t = tokens_ ? tokens_() : 0; s > 0 && t > 0)
            line += ", " + rate_text(static_cast<double>(t) / s) + " tokens/s";
        if (p.kept > 0 && p.kept < p.wanted) line += ", " + duration_text(left(p, s)) + " left";
        return line;
    }
    /// "leaf 2/6: id"
    [[nodiscard]] static std::string place_of(const sdg::run_progress& p) {
        if (p.done == nullptr || p.leaves == 0) return p.leaf;
        return "leaf " + std::to_string(std::min(p.done->size() + 1, p.leaves)) + "/" + std::to_string(p.leaves) +
               ": " + p.leaf;
    }
    [[nodiscard]] std::string leaf_line(const sdg::run_progress& p) const {
        std::string line = place_of(p);
        if (p.now != nullptr) line += " " + std::to_string(p.now_kept) + "/" + std::to_string(p.now->wanted);
        if (const auto all = reasons(p); !all.empty())
            line += ", refused " + std::to_string(p.refused) + ": " + reasons_text(all);
        return line;
    }

    void draw(const sdg::run_progress& p) {
        std::vector<std::string> lines{last_};
        const auto all = reasons(p);
        std::string leaf = place_of(p);
        if (p.now != nullptr && p.now->wanted > 0) {
            leaf += "  " + bar_text(p.now_kept, p.now->wanted) + " " + std::to_string(p.now_kept) + "/" +
                    std::to_string(p.now->wanted);
        }
        lines.push_back(leaf);
        if (!all.empty()) lines.push_back("refused " + std::to_string(p.refused) + ": " + reasons_text(all));
        if (p.latest != nullptr && p.now != nullptr) {
            question_ = sdg::flat(sdg::user_text(*p.now->leaf, *p.latest));
            answer_ = sdg::flat(p.latest->answer);
        }
        if (!question_.empty()) {
            lines.push_back("  user      " + question_);
            lines.push_back("  assistant " + answer_);
        }
        block_.draw(lines);
    }

    static void tell(const formats::json& event) { std::fputs((formats::to_text(event) + "\n").c_str(), stderr); }
    void tell_progress(const sdg::run_progress& p, clock::time_point now) {
        const double s = seconds(now);
        formats::json event{{"event", "progress"},    {"leaf", p.leaf},        {"kept", p.kept},
                            {"wanted", p.wanted},     {"refused", reasons(p)}, {"leaves", p.leaves},
                            {"leaves_done", leaves_}, {"seconds", s}};
        if (tokens_) event["tokens"] = tokens_();
        if (p.kept > 0) event["seconds_left"] = left(p, s);
        if (p.now != nullptr) event["leaf_kept"] = p.now_kept, event["leaf_wanted"] = p.now->wanted;
        tell(event);
        if (p.latest == nullptr || p.now == nullptr || now - sampled_ < std::chrono::seconds(10)) return;
        sampled_ = now;
        tell({{"event", "sample"},
              {"leaf", p.now->leaf->id},
              {"user", sdg::user_text(*p.now->leaf, *p.latest)},
              {"assistant", p.latest->answer}});
    }

    static inline std::mutex mutex_{};
    static inline generation_view* on_screen_ = nullptr;
    std::function<std::uint64_t()> tokens_;
    bool events_, terminal_, finished_ = false;
    clock::time_point start_, shown_, sampled_;
    std::size_t leaves_ = 0;
    terminal_block block_;
    std::map<std::string, std::size_t> reasons_;  // of the leaves that are done
    std::string last_, question_, answer_;
    int faults_ = std::uncaught_exceptions();
};

}  // namespace lab::apps
