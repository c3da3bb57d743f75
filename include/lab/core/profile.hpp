// Where a backend's time goes: seconds, arithmetic and bytes of weights by operation. A backend that is given one adds
// each call to it; without one, nothing is measured.
#pragma once

#include <chrono>
#include <compare>
#include <cstddef>
#include <map>
#include <mutex>
#include <string_view>
#include <utility>

namespace lab {

class op_profile {
public:
    /// Matrix products are told apart by their shape.
    struct key {
        std::string_view name;              // of a literal
        std::size_t columns = 0, rows = 0;  // of the weight, where there is one
        auto operator<=>(const key&) const = default;
    };
    struct totals {
        std::size_t calls = 0;
        double seconds = 0, operations = 0, weight_bytes = 0;  // a multiply-add is two operations
    };

    void add(const key& k, double seconds, double operations, double weight_bytes) {
        const std::lock_guard lock(mutex_);
        totals& t = by_op_[k];
        ++t.calls;
        t.seconds += seconds, t.operations += operations, t.weight_bytes += weight_bytes;
    }
    /// What was added since the last call.
    [[nodiscard]] std::map<key, totals> take() {
        const std::lock_guard lock(mutex_);
        return std::exchange(by_op_, {});
    }

private:
    std::mutex mutex_;
    std::map<key, totals> by_op_;
};

/// Adds the time from its making to its end to a profile, if there is one.
class op_timer {
public:
    op_timer(op_profile* profile, const op_profile::key& k, double operations = 0, double weight_bytes = 0)
        : profile_(profile), key_(k), operations_(operations), weight_bytes_(weight_bytes) {
        if (profile_ != nullptr) start_ = std::chrono::steady_clock::now();
    }
    op_timer(const op_timer&) = delete;
    op_timer& operator=(const op_timer&) = delete;
    ~op_timer() {
        if (profile_ == nullptr) return;
        const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start_;
        profile_->add(key_, taken.count(), operations_, weight_bytes_);
    }

private:
    op_profile* profile_;
    op_profile::key key_;
    double operations_, weight_bytes_;
    std::chrono::steady_clock::time_point start_{};
};

}  // namespace lab
