// How many requests a server is given at once, found by itself: doubled while that pays, then a few more at a time as
// long as throughput grows and a few less where that loses nothing; halved on errors, time-outs and 429 (additive
// increase, multiplicative decrease, as in Chiu and Jain 1989). Throughput is measured only while the server had all it
// was allowed and more was waiting.
#pragma once

#include <algorithm>
#include <cstddef>

namespace lab::sdg {

class adaptive_limit {
public:
    struct options {
        std::size_t fixed = 0;  // 0: found between 1 and `most`
        std::size_t start = 4, most = 64;
    };

    adaptive_limit() : adaptive_limit(options{}) {}
    explicit adaptive_limit(options o)
        : options_(o), limit_(std::max<std::size_t>(1, o.fixed != 0 ? o.fixed : std::min(o.start, o.most))) {}

    [[nodiscard]] std::size_t now() const noexcept { return limit_; }
    /// The most that `now` can become.
    [[nodiscard]] std::size_t bound() const noexcept {
        return std::max<std::size_t>(1, options_.fixed != 0 ? options_.fixed : options_.most);
    }

    /// The server has all it may have and more waits, or no longer.
    void set_busy(bool busy, double time) {
        if (busy == (busy_since_ >= 0)) return;
        if (!busy) busy_time_ += time - busy_since_;
        busy_since_ = busy ? time : -1;
    }
    /// @param work of the answer, in any unit that adds up (tokens)
    void on_answer(double work, double time) {
        if (options_.fixed != 0 || busy_since_ < 0) return;
        work_ += work;
        busy_time_ += time - busy_since_;
        busy_since_ = time;
        if (++answers_ < 2 * limit_ || busy_time_ <= 0) return;
        decide(work_ / busy_time_);
        forget();
    }
    /// An error, a time-out, a "too many requests". Of those that were on their way together, tell one.
    void on_trouble() {
        if (options_.fixed != 0) return;
        limit_ = std::max<std::size_t>(1, limit_ / 2);
        doubling_ = false;
        direction_ = 0, next_ = 1;
        hold_ = patience;
        forget();
    }

private:
    static constexpr int patience = 4;  // windows between trials

    void forget() { work_ = busy_time_ = 0, answers_ = 0; }
    void decide(double rate) {
        if (doubling_) {
            if (best_ == 0 || rate > 1.2 * best_) {
                best_ = rate;
                before_ = limit_;
                limit_ = std::min(2 * limit_, options_.most);
                if (limit_ != before_) return;
            } else {
                limit_ = before_;  // twice as many were not worth it
            }
            doubling_ = false;
            hold_ = patience;
        } else if (direction_ != 0) {
            // Worth it is a step that brings, or costs, a third of what it would with no limit in sight.
            const double least =
                best_ * (1 + direction_ * 0.33 * static_cast<double>(step_) / static_cast<double>(before_));
            const bool worth = rate > least;
            if (!worth) limit_ = before_;
            if (worth && begin_trial(direction_, rate)) return;
            next_ = -direction_;
            direction_ = 0;
            hold_ = patience;
        } else if (--hold_ <= 0) {  // measured anew: servers get faster and slower
            if (!begin_trial(next_, rate)) begin_trial(-next_, rate);
        }
    }
    /// One more or one less, an eighth where that is more. @return whether there is room for it
    bool begin_trial(int direction, double rate) {
        const std::size_t most = options_.most;
        step_ = std::max<std::size_t>(1, limit_ / 8);
        if (direction > 0 ? limit_ >= most : limit_ <= step_) return false;
        if (direction > 0) step_ = std::min(step_, most - limit_);
        best_ = rate;
        before_ = limit_;
        limit_ = direction > 0 ? limit_ + step_ : limit_ - step_;
        direction_ = direction;
        return true;
    }

    options options_;
    std::size_t limit_, before_ = 1, step_ = 1, answers_ = 0;
    double work_ = 0, busy_time_ = 0, busy_since_ = -1, best_ = 0;
    int hold_ = 0, direction_ = 0, next_ = 1;  // of the trial that is on, 0: none; of the next
    bool doubling_ = true;
};

}  // namespace lab::sdg
