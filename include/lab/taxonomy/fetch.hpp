// Clones a leaf's repository, at its commit, into the documents folder with the git program, when asked to. What is
// there already is not fetched again, so a second run stays offline; a clone appears whole or not at all. Over https,
// ssh and files only; never asks for a password. Submodules are left out.
#pragma once

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>

#include <cerrno>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "lab/core/file.hpp"
#include "lab/taxonomy/documents.hpp"
#include "lab/taxonomy/fetch_options.hpp"
#include "lab/taxonomy/git.hpp"

namespace lab::taxonomy {

/// The address without a password in it, for messages.
[[nodiscard]] inline std::string without_password(std::string_view address) {
    const auto scheme = address.find("://");
    if (scheme == address.npos) return std::string(address);
    const auto host = scheme + 3, end = std::min(address.find('/', host), address.size());
    const auto at = address.substr(host, end - host).rfind('@');
    if (at == address.npos) return std::string(address);
    return std::string(address.substr(0, host)).append(address.substr(host + at + 1));
}

/// Why git may not be given this address; empty when it may. https://, ssh://, user@host:path, file:// and absolute
/// paths are taken.
[[nodiscard]] inline std::string unfit_address(std::string_view address) {
    for (const char c : address)
        if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) return "holds a blank or a control character";
    if (address.starts_with('-')) return "looks like an option";
    if (address.starts_with("https://") || address.starts_with("ssh://") || address.starts_with("file://") ||
        address.starts_with('/'))
        return {};
    const auto colon = address.find(':');
    if (address.find("::") == address.npos && address.find("://") == address.npos && colon != address.npos &&
        address.substr(0, colon).find('/') == address.npos && address.substr(0, colon).find('@') != address.npos)
        return {};
    return "is neither https://, ssh://, user@host:path, file:// nor an absolute path";
}

namespace detail {

/// One program at a time fetches into a folder; what a killed one left is swept away.
class fetch_lock {
public:
    explicit fetch_lock(const std::filesystem::path& folder, const std::function<bool()>& keep_going)
        : fd_(::open((folder / ".lab-fetch.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
        if (fd_.get() < 0) throw_errno(folder / ".lab-fetch.lock", "create");
        while (::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0) {
            if (errno != EWOULDBLOCK && errno != EINTR) throw_errno(folder / ".lab-fetch.lock", "lock");
            if (keep_going && !keep_going()) throw error("interrupted");
            ::usleep(100'000);
        }
        std::error_code no;
        for (const auto& entry : std::filesystem::directory_iterator(folder, no))
            if (entry.path().filename().string().starts_with(".lab-fetch-"))
                std::filesystem::remove_all(entry.path(), no);
    }

private:
    file_descriptor fd_;
};

/// A folder that is gone with its contents on scope exit.
class passing_folder {
public:
    explicit passing_folder(const std::filesystem::path& parent) : path_((parent / ".lab-fetch-XXXXXX").string()) {
        if (::mkdtemp(path_.data()) == nullptr) throw_errno(parent, "create a folder in");
    }
    passing_folder(const passing_folder&) = delete;
    passing_folder& operator=(const passing_folder&) = delete;
    ~passing_folder() {
        std::error_code no;
        std::filesystem::remove_all(path_, no);
    }
    [[nodiscard]] std::filesystem::path path() const { return path_; }

private:
    std::string path_;
};

}  // namespace detail

/// Sees to it that `checkouts` has a clone of the source's repository with its commit. Local sources need none; a
/// folder that is no clone is left as it is.
/// @throws config_error for an address that is not allowed or where git is missing; io_error, with what git said, when
/// the repository cannot be had or has no such commit.
inline void fetch_documents(const document_source& source, const std::filesystem::path& checkouts,
                            const fetch_options& how = {}) {
    namespace fs = std::filesystem;
    const auto name = repository_name(source.repo);
    if (is_local(source) || name.empty() || name.find('\0') != name.npos) return;
    const auto shown = formats::quote(without_password(source.repo));
    const auto fail = [&](const std::string& what, const std::string& fix) {
        throw io_error(explain(shown, what, fix));
    };
    if (const auto why = unfit_address(source.repo); !why.empty())
        throw config_error(explain(shown, "the address " + why, "write it as git clone takes it, or clone by hand"));
    if (!git::is_plain_name(source.commit))
        throw config_error(explain(shown, "the commit " + formats::quote(source.commit) + " is no commit's name"));
    if (!git::is_installed()) throw config_error("--fetch-documents needs the program git (install the package git)");
    make_folder(checkouts);
    const auto target = checkouts / name;
    const detail::fetch_lock lock(checkouts, how.keep_going);
    const git::options network{.seconds = how.seconds, .protocols = "https:ssh:file", .keep_going = how.keep_going};
    const auto run = [&](std::vector<std::string> command, const std::string& doing) {
        const auto result = git::run(std::move(command), network);
        if (result.ok()) return;
        auto said = to_text(result);
        const auto address = without_password(source.repo);
        for (auto at = said.find(source.repo); at != said.npos; at = said.find(source.repo, at + address.size()))
            said.replace(at, source.repo.size(), address);
        if (result.how == process_result::ending::stopped) throw error("interrupted");
        fail("cannot be " + doing + ": git " + said, result.how == process_result::ending::too_slow
                                                         ? "clone it by hand into " + target.string()
                                                         : "see whether `git ls-remote` reaches it");
    };
    /// Some servers hand out a commit that no branch or tag holds only when it is named.
    const auto by_name = [&](const fs::path& clone) {
        if (git::is_full_name(source.commit))
            (void)git::run(
                {"--git-dir=" + (clone / ".git").string(), "fetch", "--quiet", "--no-tags", "--no-recurse-submodules",
                 "--", source.repo, source.commit + ":refs/lab/commits/" + source.commit},
                network);
    };
    const auto missing = [&] { fail("has no commit " + formats::quote(source.commit), "correct the leaf's commit"); };

    std::error_code no;
    if (fs::exists(fs::symlink_status(target, no))) {
        if (!fs::exists(target / ".git", no) || git::full_commit(target, source.commit)) return;
        if (how.notice) how.notice("fetching " + shown);
        run({"--git-dir=" + (target / ".git").string(), "fetch", "--quiet", "--no-tags", "--no-recurse-submodules",
             "--", source.repo, "+refs/heads/*:refs/lab/heads/*", "+refs/tags/*:refs/lab/tags/*"},
            "fetched");
        if (!git::full_commit(target, source.commit)) by_name(target);
        if (!git::full_commit(target, source.commit)) missing();
        return;
    }
    if (how.notice) how.notice("cloning " + shown);
    const detail::passing_folder temporary(checkouts);
    const auto clone = temporary.path() / name;
    run({"clone", "--quiet", "--no-checkout", "--no-recurse-submodules", "--template=", "--", source.repo,
         clone.string()},
        "cloned");
    auto commit = git::full_commit(clone, source.commit);
    if (!commit) by_name(clone), commit = git::full_commit(clone, source.commit);
    if (!commit) return missing();
    run({"-C", clone.string(), "checkout", "--quiet", "--detach", *commit}, "checked out");
    fs::rename(clone, target, no);
    if (no) throw io_error(explain(target.string(), "cannot move the clone there: " + no.message()));
}

}  // namespace lab::taxonomy
