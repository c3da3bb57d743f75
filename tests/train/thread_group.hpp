// Ranks as threads of one process: the smallest transport (train/ranks.hpp).
#pragma once

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "lab/train/ranks.hpp"

namespace lab::test {

class thread_group {
public:
    /// What `size` ranks share.
    struct post_office {
        explicit post_office(std::size_t size) : posted(size), done(size) {}
        struct post {
            std::vector<std::span<const std::byte>> out;
            std::size_t number = 0;
        };
        std::mutex mutex;
        std::condition_variable changed;
        std::vector<std::array<post, 2>> posted;       // by rank and slot
        std::vector<std::array<std::size_t, 2>> done;  // exchanges
    };
    thread_group(std::size_t rank, std::shared_ptr<post_office> office) : rank_(rank), office_(std::move(office)) {}

    [[nodiscard]] std::size_t rank() const { return rank_; }
    [[nodiscard]] std::size_t size() const { return office_->posted.size(); }
    void begin(train::bytes_out out, train::bytes_in in, std::size_t slot) {
        const std::lock_guard lock(office_->mutex);
        auto& mine = office_->posted[rank_][slot];
        mine.out.assign(out.begin(), out.end());
        ++mine.number;
        in_[slot].assign(in.begin(), in.end());
        office_->changed.notify_all();
    }
    void end(std::size_t slot) {
        std::unique_lock lock(office_->mutex);
        auto& o = *office_;
        const std::size_t number = o.posted[rank_][slot].number;
        for (std::size_t r = 0; r < size(); ++r) {
            if (r == rank_) continue;
            o.changed.wait(lock, [&] { return o.posted[r][slot].number >= number; });
            const auto sent = o.posted[r][slot].out[rank_];
            if (sent.size() != in_[slot][r].size()) throw std::logic_error("ranks expect other sizes");
            std::copy(sent.begin(), sent.end(), in_[slot][r].begin());
        }
        ++o.done[rank_][slot];
        o.changed.notify_all();
        o.changed.wait(lock, [&] {
            return std::all_of(o.done.begin(), o.done.end(), [&](const auto& d) { return d[slot] >= number; });
        });
    }

private:
    std::size_t rank_;
    std::shared_ptr<post_office> office_;
    std::array<std::vector<std::span<std::byte>>, 2> in_;
};

/// body(ranks) on so many ranks; the first exception is thrown again.
template <class F>
void on_ranks(std::size_t size, F&& body) {
    const auto office = std::make_shared<thread_group::post_office>(size);
    std::vector<std::exception_ptr> faults(size);
    std::vector<std::thread> threads;
    for (std::size_t r = 0; r < size; ++r)
        threads.emplace_back([&, r] {
            try {
                body(size == 1 ? train::any_ranks() : train::any_ranks(std::make_shared<thread_group>(r, office)));
            } catch (...) {
                faults[r] = std::current_exception();
            }
        });
    for (auto& t : threads) t.join();
    for (const auto& f : faults)
        if (f) std::rethrow_exception(f);
}

}  // namespace lab::test
