// A SentencePiece tokenizer.model: the pieces and the trainer and normalizer settings that encoding depends on, read
// by a bounded protobuf reader (no recursion, unknown fields skipped). Field numbers: sentencepiece_model.proto,
// https://github.com/google/sentencepiece. The precompiled normalisation table is kept as bytes, not interpreted.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/file.hpp"
#include "lab/formats/text_bytes.hpp"

namespace lab::formats {

/// Numbered as in the file.
enum class sentencepiece_type : std::uint8_t {
    normal = 1,
    unknown = 2,
    control = 3,
    user_defined = 4,
    unused = 5,
    byte = 6
};
enum class sentencepiece_algorithm : std::uint8_t { unigram = 1, bpe = 2, word = 3, character = 4 };

struct sentencepiece_piece {
    std::string text;  ///< UTF-8, as far as the file keeps to it
    float score = 0;
    sentencepiece_type type = sentencepiece_type::normal;
    friend bool operator==(const sentencepiece_piece&, const sentencepiece_piece&) = default;
};

/// The defaults are those of the protobuf definition: they hold where the file leaves a field out.
struct sentencepiece_model {
    std::vector<sentencepiece_piece> pieces;

    // trainer_spec
    sentencepiece_algorithm algorithm = sentencepiece_algorithm::unigram;
    bool byte_fallback = false, treat_whitespace_as_suffix = false;
    std::int32_t unk_id = 0, bos_id = 1, eos_id = 2, pad_id = -1;  ///< -1: none
    std::string unk_piece = "<unk>", bos_piece = "<s>", eos_piece = "</s>", pad_piece = "<pad>",
                unk_surface = " \xE2\x81\x87 ";

    // normalizer_spec
    std::string normalizer_name;
    std::string precompiled_charsmap;  ///< empty: no normalisation table
    bool add_dummy_prefix = true, remove_extra_whitespaces = true, escape_whitespaces = true;
};

namespace protobuf {

/// One field: its number, and either a number (varint, fixed32, fixed64) or bytes (length-delimited).
struct field {
    std::uint32_t number = 0;
    std::uint32_t wire_type = 0;
    std::uint64_t value = 0;
    std::span<const std::byte> bytes;
    std::uint64_t offset = 0;
};

/// Walks the fields of one message; nested messages are walked by a reader of their own, so depth is the caller's.
class reader {
public:
    /// @param start offset of `bytes` in the file, for messages.
    reader(std::span<const std::byte> bytes, std::string_view name, std::uint64_t start)
        : bytes_(bytes), name_(name), start_(start) {}

    /// Moves to the next field; false at the end of the message.
    bool next(field& out) {
        if (at_ == bytes_.size()) return false;
        out.offset = start_ + at_;
        const std::uint64_t key = varint();
        if (key >> 3 == 0 || key >> 3 > 0x1fffffff)
            fail(out.offset, "field number " + std::to_string(key >> 3) + " is out of range");
        out.number = static_cast<std::uint32_t>(key >> 3);
        out.wire_type = static_cast<std::uint32_t>(key & 7u);
        out.bytes = {};
        out.value = 0;
        switch (out.wire_type) {
            case 0:
                out.value = varint();
                break;
            case 1:
                out.value = fixed(8);
                break;
            case 2: {
                const std::uint64_t length = varint();
                out.offset = start_ + at_;
                out.bytes = take(length);
                break;
            }
            case 5:
                out.value = fixed(4);
                break;
            default:
                fail(out.offset, "wire type " + std::to_string(out.wire_type) + " is not supported");
        }
        return true;
    }
    [[noreturn]] void fail(std::uint64_t offset, std::string_view what) const {
        throw format_error(
            explain(at_offset(name_, offset), what, "this is not a SentencePiece model, or it is corrupt"));
    }

private:
    std::span<const std::byte> take(std::uint64_t count) {
        if (count > bytes_.size() - at_)
            fail(start_ + at_, "a field of " + std::to_string(count) + " bytes, " +
                                   std::to_string(bytes_.size() - at_) + " are left");
        const auto part = bytes_.subspan(at_, static_cast<std::size_t>(count));
        at_ += static_cast<std::size_t>(count);
        return part;
    }
    std::uint64_t fixed(std::size_t count) {
        std::uint64_t value = 0;
        const auto part = take(count);
        for (std::size_t i = 0; i < count; ++i) value |= std::to_integer<std::uint64_t>(part[i]) << (8 * i);
        return value;
    }
    /// Seven bits a byte, the lowest first; at most ten bytes, the tenth at most 1.
    std::uint64_t varint() {
        std::uint64_t value = 0;
        for (unsigned i = 0; i < 10; ++i) {
            const auto byte = std::to_integer<std::uint64_t>(take(1)[0]);
            if (i == 9 && byte > 1) break;
            value |= (byte & 0x7fu) << (7 * i);
            if (byte < 0x80) return value;
        }
        fail(start_ + at_, "a variable-length number does not fit in 64 bits");
    }

    std::span<const std::byte> bytes_;
    std::string_view name_;
    std::uint64_t start_;
    std::size_t at_ = 0;
};

/// Typed access to a field; a wrong wire type is refused, not reinterpreted.
struct typed {
    const reader& in;
    const field& f;

    void require(std::uint32_t wire_type) const {
        if (f.wire_type != wire_type)
            in.fail(f.offset, "field " + std::to_string(f.number) + " has wire type " + std::to_string(f.wire_type) +
                                  ", expected " + std::to_string(wire_type));
    }
    [[nodiscard]] std::string text() const { return require(2), std::string(as_text(f.bytes)); }
    [[nodiscard]] bool boolean() const { return require(0), f.value != 0; }
    [[nodiscard]] float real() const { return require(5), std::bit_cast<float>(static_cast<std::uint32_t>(f.value)); }
    /// int32 is written as a sign-extended 64-bit varint.
    [[nodiscard]] std::int32_t int32() const {
        require(0);
        const auto value = static_cast<std::int64_t>(f.value);
        if (!std::in_range<std::int32_t>(value))
            in.fail(f.offset, "field " + std::to_string(f.number) + " is not a 32-bit number");
        return static_cast<std::int32_t>(value);
    }
    template <class Enum>
    [[nodiscard]] Enum enumerator(std::uint8_t last) const {
        require(0);
        if (f.value < 1 || f.value > last)
            in.fail(f.offset,
                    "field " + std::to_string(f.number) + " has the unknown value " + std::to_string(f.value));
        return static_cast<Enum>(f.value);
    }
};

}  // namespace protobuf

namespace sentencepiece_detail {

[[nodiscard]] inline sentencepiece_piece parse_piece(protobuf::reader in) {
    sentencepiece_piece piece;
    for (protobuf::field f; in.next(f);) {
        const protobuf::typed value{in, f};
        switch (f.number) {
            case 1:
                piece.text = value.text();
                break;
            case 2:
                piece.score = value.real();
                if (std::isnan(piece.score)) in.fail(f.offset, "a piece's score is not a number");
                break;
            case 3:
                piece.type = value.enumerator<sentencepiece_type>(6);
                break;
            default:
                break;
        }
    }
    return piece;
}

inline void parse_trainer(protobuf::reader in, sentencepiece_model& model) {
    for (protobuf::field f; in.next(f);) {
        const protobuf::typed value{in, f};
        switch (f.number) {
            case 3:
                model.algorithm = value.enumerator<sentencepiece_algorithm>(4);
                break;
            case 24:
                model.treat_whitespace_as_suffix = value.boolean();
                break;
            case 35:
                model.byte_fallback = value.boolean();
                break;
            case 40:
                model.unk_id = value.int32();
                break;
            case 41:
                model.bos_id = value.int32();
                break;
            case 42:
                model.eos_id = value.int32();
                break;
            case 43:
                model.pad_id = value.int32();
                break;
            case 44:
                model.unk_surface = value.text();
                break;
            case 45:
                model.unk_piece = value.text();
                break;
            case 46:
                model.bos_piece = value.text();
                break;
            case 47:
                model.eos_piece = value.text();
                break;
            case 48:
                model.pad_piece = value.text();
                break;
            default:
                break;
        }
    }
}

inline void parse_normalizer(protobuf::reader in, sentencepiece_model& model) {
    for (protobuf::field f; in.next(f);) {
        const protobuf::typed value{in, f};
        switch (f.number) {
            case 1:
                model.normalizer_name = value.text();
                break;
            case 2:
                model.precompiled_charsmap = value.text();
                break;
            case 3:
                model.add_dummy_prefix = value.boolean();
                break;
            case 4:
                model.remove_extra_whitespaces = value.boolean();
                break;
            case 5:
                model.escape_whitespaces = value.boolean();
                break;
            default:
                break;
        }
    }
}

}  // namespace sentencepiece_detail

/// @param name stands for the file in messages.
/// @throws format_error "file: offset N: what", also for a file without pieces or with special ids out of range.
[[nodiscard]] inline sentencepiece_model parse_sentencepiece(std::span<const std::byte> bytes, std::string_view name) {
    sentencepiece_model model;
    protobuf::reader in(bytes, name, 0);
    for (protobuf::field f; in.next(f);) {
        if (f.number < 1 || f.number > 3) continue;
        protobuf::typed{in, f}.require(2);
        const protobuf::reader inside(f.bytes, name, f.offset);
        if (f.number == 1)
            model.pieces.push_back(sentencepiece_detail::parse_piece(inside));
        else if (f.number == 2)
            sentencepiece_detail::parse_trainer(inside, model);
        else
            sentencepiece_detail::parse_normalizer(inside, model);
    }
    if (model.pieces.empty()) in.fail(0, "the model has no pieces");
    if (model.pieces.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
        in.fail(0, "the model has too many pieces");
    const auto count = static_cast<std::int32_t>(model.pieces.size());
    for (const auto& [what, id] : {std::pair{"unk_id", model.unk_id}, std::pair{"bos_id", model.bos_id},
                                   std::pair{"eos_id", model.eos_id}, std::pair{"pad_id", model.pad_id}})
        if (id < -1 || id >= count)
            in.fail(0, std::string(what) + " is " + std::to_string(id) + ", the model has " + std::to_string(count) +
                           " pieces");
    return model;
}

[[nodiscard]] inline sentencepiece_model load_sentencepiece(const std::filesystem::path& path) {
    const mapped_file file(path);
    return parse_sentencepiece(file.bytes(), path.string());
}

}  // namespace lab::formats
