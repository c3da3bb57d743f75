#include "lab/sampling/chain.hpp"

#include <boost/test/unit_test.hpp>

#include "sampling/distribution.hpp"

BOOST_AUTO_TEST_SUITE(sampling_chain)

using namespace lab::sampling;
using lab::token;

namespace {

/// The smallest Sampler: what a user writes to join a chain.
struct ban {
    std::vector<token> ids;
    void apply(candidates& c, std::span<const token>) const {
        for (const token id : ids) c.remove(id);
    }
};
static_assert(Sampler<ban> && !Selector<ban>);
static_assert(Selector<greedy> && !Sampler<greedy>);
static_assert(Sampler<chain<ban, greedy>>);

std::vector<float> random_logits(std::size_t n, std::uint64_t seed) {
    lab::counter_rng rng(seed, "logits");
    std::vector<float> logits(n);
    for (auto& x : logits) x = 2.0f * static_cast<float>(rng.normal());
    return logits;
}

}  // namespace

BOOST_AUTO_TEST_CASE(elements_act_in_order) {
    const std::vector<float> logits{5, 4, 3, 2};
    candidates scratch;
    BOOST_TEST((chain{ban{{0}}, top_k{1}, multinomial{1}}.sample(logits, {}, scratch)) == 1);
    BOOST_CHECK_THROW((void)(chain{top_k{1}, ban{{0}}, multinomial{1}}.sample(logits, {}, scratch)), lab::config_error);
}

BOOST_AUTO_TEST_CASE(a_chain_nests_in_a_chain) {
    candidates scratch;
    const chain inner{ban{{0}}, ban{{1}}};
    BOOST_TEST((chain{inner, greedy{}}.sample(std::vector<float>{5, 4, 3, 2}, {}, scratch)) == 2);
}

BOOST_AUTO_TEST_CASE(the_erased_chain_draws_the_same) {
    const chain fixed{repetition{1.3f}, top_k{50},         typical{0.9f}, top_p{0.9f},
                      min_p{0.02f},     temperature{0.8f}, multinomial{5}};
    const any_chain erased = fixed;
    candidates a, b;
    std::vector<token> history;
    for (std::uint64_t i = 0; i < 200; ++i) {
        const auto logits = random_logits(500, i);
        const token drawn = fixed.sample(logits, history, a);
        BOOST_TEST(drawn == erased.sample(logits, history, b));
        history.push_back(drawn);
    }
}

BOOST_AUTO_TEST_CASE(a_whole_chain_draws_by_the_computed_distribution) {
    // top_k 6, then top_p 0.9 of those, then min_p, then temperature: recomputed here in double, step by step.
    const auto logits = random_logits(200, 42);
    std::vector<std::pair<double, std::size_t>> order;
    for (std::size_t i = 0; i < logits.size(); ++i) order.emplace_back(-static_cast<double>(logits[i]), i);
    std::sort(order.begin(), order.end());
    order.resize(6);
    double total = 0, sum = 0;
    for (const auto& [negative, id] : order) total += std::exp(-negative);
    std::vector<std::pair<double, std::size_t>> left;
    for (const auto& [negative, id] : order) {
        left.emplace_back(-negative, id);
        if ((sum += std::exp(-negative) / total) >= 0.9) break;
    }
    std::erase_if(left, [&](const auto& x) { return x.first < left.front().first + std::log(0.05); });
    std::vector<double> p(logits.size());
    total = 0;
    for (const auto& [logit, id] : left) total += std::exp(logit / 1.5);
    for (const auto& [logit, id] : left) p[id] = std::exp(logit / 1.5) / total;
    BOOST_REQUIRE(left.size() >= 3u);

    const chain c{top_k{6}, top_p{0.9f}, min_p{0.05f}, temperature{1.5f}, multinomial{99}};
    constexpr std::size_t draws = 30000;
    std::vector<std::size_t> counts(logits.size());
    std::vector<token> history;
    candidates scratch;
    for (std::size_t i = 0; i < draws; ++i) {
        ++counts[static_cast<std::size_t>(c.sample(logits, history, scratch))];
        history.push_back(0);
    }
    BOOST_TEST(lab::test::chi_squared(counts, p, draws) < lab::test::chi_squared_limit(left.size() - 1));
}

BOOST_AUTO_TEST_CASE(options_become_a_chain) {
    const auto logits = random_logits(300, 7);
    const std::vector<token> history{1, 2, 3};
    candidates a, b;
    const lab::text::sampling_options options{
        .temperature = 0.7f, .top_k = 20, .top_p = 0.8f, .min_p = 0.01f, .repetition_penalty = 1.2f, .seed = 4};
    const chain same{repetition{1.2f}, top_k{20}, top_p{0.8f}, min_p{0.01f}, temperature{0.7f}, multinomial{4}};
    BOOST_TEST(make_chain(options).sample(logits, history, a) == same.sample(logits, history, b));
    BOOST_TEST(make_chain({}).sample(logits, history, a) == candidates(logits).best().id);
}

BOOST_AUTO_TEST_CASE(options_out_of_range_are_refused_by_name) {
    const auto message = [](const lab::text::sampling_options& o) {
        try {
            (void)make_chain(o);
        } catch (const lab::config_error& e) {
            return std::string(e.what());
        }
        return std::string("accepted");
    };
    BOOST_TEST(message({.temperature = -1.0f}).starts_with("temperature"));
    BOOST_TEST(message({.temperature = NAN}).starts_with("temperature"));
    BOOST_TEST(message({.top_k = -1}).starts_with("top_k"));
    BOOST_TEST(message({.top_p = 0.0f}).starts_with("top_p"));
    BOOST_TEST(message({.min_p = 1.5f}).starts_with("min_p"));
    BOOST_TEST(message({.repetition_penalty = 0.0f}).starts_with("repetition_penalty"));
}

BOOST_AUTO_TEST_SUITE_END()
