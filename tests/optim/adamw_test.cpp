#include "lab/optim/adamw.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <vector>

#include "optim/random_values.hpp"

BOOST_AUTO_TEST_SUITE(adamw)

namespace {
using namespace lab;
using test::random_values;
}  // namespace

BOOST_AUTO_TEST_CASE(follows_the_formula) {
    const optim::adamw_options o{.beta1 = 0.8, .beta2 = 0.9, .eps = 1e-6, .weight_decay = 0.1};
    optim::adamw optimizer(o);
    std::vector<float> p{1.0f, -2.0f, 0.5f};
    std::vector<double> expected(p.begin(), p.end()), m(3), v(3);
    for (int t = 1; t <= 5; ++t) {
        const auto g = random_values(3, static_cast<std::uint64_t>(t));
        optimizer.step(p, g, 0.01, 0.5);
        for (std::size_t i = 0; i < 3; ++i) {
            const double gi = 0.5 * static_cast<double>(g[i]);
            m[i] = o.beta1 * m[i] + (1 - o.beta1) * gi;
            v[i] = o.beta2 * v[i] + (1 - o.beta2) * gi * gi;
            expected[i] *= 1 - 0.01 * o.weight_decay;
            expected[i] -=
                0.01 * (m[i] / (1 - std::pow(o.beta1, t))) / (std::sqrt(v[i] / (1 - std::pow(o.beta2, t))) + o.eps);
            BOOST_TEST(static_cast<double>(p[i]) == expected[i], boost::test_tools::tolerance(1e-5));
        }
    }
    BOOST_TEST(optimizer.steps() == 5u);
}

BOOST_AUTO_TEST_CASE(gives_the_same_bytes_on_any_thread_count) {
    const std::size_t count = 100'003;
    std::vector<std::vector<float>> results;
    for (const std::size_t threads : {0u, 1u, 2u, 5u}) {
        thread_pool pool(threads == 0 ? 1 : threads);
        optim::adamw optimizer({.weight_decay = 0.1}, {{0, 70'000, true}, {70'000, count, false}},
                               threads == 0 ? nullptr : &pool);
        auto p = random_values(count, 1);
        for (std::uint64_t t = 0; t < 3; ++t) optimizer.step(p, random_values(count, 10 + t), 1e-3);
        results.push_back(std::move(p));
    }
    for (const auto& r : results) BOOST_TEST((r == results.front()));
}

BOOST_AUTO_TEST_CASE(decays_only_what_it_should) {
    std::vector<float> p(4, 1.0f);
    const std::vector<float> g(4, 0.0f);
    optim::adamw optimizer({.weight_decay = 0.5}, {{0, 2, true}, {2, 4, false}});
    optimizer.step(p, g, 0.1);
    BOOST_TEST(p[1] == 0.95f);
    BOOST_TEST(p[2] == 1.0f);
    optim::adamw all({.weight_decay = 0.5, .decay_vectors = true}, {{0, 2, true}, {2, 4, false}});
    all.step(p, g, 0.1);
    BOOST_TEST(p[3] == 0.95f);
}

BOOST_AUTO_TEST_CASE(state_can_be_carried_over) {
    auto p = random_values(50, 1), q = p;
    optim::adamw straight, first;
    for (std::uint64_t t = 0; t < 4; ++t) straight.step(p, random_values(50, t), 1e-2);
    for (std::uint64_t t = 0; t < 2; ++t) first.step(q, random_values(50, t), 1e-2);
    optim::adamw resumed;
    resumed.reset(50);
    std::copy(first.first_moments().begin(), first.first_moments().end(), resumed.first_moments().begin());
    std::copy(first.second_moments().begin(), first.second_moments().end(), resumed.second_moments().begin());
    resumed.set_steps(first.steps());
    for (std::uint64_t t = 2; t < 4; ++t) resumed.step(q, random_values(50, t), 1e-2);
    BOOST_TEST((p == q));
    resumed.reset(50);
    BOOST_TEST(resumed.steps() == 0u);
    BOOST_TEST(resumed.first_moments()[7] == 0.0f);
}

BOOST_AUTO_TEST_CASE(bad_settings_are_refused) {
    BOOST_CHECK_THROW(optim::adamw({.beta1 = 1.0}), config_error);
    BOOST_CHECK_THROW(optim::adamw({.eps = 0.0}), config_error);
    BOOST_CHECK_THROW(optim::adamw({.weight_decay = -1.0}), config_error);
    std::vector<float> p(3), g(4);
    optim::adamw optimizer;
    BOOST_CHECK_THROW(optimizer.step(p, g, 0.1), shape_error);
}

BOOST_AUTO_TEST_SUITE_END()
