#include "lab/taxonomy/yaml_scalar.hpp"

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(yaml_scalar)

using namespace lab::taxonomy::yaml;

BOOST_AUTO_TEST_CASE(plain_scalars_have_the_types_of_yaml_1_1) {
    const auto all = [](type kind, std::initializer_list<std::string_view> texts) {
        for (const auto text : texts) BOOST_TEST((plain_type(text) == kind), text << " should be " << name(kind));
    };
    all(type::null, {"", "~", "null", "Null", "NULL"});
    all(type::boolean, {"yes", "No", "ON", "off", "true", "False"});
    all(type::integer, {"0", "-7", "+3", "3_000", "017", "0b101", "0xFf", "1:30", "190:20:30", "-1:05", "0_"});
    all(type::floating,
        {"1.", "1.5", "-1_0.5", "1.5e+3", ".5", ".5e-3", "1:30.5", ".inf", "-.INF", "+.Inf", ".NaN", "07.30"});
    all(type::timestamp,
        {"2024-01-31", "2024-1-3 1:02:03", "2024-01-31T10:00:00Z", "2001-12-14 21:59:43.10 -5", "2024-13-45"});
    all(type::string, {"y",
                       "n",
                       "nULL",
                       "tRue",
                       "yes ",
                       "0o17",
                       "1e5",
                       "1.5e3",
                       "08",
                       "1:60",
                       "0:3",
                       "-.nan",
                       "-.5",
                       "1,000",
                       "2024-1-3",
                       "2024-01",
                       "1.2.3",
                       "0xg",
                       "-",
                       "+",
                       ".",
                       "2024-01-31 10:00",
                       "2024-01-31T10:00:00Zx",
                       "!",
                       "1:30:"});
}

BOOST_AUTO_TEST_CASE(whole_numbers_in_every_notation) {
    const auto value = [](std::string_view text) { return read_as(type::integer, text).integer.value_or(-999); };
    BOOST_TEST(value("3_000") == 3000);
    BOOST_TEST(value("-017") == -15);
    BOOST_TEST(value("0b1_01") == 5);
    BOOST_TEST(value("0xFf") == 255);
    BOOST_TEST(value("1:30") == 90);
    BOOST_TEST(value("-1:00:01") == -3601);
    BOOST_TEST(value("9223372036854775807") == 9223372036854775807LL);
    BOOST_TEST(!read_as(type::integer, "9223372036854775808").integer);
    BOOST_TEST(!read_as(type::integer, "99999999999999999999:59:59").integer);
    BOOST_TEST(!read_as(type::integer, "0x_").fault.empty());
    BOOST_TEST(!read_as(type::integer, "seven").fault.empty());
}

BOOST_AUTO_TEST_CASE(equal_values_are_equal_and_others_are_not) {
    const auto form = [](std::string_view text) { return read_as(plain_type(text), text).canonical; };
    BOOST_TEST(form("3") == form("3.0"));
    BOOST_TEST(form("0x3") == form("0b11"));
    BOOST_TEST(form("yes") == form("True"));
    BOOST_TEST(form("1") != form("true"));
    BOOST_TEST(form("3") != read_as(type::string, "3").canonical);
    BOOST_TEST(form("1.5") != form("1.25"));
    BOOST_TEST(*read_as(type::floating, "1:30.0").integer == 90);
    BOOST_TEST(!read_as(type::floating, "1.5").integer);
    BOOST_TEST(!read_as(type::floating, ".inf").integer);
}

BOOST_AUTO_TEST_CASE(days_that_do_not_exist_are_faults) {
    for (const auto text :
         {"2024-13-01", "2023-02-29", "1900-02-29", "2024-04-31", "0000-01-01", "2024-01-01 24:00:00"})
        BOOST_TEST(!read_as(type::timestamp, text).fault.empty(), text);
    for (const auto text : {"2024-02-29", "2000-02-29", "2024-12-31 23:59:59"})
        BOOST_TEST(read_as(type::timestamp, text).fault.empty(), text);
}

BOOST_AUTO_TEST_SUITE_END()
