#include "lab/train/guard.hpp"

#include <boost/test/unit_test.hpp>
#include <limits>

BOOST_AUTO_TEST_SUITE(train_guard)

using namespace lab;

namespace {
constexpr double no_number = std::numeric_limits<double>::quiet_NaN(),
                 infinity = std::numeric_limits<double>::infinity();
train::step_guard guard() {
    return train::step_guard({.norm_factor = 5, .loss_factor = 3, .window = 4, .least = 3, .most_skipped = 2});
}
}  // namespace

BOOST_AUTO_TEST_CASE(what_is_not_finite_is_refused_from_the_first_step) {
    for (const auto& [loss, norm] : {std::pair{no_number, 1.0}, {infinity, 1.0}, {1.0, no_number}, {1.0, infinity}}) {
        BOOST_TEST(guard().judge(loss, norm).find("not finite") != std::string::npos);
        BOOST_TEST(train::step_guard().judge(loss, norm).find("not finite") != std::string::npos);
    }
}

BOOST_AUTO_TEST_CASE(spikes_are_refused_against_the_median_of_steps_taken) {
    auto g = guard();
    for (const double x : {1.0, 100.0, 2.0}) BOOST_TEST(g.judge(x, x).empty());  // too few to judge by
    BOOST_TEST(g.median_loss() == 2.0);
    BOOST_TEST(g.judge(6.1, 1.0).find("loss") != std::string::npos);
    BOOST_TEST(g.judge(6.0, 10.1).find("norm") != std::string::npos);
    BOOST_TEST(g.judge(6.0, 10.0).empty());
    BOOST_TEST(g.median_loss() == 4.0);  // of 1, 100, 2, 6: what was refused does not count
    BOOST_TEST(g.judge(1.0, 1.0).empty());
    BOOST_TEST(g.median_loss() == 4.0);  // 1 has left the window: of 100, 2, 6, 1
    g.reset();
    BOOST_TEST(g.judge(1e6, 1e6).empty());
}

BOOST_AUTO_TEST_CASE(a_factor_of_zero_judges_nothing) {
    train::step_guard g({.norm_factor = 5, .window = 4, .least = 1});
    for (const double x : {1.0, 1e9}) BOOST_TEST(g.judge(x, 1.0).empty());
    BOOST_TEST(!g.judge(1.0, 6.0).empty());
}

BOOST_AUTO_TEST_CASE(too_many_in_a_row_exhaust_it) {
    auto g = guard();
    for (int i = 0; i < 2; ++i) (void)g.judge(no_number, 1);
    BOOST_TEST(!g.exhausted());
    BOOST_TEST(g.judge(1, 1).empty());
    for (int i = 0; i < 3; ++i) (void)g.judge(no_number, 1);
    BOOST_TEST(g.exhausted());
}

BOOST_AUTO_TEST_CASE(its_state_can_be_carried_over) {
    auto a = guard(), b = guard();
    for (const double x : {1.0, 3.0, 2.5, 0.1}) (void)a.judge(x, 2 * x);
    (void)a.judge(no_number, 1);
    b.restore(a.state(), "test");
    BOOST_TEST((a.state() == b.state()));
    BOOST_TEST(b.median_norm() == a.median_norm());
    BOOST_CHECK_THROW(b.restore({{"losses", {1, 2, 3, 4, 5}}, {"norms", {1}}, {"in_a_row", 0}}, "test"), format_error);
    BOOST_CHECK_THROW(b.restore(formats::json::object(), "test"), format_error);
}

BOOST_AUTO_TEST_CASE(bad_settings_are_refused) {
    BOOST_CHECK_THROW(train::step_guard({.norm_factor = 1}), config_error);
    BOOST_CHECK_THROW(train::step_guard({.loss_factor = -2}), config_error);
    BOOST_CHECK_THROW(train::step_guard({.loss_factor = no_number}), config_error);
    BOOST_CHECK_THROW(train::step_guard({.norm_factor = 5, .window = 3, .least = 4}), config_error);
}

BOOST_AUTO_TEST_SUITE_END()
