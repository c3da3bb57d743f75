// The documents of a knowledge leaf: files below the leaf's own folder (`repo: .`) or below a local checkout of its
// repository, chosen by glob patterns. Nothing is fetched. What leads outside, by ".." or by a link, is refused.
// Plain text and Markdown only.
#pragma once

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/file.hpp"
#include "lab/formats/text_bytes.hpp"
#include "lab/taxonomy/glob.hpp"
#include "lab/taxonomy/leaf.hpp"

namespace lab::taxonomy {

struct document_limits {
    std::size_t file_bytes = std::size_t{16} << 20;
    std::size_t total_bytes = std::size_t{64} << 20;
    std::size_t files = 10'000;     ///< documents of one leaf
    std::size_t entries = 200'000;  ///< files looked at in one checkout
};

/// Whether the leaf's documents lie in its own folder.
[[nodiscard]] inline bool is_local(const document_source& source) {
    return source.repo == "." || source.repo == "./" || source.repo == "file:.";
}

/// The last part of a repository's address without ".git": the name of its checkout. Empty when there is none.
[[nodiscard]] inline std::string repository_name(std::string_view repo) {
    while (repo.ends_with('/')) repo.remove_suffix(1);
    if (repo.ends_with(".git")) repo.remove_suffix(4);
    const auto slash = repo.find_last_of("/:\\");
    if (slash != repo.npos) repo.remove_prefix(slash + 1);
    return repo == "." || repo == ".." ? std::string{} : std::string(repo);
}

namespace detail {

/// The commit that a checkout stands at, or empty where that is not easily known.
inline std::string checked_out_commit(const std::filesystem::path& checkout) {
    namespace fs = std::filesystem;
    const auto small = [](const fs::path& path) -> std::string {
        std::error_code no;
        const auto size = fs::is_regular_file(path, no) ? fs::file_size(path, no) : 0;
        return no || size == 0 || size > 4096 ? std::string{} : trim(read_file(path));
    };
    auto head = small(checkout / ".git" / "HEAD");
    if (!head.starts_with("ref: ")) return head;
    return leads_outside(head.substr(5)) ? std::string{} : small(checkout / ".git" / head.substr(5));
}

inline bool is_within(const std::filesystem::path& file, const std::filesystem::path& folder) {
    const auto [end, unused] = std::mismatch(folder.begin(), folder.end(), file.begin(), file.end());
    return end == folder.end();
}

/// Files below `top` that match a pattern, relative to it and sorted. Links to folders are not followed.
inline std::vector<std::string> matching_files(const std::filesystem::path& top, const leaf& l,
                                               const document_limits& bounds, problem_list& problems) {
    namespace fs = std::filesystem;
    const auto& source = *l.source;
    std::vector<bool> used(source.patterns.size(), false);
    std::set<std::string> found;
    std::size_t entries = 0;
    std::error_code fault;
    auto walk = fs::recursive_directory_iterator(top, fs::directory_options::skip_permission_denied, fault);
    for (; !fault && walk != fs::recursive_directory_iterator(); walk.increment(fault)) {
        if (++entries > bounds.entries) {
            problems.error(source.at, top.string() + " holds more than " + std::to_string(bounds.entries) +
                                          " files (name a smaller folder)");
            return {};
        }
        if (walk->path().filename() == ".git") walk.disable_recursion_pending();
        std::error_code no;
        if (!walk->is_regular_file(no)) continue;
        const auto relative = walk->path().lexically_relative(top).generic_string();
        for (std::size_t i = 0; i < source.patterns.size(); ++i) {
            if (leads_outside(source.patterns[i]) || !glob_match(source.patterns[i], relative)) continue;
            used[i] = true;
            found.insert(relative);
        }
    }
    if (fault) problems.error(source.at, "cannot read the folder " + top.string() + ": " + fault.message());
    for (std::size_t i = 0; i < source.patterns.size(); ++i) {
        if (leads_outside(source.patterns[i]))
            problems.error(source.pattern_positions[i], "the pattern " + formats::quote(source.patterns[i]) +
                                                            " leads out of its folder (write it relative, without ..)");
        else if (!used[i])
            problems.error(source.pattern_positions[i],
                           "the pattern " + formats::quote(source.patterns[i]) + " matches no file in " + top.string());
    }
    return {found.begin(), found.end()};
}

}  // namespace detail

/// Reads the documents of a knowledge leaf into it. `checkouts` holds one folder for each repository (its last name
/// without
/// ".git"); empty when there is none. Every failure becomes an error in `problems`; the leaf then has no documents.
inline void read_documents(leaf& l, const std::filesystem::path& checkouts, problem_list& problems,
                           const document_limits& bounds = {}) {
    namespace fs = std::filesystem;
    if (!l.source) return;
    const auto& source = *l.source;
    const auto errors_before = problems.errors();
    fs::path top = l.folder.empty() ? fs::path(".") : l.folder;
    if (!is_local(source)) {
        const auto folder = repository_name(source.repo);
        if (folder.empty() || folder.find('\0') != folder.npos)
            return problems.error(source.at, "the repository " + formats::quote(source.repo) +
                                                 " has no name (write its address, or . for this folder)");
        if (checkouts.empty())
            return problems.error(source.at, "the documents are in " + formats::quote(source.repo) +
                                                 " (clone it to DIR/" + folder + " and name DIR by --documents)");
        top = checkouts / folder;
        std::error_code no;
        if (!fs::is_directory(top, no))
            return problems.error(
                source.at, "there is no folder " + top.string() + " (clone " + formats::quote(source.repo) + " there)");
        const auto commit = detail::checked_out_commit(top);
        if (commit.size() == 40 && !commit.starts_with(source.commit))
            problems.warning(source.at, "the checkout " + top.string() + " stands at commit " + commit +
                                            ", the leaf asks for " + formats::quote(source.commit) +
                                            " (git checkout it)");
    }
    std::error_code fault;
    const auto real_top = fs::canonical(top, fault);
    if (fault) return problems.error(source.at, "cannot read the folder " + top.string() + ": " + fault.message());
    const auto files = detail::matching_files(top, l, bounds, problems);
    if (files.size() > bounds.files)
        return problems.error(source.at, "the patterns match " + std::to_string(files.size()) + " files, at most " +
                                             std::to_string(bounds.files) + " are read (narrow them)");
    std::size_t total = 0;
    for (const auto& file : files) {
        const auto refuse = [&](const std::string& why) {
            problems.error(source.at, "the document " + formats::quote(file) + " " + why);
        };
        const auto real = fs::canonical(top / file, fault);
        if (fault || !detail::is_within(real, real_top)) {
            refuse("is a link that leads out of " + top.string() + " (copy the file)");
            continue;
        }
        const auto ending = fs::path(file).extension();
        if (ending != ".md" && ending != ".txt" && ending != ".markdown") {
            refuse("is neither Markdown nor plain text (convert it first; a PDF by `pdftotext -layout`)");
            continue;
        }
        try {
            const mapped_file map(real);
            total += map.bytes().size();
            if (map.bytes().size() > bounds.file_bytes || total > bounds.total_bytes) {
                refuse("is too large: " + std::to_string(map.bytes().size()) + " bytes, " + std::to_string(total) +
                       " so far (split the leaf)");
                break;
            }
            const auto bytes = formats::as_text(map.bytes());
            if (const auto bad = formats::first_invalid_utf8(bytes); bad != bytes.npos) {
                refuse("is not UTF-8 at offset " + std::to_string(bad));
                continue;
            }
            std::string text;
            text.reserve(bytes.size());
            for (const char c : bytes.substr(bytes.starts_with("\xef\xbb\xbf") ? 3 : 0))
                if (c != '\r') text += c;
            if (trim(text).empty()) refuse("is empty");
            l.documents.push_back({file, std::move(text)});
        } catch (const io_error& why) {
            refuse(why.what());
        }
    }
    if (problems.errors() > errors_before) l.documents.clear();
}

}  // namespace lab::taxonomy
