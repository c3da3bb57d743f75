// JSON Lines (https://jsonlines.org): one value a line. Reading reports line numbers; writing a whole file is atomic;
// appending survives a kill: each record is one write, and a torn last line is cut off when the file is opened again.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/file.hpp"
#include "lab/core/function_ref.hpp"
#include "lab/formats/json.hpp"

namespace lab::formats {

/// Calls `visit(value, line)` for every line of `text` that is not blank. @param number of the first line
/// @throws format_error "place:line:column: what".
inline void for_each_json_line(std::string_view text, std::string_view place,
                               function_ref<void(json, std::size_t)> visit, std::size_t number = 1) {
    for (; !text.empty(); ++number) {
        const auto end = std::min(text.find('\n'), text.size());
        const auto line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.find_first_not_of(" \t\r") == line.npos) continue;
        json value;
        try {
            value = parse_json(line, "");
        } catch (const format_error& fault) {  // the value's own position is ":1:column: ..."
            throw format_error(std::string(place) + ":" + std::to_string(number) + std::string(fault.what()).substr(2));
        }
        visit(std::move(value), number);
    }
}
inline void for_each_json_line(const std::filesystem::path& path, function_ref<void(json, std::size_t)> visit) {
    const mapped_file file(path);
    constexpr std::size_t block = std::size_t{1} << 22;  // of whole lines; memory holds one: the file may be larger
    std::size_t number = 1;
    for (auto text = as_text(file.bytes()); !text.empty();) {
        const auto end = std::min(text.find('\n', std::min(block, text.size())), text.size() - 1);
        const auto lines = text.substr(0, end + 1);
        for_each_json_line(lines, path.string(), visit, number);
        number += static_cast<std::size_t>(std::count(lines.begin(), lines.end(), '\n'));
        forget_pages(std::as_bytes(std::span(lines)));
        text.remove_prefix(lines.size());
    }
}

/// All values of a JSON Lines file.
[[nodiscard]] inline std::vector<json> read_jsonl(const std::filesystem::path& path) {
    std::vector<json> values;
    for_each_json_line(path, [&](json value, std::size_t) { values.push_back(std::move(value)); });
    return values;
}

/// Writes `values`, one a line; the file appears complete or not at all.
inline void write_jsonl(const std::filesystem::path& path, std::span<const json> values) {
    atomic_file file(path);
    for (const json& value : values) file.write(to_text(value) + "\n");
    file.commit();
}

/// Appends records to a file, which it creates where there is none.
class jsonl_appender {
public:
    /// Cuts a last line that a kill left incomplete (one that is no JSON value); ends a complete one.
    explicit jsonl_appender(const std::filesystem::path& path)
        : path_(path), fd_(::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {
        if (fd_.get() < 0) throw_errno(path, "open for appending");
        std::size_t keep = 0;
        bool end_line = false;
        {
            const mapped_file file(path);
            const auto text = as_text(file.bytes());
            const auto last_break = text.rfind('\n');
            keep = last_break == text.npos ? 0 : last_break + 1;
            if (keep == text.size()) return;
            if (is_value(text.substr(keep))) keep = text.size(), end_line = true;
        }
        if (::ftruncate(fd_.get(), static_cast<off_t>(keep)) != 0) throw_errno(path, "truncate");
        if (end_line) write("\n");
    }
    void append(const json& value) { write(to_text(value) + "\n"); }
    /// Waits until the disk has what was appended.
    void sync() {
        if (::fdatasync(fd_.get()) != 0) throw_errno(path_, "flush");
    }

private:
    [[nodiscard]] static bool is_value(std::string_view line) {
        try {
            (void)parse_json(line, "");
            return true;
        } catch (const format_error&) {
            return false;
        }
    }
    void write(std::string_view text) {
        while (!text.empty()) {
            const ssize_t n = ::write(fd_.get(), text.data(), text.size());
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) throw_errno(path_, "append");
            text.remove_prefix(static_cast<std::size_t>(n));
        }
    }

    std::filesystem::path path_;
    file_descriptor fd_;
};

}  // namespace lab::formats
