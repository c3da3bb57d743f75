// Training while it runs. On a terminal a few lines that are redrawn: where the phase is and how long it will take, the
// loss with its course, held-out loss, rate and norm, and what the machine gives. Elsewhere a plain line every five
// seconds.
#pragma once

#include <unistd.h>
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/limits.hpp"
#include "common/progress.hpp"
#include "common/terminal_block.hpp"
#include "common/training_work.hpp"
#include "lab/eval/report.hpp"
#include "lab/nn/any_model.hpp"
#include "lab/train/events.hpp"

namespace lab::apps {

/// Values from oldest to newest as blocks of eight heights, squeezed into `width` characters.
[[nodiscard]] inline std::string spark_text(std::span<const double> values, std::size_t width = 24) {
    if (values.size() < 2) return "";
    const std::size_t shown = std::min(width, values.size());
    std::vector<double> means;
    for (std::size_t i = 0; i < shown; ++i) {
        const std::size_t begin = values.size() * i / shown, end = values.size() * (i + 1) / shown;
        double sum = 0;
        for (std::size_t k = begin; k < end; ++k) sum += values[k];
        means.push_back(sum / static_cast<double>(end - begin));
    }
    const auto [low, high] = std::minmax_element(means.begin(), means.end());
    std::string text;
    for (const double m : means) {
        const double height = *high > *low ? (m - *low) / (*high - *low) : 0.0;
        const auto level = static_cast<unsigned char>(0x81 + std::min(7, static_cast<int>(height * 8)));
        text += {'\xe2', '\x96', static_cast<char>(level)};  // U+2581 ... U+2588
    }
    return text;
}

class training_view {
public:
    explicit training_view(bool quiet) : quiet_(quiet), terminal_(!quiet && ::isatty(::fileno(stderr)) != 0) {}
    training_view(const training_view&) = delete;
    training_view& operator=(const training_view&) = delete;
    ~training_view() { block_.clear(); }

    /// What a token costs, and the most that so many processes like this one do, measured for a tenth of a second.
    void loaded(const nn::any_model& model, bool bf16, std::size_t processes) {
        work_.emplace(model);
        if (!quiet_) limit_ = product_limit(model.pool(), bf16, 0.1) * static_cast<double>(processes);
    }
    void say(const std::string& line) {
        if (!quiet_) block_.say(line);
    }

    void phase_begin(const train::phase_event& e) {
        if (e.skipped) return;
        title_ = "phase " + std::to_string(e.index + 1) + "/" + std::to_string(e.phases) + " " + std::string(e.name);
        epochs_ = e.epochs;
        losses_.clear();
        heldout_.clear();
        busy_ = operations_ = 0;
        tokens_ = 0;
        last_.reset();
        mark_ = shown_ = start_ = clock::now();
    }
    /// Before the first step of a phase of preferences; the phase's time begins behind it.
    void reference(const train::reference_event& e) {
        if (is_due())
            show({title_ + ": reference " + std::to_string(e.done) + "/" + std::to_string(e.pairs) + " pairs"}, false);
        mark_ = start_ = clock::now();
    }
    void step(const train::step_event& e) {
        const auto now = clock::now();
        busy_ += seconds(mark_, now);
        mark_ = now;
        tokens_ += e.tokens;
        if (work_) operations_ += work_->of(e.tokens, e.rewards ? e.tokens : e.target_tokens);
        losses_.push_back(e.loss);
        if (!last_) first_ = e.step;
        last_ = e;
        if (is_due()) show_step(false);
    }
    void heldout(const train::heldout_event& e) {
        heldout_.push_back(e.loss);
        mark_ = clock::now();
    }
    void checkpoint() { mark_ = clock::now(); }
    void phase_end() {
        if (!last_) return;
        show_step(true);
        last_.reset();
    }

private:
    using clock = std::chrono::steady_clock;
    [[nodiscard]] static double seconds(clock::time_point from, clock::time_point to) {
        return std::chrono::duration<double>(to - from).count();
    }

    /// Of the last tenth of the steps so far, ten at least.
    [[nodiscard]] double loss() const {
        const std::size_t n = std::min(losses_.size(), std::max<std::size_t>(10, losses_.size() / 10));
        double sum = 0;
        for (std::size_t i = losses_.size() - n; i < losses_.size(); ++i) sum += losses_[i];
        return sum / static_cast<double>(n);
    }
    /// "1380 tokens/s, 61 % of 228 GFLOP/s"
    [[nodiscard]] std::string speed_text() const {
        std::string text = rate_text(static_cast<double>(tokens_) / std::max(busy_, 1e-9)) + " tokens/s";
        if (limit_ > 0 && busy_ > 0)
            text += ", " + eval::fixed(100 * operations_ / busy_ / 1e9 / limit_, 0) + " % of " + rate_text(limit_) +
                    " GFLOP/s";
        return text;
    }
    /// What is resident, mapped files apart, in GB.
    [[nodiscard]] static std::string memory_text() {
        std::ifstream file("/proc/self/statm");
        double total = 0, resident = 0, shared = 0;
        if (!(file >> total >> resident >> shared)) return "";
        return ", memory " + eval::fixed((resident - shared) * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1e9, 2) +
               " GB";
    }
    [[nodiscard]] std::string heldout_text() const {
        if (heldout_.empty()) return "";
        std::string text = ", held-out " + eval::fixed(heldout_.back(), 3);
        if (heldout_.size() > 1) text += " (at first " + eval::fixed(heldout_.front(), 3) + ")";
        return text;
    }

    void show_step(bool last) {
        const auto& e = *last_;
        const double took = seconds(start_, clock::now());
        const double left = took * static_cast<double>(e.steps - e.step) /
                            static_cast<double>(e.step - first_ + 1);  // of a resumed phase too
        const std::string time = last ? "took " + duration_text(took) : duration_text(left) + " left";
        std::string place = "step " + std::to_string(e.step) + "/" + std::to_string(e.steps);
        if (epochs_ > 1) place += ", epoch " + std::to_string(e.epoch + 1) + "/" + std::to_string(epochs_);
        std::string learnt = "loss " + eval::fixed(loss(), 3);
        std::string rewards;
        if (e.rewards)
            rewards = ", reward of the chosen " + eval::fixed(e.rewards->chosen, 2) + ", of the rejected " +
                      eval::fixed(e.rewards->rejected, 2);
        if (last || !terminal_) {
            show({title_ + ": " + place + ", " + learnt + heldout_text() + rewards + ", " + speed_text() + ", " + time},
                 last);
            return;
        }
        if (const auto course = spark_text(losses_); !course.empty()) learnt += " " + course;
        show({title_ + "  " + bar_text(e.step, e.steps) + " " + place + ", " + time,
              "  " + learnt + heldout_text() + rewards,
              "  rate " + rate_text(e.learning_rate) + ", gradient norm " + rate_text(e.gradient_norm),
              "  " + speed_text() + memory_text()},
             false);
    }
    /// Asked before lines are made: small models take thousands of steps a second.
    [[nodiscard]] bool is_due() const {
        return !quiet_ &&
               clock::now() - shown_ >= (terminal_ ? std::chrono::milliseconds(100) : std::chrono::milliseconds(5000));
    }
    /// Lines that are redrawn on a terminal, or that stay: the `last` ones, and all where there is none.
    void show(const std::vector<std::string>& lines, bool last) {
        if (quiet_) return;
        shown_ = clock::now();
        if (terminal_ && !last)
            block_.draw(lines);
        else
            for (const auto& line : lines) block_.say(line);
    }

    bool quiet_, terminal_;
    terminal_block block_;
    std::optional<training_work> work_;
    double limit_ = 0;  // GFLOP/s
    std::string title_;
    std::size_t epochs_ = 1;
    std::uint64_t tokens_ = 0, first_ = 0;  // first_: the first step shown of the phase
    double busy_ = 0, operations_ = 0;      // seconds in steps, and what they computed
    std::vector<double> losses_, heldout_;
    std::optional<train::step_event> last_;
    clock::time_point start_, mark_, shown_;
};

}  // namespace lab::apps
