#include "lab/sdg/facility_location.hpp"

#include <numeric>

#include "lab/core/rng.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(facility_location)

using namespace lab;

namespace {

double value_of(view<const float> similarity, const std::vector<std::size_t>& chosen) {
    double sum = 0;
    for (std::size_t i = 0; i < similarity.extent(0); ++i) {
        float best = 0;
        for (const auto j : chosen) best = std::max(best, similarity(j, i));
        sum += static_cast<double>(best);
    }
    return sum;
}

/// Without laziness: the largest gain each time, the lowest of equals.
std::vector<std::size_t> greedy(view<const float> similarity, std::size_t count) {
    std::vector<std::size_t> chosen;
    while (chosen.size() < count) {
        std::size_t best = 0;
        double most = -1;
        for (std::size_t j = 0; j < similarity.extent(0); ++j) {
            if (std::find(chosen.begin(), chosen.end(), j) != chosen.end()) continue;
            auto with = chosen;
            with.push_back(j);
            const double gain = value_of(similarity, with) - value_of(similarity, chosen);
            if (gain > most + 1e-9) most = gain, best = j;
        }
        chosen.push_back(best);
    }
    return chosen;
}

double best_of_all(view<const float> similarity, std::size_t count) {
    const std::size_t n = similarity.extent(0);
    double best = 0;
    for (std::uint32_t mask = 0; mask < (1u << n); ++mask) {
        std::vector<std::size_t> chosen;
        for (std::size_t i = 0; i < n; ++i)
            if ((mask >> i & 1u) != 0) chosen.push_back(i);
        if (chosen.size() == count) best = std::max(best, value_of(similarity, chosen));
    }
    return best;
}

tensor<float> random_matrix(counter_rng& rng, std::size_t n, std::uint64_t levels) {
    tensor<float> m({n, n});
    for (float& x : m.flat()) x = static_cast<float>(rng.below(levels)) / static_cast<float>(levels) - 0.25f;
    for (std::size_t i = 0; i < n; ++i) m(i, i) = 1;
    return m;
}

}  // namespace

BOOST_AUTO_TEST_CASE(lazy_equals_greedy_and_comes_close_to_the_best) {
    counter_rng rng(1);
    thread_pool one(1), three(3);
    for (int round = 0; round < 40; ++round) {
        const std::size_t n = 3 + rng.below(8), count = 1 + rng.below(n);
        const auto m = random_matrix(rng, n, round % 2 == 0 ? 4 : 1000);  // many ties, or hardly any
        const auto chosen = sdg::facility_location(n, count, sdg::matrix_rows{m}, one);
        BOOST_TEST(chosen.items == greedy(m, count), boost::test_tools::per_element());
        BOOST_TEST(chosen.value() == value_of(m, chosen.items), boost::test_tools::tolerance(1e-6));
        BOOST_TEST(chosen.value() >= (1 - std::exp(-1.0)) * best_of_all(m, count));
        BOOST_TEST(std::is_sorted(chosen.gains.rbegin(), chosen.gains.rend()));
        const auto again = sdg::facility_location(n, count, sdg::matrix_rows{m}, three);
        BOOST_TEST(again.items == chosen.items, boost::test_tools::per_element());
    }
}

BOOST_AUTO_TEST_CASE(one_of_each_kind_comes_before_a_second_of_any) {
    std::vector<std::vector<std::uint64_t>> texts;
    for (const char* text : {"goats travel free", "goats may travel free", "goats always travel free",
                             "a ticket costs eight crowns", "tickets cost eight crowns", "the ferry leaves at noon"})
        texts.push_back(sdg::loose_word_hashes(text));
    thread_pool pool(2);
    auto chosen = sdg::facility_location(texts.size(), 3, sdg::word_rows(texts), pool).items;
    std::sort(chosen.begin(), chosen.end());
    BOOST_TEST(chosen[0] < 3u);
    BOOST_TEST((chosen[1] == 3u || chosen[1] == 4u));
    BOOST_TEST(chosen[2] == 5u);
}

BOOST_AUTO_TEST_CASE(word_rows_are_cosines) {
    const std::vector<std::vector<std::uint64_t>> texts{{1, 2, 2, 3}, {2, 3, 4}, {5}, {}, {1, 2, 2, 3}};
    const sdg::word_rows rows(texts);
    std::vector<float> row(5), other(5);
    rows(0, row);
    BOOST_TEST(row[0] == 1.0f, boost::test_tools::tolerance(1e-6f));
    BOOST_TEST(row[4] == 1.0f, boost::test_tools::tolerance(1e-6f));
    BOOST_TEST(row[2] == 0.0f);
    rows(1, other);
    BOOST_TEST(row[1] == other[0], boost::test_tools::tolerance(1e-6f));
    // By hand: weights (1 + ln count) ln(1 + 5 / texts with the word).
    const double w1 = std::log(3.5), w2 = std::log(1 + 5.0 / 3), w4 = std::log(6.0), twice = (1 + std::log(2.0)) * w2;
    const double a = std::sqrt(w1 * w1 + twice * twice + w2 * w2), b = std::sqrt(w2 * w2 + w2 * w2 + w4 * w4);
    BOOST_TEST(static_cast<double>(row[1]) == (twice * w2 + w2 * w2) / (a * b), boost::test_tools::tolerance(1e-6));
    rows(3, row);
    BOOST_TEST(row == std::vector<float>(5, 0.0f), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(cosine_rows_are_taken_around_the_mean) {
    counter_rng rng(3);
    tensor<float> vectors({6, 19});
    for (float& x : vectors.flat()) x = 100 + static_cast<float>(rng.normal());
    std::vector<float> plain(6), centred(6);
    sdg::cosine_rows(vectors, false)(2, plain);
    sdg::cosine_rows(vectors, true)(2, centred);
    BOOST_TEST(plain[2] == 1.0f, boost::test_tools::tolerance(1e-5f));
    BOOST_TEST(centred[2] == 1.0f, boost::test_tools::tolerance(1e-5f));
    for (std::size_t i = 0; i < 6; ++i)
        if (i != 2) {
            BOOST_TEST(plain[i] > 0.99f);  // all much the same way
            BOOST_TEST(centred[i] < 0.7f);
        }
}

BOOST_AUTO_TEST_CASE(no_more_is_chosen_than_there_is) {
    counter_rng rng(4);
    thread_pool pool(1);
    const auto m = random_matrix(rng, 5, 10);
    auto chosen = sdg::facility_location(5, 9, sdg::matrix_rows{m}, pool).items;
    std::sort(chosen.begin(), chosen.end());
    std::vector<std::size_t> all(5);
    std::iota(all.begin(), all.end(), std::size_t{0});
    BOOST_TEST(chosen == all, boost::test_tools::per_element());
    BOOST_TEST(sdg::facility_location(0, 3, sdg::matrix_rows{m}, pool).items.empty());
    BOOST_TEST(sdg::facility_location(5, 0, sdg::matrix_rows{m}, pool).items.empty());
}

BOOST_AUTO_TEST_SUITE_END()
