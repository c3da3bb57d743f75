// Fork-join over a fixed set of threads. Work is cut into `size()` contiguous ranges that depend only on the item
// count and the pool's size, so a loop whose items are independent gives the same bytes on any number of threads.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "lab/core/function_ref.hpp"

namespace lab {

class thread_pool {
public:
    /// `threads` in total, the caller included; 0 means one per hardware thread.
    explicit thread_pool(std::size_t threads = 0) {
        if (threads == 0) threads = std::thread::hardware_concurrency();
        size_ = threads == 0 ? 1 : threads;
        workers_.reserve(size_ - 1);
        for (std::size_t i = 1; i < size_; ++i) workers_.emplace_back([this, i] { work(i); });
    }
    thread_pool(const thread_pool&) = delete;
    thread_pool& operator=(const thread_pool&) = delete;
    ~thread_pool() {
        {
            const std::lock_guard lock(mutex_);
            stop_ = true;
            generation_.fetch_add(1, std::memory_order_release);
        }
        wake_.notify_all();
        for (auto& worker : workers_) worker.join();
    }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    /// Runs `body(begin, end, worker)` on contiguous parts of [0, count) that are multiples of `grain` (but the last).
    /// Returns when all are done; rethrows the first exception. Calls from inside a body run serially.
    void parallel_for(std::size_t count, std::size_t grain,
                      function_ref<void(std::size_t, std::size_t, std::size_t)> body) {
        if (count == 0) return;
        const std::size_t chunks = (count + grain - 1) / grain;
        if (size_ == 1 || chunks == 1 || inside_) {
            body(0, count, 0);
            return;
        }
        const std::lock_guard one_at_a_time(entry_);
        job_ = job{&body, count, grain, chunks};
        failure_ = nullptr;
        pending_.store(size_ - 1, std::memory_order_relaxed);
        // A worker counts itself asleep before it looks at the generation for the last time, so one of us sees the
        // other.
        generation_.fetch_add(1, std::memory_order_seq_cst);
        if (asleep_.load(std::memory_order_seq_cst) != 0) {
            const std::lock_guard lock(mutex_);
            wake_.notify_all();
        }
        run(0);
        for (std::size_t spins = 0; pending_.load(std::memory_order_acquire) != 0; ++spins)
            spins < spin_limit ? pause() : std::this_thread::yield();
        if (failure_) std::rethrow_exception(failure_);
    }

private:
    struct job {
        const function_ref<void(std::size_t, std::size_t, std::size_t)>* body = nullptr;
        std::size_t count = 0, grain = 1, chunks = 0;
    };
    static constexpr std::size_t spin_limit = 2000;  // some tens of microseconds: longer than a step between two loops

    static void pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#endif
    }

    void run(std::size_t worker) {
        const std::size_t first = job_.chunks * worker / size_, last = job_.chunks * (worker + 1) / size_;
        if (first == last) return;
        const std::size_t end = last == job_.chunks ? job_.count : last * job_.grain;
        inside_ = true;
        try {
            (*job_.body)(first * job_.grain, end, worker);
        } catch (...) {
            const std::lock_guard lock(mutex_);
            if (!failure_) failure_ = std::current_exception();
        }
        inside_ = false;
    }

    void work(std::size_t worker) {
        std::uint64_t seen = 0;
        for (;;) {
            for (std::size_t spins = 0; spins < spin_limit && generation_.load(std::memory_order_acquire) == seen;
                 ++spins)
                pause();
            if (generation_.load(std::memory_order_acquire) == seen) {
                std::unique_lock lock(mutex_);
                asleep_.fetch_add(1, std::memory_order_seq_cst);
                wake_.wait(lock, [&] { return generation_.load(std::memory_order_seq_cst) != seen; });
                asleep_.fetch_sub(1, std::memory_order_relaxed);
            }
            seen = generation_.load(std::memory_order_acquire);
            if (stop_.load(std::memory_order_relaxed)) return;
            run(worker);
            pending_.fetch_sub(1, std::memory_order_acq_rel);
        }
    }

    static inline thread_local bool inside_ = false;

    std::size_t size_ = 1;
    std::vector<std::thread> workers_;
    std::mutex entry_, mutex_;
    std::condition_variable wake_;
    std::atomic<std::uint64_t> generation_{0};
    std::atomic<std::size_t> pending_{0};
    std::atomic<std::size_t> asleep_{0};
    std::atomic<bool> stop_{false};
    job job_;
    std::exception_ptr failure_;
};

}  // namespace lab
