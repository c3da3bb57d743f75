// Fork-join over a fixed set of threads. A loop whose items are independent gives the same bytes on any number of
// threads, however its items are shared out.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#endif

#include "lab/core/error.hpp"
#include "lab/core/function_ref.hpp"

namespace lab {

struct thread_pool_options {
    std::size_t threads = 0;  // in total, the caller included; 0: one per hardware thread
    /// Bind each worker to one of the processors that the process may run on, in turn; the caller, who may have other
    /// work, goes where it will. For measurements, and machines that run nothing else. Linux only.
    bool pin = false;
};

class thread_pool {
public:
    /// `threads` in total, the caller included; 0 means one per hardware thread.
    /// @throws config_error where the system does not give so many
    explicit thread_pool(std::size_t threads = 0) : thread_pool(thread_pool_options{.threads = threads}) {}
    explicit thread_pool(const thread_pool_options& options) {
        const std::size_t threads = options.threads == 0 ? std::thread::hardware_concurrency() : options.threads;
        size_ = threads == 0 ? 1 : threads;
        try {
            workers_.reserve(size_ - 1);
            for (std::size_t i = 1; i < size_; ++i) workers_.emplace_back([this, i] { work(i); });
        } catch (const std::exception& fault) {
            const std::size_t made = workers_.size() + 1;
            end_workers();  // a thread that is destroyed while it runs ends the process
            throw config_error(explain("thread pool",
                                       "of " + std::to_string(size_) + " threads the system gave " +
                                           std::to_string(made) + ": " + fault.what(),
                                       "ask for fewer, or raise the limit of processes, ulimit -u"));
        }
        pinned_ = options.pin && pin_workers();
    }
    thread_pool(const thread_pool&) = delete;
    thread_pool& operator=(const thread_pool&) = delete;
    ~thread_pool() { end_workers(); }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    /// Whether each worker is bound to a processor, as thread_pool_options::pin asks: not where the system refuses.
    [[nodiscard]] bool pinned() const noexcept { return pinned_; }

    /// Runs `body(begin, end, worker)` on contiguous parts of [0, count) that are multiples of `grain` (but the last),
    /// one part for each thread: for bodies that prepare something for their whole part. Returns when all are done;
    /// rethrows the first exception. Calls from inside a body run serially.
    void parallel_for(std::size_t count, std::size_t grain,
                      function_ref<void(std::size_t, std::size_t, std::size_t)> body) {
        fork(count, grain, 1, body);
    }
    /// The same in smaller parts, which threads take as they become free: where items differ, or other programs hold up
    /// one of the threads. A thread's calls go upwards.
    void share_out(std::size_t count, std::size_t grain,
                   function_ref<void(std::size_t, std::size_t, std::size_t)> body) {
        fork(count, grain, 8, body);
    }

private:
    void fork(std::size_t count, std::size_t grain, std::size_t parts_each,
              function_ref<void(std::size_t, std::size_t, std::size_t)> body) {
        if (count == 0) return;
        const std::size_t chunks = (count + grain - 1) / grain;
        if (size_ == 1 || chunks == 1 || inside_) {
            body(0, count, 0);
            return;
        }
        const std::lock_guard one_at_a_time(entry_);
        job_ = job{&body, count, grain, chunks, std::min(chunks, size_ * parts_each)};
        next_.store(0, std::memory_order_relaxed);
        failure_ = nullptr;
        gate_.store(open, std::memory_order_release);
        // A worker counts itself asleep before it looks at the generation for the last time, so one of us sees the
        // other.
        generation_.fetch_add(1, std::memory_order_seq_cst);
        if (asleep_.load(std::memory_order_seq_cst) != 0) {
            const std::lock_guard lock(mutex_);
            wake_.notify_all();
        }
        run(0);
        // Nothing is left to begin: who has not come by now need not come.
        gate_.fetch_and(~open, std::memory_order_acq_rel);
        for (std::size_t spins = 0; gate_.load(std::memory_order_acquire) != 0; ++spins)
            spins < spin_limit ? pause() : std::this_thread::yield();
        if (failure_) std::rethrow_exception(failure_);
    }

    struct job {
        const function_ref<void(std::size_t, std::size_t, std::size_t)>* body = nullptr;
        std::size_t count = 0, grain = 1, chunks = 0, parts = 0;
    };
    static constexpr std::uint64_t open = std::uint64_t{1} << 32;
    static constexpr std::size_t spin_limit = 2000;  // some tens of microseconds: longer than a step between two loops

    static void pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#endif
    }

    /// Joins the loop under way, if it still takes workers; until `gate_` is left again, its job stands.
    bool enter() {
        std::uint64_t gate = gate_.load(std::memory_order_relaxed);
        while ((gate & open) != 0)
            if (gate_.compare_exchange_weak(gate, gate + 1, std::memory_order_acq_rel)) return true;
        return false;
    }

    void run(std::size_t worker) {
        inside_ = true;
        try {
            for (std::size_t part; (part = next_.fetch_add(1, std::memory_order_relaxed)) < job_.parts;) {
                const std::size_t first = job_.chunks * part / job_.parts, last = job_.chunks * (part + 1) / job_.parts;
                (*job_.body)(first * job_.grain, last == job_.chunks ? job_.count : last * job_.grain, worker);
            }
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
            if (!enter()) continue;
            run(worker);
            gate_.fetch_sub(1, std::memory_order_acq_rel);
        }
    }

    void end_workers() {
        {
            const std::lock_guard lock(mutex_);
            stop_ = true;
            generation_.fetch_add(1, std::memory_order_release);
        }
        wake_.notify_all();
        for (auto& worker : workers_) worker.join();
        workers_.clear();
    }

    /// Worker i to processor i of those allowed, so that the first is left to the caller. False: some could not be.
    bool pin_workers() {
#if defined(__linux__)
        cpu_set_t allowed;
        if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return false;
        std::vector<int> processors;
        for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
            if (CPU_ISSET(static_cast<std::size_t>(cpu), &allowed)) processors.push_back(cpu);
        bool all = !processors.empty();
        for (std::size_t i = 0; all && i < workers_.size(); ++i) {
            cpu_set_t one;
            CPU_ZERO(&one);
            CPU_SET(static_cast<std::size_t>(processors[(i + 1) % processors.size()]), &one);
            all = ::pthread_setaffinity_np(workers_[i].native_handle(), sizeof one, &one) == 0;
        }
        return all;
#else
        return false;
#endif
    }

    static inline thread_local bool inside_ = false;

    std::size_t size_ = 1;
    bool pinned_ = false;
    std::vector<std::thread> workers_;
    std::mutex entry_, mutex_;
    std::condition_variable wake_;
    std::atomic<std::uint64_t> generation_{0};
    std::atomic<std::size_t> next_{0};    // part
    std::atomic<std::uint64_t> gate_{0};  // workers inside a loop, and whether it takes more
    std::atomic<std::size_t> asleep_{0};
    std::atomic<bool> stop_{false};
    job job_;
    std::exception_ptr failure_;
};

/// thread_pool::parallel_for over `pool`, or all of it here where there is none.
inline void parallel_for(thread_pool* pool, std::size_t count, std::size_t grain,
                         function_ref<void(std::size_t, std::size_t, std::size_t)> body) {
    if (pool != nullptr)
        pool->parallel_for(count, grain, body);
    else if (count != 0)
        body(0, count, 0);
}

/// The pool that a model or a backend works with, or none.
template <class T>
[[nodiscard]] thread_pool* pool_of(T& user) {
    if constexpr (requires { user.pool(); })
        return &user.pool();
    else
        return nullptr;
}

}  // namespace lab
