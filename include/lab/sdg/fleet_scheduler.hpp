// The work of a fleet of servers: which request goes where and when, and what a failure means. A server that fails
// waits and is tried again; after its retries it is out, and looked at again later. A request that alone fails again
// and again, while others are answered, is refused. Runs one batch at a time; holds no HTTP.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "lab/sdg/adaptive_limit.hpp"
#include "lab/sdg/endpoint.hpp"
#include "lab/sdg/http_options.hpp"
#include "lab/sdg/retry.hpp"
#include "lab/sdg/teacher.hpp"

namespace lab::sdg {

/// A server as it stands, for people.
struct server_status {
    enum class standing : std::uint8_t { up, out, gone };  // out: looked at again; gone: for good
    std::string name;
    standing now = standing::up;
    std::size_t limit = 0, in_flight = 0, answered = 0;
};

class fleet_scheduler {
public:
    /// What goes out in one call.
    struct unit {
        std::vector<std::size_t> of;  // numbers of its requests
        std::size_t size = 0;         // bytes to read and, roughly, to write
        unsigned failures = 0;
    };

    fleet_scheduler(std::vector<any_endpoint> servers, fleet_options options) : options_(std::move(options)) {
        for (auto& s : servers) {
            member m{std::move(s), fresh_limit()};
            m.number = members_.size();
            members_.push_back(std::move(m));
        }
        if (members_.empty()) throw config_error("teacher: at least one server is needed");
        look_at_all();
    }

    [[nodiscard]] const fleet_options& options() const noexcept { return options_; }
    /// One of the servers: what it says of the model holds for all.
    [[nodiscard]] const any_endpoint& model() const noexcept { return members_[model_].server; }
    [[nodiscard]] any_endpoint& model() noexcept { return members_[model_].server; }
    [[nodiscard]] const any_endpoint& server(std::size_t i) const noexcept { return members_[i].server; }
    [[nodiscard]] std::vector<server_status> status() const {
        const std::lock_guard lock(mutex_);
        std::vector<server_status> list;
        for (const auto& m : members_)
            list.push_back({m.server.name(), m.standing, m.limit.now(), m.in_flight, m.answered});
        return list;
    }

    /// Has every unit answered by `call(server, unit)`, on several threads, and hands its answers to `sink(i, answer)`,
    /// one at a time. What a sink throws ends the batch; what is on its way is still delivered.
    /// @param work of an answer, in tokens @throws io_error when no server is left; the first request's request_refused
    template <class Answer, class Call, class Work, class Sink>
    void drive(std::deque<unit> units, Call call, Work work, Sink& sink) {
        batch b;
        b.open = units.size();
        b.queue = std::move(units);
        if (!anyone_up())  // the last batch ended so: perhaps somebody is back
            for (auto& m : members_) m.ready_at = std::min(m.ready_at, options_.time.now());
        const auto body = [&] {
            std::unique_lock lock(mutex_);
            while (member* m = next(b, lock)) {
                unit u = std::move(b.queue.front());
                b.queue.pop_front();
                const std::uint64_t begun = begin(*m, b, u);
                std::vector<Answer> answers;
                std::exception_ptr fault;
                lock.unlock();
                try {
                    answers = call(m->server, u);
                    if (answers.size() != u.of.size())
                        throw server_fault(m->server.name() + ": other than as many answers as were asked for",
                                           server_fault::kind::broken);
                } catch (...) {
                    fault = std::current_exception();
                }
                lock.lock();
                end(*m, b, u);
                if (fault) {
                    failed(*m, b, std::move(u), fault, begun);
                } else {
                    double done = 0;
                    try {
                        for (std::size_t k = 0; k < answers.size(); ++k) {
                            done += work(answers[k]);
                            sink(u.of[k], answers[k]);
                        }
                    } catch (...) {
                        if (!b.failure) b.failure = std::current_exception();
                    }
                    ++m->answered, ++answered_, --b.open;
                    m->failures = 0;
                    m->limit.on_answer(done, options_.time.now());
                }
                note_busy(b);
                changed_.notify_all();
            }
        };
        std::vector<std::thread> threads;
        std::size_t useful = 0;
        for (const auto& m : members_) useful += m.limit.bound();
        const std::size_t wanted = std::min(useful, b.open);
        try {
            while (threads.size() < wanted) threads.emplace_back(body);
        } catch (const std::system_error&) {  // the system gives no more: these will do
            if (threads.empty()) throw;
        }
        for (auto& t : threads) t.join();
        b.queue.clear();
        note_busy(b);
        if (b.failure) std::rethrow_exception(b.failure);
        if (!b.refused.empty()) std::rethrow_exception(b.refused.begin()->second);
    }

private:
    using standing = server_status::standing;
    struct member {
        any_endpoint server;
        adaptive_limit limit;
        std::size_t number = 0;
        server_status::standing standing = server_status::standing::out;
        std::size_t in_flight = 0, outstanding = 0, answered = 0;
        unsigned failures = 0;          // since its last answer
        std::uint64_t troubled_at = 0;  // event of the last failure that counted
        double ready_at = 0, absence = 0;
        bool looking = false;
        std::string cause{};
    };
    struct batch {
        std::deque<unit> queue;
        std::size_t open = 0, in_flight = 0;  // units
        bool sleeping = false;
        std::exception_ptr failure;
        std::map<std::size_t, std::exception_ptr> refused;  // by the number of the unit's first request
    };

    [[nodiscard]] adaptive_limit fresh_limit() const {
        return adaptive_limit({.fixed = options_.concurrency, .most = options_.most_concurrency});
    }
    void say(const std::string& line) const {
        if (options_.notice) options_.notice(line);
    }
    [[nodiscard]] bool cancelled() const { return options_.cancelled && options_.cancelled(); }
    static std::string seconds_text(double seconds) {
        const auto tenths = std::llround(seconds * 10);
        return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " s";
    }
    /// In short naps, so that cancelling need not wait.
    void nap(double seconds) const {
        const double end = options_.time.now() + seconds;
        for (double now = options_.time.now(); now < end && !cancelled(); now = options_.time.now())
            options_.time.sleep(std::min(end - now, 0.1));
    }

    void look_at_all() {
        for (unsigned round = 1;; ++round) {
            bool any = false;
            for (auto& m : members_) {
                if (cancelled()) throw io_error("teacher: cancelled");
                try {
                    m.server.look();
                } catch (const server_fault& fault) {
                    m.cause = fault.what();
                    if (fault.what_kind == server_fault::kind::final) throw;
                    continue;
                }
                if (!any) model_ = m.number;
                any = true;
                m.standing = standing::up;
                if (const auto other = difference(m)) throw config_error(*other);
            }
            if (any) break;
            if (round > options_.retry.retries) throw io_error(no_server_left(round));
            const double wait = wait_after(options_.retry, round, 0);
            say(members_[0].cause + "; retry " + std::to_string(round) + " of " +
                std::to_string(options_.retry.retries) + " in " + seconds_text(wait));
            nap(wait);
        }
        for (auto& m : members_)
            if (m.standing == standing::out) {
                m.absence = options_.retry.longest_wait;
                m.ready_at = options_.time.now() + m.absence;
                say(m.cause + "; going on without it");
            }
    }
    /// Why this server may not stand in for the others.
    [[nodiscard]] std::optional<std::string> difference(const member& m) const {
        const auto &a = model(), &b = m.server;
        if (a.identity() == b.identity() && a.can_score() == b.can_score()) return std::nullopt;
        const auto described = [](const any_endpoint& s) {
            return s.name() + " serves " + s.identity() + (s.can_score() ? "" : " without likelihoods");
        };
        return explain("teacher", described(a) + ", " + described(b), "all servers of a run must serve the same model");
    }
    [[nodiscard]] std::string no_server_left(unsigned attempts) const {
        constexpr const char* fix = "see that the server runs, then run the same command again: what is done is kept";
        if (members_.size() == 1)
            return members_[0].standing == standing::gone
                       ? members_[0].cause
                       : explain("", members_[0].cause + "; gave up after " + std::to_string(attempts) + " attempts",
                                 fix);
        std::string all = "no server is left: ";
        for (const auto& m : members_) all.append(m.number == 0 ? "" : "; ").append(m.cause);
        return explain("", all, fix);
    }

    /// A server that may take the queue's first unit now; nothing once the batch is over or nobody is left. Waits, and
    /// looks at servers that were away, with the lock released.
    member* next(batch& b, std::unique_lock<std::mutex>& lock) {
        for (;;) {
            if (b.failure || b.open == 0) return nullptr;
            if (cancelled()) {
                b.failure = std::make_exception_ptr(io_error("teacher: cancelled"));
                changed_.notify_all();
                return nullptr;
            }
            const double now = options_.time.now();
            if (member* m = due_for_a_look(b, now)) {
                look_again(*m, lock);
                continue;
            }
            if (member* m = least_busy(b, now)) return m;
            if (!b.queue.empty() && !anyone_up() &&
                std::none_of(members_.begin(), members_.end(), [](const member& m) { return m.looking; })) {
                b.failure = std::make_exception_ptr(io_error(no_server_left(members_[0].failures)));
                changed_.notify_all();
                return nullptr;
            }
            wait(b, now, lock);
        }
    }
    [[nodiscard]] bool anyone_up() const {
        return std::any_of(members_.begin(), members_.end(),
                           [](const member& m) { return m.standing == standing::up; });
    }
    member* least_busy(const batch& b, double now) {
        member* best = nullptr;
        if (b.queue.empty()) return best;
        for (auto& m : members_)
            if (m.standing == standing::up && m.ready_at <= now && m.in_flight < m.limit.now() &&
                (best == nullptr || m.outstanding < best->outstanding))
                best = &m;
        return best;
    }
    member* due_for_a_look(const batch& b, double now) {
        for (auto& m : members_)
            if (!b.queue.empty() && m.standing == standing::out && !m.looking && m.ready_at <= now) return &m;
        return nullptr;
    }
    void look_again(member& m, std::unique_lock<std::mutex>& lock) {
        m.looking = true;
        bool final = false;
        std::string cause;
        lock.unlock();
        try {
            m.server.look();
        } catch (const server_fault& fault) {
            cause = fault.what();
            final = fault.what_kind == server_fault::kind::final;
        } catch (const std::exception& fault) {
            cause = fault.what();
            final = true;
        }
        lock.lock();
        m.looking = false;
        if (cause.empty())
            if (const auto other = difference(m)) cause = *other, final = true;
        if (cause.empty()) {
            m.standing = standing::up;
            m.failures = 0;
            m.limit = fresh_limit();
            say(m.server.name() + ": is back");
        } else if (final) {
            give_up(m, cause);
        } else {
            m.cause = cause;
            m.absence = std::min(2 * m.absence, options_.longest_absence);
            m.ready_at = options_.time.now() + m.absence;
        }
        changed_.notify_all();
    }
    void give_up(member& m, const std::string& cause) {
        if (m.standing != standing::gone && members_.size() > 1) say(cause + "; going on without this server");
        m.standing = standing::gone;
        m.cause = cause;
    }
    void wait(batch& b, double now, std::unique_lock<std::mutex>& lock) {
        constexpr double blink = 0.1;  // cancelling is noticed this soon
        double soonest = std::numeric_limits<double>::infinity();
        for (const auto& m : members_)
            if (m.standing != standing::gone && m.ready_at > now) soonest = std::min(soonest, m.ready_at - now);
        if (b.queue.empty() || b.in_flight > 0 || b.sleeping || soonest > 1e9) {
            changed_.wait_for(lock, std::chrono::duration<double>(std::min(soonest, blink)));
            return;
        }
        b.sleeping = true;
        lock.unlock();
        nap(soonest);
        lock.lock();
        b.sleeping = false;
        changed_.notify_all();
    }

    std::uint64_t begin(member& m, batch& b, const unit& u) {
        ++m.in_flight, ++b.in_flight;
        m.outstanding += u.size;
        note_busy(b);
        return ++events_;
    }
    void end(member& m, batch& b, const unit& u) {
        --m.in_flight, --b.in_flight;
        m.outstanding -= u.size;
    }
    void note_busy(const batch& b) {
        const double now = options_.time.now();
        for (auto& m : members_) m.limit.set_busy(!b.queue.empty() && m.in_flight >= m.limit.now(), now);
    }

    /// @param begun event of the attempt's beginning
    void failed(member& m, batch& b, unit u, const std::exception_ptr& fault, std::uint64_t begun) {
        try {
            std::rethrow_exception(fault);
        } catch (const server_fault& f) {
            if (cancelled()) {
                b.queue.push_front(std::move(u));
            } else if (f.what_kind == server_fault::kind::broken && ++u.failures > options_.retry.retries &&
                       answered_ > blamed_at_) {
                blamed_at_ = answered_;  // the next one needs answers in between: else the server is to blame
                refuse(b, u,
                       std::make_exception_ptr(request_refused(std::string(f.what()) +
                                                               "; other requests are answered, this one failed " +
                                                               std::to_string(u.failures) + " times")));
            } else {
                b.queue.push_front(std::move(u));
                trouble(m, f, begun);
            }
        } catch (const request_refused&) {
            m.failures = 0;
            refuse(b, u, fault);
        } catch (const config_error&) {
            refuse(b, u, fault);
        } catch (...) {
            if (!b.failure) b.failure = fault;
        }
    }
    static void refuse(batch& b, const unit& u, std::exception_ptr why) {
        --b.open;
        b.refused.emplace(u.of.front(), std::move(why));
    }
    void trouble(member& m, const server_fault& f, std::uint64_t begun) {
        m.cause = f.what();
        if (f.what_kind == server_fault::kind::final) return give_up(m, m.cause);
        if (m.standing != standing::up) return;
        const double now = options_.time.now();
        if (begun < m.troubled_at) {  // it was on its way when another one failed: no new sign
            if (f.wait) m.ready_at = std::max(m.ready_at, now + wait_after(options_.retry, 1, m.number, f.wait));
            return;
        }
        m.troubled_at = ++events_;
        m.limit.on_trouble();
        const unsigned allowed = options_.retry.retries;
        if (++m.failures > allowed) {
            m.standing = standing::out;
            m.absence = std::min(options_.retry.longest_wait, options_.longest_absence);
            m.ready_at = now + m.absence;
            if (members_.size() > 1) say(m.cause + "; the server is taken out, others take its work");
            return;
        }
        const double wait = wait_after(options_.retry, m.failures, m.number, f.wait);
        m.ready_at = std::max(m.ready_at, now + wait);
        say(m.cause + "; retry " + std::to_string(m.failures) + " of " + std::to_string(allowed) + " in " +
            seconds_text(wait));
    }

    fleet_options options_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<member> members_;  // a deque: nothing in it moves
    std::size_t model_ = 0;
    std::uint64_t events_ = 0, answered_ = 0, blamed_at_ = 0;
};

}  // namespace lab::sdg
