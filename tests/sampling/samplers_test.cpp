#include "lab/sampling/samplers.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <set>

#include "sampling/distribution.hpp"

BOOST_AUTO_TEST_SUITE(sampling_samplers)

using namespace lab::sampling;
using lab::token;

namespace {

std::vector<float> random_logits(std::size_t n, std::uint64_t seed, float spread = 3.0f) {
    lab::counter_rng rng(seed, "logits");
    std::vector<float> logits(n);
    for (auto& x : logits) x = spread * static_cast<float>(rng.normal());
    return logits;
}
/// Reference: exact softmax in double, index = token.
std::vector<double> softmax(const std::vector<float>& logits) {
    const double max = *std::max_element(logits.begin(), logits.end());
    std::vector<double> p(logits.size());
    double total = 0;
    for (std::size_t i = 0; i < p.size(); ++i) total += p[i] = std::exp(static_cast<double>(logits[i]) - max);
    for (auto& x : p) x /= total;
    return p;
}
std::vector<std::size_t> by_falling(const std::vector<double>& p) {
    std::vector<std::size_t> order(p.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return p[a] > p[b]; });
    return order;
}
std::vector<token> sorted_ids(const candidates& c) {
    std::vector<token> out;
    for (const auto& x : c) out.push_back(x.id);
    std::sort(out.begin(), out.end());
    return out;
}
template <Sampler S>
std::vector<token> kept(const S& sampler, const std::vector<float>& logits) {
    candidates c(logits);
    sampler.apply(c, {});
    return sorted_ids(c);
}
const auto per_element = boost::test_tools::per_element();

}  // namespace

BOOST_AUTO_TEST_CASE(top_p_keeps_the_shortest_prefix_that_reaches_p) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        const auto logits = random_logits(1000, seed, seed % 2 ? 3.0f : 0.3f);
        const auto p = softmax(logits);
        for (const float limit : {0.1f, 0.5f, 0.9f, 0.99f}) {
            std::vector<token> expected;
            double sum = 0;
            for (const auto i : by_falling(p)) {
                expected.push_back(static_cast<token>(i));
                if ((sum += p[i]) >= static_cast<double>(limit)) break;
            }
            std::sort(expected.begin(), expected.end());
            BOOST_TEST(kept(top_p{limit}, logits) == expected, per_element);
        }
    }
}

BOOST_AUTO_TEST_CASE(min_p_keeps_what_is_near_the_likeliest) {
    const auto logits = random_logits(500, 3);
    const auto p = softmax(logits);
    const double max = *std::max_element(p.begin(), p.end());
    for (const float limit : {0.01f, 0.1f, 0.7f, 1.0f}) {
        std::vector<token> expected;
        for (std::size_t i = 0; i < p.size(); ++i)
            if (p[i] >= max * static_cast<double>(limit) * (1 - 1e-6)) expected.push_back(static_cast<token>(i));
        BOOST_TEST(kept(min_p{limit}, logits) == expected, per_element);
    }
    BOOST_TEST(kept(min_p{.p = 1.0f, .min_keep = 7}, logits).size() == 7u);
}

BOOST_AUTO_TEST_CASE(typical_keeps_tokens_of_average_surprise) {
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
        const auto logits = random_logits(300, seed + 50, 2.0f);
        const auto p = softmax(logits);
        double entropy = 0;
        for (const double x : p) entropy -= x * std::log(x);
        std::vector<double> closeness(p.size());
        for (std::size_t i = 0; i < p.size(); ++i) closeness[i] = -std::abs(-std::log(p[i]) - entropy);
        for (const float limit : {0.2f, 0.6f, 0.95f}) {
            std::vector<token> expected;
            double sum = 0;
            for (const auto i : by_falling(closeness)) {
                expected.push_back(static_cast<token>(i));
                if ((sum += p[i]) > static_cast<double>(limit)) break;
            }
            std::sort(expected.begin(), expected.end());
            BOOST_TEST(kept(typical{limit}, logits) == expected, per_element);
        }
    }
    // The likeliest token is dropped when it is less surprising than a typical one.
    BOOST_TEST(kept(typical{0.3f}, {std::log(0.3f), std::log(0.14f), std::log(0.14f), std::log(0.14f), std::log(0.14f),
                                    std::log(0.14f)}) == (std::vector<token>{1, 2, 3}),
               per_element);
}

BOOST_AUTO_TEST_CASE(off_values_change_nothing) {
    const auto logits = random_logits(100, 9);
    const std::vector<token> history{1, 2, 2};
    const candidates before(logits);
    const auto unchanged = [&](const auto& sampler) {
        candidates c(logits);
        sampler.apply(c, history);
        return std::equal(c.begin(), c.end(), before.begin(), before.end());
    };
    BOOST_TEST(unchanged(top_k{0}));
    BOOST_TEST(unchanged(top_p{1.0f}));
    BOOST_TEST(unchanged(min_p{0.0f}));
    BOOST_TEST(unchanged(typical{1.0f}));
    BOOST_TEST(unchanged(temperature{1.0f}));
    BOOST_TEST(unchanged(repetition{1.0f}));
    BOOST_TEST(unchanged(presence{0.0f}));
    BOOST_TEST(unchanged(frequency{0.0f}));
    BOOST_TEST(unchanged(logit_bias{}));
}

BOOST_AUTO_TEST_CASE(penalties_follow_the_window) {
    const std::vector<float> logits{2.0f, -2.0f, 1.0f, 0.0f};
    const std::vector<token> history{2, 0, 1, 1, 3, 900};
    const auto after = [&](const auto& sampler) {
        candidates c(logits);
        sampler.apply(c, history);
        std::vector<float> out;
        for (token id = 0; id < 4; ++id) out.push_back(c.logit(id));
        return out;
    };
    BOOST_TEST(after(repetition{2.0f}) == (std::vector<float>{1, -4, 0.5, 0}), per_element);
    BOOST_TEST(after(repetition{2.0f, 4}) == (std::vector<float>{2, -4, 1, 0}), per_element);
    BOOST_TEST(after(repetition{2.0f, 0}) == logits, per_element);
    BOOST_TEST(after(frequency{0.5f, -1}) == (std::vector<float>{1.5, -3, 0.5, -0.5}), per_element);
    BOOST_TEST(after(presence{0.5f, -1}) == (std::vector<float>{1.5, -2.5, 0.5, -0.5}), per_element);
    BOOST_TEST(after(logit_bias{{{1, 5.0f}, {2, -INFINITY}}}) == (std::vector<float>{2, 3, -INFINITY, 0}), per_element);
}

BOOST_AUTO_TEST_CASE(temperature_zero_leaves_the_likeliest) {
    BOOST_TEST(kept(temperature{0.0f}, {1, 7, 7, 2}) == (std::vector<token>{1}), per_element);
    candidates c(std::vector<float>{1, 7, 7, 2});
    BOOST_TEST(greedy{}.select(c, {}) == 1);
}

BOOST_AUTO_TEST_CASE(draws_follow_the_softmax) {
    const auto logits = random_logits(40, 11, 1.0f);
    const auto p = softmax(logits);
    constexpr std::size_t draws = 40000;
    for (const std::uint64_t seed : {1u, 2u, 77u}) {
        std::vector<std::size_t> counts(p.size());
        std::vector<token> history;
        candidates c;
        for (std::size_t i = 0; i < draws; ++i) {
            c.assign(logits);
            ++counts[static_cast<std::size_t>(multinomial{seed}.select(c, history))];
            history.push_back(0);
        }
        BOOST_TEST(lab::test::chi_squared(counts, p, draws) < lab::test::chi_squared_limit(p.size() - 1));
    }
}

BOOST_AUTO_TEST_CASE(draws_over_seeds_follow_the_softmax_too) {
    const std::vector<float> logits{0.0f, 1.0f, -1.0f, 0.5f};
    const auto p = softmax(logits);
    constexpr std::size_t draws = 40000;
    std::vector<std::size_t> counts(p.size());
    const std::vector<token> history(17);
    for (std::size_t i = 0; i < draws; ++i) {
        candidates c(logits);
        ++counts[static_cast<std::size_t>(multinomial{i}.select(c, history))];
    }
    BOOST_TEST(lab::test::chi_squared(counts, p, draws) < lab::test::chi_squared_limit(p.size() - 1));
}

BOOST_AUTO_TEST_CASE(a_draw_depends_on_seed_and_position_alone) {
    const auto logits = random_logits(1000, 5, 1.0f);
    const auto draw = [&](std::uint64_t seed, const std::vector<token>& history) {
        candidates c(logits);
        return multinomial{seed}.select(c, history);
    };
    BOOST_TEST(draw(1, {1, 2, 3}) == draw(1, {9, 9, 9}));
    std::size_t same_seed = 0, same_position = 0;
    for (std::uint64_t i = 0; i < 50; ++i) {
        same_position += draw(i, {1, 2, 3}) == draw(i + 1, {1, 2, 3}) ? 1 : 0;
        same_seed += draw(1, std::vector<token>(i)) == draw(1, std::vector<token>(i + 1)) ? 1 : 0;
    }
    BOOST_TEST(same_seed < 10u);
    BOOST_TEST(same_position < 10u);
}

BOOST_AUTO_TEST_CASE(removed_tokens_are_never_drawn) {
    std::vector<float> logits(10, 0.0f);
    candidates c;
    std::vector<token> history;
    for (int i = 0; i < 2000; ++i) {
        c.assign(logits);
        for (const token id : {0, 4, 9}) c.remove(id);
        const token drawn = multinomial{3}.select(c, history);
        BOOST_REQUIRE((drawn != 0 && drawn != 4 && drawn != 9));
        history.push_back(drawn);
    }
    c.assign(std::vector<float>(3, -INFINITY));
    BOOST_CHECK_THROW((void)multinomial{1}.select(c, {}), lab::config_error);
}

BOOST_AUTO_TEST_CASE(temperatures_too_small_to_divide_by_act_as_zero) {
    const std::vector<std::vector<float>> lists{
        {1, 5, 4, 2}, {4, 5, 5, 5}, {-5, -4, -4}, {-3e38f, -2e38f}, {-1, 0, -2}, {1e38f, 3e38f, 2.9e38f, 3e38f}, {7}};
    for (const auto& logits : lists)
        for (const float value : {1e-45f, 1e-40f, 1e-38f, 3e-38f, 0.3f, 0.5f}) {
            const auto best = candidates(logits).best();
            const bool overflows = std::isinf(best.logit / value);
            if (!overflows && value > 1e-30f) continue;  // an ordinary temperature
            for (std::uint64_t seed = 0; seed < 20; ++seed) {
                candidates c(logits);
                if (seed % 2 == 1) c.sort();
                temperature{value}.apply(c, {});
                const token drawn = multinomial{seed}.select(c, {});
                BOOST_TEST(logits[static_cast<std::size_t>(drawn)] == best.logit, logits[0] << " ... at " << value);
                if (overflows) BOOST_TEST(drawn == best.id, logits[0] << " ... at " << value);
            }
        }
    candidates c(std::vector<float>{2, 1, -1});
    temperature{0.7f}.apply(c, {});
    BOOST_TEST(c[0].logit == 2 / 0.7f);
    BOOST_TEST(c[2].logit == -1 / 0.7f);
    temperature{1e38f}.apply(c, {});
    BOOST_TEST(c.size() == 3u);
}

BOOST_AUTO_TEST_CASE(huge_penalties_and_biases_leave_numbers) {
    const std::vector<token> history{0, 1, 2, 3, 1, 2, 2};
    const auto drawn = [&](const std::vector<float>& logits, const auto& sampler) {
        std::set<token> out;
        for (std::uint64_t seed = 0; seed < 40; ++seed) {
            candidates c(logits);
            sampler.apply(c, history);
            for (const auto& x : c) BOOST_REQUIRE((std::isfinite(x.logit) || x.logit == removed_logit));
            out.insert(multinomial{seed}.select(c, history));
        }
        return out;
    };
    using tokens = std::set<token>;
    BOOST_TEST(drawn({4, 5, 3, -1, 6}, repetition{1e-40f}) == (tokens{0, 1, 2}), per_element);
    BOOST_TEST(drawn({-6, -5, -4, -7, -9}, repetition{3e38f}) == (tokens{4}), per_element);
    BOOST_TEST(drawn({1, 9, 20, 1}, frequency{-3e38f}) == (tokens{1, 2}), per_element);
    BOOST_TEST(drawn({1, 2, 3}, logit_bias{{{0, 3e38f}, {0, 3e38f}}}) == (tokens{0}), per_element);
    BOOST_TEST(drawn({1, 2, 3}, logit_bias{{{0, INFINITY}}}) == (tokens{0}), per_element);
    // Behind them every other sampler still has numbers to work with.
    for (const float penalty : {1e-40f, 1e38f}) {
        const auto logits = random_logits(50, 8);
        std::vector<token> seen(49);
        std::iota(seen.begin(), seen.end(), token{0});
        candidates c, plain(logits);
        repetition{penalty}.apply(plain, seen);
        for (const auto& step : {0, 1, 2, 3, 4}) {
            c.assign(logits);
            repetition{penalty}.apply(c, seen);
            if (step == 0) top_k{5}.apply(c, seen);
            if (step == 1) top_p{0.9f}.apply(c, seen);
            if (step == 2) min_p{0.1f}.apply(c, seen);
            if (step == 3) typical{0.5f}.apply(c, seen);
            temperature{0.7f}.apply(c, seen);
            const token id = multinomial{3}.select(c, seen);
            BOOST_TEST(plain.logit(id) >= plain.best().logit - 60.0f, step << " after " << penalty);
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
