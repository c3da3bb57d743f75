// How much memory this process can still have (Linux): of the machine, and of its control groups (cgroup v2), where
// what the kernel keeps of files that were read counts as used although it gives way.
// https://docs.kernel.org/admin-guide/cgroup-v2.html
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

namespace lab::run {

namespace memory_detail {

/// The number behind the word `name` in a file of such pairs; 0 where there is none.
[[nodiscard]] inline std::uint64_t number_behind(const std::filesystem::path& path, const std::string& name) {
    std::ifstream in(path);
    std::uint64_t value = 0;
    for (std::string word; in >> word;)
        if (word == name && in >> value) return value;
    return 0;
}
/// "Name:  123 kB" of a file of /proc, in bytes.
[[nodiscard]] inline std::uint64_t kilobytes_line(const std::filesystem::path& path, const std::string& name) {
    return number_behind(path, name) * 1024;
}

}  // namespace memory_detail

/// What the control groups of a process leave it: the least of its own and of those above. No limit: the largest
/// number.
/// @param mount where cgroup v2 is mounted @param own a file as /proc/self/cgroup, whose line "0::PATH" names the group
[[nodiscard]] inline std::uint64_t control_group_room(const std::filesystem::path& mount = "/sys/fs/cgroup",
                                                      const std::filesystem::path& own = "/proc/self/cgroup") {
    namespace fs = std::filesystem;
    fs::path group;
    std::ifstream lines(own);
    for (std::string line; std::getline(lines, line);)
        if (line.starts_with("0::/")) group = fs::path(line.substr(4)).lexically_normal();
    // In a container the path may be one that is not mounted there, or lie above what is.
    std::error_code none;
    if (group.string().starts_with("..") || !fs::is_directory(mount / group, none)) group.clear();
    std::uint64_t room = std::numeric_limits<std::uint64_t>::max();
    for (;; group = group.parent_path()) {
        std::uint64_t limit = 0, used = 0;
        std::ifstream most(mount / group / "memory.max"), current(mount / group / "memory.current");
        if (most >> limit && current >> used) {  // "max" is no number
            used -= std::min(used, memory_detail::number_behind(mount / group / "memory.stat", "inactive_file"));
            room = std::min(room, limit - std::min(limit, used));
        }
        if (group.empty()) return room;
    }
}

/// In bytes; 0 where the system does not say.
[[nodiscard]] inline std::uint64_t available_memory() {
    return std::min(memory_detail::kilobytes_line("/proc/meminfo", "MemAvailable:"), control_group_room());
}

}  // namespace lab::run
