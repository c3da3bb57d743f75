#include "lab/eval/window_scorer.hpp"

#include <boost/test/unit_test.hpp>
#include <numeric>
#include <vector>

#include "infer/tiny.hpp"
#include "support/costly_cache.hpp"

BOOST_AUTO_TEST_SUITE(window_scorer)

using namespace lab;

BOOST_AUTO_TEST_CASE(a_window_of_any_length_fits_the_cache) {
    // 18 blocks: more than a cache of 1 GiB has, where a block takes 64 MiB.
    std::vector<token> window(18 * kv_block_size - 5);
    for (std::size_t i = 0; i < window.size(); ++i) window[i] = static_cast<token>((i * i + 3 * i) % 256);
    eval::model_window_scorer plain(test::byte_model()), costly(test::with_costly_cache(test::byte_model()));
    const auto expected = plain.token_losses(window, 1000);
    for (int again = 0; again < 2; ++again)
        BOOST_TEST(costly.token_losses(window, 1000) == expected, boost::test_tools::per_element());
    BOOST_TEST(expected.size() == window.size() - 1001);
}

BOOST_AUTO_TEST_SUITE_END()
