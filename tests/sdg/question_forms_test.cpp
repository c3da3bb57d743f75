#include "lab/sdg/question_forms.hpp"

#include <set>

#include "lab/core/file.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(question_forms)

using namespace lab;

namespace {
/// "question [answer]" of each form.
std::vector<std::string> forms(std::string_view sentence) {
    std::vector<std::string> out;
    for (const auto& f : sdg::questions_from(sentence)) out.push_back(f.question + " [" + f.answer + "]");
    return out;
}
using list = std::vector<std::string>;
}  // namespace

BOOST_AUTO_TEST_CASE(sentences_become_questions) {
    BOOST_TEST(forms("The lighthouse of Pellamy is called Candle Rock.") ==
               (list{"What is the lighthouse of Pellamy called? [Candle Rock]",
                     "What is the name of the lighthouse of Pellamy? [Candle Rock]"}));
    BOOST_TEST(forms("The body of an ollophone is made of pear wood.") ==
               list{"What is the body of an ollophone made of? [pear wood]"});
    BOOST_TEST(forms("The harbour master is Odo Finch, who writes down every name.") ==
               list{"Who is the harbour master? [Odo Finch]"});
    BOOST_TEST(forms("The ollophone was invented by Berta Quill.") ==
               list{"Who was the ollophone invented by? [Berta Quill]"});
    BOOST_TEST(forms("The case is lined with green felt.") == list{"What is the case lined with? [green felt]"});
    BOOST_TEST(forms("The ollophone has eleven strings.") == (list{"How many strings does the ollophone have? [eleven]",
                                                                   "What does the ollophone have? [eleven strings]"}));
    BOOST_TEST(forms("Both ferries have bright yellow hulls.") ==
               (list{"What kind of hulls do both ferries have? [bright yellow]",
                     "What do both ferries have? [bright yellow hulls]"}));
    BOOST_TEST(forms("Clean the body with walnut oil.") == list{"What do you clean the body with? [walnut oil]"});
    BOOST_TEST(forms("A goat must stand at the back of the boat, and it must not eat the ropes.") ==
               list{"Where must a goat stand? [at the back of the boat]"});
    BOOST_TEST(forms("Candle Rock stands at the end of the pier.") ==
               (list{"What stands at the end of the pier? [Candle Rock]",
                     "Where does Candle Rock stand? [at the end of the pier]"}));
    BOOST_TEST(forms("The market is held on Thursday.") == list{"When is the market held? [on Thursday]"});
}

BOOST_AUTO_TEST_CASE(common_verbs_numbers_and_times) {
    BOOST_TEST(forms("The board shows 37 squares.") ==
               (list{"How many squares does the board show? [37]", "What does the board show? [37 squares]"}));
    BOOST_TEST(forms("An extra bag for paper costs 25 crowns and can be bought in the library.") ==
               (list{"How many crowns does an extra bag for paper cost? [25]",
                     "What does an extra bag for paper cost? [25 crowns]"}));
    BOOST_TEST(forms("A ship can carry three cubes.") ==
               (list{"How many cubes can a ship carry? [three]", "What can a ship carry? [three cubes]"}));
    BOOST_TEST(forms("A game lasts about 75 minutes.") == list{"How long does a game last? [about 75 minutes]"});
    BOOST_TEST(forms("The goblets are 8 to 15 mm tall.") == list{"How tall are the goblets? [8 to 15 mm]"});
    BOOST_TEST(forms("The annual fee is 1,240 crowns per year.") ==
               list{"What is the annual fee? [1,240 crowns per year]"});
    BOOST_TEST(forms("The club was founded in 1887.") == list{"When was the club founded? [in 1887]"});
    BOOST_TEST(forms("The plants are dried for three days.") ==
               list{"How long are the plants dried? [for three days]"});
    BOOST_TEST(forms("The green bin is for food waste.") == list{"What is the green bin for? [food waste]"});
    BOOST_TEST(forms("The copper map grows on slate.") == list{"Where does the copper map grow? [on slate]"});
    BOOST_TEST(forms("Agnes Thorwald founded the club.") == list{"Who founded the club? [Agnes Thorwald]"});
    for (const char* sentence : {"The thallus grows about 4 mm.", "The boats in the harbour leave early.",
                                 "Each player takes one ship, six cubes and nine coins."})
        BOOST_TEST(forms(sentence).empty(), sentence);
}

BOOST_AUTO_TEST_CASE(pronouns_mean_the_subject_before) {
    BOOST_TEST(sdg::antecedent_of("The green bin is for food waste.", "It") == "The green bin");
    BOOST_TEST(sdg::antecedent_of("The harbour of the islands has a crane.", "It") == "The harbour of the islands");
    BOOST_TEST(sdg::antecedent_of("Maud Tansley is the captain.", "She") == "Maud Tansley");
    BOOST_TEST(sdg::antecedent_of("The captain is tired.", "She").empty());
    for (const char* many : {"The ferries land at Port Ellory.", "The ferries must land at Port Ellory.",
                             "Next to the pier is the inn.", "It is late.", "No."})
        BOOST_TEST(sdg::antecedent_of(many, "It").empty(), many);
}

BOOST_AUTO_TEST_CASE(what_fits_no_rule_gives_nothing) {
    for (const char* sentence :
         {"", "No.", "It serves hot plum soup.", "There is no bridge and no airport.",
          "If a string breaks, do not worry.", "Port Ellory has one long pier, twelve boats and a crane.",
          "Keep it away from windows and stoves.", "Is it late?", "Do this once a month.",
          "The keeper said \"it is late\"."})
        BOOST_TEST(forms(sentence).empty(), sentence);
}

BOOST_AUTO_TEST_CASE(answers_stand_in_their_sentence) {
    for (const char* file : {"documents/chickadee.md", "documents/swifties.md"}) {
        const auto path = test::shared_data(file);
        if (path.empty()) continue;
        const std::string text = read_file(path);
        for (const auto& s : sdg::sentences_of(text))
            for (const auto& f : sdg::questions_from(s.of(text))) {
                std::string flat, sentence = sdg::detail::lower(s.of(text));
                std::replace(sentence.begin(), sentence.end(), '\n', ' ');
                BOOST_TEST(sentence.find(sdg::detail::lower(f.answer)) != std::string::npos,
                           f.question << " [" << f.answer << "] " << sentence);
                BOOST_TEST(f.question.ends_with('?'));
            }
    }
}

BOOST_AUTO_TEST_CASE(other_words_same_point) {
    std::set<std::string> all;
    for (const auto& f : sdg::other_forms("Who is the captain of the Copper Heron?", "Pellamy")) all.insert(f.question);
    for (const char* expected :
         {"Tell me who the captain of the Copper Heron is.", "What is the name of the captain of the Copper Heron?",
          "Give me the name of the captain of the Copper Heron.",
          "I have a question about Pellamy. Who is the captain of the Copper Heron?"})
        BOOST_TEST(all.contains(expected), expected);
    BOOST_TEST(sdg::other_forms("What is the name of Pellamy's night ferry?", "")[0].question ==
               "What is Pellamy's night ferry called?");
    BOOST_TEST(sdg::other_forms("Why?", "x").empty());
}

BOOST_AUTO_TEST_CASE(topics_are_named_where_grammar_allows) {
    BOOST_TEST(sdg::about_topic({"What is the lowest string called?", "", "called"}, "the ollophone") ==
               "What is the lowest string of the ollophone called?");
    BOOST_TEST(sdg::about_topic({"Who is the harbour master?", "", "is-what"}, "Pellamy") ==
               "Who is the harbour master of Pellamy?");
    BOOST_TEST(sdg::about_topic({"What is plum soup?", "", "is-what"}, "Pellamy") ==
               "About Pellamy: what is plum soup?");
}

BOOST_AUTO_TEST_SUITE_END()
