// libFuzzer: any bytes are a valid GGUF file whose tensors and metadata can be read, or a typed error.
#include <cstdint>
#include <string>

#include "lab/formats/gguf.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    volatile unsigned sum = 0;
    try {
        const lab::formats::gguf_file file(std::as_bytes(std::span(data, size)), "fuzz");
        for (const auto& tensor : file.tensors())
            for (const std::byte b : tensor.bytes) sum = sum + std::to_integer<unsigned>(b);
        for (const auto& [key, value] : file.metadata()) {
            try {
                if (value.type != lab::formats::gguf_type::array)
                    sum = sum + static_cast<unsigned>(file.get<std::int64_t>(key).value_or(0));
                else if (value.element == lab::formats::gguf_type::string)
                    sum = sum + static_cast<unsigned>(file.strings(key).size());
                else
                    sum = sum + static_cast<unsigned>(file.integers(key).size() + file.floats(key).size());
            } catch (const lab::error&) {  // another type than asked for
            }
        }
    } catch (const lab::error&) {
    }
    return 0;
}
