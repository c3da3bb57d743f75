// Patience with a server: how long to wait after which failure (exponential back-off, seeded jitter), Retry-After in
// seconds or as a date (RFC 9110, 10.2.3), and time itself as a parameter, so that tests do not sleep.
#pragma once

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <thread>

#include "lab/core/rng.hpp"

namespace lab::sdg {

struct retry_policy {
    unsigned retries = 6;        // after the first attempt
    double first_wait = 0.5;     // seconds; doubles with each retry
    double longest_wait = 30.0;  // seconds; Retry-After is honoured up to four times this
    double jitter = 0.5;         // each wait is drawn from [1 - jitter, 1] times its nominal length
    std::uint64_t seed = 0;
};

/// Seconds to wait after the failure number `failures` (from 1) of server number `stream`.
/// @param asked what the server itself asks for
[[nodiscard]] inline double wait_after(const retry_policy& policy, unsigned failures, std::uint64_t stream,
                                       std::optional<double> asked = {}) {
    if (asked) return std::min(*asked, 4 * policy.longest_wait);
    counter_rng rng(policy.seed, hash64("retry", stream * 1000 + failures));
    const double nominal = std::min(policy.longest_wait, policy.first_wait * std::exp2(std::min(failures, 64u) - 1.0));
    return nominal * (1.0 - policy.jitter * rng.uniform());
}

/// A clock in seconds that only goes forward, and a sleep by it.
struct time_source {
    std::function<double()> now = [] {
        return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    };
    std::function<void(double)> sleep = [](double seconds) {
        std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    };
};

namespace retry_detail {

/// Seconds since 1970 of "Sun, 06 Nov 1994 08:49:37 GMT", the one form of date that servers may write.
[[nodiscard]] inline std::optional<double> http_date(std::string_view text) {
    constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const auto number = [&](std::size_t at, std::size_t digits) -> std::optional<int> {
        int value = 0;
        const char* end = text.data() + at + digits;
        const auto [stop, code] = std::from_chars(text.data() + at, end, value);
        return code == std::errc() && stop == end && value >= 0 ? std::optional(value) : std::nullopt;
    };
    if (text.size() != 29 || !text.ends_with(" GMT")) return std::nullopt;
    const auto day = number(5, 2), year = number(12, 4), hour = number(17, 2), minute = number(20, 2),
               second = number(23, 2);
    const auto month = months.find(text.substr(8, 3));
    if (!day || !year || !hour || !minute || !second || month == months.npos || month % 3 != 0) return std::nullopt;
    using namespace std::chrono;
    const year_month_day date(std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(month / 3 + 1)),
                              std::chrono::day(static_cast<unsigned>(*day)));
    if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
    return static_cast<double>(sys_days(date).time_since_epoch().count()) * 86400.0 + *hour * 3600.0 + *minute * 60.0 +
           *second;
}

}  // namespace retry_detail

/// Seconds that a Retry-After header asks for. A date counts from the answer's own Date: no clock has to be right.
[[nodiscard]] inline std::optional<double> retry_after(std::string_view value, std::string_view date) {
    double seconds = 0;
    if (const auto [end, code] = std::from_chars(value.data(), value.data() + value.size(), seconds);
        code == std::errc() && end == value.data() + value.size() && std::isfinite(seconds) && seconds >= 0)
        return seconds;
    const auto until = retry_detail::http_date(value), from = retry_detail::http_date(date);
    if (!until || !from) return std::nullopt;
    return std::max(0.0, *until - *from);
}

}  // namespace lab::sdg
