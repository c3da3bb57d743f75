#include "lab/eval/perplexity.hpp"

#include <boost/test/unit_test.hpp>
#include <limits>

BOOST_AUTO_TEST_SUITE(eval_perplexity)

using namespace lab;

namespace {
// Knows that token t is followed by t + 1 with a probability that depends on the position only; notes what it is asked.
struct counting_scorer {
    std::vector<std::vector<token>> windows;
    std::vector<double> token_losses(std::span<const token> window, std::size_t first) {
        windows.emplace_back(window.begin(), window.end());
        std::vector<double> losses;
        for (std::size_t i = first; i + 1 < window.size(); ++i) losses.push_back(i % 2 == 0 ? 1.0 : 3.0);
        return losses;
    }
};
static_assert(eval::WindowScorer<counting_scorer> && !eval::WindowScorer<int>);
}  // namespace

BOOST_AUTO_TEST_CASE(windows_do_not_overlap_and_only_their_second_half_counts) {
    std::vector<token> tokens;
    for (token t = 0; t < 29; ++t) tokens.push_back(t);
    counting_scorer model;
    const auto result = eval::perplexity(model, tokens, {.context = 8});
    BOOST_TEST(result.windows == 3u);  // the last 5 tokens are no whole window
    BOOST_TEST(result.tokens == 9u);   // 8 - 4 - 1 in each
    BOOST_TEST(model.windows[1] == (std::vector<token>{8, 9, 10, 11, 12, 13, 14, 15}),
               boost::test_tools::per_element());
    const auto close = boost::test_tools::tolerance(1e-12);
    const double mean = 5.0 / 3.0;  // positions 4, 5, 6: 1, 3, 1
    BOOST_TEST(result.mean_loss == mean, close);
    BOOST_TEST(result.perplexity == std::exp(mean), close);
    const double variance = 11.0 / 3.0 - mean * mean;
    BOOST_TEST(result.loss_error == std::sqrt(variance / 8.0), close);
    BOOST_TEST(result.error == result.perplexity * result.loss_error, close);
}

BOOST_AUTO_TEST_CASE(a_beginning_token_takes_the_first_place) {
    const std::vector<token> tokens(16, 5);
    counting_scorer model;
    std::size_t told = 0;
    (void)eval::perplexity(
        model, tokens,
        {.context = 8, .bos = 1, .max_windows = 1, .progress = [&](std::size_t, std::size_t n) { told = n; }});
    BOOST_REQUIRE(model.windows.size() == 1u);
    BOOST_TEST(model.windows[0][0] == 1);
    BOOST_TEST(model.windows[0][1] == 5);
    BOOST_TEST(told == 1u);
}

BOOST_AUTO_TEST_CASE(too_little_text_is_refused) {
    counting_scorer model;
    BOOST_CHECK_THROW((void)eval::perplexity(model, std::vector<token>(7, 1), {.context = 8}), config_error);
    BOOST_CHECK_THROW((void)eval::perplexity(model, std::vector<token>(7, 1), {.context = 3}), config_error);
}

BOOST_AUTO_TEST_CASE(a_prediction_that_is_no_number_is_named) {
    struct stumbling {
        double bad;
        std::size_t windows = 0;
        std::vector<double> token_losses(std::span<const token>, std::size_t) {
            return {1.0, ++windows == 3 ? bad : 2.0, 1.0};
        }
    };
    for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
        stumbling model{bad};
        const auto says = [](const config_error& fault) {
            return std::string(fault.what()).starts_with("window 2, token 6: what the model predicts is not a number");
        };
        BOOST_CHECK_EXCEPTION((void)eval::perplexity(model, std::vector<token>(32, 1), {.context = 8}), config_error,
                              says);
    }
}

BOOST_AUTO_TEST_SUITE_END()
