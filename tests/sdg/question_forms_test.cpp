#include "lab/sdg/question_forms.hpp"

#include <set>

#include "lab/core/file.hpp"
#include "support/data.hpp"

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

BOOST_AUTO_TEST_SUITE(question_forms)

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
