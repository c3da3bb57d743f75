#include "lab/formats/gguf.hpp"

#include <boost/test/unit_test.hpp>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "raw_files.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(gguf)

using lab::formats::gguf_file;
using lab::test::raw;
using lab::test::raw_gguf;
using lab::test::raw_string;

namespace {

constexpr auto parse = [](std::span<const std::byte> bytes) { return gguf_file(bytes, "bad"); };

void refused(const raw_gguf& file, std::string_view what) { lab::test::refused(file.bytes(), parse, what); }

gguf_file open_raw(const std::string& bytes) {
    return gguf_file(std::as_bytes(std::span(bytes.data(), bytes.size())), "bad");
}

constexpr auto huge = std::numeric_limits<std::uint64_t>::max();

}  // namespace

BOOST_AUTO_TEST_CASE(reads_a_good_file) {
    for (const std::uint32_t version : {2u, 3u}) {
        raw_gguf good;
        good.version = version;
        const std::string bytes = good.bytes();
        const gguf_file file = open_raw(bytes);
        BOOST_TEST(file.version() == version);
        BOOST_TEST(file.alignment() == 32u);
        BOOST_TEST(file.metadata().size() == 3u);
        BOOST_TEST(file.require<std::string>("general.architecture") == "llama");
        BOOST_TEST(file.strings("list") == (std::vector<std::string>{"x", "yz"}), boost::test_tools::per_element());
        BOOST_REQUIRE(file.tensors().size() == 2u);
        const auto& a = file.weights().require("a");
        BOOST_TEST(a.shape == (std::vector<std::size_t>{2, 3}), boost::test_tools::per_element());
        BOOST_TEST(a.bytes.size() == 24u);
        const auto* b = file.weights().find("b");
        BOOST_REQUIRE(b != nullptr);
        BOOST_TEST((b->type == lab::dtype::q8_0));
        BOOST_TEST(b->bytes.size() == 68u);
        BOOST_TEST(std::to_integer<int>(b->bytes[0]) == 2);
        BOOST_TEST(file.weights().find("c") == nullptr);
        BOOST_CHECK_THROW((void)file.weights().require("c"), lab::format_error);
    }
}

BOOST_AUTO_TEST_CASE(reads_a_file_without_keys_or_tensors) {
    raw_gguf empty;
    empty.keys.clear(), empty.tensors.clear(), empty.data.clear();
    BOOST_TEST(open_raw(empty.header()).tensors().empty());
}

BOOST_AUTO_TEST_CASE(weights_outlive_the_file_object) {
    const lab::test::temporary_folder folder;
    {
        lab::atomic_file file(folder / "w.bin");
        file.write(raw_gguf{}.bytes());
        file.commit();
    }
    const auto weights = lab::formats::open_gguf(folder / "w.bin");
    BOOST_TEST(std::to_integer<int>(weights.require("a").bytes[0]) == 1);
    BOOST_TEST(weights.path() == folder / "w.bin");
}

BOOST_AUTO_TEST_CASE(integers_of_every_width_convert_within_range) {
    raw_gguf f;
    f.keys = {raw_gguf::key("u8", 0, raw<std::uint8_t>(200)),
              raw_gguf::key("i8", 1, raw<std::int8_t>(-3)),
              raw_gguf::key("u16", 2, raw<std::uint16_t>(9)),
              raw_gguf::key("i16", 3, raw<std::int16_t>(-9)),
              raw_gguf::key("u32", 4, raw<std::uint32_t>(4000000000u)),
              raw_gguf::key("i32", 5, raw<std::int32_t>(-7)),
              raw_gguf::key("f32", 6, raw(1.5f)),
              raw_gguf::key("yes", 7, raw<std::uint8_t>(1)),
              raw_gguf::key("u64", 10, raw(huge)),
              raw_gguf::key("i64", 11, raw<std::int64_t>(-5)),
              raw_gguf::key("f64", 12, raw(2.5))};
    const std::string bytes = f.bytes();
    const gguf_file file = open_raw(bytes);
    BOOST_TEST(file.require<int>("u8") == 200);
    BOOST_TEST(file.require<long>("i8") == -3);
    BOOST_TEST(file.require<std::uint64_t>("u16") == 9u);
    BOOST_TEST(file.require<int>("i16") == -9);
    BOOST_TEST(file.require<std::int64_t>("u32") == 4000000000);
    BOOST_TEST(file.require<int>("i32") == -7);
    BOOST_TEST(file.require<float>("f32") == 1.5f);
    BOOST_TEST(file.require<bool>("yes"));
    BOOST_TEST(file.require<std::uint64_t>("u64") == huge);
    BOOST_TEST(file.require<int>("i64") == -5);
    BOOST_TEST(file.require<double>("f64") == 2.5);
    BOOST_TEST(!file.get<int>("absent"));
    BOOST_CHECK_THROW((void)file.require<int>("absent"), lab::format_error);
    BOOST_CHECK_THROW((void)file.get<int>("u32"), lab::format_error);            // too large
    BOOST_CHECK_THROW((void)file.get<std::uint32_t>("i32"), lab::format_error);  // negative
    BOOST_CHECK_THROW((void)file.get<std::int64_t>("u64"), lab::format_error);
    BOOST_CHECK_THROW((void)file.get<int>("f32"), lab::format_error);
    BOOST_CHECK_THROW((void)file.get<float>("u8"), lab::format_error);
    BOOST_CHECK_THROW((void)file.get<bool>("u8"), lab::format_error);
    BOOST_CHECK_THROW((void)file.get<std::string>("u8"), lab::format_error);
}

BOOST_AUTO_TEST_CASE(arrays_are_read_by_the_type_of_their_elements) {
    raw_gguf f;
    f.keys = {
        raw_gguf::key("ints", 9,
                      raw<std::uint32_t>(5) + raw<std::uint64_t>(2) + raw<std::int32_t>(-1) + raw<std::int32_t>(2)),
        raw_gguf::key("floats", 9, raw<std::uint32_t>(6) + raw<std::uint64_t>(1) + raw(0.5f)),
        raw_gguf::key("bytes", 9, raw<std::uint32_t>(0) + raw<std::uint64_t>(3) + "abc"),
        raw_gguf::key("none", 9, raw<std::uint32_t>(8) + raw<std::uint64_t>(0))};
    const std::string bytes = f.bytes();
    const gguf_file file = open_raw(bytes);
    BOOST_TEST(file.integers("ints") == (std::vector<std::int64_t>{-1, 2}), boost::test_tools::per_element());
    BOOST_TEST(file.floats("floats") == (std::vector<double>{0.5}), boost::test_tools::per_element());
    BOOST_TEST(file.integers("bytes") == (std::vector<std::int64_t>{'a', 'b', 'c'}), boost::test_tools::per_element());
    BOOST_TEST(file.strings("none").empty());
    BOOST_TEST(file.strings("absent").empty());
    BOOST_CHECK_THROW((void)file.floats("bytes"), lab::format_error);  // u8 must not be read as f32
    BOOST_CHECK_THROW((void)file.integers("floats"), lab::format_error);
    BOOST_CHECK_THROW((void)file.strings("ints"), lab::format_error);
    BOOST_CHECK_THROW((void)file.integers("none"), lab::format_error);
    BOOST_CHECK_THROW((void)file.get<int>("ints"), lab::format_error);
}

// One case for each kind of malformed file in llama.cpp's test-gguf, and those behind its CVEs.

BOOST_AUTO_TEST_CASE(refuses_header_bad_magic) {
    raw_gguf f;
    f.magic = "GGUX";
    refused(f, "offset 0: this is not a GGUF file");
    lab::test::refused("", parse, "offset 0: the magic number needs 4 bytes");
    lab::test::refused("GGUF", parse, "offset 4: the version needs");
}
BOOST_AUTO_TEST_CASE(refuses_header_bad_version) {
    for (const std::uint32_t version : {0u, 1u, 4u, 0xffffffffu}) {
        raw_gguf f;
        f.version = version;
        refused(f, "offset 4: GGUF version " + std::to_string(version) + " is not supported");
    }
    raw_gguf f;
    f.version = 3u << 24;
    refused(f, "big-endian");
}
BOOST_AUTO_TEST_CASE(refuses_header_bad_tensor_count) {
    for (const std::uint64_t count : {huge, huge / 8 + 2, std::uint64_t{1} << 32, std::uint64_t{30}}) {
        raw_gguf f;
        f.tensor_count = count;
        refused(f, count > 100 ? "tensor count " + std::to_string(count) + " cannot fit" : "");
    }
}
BOOST_AUTO_TEST_CASE(refuses_header_bad_key_count) {
    for (const std::uint64_t count : {huge, huge / 16 + 2, std::uint64_t{1} << 32}) {
        raw_gguf f;
        f.key_count = count;
        refused(f, "metadata count " + std::to_string(count) + " cannot fit");
    }
    raw_gguf f;
    f.key_count = 4;  // reads the first tensor as a key
    refused(f, "");
}
BOOST_AUTO_TEST_CASE(refuses_bad_key_size) {
    for (const std::uint64_t size : {huge, std::uint64_t{65536}, std::uint64_t{0}}) {
        raw_gguf f;
        f.keys[1] = raw(size) + "n" + raw<std::uint32_t>(4) + raw<std::uint32_t>(7);
        refused(f, "metadata key 1 is " + std::to_string(size) + " bytes long");
    }
    raw_gguf f;
    f.keys[1] = raw<std::uint64_t>(60000) + "n" + raw<std::uint32_t>(4) + raw<std::uint32_t>(7);
    refused(f, "a metadata key needs 60000 bytes");
}
BOOST_AUTO_TEST_CASE(refuses_bad_key_type) {
    for (const std::uint32_t type : {13u, 0x7fffffffu, 0xffffffffu}) {
        raw_gguf f;
        f.keys[1] = raw_gguf::key("n", type, raw<std::uint32_t>(7));
        refused(f, "metadata key 'n' has the unknown type " + std::to_string(type));
        f.keys[1] = raw_gguf::key("n", 9, raw(type) + raw<std::uint64_t>(0));
        refused(f, "metadata key 'n' has the unknown type " + std::to_string(type));
    }
}
BOOST_AUTO_TEST_CASE(refuses_bad_value_size) {
    raw_gguf f;
    f.keys[1] = raw_gguf::key("n", 8, raw(huge));
    refused(f, "a string of metadata key 'n' needs 18446744073709551615 bytes");
    // Counts whose product with the element's size wraps to something small.
    for (const auto& [type, count] : {std::pair<std::uint32_t, std::uint64_t>{4, (std::uint64_t{1} << 62) + 1},
                                      {12, (std::uint64_t{1} << 61) + 1},
                                      {8, (std::uint64_t{1} << 61) + 1},
                                      {0, huge},
                                      {7, huge}}) {
        f.keys[1] = raw_gguf::key("n", 9, raw(type) + raw(count) + raw<std::uint64_t>(0));
        refused(f, "element count of metadata key 'n', " + std::to_string(count) + " cannot fit");
    }
}
BOOST_AUTO_TEST_CASE(refuses_arrays_of_arrays) {
    raw_gguf f;
    f.keys[1] = raw_gguf::key("n", 9, raw<std::uint32_t>(9) + raw<std::uint64_t>(1));
    refused(f, "array of arrays");
}
BOOST_AUTO_TEST_CASE(refuses_bad_bool) {
    raw_gguf f;
    f.keys[1] = raw_gguf::key("n", 7, raw<std::uint8_t>(2));
    refused(f, "bool that is neither 0 nor 1");
}
BOOST_AUTO_TEST_CASE(refuses_duplicate_key) {
    raw_gguf f;
    f.keys.push_back(raw_gguf::key("n", 4, raw<std::uint32_t>(8)));
    refused(f, "duplicate metadata key 'n'");
}
BOOST_AUTO_TEST_CASE(refuses_bad_alignment) {
    for (const std::uint32_t alignment : {0u, 13u, 0xffffffffu}) {
        raw_gguf f;
        f.keys.push_back(raw_gguf::key("general.alignment", 4, raw(alignment)));
        refused(f, "general.alignment is " + std::to_string(alignment) + ", expected a power of two");
    }
    raw_gguf f;
    f.keys.push_back(raw_gguf::key("general.alignment", 10, raw<std::uint64_t>(32)));
    refused(f, "general.alignment is u64, expected u32");
    f.keys.back() = raw_gguf::key("general.alignment", 4, raw<std::uint32_t>(1u << 31));
    refused(f, "");
}
BOOST_AUTO_TEST_CASE(refuses_bad_tensor_name_size) {
    for (const std::size_t size : {64u, 1000u}) {
        raw_gguf f;
        f.tensors[0] = raw_gguf::tensor(std::string(size, 'a'), {3, 2}, 0, 0);
        refused(f, "a tensor name is " + std::to_string(size) + " bytes long");
    }
    raw_gguf f;
    f.tensors[0] = raw_gguf::tensor("", {3, 2}, 0, 0);
    refused(f, "a tensor name is 0 bytes long");
    f.tensors[0] = raw(huge) + "a";
    refused(f, "bytes long");
    f.tensors[0] = raw_gguf::tensor(std::string(63, 'a'), {3, 2}, 0, 0);
    const std::string bytes = f.bytes();
    BOOST_TEST(open_raw(bytes).tensors()[0].name.size() == 63u);
}
BOOST_AUTO_TEST_CASE(refuses_bad_tensor_rank) {
    for (const std::uint32_t rank : {5u, 0xffffffffu}) {
        raw_gguf f;
        f.tensors[0] = raw_gguf::tensor("a", {3, 2, 1, 1, 1}, 0, 0, rank);
        refused(f, "tensor 'a' has " + std::to_string(rank) + " dimensions");
    }
}
BOOST_AUTO_TEST_CASE(refuses_bad_tensor_shape) {
    for (const std::uint64_t extent : {huge, std::uint64_t{0}, std::uint64_t{1} << 63}) {
        raw_gguf f;
        f.tensors[0] = raw_gguf::tensor("a", {3, extent}, 0, 0);
        refused(f, "tensor 'a' has the extent");
    }
}
BOOST_AUTO_TEST_CASE(refuses_tensor_elements_overflow) {
    raw_gguf f;
    f.tensors[0] = raw_gguf::tensor("a", {std::uint64_t{1} << 32, std::uint64_t{1} << 32}, 0, 0);
    refused(f, "size overflows");
    f.tensors[0] = raw_gguf::tensor("a", {std::uint64_t{1} << 31, std::uint64_t{1} << 31, 4, 1}, 0, 0);
    refused(f, "size overflows");
}
BOOST_AUTO_TEST_CASE(refuses_tensor_bytes_overflow) {
    raw_gguf f;
    f.tensors[0] = raw_gguf::tensor("a", {std::uint64_t{1} << 62}, 0, 0);  // x 4 bytes wraps to 0
    refused(f, "size overflows");
    f.tensors[0] = raw_gguf::tensor("a", {(std::uint64_t{1} << 62) - 32}, 0, 0);
    refused(f, "needs 18446744073709551488 bytes of data");
}
BOOST_AUTO_TEST_CASE(refuses_bad_tensor_type) {
    for (const std::uint32_t type : {4u, 5u, 31u, 36u, 1000u, 0xffffffffu}) {
        raw_gguf f;
        f.tensors[0] = raw_gguf::tensor("a", {3, 2}, type, 0);
        refused(f, "tensor 'a' has the unknown type " + std::to_string(type));
    }
    raw_gguf f;
    f.tensors[0] = raw_gguf::tensor("a", {256, 2}, 10, 0);
    refused(f, "tensor 'a' is stored as Q2_K, which is not read");
}
BOOST_AUTO_TEST_CASE(refuses_rows_that_are_no_whole_blocks) {
    raw_gguf f;
    f.tensors[1] = raw_gguf::tensor("b", {33, 2}, 8, 32);
    refused(f, "tensor 'b' with shape [2, 33]: rows of 33 elements cannot be stored as q8_0");
    f.tensors[1] = raw_gguf::tensor("b", {}, 8, 32);
    refused(f, "rows of 1 elements");
}
BOOST_AUTO_TEST_CASE(refuses_bad_tensor_offset) {
    for (const std::uint64_t offset : {std::uint64_t{1}, std::uint64_t{0}, std::uint64_t{64}, huge, huge - 31}) {
        raw_gguf f;
        f.tensors[1] = raw_gguf::tensor("b", {32, 2}, 8, offset);
        refused(f, "tensor 'b' has data offset " + std::to_string(offset) + ", expected 32");
    }
}
BOOST_AUTO_TEST_CASE(refuses_duplicate_tensor) {
    raw_gguf f;
    f.tensors[1] = raw_gguf::tensor("a", {32, 2}, 8, 32);
    refused(f, "duplicate tensor 'a'");
}
BOOST_AUTO_TEST_CASE(refuses_inconsistent_alignment) {
    raw_gguf f;  // the offsets are padded to 32, the key says 64
    f.keys.push_back(raw_gguf::key("general.alignment", 4, raw<std::uint32_t>(64)));
    f.alignment = 64;
    refused(f, "tensor 'b' has data offset 32, expected 64");
}
BOOST_AUTO_TEST_CASE(reads_a_custom_alignment) {
    raw_gguf f;
    f.keys.push_back(raw_gguf::key("general.alignment", 4, raw<std::uint32_t>(8)));
    f.alignment = 8;
    f.tensors[1] = raw_gguf::tensor("b", {32, 2}, 8, 24);
    f.data = std::string(24, '\1') + std::string(72, '\2');
    const std::string bytes = f.bytes();
    BOOST_TEST(open_raw(bytes).alignment() == 8u);
}
BOOST_AUTO_TEST_CASE(refuses_short_data) {
    raw_gguf f;
    f.data.resize(32 + 67);
    refused(f, "tensor 'b' (q8_0 [2, 32]) needs 68 bytes of data, 67 are left: the file is truncated");
    f.data.clear();
    refused(f, "tensor 'a' (f32 [2, 3]) needs 24 bytes of data, 0 are left");
    const std::string header = f.header();
    lab::test::refused(header, parse, "needs 24 bytes of data, 0 are left");
    for (std::size_t size = 0; size < header.size(); ++size)
        lab::test::refused(header.substr(0, size), parse, "offset");
}

BOOST_AUTO_TEST_CASE(survives_a_thousand_mutations_of_the_header) {
    raw_gguf good;
    good.keys.push_back(raw_gguf::key(
        "tokens", 9,
        raw<std::uint32_t>(8) + raw<std::uint64_t>(3) + raw_string("a") + raw_string("") + raw_string("b")));
    good.keys.push_back(
        raw_gguf::key("scores", 9, raw<std::uint32_t>(6) + raw<std::uint64_t>(2) + raw(1.0f) + raw(2.0f)));
    good.keys.push_back(raw_gguf::key("general.alignment", 4, raw<std::uint32_t>(32)));
    const std::string bytes = good.bytes();
    std::size_t opened = 0, failed = 0;
    unsigned sum = 0;
    for (std::uint64_t seed = 0; seed < 1000; ++seed) {
        lab::counter_rng rng(seed, "gguf mutations");
        const std::string bad = lab::test::mutate(bytes, good.header().size(), rng);
        const auto exact = std::make_unique<std::byte[]>(bad.size());  // no slack behind the last byte
        std::memcpy(exact.get(), bad.data(), bad.size());
        try {
            const gguf_file file(std::span(exact.get(), bad.size()), "mutated");
            for (const auto& t : file.tensors()) {
                sum += lab::test::touch(t.bytes);
                BOOST_REQUIRE_EQUAL(t.bytes.size(), lab::formats::tensor_bytes(t.type, t.shape));
            }
            for (const auto& e : file.metadata()) sum += lab::test::touch(e.value.bytes);
            for (const auto& e : file.metadata()) {
                if (e.value.type != lab::formats::gguf_type::array) continue;
                if (e.value.element == lab::formats::gguf_type::string)
                    sum += static_cast<unsigned>(file.strings(e.key).size());
            }
            ++opened;
        } catch (const lab::error&) {
            ++failed;
        }
    }
    BOOST_TEST_MESSAGE(opened << " opened, " << failed << " refused, checksum " << sum);
    BOOST_TEST(opened > 50u);
    BOOST_TEST(failed > 300u);
}

BOOST_AUTO_TEST_CASE(real_vocabularies_open, *boost::unit_test::precondition(lab::test::needs("tokenizers/ggml"))) {
    const gguf_file spm(lab::test::shared_data("tokenizers/ggml/ggml-vocab-llama-spm.gguf"));
    BOOST_TEST(spm.strings("tokenizer.ggml.tokens").size() == 32000u);
    BOOST_TEST(spm.floats("tokenizer.ggml.scores").size() == 32000u);
    BOOST_TEST(spm.integers("tokenizer.ggml.token_type").size() == 32000u);
    BOOST_TEST(spm.tensors().empty());
    BOOST_CHECK_THROW((void)spm.floats("tokenizer.ggml.token_type"), lab::format_error);
}

BOOST_AUTO_TEST_SUITE_END()
