// Event files against the tensorboard package's own (tests/goldens/tensorboard_goldens.py), and as they follow metrics.
#include "lab/train/tensorboard.hpp"

#include <boost/test/unit_test.hpp>
#include <fstream>

#include "lab/core/file.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(tensorboard)

using namespace lab;

namespace {
void append(const std::filesystem::path& path, const std::string& text) {
    std::ofstream(path, std::ios::binary | std::ios::app) << text;
}
const std::string step =
    R"({"event":"step","total_step":1,"loss":2.5,"learning_rate":0.1,"gradient_norm":3,"target_tokens":7})"
    "\n";
const std::string heldout = R"({"event":"heldout","phase":"skills","total_step":300,"loss":1.25})"
                            "\n";
std::string expected() {
    return train::version_record() + train::scalar_record(1, {{"train/loss", 2.5},
                                                              {"train/learning_rate", 0.1},
                                                              {"train/gradient_norm", 3},
                                                              {"train/target_tokens", 7}});
}
}  // namespace

BOOST_AUTO_TEST_CASE(checksums_are_those_of_the_standard) {
    using train::tensorboard_detail::crc32c;
    BOOST_TEST(crc32c("") == 0u);
    BOOST_TEST(crc32c("123456789") == 0xE3069283u);              // the usual check value
    BOOST_TEST(crc32c(std::string(32, '\0')) == 0x8A9136AAu);    // RFC 3720, B.4
    BOOST_TEST(crc32c(std::string(32, '\xFF')) == 0x62A8AB43u);  // the same
}

BOOST_AUTO_TEST_CASE(records_are_the_bytes_that_the_package_writes) {
    std::string bytes = train::version_record();
    bytes += train::scalar_record(1, {{"train/loss", 2.5}});
    bytes += train::scalar_record(300, {{"train/loss", 0.125}, {"heldout/a b", -1e-3}});
    BOOST_TEST((bytes == read_file(test::fixture("train/tensorboard/events.bin"))));
}

BOOST_AUTO_TEST_CASE(an_event_file_follows_its_metrics_and_a_resume) {
    const test::temporary_folder folder;
    const auto metrics = folder / "metrics.jsonl", events = folder / "board" / "events.out.tfevents.0.lab";
    train::tensorboard_follower board(metrics, events);
    board.update();
    BOOST_TEST(!std::filesystem::exists(events));
    append(metrics, step);
    board.update();
    BOOST_TEST((read_file(events) == expected()));
    append(metrics, heldout.substr(0, 20));  // half a line is left for later
    board.update();
    BOOST_TEST((read_file(events) == expected()));
    append(metrics, heldout.substr(20) + R"({"event":"phase","phase":"p"})" + "\n");
    board.update();
    const auto whole = expected() + train::scalar_record(300, {{"heldout/loss", 1.25}});
    BOOST_TEST((read_file(events) == whole));

    std::filesystem::resize_file(metrics, step.size());  // a resume cut what came after its checkpoint
    board.update();
    BOOST_TEST((read_file(events) == expected()));
    append(metrics, heldout);
    train::tensorboard_follower later(metrics, events);  // another process
    later.update();
    BOOST_TEST((read_file(events) == whole));
}

BOOST_AUTO_TEST_CASE(every_kind_of_line_has_its_tags) {
    const auto tags = [](const char* text) {
        std::string all;
        for (const auto& s : train::scalars_of(formats::parse_json(text, "test"), "test")) all += s.tag + ' ';
        return all;
    };
    BOOST_TEST(tags(R"({"event":"own heldout","phase":"skills","loss":1})") == "heldout/skills ");
    BOOST_TEST(tags(R"({"event":"earlier phase","earlier":"facts","phase":"skills","loss":1})") == "heldout/facts ");
    BOOST_TEST(tags(R"({"event":"score","phase":"skills","total_step":9,"score":0.5})") == "heldout/score ");
    BOOST_TEST(tags(R"({"event":"skipped","loss":null,"gradient_norm":9})") == "skipped/gradient_norm ");
    BOOST_TEST(tags(R"({"event":"phase","phase":"skills","steps":9})") == "");
    BOOST_CHECK_THROW((void)tags("{}"), format_error);
}

BOOST_AUTO_TEST_SUITE_END()
