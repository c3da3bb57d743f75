#include "lab/optim/clip.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>

#include "lab/core/rng.hpp"

BOOST_AUTO_TEST_SUITE(clip)

using namespace lab;

BOOST_AUTO_TEST_CASE(the_norm_is_euclidean_for_every_size) {
    for (const std::size_t count : {0u, 1u, 7u, 8u, 9u, 4095u, 4096u, 4097u, 3u * 4096u + 5u, 8u * 4096u, 100'001u}) {
        counter_rng rng(count);
        std::vector<float> g(count);
        double sum = 0;
        for (float& x : g) {
            x = static_cast<float>(rng.normal());
            sum += static_cast<double>(x) * static_cast<double>(x);
        }
        BOOST_TEST(optim::global_norm(g) == std::sqrt(sum), boost::test_tools::tolerance(1e-12));
        for (const std::size_t threads : {1u, 2u, 3u}) {
            thread_pool pool(threads);
            BOOST_TEST(optim::global_norm(g, &pool) == optim::global_norm(g));
        }
    }
}

BOOST_AUTO_TEST_CASE(only_long_gradients_are_scaled) {
    BOOST_TEST(optim::clip_scale(0.5, 1.0) == 1.0);
    BOOST_TEST(optim::clip_scale(4.0, 1.0) == 0.25, boost::test_tools::tolerance(1e-6));
    BOOST_TEST(optim::clip_scale(4.0, 0.0) == 1.0);
}

BOOST_AUTO_TEST_SUITE_END()
