// Every answer of a teacher in an append-only file, one checksummed JSON line a call, keyed by 128 bits of a digest of
// the request. Memory holds an index of at most 64 bytes an answer; answers are read when asked for. A torn last line
// (kill -9, power loss, full disk) is cut off, a damaged line elsewhere is skipped and counted, never used. One process
// at a time. On the disk for certain after `sync`, which runs itself every 32 lines.
#pragma once

#include <sys/file.h>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/file.hpp"
#include "lab/core/rng.hpp"
#include "lab/core/sha256.hpp"
#include "lab/formats/json.hpp"

namespace lab::sdg {

using formats::json;

/// 128 bits of a SHA-256: what tells requests apart.
struct digest128 {
    std::uint64_t high = 0, low = 0;
    friend bool operator==(const digest128&, const digest128&) = default;

    [[nodiscard]] static digest128 of(std::string_view text) { return *from_hex(sha256_hex(text).substr(0, 32)); }
    [[nodiscard]] static std::optional<digest128> from_hex(std::string_view hex) {
        if (hex.size() != 32) return std::nullopt;
        digest128 d;
        for (const auto& [part, at] : {std::pair{&d.high, hex.data()}, {&d.low, hex.data() + 16}}) {
            const auto [end, code] = std::from_chars(at, at + 16, *part, 16);
            if (code != std::errc() || end != at + 16) return std::nullopt;
        }
        return d;
    }
    [[nodiscard]] std::string hex() const {
        std::string text;
        for (const std::uint64_t part : {high, low})
            for (int shift = 60; shift >= 0; shift -= 4) text.push_back("0123456789abcdef"[part >> shift & 15u]);
        return text;
    }
};

/// Where answers stand in the file: open addressing, at most three quarters full.
class journal_index {
public:
    struct entry {
        digest128 key;
        std::uint64_t place = 0;  // offset of the line + 1; 0: free
        [[nodiscard]] std::uint64_t offset() const noexcept { return (place & ~used_bit) - 1; }
        [[nodiscard]] bool used() const noexcept { return (place & used_bit) != 0; }
        void set_used() noexcept { place |= used_bit; }
        static constexpr std::uint64_t used_bit = std::uint64_t{1} << 63;
    };

    [[nodiscard]] entry* find(const digest128& key) {
        if (table_.empty()) return nullptr;
        entry& e = slot(key);
        return e.place == 0 ? nullptr : &e;
    }
    /// The later line counts.
    void set(const digest128& key, std::uint64_t offset) {
        if (4 * (size_ + 1) > 3 * table_.size()) grow();
        entry& e = slot(key);
        size_ += e.place == 0;
        e = {key, (offset + 1) | (e.place & entry::used_bit)};
    }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t bytes() const noexcept { return table_.size() * sizeof(entry); }

private:
    entry& slot(const digest128& key) {
        std::size_t at = key.low & (table_.size() - 1);  // a digest is as good as a hash
        while (table_[at].place != 0 && table_[at].key != key) at = (at + 1) & (table_.size() - 1);
        return table_[at];
    }
    void grow() {
        std::vector<entry> old(std::max<std::size_t>(64, 2 * table_.size()));
        old.swap(table_);
        for (const auto& e : old)
            if (e.place != 0) slot(e.key) = e;
    }

    std::vector<entry> table_;
    std::size_t size_ = 0;
};

class journal {
public:
    struct options {
        bool fresh = false;  // forget what is there
    };
    /// What batches took in earlier runs and this one: the pace to reckon with.
    struct pace {
        std::uint64_t calls = 0, tokens = 0;
        double seconds = 0;
    };

    /// @throws io_error when the file cannot be written or another process has it
    explicit journal(std::filesystem::path path) : journal(std::move(path), options{}) {}
    journal(std::filesystem::path path, options o)
        : path_(std::move(path)), fd_(::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {
        if (fd_.get() < 0) throw_errno(path_, "open for appending");
        struct stat info {};
        if (::fstat(fd_.get(), &info) != 0) throw_errno(path_, "stat");
        if (!S_ISREG(info.st_mode)) throw io_error(explain(path_.string(), "is not a regular file"));
        if (::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
            throw io_error(explain(path_.string(), "another process is writing it",
                                   "wait until that run has ended, or name another folder"));
        if (o.fresh && ::ftruncate(fd_.get(), 0) != 0) throw_errno(path_, "truncate");
        if (info.st_size == 0) {  // perhaps new: a power cut must not take its name away
            const auto folder = path_.has_parent_path() ? path_.parent_path() : std::filesystem::path(".");
            const file_descriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
            if (directory.get() >= 0) ::fsync(directory.get());
        }
        read_all();
    }

    /// The answer to a request. A line that has changed since it was indexed counts as damaged and gives nothing.
    [[nodiscard]] std::optional<json> find(const digest128& key) {
        const auto* e = index_.find(key);
        if (e == nullptr) return std::nullopt;
        if (auto line = parsed(line_at(e->offset()))) {
            if (line->contains("answer") && keyed((*line)["key"]) == key) return std::move((*line)["answer"]);
            if (line->contains("answers"))
                for (std::size_t i = 0; i < (*line)["keys"].size(); ++i)
                    if (keyed((*line)["keys"][i]) == key) return std::move((*line)["answers"][i]);
        }
        return std::nullopt;
    }
    [[nodiscard]] bool contains(const digest128& key) { return index_.find(key) != nullptr; }
    /// Answers that this run has used, as far as it said so.
    [[nodiscard]] bool used(const digest128& key) {
        const auto* e = index_.find(key);
        return e != nullptr && e->used();
    }
    void set_used(const digest128& key) {
        if (auto* e = index_.find(key)) e->set_used();
    }

    /// Answers of one call: all in one line, so that they are kept together or not at all.
    void add(std::span<const std::pair<digest128, json>> answers) {
        if (answers.empty()) return;
        json keys = json::array(), values = json::array();
        for (const auto& [key, value] : answers) keys.push_back(key.hex()), values.push_back(value);
        const std::uint64_t at = answers.size() == 1 ? append({{"key", keys[0]}, {"answer", values[0]}})
                                                     : append({{"keys", keys}, {"answers", values}});
        for (const auto& [key, value] : answers) index_.set(key, at);
        if (++unsynced_ >= 32) sync();
    }
    void add(const digest128& key, const json& answer) {
        const std::array one{std::pair{key, answer}};
        add(one);
    }
    /// Who answers for a source as users name it: a dry run can then tell what is known without asking.
    void set_teacher(const std::string& source, const json& about) {
        if (const auto at = teachers_.find(source); at != teachers_.end() && *at == about) return;
        append({{"teacher", source}, {"about", about}});
        teachers_[source] = about;
    }
    [[nodiscard]] json teacher(const std::string& source) const { return teachers_.value(source, json()); }
    void add_pace(const pace& p) {
        append({{"calls", p.calls}, {"tokens", p.tokens}, {"seconds", p.seconds}});
        count(p);
    }
    [[nodiscard]] const pace& whole_pace() const noexcept { return pace_; }

    /// Waits until the disk has all of it.
    void sync() {
        if (unsynced_ != 0 && ::fdatasync(fd_.get()) != 0) throw_errno(path_, "flush");
        unsynced_ = 0;
    }
    [[nodiscard]] std::size_t size() const noexcept { return index_.size(); }
    /// Lines that cannot be used; what they held is asked anew.
    [[nodiscard]] std::size_t damaged() const noexcept { return damaged_; }
    [[nodiscard]] std::size_t index_bytes() const noexcept { return index_.bytes(); }
    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

private:
    static constexpr std::string_view opening = R"({"sum":")";
    static constexpr std::size_t digits = 16, longest_line = 64u << 20;

    /// Of all that follows the sum in its line.
    static std::string sum_of(std::string_view rest) {
        std::string text(digits, '0');
        std::uint64_t h = hash64(rest);
        for (std::size_t i = digits; i-- > 0; h >>= 4) text[i] = "0123456789abcdef"[h & 15u];
        return text;
    }
    /// The line's value, where its sum is right.
    static std::optional<json> parsed(std::string_view line) {
        if (!line.starts_with(opening) || line.size() < opening.size() + digits + 2) return std::nullopt;
        const auto rest = line.substr(opening.size() + digits + 2);
        if (line.substr(opening.size(), digits + 2) != sum_of(rest) + "\",") return std::nullopt;
        try {
            return formats::parse_json("{" + std::string(rest), "");
        } catch (const format_error&) {
            return std::nullopt;
        }
    }
    static std::optional<digest128> keyed(const json& text) {
        return text.is_string() ? digest128::from_hex(text.get_ref<const std::string&>()) : std::nullopt;
    }

    std::uint64_t append(const json& value) {
        const std::string rest = formats::to_text(value).substr(1);
        const std::string line = std::string(opening) + sum_of(rest) + "\"," + rest + "\n";
        if (torn_) {  // of an append that failed
            if (::ftruncate(fd_.get(), static_cast<off_t>(end_)) != 0) throw_errno(path_, "truncate");
            torn_ = false;
        }
        std::string_view left = line;
        while (!left.empty()) {
            const ssize_t n = ::write(fd_.get(), left.data(), left.size());
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) {
                const int code = errno;
                // Truncating works on a full disk too; where it does not, the next opening cuts the line off.
                torn_ = ::ftruncate(fd_.get(), static_cast<off_t>(end_)) != 0;
                throw io_error(explain(
                    path_.string(), "cannot append: " + std::string(std::strerror(code)),
                    std::to_string(index_.size()) + " answers are kept; make room, then run the same command again"));
            }
            left.remove_prefix(static_cast<std::size_t>(n));
        }
        return std::exchange(end_, end_ + line.size());
    }

    std::string line_at(std::uint64_t offset) const {
        std::string line(512, '\0');
        for (std::size_t have = 0;;) {
            const ssize_t n =
                ::pread(fd_.get(), line.data() + have, line.size() - have, static_cast<off_t>(offset + have));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) throw_errno(path_, "read");
            const std::string_view fresh(line.data() + have, static_cast<std::size_t>(n));
            if (const auto stop = fresh.find('\n'); stop != fresh.npos) {
                line.resize(have + stop);
                return line;
            }
            if (n == 0 || line.size() > longest_line) return {};
            have += static_cast<std::size_t>(n);
            if (have == line.size()) line.resize(4 * line.size());
        }
    }

    /// Indexes the file block by block: it may be larger than memory.
    void read_all() {
        std::string line;
        std::vector<char> block(1u << 18);
        std::uint64_t start = 0, at = 0;  // of the line; of the block
        bool overlong = false;
        for (;;) {
            const ssize_t n = ::pread(fd_.get(), block.data(), block.size(), static_cast<off_t>(at));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) throw_errno(path_, "read");
            if (n == 0) break;
            std::string_view fresh(block.data(), static_cast<std::size_t>(n));
            while (!fresh.empty()) {
                const auto stop = fresh.find('\n');
                if (!overlong) line.append(fresh.substr(0, stop));
                if (overlong = overlong || line.size() > longest_line; overlong) line.clear();
                if (stop == fresh.npos) break;
                if (overlong || !take(line, start)) ++damaged_;
                at += stop + 1;
                fresh.remove_prefix(stop + 1);
                start = at;
                line.clear();
                overlong = false;
            }
            at += fresh.size();
        }
        end_ = start;
        if (at == start) return;
        if (!overlong && take(line, start)) {  // only its end of line is missing
            if (::write(fd_.get(), "\n", 1) != 1) throw_errno(path_, "append");
            end_ = at + 1;
        } else if (::ftruncate(fd_.get(), static_cast<off_t>(start)) != 0) {
            throw_errno(path_, "truncate");
        }
    }
    bool take(std::string_view line, std::uint64_t offset) {
        const auto value = parsed(line);
        if (!value) return false;
        if (value->contains("answer")) {
            const auto key = keyed(value->value("key", json()));
            if (!key) return false;
            index_.set(*key, offset);
        } else if (value->contains("answers")) {
            const auto &keys = value->value("keys", json()), &answers = (*value)["answers"];
            if (!keys.is_array() || !answers.is_array() || keys.size() != answers.size()) return false;
            for (const auto& text : keys)
                if (const auto key = keyed(text)) index_.set(*key, offset);
        } else if (value->contains("teacher") && (*value)["teacher"].is_string() && value->contains("about")) {
            teachers_[(*value)["teacher"].get<std::string>()] = (*value)["about"];
        } else if (value->contains("seconds") && (*value)["seconds"].is_number()) {
            const auto whole = [&](const char* name) {
                const auto found = value->find(name);
                return found != value->end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
            };
            count({whole("calls"), whole("tokens"), (*value)["seconds"].get<double>()});
        } else {
            return false;
        }
        return true;
    }
    void count(const pace& p) {
        pace_.calls += p.calls;
        pace_.tokens += p.tokens;
        pace_.seconds += p.seconds;
    }

    std::filesystem::path path_;
    file_descriptor fd_;
    journal_index index_;
    json teachers_ = json::object();
    pace pace_;
    std::uint64_t end_ = 0;
    std::size_t damaged_ = 0, unsynced_ = 0;
    bool torn_ = false;
};

}  // namespace lab::sdg
