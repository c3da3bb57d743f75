// A teacher by what a user names: a model file or folder runs in this process, a URL is asked over HTTP. `key` tells
// teachers apart without opening them, so that a run with nothing left to generate loads no model.
// With lab::generator linked (LAB_COMPILED) opening is a declaration and costs nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/sdg/context_check.hpp"
#include "lab/sdg/generate.hpp"
#include "lab/sdg/http_options.hpp"
#include "lab/sdg/journaled.hpp"

namespace lab::run {

/// A teacher that answers, and how it counts tokens.
struct opened_teacher {
    sdg::any_teacher teacher;
    std::function<std::size_t(std::string_view)> count = [](std::string_view t) { return sdg::estimated_tokens(t); };
    sdg::context_limit context{};  // to be asked as long as the teacher lives
};

struct teacher_source {
    std::string key;  // what a leaf's samples are kept under: a file's digest, or a server's address and model
    std::function<opened_teacher()> open;
};

inline constexpr std::size_t teacher_cache_bytes = std::size_t{1} << 30;

/// A model in this process. @param keep_going asked between steps; false ends the work with lab::error
/// @param cache_bytes bound of the keys and values that its engine keeps; changes no sample
[[nodiscard]] teacher_source local_teacher_source(const std::filesystem::path& path, const std::string& format = {},
                                                  std::size_t threads = 0, const std::function<bool()>& keep_going = {},
                                                  std::size_t cache_bytes = teacher_cache_bytes);

/// A server that speaks OpenAI's API, or several that serve the same model: the key names the first, so that servers
/// may be added and taken away.
[[nodiscard]] teacher_source remote_teacher_source(const sdg::http_teacher_options& options);

/// Whether what a user names as teacher is an address, or several with commas between them.
[[nodiscard]] inline bool is_remote_teacher(std::string_view named) {
    return named.starts_with("http://") || named.starts_with("https://");
}

/// The addresses in "url,url" become the servers of `options`. @throws config_error for an empty list, a path among
/// addresses, the same address twice
inline void set_servers(sdg::http_teacher_options& options, std::span<const std::string> named) {
    std::vector<std::string> urls;
    for (const auto& list : named)
        for (std::size_t at = 0; at <= list.size();) {
            const auto end = std::min(list.find(',', at), list.size());
            std::string url = list.substr(at, end - at);
            at = end + 1;
            if (!is_remote_teacher(url))
                throw config_error(
                    explain(url.empty() ? "teacher" : url, "is not the address of a server",
                            "several teachers are servers of one model; a model in this process stands alone"));
            if (std::find(urls.begin(), urls.end(), url) != urls.end())
                throw config_error(explain(url, "is named twice"));
            urls.push_back(std::move(url));
        }
    if (urls.empty()) throw config_error("teacher: no address is given");
    options.http.base_url = urls.front();
    options.more_servers.assign(urls.begin() + 1, urls.end());
}

}  // namespace lab::run

#ifndef LAB_COMPILED
#include "lab/run/open_teacher.hpp"
#endif
