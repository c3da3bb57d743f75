#include "lab/eval/intervals.hpp"

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(eval_intervals)

using namespace lab;

BOOST_AUTO_TEST_CASE(wilson_matches_published_values) {
    // Newcombe (1998), Statistics in Medicine 17:857, table I, score method without continuity correction.
    const struct {
        double successes;
        std::size_t n;
        double low, high;
    } cases[] = {
        {81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0.0000, 0.1611}, {1, 29, 0.0061, 0.1718}};
    for (const auto& c : cases) {
        const auto e = eval::wilson(c.successes, c.n);
        BOOST_TEST(std::abs(e.low - c.low) < 5e-5);
        BOOST_TEST(std::abs(e.high - c.high) < 5e-5);
        BOOST_TEST(e.value == c.successes / static_cast<double>(c.n));
    }
    const auto none = eval::wilson(0, 0);
    BOOST_TEST(none.low == 0.0);
    BOOST_TEST(none.high == 1.0);
}

BOOST_AUTO_TEST_CASE(bootstrap_intervals_cover_the_mean_about_as_often_as_promised) {
    counter_rng rng(12);
    std::size_t covered = 0;
    for (std::uint64_t trial = 0; trial < 300; ++trial) {
        std::vector<double> values;
        std::vector<std::size_t> cluster;
        for (std::size_t i = 0; i < 40; ++i) {
            values.push_back(3.0 + rng.normal());
            cluster.push_back(i);
        }
        const auto e = eval::bootstrap_mean(values, cluster, {.resamples = 400, .seed = trial});
        covered += e.low <= 3.0 && 3.0 <= e.high;
    }
    BOOST_TEST(covered > 300 * 0.88);
    BOOST_TEST(covered < 300 * 0.99);
}

BOOST_AUTO_TEST_CASE(clusters_that_move_together_widen_the_interval) {
    counter_rng rng(2);
    std::vector<double> values;
    std::vector<std::size_t> apart, together;
    for (std::size_t q = 0; q < 20; ++q) {
        const double level = rng.normal();
        for (std::size_t p = 0; p < 5; ++p) {
            values.push_back(level);
            together.push_back(q);
            apart.push_back(values.size());
        }
    }
    const auto wide = eval::bootstrap_mean(values, together), narrow = eval::bootstrap_mean(values, apart);
    BOOST_TEST(wide.value == narrow.value);
    BOOST_TEST((wide.high - wide.low) > 1.7 * (narrow.high - narrow.low));  // sqrt(5) in expectation
    BOOST_TEST(wide.n == 20u);
}

BOOST_AUTO_TEST_CASE(bootstrap_is_seeded_and_its_edges_are_sound) {
    const std::vector<double> values{1, 2, 3, 4};
    const std::vector<std::size_t> cluster{0, 1, 2, 3};
    const auto a = eval::bootstrap_mean(values, cluster, {.seed = 1}),
               b = eval::bootstrap_mean(values, cluster, {.seed = 1});
    BOOST_TEST(a.low == b.low);
    BOOST_TEST(a.high == b.high);
    BOOST_TEST(a.value == 2.5);
    const auto single = eval::bootstrap_mean(std::vector<double>{7}, std::vector<std::size_t>{0});
    BOOST_TEST(single.low == 7.0);
    BOOST_TEST(eval::bootstrap_mean({}, {}).n == 0u);
    BOOST_CHECK_THROW((void)eval::bootstrap_mean(values, std::vector<std::size_t>{0}), shape_error);
}

BOOST_AUTO_TEST_CASE(a_paired_difference_sees_what_two_intervals_hide) {
    counter_rng rng(5);
    std::vector<double> before, after;
    std::vector<std::size_t> cluster;
    for (std::size_t i = 0; i < 30; ++i) {
        before.push_back(10.0 * rng.normal());
        after.push_back(before.back() + 1.0 + 0.2 * rng.normal());
        cluster.push_back(i);
    }
    const auto difference = eval::paired_difference(before, after, cluster);
    BOOST_TEST(difference.low > 0.5);
    BOOST_TEST(difference.high < 1.5);
    BOOST_TEST(eval::bootstrap_mean(before, cluster).high > eval::bootstrap_mean(after, cluster).low);
    BOOST_CHECK_THROW((void)eval::paired_difference(before, std::vector<double>{1}, cluster), shape_error);
}

BOOST_AUTO_TEST_SUITE_END()
