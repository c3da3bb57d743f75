// The library's exceptions: one type per kind of fault, each message says what is wrong, where, and how to mend it.
// Thrown at boundaries (files, requests, options); kernels assert instead. The library never prints, exits or aborts.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace lab {

/// Base of everything the library throws on purpose.
struct error : std::runtime_error {
    using std::runtime_error::runtime_error;
};
/// The operating system refused: open, read, write, map, connect.
struct io_error : error {
    using error::error;
};
/// Bytes or text break the rules of their format.
struct format_error : error {
    using error::error;
};
/// A tensor does not have the shape that its use demands; the message names the tensor and both shapes.
struct shape_error : error {
    using error::error;
};
/// Options or a configuration that contradict each other or cannot be met.
struct config_error : error {
    using error::error;
};

/// Builds "place: what (fix)"; `fix` may be empty.
[[nodiscard]] inline std::string explain(std::string_view place, std::string_view what, std::string_view fix = {}) {
    std::string text;
    text.reserve(place.size() + what.size() + fix.size() + 6);
    if (!place.empty()) text.append(place).append(": ");
    text.append(what);
    if (!fix.empty()) text.append(" (").append(fix).append(")");
    return text;
}

/// Builds "file: offset N" for faults found inside a binary file.
[[nodiscard]] inline std::string at_offset(std::string_view file, std::uint64_t offset) {
    return std::string(file) + ": offset " + std::to_string(offset);
}

}  // namespace lab
