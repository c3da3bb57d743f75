#include "lab/sdg/sentences.hpp"

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(sentences)

using namespace lab;

namespace {
std::vector<std::string> cut(std::string_view text) {
    std::vector<std::string> out;
    for (const auto& r : sdg::sentences_of(text)) out.emplace_back(r.of(text));
    return out;
}
using list = std::vector<std::string>;
}  // namespace

BOOST_AUTO_TEST_CASE(cuts_where_a_reader_would) {
    BOOST_TEST(cut("One ferry. Two ferries!  \"Three?\" Four") ==
               (list{"One ferry.", "Two ferries!", "\"Three?\"", "Four"}));
    BOOST_TEST(cut("It costs 8.50 crowns. Pay at no. 7, says Dr. M. Finch.") ==
               (list{"It costs 8.50 crowns.", "Pay at no. 7, says Dr. M. Finch."}));
    BOOST_TEST(cut("A line\nbroken here. Next\n\nA heading without stop\n \nLast") ==
               (list{"A line\nbroken here.", "Next", "A heading without stop", "Last"}));
    BOOST_TEST(cut("雨です。晴れです。") == (list{"雨です。", "晴れです。"}));
    BOOST_TEST(cut(" \n ").empty());
}

BOOST_AUTO_TEST_CASE(no_letter_is_lost) {
    const std::string text = "Mr. Otto went. e.g. here. 3 goats? yes! Ok...";
    std::string all;
    for (const auto& s : cut(text)) all += s;
    const auto letters = [](std::string s) {
        std::erase_if(s, [](char c) { return c == ' ' || c == '\n'; });
        return s;
    };
    BOOST_TEST(letters(all) == letters(text));
}

BOOST_AUTO_TEST_SUITE_END()
