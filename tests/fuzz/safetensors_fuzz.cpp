// libFuzzer: any bytes are a valid safetensors file whose tensors can be read, or a typed error.
#include <cstdint>

#include "lab/formats/safetensors.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    volatile unsigned sum = 0;
    try {
        const lab::formats::safetensors_file file(std::as_bytes(std::span(data, size)), "fuzz");
        for (const auto& entry : file.entries())
            for (const std::byte b : entry.bytes) sum = sum + std::to_integer<unsigned>(b);
        const auto weights = file.weights();
        for (const auto& tensor : weights.tensors())
            if (tensor.bytes.size() != lab::formats::tensor_bytes(tensor.type, tensor.shape)) __builtin_trap();
    } catch (const lab::error&) {
    }
    return 0;
}
