#include "lab/text/prompt.hpp"

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(text_prompt)

using lab::text::field;
using lab::text::prompt;

BOOST_AUTO_TEST_CASE(fields_are_replaced_in_any_order_and_as_often_as_they_occur) {
    using ask = prompt<"{{who}} asks {{ topic }}; {{who}} waits.">;
    BOOST_TEST(ask::render(field<"topic">("why"), field<"who">("Ada")) == "Ada asks why; Ada waits.");
    static_assert(ask::has_field("topic") && !ask::has_field("top"));
}

BOOST_AUTO_TEST_CASE(values_are_not_read_as_template_text) {
    BOOST_TEST(prompt<"<{{a}}|{{b}}>">::render(field<"a">("{{b}}"), field<"b">("{{a}} }}")) == "<{{b}}|{{a}} }}>");
}

BOOST_AUTO_TEST_CASE(text_without_fields_and_single_braces_stay) {
    BOOST_TEST(prompt<"">::render() == "");
    BOOST_TEST(prompt<"{\"a\": 1} }}">::render() == "{\"a\": 1} }}");
    BOOST_TEST(prompt<"{{x}}">::render(field<"x">("")) == "");
}

BOOST_AUTO_TEST_CASE(the_version_follows_the_wording) {
    static_assert(prompt<"a {{x}}">::version != prompt<"b {{x}}">::version);
    static_assert(prompt<"a {{x}}">::version == lab::hash64("a {{x}}"));
    BOOST_TEST(prompt<"a {{x}}">::text == "a {{x}}");
}

BOOST_AUTO_TEST_SUITE_END()
