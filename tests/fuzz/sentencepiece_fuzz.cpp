// libFuzzer: any bytes are a SentencePiece model or a typed error.
#include <cstdint>

#include "lab/formats/sentencepiece_model.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        const auto model = lab::formats::parse_sentencepiece(std::as_bytes(std::span(data, size)), "fuzz");
        const auto count = static_cast<std::int32_t>(model.pieces.size());
        if (count == 0 || model.unk_id >= count || model.bos_id >= count) __builtin_trap();
    } catch (const lab::error&) {
    }
    return 0;
}
