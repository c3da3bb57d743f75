#include "lab/optim/sgd.hpp"

#include <boost/test/unit_test.hpp>
#include <vector>

#include "optim/random_values.hpp"

BOOST_AUTO_TEST_SUITE(sgd)

namespace {
using namespace lab;
using test::random_values;
}  // namespace

BOOST_AUTO_TEST_CASE(follows_the_formula) {
    for (const bool nesterov : {false, true}) {
        optim::sgd optimizer({.momentum = 0.8, .nesterov = nesterov, .weight_decay = 0.1},
                             {{0, 20, true}, {20, 37, false}});
        auto p = random_values(37, 1);
        std::vector<double> expected(p.begin(), p.end()), v(37);
        for (std::uint64_t t = 0; t < 5; ++t) {
            const auto g = random_values(37, 10 + t);
            optimizer.step(p, g, 0.01, 0.5);
            for (std::size_t i = 0; i < 37; ++i) {
                const double gi = 0.5 * static_cast<double>(g[i]) + (i < 20 ? 0.1 : 0.0) * expected[i];
                v[i] = 0.8 * v[i] + gi;
                expected[i] -= 0.01 * (nesterov ? gi + 0.8 * v[i] : v[i]);
                BOOST_TEST(static_cast<double>(p[i]) == expected[i], boost::test_tools::tolerance(1e-4));
            }
        }
        BOOST_TEST(optimizer.steps() == 5u);
    }
}

BOOST_AUTO_TEST_CASE(without_momentum_there_is_no_state) {
    optim::sgd optimizer({.momentum = 0});
    std::vector<float> p{1.0f, 2.0f};
    optimizer.step(p, std::vector<float>{1.0f, -1.0f}, 0.5);
    BOOST_TEST(p[0] == 0.5f);
    BOOST_TEST(p[1] == 2.5f);
    BOOST_TEST(optimizer.velocity().empty());
}

BOOST_AUTO_TEST_CASE(gives_the_same_bytes_on_any_thread_count_and_after_a_resume) {
    const std::size_t count = 100'003;
    std::vector<std::vector<float>> results;
    for (const std::size_t threads : {1u, 2u, 5u}) {
        thread_pool pool(threads);
        auto p = random_values(count, 1);
        optim::sgd first({}, {}, &pool), second({}, {}, &pool);
        for (std::uint64_t t = 0; t < 2; ++t) first.step(p, random_values(count, 10 + t), 1e-3);
        second.reset(count);
        std::copy(first.velocity().begin(), first.velocity().end(), second.velocity().begin());
        second.step(p, random_values(count, 12), 1e-3);
        results.push_back(std::move(p));
    }
    optim::sgd straight;
    auto p = random_values(count, 1);
    for (std::uint64_t t = 0; t < 3; ++t) straight.step(p, random_values(count, 10 + t), 1e-3);
    for (const auto& r : results) BOOST_TEST((r == p));
    straight.reset(count);
    BOOST_TEST(straight.velocity()[5] == 0.0f);
}

BOOST_AUTO_TEST_CASE(bad_settings_are_refused) {
    BOOST_CHECK_THROW(optim::sgd({.momentum = 1.0}), config_error);
    BOOST_CHECK_THROW(optim::sgd({.momentum = 0.0, .nesterov = true}), config_error);
    BOOST_CHECK_THROW(optim::sgd({.weight_decay = -1.0}), config_error);
    std::vector<float> p(3), g(4);
    optim::sgd optimizer;
    BOOST_CHECK_THROW(optimizer.step(p, g, 0.1), shape_error);
}

BOOST_AUTO_TEST_SUITE_END()
