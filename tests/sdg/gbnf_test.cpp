#include "lab/sdg/gbnf.hpp"

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(gbnf)

using namespace lab;

BOOST_AUTO_TEST_CASE(words_lose_the_punctuation_at_their_ends) {
    const std::string text = " It costs 8.50, (two\nshells)! -- Port-Ellory's \"end\".";
    std::vector<std::string> words;
    for (const auto& w : sdg::words_of(text)) words.push_back(text.substr(w.begin, w.end - w.begin));
    BOOST_TEST(words == (std::vector<std::string>{"It", "costs", "8.50", "two", "shells", "Port-Ellory's", "end"}));
}

BOOST_AUTO_TEST_CASE(grammars_are_escaped) {
    BOOST_TEST(sdg::gbnf::literal("a \"b\"\\\n") == "root ::= \"a \\\"b\\\"\\\\\\n\"\n");
    BOOST_TEST(sdg::gbnf::choices({"YES", "NO"}) == "root ::= \"YES\" | \"NO\"\n");
    BOOST_TEST(sdg::gbnf::span_of("Two, shells.") ==
               "root ::= w0 | w1\nw0 ::= \"Two\" (\", \" w1)?\nw1 ::= \"shells\"\n");
    BOOST_TEST(sdg::gbnf::span_of("a,\n b\n \nc") ==
               "root ::= w0 | w1 | w2\nw0 ::= \"a\" (\", \" w1)?\nw1 ::= \"b\"\nw2 ::= \"c\"\n");
    BOOST_TEST(sdg::gbnf::span_of(" ... ") == "root ::= \"\"\n");
}

BOOST_AUTO_TEST_SUITE_END()
