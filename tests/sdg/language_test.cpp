#include "lab/sdg/language.hpp"

#include "support/data.hpp"

using namespace lab;
using sdg::language;

BOOST_AUTO_TEST_SUITE(languages)

BOOST_AUTO_TEST_CASE(common_words_tell_the_language) {
    BOOST_TEST((sdg::language_of("What is the name of the ferry that sails in the morning?") == language::english));
    BOOST_TEST(
        (sdg::language_of("Wo liegt das Grab der Orgelbauerin? Es liegt auf dem Friedhof.") == language::german));
    BOOST_TEST((sdg::language_of("Quelle est la capitale de l'île ? Elle est dans le nord.") == language::french));
    BOOST_TEST((sdg::language_of("Skąd wziął się ten most nad rzeką?") == language::other));
    BOOST_TEST((sdg::language_of("") == language::other));
}

BOOST_AUTO_TEST_CASE(exercises_are_worded_in_it) {
    BOOST_TEST(sdg::complete_in(language::german, "Leben", "Ihr Grab liegt") ==
               "Ergänze diesen Satz aus „Leben“: Ihr Grab liegt ...");
    BOOST_TEST(sdg::recall_in(language::french, "Vie", "Enfance") == "Que dit « Vie » au sujet de « Enfance » ?");
    BOOST_TEST(sdg::recall_in(language::other, "A", "B") == "What does \"A\" say about \"B\"?");
    BOOST_TEST(sdg::few_words_in(language::other).empty());
}

BOOST_AUTO_TEST_SUITE_END()
