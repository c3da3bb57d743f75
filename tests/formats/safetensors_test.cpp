#include "lab/formats/safetensors.hpp"

#include <boost/test/unit_test.hpp>
#include <cstring>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "raw_files.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(safetensors)

using lab::formats::open_safetensors;
using lab::formats::safetensors_file;
using lab::test::raw;
using lab::test::raw_safetensors;

namespace {

constexpr auto parse = [](std::span<const std::byte> bytes) { return safetensors_file(bytes, "bad"); };

/// The header must be refused, whatever the `buffer` bytes behind it.
void refused(std::string_view header, std::size_t buffer, std::string_view what) {
    lab::test::refused(raw_safetensors(header, buffer), parse, what);
}
/// One tensor "a".
void refused_tensor(std::string_view dtype, std::string_view shape, std::string_view offsets, std::size_t buffer,
                    std::string_view what) {
    refused(R"({"a":{"dtype":")" + std::string(dtype) + R"(","shape":)" + std::string(shape) + R"(,"data_offsets":)" +
                std::string(offsets) + "}}",
            buffer, what);
}
double sum(const lab::formats::stored_tensor& t) {
    const auto values = lab::formats::to_floats(t);
    return std::accumulate(values.begin(), values.end(), 0.0);
}
void write(const std::filesystem::path& path, const std::string& bytes) { lab::write_file_atomically(path, bytes); }

}  // namespace

// Written by the safetensors package, sums by PyTorch: tests/goldens/formats_files.py.
BOOST_AUTO_TEST_CASE(reads_what_the_package_writes) {
    const safetensors_file file(lab::test::fixture("formats/package.safetensors"));
    BOOST_TEST(file.metadata().at("format") == "pt");
    BOOST_TEST(file.metadata().at("note") == "grüße");
    BOOST_TEST(file.entries().size() == 7u);
    const auto weights = file.weights();
    BOOST_TEST(weights.tensors().size() == 5u);  // not the integers and bools
    const auto tolerance = boost::test_tools::tolerance(1e-12);
    BOOST_TEST(sum(weights.require("a.f32")) == 0.6529915928840637, tolerance);
    BOOST_TEST(sum(weights.require("b.f16")) == 2.4912109375, tolerance);
    BOOST_TEST(sum(weights.require("c.bf16")) == 1.0479736328125, tolerance);
    BOOST_TEST(weights.require("c.bf16").shape == (std::vector<std::size_t>{3, 4}), boost::test_tools::per_element());
    BOOST_TEST(sum(weights.require("g.scalar")) == 2.5);
    BOOST_TEST(weights.require("g.scalar").shape.empty());
    BOOST_TEST(weights.require("f.empty").bytes.empty());
    BOOST_TEST(weights.find("d.i64") == nullptr);
}

BOOST_AUTO_TEST_CASE(reads_shards_that_transformers_writes) {
    const auto folder = lab::test::fixture("formats/sharded");
    const auto sums = lab::formats::parse_json(lab::read_file(lab::test::fixture("formats/sharded.sums.json")), "sums");
    for (const auto& path : {folder, folder / "model.safetensors.index.json"}) {
        const auto weights = open_safetensors(path);
        BOOST_TEST(weights.tensors().size() == sums.size());
        for (const auto& [name, expected] : sums.items())
            BOOST_TEST(sum(weights.require(name)) == expected.get<double>(), boost::test_tools::tolerance(1e-9));
    }
}

BOOST_AUTO_TEST_CASE(reads_files_without_tensors_and_with_padding) {
    const std::string none = raw_safetensors("{}", 0);
    BOOST_TEST(parse(std::as_bytes(std::span(none.data(), none.size()))).entries().empty());
    const std::string padded = raw_safetensors(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}      )", 2);
    BOOST_TEST(parse(std::as_bytes(std::span(padded.data(), padded.size()))).entries().size() == 1u);
}

// One case for each rule of the format.

BOOST_AUTO_TEST_CASE(refuses_a_short_file) {
    lab::test::refused("", parse, "offset 0: the header's length needs 8 bytes, 0 are left");
    lab::test::refused("1234567", parse, "needs 8 bytes, 7 are left");
}
BOOST_AUTO_TEST_CASE(refuses_a_header_too_large) {
    lab::test::refused(raw<std::uint64_t>(100'000'001) + "{}", parse,
                       "the header's length 100000001 exceeds 100000000");
    lab::test::refused(raw(~std::uint64_t{0}) + "{}", parse, "exceeds");
}
BOOST_AUTO_TEST_CASE(refuses_a_header_beyond_the_file) {
    lab::test::refused(raw<std::uint64_t>(3) + "{}", parse, "the header needs 3 bytes, 2 are left");
}
BOOST_AUTO_TEST_CASE(refuses_a_header_that_does_not_begin_with_a_brace) {
    for (const char* header : {"", " {}", "[]", "x"})
        refused(header, 0, "offset 8: the header does not begin with '{'");
}
BOOST_AUTO_TEST_CASE(refuses_a_header_that_is_not_utf8) {
    refused("{\"a\xff\":1}", 0, "offset 11: the header is not UTF-8");
}
BOOST_AUTO_TEST_CASE(refuses_a_header_that_is_not_json) {
    refused("{\"a\":}", 0, "header:1:6: ");
    refused("{} {}", 0, "header:1:4: ");
    refused(std::string("{}\0", 3), 0, "NUL byte");
    refused("{\"a\":" + std::string(100000, '['), 0, "nested deeper");
}
BOOST_AUTO_TEST_CASE(refuses_duplicate_keys) {
    refused(
        R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
        1, "duplicate key 'a'");
    refused(R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1, "duplicate key 'dtype'");
    refused(R"({"__metadata__":{},"__metadata__":{}})", 0, "duplicate key '__metadata__'");
}
BOOST_AUTO_TEST_CASE(refuses_bad_metadata) {
    refused(R"({"__metadata__":[]})", 0, "'__metadata__' is not an object");
    refused(R"({"__metadata__":{"n":1}})", 0, "metadata 'n': expected a string");
}
BOOST_AUTO_TEST_CASE(refuses_missing_and_mistyped_fields) {
    refused(R"({"a":1})", 0, "tensor 'a': expected an object");
    refused(R"({"a":{"shape":[1],"data_offsets":[0,1]}})", 1, "field 'dtype' is missing");
    refused(R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", 1, "field 'shape' is missing");
    refused(R"({"a":{"dtype":"U8","shape":[1]}})", 1, "field 'data_offsets' is missing");
    refused_tensor("U8", "[-1]", "[0,1]", 1, "field 'shape'[0]: expected a whole number");
    refused_tensor("U8", "[1.0]", "[0,1]", 1, "field 'shape'[0]");
    refused_tensor("U8", "[18446744073709551616]", "[0,1]", 1, "field 'shape'[0]");
    refused_tensor("U8", "[1]", "[0]", 1, "has 1 data_offsets, expected 2");
    refused_tensor("U8", "[1]", "[0,1,2]", 1, "has 3 data_offsets");
    refused_tensor("U8", "[1]", "[-1,1]", 1, "field 'data_offsets'[0]");
}
BOOST_AUTO_TEST_CASE(refuses_unknown_dtypes_before_anything_is_skipped) {
    refused_tensor("X9", "[1]", "[0,1]", 1, "tensor 'a' has the unknown dtype 'X9'");
    refused_tensor("f32", "[1]", "[0,4]", 4, "unknown dtype 'f32'");
    for (const char* known : {"I64", "U64", "F64"})
        refused_tensor(known, "[2]", "[0,15]", 15, "needs 16 bytes, its data_offsets span 15");
}
BOOST_AUTO_TEST_CASE(refuses_sizes_that_differ_from_shape_times_dtype) {
    refused_tensor("F32", "[2,3]", "[0,20]", 20, "(F32 [2, 3]) needs 24 bytes, its data_offsets span 20");
    refused_tensor("BF16", "[]", "[0,4]", 4, "needs 2 bytes, its data_offsets span 4");
    refused_tensor("F32", "[0,7]", "[0,4]", 4, "needs 0 bytes");
    refused_tensor("F4", "[3]", "[0,2]", 2, "does not fill whole bytes");
}
BOOST_AUTO_TEST_CASE(refuses_sizes_that_overflow) {
    refused_tensor("F32", "[4294967296,4294967296]", "[0,0]", 0, "whose size overflows");
    refused_tensor("F32", "[4611686018427387904]", "[0,0]", 0, "whose size overflows");
    refused_tensor("U8", "[9223372036854775808,2]", "[0,0]", 0, "whose size overflows");
    refused_tensor("F32", "[0,9223372036854775808,8]", "[0,0]", 0, "whose size overflows");  // hidden by a zero
}
BOOST_AUTO_TEST_CASE(refuses_offsets_outside_the_buffer) {
    refused_tensor("U8", "[2]", "[0,2]", 1, "do not lie in the buffer of 1 bytes");
    refused_tensor("U8", "[2]", "[2,0]", 2, "do not lie in the buffer");
    refused_tensor("U8", "[2]", "[18446744073709551615,1]", 2, "do not lie in the buffer");
    refused_tensor("U8", "[1]", "[18446744073709551614,18446744073709551615]", 2, "do not lie in the buffer");
}
BOOST_AUTO_TEST_CASE(refuses_holes_overlap_and_leftovers) {
    const auto two = [](const char* a, const char* b) {
        return R"({"a":{"dtype":"U8","shape":[2],"data_offsets":)" + std::string(a) +
               R"(},"b":{"dtype":"U8","shape":[2],"data_offsets":)" + std::string(b) + "}}";
    };
    refused(two("[0,2]", "[3,5]"), 5, "tensor 'b' leaves a hole before it: it begins at 3, expected 2");
    refused(two("[1,3]", "[3,5]"), 5, "tensor 'a' leaves a hole before it: it begins at 1, expected 0");
    refused(two("[0,2]", "[1,3]"), 3, "tensor 'b' overlaps the tensor before it: it begins at 1, expected 2");
    refused(two("[0,2]", "[0,2]"), 2, "overlaps");
    refused(two("[0,2]", "[2,4]"), 5, "the tensors end here but the buffer has 1 more bytes");
    refused("{}", 1, "the buffer has 1 more bytes");
    const std::string good = raw_safetensors(two("[2,4]", "[0,2]"), 4);  // any order of names
    BOOST_TEST(parse(std::as_bytes(std::span(good.data(), good.size()))).entries()[0].name == "b");
}

BOOST_AUTO_TEST_CASE(refuses_bad_shard_indexes) {
    const lab::test::temporary_folder folder;
    const auto index = folder / "model.safetensors.index.json";
    const auto refuse = [&](const std::string& text, std::string_view what) {
        write(index, text);
        BOOST_CHECK_EXCEPTION((void)open_safetensors(folder.path()), lab::error, [&](const lab::error& fault) {
            const bool good = std::string_view(fault.what()).find(what) != std::string_view::npos;
            if (!good) BOOST_ERROR("unexpected message: " << fault.what());
            return good;
        });
    };
    write(folder / "one.safetensors", raw_safetensors(R"({"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}})", 2));
    write(folder / "two.safetensors", raw_safetensors(R"({"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}})", 2));
    refuse("{}", "field 'weight_map' is missing");
    refuse(R"({"weight_map":[]})", "field 'weight_map' is not an object");
    refuse(R"({"weight_map":{"a":1}})", "expected a string");
    for (const char* shard : {"../one.safetensors", "/etc/passwd", "", ".", "..", "sub/one.safetensors"})
        refuse(R"({"weight_map":{"a":")" + std::string(shard) + R"("}})", "expected a plain file name");
    refuse(R"({"weight_map":{"a":"absent.safetensors"}})", "cannot open");
    refuse(R"({"weight_map":{"b":"one.safetensors"}})", "tensor 'b' is not in one.safetensors");
    refuse(R"({"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})",
           "tensor 'a' lies in both one.safetensors and two.safetensors");
    write(index, R"({"weight_map":{"a":"one.safetensors"}})");
    BOOST_TEST(open_safetensors(folder.path()).find("a") != nullptr);
}

BOOST_AUTO_TEST_CASE(an_empty_folder_says_what_was_looked_for) {
    const lab::test::temporary_folder folder;
    BOOST_CHECK_THROW((void)open_safetensors(folder.path()), lab::io_error);
    BOOST_CHECK_THROW((void)open_safetensors(folder / "absent.safetensors"), lab::io_error);
}

BOOST_AUTO_TEST_CASE(survives_a_thousand_mutations_of_the_header) {
    const std::string header =
        R"({"__metadata__":{"format":"pt","note":"a text that may become any other"},"model.layers.0.self_attn.q_proj.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
        R"("b":{"dtype":"BF16","shape":[5],"data_offsets":[24,34]},"c":{"dtype":"I64","shape":[1,1,1],"data_offsets":[34,42]}}   )";
    const std::string bytes = raw_safetensors(header, 42);
    std::size_t opened = 0, failed = 0;
    unsigned sum = 0;
    for (std::uint64_t seed = 0; seed < 1000; ++seed) {
        lab::counter_rng rng(seed, "safetensors mutations");
        const std::string bad = lab::test::mutate(bytes, 8 + header.size(), rng);
        const auto exact = std::make_unique<std::byte[]>(bad.size());  // no slack behind the last byte
        std::memcpy(exact.get(), bad.data(), bad.size());
        try {
            const safetensors_file file(std::span(exact.get(), bad.size()), "mutated");
            for (const auto& e : file.entries()) sum += lab::test::touch(e.bytes);
            const auto weights = file.weights();
            for (const auto& t : weights.tensors())
                BOOST_REQUIRE_EQUAL(t.bytes.size(), lab::formats::tensor_bytes(t.type, t.shape));
            ++opened;
        } catch (const lab::error&) {
            ++failed;
        }
    }
    BOOST_TEST_MESSAGE(opened << " opened, " << failed << " refused, checksum " << sum);
    BOOST_TEST(opened > 20u);
    BOOST_TEST(failed > 300u);
}

BOOST_AUTO_TEST_SUITE_END()
