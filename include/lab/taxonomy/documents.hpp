// The documents of a knowledge leaf: files below the leaf's own folder (`repo: .`) or below a local checkout of its
// repository, chosen by glob patterns. Where the checkout stands at another commit than the leaf asks for, that
// commit's files are read through git. Nothing is fetched (see fetch.hpp). What leads outside, by ".." or a link, is
// refused.
#pragma once

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/file.hpp"
#include "lab/core/sha256.hpp"
#include "lab/formats/text_bytes.hpp"
#include "lab/taxonomy/document_text.hpp"
#include "lab/taxonomy/git.hpp"
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

/// Which files the patterns of a leaf choose, and which pattern chose none.
class pattern_matcher {
public:
    explicit pattern_matcher(const document_source& source) : source_(source), used_(source.patterns.size(), false) {}
    [[nodiscard]] bool operator()(const std::string& path) {
        bool any = false;
        for (std::size_t i = 0; i < source_.patterns.size(); ++i) {
            if (leads_outside(source_.patterns[i]) || !glob_match(source_.patterns[i], path)) continue;
            any = true;
            used_[i] = true;
        }
        return any;
    }
    void report(const std::string& place, problem_list& problems) const {
        for (std::size_t i = 0; i < source_.patterns.size(); ++i) {
            const auto pattern = "the pattern " + formats::quote(source_.patterns[i]);
            if (leads_outside(source_.patterns[i]))
                problems.error(source_.pattern_positions[i],
                               pattern + " leads out of its folder (write it relative, without ..)");
            else if (!used_[i])
                problems.error(source_.pattern_positions[i], pattern + " matches no file in " + place);
        }
    }

private:
    const document_source& source_;
    std::vector<bool> used_;
};

/// Files below `top` that match a pattern, relative to it and sorted. Links to folders are not followed.
inline std::vector<std::string> matching_files(const std::filesystem::path& top, const document_source& source,
                                               const document_limits& bounds, problem_list& problems) {
    namespace fs = std::filesystem;
    pattern_matcher matches(source);
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
        auto relative = walk->path().lexically_relative(top).generic_string();
        if (matches(relative)) found.insert(std::move(relative));
    }
    if (fault) problems.error(source.at, "cannot read the folder " + top.string() + ": " + fault.message());
    matches.report(top.string(), problems);
    return {found.begin(), found.end()};
}

/// Takes the files of a leaf one by one, within the limits.
class document_reader {
public:
    document_reader(leaf& l, problem_list& problems, const document_limits& bounds, const pdf_options& pdf)
        : leaf_(l), problems_(problems), bounds_(bounds), pdf_(pdf) {}

    [[nodiscard]] bool fits(std::size_t files) {
        if (files > bounds_.files)
            problems_.error(leaf_.source->at, "the patterns match " + std::to_string(files) + " files, at most " +
                                                  std::to_string(bounds_.files) + " are read (narrow them)");
        return files <= bounds_.files;
    }
    void refuse(const std::string& file, const std::string& why) {
        problems_.error(leaf_.source->at, "the document " + formats::quote(file) + " " + why);
    }
    /// Counts a file of this size; false, with a problem, where it is too much.
    [[nodiscard]] bool has_room(const std::string& file, std::size_t size) {
        total_ += std::min(size, bounds_.total_bytes + 1);
        if (size <= bounds_.file_bytes && total_ <= bounds_.total_bytes) return true;
        refuse(file, "is too large: " + std::to_string(size) + " bytes, " + std::to_string(total_) +
                         " so far (split the leaf)");
        return false;
    }
    void add(const std::string& file, std::string_view bytes) {
        try {
            auto made = document_text(file, bytes, pdf_);
            for (const auto& note : made.notes)
                problems_.warning(leaf_.source->at, "the document " + formats::quote(file) + ": " + note);
            leaf_.documents.push_back({file, std::move(made.text), sha256_hex(bytes), std::move(made.converter)});
        } catch (const error& why) {
            refuse(file, why.what());
        }
    }

private:
    leaf& leaf_;
    problem_list& problems_;
    const document_limits& bounds_;
    const pdf_options& pdf_;
    std::size_t total_ = 0;
};

inline void read_folder(const std::filesystem::path& top, const document_source& source, const document_limits& bounds,
                        document_reader& reader, problem_list& problems) {
    namespace fs = std::filesystem;
    std::error_code fault;
    const auto real_top = fs::canonical(top, fault);
    if (fault) return problems.error(source.at, "cannot read the folder " + top.string() + ": " + fault.message());
    const auto files = matching_files(top, source, bounds, problems);
    if (!reader.fits(files.size())) return;
    for (const auto& file : files) {
        const auto real = fs::canonical(top / file, fault);
        if (fault || !is_within(real, real_top)) {
            reader.refuse(file, "is a link that leads out of " + top.string() + " (copy the file)");
            continue;
        }
        try {
            const mapped_file map(real);
            if (!reader.has_room(file, map.bytes().size())) return;
            reader.add(file, formats::as_text(map.bytes()));
        } catch (const io_error& why) {
            reader.refuse(file, why.what());
        }
    }
}

inline void read_commit(const std::filesystem::path& top, const std::string& commit, const document_source& source,
                        const document_limits& bounds, document_reader& reader, problem_list& problems) {
    pattern_matcher matches(source);
    auto files = git::files_of(top, commit);
    if (files.size() > bounds.entries)
        return problems.error(source.at, "commit " + commit + " holds more than " + std::to_string(bounds.entries) +
                                             " files (name a smaller repository)");
    std::erase_if(files, [&](const git::entry& e) { return !(e.is_file() || e.is_link()) || !matches(e.path); });
    std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
    matches.report("commit " + commit + " of " + top.string(), problems);
    if (!reader.fits(files.size())) return;
    for (const auto& file : files) {
        if (file.is_link()) {
            reader.refuse(file.path, "is a link in commit " + commit + " (name the file that it means)");
            continue;
        }
        if (!reader.has_room(file.path, file.size)) return;
        reader.add(file.path, git::content_of(top, file));
    }
}

}  // namespace detail

/// Reads the documents of a knowledge leaf into it. `checkouts` holds one folder for each repository (its last name
/// without ".git"); empty when there is none. Every failure becomes an error in `problems`; the leaf then has no
/// documents.
inline void read_documents(leaf& l, const std::filesystem::path& checkouts, problem_list& problems,
                           const document_limits& bounds = {}, const pdf_options& pdf = {}) {
    namespace fs = std::filesystem;
    if (!l.source) return;
    const auto& source = *l.source;
    const auto errors_before = problems.errors();
    fs::path top = l.folder.empty() ? fs::path(".") : l.folder;
    std::string commit;  // to be read through git, where the checkout stands at another
    if (!is_local(source)) {
        const auto folder = repository_name(source.repo);
        if (folder.empty() || folder.find('\0') != folder.npos)
            return problems.error(source.at, "the repository " + formats::quote(source.repo) +
                                                 " has no name (write its address, or . for this folder)");
        if (checkouts.empty())
            return problems.error(source.at, "the documents are in " + formats::quote(source.repo) +
                                                 " (clone it to DIR/" + folder +
                                                 " and name DIR by --documents, or let --fetch-documents do so)");
        top = checkouts / folder;
        std::error_code no;
        if (!fs::is_directory(top, no))
            return problems.error(source.at, "there is no folder " + top.string() + " (clone " +
                                                 formats::quote(source.repo) +
                                                 " there, or let --fetch-documents do so)");
        const auto stands_at = detail::checked_out_commit(top);
        if (!(stands_at.size() == 40 && source.commit.size() > 6 && stands_at.starts_with(source.commit)) &&
            fs::exists(top / ".git", no)) {
            std::optional<std::string> wanted, head;
            if (git::is_installed())
                wanted = git::full_commit(top, source.commit), head = git::full_commit(top, "HEAD");
            if (wanted && wanted != head)
                commit = *wanted;
            else if (const auto at = head.value_or(stands_at);
                     !wanted && at.size() >= 40 && !at.starts_with(source.commit))
                problems.warning(source.at, "the checkout " + top.string() + " stands at commit " + at +
                                                ", the leaf asks for " + formats::quote(source.commit) +
                                                (git::is_installed() ? ", which it does not have (git fetch it)"
                                                                     : " (git checkout it, or install git)"));
        }
    }
    detail::document_reader reader(l, problems, bounds, pdf);
    try {
        commit.empty() ? detail::read_folder(top, source, bounds, reader, problems)
                       : detail::read_commit(top, commit, source, bounds, reader, problems);
    } catch (const error& why) {
        problems.error(source.at, why.what());
    }
    if (problems.errors() > errors_before) l.documents.clear();
}

}  // namespace lab::taxonomy
