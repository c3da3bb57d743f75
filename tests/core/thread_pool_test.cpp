#include "lab/core/thread_pool.hpp"

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <stdexcept>
#include <vector>

BOOST_AUTO_TEST_SUITE(thread_pool_tests)

using namespace lab;

BOOST_AUTO_TEST_CASE(every_item_is_done_once_in_parts_of_the_grain) {
    for (const std::size_t threads : {1u, 2u, 3u, 5u}) {
        thread_pool pool(threads);
        for (const std::size_t count : {0u, 1u, 7u, 64u, 1000u})
            for (const std::size_t grain : {1u, 4u, 7u, 2000u})
                for (const bool shared : {false, true}) {
                    std::vector<int> done(count);
                    std::atomic<bool> right{true};  // Boost.Test's checks are for one thread
                    const auto body = [&](std::size_t begin, std::size_t end, std::size_t worker) {
                        if (begin % grain != 0 || (end % grain != 0 && end != count) || worker >= threads)
                            right = false;
                        for (std::size_t i = begin; i < end; ++i) ++done[i];
                    };
                    shared ? pool.share_out(count, grain, body) : pool.parallel_for(count, grain, body);
                    BOOST_REQUIRE(right);
                    for (const int times : done) BOOST_REQUIRE_EQUAL(times, 1);
                }
    }
}

BOOST_AUTO_TEST_CASE(many_short_loops_lose_nothing) {
    thread_pool pool(4);
    std::vector<std::size_t> sums(64);
    for (std::size_t round = 0; round < 20000; ++round)
        pool.share_out(64, 1, [&](std::size_t begin, std::size_t end, std::size_t) {
            for (std::size_t i = begin; i < end; ++i) sums[i] += round;
        });
    for (const std::size_t sum : sums) BOOST_TEST(sum == 19999u * 20000 / 2);
}

BOOST_AUTO_TEST_CASE(a_loop_within_a_loop_runs_serially_and_exceptions_come_out) {
    thread_pool pool(3);
    std::vector<int> done(30);
    pool.parallel_for(3, 1, [&](std::size_t begin, std::size_t end, std::size_t) {
        for (std::size_t i = begin; i < end; ++i)
            pool.share_out(10, 1, [&](std::size_t first, std::size_t last, std::size_t) {
                for (std::size_t j = first; j < last; ++j) ++done[10 * i + j];
            });
    });
    for (const int times : done) BOOST_TEST(times == 1);
    for (int round = 0; round < 100; ++round)
        BOOST_CHECK_THROW(pool.share_out(100, 1,
                                         [](std::size_t begin, std::size_t, std::size_t) {
                                             if (begin >= 50) throw std::runtime_error("part");
                                         }),
                          std::runtime_error);
}

BOOST_AUTO_TEST_SUITE_END()
