#include "lab/sdg/self_contained.hpp"

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(self_contained_questions)

using namespace lab;

namespace {
std::string why(std::string_view question, std::string_view language = "en") {
    return sdg::not_self_contained(question, {}, language);
}
}  // namespace

BOOST_AUTO_TEST_CASE(questions_that_stand_alone_pass) {
    for (const char* question :
         {"What is the lighthouse of Pellamy called?", "How many strings does the ollophone have?",
          "How long does it take to cross from Port Ellory to Pellamy?",
          "Why is it important to dry the strings of an ollophone?",
          "When was the club of Brenn founded, and who founded it?", "Who is the author of the song of the mill?",
          "Which ferry sails to Pellamy and when does it leave?",
          "What should those who miss the last ferry to Pellamy do?", "What does the harbour master do when he is ill?",
          "About Pellamy: how many ferries does it have?", "Why does Pellamy close its harbour in January?",
          "Is it true that the ferries of Pellamy are yellow?", "What is the text on the bell of Pellamy?"})
        BOOST_TEST(why(question) == "", question);
    BOOST_TEST(why("Wie heißt der Leuchtturm von Pellamy?", "de") == "");
    BOOST_TEST(why("Comment s'appelle le phare de Pellamy ?", "fr") == "");
    BOOST_TEST(why("Co to jest?", "pl") == "");
}

BOOST_AUTO_TEST_CASE(phrases_that_point_at_the_text_do_not) {
    for (const auto& [question, phrase] : std::vector<std::pair<const char*, const char*>>{
             {"According to the text, when do the ferries sail?", "'according to the text'"},
             {"What does the Table Above say about fares?", "'the table above'"},
             {"How is the ollophone tuned in this section?", "'this section'"},
             {"Which of the following is a ferry?", "'the following'"},
             {"What, as mentioned\n above, is the fare?", "'mentioned above'"}})
        BOOST_TEST(why(question).find(phrase) != std::string::npos, question << " -> " << why(question));
    BOOST_TEST(why("Was steht laut Text in der Satzung?", "de").find("'laut text'") != std::string::npos);
    BOOST_TEST(why("Que montre le tableau ci-dessus ?", "fr").find("'ci-dessus'") != std::string::npos);
    BOOST_TEST(why("How is the context of the war described?") == "");  // words, not parts of phrases
}

BOOST_AUTO_TEST_CASE(words_that_point_at_nothing_do_not) {
    for (const auto& [question, word] :
         std::vector<std::pair<const char*, const char*>>{{"What is it called?", "'it'"},
                                                          {"Who built it?", "'it'"},
                                                          {"How many maps does it own?", "'it'"},
                                                          {"Which colour is it?", "'it'"},
                                                          {"What is the purpose of it?", "'it'"},
                                                          {"Where do they sleep?", "'they'"},
                                                          {"What are these steps for?", "'these'"},
                                                          {"What is his name?", "'his'"},
                                                          {"How deep is the water in the steps above?", "'above'"}})
        BOOST_TEST(why(question).find(std::string("says ") + word) == 0u, question << " -> " << why(question));
}

BOOST_AUTO_TEST_CASE(a_question_is_robbed_of_its_subject) {
    BOOST_TEST(sdg::without_subject("How many strings does the ollophone have?", "the ollophone", "en") ==
               "How many strings does it have?");
    BOOST_TEST(sdg::without_subject("What is the harbour of the Marl Isles called?", "", "en") ==
               "What is the harbour of it called?");
    BOOST_TEST(sdg::without_subject("Where did Ada Brook's horse live?", "", "en") == "Where did it's horse live?");
    BOOST_TEST(sdg::without_subject("How many strings are there?", "the ollophone", "en") == "");
    BOOST_TEST(sdg::without_subject("Who?", "", "en") == "");
    BOOST_TEST(sdg::without_subject("Co to jest Pellamy?", "", "pl") == "");
}

BOOST_AUTO_TEST_SUITE_END()
