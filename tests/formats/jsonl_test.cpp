#include "lab/formats/jsonl.hpp"

#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(jsonl)

using lab::formats::json;

BOOST_AUTO_TEST_CASE(reads_values_with_their_line_numbers) {
    std::vector<std::size_t> lines;
    lab::formats::for_each_json_line("{\"a\":1}\n\n  \r\n[2]\r\n3", "p",
                                     [&](json, std::size_t line) { lines.push_back(line); });
    BOOST_TEST(lines == (std::vector<std::size_t>{1, 4, 5}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(faults_name_the_line_of_the_file) {
    BOOST_CHECK_EXCEPTION(
        lab::formats::for_each_json_line("{}\n{}\n{\"a\":}\n", "data.jsonl", [](json, std::size_t) {}),
        lab::format_error, [](const auto& fault) { return std::string(fault.what()).starts_with("data.jsonl:3:6: "); });
}

BOOST_AUTO_TEST_CASE(large_files_are_read_block_by_block) {
    const lab::test::temporary_folder folder;
    std::string text;
    std::size_t count = 0;
    for (; text.size() < 10'000'000; ++count) text += "[\"" + std::string(count % 1000, 'a') + "\"]\n\n";
    const auto path = folder / "x.jsonl";
    for (const bool ended : {true, false}) {
        if (!ended) text.resize(text.size() - 2);
        lab::write_file_atomically(path, text);
        std::size_t seen = 0;
        lab::formats::for_each_json_line(path, [&](const json& value, std::size_t line) {
            BOOST_TEST_REQUIRE(line == 2 * seen + 1);
            BOOST_TEST_REQUIRE(value[0].get<std::string>().size() == seen % 1000);
            ++seen;
        });
        BOOST_TEST(seen == count);
    }
    lab::write_file_atomically(path, text + "\n{");
    BOOST_CHECK_EXCEPTION(lab::formats::for_each_json_line(path, [](const json&, std::size_t) {}), lab::format_error,
                          [&](const auto& fault) {
                              return std::string(fault.what()).find("x.jsonl:" + std::to_string(2 * count) + ":") !=
                                     std::string::npos;
                          });
}

BOOST_AUTO_TEST_CASE(written_files_read_back) {
    const lab::test::temporary_folder folder;
    const std::vector<json> values{{{"a", "ü\n"}}, 2, json::array()};
    lab::formats::write_jsonl(folder / "x.jsonl", values);
    BOOST_TEST(lab::read_file(folder / "x.jsonl") == "{\"a\":\"ü\\n\"}\n2\n[]\n");
    BOOST_TEST((lab::formats::read_jsonl(folder / "x.jsonl") == values));
    BOOST_CHECK_THROW((void)lab::formats::read_jsonl(folder / "absent"), lab::io_error);
}

BOOST_AUTO_TEST_CASE(appending_continues_a_file) {
    const lab::test::temporary_folder folder;
    {
        lab::formats::jsonl_appender out(folder / "j");
        out.append({{"n", 1}});
        out.sync();
    }
    lab::formats::jsonl_appender(folder / "j").append({{"n", 2}});
    BOOST_TEST(lab::read_file(folder / "j") == "{\"n\":1}\n{\"n\":2}\n");
}

BOOST_AUTO_TEST_CASE(a_torn_last_line_is_cut_and_a_complete_one_kept) {
    const lab::test::temporary_folder folder;
    lab::write_file_atomically(folder / "torn", "{\"n\":1}\n{\"n\":");
    lab::formats::jsonl_appender(folder / "torn").append(3);
    BOOST_TEST(lab::read_file(folder / "torn") == "{\"n\":1}\n3\n");
    lab::write_file_atomically(folder / "whole", "{\"n\":1}\n{\"n\":2}");
    lab::formats::jsonl_appender(folder / "whole").append(3);
    BOOST_TEST(lab::read_file(folder / "whole") == "{\"n\":1}\n{\"n\":2}\n3\n");
    lab::write_file_atomically(folder / "only", "{\"n");
    lab::formats::jsonl_appender(folder / "only").append(3);
    BOOST_TEST(lab::read_file(folder / "only") == "3\n");
}

BOOST_AUTO_TEST_SUITE_END()
