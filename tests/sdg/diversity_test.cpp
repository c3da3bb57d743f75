#include "lab/sdg/diversity.hpp"

#include "lab/core/rng.hpp"
#include "lab/formats/jsonl.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(diversity)

using namespace lab;

namespace {

std::vector<sdg::hashed_text> hashed(const std::vector<std::string>& texts) {
    std::vector<sdg::hashed_text> out;
    for (const auto& text : texts) out.push_back(sdg::loose_word_hashes(text));
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(equals_nltk_and_rouge_score) {
    const auto lines = formats::read_jsonl(test::fixture("sdg/diversity.jsonl"));
    BOOST_TEST_REQUIRE(lines.size() > 25);
    const auto close = boost::test_tools::tolerance(1e-12);
    for (std::size_t i = 1; i < lines.size(); ++i) BOOST_TEST_CONTEXT("group " << i) {
            const auto texts = hashed(lines[i]["texts"].get<std::vector<std::string>>());
            for (std::size_t n = 1; n <= 3; ++n)
                BOOST_TEST(sdg::distinct_n(texts, n) == lines[i]["distinct"][n - 1].get<double>(), close);
            BOOST_TEST(sdg::self_bleu(texts) == lines[i]["self_bleu"].get<std::vector<double>>(),
                       close << boost::test_tools::per_element());
            std::vector<std::size_t> all(texts.size());
            for (std::size_t t = 0; t < all.size(); ++t) all[t] = t;
            BOOST_TEST(sdg::nearest_rouge_l(texts, all) == lines[i]["nearest"].get<std::vector<double>>(),
                       close << boost::test_tools::per_element());
        }
}

BOOST_AUTO_TEST_CASE(repeating_oneself_shows_in_every_figure) {
    const auto varied = sdg::diversity_of(hashed({"goats travel free of charge", "the ferry leaves at noon today",
                                                  "a ticket costs eight crowns", "bring a coat for the crossing"}));
    const auto dull = sdg::diversity_of(hashed({"the ferry leaves at noon", "the ferry leaves at ten",
                                                "the ferry leaves at nine", "the ferry leaves at noon"}));
    BOOST_TEST(varied.texts == 4u);
    for (std::size_t n = 0; n < 3; ++n) BOOST_TEST(varied.distinct[n] > dull.distinct[n]);
    BOOST_TEST(varied.self_bleu < dull.self_bleu);
    BOOST_TEST(varied.nearest_rouge_l < dull.nearest_rouge_l);
    BOOST_TEST(sdg::diversity_of(std::span<const sdg::hashed_text>{}).self_bleu == 0);
    BOOST_TEST(sdg::diversity_of(hashed({"alone"})).nearest_rouge_l == 0);
}

BOOST_AUTO_TEST_CASE(many_texts_are_compared_at_even_distances) {
    std::vector<std::string> texts;
    for (int i = 0; i < 100; ++i) texts.push_back("text number " + std::to_string(i) + " and x" + std::to_string(i));
    const auto all = sdg::diversity_of(hashed(texts)), some = sdg::diversity_of(hashed(texts), {.most_compared = 7});
    BOOST_TEST(all.nearest_rouge_l == 0.6, boost::test_tools::tolerance(1e-12));
    BOOST_TEST(some.nearest_rouge_l == 0.6, boost::test_tools::tolerance(1e-12));
}

BOOST_AUTO_TEST_CASE(cosine_distance_is_the_mean_over_pairs) {
    counter_rng rng(7);
    tensor<float> vectors({9, 5});
    for (float& x : vectors.flat()) x = static_cast<float>(rng.normal());
    for (std::size_t k = 0; k < 5; ++k) vectors(4, k) = 0;
    double sum = 0;
    for (std::size_t i = 0; i < 9; ++i)
        for (std::size_t j = 0; j < i; ++j) {
            double dot = 0, a = 0, b = 0;
            for (std::size_t k = 0; k < 5; ++k) {
                const double x = static_cast<double>(vectors(i, k)), y = static_cast<double>(vectors(j, k));
                dot += x * y, a += x * x, b += y * y;
            }
            sum += a * b == 0 ? 1 : 1 - dot / std::sqrt(a * b);
        }
    BOOST_TEST(sdg::mean_cosine_distance(vectors) == sum / 36, boost::test_tools::tolerance(1e-12));
    BOOST_TEST(sdg::mean_cosine_distance(tensor<float>({1, 3})) == 0);
}

BOOST_AUTO_TEST_SUITE_END()
