// Scores against the rank_bm25 package (tests/goldens/sdg_bm25.py), rankings, and options out of range.
#include "lab/sdg/bm25.hpp"

#include <cmath>

#include "lab/formats/jsonl.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(sdg_bm25)

using namespace lab;
using words = std::vector<std::string>;

BOOST_AUTO_TEST_CASE(the_values_of_rank_bm25) {
    const auto cases = formats::read_jsonl(test::fixture("sdg/bm25.jsonl"));
    BOOST_REQUIRE(cases.size() > 5u);
    std::size_t compared = 0;
    for (std::size_t c = 1; c < cases.size(); ++c) {
        sdg::bm25_options o;
        o.k1 = cases[c]["options"].value("k1", o.k1);
        o.b = cases[c]["options"].value("b", o.b);
        o.epsilon = cases[c]["options"].value("epsilon", o.epsilon);
        const sdg::bm25_index index(cases[c]["documents"].get<std::vector<words>>(), o);
        for (const auto& q : cases[c]["queries"]) {
            const auto scores = index.scores(q["words"].get<words>());
            const auto expected = q["scores"].get<std::vector<double>>();
            BOOST_REQUIRE(scores.size() == expected.size());
            for (std::size_t d = 0; d < scores.size(); ++d, ++compared)
                BOOST_TEST(std::abs(scores[d] - expected[d]) <= 1e-12 * (1 + std::abs(expected[d])));
        }
    }
    BOOST_TEST(compared > 500u);
}

BOOST_AUTO_TEST_CASE(best_first_and_equal_ones_in_their_order) {
    const std::vector<words> documents{{"a", "b"}, {"c", "d"}, {"c", "e"}, {"f", "g"}, {"f", "h"}, {"i", "j"}};
    const sdg::bm25_index index(documents);
    const words query{"c", "e"};
    BOOST_TEST(index.ranking(query) == (std::vector<std::uint32_t>{2, 1, 0, 3, 4, 5}));
    BOOST_TEST(index.ranking(query, 3) == (std::vector<std::uint32_t>{2, 1, 0}));
    BOOST_TEST(index.ranking(query, 99).size() == 6u);
}

BOOST_AUTO_TEST_CASE(nothing_to_search) {
    BOOST_TEST(sdg::bm25_index().ranking(words{"a"}).empty());
    const sdg::bm25_index blank(std::vector<words>{{}, {}});
    BOOST_TEST(blank.scores(words{"a"}) == (std::vector<double>{0, 0}));
}

BOOST_AUTO_TEST_CASE(options_out_of_range) {
    const std::vector<words> documents{{"a"}};
    BOOST_CHECK_THROW(sdg::bm25_index(documents, {.k1 = -1}), config_error);
    BOOST_CHECK_THROW(sdg::bm25_index(documents, {.b = 1.5}), config_error);
    BOOST_CHECK_THROW(sdg::bm25_index(documents, {.b = std::nan("")}), config_error);
    BOOST_CHECK_THROW(sdg::bm25_index(documents, {.epsilon = -0.1}), config_error);
}

BOOST_AUTO_TEST_SUITE_END()
