// Folders that a long run writes to (POSIX): what killed writes left in them, and a lock against a second run.
#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/file.hpp"

namespace lab {

/// Whether a file is called as the temporary one of an atomic_file that writes a file of one of these extensions:
/// NAME.ext.XXXXXX, six letters and digits. What has lower-case letters alone there ("x.json.backup") is taken to be a
/// person's; one temporary file in two hundred is called so.
[[nodiscard]] inline bool is_unfinished(const std::filesystem::path& file,
                                        std::span<const std::string_view> extensions) {
    const std::string end = file.extension().string();
    const auto own = file.stem().extension().string();
    const auto between = [](char c, char first, char last) { return c >= first && c <= last; };
    bool drawn = false;  // neither a word nor a suffix of another kind
    for (std::size_t i = 1; i < end.size(); ++i) {
        const bool other = between(end[i], 'A', 'Z') || between(end[i], '0', '9');
        if (!other && !between(end[i], 'a', 'z')) return false;
        drawn |= other;
    }
    return end.size() == 7 && drawn && std::find(extensions.begin(), extensions.end(), own) != extensions.end();
}

/// Removes from a folder (not from those in it) what killed atomic_files left there; it need not exist. For a folder
/// that no other process writes to. @throws io_error
inline void remove_unfinished(const std::filesystem::path& folder, std::span<const std::string_view> extensions) {
    std::error_code fault;
    if (!std::filesystem::is_directory(folder, fault)) return;
    std::vector<std::filesystem::path> left;
    for (const auto& entry : std::filesystem::directory_iterator(folder, fault))
        if (entry.is_regular_file(fault) && is_unfinished(entry.path(), extensions)) left.push_back(entry.path());
    for (const auto& file : left)
        if (!std::filesystem::remove(file, fault) && fault)
            throw io_error(explain(file.string(), "a killed run left it and it cannot be removed: " + fault.message()));
}

/// Holds a folder for this process: a lock on the file `.lock` in it, which the system gives back however it ends.
/// Where the file system knows no locks nothing is held.
class folder_lock {
public:
    /// @throws io_error while another process holds the folder
    explicit folder_lock(const std::filesystem::path& folder) {
        make_folder(folder);
        const auto path = folder / ".lock";
        fd_ = file_descriptor(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644));
        if (fd_.get() < 0) throw_errno(path, "open for writing");
        if (::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
            throw io_error(explain(folder.string(), "another process is writing to this folder",
                                   "wait until that one has ended, or name another folder"));
    }

private:
    file_descriptor fd_;
};

}  // namespace lab
