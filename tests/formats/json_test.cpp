#include "lab/formats/json.hpp"

#include <boost/test/unit_test.hpp>
#include <limits>
#include <string>
#include <vector>

BOOST_AUTO_TEST_SUITE(json_reading)

using lab::formats::json;
using lab::formats::parse_json;

namespace {

auto says(std::string_view what) {
    return [what](const lab::format_error& fault) {
        const bool good = std::string_view(fault.what()).find(what) != std::string_view::npos;
        if (!good) BOOST_ERROR("unexpected message: " << fault.what());
        return good;
    };
}

}  // namespace

BOOST_AUTO_TEST_CASE(values_come_out_as_written) {
    const json value = parse_json(R"( {"a": [1, -2, 2.5, true, null, "\u00fc\ud83d\ude00"], "b": {"c": {}}} )", "p");
    BOOST_TEST(lab::formats::to_text(value) == R"({"a":[1,-2,2.5,true,null,"ü😀"],"b":{"c":{}}})");
    BOOST_TEST(parse_json("18446744073709551615", "p").get<std::uint64_t>() ==
               std::numeric_limits<std::uint64_t>::max());
}

BOOST_AUTO_TEST_CASE(faults_name_place_line_and_column) {
    BOOST_CHECK_EXCEPTION((void)parse_json("{\"a\": 1,\n \"b\": }", "f.json"), lab::format_error, says("f.json:2:7: "));
    BOOST_CHECK_EXCEPTION((void)parse_json("", "f.json"), lab::format_error, says("f.json:1:"));
    BOOST_CHECK_EXCEPTION((void)parse_json("{} x", "f.json"), lab::format_error, says("f.json:1:4: "));
    BOOST_CHECK_EXCEPTION((void)parse_json("[1e999]", "f.json"), lab::format_error, says("number overflow"));
    BOOST_CHECK_EXCEPTION((void)parse_json("[nan]", "f.json"), lab::format_error, says("f.json:1:"));
}

BOOST_AUTO_TEST_CASE(duplicate_keys_are_refused_at_every_level) {
    BOOST_CHECK_EXCEPTION((void)parse_json(R"({"a":1,"a":1})", "p"), lab::format_error, says("duplicate key 'a'"));
    BOOST_CHECK_EXCEPTION((void)parse_json(R"([{"x":{"a":1,"b":2,"\u0061":3}}])", "p"), lab::format_error,
                          says("duplicate key 'a'"));
    BOOST_CHECK_NO_THROW((void)parse_json(R"([{"a":1},{"a":{"a":1}}])", "p"));
}

BOOST_AUTO_TEST_CASE(depth_is_limited) {
    const auto nested = [](std::size_t n) { return std::string(n, '[') + std::string(n, ']'); };
    BOOST_CHECK_NO_THROW((void)parse_json(nested(256), "p"));
    BOOST_CHECK_EXCEPTION((void)parse_json(nested(257), "p"), lab::format_error, says("nested deeper than 256 levels"));
    BOOST_CHECK_THROW((void)parse_json(std::string(1'000'000, '['), "p"), lab::format_error);
}

BOOST_AUTO_TEST_CASE(broken_text_is_refused_and_quoted_safely) {
    BOOST_CHECK_EXCEPTION((void)parse_json("\"\xff\x1b[31m\"", "p"), lab::format_error,
                          [](const lab::format_error& fault) {
                              for (const char c : std::string_view(fault.what()))
                                  if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e)
                                      return false;
                              return true;
                          });
    BOOST_CHECK_EXCEPTION((void)parse_json(std::string_view("{}\0{}", 5), "p"), lab::format_error,
                          says("p:1:3: NUL byte"));
    BOOST_CHECK_THROW((void)parse_json("\"\xed\xa0\x80\"", "p"), lab::format_error);  // a surrogate
    BOOST_CHECK_THROW((void)parse_json("\"\\ud800\"", "p"), lab::format_error);
    BOOST_CHECK_THROW((void)lab::formats::to_text(json("\xff")), lab::format_error);
}

BOOST_AUTO_TEST_CASE(typed_fields_name_place_and_field) {
    using namespace lab::formats;
    const json o = parse_json(
        R"({"n": 300, "neg": -1, "f": 1.5, "s": "x", "b": true, "v": [1, 2], "bad": [1, "x"], "nil": null})", "p");
    BOOST_TEST(field<int>(o, "n", "p") == 300);
    BOOST_TEST(field<double>(o, "n", "p") == 300.0);
    BOOST_TEST(field<float>(o, "f", "p") == 1.5f);
    BOOST_TEST(field<std::string>(o, "s", "p") == "x");
    BOOST_TEST(field<bool>(o, "b", "p"));
    BOOST_TEST(field<std::vector<int>>(o, "v", "p") == (std::vector<int>{1, 2}), boost::test_tools::per_element());
    BOOST_TEST(!optional_field<int>(o, "nil", "p"));
    BOOST_TEST(field_or<int>(o, "absent", 5, "p") == 5);
    BOOST_CHECK_EXCEPTION((void)field<int>(o, "absent", "f.json"), lab::format_error,
                          says("f.json: field 'absent' is missing"));
    BOOST_CHECK_EXCEPTION((void)field<std::uint8_t>(o, "n", "p"), lab::format_error,
                          says("p: field 'n': expected a whole number from 0 to 255, found 300"));
    BOOST_CHECK_EXCEPTION((void)field<std::size_t>(o, "neg", "p"), lab::format_error, says("found -1"));
    BOOST_CHECK_EXCEPTION((void)field<int>(o, "f", "p"), lab::format_error, says("found 1.5"));
    BOOST_CHECK_EXCEPTION((void)field<int>(o, "s", "p"), lab::format_error, says("found 'x'"));
    BOOST_CHECK_EXCEPTION((void)field<std::vector<int>>(o, "bad", "p"), lab::format_error, says("field 'bad'[1]"));
    BOOST_CHECK_EXCEPTION((void)field<bool>(o, "n", "p"), lab::format_error, says("expected true or false"));
    BOOST_CHECK_EXCEPTION((void)field<int>(json::array(), "n", "p"), lab::format_error, says("expected an object"));
    BOOST_CHECK_THROW((void)value_as<float>(json(1e300), "p"), lab::format_error);
}

BOOST_AUTO_TEST_CASE(utf8_check_follows_the_rfc) {
    using lab::formats::first_invalid_utf8;
    for (const char* good : {"", "abc", "ü", "日", "😀", "\xf4\x8f\xbf\xbf"})
        BOOST_TEST(first_invalid_utf8(good) == std::string::npos);
    for (const char* bad : {"a\x80", "a\xc0\x80", "a\xc3", "a\xe0\x9f\xbf", "a\xed\xa0\x80", "a\xf0\x8f\xbf\xbf",
                            "a\xf4\x90\x80\x80", "a\xf8"})
        BOOST_TEST(first_invalid_utf8(bad) == 1u);
}

BOOST_AUTO_TEST_SUITE_END()
