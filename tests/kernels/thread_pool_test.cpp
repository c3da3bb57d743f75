#include "lab/core/thread_pool.hpp"

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <stdexcept>
#include <thread>
#include <vector>

BOOST_AUTO_TEST_SUITE(pool)

using lab::thread_pool;

BOOST_AUTO_TEST_CASE(every_item_is_done_once_and_parts_are_multiples_of_the_grain) {
    for (const std::size_t threads : {1u, 2u, 3u, 5u}) {
        thread_pool pool(threads);
        for (const std::size_t grain : {1u, 3u, 16u})
            for (std::size_t count = 0; count < 70; ++count) {
                std::vector<int> done(count, 0);
                std::atomic<bool> aligned = true;
                pool.parallel_for(count, grain, [&](std::size_t begin, std::size_t end, std::size_t worker) {
                    if (begin % grain != 0 || (end % grain != 0 && end != count) || worker >= threads) aligned = false;
                    for (std::size_t i = begin; i < end; ++i) ++done[i];
                });
                BOOST_TEST(aligned.load());
                for (const int times : done) BOOST_REQUIRE_EQUAL(times, 1);
            }
    }
}

BOOST_AUTO_TEST_CASE(an_exception_reaches_the_caller_and_the_pool_lives_on) {
    thread_pool pool(3);
    for (int round = 0; round < 20; ++round) {
        BOOST_CHECK_THROW(pool.parallel_for(30, 1,
                                            [](std::size_t begin, std::size_t, std::size_t) {
                                                if (begin != 0) throw std::runtime_error("part");
                                            }),
                          std::runtime_error);
        std::atomic<std::size_t> sum = 0;
        pool.parallel_for(100, 1, [&](std::size_t begin, std::size_t end, std::size_t) { sum += end - begin; });
        BOOST_TEST(sum == 100u);
    }
}

BOOST_AUTO_TEST_CASE(nested_loops_and_several_callers_are_served) {
    thread_pool pool(2);
    std::atomic<std::size_t> sum = 0;
    const auto work = [&] {
        for (int i = 0; i < 200; ++i)
            pool.parallel_for(8, 1, [&](std::size_t begin, std::size_t end, std::size_t) {
                pool.parallel_for(end - begin, 1, [&](std::size_t b, std::size_t e, std::size_t) { sum += e - b; });
            });
    };
    std::thread other(work);
    work();
    other.join();
    BOOST_TEST(sum == 2u * 200u * 8u);
}

BOOST_AUTO_TEST_SUITE_END()
