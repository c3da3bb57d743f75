#include "lab/optim/adafactor.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <vector>

#include "optim/random_values.hpp"

BOOST_AUTO_TEST_SUITE(adafactor)

namespace {
using namespace lab;
using test::random_values;
const std::vector<optim::parameter_tensor> tensors{{37, 130, true, true}, {1, 75, false, false}, {3, 1, true, true}};
constexpr std::size_t count = 37 * 130 + 75 + 3;
}  // namespace

BOOST_AUTO_TEST_CASE(the_state_is_rows_and_columns) {
    optim::adafactor optimizer({}, tensors);
    optimizer.reset(count);
    BOOST_TEST(optimizer.moments().size() == 37u + 130u + 75u + 3u + 1u);
}

// A rank-one gradient is factored without loss: its first step is the gradient's signs, times the rate.
BOOST_AUTO_TEST_CASE(a_rank_one_gradient_becomes_its_signs) {
    std::vector<float> p(6, 0.0f), g;
    for (const float r : {2.0f, -0.5f})
        for (const float c : {1.0f, -3.0f, 1e-3f}) g.push_back(r * c);
    optim::adafactor optimizer({}, {{2, 3, true, true}});
    optimizer.step(p, g, 0.01);
    for (std::size_t i = 0; i < 6; ++i)
        BOOST_TEST(p[i] == (g[i] > 0 ? -0.01f : 0.01f), boost::test_tools::tolerance(1e-5f));
}

BOOST_AUTO_TEST_CASE(a_gradient_of_nothing_moves_nothing) {
    auto p = random_values(count, 1);
    const auto before = p;
    optim::adafactor optimizer({}, tensors);
    for (int t = 0; t < 3; ++t) optimizer.step(p, std::vector<float>(count), 0.1);
    BOOST_TEST((p == before));
}

BOOST_AUTO_TEST_CASE(tiny_gradients_step_as_large_ones) {
    std::vector<std::vector<float>> results;
    for (const double scale : {1.0, 1e-7}) {
        std::vector<float> p(count);
        optim::adafactor optimizer({}, tensors);
        for (std::uint64_t t = 0; t < 3; ++t) optimizer.step(p, random_values(count, t, scale), 0.1);
        results.push_back(std::move(p));
    }
    for (std::size_t i = 0; i < count; ++i)
        BOOST_TEST(results[0][i] == results[1][i], boost::test_tools::tolerance(1e-3f));
}

BOOST_AUTO_TEST_CASE(gives_the_same_bytes_on_any_thread_count_and_after_a_resume) {
    std::vector<std::vector<float>> results;
    for (const std::size_t threads : {0u, 1u, 2u, 5u}) {
        thread_pool pool(threads == 0 ? 1 : threads);
        auto p = random_values(count, 1);
        const auto make = [&] {
            return optim::adafactor({.relative = true, .weight_decay = 0.1}, tensors, threads == 0 ? nullptr : &pool);
        };
        auto first = make(), second = make();
        for (std::uint64_t t = 0; t < 4; ++t) {
            if (threads > 1 && t == 2) {  // carried over in mid-run
                second.reset(count);
                std::copy(first.moments().begin(), first.moments().end(), second.moments().begin());
                second.set_steps(first.steps());
                std::swap(first, second);
            }
            first.step(p, random_values(count, 10 + t), 1e-2, 0.3);
        }
        results.push_back(std::move(p));
    }
    for (const auto& r : results) BOOST_TEST((r == results.front()));
}

BOOST_AUTO_TEST_CASE(bad_settings_are_refused) {
    BOOST_CHECK_THROW(optim::adafactor({.beta2_decay = 0.5}, tensors), config_error);
    BOOST_CHECK_THROW(optim::adafactor({.eps = 0}, tensors), config_error);
    BOOST_CHECK_THROW(optim::adafactor({.clip_rms = 0}, tensors), config_error);
    optim::adafactor optimizer({}, tensors);
    std::vector<float> p(count), g(4);
    BOOST_CHECK_THROW(optimizer.step(p, g, 0.1), shape_error);
    BOOST_CHECK_THROW(optimizer.reset(7), shape_error);
}

BOOST_AUTO_TEST_SUITE_END()
