#include "lab/formats/safetensors_writer.hpp"

#include <array>
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "lab/core/quantize.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(safetensors_writing)

using lab::formats::open_safetensors;
using lab::formats::outgoing_tensor;
using lab::formats::safetensors_writer;

namespace {

outgoing_tensor counted(std::string name, lab::dtype type, std::vector<std::size_t> shape, float first) {
    return {name, type, shape, [=](lab::formats::byte_sink sink) {
                for (std::size_t i = 0; i < lab::formats::element_count(shape); ++i) {
                    const float value = first + static_cast<float>(i);
                    std::array<std::byte, 4> bytes{};
                    if (type == lab::dtype::f32) lab::encode_block(lab::format::f32{}, &value, bytes.data());
                    if (type == lab::dtype::f16) lab::encode_block(lab::format::f16{}, &value, bytes.data());
                    if (type == lab::dtype::bf16) lab::encode_block(lab::format::bf16{}, &value, bytes.data());
                    sink(std::span(bytes).first(lab::block_bytes(type)));
                }
            }};
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_file_round_trips) {
    safetensors_writer w;
    w.add(counted("half", lab::dtype::f16, {3}, 1));
    w.add(counted("wide", lab::dtype::f32, {2, 2}, 10));
    w.add(counted("brain", lab::dtype::bf16, {1, 1, 1}, 7));
    w.add(counted("scalar", lab::dtype::f32, {}, 5));
    w.add(counted("empty", lab::dtype::f32, {0, 4}, 0));
    w.set_metadata("note", "grüße");
    const lab::test::temporary_folder folder;
    w.write(folder / "f.safetensors");
    const lab::formats::safetensors_file file(folder / "f.safetensors");
    BOOST_TEST(file.metadata().at("format") == "pt");
    BOOST_TEST(file.metadata().at("note") == "grüße");
    const auto weights = file.weights();
    BOOST_TEST(lab::formats::to_floats(weights.require("half")) == (std::vector<float>{1, 2, 3}),
               boost::test_tools::per_element());
    BOOST_TEST(lab::formats::to_floats(weights.require("wide")) == (std::vector<float>{10, 11, 12, 13}),
               boost::test_tools::per_element());
    BOOST_TEST(weights.require("brain").shape.size() == 3u);
    BOOST_TEST(weights.require("scalar").shape.empty());
    for (const auto& t : weights.tensors())
        BOOST_TEST(reinterpret_cast<std::uintptr_t>(t.bytes.data()) % lab::block_bytes(t.type) == 0u,
                   t.name << " is aligned to its elements");
    w.write(folder / "g.safetensors");
    BOOST_TEST((lab::read_file(folder / "f.safetensors") == lab::read_file(folder / "g.safetensors")));
}

BOOST_AUTO_TEST_CASE(folders_are_sharded_on_request_and_cleaned_of_the_other_kind) {
    safetensors_writer w;
    for (int i = 0; i < 5; ++i)
        w.add(counted("t" + std::to_string(i), lab::dtype::f32, {10}, static_cast<float>(100 * i)));
    const lab::test::temporary_folder folder;
    w.write_folder(folder.path());
    BOOST_TEST(std::filesystem::exists(folder / "model.safetensors"));
    w.write_folder(folder.path(), 80);
    BOOST_TEST(!std::filesystem::exists(folder / "model.safetensors"));
    for (const char* shard :
         {"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors"})
        BOOST_TEST(std::filesystem::exists(folder / shard));
    const auto sharded = open_safetensors(folder.path());
    BOOST_TEST(sharded.tensors().size() == 5u);
    BOOST_TEST(lab::formats::to_floats(sharded.require("t3")).front() == 300.0f);
    w.write_folder(folder.path());
    BOOST_TEST(!std::filesystem::exists(folder / "model.safetensors.index.json"));
    BOOST_TEST(open_safetensors(folder.path()).find("t4") != nullptr);
}

BOOST_AUTO_TEST_CASE(a_tensor_larger_than_a_shard_gets_its_own) {
    safetensors_writer w;
    w.add(counted("big", lab::dtype::f32, {100}, 0));
    w.add(counted("small", lab::dtype::f32, {1}, 0));
    const lab::test::temporary_folder folder;
    w.write_folder(folder.path(), 8);
    BOOST_TEST(std::filesystem::exists(folder / "model-00002-of-00002.safetensors"));
    BOOST_TEST(open_safetensors(folder.path()).find("small") != nullptr);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_written_is_refused) {
    safetensors_writer w;
    w.add(counted("a", lab::dtype::f32, {1}, 0));
    BOOST_CHECK_THROW(w.add(counted("a", lab::dtype::f32, {1}, 0)), lab::config_error);
    BOOST_CHECK_THROW(w.add(counted("__metadata__", lab::dtype::f32, {1}, 0)), lab::config_error);
    BOOST_CHECK_THROW(w.add(counted("\xff", lab::dtype::f32, {1}, 0)), lab::config_error);
    BOOST_CHECK_THROW(w.add(outgoing_tensor::of("q", lab::dtype::q8_0, {32}, {})), lab::config_error);
    safetensors_writer short_of_bytes;
    short_of_bytes.add(outgoing_tensor::of("a", lab::dtype::f32, {1}, {}));
    const lab::test::temporary_folder folder;
    BOOST_CHECK_THROW(short_of_bytes.write(folder / "f"), lab::shape_error);
    BOOST_TEST(std::filesystem::is_empty(folder.path()));
}

BOOST_AUTO_TEST_SUITE_END()
