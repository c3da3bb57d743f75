#include "lab/formats/sentencepiece_model.hpp"

#include <boost/test/unit_test.hpp>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "lab/formats/json.hpp"
#include "raw_files.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(sentencepiece)

using lab::formats::sentencepiece_algorithm;
using lab::formats::sentencepiece_model;
using lab::formats::sentencepiece_type;

namespace {

constexpr auto parse = [](std::span<const std::byte> bytes) { return lab::formats::parse_sentencepiece(bytes, "bad"); };

sentencepiece_model parse_text(const std::string& bytes) {
    return parse(std::as_bytes(std::span(bytes.data(), bytes.size())));
}

std::string varint(std::uint64_t value) {
    std::string out;
    for (; value >= 0x80; value >>= 7) out += static_cast<char>(0x80 | (value & 0x7f));
    return out + static_cast<char>(value);
}
std::string number(std::uint32_t field, std::uint64_t value) { return varint(field << 3) + varint(value); }
std::string block(std::uint32_t field, const std::string& bytes) {
    return varint((field << 3) | 2) + varint(bytes.size()) + bytes;
}
std::string real(std::uint32_t field, float value) { return varint((field << 3) | 5) + lab::test::raw(value); }
std::string piece(const std::string& text, float score, unsigned type) {
    return block(1, block(1, text) + real(2, score) + number(3, type));
}
/// Three pieces and both specs.
std::string good(const std::string& trainer = "", const std::string& normalizer = "") {
    return piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3) + block(2, trainer) + block(3, normalizer);
}
void refused(const std::string& bytes, std::string_view what) { lab::test::refused(bytes, parse, what); }

}  // namespace

// Trained and read back by the sentencepiece package: tests/goldens/formats_files.py.
BOOST_AUTO_TEST_CASE(reads_what_sentencepiece_reads) {
    for (const std::string name : {"bpe", "unigram"}) {
        const auto path = lab::test::fixture("formats/" + name + ".model");
        const auto golden = lab::formats::parse_json(lab::read_file(path.string() + ".json"), name);
        const sentencepiece_model model = lab::formats::load_sentencepiece(path);
        BOOST_TEST(model.unk_id == golden["unk"].get<int>());
        BOOST_TEST(model.bos_id == golden["bos"].get<int>());
        BOOST_TEST(model.eos_id == golden["eos"].get<int>());
        BOOST_TEST(model.pad_id == golden["pad"].get<int>());
        BOOST_TEST(
            (model.algorithm == (name == "bpe" ? sentencepiece_algorithm::bpe : sentencepiece_algorithm::unigram)));
        BOOST_TEST(model.byte_fallback == (name == "bpe"));
        BOOST_TEST(model.add_dummy_prefix == (name == "bpe"));
        BOOST_TEST(model.normalizer_name == "identity");
        BOOST_TEST(model.precompiled_charsmap.empty());
        BOOST_REQUIRE_EQUAL(model.pieces.size(), golden["pieces"].size());
        std::size_t user_defined = 0;
        for (std::size_t i = 0; i < model.pieces.size(); ++i) {
            const auto& expected = golden["pieces"][i];
            BOOST_REQUIRE_EQUAL(model.pieces[i].text, expected[0].get<std::string>());
            BOOST_REQUIRE_EQUAL(model.pieces[i].score, expected[1].get<float>());
            const int type = expected[2].get<int>();  // 0: neither unknown, control nor byte
            if (type != 0) BOOST_REQUIRE_EQUAL(static_cast<int>(model.pieces[i].type), type);
            user_defined += model.pieces[i].type == sentencepiece_type::user_defined;
        }
        BOOST_TEST(user_defined == 1u);
    }
}

BOOST_AUTO_TEST_CASE(absent_fields_take_the_protobuf_defaults) {
    const auto model = parse_text(good());
    BOOST_TEST((model.algorithm == sentencepiece_algorithm::unigram));
    BOOST_TEST(model.add_dummy_prefix);
    BOOST_TEST(model.remove_extra_whitespaces);
    BOOST_TEST(model.escape_whitespaces);
    BOOST_TEST(!model.treat_whitespace_as_suffix);
    BOOST_TEST(model.pad_id == -1);
    BOOST_TEST(model.unk_piece == "<unk>");
    BOOST_TEST(model.unk_surface == " ⁇ ");
}

BOOST_AUTO_TEST_CASE(settings_are_read_and_unknown_fields_skipped) {
    const std::string trainer = number(3, 2) + number(24, 1) + number(35, 1) + number(42, 1) +
                                number(43, ~std::uint64_t{0}) + block(45, "U") + block(7, "corpus.txt") +
                                real(10, 0.5f) + varint((99 << 3) | 1) + std::string(8, 'x');
    const std::string normalizer =
        block(1, "nmt") + block(2, std::string(5, '\xff')) + number(3, 0) + number(4, 0) + number(5, 0);
    const auto model = parse_text(good(trainer, normalizer) + block(4, "self test") + number(200, 1));
    BOOST_TEST((model.algorithm == sentencepiece_algorithm::bpe));
    BOOST_TEST(model.treat_whitespace_as_suffix);
    BOOST_TEST(model.byte_fallback);
    BOOST_TEST(model.eos_id == 1);
    BOOST_TEST(model.pad_id == -1);  // written as a ten-byte varint
    BOOST_TEST(model.unk_piece == "U");
    BOOST_TEST(model.normalizer_name == "nmt");
    BOOST_TEST(model.precompiled_charsmap.size() == 5u);
    BOOST_TEST(!model.add_dummy_prefix);
    BOOST_TEST(!model.remove_extra_whitespaces);
    BOOST_TEST(!model.escape_whitespaces);
}

BOOST_AUTO_TEST_CASE(refuses_an_empty_model) { refused("", "the model has no pieces"); }
BOOST_AUTO_TEST_CASE(refuses_overlong_numbers) {
    refused(std::string(11, '\x80'), "does not fit in 64 bits");
    refused(good(varint(40 << 3) + std::string(9, '\xff') + '\x02'), "does not fit in 64 bits");
}
BOOST_AUTO_TEST_CASE(refuses_lengths_beyond_the_end) {
    refused(varint((1 << 3) | 2) + varint(5) + "abc", "a field of 5 bytes, 3 are left");
    refused(varint((1 << 3) | 2) + varint(~std::uint64_t{0}), "a field of 18446744073709551615 bytes");
    // A length that stays in the file but leaves its message.
    refused(block(1, varint((1 << 3) | 2) + varint(4) + "ab") + "abcdef", "a field of 4 bytes, 2 are left");
}
BOOST_AUTO_TEST_CASE(refuses_bad_keys_and_wire_types) {
    refused(std::string(1, '\0') + "x", "field number 0 is out of range");
    refused(varint(std::uint64_t{1} << 40), "is out of range");
    for (const unsigned wire : {3u, 4u, 6u, 7u})
        refused(varint((1 << 3) | wire), "wire type " + std::to_string(wire) + " is not supported");
    refused(number(1, 7), "field 1 has wire type 0, expected 2");
    refused(block(1, number(1, 7)), "field 1 has wire type 0, expected 2");
    refused(block(1, number(2, 7)), "field 2 has wire type 0, expected 5");
}
BOOST_AUTO_TEST_CASE(refuses_values_out_of_range) {
    refused(piece("a", 0, 0), "field 3 has the unknown value 0");
    refused(piece("a", 0, 7), "field 3 has the unknown value 7");
    refused(good(number(3, 5)), "field 3 has the unknown value 5");
    refused(good(number(40, std::uint64_t{1} << 31)), "field 40 is not a 32-bit number");
    refused(good(number(40, 3)), "unk_id is 3, the model has 3 pieces");
    refused(good(number(43, ~std::uint64_t{1})), "pad_id is -2");
    refused(piece("a", std::nanf(""), 1), "score is not a number");
    refused(piece("a", 0, 1), "bos_id is 1, the model has 1 pieces");
}

BOOST_AUTO_TEST_CASE(survives_a_thousand_mutations) {
    const std::string bytes = good(number(3, 2) + block(45, "U"), block(1, "nmt") + number(3, 0)) + piece("abc", -1, 1);
    std::size_t opened = 0, failed = 0;
    for (std::uint64_t seed = 0; seed < 1000; ++seed) {
        lab::counter_rng rng(seed, "sentencepiece mutations");
        const std::string bad = lab::test::mutate(bytes, bytes.size(), rng);
        const auto exact = std::make_unique<std::byte[]>(bad.size());
        std::memcpy(exact.get(), bad.data(), bad.size());
        try {
            BOOST_REQUIRE(!parse(std::span(exact.get(), bad.size())).pieces.empty());
            ++opened;
        } catch (const lab::error&) {
            ++failed;
        }
    }
    BOOST_TEST_MESSAGE(opened << " opened, " << failed << " refused");
    BOOST_TEST(opened > 50u);
    BOOST_TEST(failed > 300u);
}

BOOST_AUTO_TEST_CASE(real_models_open, *boost::unit_test::precondition(lab::test::needs("tokenizers/granite-7b-lab"))) {
    const auto model =
        lab::formats::load_sentencepiece(lab::test::shared_data("tokenizers/granite-7b-lab/tokenizer.model"));
    BOOST_TEST(model.pieces.size() == 32000u);
    BOOST_TEST((model.algorithm == sentencepiece_algorithm::bpe));
    BOOST_TEST(model.byte_fallback);
    BOOST_TEST((model.pieces[3].type == sentencepiece_type::byte));
}

BOOST_AUTO_TEST_SUITE_END()
