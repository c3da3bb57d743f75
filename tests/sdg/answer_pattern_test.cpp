#include "lab/sdg/answer_pattern.hpp"

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(answer_patterns)

using namespace lab;
using list = std::vector<std::string>;

BOOST_AUTO_TEST_CASE(copied_words_become_slots) {
    const auto seed =
        sdg::take_apart("The boat to Kettle Bay leaves at 07:30. Write the departure line.", "07.30 -> Kettle Bay");
    BOOST_TEST_REQUIRE(seed.has_value());
    BOOST_TEST(seed->slots == (list{"07", "30", "Kettle Bay"}));
    BOOST_TEST(seed->answer.literals == (list{"", ".", " -> ", ""}));
    BOOST_TEST(seed->source.fill(list{"12", "05", "Marl"}) ==
               "The boat to Marl leaves at 12:05. Write the departure line.");
    BOOST_TEST(seed->answer.fill(list{"12", "05", "Marl"}) == "12.05 -> Marl");
    BOOST_TEST(!sdg::take_apart("red stone lamp", "no word of it").has_value());
    BOOST_TEST(!sdg::take_apart("", "x").has_value());
    BOOST_TEST(!sdg::take_apart("x", "").has_value());
}

BOOST_AUTO_TEST_CASE(a_sentence_may_open_with_a_slot) {
    const auto seed = sdg::take_apart("A brass key fell. It is Tom Hale's.", "a brass key => Tom Hale");
    BOOST_TEST_REQUIRE(seed.has_value());
    BOOST_TEST(seed->source.fill(list{"an old hat", "Mia Stone"}) == "An old hat fell. It is Mia Stone's.");
}

BOOST_AUTO_TEST_CASE(seeds_must_share_the_rule) {
    const list sources{"turn: red stone lamp", "turn: cat window snow", "turn: sun moon star"};
    const list reversed{"lamp stone red", "snow window cat", "star moon sun"};
    const auto pattern = sdg::shared_pattern(sources, reversed);
    BOOST_TEST_REQUIRE(pattern.has_value());
    BOOST_TEST(pattern->examples(0) == (list{"lamp", "snow", "star"}));
    const list mixed{"lamp stone red", "snow window cat", "sun, moon, star"};
    BOOST_TEST(!sdg::shared_pattern(sources, mixed).has_value());
    BOOST_TEST(!sdg::shared_pattern(std::span(sources).first(2), std::span(reversed).first(2)).has_value());
}

BOOST_AUTO_TEST_CASE(words_of_every_answer_may_be_form) {
    const list sources{"A kite at Marl.", "Tom saw a bell in Holm.", "A drum lies at Kettle Bay."};
    const list answers{"kite at Marl", "bell at Holm", "drum at Kettle Bay"};
    const auto pattern = sdg::shared_pattern(sources, answers);
    BOOST_TEST_REQUIRE(pattern.has_value());
    BOOST_TEST(pattern->answer.literals == (list{"", " at ", ""}));
    BOOST_TEST(pattern->examples(1) == (list{"Marl", "Holm", "Kettle Bay"}));
    BOOST_TEST(pattern->seeds[2].source.fill(list{"hat", "Low Pier"}) == "A hat lies at Low Pier.");
}

BOOST_AUTO_TEST_CASE(shapes_know_their_kind) {
    const auto hour = sdg::slot_shape::of(list{"07", "21", "12"});
    BOOST_TEST((hour.number && hour.least == 7 && hour.most == 21));
    BOOST_TEST(!hour.fits("7"));
    const auto thing = sdg::slot_shape::of(list{"a red kite", "a tea pot"});
    BOOST_TEST(thing.fits("a blue boat"));
    for (const char* no : {"", "a boat", "the blue boat", "a Blue boat", "a blue, boat", "a blue boatswainship"})
        BOOST_TEST(!thing.fits(no), no);
    const auto name = sdg::slot_shape::of(list{"Ada Brook", "Tom Hale"});
    BOOST_TEST(name.fits("Lena Roth"));
    for (const char* no : {"Lena roth", "LENA ROTH", "Lena"}) BOOST_TEST(!name.fits(no), no);
}

BOOST_AUTO_TEST_SUITE_END()
