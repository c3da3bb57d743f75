#include "lab/formats/gguf_writer.hpp"

#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(gguf_writing)

using lab::formats::gguf_file;
using lab::formats::gguf_type;
using lab::formats::gguf_writer;
using lab::formats::outgoing_tensor;

namespace {

double sum(const lab::formats::stored_tensor& t) {
    const auto values = lab::formats::to_floats(t);
    return std::accumulate(values.begin(), values.end(), 0.0);
}

}  // namespace

// tests/goldens/formats_files.py wrote the file and printed these numbers with gguf-py's reader.
BOOST_AUTO_TEST_CASE(reads_what_gguf_py_writes) {
    const gguf_file f(lab::test::fixture("formats/gguf_py.gguf"));
    BOOST_TEST(f.alignment() == 64u);
    BOOST_TEST(f.require<int>("t.u8") == 255);
    BOOST_TEST(f.require<int>("t.i8") == -128);
    BOOST_TEST(f.require<int>("t.u16") == 65535);
    BOOST_TEST(f.require<int>("t.i16") == -32768);
    BOOST_TEST(f.require<std::uint32_t>("t.u32") == std::numeric_limits<std::uint32_t>::max());
    BOOST_TEST(f.require<int>("t.i32") == std::numeric_limits<std::int32_t>::min());
    BOOST_TEST(f.require<std::uint64_t>("t.u64") == std::numeric_limits<std::uint64_t>::max());
    BOOST_TEST(f.require<std::int64_t>("t.i64") == std::numeric_limits<std::int64_t>::min());
    BOOST_TEST(f.require<float>("t.f32") == 0.1f);
    BOOST_TEST(f.require<double>("t.f64") == 0.1);
    BOOST_TEST(f.require<bool>("t.bool"));
    BOOST_TEST(f.require<std::string>("t.string") == "grüße\n");
    BOOST_TEST(f.strings("t.strings") == (std::vector<std::string>{"", "a", "日本"}), boost::test_tools::per_element());
    BOOST_TEST(f.integers("t.ints") == (std::vector<std::int64_t>{-1, 0, 1}), boost::test_tools::per_element());
    BOOST_TEST(f.floats("t.floats") == (std::vector<double>{0.5, -0.25}), boost::test_tools::per_element());
    const auto& w = f.weights();
    BOOST_TEST(w.require("c.q8_0").shape == (std::vector<std::size_t>{3, 64}), boost::test_tools::per_element());
    const auto tolerance = boost::test_tools::tolerance(1e-12);
    BOOST_TEST(sum(w.require("a.f32")) == 2.283797036856413, tolerance);
    BOOST_TEST(sum(w.require("b.f16")) == 0.1468505859375, tolerance);
    BOOST_TEST(sum(w.require("c.q8_0")) == -8.594734191894531, tolerance);
    BOOST_TEST(sum(w.require("c.q4_1")) == -8.169677734375, tolerance);
    BOOST_TEST(sum(w.require("c.bf16")) == -8.63702392578125, tolerance);
}

BOOST_AUTO_TEST_CASE(a_copy_of_gguf_pys_file_has_its_bytes) {
    const auto path = lab::test::fixture("formats/gguf_py.gguf");
    const gguf_file f(path);
    gguf_writer ordered(f.alignment());
    ordered.erase("general.alignment");  // it comes second in the original
    for (const auto& e : f.metadata()) ordered.set(e.key, e.value);
    for (const auto& t : f.tensors()) ordered.add(outgoing_tensor::of(t.name, t.type, t.shape, t.bytes));
    const lab::test::temporary_folder folder;
    ordered.write(folder / "copy");
    BOOST_TEST((lab::read_file(folder / "copy") == lab::read_file(path)));
}

BOOST_AUTO_TEST_CASE(every_type_of_value_round_trips) {
    gguf_writer w;
    w.set("i8", std::int8_t{-1});
    w.set("u16", std::uint16_t{2});
    w.set("u32", std::uint32_t{3});
    w.set("i64", std::int64_t{-4});
    w.set("f32", 0.5f);
    w.set("f64", 0.25);
    w.set("bool", true);
    w.set("text", "x");
    w.set("text", "replaced");
    w.set_array("strings", std::vector<std::string>{"a", ""});
    w.set_array("floats", std::vector<float>{1, 2});
    w.set_array("ints", std::vector<std::int32_t>{-1});
    w.set_array("bools", std::vector<bool>{true, false});
    const lab::test::temporary_folder folder;
    w.write(folder / "f");
    const gguf_file f(folder / "f");
    BOOST_TEST(f.metadata().size() == 12u);
    BOOST_TEST((f.find("i8")->type == gguf_type::i8));
    BOOST_TEST((f.find("u16")->type == gguf_type::u16));
    BOOST_TEST((f.find("i64")->type == gguf_type::i64));
    BOOST_TEST((f.find("f64")->type == gguf_type::f64));
    BOOST_TEST((f.find("bools")->element == gguf_type::boolean));
    BOOST_TEST(f.find("bools")->count == 2u);
    BOOST_TEST(f.require<int>("i64") == -4);
    BOOST_TEST(f.require<std::string>("text") == "replaced");
    BOOST_TEST(f.strings("strings") == (std::vector<std::string>{"a", ""}), boost::test_tools::per_element());
    BOOST_TEST(f.integers("ints").at(0) == -1);
}

BOOST_AUTO_TEST_CASE(tensors_round_trip_with_padding_and_producers) {
    const std::array<float, 6> a{1, 2, 3, 4, 5, 6};
    gguf_writer w(128);
    w.add(outgoing_tensor::of("a", lab::dtype::f32, {2, 3}, std::as_bytes(std::span(a))));
    w.add({"b", lab::dtype::q8_0, {1, 32}, [](lab::formats::byte_sink sink) {  // in pieces
               const std::array<std::byte, 17> half{std::byte{7}};
               sink(half);
               sink(half);
           }});
    const lab::test::temporary_folder folder;
    w.write(folder / "f");
    w.write(folder / "g");
    BOOST_TEST((lab::read_file(folder / "f") == lab::read_file(folder / "g")));
    const auto weights = lab::formats::open_gguf(folder / "f");
    BOOST_TEST(sum(weights.require("a")) == 21.0);
    BOOST_TEST(reinterpret_cast<std::uintptr_t>(weights.require("b").bytes.data()) % 128 == 0u);
    BOOST_TEST(std::to_integer<int>(weights.require("b").bytes[17]) == 7);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_written_is_refused_and_leaves_no_file) {
    const std::array<std::byte, 8> bytes{};
    gguf_writer w;
    w.add(outgoing_tensor::of("a", lab::dtype::f32, {2}, bytes));
    BOOST_CHECK_THROW(w.add(outgoing_tensor::of("a", lab::dtype::f32, {2}, bytes)), lab::config_error);
    BOOST_CHECK_THROW(w.add(outgoing_tensor::of("", lab::dtype::f32, {2}, bytes)), lab::config_error);
    BOOST_CHECK_THROW(w.add(outgoing_tensor::of(std::string(64, 'x'), lab::dtype::f32, {2}, bytes)), lab::config_error);
    BOOST_CHECK_THROW(w.add(outgoing_tensor::of("r", lab::dtype::f32, {1, 1, 1, 1, 2}, bytes)), lab::config_error);
    BOOST_CHECK_THROW(w.add(outgoing_tensor::of("z", lab::dtype::f32, {0, 2}, bytes)), lab::config_error);
    BOOST_CHECK_THROW(w.add(outgoing_tensor::of("q", lab::dtype::q8_0, {2, 33}, bytes)), lab::shape_error);
    BOOST_CHECK_THROW(gguf_writer(48), lab::config_error);
    BOOST_CHECK_THROW(w.set("", 1), lab::config_error);

    const lab::test::temporary_folder folder;
    for (const std::size_t count : {1u, 3u}) {  // the producer's bytes do not fit the shape
        gguf_writer wrong;
        wrong.add({"a", lab::dtype::f32, {2}, [&](lab::formats::byte_sink sink) {
                       for (std::size_t i = 0; i < count; ++i) sink(std::span(bytes).first(4));
                   }});
        BOOST_CHECK_THROW(wrong.write(folder / "f"), lab::shape_error);
    }
    BOOST_TEST(std::filesystem::is_empty(folder.path()));
}

BOOST_AUTO_TEST_CASE(a_shape_whose_size_overflows_is_refused) {
    const std::size_t big = std::size_t{1} << 62;
    BOOST_CHECK_THROW((void)lab::formats::tensor_bytes(lab::dtype::f32, std::array{big}), lab::shape_error);
    BOOST_CHECK_THROW((void)lab::formats::element_count(std::array<std::size_t, 3>{0, big, 8}), lab::shape_error);
    BOOST_TEST(lab::formats::element_count(std::array<std::size_t, 2>{0, 8}) == 0u);
    BOOST_TEST(lab::formats::tensor_bytes(lab::dtype::q4_k, std::array<std::size_t, 2>{3, 512}) == 864u);
}

BOOST_AUTO_TEST_SUITE_END()
