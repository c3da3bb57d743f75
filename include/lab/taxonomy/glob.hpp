// Patterns of file names: * and ? within a name, [a-z] and [!a-z], ** for any number of folders. As in a shell, a
// leading dot is matched only by a dot. Linear memory, no recursion over hostile patterns. Does not know braces.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

namespace lab::taxonomy {

namespace detail {

/// Matches one character against a set that starts behind '['; moves `pattern` behind its ']'. An unclosed set is a
/// plain '['.
inline bool match_set(std::string_view& pattern, char c, bool& is_set) {
    const bool negated = pattern.starts_with('!');
    std::size_t i = negated ? 1 : 0;
    const std::size_t close = pattern.find(']', i + 1);
    is_set = close != pattern.npos;
    if (!is_set) return false;
    bool inside = false;
    while (i < close) {
        const auto low = static_cast<unsigned char>(pattern[i]);
        const bool range = i + 2 < close && pattern[i + 1] == '-';
        const auto high = range ? static_cast<unsigned char>(pattern[i + 2]) : low;
        inside = inside || (low <= static_cast<unsigned char>(c) && static_cast<unsigned char>(c) <= high);
        i += range ? 3 : 1;
    }
    pattern.remove_prefix(close + 1);
    return inside != negated;
}

inline bool match_name(std::string_view pattern, std::string_view name) {
    if (name.starts_with('.') && !pattern.starts_with('.')) return false;
    std::string_view star_pattern, star_name;
    bool star = false;
    for (;;) {
        if (pattern.starts_with('*')) {
            pattern.remove_prefix(1);
            star = true;
            star_pattern = pattern;
            star_name = name;
            continue;
        }
        if (name.empty() && pattern.empty()) return true;
        bool matched = false;
        if (!name.empty() && !pattern.empty()) {
            auto rest = pattern.substr(1);
            bool is_set = false;
            if (pattern.front() == '[') matched = match_set(rest, name.front(), is_set);
            if (!is_set) matched = pattern.front() == '?' || pattern.front() == name.front();
            if (matched) {
                pattern = rest;
                name.remove_prefix(1);
                continue;
            }
        }
        if (!star || star_name.empty()) return false;
        star_name.remove_prefix(1);  // let the last * take one character more
        name = star_name;
        pattern = star_pattern;
    }
}

inline std::vector<std::string_view> split_path(std::string_view path) {
    std::vector<std::string_view> parts;
    while (!path.empty()) {
        const auto end = std::min(path.find('/'), path.size());
        if (end > 0 && path.substr(0, end) != ".") parts.push_back(path.substr(0, end));
        path.remove_prefix(std::min(end + 1, path.size()));
    }
    return parts;
}

}  // namespace detail

/// Whether `pattern` leads out of its folder: an absolute path, or one with "..".
[[nodiscard]] inline bool leads_outside(std::string_view pattern) {
    if (pattern.starts_with('/') || pattern.find('\\') != pattern.npos) return true;
    for (const auto part : detail::split_path(pattern))
        if (part == "..") return true;
    return false;
}

/// Whether the relative path `path` (with '/') matches.
[[nodiscard]] inline bool glob_match(std::string_view pattern, std::string_view path) {
    const auto wanted = detail::split_path(pattern), names = detail::split_path(path);
    // reach[j]: the pattern's parts so far match the first j names.
    std::vector<bool> reach(names.size() + 1, false);
    reach[0] = true;
    for (const auto part : wanted) {
        std::vector<bool> next(names.size() + 1, false);
        for (std::size_t j = 0; j <= names.size(); ++j) {
            if (part == "**")
                next[j] = reach[j] || (j > 0 && next[j - 1] && !names[j - 1].starts_with('.'));
            else
                next[j] = j > 0 && reach[j - 1] && detail::match_name(part, names[j - 1]);
        }
        reach = std::move(next);
    }
    return reach.back();
}

}  // namespace lab::taxonomy
