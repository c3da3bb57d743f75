#include "lab/sdg/rouge.hpp"

#include "lab/formats/jsonl.hpp"
#include "support/data.hpp"

using namespace lab;

BOOST_AUTO_TEST_SUITE(rouge)

BOOST_AUTO_TEST_CASE(equals_the_rouge_score_package) {
    const auto lines = formats::read_jsonl(test::fixture("sdg/rouge_l.jsonl"));
    BOOST_TEST_REQUIRE(lines.size() > 60);
    for (std::size_t i = 1; i < lines.size(); ++i) {
        const auto& l = lines[i];
        const auto s = sdg::rouge_l(l["target"].get<std::string>(), l["prediction"].get<std::string>());
        BOOST_TEST_CONTEXT("pair " << i) {
            BOOST_TEST(s.precision == l["precision"].get<double>());
            BOOST_TEST(s.recall == l["recall"].get<double>());
            BOOST_TEST(s.f1 == l["f1"].get<double>(), boost::test_tools::tolerance(1e-15));
        }
    }
}

BOOST_AUTO_TEST_CASE(loose_words_keep_other_scripts) {
    BOOST_TEST(sdg::rouge_words("日本").empty());
    BOOST_TEST(sdg::loose_words("日本 Café").size() == 2u);
    BOOST_TEST(sdg::loose_words("日本 Café")[1] == "café");
}

BOOST_AUTO_TEST_SUITE_END()
