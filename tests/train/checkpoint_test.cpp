#include "lab/train/checkpoint.hpp"

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <numeric>

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(train_checkpoint)

using namespace lab;

namespace {
std::uint64_t hash_of(std::string_view text, std::uint64_t seed = 0) {
    train::xxh64 h(seed);
    h.update(text);
    return h.digest();
}
std::vector<float> numbers(std::size_t n) {
    std::vector<float> v(n);
    std::iota(v.begin(), v.end(), 0.5f);
    return v;
}
void store(const std::filesystem::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
}
}  // namespace

BOOST_AUTO_TEST_CASE(xxh64_matches_the_reference) {
    // Values of xxhsum 0.8 and of the specification's test vectors.
    BOOST_TEST(hash_of("") == 0xEF46DB3751D8E999u);
    BOOST_TEST(hash_of("a") == 0xD24EC4F1A98C6E5Bu);
    BOOST_TEST(hash_of("abc") == 0x44BC2CF5AD770999u);
    const std::string text(1000, 'x');
    const std::uint64_t whole = hash_of(text);
    for (const std::size_t cut : {1u, 7u, 31u, 32u, 33u, 500u}) {
        train::xxh64 h;
        h.update(std::string_view(text).substr(0, cut));
        h.update(std::string_view(text).substr(cut));
        BOOST_TEST(h.digest() == whole);
    }
}

BOOST_AUTO_TEST_CASE(what_is_written_is_read) {
    const test::temporary_folder folder;
    const auto a = numbers(1001), b = numbers(3);
    const std::vector<train::saved_array> arrays{{"parameters", a}, {"empty", {}}, {"optimizer.0", b}};
    train::write_checkpoint(folder / "c.ckpt", {{"step", 7}}, arrays);
    const auto loaded = train::read_checkpoint(folder / "c.ckpt");
    BOOST_TEST(loaded.state["step"] == 7);
    std::vector<float> back(1001);
    loaded.copy_to("parameters", back);
    BOOST_TEST(back == a, boost::test_tools::per_element());
    for (const auto& array : loaded.arrays)
        BOOST_TEST(reinterpret_cast<std::uintptr_t>(array.values.data()) % 64 == 0u);
    BOOST_CHECK_THROW(loaded.copy_to("parameters", std::span<float>(back).first(5)), format_error);
    BOOST_CHECK_THROW(loaded.copy_to("missing", back), format_error);
}

BOOST_AUTO_TEST_CASE(every_torn_or_flipped_byte_is_noticed) {
    const test::temporary_folder folder;
    const auto values = numbers(40);
    train::write_checkpoint(folder / "c.ckpt", {{"step", 7}}, std::vector<train::saved_array>{{"parameters", values}});
    const std::string good = read_file(folder / "c.ckpt");
    for (std::size_t length = 0; length < good.size(); ++length) {
        store(folder / "t.ckpt", good.substr(0, length));
        BOOST_CHECK_THROW((void)train::read_checkpoint(folder / "t.ckpt"), format_error);
    }
    for (std::size_t i = 0; i < good.size(); ++i) {
        std::string bad = good;
        bad[i] = static_cast<char>(bad[i] ^ 0x10);
        store(folder / "t.ckpt", bad);
        BOOST_CHECK_THROW((void)train::read_checkpoint(folder / "t.ckpt"), format_error);
    }
    store(folder / "t.ckpt", good + "x");
    BOOST_CHECK_THROW((void)train::read_checkpoint(folder / "t.ckpt"), format_error);
}

BOOST_AUTO_TEST_CASE(a_wrong_header_under_a_right_checksum_is_refused) {
    const test::temporary_folder folder;
    const auto forge = [&](const std::string& header, std::uint64_t length) {
        std::string bytes = "LABCKPT1" + std::string(reinterpret_cast<const char*>(&length), 8) + header;
        const std::uint64_t digest = hash_of(bytes);
        store(folder / "f.ckpt", bytes + std::string(reinterpret_cast<const char*>(&digest), 8));
        BOOST_CHECK_THROW((void)train::read_checkpoint(folder / "f.ckpt"), format_error);
    };
    forge("{}", 2);
    forge("{}", ~std::uint64_t{0});
    forge("{}", 3);
    forge("nonsense", 8);
    for (const std::string count : {"18446744073709551615", "1", "-1"}) {
        const std::string header = R"({"state":{},"arrays":[{"name":"a","count":)" + count + "}]}";
        forge(header, header.size());
    }
}

BOOST_AUTO_TEST_CASE(a_folder_keeps_the_newest_two_and_passes_over_damage) {
    const test::temporary_folder folder;
    const train::checkpoint_folder checkpoints(folder / "c");
    const auto ignore = [](const std::string&) {};
    BOOST_CHECK(!checkpoints.newest(ignore));
    const auto values = numbers(4);
    const std::vector<train::saved_array> arrays{{"parameters", values}};
    for (const std::uint64_t step : {9u, 10u}) checkpoints.save(step, {{"step", step}}, arrays);
    store(checkpoints.path() / "step-00000011.ckpt.half", "what a killed write left behind");
    checkpoints.save(100, {{"step", 100}}, arrays);
    std::size_t files = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(checkpoints.path())) ++files;
    BOOST_TEST(files == 2u);
    BOOST_TEST(checkpoints.newest(ignore)->state["step"] == 100);

    const auto newest = checkpoints.path() / "step-00000100.ckpt";
    store(newest, read_file(newest).substr(0, 60));
    store(checkpoints.path() / "step-00000200.ckpt.Ab12Cd", "a killed writer's");
    std::vector<std::string> notices;
    const auto loaded = checkpoints.newest([&](const std::string& fault) { notices.push_back(fault); });
    BOOST_REQUIRE(loaded.has_value());
    BOOST_TEST(loaded->state["step"] == 10);
    BOOST_REQUIRE(notices.size() == 1u);
    BOOST_TEST(notices[0].find("step-00000100") != std::string::npos);
    checkpoints.save(11, {{"step", 11}}, arrays);  // the damaged one takes no whole one's place
    BOOST_TEST(!std::filesystem::exists(newest));
    BOOST_TEST(std::filesystem::exists(checkpoints.path() / "step-00000010.ckpt"));
    BOOST_TEST(checkpoints.newest(ignore)->state["step"] == 11);
    checkpoints.clear();
    BOOST_CHECK(std::filesystem::is_empty(checkpoints.path()));
}

BOOST_AUTO_TEST_SUITE_END()
