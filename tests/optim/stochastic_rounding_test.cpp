#include "lab/optim/stochastic_rounding.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "lab/core/half.hpp"
#include "optim/random_values.hpp"

BOOST_AUTO_TEST_SUITE(stochastic_rounding)

namespace {
using namespace lab;
bool is_bf16(float x) { return to_float(to_bf16(x)) == x; }
}  // namespace

BOOST_AUTO_TEST_CASE(a_value_becomes_one_of_its_neighbours) {
    auto values = test::random_values(1003, 1);
    const auto before = values;
    optim::round_to_bf16(values, 7, 1);
    std::size_t up = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
        BOOST_TEST(is_bf16(values[i]));
        const float lower = optim::round_to_bf16(before[i], 0), upper = optim::round_to_bf16(before[i], 0xffff);
        BOOST_TEST((values[i] == lower || values[i] == upper));
        BOOST_TEST(std::abs(lower) <= std::abs(before[i]));
        BOOST_TEST(std::abs(before[i]) <= std::abs(upper));
        up += values[i] == upper;
    }
    BOOST_TEST(up > 400u);
    BOOST_TEST(up < 600u);
    const auto once = values;
    optim::round_to_bf16(values, 7, 2);
    BOOST_TEST((values == once));
}

BOOST_AUTO_TEST_CASE(its_mean_is_the_value) {
    // 1 + 2^-7 p lies between the neighbours 1 and 1 + 2^-7: the mean of n draws has the deviation sqrt(p (1-p) / n).
    constexpr std::size_t n = 40000;
    for (const double p : {0.01, 0.25, 0.5, 0.9}) {
        std::vector<float> values(n, static_cast<float>(-1.0 - p / 128));
        optim::round_to_bf16(values, 3, 5);
        double mean = 0;
        for (const float x : values) mean += static_cast<double>(x) / static_cast<double>(n);
        BOOST_TEST(std::abs((-mean - 1) * 128 - p) < 5 * std::sqrt(p * (1 - p) / static_cast<double>(n)));
    }
}

BOOST_AUTO_TEST_CASE(small_updates_add_up) {
    std::vector<float> values(4096, 1.0f);
    for (std::uint64_t step = 0; step < 256; ++step) {  // each is 2^-13: a 64th of the distance to the next value
        for (float& x : values) x += 0x1p-13f;
        optim::round_to_bf16(values, 1, step);
    }
    double mean = 0;
    for (const float x : values) mean += static_cast<double>(x) / 4096;
    BOOST_TEST(std::abs(mean - (1 + 256 * 0x1p-13)) < 5 * 2.0 / 128 / std::sqrt(4096.0));
    BOOST_TEST(to_float(to_bf16(1.0f + 0x1p-13f)) == 1.0f);  // to nearest, none of them would have moved it
}

BOOST_AUTO_TEST_CASE(what_cannot_be_rounded_stays) {
    constexpr float infinity = std::numeric_limits<float>::infinity(), most = std::numeric_limits<float>::max();
    BOOST_TEST(optim::round_to_bf16(infinity, 0xffff) == infinity);
    BOOST_TEST(std::isnan(optim::round_to_bf16(std::numeric_limits<float>::quiet_NaN(), 0xffff)));
    BOOST_TEST(std::isnan(optim::round_to_bf16(std::bit_cast<float>(0x7f800001u), 0)));
    BOOST_TEST(std::isfinite(optim::round_to_bf16(most, 0xffff)));
    BOOST_TEST(optim::round_to_bf16(-0.0f, 0xffff) == 0.0f);
}

BOOST_AUTO_TEST_CASE(draws_depend_on_seed_step_and_place_alone) {
    const auto values = test::random_values(20011, 2);
    const auto rounded = [&](std::uint64_t seed, std::uint64_t step, thread_pool* pool) {
        auto copy = values;
        optim::round_to_bf16(copy, seed, step, pool);
        return copy;
    };
    const auto expected = rounded(1, 2, nullptr);
    thread_pool pool(3);
    BOOST_TEST((rounded(1, 2, &pool) == expected));
    BOOST_TEST((rounded(1, 3, nullptr) != expected));
    BOOST_TEST((rounded(2, 2, nullptr) != expected));
}

BOOST_AUTO_TEST_SUITE_END()
