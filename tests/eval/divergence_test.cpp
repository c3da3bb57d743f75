#include "lab/eval/divergence.hpp"

#include <boost/test/unit_test.hpp>

#include "infer/tiny.hpp"

BOOST_AUTO_TEST_SUITE(divergence)

using namespace lab;

BOOST_AUTO_TEST_CASE(two_rows_by_hand) {
    // p = (1/2, 1/4, 1/4), q = (1/4, 1/2, 1/4), logits shifted by any constant: KL = ln 2 / 2 - ln 2 / 4
    const float l = std::log(2.0f);
    const float p[] = {l + 5, 5, 5}, q[] = {-3, l - 3, -3};
    const auto r = eval::detail::compare_predictions(p, q, 1);
    BOOST_TEST(r.kl == std::log(2.0) / 4, boost::test_tools::tolerance(1e-6));
    BOOST_TEST(r.p == 0.25, boost::test_tools::tolerance(1e-6));
    BOOST_TEST(r.q == 0.5, boost::test_tools::tolerance(1e-6));
    BOOST_TEST(!r.same_top);
}

BOOST_AUTO_TEST_CASE(a_model_is_nothing_away_from_itself) {
    const auto model = test::byte_model();
    std::vector<token> text(200);
    for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<token>((i * i + 3 * i) % 256);
    std::size_t steps = 0;
    const auto r =
        eval::divergence(model, model, text, {.context = 32, .progress = [&](std::size_t, std::size_t) { ++steps; }});
    BOOST_TEST(r.kl == 0.0);
    BOOST_TEST(r.same_top == 1.0, boost::test_tools::tolerance(1e-12));
    BOOST_TEST(r.perplexity == r.original_perplexity);
    BOOST_TEST(r.windows == 6u);
    BOOST_TEST(r.tokens == 6u * 15u);
    BOOST_TEST(steps == 6u);
    BOOST_CHECK_THROW(static_cast<void>(eval::divergence(model, model, std::span(text).first(20))), config_error);
}

BOOST_AUTO_TEST_SUITE_END()
