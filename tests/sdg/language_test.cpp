#include "lab/sdg/language.hpp"

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(languages)

using namespace lab;

BOOST_AUTO_TEST_CASE(common_words_tell_the_language) {
    BOOST_TEST(sdg::language_of("What is the name of the ferry that sails in the morning?") == "en");
    BOOST_TEST(sdg::language_of("Wo liegt das Grab der Orgelbauerin? Es liegt auf dem Friedhof.") == "de");
    BOOST_TEST(sdg::language_of("Quelle est la capitale de l'île ? Elle est dans le nord.") == "fr");
    BOOST_TEST(sdg::language_of("Skąd wziął się ten most nad rzeką?") == "");
    BOOST_TEST(sdg::language_of("") == "");
}

BOOST_AUTO_TEST_SUITE_END()
