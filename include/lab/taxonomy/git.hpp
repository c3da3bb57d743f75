// The git program, held on a short lead: an argument vector, no prompt and no pager, no hooks, only the protocols that
// are named, time and output bounded. Reads the files of a commit from a clone without touching what is checked out.
#pragma once

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/process.hpp"
#include "lab/formats/text_bytes.hpp"

namespace lab::taxonomy::git {

struct options {
    double seconds = 600;     ///< for one command
    std::string protocols{};  ///< that it may speak, as GIT_ALLOW_PROTOCOL; empty: none, it stays offline
    std::size_t most_output = std::size_t{64} << 20;
    std::function<bool()> keep_going{};
};

/// A file of a commit.
struct entry {
    std::string mode, object, path;
    std::size_t size = 0;
    [[nodiscard]] bool is_file() const { return mode.starts_with("100"); }
    [[nodiscard]] bool is_link() const { return mode == "120000"; }
};

[[nodiscard]] inline bool is_installed() { return find_program("git").has_value(); }

/// Whether a commit's name can be handed to git: letters, digits and . _ / - , and no option or range.
[[nodiscard]] inline bool is_plain_name(std::string_view commit) {
    static constexpr std::string_view known = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-";
    return !commit.empty() && commit.size() < 256 && commit[0] != '-' && commit.find("..") == commit.npos &&
           commit.find_first_not_of(known) == commit.npos;
}
[[nodiscard]] inline bool is_full_name(std::string_view commit) {
    return commit.size() == 40 && commit.find_first_not_of("0123456789abcdef") == commit.npos;
}

/// Runs git. @throws config_error where it is not installed, io_error where it cannot be started.
[[nodiscard]] inline process_result run(std::vector<std::string> arguments, const options& how = {}) {
    const auto program = find_program("git");
    if (!program) throw config_error("git is not in PATH (install the package git)");
    std::vector<std::string> all{"-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "gc.auto=0",
                                 "-c", "maintenance.auto=false"};
    all.insert(all.end(), std::make_move_iterator(arguments.begin()), std::make_move_iterator(arguments.end()));
    const bool own_ssh = std::getenv("GIT_SSH_COMMAND") != nullptr;
    process_options child{.environment = {{"GIT_TERMINAL_PROMPT", "0"},
                                          {"GIT_ASKPASS", ""},
                                          {"GCM_INTERACTIVE", "never"},
                                          {"GIT_ALLOW_PROTOCOL", how.protocols},
                                          {"GIT_HTTP_LOW_SPEED_LIMIT", "1"},
                                          {"GIT_HTTP_LOW_SPEED_TIME", "60"},
                                          {"GIT_LFS_SKIP_SMUDGE", "1"},
                                          {"LC_ALL", "C"}},
                          .most_output = how.most_output,
                          .seconds = how.seconds,
                          .keep_going = how.keep_going};
    if (!own_ssh) child.environment["GIT_SSH_COMMAND"] = "ssh -o BatchMode=yes";
    // A repository that this process runs in is none of its business.
    for (const char* name : {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR",
                             "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_PREFIX"})
        child.environment[name] = std::nullopt;
    return run_process(*program, all, child);
}

/// The full name of a commit in the clone at `folder`; nothing where the clone does not have it or is none.
[[nodiscard]] inline std::optional<std::string> full_commit(const std::filesystem::path& folder,
                                                            const std::string& commit, const options& how = {}) {
    if (!is_plain_name(commit)) return std::nullopt;
    for (const char* where : {"", "refs/remotes/origin/", "refs/lab/heads/"}) {
        const auto found = run({"--git-dir=" + (folder / ".git").string(), "rev-parse", "--verify", "--quiet",
                                where + commit + "^{commit}"},
                               how);
        auto name = found.out.substr(0, found.out.find('\n'));
        if (found.ok() && (is_full_name(name) || name.size() == 64)) return name;
    }
    return std::nullopt;
}

/// All files of a commit, by its full name. @throws io_error when git fails.
[[nodiscard]] inline std::vector<entry> files_of(const std::filesystem::path& folder, const std::string& commit,
                                                 const options& how = {}) {
    const auto listed =
        run({"--git-dir=" + (folder / ".git").string(), "ls-tree", "-r", "-z", "-l", "--full-tree", commit}, how);
    if (!listed.ok())
        throw io_error(explain(folder.string(), "git cannot list commit " + commit + ": " + to_text(listed)));
    std::vector<entry> files;
    for (std::string_view rest = listed.out; !rest.empty();) {  // "mode type object size\tpath\0"
        auto line = rest.substr(0, rest.find('\0'));
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
        const auto tab = line.find('\t');
        if (tab == line.npos) continue;
        std::vector<std::string> words;
        for (std::string_view head = line.substr(0, tab); !head.empty();) {
            const auto end = std::min(head.find(' '), head.size());
            if (end > 0) words.emplace_back(head.substr(0, end));
            head.remove_prefix(std::min(end + 1, head.size()));
        }
        if (words.size() != 4) continue;
        entry e{words[0], words[2], std::string(line.substr(tab + 1)), 0};
        std::from_chars(words[3].data(), words[3].data() + words[3].size(), e.size);
        files.push_back(std::move(e));
    }
    return files;
}

/// The bytes of a file as they were committed. @throws io_error when git fails.
[[nodiscard]] inline std::string content_of(const std::filesystem::path& folder, const entry& file,
                                            const options& how = {}) {
    auto read = run({"--git-dir=" + (folder / ".git").string(), "cat-file", "blob", file.object}, how);
    if (!read.ok())
        throw io_error(explain(folder.string(), "git cannot read " + formats::quote(file.path) + ": " + to_text(read)));
    return std::move(read.out);
}

}  // namespace lab::taxonomy::git
