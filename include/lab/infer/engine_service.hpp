// An engine for several threads: one thread drives it, others hand in jobs, wait for them or take them back at any
// time. What a server is built on.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/infer/engine.hpp"

namespace lab::infer {

class engine_service {
public:
    /// A job handed in: `id` cancels it, `result` becomes ready when it has ended.
    struct ticket {
        job_id id;
        std::future<generated> result;
    };

    /// The engine is the service's alone until it is destroyed.
    explicit engine_service(engine& e) : engine_(&e), driver_([this] { drive(); }) {}
    engine_service(const engine_service&) = delete;
    engine_service& operator=(const engine_service&) = delete;
    /// Ends what is left as finish_reason::cancelled. Not to be called by a job's callback.
    ~engine_service() {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        wake_.notify_one();
        driver_.join();
    }

    /// Its callbacks are called by the service's thread; what they throw ends up in the result.
    /// @throws config_error as engine::check does.
    [[nodiscard]] ticket submit(generation job) {
        engine_->check(job);
        auto promise = std::make_shared<std::promise<generated>>();
        ticket given{0, promise->get_future()};
        {
            const std::lock_guard lock(mutex_);
            given.id = next_id_++;
            inbox_.push_back([this, id = given.id, job = std::move(job), promise](engine& e) mutable {
                const auto finished = [this, id, promise](generated&& result) {
                    open_.erase(id);
                    if (result.fault)
                        promise->set_exception(result.fault);
                    else
                        promise->set_value(std::move(result));
                };
                try {
                    open_.emplace(id, place{e.submit(std::move(job), finished), promise});
                } catch (...) {
                    promise->set_exception(std::current_exception());
                }
            });
        }
        wake_.notify_one();
        return given;
    }
    /// Nothing where the job has ended already.
    void cancel(job_id id) {
        {
            const std::lock_guard lock(mutex_);
            inbox_.push_back([this, id](engine& e) {
                if (const auto found = open_.find(id); found != open_.end()) e.cancel(found->second.id);
            });
        }
        wake_.notify_one();
    }

private:
    using errand = std::function<void(engine&)>;
    struct place {
        job_id id;  // the engine's
        std::shared_ptr<std::promise<generated>> promise;
    };

    void drive() {
        for (bool idle = true;;) {
            std::vector<errand> errands;
            bool stopping = false;
            {
                std::unique_lock lock(mutex_);
                if (idle) wake_.wait(lock, [&] { return stopping_ || !inbox_.empty(); });
                errands.swap(inbox_);
                stopping = stopping_;
            }
            for (auto& each : errands) each(*engine_);
            if (stopping)
                for (const auto& [id, job] : open_) engine_->cancel(job.id);
            try {
                idle = !engine_->step();
            } catch (...) {
                fail(std::current_exception());
                idle = true;
            }
            if (stopping && open_.empty()) {
                const std::lock_guard lock(mutex_);
                if (inbox_.empty()) return;
            }
        }
    }
    void fail(const std::exception_ptr& fault) {
        for (const auto& [id, job] : open_) {
            engine_->discard(job.id);
            job.promise->set_exception(fault);
        }
        open_.clear();
    }

    engine* engine_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::vector<errand> inbox_;  // of other threads
    job_id next_id_ = 0;
    bool stopping_ = false;
    std::unordered_map<job_id, place> open_;  // the driver's
    std::thread driver_;                      // last: it uses the rest
};

}  // namespace lab::infer
