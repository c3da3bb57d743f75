// lab-bench --profile: where the time of a test went, by operation.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bench/output.hpp"
#include "lab/core/profile.hpp"

namespace lab::apps {

using op_times = std::map<op_profile::key, op_profile::totals>;

[[nodiscard]] inline std::string name_of(const op_profile::key& op) {
    std::string name(op.name);
    if (op.rows != 0) name += " " + std::to_string(op.columns) + " -> " + std::to_string(op.rows);
    return name;
}

/// The longest first.
[[nodiscard]] inline std::vector<std::pair<op_profile::key, op_profile::totals>> by_time(const op_times& times) {
    std::vector<std::pair<op_profile::key, op_profile::totals>> sorted(times.begin(), times.end());
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
    return sorted;
}

[[nodiscard]] inline ordered_json profile_fields(const op_times& times) {
    auto list = ordered_json::array();
    for (const auto& [op, t] : by_time(times))
        list.push_back({{"op", name_of(op)},
                        {"calls", t.calls},
                        {"seconds", t.seconds},
                        {"operations", t.operations},
                        {"weight_bytes", t.weight_bytes}});
    return list;
}

/// A table; what is missing from `whole` seconds was spent outside of operations.
[[nodiscard]] inline std::string profile_text(const op_times& times, double whole) {
    std::string text;
    const auto line = [&](const std::string& name, std::size_t calls, double seconds, double operations, double bytes) {
        char row[160];
        std::snprintf(row, sizeof row, "%-36s %8zu %10.2f %7.1f", name.c_str(), calls, 1e3 * seconds,
                      whole > 0 ? 100 * seconds / whole : 0);
        text += row;
        if (operations > 0) text += text_of(" %9.0f", operations / seconds / 1e9);
        if (bytes > 0) text += text_of(" %9.1f", bytes / seconds / 1e9);
        text += "\n";
    };
    text += "operation                               calls         ms       %     GOP/s  weights GB/s\n";
    double inside = 0;
    for (const auto& [op, t] : by_time(times)) {
        line(name_of(op), t.calls, t.seconds, t.operations, t.weight_bytes);
        inside += t.seconds;
    }
    line("between operations", 0, std::max(0.0, whole - inside), 0, 0);
    return text;
}

}  // namespace lab::apps
