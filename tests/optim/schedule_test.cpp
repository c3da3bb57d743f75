#include "lab/optim/schedule.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>

BOOST_AUTO_TEST_SUITE(schedules)

using lab::optim::decay;
using lab::optim::schedule;
namespace tt = boost::test_tools;

BOOST_AUTO_TEST_CASE(warm_up_is_linear_then_constant) {
    const schedule s{.peak = 1.0, .warmup = 4};
    BOOST_TEST(s(0) == 0.25);
    BOOST_TEST(s(3) == 1.0);
    BOOST_TEST(s(1000) == 1.0);
    BOOST_TEST((schedule{.peak = 2.0}(0)) == 2.0);
}

BOOST_AUTO_TEST_CASE(the_others_fall_to_the_floor) {
    const schedule linear{.peak = 2.0, .warmup = 10, .total = 110, .kind = decay::linear};
    BOOST_TEST(linear(10) == 2.0);
    BOOST_TEST(linear(60) == 1.0, tt::tolerance(1e-12));
    BOOST_TEST(linear(110) == 0.0);
    const schedule cosine{.peak = 1.0, .total = 100, .kind = decay::cosine, .floor = 0.1};
    BOOST_TEST(cosine(0) == 1.0);
    BOOST_TEST(cosine(50) == 0.55, tt::tolerance(1e-12));
    BOOST_TEST(cosine(100) == 0.1, tt::tolerance(1e-12));
    BOOST_TEST(cosine(200) == 0.1, tt::tolerance(1e-12));
    const schedule wsd{.peak = 1.0, .total = 100, .kind = decay::wsd};
    BOOST_TEST(wsd(79) == 1.0);
    BOOST_TEST(wsd(90) == 0.5, tt::tolerance(1e-12));
    BOOST_TEST(wsd(100) == 0.0, tt::tolerance(1e-12));
}

// Every step of every kind against its formula, a warm-up longer than the run included.
BOOST_AUTO_TEST_CASE(each_step_has_the_rate_of_its_formula) {
    for (const auto kind : {decay::constant, decay::linear, decay::cosine, decay::wsd})
        for (const std::size_t warmup : {0u, 1u, 7u, 60u})
            for (const std::size_t total : {1u, 2u, 50u}) {
                const schedule s{
                    .peak = 3.0, .warmup = warmup, .total = total, .kind = kind, .floor = 0.1, .stable_share = 0.6};
                for (std::size_t step = 0; step < total; ++step) {
                    double expected = 3.0;
                    if (step < warmup) {
                        expected *= static_cast<double>(step + 1) / static_cast<double>(warmup);
                    } else {
                        const double t = static_cast<double>(step - warmup) / static_cast<double>(total - warmup);
                        double share = 1.0;
                        if (kind == decay::linear) share = 1 - t;
                        if (kind == decay::cosine) share = (1 + std::cos(std::acos(-1.0) * t)) / 2;
                        if (kind == decay::wsd) share = std::min(1.0, (1 - t) / 0.4);
                        expected *= 0.1 + 0.9 * share;
                    }
                    BOOST_TEST(s(step) == expected, tt::tolerance(1e-12));
                }
            }
}

BOOST_AUTO_TEST_CASE(names_are_known_or_refused) {
    BOOST_TEST((lab::optim::decay_from_name("wsd") == decay::wsd));
    BOOST_CHECK_THROW(static_cast<void>(lab::optim::decay_from_name("step")), lab::config_error);
}

BOOST_AUTO_TEST_SUITE_END()
