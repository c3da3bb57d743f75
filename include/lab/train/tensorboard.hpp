// metrics.jsonl as a TensorBoard event file: records of uint64 length, masked CRC-32C of it, an Event message (protocol
// buffers), masked CRC-32C of that; scalars only. It follows the metrics, also when a resume cuts them, and like them
// holds no times: wall_time is 0 throughout, and the same run gives the same bytes.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/file.hpp"
#include "lab/formats/json.hpp"

namespace lab::train {

namespace tensorboard_detail {

inline constexpr std::array<std::uint32_t, 256> crc_table = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t c = i;
        for (int bit = 0; bit < 8; ++bit) c = (c >> 1) ^ ((c & 1u) != 0 ? 0x82F63B78u : 0u);
        table[i] = c;
    }
    return table;
}();

/// CRC-32C (Castagnoli), RFC 3720.
[[nodiscard]] constexpr std::uint32_t crc32c(std::string_view bytes) {
    std::uint32_t c = ~std::uint32_t{0};
    for (const char b : bytes) c = (c >> 8) ^ crc_table[(c ^ static_cast<unsigned char>(b)) & 0xFFu];
    return ~c;
}
/// As the record format stores it: rotated and shifted, as data may hold checksums themselves.
[[nodiscard]] constexpr std::uint32_t masked(std::uint32_t crc) { return std::rotr(crc, 15) + 0xA282EAD8u; }

template <class T>
void put_little(std::string& out, T value) {
    static_assert(std::endian::native == std::endian::little);
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    out.append(bytes, sizeof(T));
}
inline void put_varint(std::string& out, std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80u);
    out += static_cast<char>(value);
}
/// A field of bytes: its key, its length, itself.
inline void put_bytes(std::string& out, unsigned field, std::string_view bytes) {
    put_varint(out, field << 3 | 2u);
    put_varint(out, bytes.size());
    out += bytes;
}
[[nodiscard]] inline std::string record(std::string_view data) {
    std::string out;
    put_little(out, static_cast<std::uint64_t>(data.size()));
    put_little(out, masked(crc32c(std::string_view(out))));
    out += data;
    put_little(out, masked(crc32c(data)));
    return out;
}
/// Event{wall_time = 1: double, step = 2: int64, ...}
[[nodiscard]] inline std::string event_head(std::uint64_t step) {
    std::string out;
    put_varint(out, 1u << 3 | 1u);
    put_little(out, 0.0);
    put_varint(out, 2u << 3 | 0u);
    put_varint(out, step);
    return out;
}

}  // namespace tensorboard_detail

/// A named value at a step.
struct scalar {
    std::string tag;
    double value = 0;
};

/// The record of an event with these values.
[[nodiscard]] inline std::string scalar_record(std::uint64_t step, const std::vector<scalar>& values) {
    namespace detail = tensorboard_detail;
    std::string summary;  // Summary{value = 1: Value{tag = 1: string, simple_value = 2: float}}
    for (const auto& [tag, value] : values) {
        std::string one;
        detail::put_bytes(one, 1, tag);
        detail::put_varint(one, 2u << 3 | 5u);
        detail::put_little(one, static_cast<float>(value));
        detail::put_bytes(summary, 1, one);
    }
    std::string event = detail::event_head(step);
    detail::put_bytes(event, 5, summary);
    return detail::record(event);
}
/// What a file begins with: Event{file_version = 3: string}.
[[nodiscard]] inline std::string version_record() {
    std::string event = tensorboard_detail::event_head(0);
    tensorboard_detail::put_bytes(event, 3, "brain.Event:2");
    return tensorboard_detail::record(event);
}

/// The scalars of a line of metrics.jsonl; none for events that have no numbers to draw.
[[nodiscard]] inline std::vector<scalar> scalars_of(const formats::json& line, const std::string& place) {
    const auto event = formats::field<std::string>(line, "event", place);
    std::vector<scalar> values;
    const auto add = [&](std::string tag, const char* key) {
        if (const auto value = formats::optional_field<double>(line, key, place))
            values.push_back({std::move(tag), *value});
    };
    if (event == "step") {
        for (const char* key : {"loss", "learning_rate", "gradient_norm", "target_tokens", "reward_chosen",
                                "reward_rejected", "reward_accuracy"})
            add(std::string("train/") + key, key);
    } else if (event == "skipped") {
        for (const char* key : {"loss", "gradient_norm"}) add(std::string("skipped/") + key, key);
    } else if (event == "heldout") {
        add("heldout/loss", "loss");
    } else if (event == "score") {
        add("heldout/score", "score");
    } else if (event == "own heldout") {
        add("heldout/" + formats::field<std::string>(line, "phase", place), "loss");
    } else if (event == "earlier phase") {
        add("heldout/" + formats::field<std::string>(line, "earlier", place), "loss");
    }
    return values;
}

/// Keeps an event file level with a metrics file.
class tensorboard_follower {
public:
    tensorboard_follower(std::filesystem::path metrics, std::filesystem::path events)
        : metrics_(std::move(metrics)), events_(std::move(events)) {}

    /// Takes over the lines that came since the last call. @throws io_error, format_error
    void update() {
        std::error_code none;
        const auto size = std::filesystem::file_size(metrics_, none);
        if (none) return;  // not begun yet
        if (!out_.is_open() || size < read_) begin();
        std::ifstream in(metrics_, std::ios::binary);
        in.seekg(static_cast<std::streamoff>(read_));
        std::string records;
        for (std::string line; std::getline(in, line) && !in.eof(); read_ += line.size() + 1, ++lines_) {
            const std::string place = metrics_.string() + ":" + std::to_string(lines_ + 1);
            const auto parsed = formats::parse_json(line, place);
            if (const auto values = scalars_of(parsed, place); !values.empty())
                records += scalar_record(formats::field<std::uint64_t>(parsed, "total_step", place), values);
        }
        put(records);
    }

private:
    void begin() {
        make_folder(events_.parent_path());
        out_.close();
        out_.clear();
        out_.open(events_, std::ios::binary | std::ios::trunc);
        read_ = 0;
        lines_ = 0;
        put(version_record());
    }
    void put(const std::string& bytes) {
        out_.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        if (!out_.flush()) throw io_error(explain(events_.string(), "cannot be written"));
    }

    std::filesystem::path metrics_, events_;
    std::ofstream out_;
    std::uintmax_t read_ = 0;  // bytes of the metrics that were taken over
    std::size_t lines_ = 0;
};

}  // namespace lab::train
