#include "lab/sdg/claims.hpp"

#include "lab/sdg/citation.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(claims)

using namespace lab;
using list = std::vector<std::string>;

BOOST_AUTO_TEST_CASE(an_answer_is_cut_into_what_it_claims) {
    BOOST_TEST(sdg::claims_of("Tall Tom") == list{"Tall Tom"});
    BOOST_TEST(sdg::claims_of("Yes.") == list{"Yes."});
    BOOST_TEST(sdg::claims_of("") == list{});
    BOOST_TEST(sdg::claims_of("Yes. The ferry sails at nine. The fare\nis two shillings.") ==
               (list{"Yes. The ferry sails at nine.", "The fare is two shillings."}));
    BOOST_TEST(sdg::claims_of("The ferry sails at nine. Always.") == list{"The ferry sails at nine. Always."});
    BOOST_TEST(
        sdg::claims_of("The club asks for:\n\n- a signed form\n- two red buttons\n2. a photograph of your boat") ==
        (list{"The club asks for:", "a signed form", "two red buttons", "a photograph of your boat"}));
    BOOST_TEST(sdg::claims_of("A bell of bronze hangs there") == list{"A bell of bronze hangs there"});
}

BOOST_AUTO_TEST_CASE(flat_text_knows_where_it_comes_from) {
    const std::string source = "  One\n two\t\tthree ";
    const sdg::flat_copy copy(source, 100);
    BOOST_TEST(copy.text == "One two three");
    const auto at = sdg::find_words(copy.text, "two three");
    BOOST_TEST_REQUIRE(at.has_value());
    BOOST_TEST((copy.source_of(*at) == sdg::text_range{107, 117}));
    BOOST_TEST(source.substr(7, 10) == "two\t\tthree");
    BOOST_TEST(sdg::flat_copy("").text == "");
    BOOST_TEST(sdg::flat_copy(" \n").text == "");
    BOOST_TEST((copy.source_of({3, 3}) == sdg::text_range{}));
    BOOST_TEST(!sdg::find_words("seven oxen", "ox").has_value());
    BOOST_TEST(!sdg::find_words("seven oxen", "").has_value());
    BOOST_TEST(sdg::find_words("oxen, ox", "ox")->begin == 6u);
}

BOOST_AUTO_TEST_CASE(a_fact_in_other_words_rests_on_a_sentence) {
    const std::string text = "The lighthouse has two lamps. It was built of slate in 1850. A cat lives there.";
    const sdg::sentence_table sentences(text);
    const auto harbour = sdg::content_set("Harbour of Marl");
    BOOST_TEST(sentences.supporting("The lighthouse was built of slate.", {})->index == 1u);
    BOOST_TEST(!sentences.supporting("The Marl lighthouse harbour was built in 1850.", {}).has_value());
    BOOST_TEST(sentences.supporting("The Marl lighthouse harbour was built in 1850.", harbour)->index == 1u);
    BOOST_TEST(!sentences.supporting("The lighthouse of Marl was painted by monks.", harbour).has_value());
    BOOST_TEST(!sentences.supporting("Elephants swim.", {}).has_value());
    BOOST_TEST(!sentences.supporting("", {}).has_value());
}

BOOST_AUTO_TEST_CASE(answers_are_cited_where_they_stand) {
    const std::string chunk = "The lighthouse has two\nlamps. The pier has two cranes. The bell rings at noon.";
    const auto cited = sdg::citation::find(chunk, 10, "How many cranes has the pier?", "two");
    BOOST_TEST_REQUIRE(cited.has_value());
    BOOST_TEST(cited->verbatim);
    BOOST_TEST(chunk.substr(cited->span.begin - 10, cited->span.size()) == "two");
    BOOST_TEST(cited->span.begin - 10 == chunk.rfind("two"));
    const auto lamps = sdg::citation::find(chunk, 0, "What does the lighthouse have?", "two lamps");
    BOOST_TEST(chunk.substr(lamps->span.begin, lamps->span.size()) == "two\nlamps");
}

BOOST_AUTO_TEST_CASE(answers_in_other_words_are_cited_by_their_sentences) {
    const std::string chunk = "The lighthouse has two\nlamps. The pier has three cranes. The bell rings at noon.";
    const auto one = sdg::citation::find(chunk, 0, "When is the bell heard?", "It rings every day at noon.");
    BOOST_TEST_REQUIRE(one.has_value());
    BOOST_TEST(!one->verbatim);
    BOOST_TEST(chunk.substr(one->span.begin, one->span.size()) == "The bell rings at noon.");
    const auto both = sdg::citation::find(chunk, 0, "What is there to see?",
                                          "There are three cranes on the pier. A lighthouse with two lamps is there. "
                                          "Nobody knows Quentin Marsh.");
    BOOST_TEST_REQUIRE(both->supports.size() == 3u);
    BOOST_TEST(chunk.substr(both->supports[0].begin, both->supports[0].size()) == "The pier has three cranes.");
    BOOST_TEST(chunk.substr(both->supports[1].begin, both->supports[1].size()) == "The lighthouse has two\nlamps.");
    BOOST_TEST(both->supports[2].size() == 0u);
    BOOST_TEST(!sdg::citation::find(chunk, 0, "Who?", "Quentin Marsh").has_value());
}

BOOST_AUTO_TEST_SUITE_END()
