#include "lab/sdg/adaptive_limit.hpp"

#include <algorithm>
#include <queue>
#include <vector>

#include "lab/core/rng.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(adaptive_limits)

using lab::sdg::adaptive_limit;

namespace {

/// A server that works on `slots` requests at once, each for about a second, the others wait; played event by event.
/// @return the limit after each answer
std::vector<std::size_t> play(adaptive_limit& limit, std::size_t slots, std::size_t answers, std::uint64_t seed) {
    lab::counter_rng rng(seed);
    std::priority_queue<double, std::vector<double>, std::greater<>> done;
    std::queue<double> waiting;
    std::size_t in_flight = 0;
    double now = 0;
    std::vector<std::size_t> limits;
    while (limits.size() < answers) {
        while (in_flight < limit.now()) ++in_flight, waiting.push(now);
        while (done.size() < slots && !waiting.empty()) done.push(now + 0.9 + 0.2 * rng.uniform()), waiting.pop();
        limit.set_busy(true, now);
        now = done.top();
        done.pop();
        --in_flight;
        limit.on_answer(100, now);
        limits.push_back(limit.now());
    }
    return limits;
}

}  // namespace

BOOST_AUTO_TEST_CASE(finds_what_a_server_can_do_at_once) {
    for (const std::size_t slots : {1u, 4u, 16u, 40u}) {
        adaptive_limit limit;
        const auto limits = play(limit, slots, 6000, slots);
        double mean = 0;
        for (std::size_t i = 4000; i < 6000; ++i) mean += static_cast<double>(limits[i]) / 2000;
        BOOST_TEST_MESSAGE(slots << " slots: " << mean << " at once");
        BOOST_TEST(mean >= 0.8 * static_cast<double>(slots));
        BOOST_TEST(mean <= 2.2 * static_cast<double>(slots) + 4);
    }
}

BOOST_AUTO_TEST_CASE(is_bounded_and_halves_on_trouble) {
    adaptive_limit limit({.most = 12});
    const auto limits = play(limit, 1000, 2000, 1);
    BOOST_TEST(*std::max_element(limits.begin(), limits.end()) == 12u);
    BOOST_TEST(limit.bound() == 12u);
    for (auto before = limit.now(); before > 1; before = limit.now()) {
        limit.on_trouble();
        BOOST_TEST(limit.now() == before / 2);
    }
    limit.on_trouble();
    BOOST_TEST(limit.now() == 1u);
    (void)play(limit, 1000, 4000, 2);
    BOOST_TEST(limit.now() >= 9u);  // and grows again, bit by bit
}

BOOST_AUTO_TEST_CASE(a_fixed_limit_stays) {
    adaptive_limit limit({.fixed = 5});
    limit.on_trouble();
    (void)play(limit, 100, 500, 1);
    BOOST_TEST(limit.now() == 5u);
    BOOST_TEST(limit.bound() == 5u);
}

BOOST_AUTO_TEST_CASE(learns_nothing_while_there_is_too_little_work) {
    adaptive_limit limit;
    for (int i = 0; i < 1000; ++i) limit.on_answer(100, i);
    BOOST_TEST(limit.now() == 4u);
}

BOOST_AUTO_TEST_SUITE_END()
