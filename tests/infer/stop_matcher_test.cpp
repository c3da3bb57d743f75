#include "lab/infer/stop_matcher.hpp"

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(stop_matcher)

BOOST_AUTO_TEST_CASE(text_before_a_stop_is_the_same_however_it_is_cut) {
    const std::string text = "one two\n\nthree<|end|> four";
    for (std::size_t step = 1; step <= text.size(); ++step) {
        lab::infer::stop_matcher matcher({"<|end|>", "\n\n\n", "<|e"});
        std::string shown;
        for (std::size_t i = 0; i < text.size(); i += step) {
            const std::string piece = matcher.push(text.substr(i, step));
            shown += piece;
            BOOST_TEST(shown.find('<') == std::string::npos);
        }
        BOOST_TEST(matcher.stopped());
        BOOST_TEST(shown == "one two\n\nthree");
    }
}

BOOST_AUTO_TEST_CASE(an_unfinished_stop_is_shown_at_the_end) {
    lab::infer::stop_matcher matcher({"STOP"});
    BOOST_TEST(matcher.push("a ST") == "a ");
    BOOST_TEST(matcher.push("O") == "");
    BOOST_TEST(matcher.flush() == "STO");
    BOOST_TEST(!matcher.stopped());
}

BOOST_AUTO_TEST_CASE(nothing_is_held_without_stops) {
    lab::infer::stop_matcher matcher({""});
    BOOST_TEST(matcher.push("abc") == "abc");
}

BOOST_AUTO_TEST_SUITE_END()
