// libFuzzer: any bytes are a JSON value that survives being written and read again, or a typed error; the same bytes
// as a model's configuration.
#include <cstdint>
#include <string_view>

#include "lab/formats/hf_config.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace lab::formats;
    try {
        const json value = parse_json({reinterpret_cast<const char*>(data), size}, "fuzz");
        if (parse_json(to_text(value), "again") != value) __builtin_trap();
        const auto config = parse_hf_config(value, "fuzz");
        if (parse_hf_config(to_json(config), "again").hidden_size != config.hidden_size) __builtin_trap();
    } catch (const lab::error&) {
    }
    return 0;
}
