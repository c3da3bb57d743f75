// Ends calls that take too long as a whole, also those that drip a byte now and then and so never run into a time-out
// of a single read, and all calls at once when the work is cancelled. One thread, started with the first call.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <thread>
#include <utility>

namespace lab::sdg {

class deadline_watch {
    using clock = std::chrono::steady_clock;
    struct entry {
        clock::time_point deadline;
        std::function<void()> stop;
        bool stopped = false;
    };

public:
    explicit deadline_watch(std::function<bool()> cancelled = {}) : cancelled_(std::move(cancelled)) {}
    deadline_watch(const deadline_watch&) = delete;
    deadline_watch& operator=(const deadline_watch&) = delete;
    ~deadline_watch() {
        {
            const std::lock_guard lock(mutex_);
            ended_ = true;
        }
        changed_.notify_all();
        if (thread_.joinable()) thread_.join();
    }

    /// A call under watch until this goes out of scope. `stop` is called from another thread, and again until the call
    /// has ended: one that comes before the connection is made would be lost.
    class guard {
    public:
        guard(deadline_watch& watch, double seconds, std::function<void()> stop) : watch_(watch) {
            const std::lock_guard lock(watch_.mutex_);
            const auto span = std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(seconds));
            entry_ = watch_.entries_.insert(watch_.entries_.end(), {clock::now() + span, std::move(stop)});
            if (!watch_.thread_.joinable()) watch_.thread_ = std::thread([w = &watch_] { w->run(); });
            watch_.changed_.notify_all();
        }
        guard(const guard&) = delete;
        guard& operator=(const guard&) = delete;
        ~guard() {
            const std::lock_guard lock(watch_.mutex_);
            watch_.entries_.erase(entry_);
        }
        /// Whether the call was ended from here.
        [[nodiscard]] bool stopped() const {
            const std::lock_guard lock(watch_.mutex_);
            return entry_->stopped;
        }

    private:
        deadline_watch& watch_;
        std::list<entry>::iterator entry_;
    };

private:
    void run() {
        std::unique_lock lock(mutex_);
        while (!ended_) {
            const auto now = clock::now();
            const bool all = cancelled_ && cancelled_();
            auto next = now + std::chrono::milliseconds(cancelled_ && !entries_.empty() ? 100 : 60000);
            for (auto& e : entries_) {
                if (all || e.stopped || e.deadline <= now) {
                    e.stopped = true;
                    e.stop();
                    next = std::min(next, now + std::chrono::milliseconds(100));
                } else {
                    next = std::min(next, e.deadline);
                }
            }
            changed_.wait_until(lock, next);
        }
    }

    std::function<bool()> cancelled_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::list<entry> entries_;
    std::thread thread_;
    bool ended_ = false;
};

}  // namespace lab::sdg
