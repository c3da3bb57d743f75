#include "lab/train/heldout.hpp"

#include <boost/test/unit_test.hpp>
#include <limits>

#include "train/toy.hpp"

BOOST_AUTO_TEST_SUITE(train_heldout)

using namespace lab;
using replay::sample_kind;

namespace {
std::vector<replay::training_sample> samples() {
    auto all = toy::samples(3, 17, sample_kind::knowledge, "knowledge/a", 1);
    for (auto& s : toy::samples(2, 17, sample_kind::compositional, "compositional/c", 2)) all.push_back(s);
    return all;
}
std::size_t sequences(std::span<const replay::packed_batch> batches) {
    std::size_t n = 0;
    for (const auto& b : batches) n += b.seq_offsets.size() - 1;
    return n;
}
}  // namespace

BOOST_AUTO_TEST_CASE(each_phase_has_the_samples_of_its_content_and_else_all) {
    const auto phases = *replay::find_phases("lab");
    train::heldout_watch watch({.patience = 1});
    BOOST_TEST(watch.empty());
    watch.set(samples(), phases, {}, 16);
    BOOST_TEST(sequences(watch.all()) == 5u);
    BOOST_TEST(sequences(watch.own(0)) == 3u);
    BOOST_TEST(watch.own(1).data() == watch.all().data());  // no held-out answer is long
    BOOST_TEST(sequences(watch.own(2)) == 2u);
}

BOOST_AUTO_TEST_CASE(patience_counts_losses_without_a_new_lowest) {
    train::heldout_watch watch({.patience = 2});
    watch.begin_phase();
    for (const double loss : {3.0, 2.0, 2.0, 1.9, 1.95}) BOOST_TEST(!watch.impatient(loss));
    BOOST_TEST(watch.impatient(1.9));
    BOOST_TEST(watch.best() == 1.9);
    watch.begin_phase();
    BOOST_TEST(!watch.impatient(9.0));
}

BOOST_AUTO_TEST_CASE(a_loss_that_is_not_finite_is_never_the_lowest) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    train::heldout_watch watch({.patience = 2, .regression = train::regression_action::report});
    watch.set(samples(), *replay::find_phases("lab"), {}, 0);
    watch.begin_phase();
    BOOST_TEST(!watch.impatient(nan));
    BOOST_TEST(!watch.impatient(2.0));
    BOOST_TEST(watch.best() == 2.0);
    BOOST_TEST(!watch.impatient(nan));
    BOOST_TEST(watch.impatient(-std::numeric_limits<double>::infinity()));
    // Nor is it what later phases are compared with.
    BOOST_TEST(watch.compare(0, [&](const auto&) { return nan; }).empty());
    BOOST_TEST(watch.compare(1, [](const auto&) { return 1.0; }).empty());
}

BOOST_AUTO_TEST_CASE(later_phases_are_compared_with_what_earlier_ones_reached) {
    const auto phases = *replay::find_phases("lab");
    train::heldout_watch watch({.regression = train::regression_action::report, .tolerance = 0.5});
    watch.set(samples(), phases, {}, 0);
    double knowledge = 1.0, skills = 4.0;
    const auto evaluate = [&](const auto& set) { return sequences(set) == 3 ? knowledge : skills; };
    BOOST_TEST(watch.compare(0, evaluate).empty());
    knowledge = 1.5;
    const auto second = watch.compare(1, evaluate);  // has no held-out samples itself
    BOOST_REQUIRE(second.size() == 1u);
    BOOST_TEST(!second[0].worse);
    knowledge = 1.6;
    train::heldout_watch later({.regression = train::regression_action::report, .tolerance = 0.5});
    later.set(samples(), phases, {}, 0);
    later.restore(watch.state(), "test");
    const auto third = later.compare(2, evaluate);
    BOOST_REQUIRE(third.size() == 1u);
    BOOST_TEST(third[0].worse);
    BOOST_TEST(third[0].before == 1.0);
    BOOST_TEST(third[0].now == 1.6);
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_refused) {
    BOOST_CHECK_THROW(train::heldout_watch({.tolerance = -0.1}), config_error);
    train::heldout_watch watch({.patience = 1});
    watch.set(samples(), *replay::find_phases("lab"), {}, 0);
    auto state = watch.state();
    state["baselines"] = {1.0};
    BOOST_CHECK_THROW(watch.restore(state, "test"), format_error);
    BOOST_CHECK_THROW(watch.restore({{"best", "low"}, {"since", 0}, {"baselines", {nullptr}}}, "test"), format_error);
}

BOOST_AUTO_TEST_SUITE_END()
