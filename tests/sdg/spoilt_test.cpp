#include "lab/sdg/spoilt.hpp"

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(spoilt_seeds)

using namespace lab;
namespace spoilt = lab::sdg::spoilt;

BOOST_AUTO_TEST_CASE(texts_break_off_at_words) {
    BOOST_TEST(spoilt::broken_off("The boat to Marl leaves at seven.").value() == "The boat");
    BOOST_TEST(spoilt::broken_off("one two three four five six seven eight nine ten").value() == "one two three four");
    BOOST_TEST(!spoilt::broken_off("four words are few").has_value());
    BOOST_TEST(!spoilt::broken_off("").has_value());
}

BOOST_AUTO_TEST_CASE(what_is_said_becomes_false) {
    BOOST_TEST(spoilt::altered("3 plus 4 is 7.").value() == "3 plus 4 is 0.");
    BOOST_TEST(spoilt::altered("07.30 -> Marl").value() == "07.33 -> Marl");
    BOOST_TEST(spoilt::altered("Yes, it is.").value() == "No, it is.");
    BOOST_TEST(spoilt::altered("The cat is grey.").value() == "The cat is not grey.");
    BOOST_TEST(spoilt::altered("The cat is not grey.").value() == "The cat is grey.");
    BOOST_TEST(spoilt::altered("lamp stone red").value() == "red stone lamp");
    BOOST_TEST(spoilt::altered("a red kite => Ada Brook").value() == "Brook red kite => Ada a");
    BOOST_TEST(!spoilt::altered("lamp").has_value());
    BOOST_TEST(!spoilt::altered("lamp lamp").has_value());
    BOOST_TEST(!spoilt::altered(" ... ").has_value());
    BOOST_TEST(spoilt::altered("knot isle").value() == "isle knot");  // no whole word is "not" or "is"
}

BOOST_AUTO_TEST_CASE(exchanged_answers_must_differ) {
    BOOST_TEST(spoilt::other_than("seven boats", "two cats").value() == "two cats");
    BOOST_TEST(!spoilt::other_than("Seven boats.", "seven boats").has_value());
    BOOST_TEST(!spoilt::other_than("seven boats", "there are seven boats here").has_value());
    BOOST_TEST(!spoilt::other_than("seven", "!").has_value());
}

BOOST_AUTO_TEST_SUITE_END()
