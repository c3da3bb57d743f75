// Files (POSIX): a read-only memory map, whole-file reading, and writing that is all or nothing
// (temporary file beside the target, fsync, rename, fsync of the folder).
#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "lab/core/error.hpp"

namespace lab {

[[noreturn]] inline void throw_errno(const std::filesystem::path& path, std::string_view action) {
    const int code = errno;
    throw io_error(explain(path.string(), "cannot " + std::string(action) + ": " + std::strerror(code)));
}

/// Closes a file descriptor on scope exit.
class file_descriptor {
public:
    explicit file_descriptor(int fd = -1) noexcept : fd_(fd) {}
    file_descriptor(file_descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    file_descriptor& operator=(file_descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~file_descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    [[nodiscard]] int get() const noexcept { return fd_; }

private:
    int fd_;
};

/// A whole file mapped read-only. An empty file maps to an empty span.
/// @throws io_error when the path is not a readable regular file.
class mapped_file {
public:
    mapped_file() = default;
    explicit mapped_file(const std::filesystem::path& path) : path_(path) {
        const file_descriptor fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));  // no wait at a FIFO
        if (fd.get() < 0) throw_errno(path, "open");
        struct stat info {};
        if (::fstat(fd.get(), &info) != 0) throw_errno(path, "stat");
        if (!S_ISREG(info.st_mode)) throw io_error(explain(path.string(), "is not a regular file"));
        size_ = static_cast<std::size_t>(info.st_size);
        if (size_ == 0) return;
        void* address = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd.get(), 0);
        if (address == MAP_FAILED) throw_errno(path, "map");
        data_ = static_cast<const std::byte*>(address);
    }
    mapped_file(mapped_file&& other) noexcept
        : path_(std::move(other.path_)),
          data_(std::exchange(other.data_, nullptr)),
          size_(std::exchange(other.size_, 0)) {}
    mapped_file& operator=(mapped_file&& other) noexcept {
        std::swap(path_, other.path_);
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~mapped_file() {
        if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
    }
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

private:
    std::filesystem::path path_;
    const std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

/// Frees the memory that holds these bytes of a mapped_file; they are read from the file again when next touched.
inline void forget_pages(std::span<const std::byte> mapped) {
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const std::size_t before = (page - reinterpret_cast<std::uintptr_t>(mapped.data()) % page) % page;
    if (mapped.size() < before + page) return;
    const std::size_t whole = (mapped.size() - before) / page * page;
    ::madvise(const_cast<std::byte*>(mapped.data()) + before, whole, MADV_DONTNEED);  // only advice
}

/// Zeroed memory for large arrays that are read from end to end, in large pages where the system has them: reading
/// gigabytes through small ones is a quarter slower.
class large_buffer {
public:
    large_buffer() = default;
    /// @throws std::bad_alloc.
    explicit large_buffer(std::size_t size) : size_(size) {
        if (size == 0) return;
        void* address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (address == MAP_FAILED) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
        ::madvise(address, size, MADV_HUGEPAGE);  // only advice
#endif
        data_ = static_cast<std::byte*>(address);
    }
    large_buffer(large_buffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    large_buffer& operator=(large_buffer&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~large_buffer() {
        if (data_ != nullptr) ::munmap(data_, size_);
    }
    [[nodiscard]] std::byte* data() const noexcept { return data_; }

private:
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

/// The bytes of a regular file.
[[nodiscard]] inline std::string read_file(const std::filesystem::path& path) {
    const mapped_file map(path);
    return {reinterpret_cast<const char*>(map.bytes().data()), map.bytes().size()};
}

/// Writes a file that appears complete or not at all. Without `commit` the temporary file is removed. A symbolic link
/// is followed; a target that exists and is not a regular file (a folder, a device) is refused, never replaced.
class atomic_file {
public:
    explicit atomic_file(std::filesystem::path target)
        : target_(followed(std::move(target))), temporary_(target_.string() + ".XXXXXX") {
        fd_ = file_descriptor(::mkostemp(temporary_.data(), O_CLOEXEC));
        if (fd_.get() < 0) throw_errno(target_, "create a temporary file beside it");
    }
    /// For files that grow as long as a process lives: the temporary file is `target` + `suffix`, and what a killed
    /// process left there is replaced. @throws io_error while another process writes it
    atomic_file(std::filesystem::path target, std::string_view suffix)
        : target_(followed(std::move(target))), temporary_(target_.string().append(suffix)) {
        fd_ = file_descriptor(::open(temporary_.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644));
        if (fd_.get() < 0) throw_errno(temporary_, "open for writing");
        struct stat opened {
        }, there{};
        // The other may have put its file into place between the opening and the lock.
        if (::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0 || ::fstat(fd_.get(), &opened) != 0 ||
            ::stat(temporary_.c_str(), &there) != 0 || opened.st_ino != there.st_ino)
            throw io_error(explain(temporary_, "another process is writing it",
                                   "wait until that one has ended, or name another folder"));
        if (::ftruncate(fd_.get(), 0) != 0) throw_errno(temporary_, "truncate");
    }
    atomic_file(const atomic_file&) = delete;
    atomic_file& operator=(const atomic_file&) = delete;
    ~atomic_file() {
        if (!committed_) ::unlink(temporary_.c_str());
    }
    void write(std::span<const std::byte> bytes) {
        synced_ = false;
        while (!bytes.empty()) {
            const ssize_t n = ::write(fd_.get(), bytes.data(), bytes.size());
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) throw_errno(target_, "write");
            bytes = bytes.subspan(static_cast<std::size_t>(n));
            written_ += static_cast<std::size_t>(n);
        }
    }
    void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }
    [[nodiscard]] std::size_t written() const noexcept { return written_; }
    /// Bytes [begin, end) of what was written.
    [[nodiscard]] std::string read(std::size_t begin, std::size_t end) const {
        std::string text(end - begin, '\0');
        for (std::size_t have = 0; have < text.size();) {
            const ssize_t n =
                ::pread(fd_.get(), text.data() + have, text.size() - have, static_cast<off_t>(begin + have));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) throw_errno(temporary_, "read");
            if (n == 0) throw io_error(explain(temporary_, "is shorter than what was written to it"));
            have += static_cast<std::size_t>(n);
        }
        return text;
    }

    /// Waits until the disk has all of it: of several files none is put into place before the last is safe.
    void sync() {
        if (::fchmod(fd_.get(), 0644) != 0 || ::fsync(fd_.get()) != 0) throw_errno(target_, "flush");
        synced_ = true;
    }
    void commit() {
        if (!synced_) sync();
        if (::rename(temporary_.c_str(), target_.c_str()) != 0) throw_errno(target_, "rename into place");
        committed_ = true;
        const auto folder = target_.has_parent_path() ? target_.parent_path() : std::filesystem::path(".");
        const file_descriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (directory.get() >= 0) ::fsync(directory.get());
    }

private:
    static std::filesystem::path followed(std::filesystem::path target) {
        std::error_code none;
        const auto status = std::filesystem::status(target, none);
        if (!std::filesystem::exists(status)) return target;
        if (!std::filesystem::is_regular_file(status))
            throw io_error(explain(target.string(), "exists and is not a regular file", "name another place"));
        return std::filesystem::is_symlink(target, none) ? std::filesystem::canonical(target) : target;
    }

    std::filesystem::path target_;
    std::string temporary_;
    file_descriptor fd_;
    std::size_t written_ = 0;
    bool synced_ = false, committed_ = false;
};

/// Makes a folder and those above it where they are missing. @throws io_error
inline void make_folder(const std::filesystem::path& folder) {
    std::error_code fault;
    std::filesystem::create_directories(folder, fault);
    if (fault) throw io_error(explain(folder.string(), "this folder cannot be made: " + fault.message()));
}

inline void write_file_atomically(const std::filesystem::path& path, std::string_view content) {
    atomic_file file(path);
    file.write(content);
    file.commit();
}

}  // namespace lab
