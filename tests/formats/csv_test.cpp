#include "lab/formats/csv.hpp"

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(csv)

using namespace lab;

namespace {
using rows = std::vector<std::vector<std::string>>;
rows read(std::string_view text, std::vector<std::size_t>* lines = nullptr) {
    rows all;
    formats::for_each_csv_row(text, "x.csv", [&](std::vector<std::string> row, std::size_t line) {
        all.push_back(std::move(row));
        if (lines != nullptr) lines->push_back(line);
    });
    return all;
}
std::string fault_of(std::string_view text) {
    try {
        (void)read(text);
    } catch (const format_error& fault) {
        return fault.what();
    }
    return "none";
}
}  // namespace

BOOST_AUTO_TEST_CASE(fields_are_as_rfc_4180_has_them) {
    BOOST_TEST((read("a,b,c\n") == rows{{"a", "b", "c"}}));
    BOOST_TEST((read("a,b\r\nc,d") == rows{{"a", "b"}, {"c", "d"}}));
    BOOST_TEST((read("\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\"\n") == rows{{"a,b", "say \"hi\"", "two\nlines"}}));
    BOOST_TEST((read(",,\n") == rows{{"", "", ""}}));
    BOOST_TEST((read("a,\n") == rows{{"a", ""}}));
    BOOST_TEST((read("\"\"\n\nx\n") == rows{{"x"}}));  // blank rows mean nothing
    BOOST_TEST((read("5\" nail,2\n") == rows{{"5\" nail", "2"}}));
    BOOST_TEST((read("\xef\xbb\xbfq,a\n") == rows{{"q", "a"}}));
    BOOST_TEST((read("\"a\"\r\n\"b\",c\r\n") == rows{{"a"}, {"b", "c"}}));
    BOOST_TEST(read("").empty());
}

BOOST_AUTO_TEST_CASE(rows_know_their_line) {
    std::vector<std::size_t> lines;
    (void)read("a\n\"b\nb\nb\"\n\nc\n", &lines);
    BOOST_TEST(lines == (std::vector<std::size_t>{1, 2, 6}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(broken_files_are_refused_with_their_line) {
    BOOST_TEST(fault_of("a\n\"b\nc\n").starts_with("x.csv:2: "));
    BOOST_TEST(fault_of("a\n\"b\"c\n").starts_with("x.csv:2: "));
    BOOST_TEST(fault_of("a\nb\nc\xff,d\n").starts_with("x.csv:3: "));
    BOOST_TEST(fault_of("\"").starts_with("x.csv:1: "));
    BOOST_TEST(fault_of("\"\"\"").starts_with("x.csv:1: "));
}

BOOST_AUTO_TEST_CASE(reads_mmlu, *boost::unit_test::precondition(test::needs("mmlu/test"))) {
    std::size_t questions = 0;
    for (const auto& entry : std::filesystem::directory_iterator(test::shared_data("mmlu/test")))
        formats::for_each_csv_row(entry.path(), [&](std::vector<std::string> row, std::size_t) {
            BOOST_TEST(row.size() == 6u);
            BOOST_TEST((row.back().size() == 1 && row.back()[0] >= 'A' && row.back()[0] <= 'D'));
            ++questions;
        });
    BOOST_TEST(questions > 1000u);
}

BOOST_AUTO_TEST_SUITE_END()
