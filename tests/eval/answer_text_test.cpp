#include "lab/eval/answer_text.hpp"

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(eval_answer_text)

using namespace lab;

BOOST_AUTO_TEST_CASE(exactness_by_words_ignores_what_does_not_matter) {
    BOOST_TEST(eval::exact_match("The Copper Heron.", "copper heron"));
    BOOST_TEST(eval::exact_match(" two  blue\nshells", "Two blue shells!"));
    BOOST_TEST(eval::exact_match("a brass whistle", "the brass-whistle"));
    BOOST_TEST(!eval::exact_match("Copper Heron ferry", "Copper Heron"));
    BOOST_TEST(!eval::exact_match("Heron Copper", "Copper Heron"));
    BOOST_TEST(!eval::exact_match("", "x"));
    BOOST_TEST(eval::exact_match("café Ångström", "Café Ångström"));  // other bytes are compared as they are
}

BOOST_AUTO_TEST_CASE(exactness_by_form_keeps_the_signs) {
    BOOST_TEST(eval::exact_form("rose; cart; bean; end", "Rose; cart;  bean; end"));
    BOOST_TEST(eval::exact_form(" 10.30 -> Tansy.\n", "10.30 -> Tansy"));
    BOOST_TEST(!eval::exact_form("10:30 -> Tansy", "10.30 -> Tansy"));
    BOOST_TEST(!eval::exact_form("rose, cart, bean, end", "rose; cart; bean; end"));
}

BOOST_AUTO_TEST_CASE(containing_means_a_run_of_whole_words) {
    BOOST_TEST(eval::contains_answer("It is called the Copper Heron, I believe.", "Copper Heron"));
    BOOST_TEST(!eval::contains_answer("The copper of the Heron", "Copper Heron of"));
    BOOST_TEST(!eval::contains_answer("Copper Herons", "Copper Heron"));
    BOOST_TEST(!eval::contains_answer("anything", "..."));
}

BOOST_AUTO_TEST_CASE(f1_counts_common_words) {
    const auto close = boost::test_tools::tolerance(1e-12);
    BOOST_TEST(eval::word_f1("Copper Heron", "the copper heron") == 1.0, close);
    BOOST_TEST(eval::word_f1("the Copper Gull", "Copper Heron") == 0.5, close);               // 1 common of 2 and 2
    BOOST_TEST(eval::word_f1("it costs two blue shells", "two blue shells") == 0.75, close);  // 3 of 5 and 3
    BOOST_TEST(eval::word_f1("shells shells shells", "shells blue") == 0.4,
               close);  // a word counts as often as expected
    BOOST_TEST(eval::word_f1("", "x") == 0.0, close);
    BOOST_TEST(eval::word_f1("...", "the") == 1.0, close);
}

BOOST_AUTO_TEST_SUITE_END()
