// Training checkpoints: "LABCKPT1", header length, JSON header, float arrays at 64-byte offsets, XXH64 of all before
// it. Written atomically and flushed; the newest two are kept, and one that is torn or altered is passed over for the
// one before it. For resuming only: models for other tools are written by nn/save.hpp. Little-endian, like safetensors.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/file.hpp"
#include "lab/formats/json.hpp"
#include "lab/train/xxh64.hpp"

namespace lab::train {

/// A named array inside a checkpoint.
struct saved_array {
    std::string name;
    std::span<const float> values;
};

/// A verified checkpoint, mapped; the spans live as long as it does.
struct loaded_checkpoint {
    mapped_file file;
    formats::json state;  // what the writer gave
    std::vector<saved_array> arrays;

    /// @throws format_error where the array is absent or of another size.
    [[nodiscard]] std::span<const float> array(std::string_view name, std::size_t count) const {
        for (const saved_array& a : arrays) {
            if (a.name != name) continue;
            if (a.values.size() != count)
                throw format_error(explain(file.path().string(), "array '" + a.name + "' holds " +
                                                                     std::to_string(a.values.size()) +
                                                                     " values, expected " + std::to_string(count)));
            return a.values;
        }
        throw format_error(explain(file.path().string(), "array '" + std::string(name) + "' is missing"));
    }
    void copy_to(std::string_view name, std::span<float> destination) const {
        const auto values = array(name, destination.size());
        std::copy(values.begin(), values.end(), destination.begin());
    }
};

namespace checkpoint_detail {
inline constexpr std::string_view magic = "LABCKPT1";
inline constexpr std::size_t alignment = 64;
[[nodiscard]] constexpr std::size_t padding(std::size_t offset) noexcept {
    return (alignment - offset % alignment) % alignment;
}
}  // namespace checkpoint_detail

/// @throws io_error
inline void write_checkpoint(const std::filesystem::path& path, const formats::json& state,
                             std::span<const saved_array> arrays) {
    namespace detail = checkpoint_detail;
    formats::json table = formats::json::array();
    for (const saved_array& a : arrays) table.push_back({{"name", a.name}, {"count", a.values.size()}});
    const std::string header = formats::to_text({{"state", state}, {"arrays", table}});
    const std::uint64_t length = header.size();

    atomic_file file(path);
    xxh64 sum;
    const auto put = [&](std::span<const std::byte> bytes) {
        sum.update(bytes);
        file.write(bytes);
    };
    const std::array<std::byte, detail::alignment> zeros{};
    put(std::as_bytes(std::span(detail::magic)));
    put(std::as_bytes(std::span(&length, 1)));
    put(std::as_bytes(std::span(header)));
    for (const saved_array& a : arrays) {
        put(std::span(zeros).first(detail::padding(file.written())));
        put(std::as_bytes(a.values));
    }
    const std::uint64_t digest = sum.digest();
    file.write(std::as_bytes(std::span(&digest, 1)));
    file.commit();
}

/// Maps and verifies. @throws io_error; format_error where a byte is missing or wrong.
[[nodiscard]] inline loaded_checkpoint read_checkpoint(const std::filesystem::path& path) {
    namespace detail = checkpoint_detail;
    loaded_checkpoint loaded;
    loaded.file = mapped_file(path);
    const std::span<const std::byte> bytes = loaded.file.bytes();
    const auto refuse = [&](const std::string& what) {
        throw format_error(explain(path.string(), what, "remove the file"));
    };
    if (bytes.size() < 24 || std::memcmp(bytes.data(), detail::magic.data(), 8) != 0)
        refuse("is not a checkpoint of this version");
    const auto number_at = [&](std::size_t offset) {
        std::uint64_t value = 0;
        std::memcpy(&value, bytes.data() + offset, 8);
        return value;
    };
    const std::size_t end = bytes.size() - 8;
    xxh64 sum;
    sum.update(bytes.first(end));
    if (sum.digest() != number_at(end)) refuse("is damaged: its checksum does not match");
    const std::uint64_t length = number_at(8);
    if (length > end - 16) refuse("is damaged: its header is longer than the file");
    const auto header_bytes = bytes.subspan(16, static_cast<std::size_t>(length));
    const formats::json header = formats::parse_json(
        std::string_view(reinterpret_cast<const char*>(header_bytes.data()), header_bytes.size()), path.string());
    loaded.state = formats::field<formats::json>(header, "state", path.string());
    std::size_t offset = 16 + static_cast<std::size_t>(length);
    for (const auto& entry : formats::field<std::vector<formats::json>>(header, "arrays", path.string())) {
        const auto count = formats::field<std::uint64_t>(entry, "count", path.string());
        offset += detail::padding(offset);
        if (offset > end || count > (end - offset) / sizeof(float)) refuse("is damaged: an array ends behind the file");
        loaded.arrays.push_back(
            {formats::field<std::string>(entry, "name", path.string()),
             {reinterpret_cast<const float*>(bytes.data() + offset), static_cast<std::size_t>(count)}});
        offset += static_cast<std::size_t>(count) * sizeof(float);
    }
    if (offset != end) refuse("is damaged: bytes follow the last array");
    return loaded;
}

/// A run's checkpoints: step-<number>.ckpt in a folder of their own.
class checkpoint_folder {
public:
    explicit checkpoint_folder(std::filesystem::path folder, std::size_t keep = 2)
        : folder_(std::move(folder)), keep_(std::max<std::size_t>(keep, 1)) {}

    [[nodiscard]] const std::filesystem::path& path() const noexcept { return folder_; }

    /// Writes the checkpoint of `step`, then removes all but the newest ones, and what killed writes left behind. Those
    /// of later steps are damaged, or this run would have gone on from them: they go too.
    void save(std::uint64_t step, const formats::json& state, std::span<const saved_array> arrays) const {
        make_folder(folder_);
        std::string number = std::to_string(step);
        number.insert(0, number.size() < 8 ? 8 - number.size() : 0, '0');
        const std::string name = "step-" + number + ".ckpt";
        write_checkpoint(folder_ / name, state, arrays);
        std::size_t kept = 0;
        for (const auto& file : list())
            if (file.filename() > name || ++kept > keep_) std::filesystem::remove(file);
        for (const auto& file : files_named([](const auto& extension) { return extension != ".ckpt"; }))
            std::filesystem::remove(file);
    }

    [[nodiscard]] bool empty() const { return list().empty(); }
    /// The newest checkpoint that is whole; each one passed over is told to `notice`.
    template <class Notice>
    [[nodiscard]] std::optional<loaded_checkpoint> newest(Notice&& notice) const {
        for (const auto& file : list()) {
            try {
                return read_checkpoint(file);
            } catch (const format_error& fault) {
                notice(std::string(fault.what()));
            }
        }
        return std::nullopt;
    }

    /// Removes all checkpoints and unfinished ones of a killed run.
    void clear() const {
        for (const auto& file : files_named([](const auto&) { return true; })) std::filesystem::remove(file);
    }

private:
    /// Newest first: the names sort by step. Temporary files of unfinished writes have another extension.
    [[nodiscard]] std::vector<std::filesystem::path> list() const {
        auto files = files_named([](const auto& extension) { return extension == ".ckpt"; });
        std::sort(files.begin(), files.end(), std::greater<>{});
        return files;
    }
    template <class Wanted>
    [[nodiscard]] std::vector<std::filesystem::path> files_named(Wanted&& wanted) const {
        std::vector<std::filesystem::path> files;
        if (!std::filesystem::is_directory(folder_)) return files;
        for (const auto& entry : std::filesystem::directory_iterator(folder_))
            if (entry.path().filename().string().starts_with("step-") && wanted(entry.path().extension()))
                files.push_back(entry.path());
        return files;
    }

    std::filesystem::path folder_;
    std::size_t keep_;
};

}  // namespace lab::train
