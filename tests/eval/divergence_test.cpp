#include "lab/eval/divergence.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include "infer/tiny.hpp"
#include "lab/eval/window_scorer.hpp"
#include "support/costly_cache.hpp"

BOOST_AUTO_TEST_SUITE(divergence)

using namespace lab;

namespace {

std::vector<token> some_text(std::size_t length) {
    std::vector<token> text(length);
    for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<token>((i * i + 3 * i) % 256);
    return text;
}

/// Probabilities of the next token after each of `window`'s, in double precision.
std::vector<std::vector<double>> predicted(nn::any_model model, const std::vector<token>& window) {
    nn::batch_builder batch;
    batch.add(window);
    std::vector<std::uint32_t> rows(window.size());
    std::iota(rows.begin(), rows.end(), 0u);
    auto cache = model.make_cache();
    const nn::sequence_id sequence = cache.create();
    const auto logits = model.forward(batch.get(), cache, std::span(&sequence, 1), rows);
    std::vector<std::vector<double>> all(rows.size());
    for (std::size_t r = 0; r < rows.size(); ++r) {
        double sum = 0;
        for (const float x : logits.row(r)) all[r].push_back(std::exp(static_cast<double>(x)));
        for (const double x : all[r]) sum += x;
        for (double& x : all[r]) x /= sum;
    }
    return all;
}

}  // namespace

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

BOOST_AUTO_TEST_CASE(two_models_are_compared_prediction_by_prediction) {
    const auto original = test::byte_model(), other = test::byte_model(2, 512, 4);
    const auto text = some_text(100);
    std::vector<double> kl;
    double same = 0, changes = 0, loss = 0, other_loss = 0;
    for (std::size_t w = 0; w < 3; ++w) {
        const std::vector<token> window(text.begin() + static_cast<std::ptrdiff_t>(32 * w),
                                        text.begin() + static_cast<std::ptrdiff_t>(32 * w + 32));
        const auto p = predicted(original, window), q = predicted(other, window);
        for (std::size_t i = 16; i < 31; ++i) {  // the second half is scored
            double sum = 0;
            for (std::size_t t = 0; t < p[i].size(); ++t) sum += p[i][t] * std::log(p[i][t] / q[i][t]);
            kl.push_back(sum);
            same += std::max_element(p[i].begin(), p[i].end()) - p[i].begin() ==
                            std::max_element(q[i].begin(), q[i].end()) - q[i].begin()
                        ? 1
                        : 0;
            const auto came = static_cast<std::size_t>(window[i + 1]);
            changes += (p[i][came] - q[i][came]) * (p[i][came] - q[i][came]);
            loss -= std::log(p[i][came]), other_loss -= std::log(q[i][came]);
        }
    }
    std::sort(kl.begin(), kl.end());
    const double mean = std::accumulate(kl.begin(), kl.end(), 0.0) / 45;
    double spread = 0;
    for (const double x : kl) spread += (x - mean) * (x - mean);

    const auto r = eval::divergence(original, other, text, {.context = 32});
    const auto near = boost::test_tools::tolerance(1e-5);
    BOOST_TEST(r.tokens == 45u);
    BOOST_TEST(r.windows == 3u);
    BOOST_TEST(mean > 0.01);
    BOOST_TEST(r.kl == mean, near);
    BOOST_TEST(r.kl_error == std::sqrt(spread / 45 / 44), near);
    BOOST_TEST(r.kl_median == kl[22], near);
    BOOST_TEST(r.kl_99 == kl[44], near);
    BOOST_TEST(r.kl_most == kl[44], near);
    BOOST_TEST(r.same_top == same / 45, near);
    BOOST_TEST(same < 45);
    BOOST_TEST(r.probability_rms == std::sqrt(changes / 45), near);
    BOOST_TEST(r.original_perplexity == std::exp(loss / 45), near);
    BOOST_TEST(r.perplexity == std::exp(other_loss / 45), near);
    // The other way round it is another figure.
    BOOST_TEST(std::abs(eval::divergence(other, original, text, {.context = 32}).kl - mean) > 1e-4 * mean);
}

BOOST_AUTO_TEST_CASE(windows_of_any_length_fit_the_caches) {
    const auto text = some_text(18 * kv_block_size);  // 64 MiB a block: more than 1 GiB
    const auto r =
        eval::divergence(test::with_costly_cache(test::byte_model()),
                         test::with_costly_cache(test::byte_model(1, 512, 4)), text, {.context = text.size()});
    BOOST_TEST(r.windows == 1u);
    BOOST_TEST(r.kl > 0.0);
}

BOOST_AUTO_TEST_CASE(a_model_is_nothing_away_from_itself) {
    const auto model = test::byte_model(), twin = test::byte_model();  // of its own: a model's logits are in one place
    const auto text = some_text(200);
    std::size_t steps = 0;
    const auto r =
        eval::divergence(model, twin, text, {.context = 32, .progress = [&](std::size_t, std::size_t) { ++steps; }});
    BOOST_TEST(r.kl == 0.0);
    BOOST_TEST(r.same_top == 1.0);  // of any number of predictions
    BOOST_TEST(r.perplexity == r.original_perplexity);
    BOOST_TEST(r.windows == 6u);
    BOOST_TEST(r.tokens == 6u * 15u);
    BOOST_TEST(steps == 6u);
    BOOST_CHECK_THROW(static_cast<void>(eval::divergence(model, model, std::span(text).first(20))), config_error);
}

BOOST_AUTO_TEST_CASE(a_model_that_predicts_no_numbers_is_named) {
    auto broken = test::byte_model();
    for (const auto& w : broken.weights())
        if (w.info.role == "ffn.down") {
            const float nan = std::numeric_limits<float>::quiet_NaN();
            std::memcpy(const_cast<std::byte*>(w.data.data), &nan, sizeof nan);
        }
    const auto sound = test::byte_model();
    const auto text = some_text(100);
    const auto refused = [&](const nn::any_model& original, const nn::any_model& other, const std::string& whose) {
        const auto says = [&](const config_error& fault) {
            return std::string(fault.what()).starts_with("window 0, token 17: what " + whose + " predicts is not a");
        };
        BOOST_CHECK_EXCEPTION((void)eval::divergence(original, other, text, {.context = 32}), config_error, says);
    };
    refused(sound, broken, "the model");
    refused(broken, sound, "the original");
    eval::model_window_scorer scorer(broken);
    BOOST_CHECK_THROW((void)eval::perplexity(scorer, text, {.context = 32}), config_error);
}

BOOST_AUTO_TEST_SUITE_END()
