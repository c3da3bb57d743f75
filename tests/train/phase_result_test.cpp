#include "lab/train/phase_result.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <vector>

BOOST_AUTO_TEST_SUITE(train_phase_result)

using namespace lab;
using train::phase_result;

namespace {
constexpr std::size_t count = 40'003;
std::vector<float> weights(std::size_t step) {
    std::vector<float> w(count);
    for (std::size_t i = 0; i < count; ++i)
        w[i] = static_cast<float>(std::sin(static_cast<double>(i + 7 * step))) + static_cast<float>(step);
    return w;
}
}  // namespace

BOOST_AUTO_TEST_CASE(the_running_average_follows_its_formula) {
    train::result_keeper keeper({.kind = phase_result::ema, .ema_decay = 0.3});
    keeper.begin(weights(0));
    auto w = weights(0);
    std::vector<double> expected(w.begin(), w.end());
    for (std::size_t t = 1; t <= 6; ++t) {
        w = weights(t);
        keeper.after_step(w, t, 6);
        const double kept = std::min(0.3, (1.0 + static_cast<double>(t)) / (10.0 + static_cast<double>(t)));
        for (std::size_t i = 0; i < count; ++i)
            expected[i] = kept * expected[i] + (1 - kept) * static_cast<double>(w[i]);
    }
    keeper.hand_over(w);
    for (const std::size_t i : {std::size_t{0}, std::size_t{1}, count / 2, count - 1})
        BOOST_TEST(static_cast<double>(w[i]) == expected[i], boost::test_tools::tolerance(1e-5));
}

BOOST_AUTO_TEST_CASE(the_average_is_of_the_last_snapshots) {
    train::result_keeper keeper({.kind = phase_result::average, .average_last = 3, .average_every = 4});
    keeper.begin(weights(0));
    for (std::size_t t = 1; t <= 13; ++t) keeper.after_step(weights(t), t, 13);
    BOOST_TEST(keeper.count() == 3u);
    auto w = weights(13);
    keeper.hand_over(w);
    for (const std::size_t i : {std::size_t{0}, count - 1}) {
        double mean = 0;
        for (const std::size_t t : {5u, 9u, 13u}) mean += static_cast<double>(weights(t)[i]) / 3;
        BOOST_TEST(static_cast<double>(w[i]) == mean, boost::test_tools::tolerance(1e-5));
    }
    keeper.begin(weights(0));  // a phase too short for three
    for (std::size_t t = 1; t <= 6; ++t) keeper.after_step(weights(t), t, 6);
    BOOST_TEST(keeper.count() == 2u);
}

BOOST_AUTO_TEST_CASE(a_loss_that_is_not_finite_is_never_the_best) {
    train::result_keeper keeper({.kind = phase_result::best});
    keeper.begin(weights(0));
    keeper.offer(weights(1), 1, std::nan(""));
    BOOST_TEST(keeper.count() == 0u);
    keeper.offer(weights(2), 2, 3.0);
    keeper.offer(weights(3), 3, std::nan(""));
    BOOST_TEST(keeper.count() == 2u);
    BOOST_TEST(keeper.best_loss() == 3.0);
}

BOOST_AUTO_TEST_CASE(the_best_is_the_one_with_the_lowest_loss) {
    train::result_keeper keeper({.kind = phase_result::best});
    keeper.begin(weights(0));
    auto untouched = weights(9);
    keeper.hand_over(untouched);
    BOOST_TEST((untouched == weights(9)));  // nothing was offered
    for (const auto& [step, loss] : {std::pair<std::size_t, double>{2, 0.5}, {4, 0.25}, {6, 0.25}, {8, 0.75}})
        keeper.offer(weights(step), step, loss);
    BOOST_TEST(keeper.count() == 4u);
    BOOST_TEST(keeper.best_loss() == 0.25);
    auto w = weights(8);
    keeper.hand_over(w);
    BOOST_TEST((w == weights(4)));
    keeper.begin(weights(8));
    keeper.offer(weights(10), 1, 0.9);  // another phase begins anew
    BOOST_TEST(keeper.best_loss() == 0.9);
}

BOOST_AUTO_TEST_CASE(the_last_costs_nothing) {
    train::result_keeper keeper;
    keeper.begin(weights(0));
    keeper.after_step(weights(1), 1, 1);
    auto w = weights(1);
    keeper.hand_over(w);
    BOOST_TEST((w == weights(1)));
    BOOST_TEST(keeper.values().empty());
}

BOOST_AUTO_TEST_CASE(threads_and_a_resume_change_no_byte) {
    for (const auto kind : {phase_result::ema, phase_result::average, phase_result::best}) {
        std::vector<std::vector<float>> results;
        for (const std::size_t threads : {0u, 1u, 3u}) {
            thread_pool pool(threads == 0 ? 1 : threads);
            const train::result_options o{.kind = kind, .average_last = 4, .average_every = 2};
            train::result_keeper first(o), second(o);
            for (auto* k : {&first, &second}) k->set_pool(threads == 0 ? nullptr : &pool);
            first.begin(weights(0));
            for (std::size_t t = 1; t <= 9; ++t) {
                if (threads == 3 && t == 5) {
                    second.begin(weights(4));
                    std::copy(first.values().begin(), first.values().end(), second.values().begin());
                    second.restore(first.state(), "test");
                    std::swap(first, second);
                }
                first.after_step(weights(t), t, 9);
                first.offer(weights(t), t, std::abs(static_cast<double>(t) - 3.0));
            }
            auto w = weights(9);
            first.hand_over(w);
            results.push_back(std::move(w));
        }
        for (const auto& r : results) BOOST_TEST((r == results.front()));
    }
}

BOOST_AUTO_TEST_CASE(bad_settings_are_refused) {
    BOOST_CHECK_THROW(train::result_keeper({.ema_decay = 1.0}), config_error);
    BOOST_CHECK_THROW(train::result_keeper({.average_last = 0}), config_error);
    BOOST_CHECK_THROW(train::result_keeper({.average_every = 0}), config_error);
    BOOST_CHECK_THROW((void)train::phase_result_from_name("worst"), config_error);
    for (const auto& [name, kind] : train::phase_result_names)
        BOOST_TEST((train::phase_result_from_name(name) == kind));
}

BOOST_AUTO_TEST_SUITE_END()
