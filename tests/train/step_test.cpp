#include "lab/train/step.hpp"

#include <boost/test/unit_test.hpp>

#include "train/toy.hpp"

BOOST_AUTO_TEST_SUITE(train_step)

using namespace lab;

namespace {
std::vector<const replay::training_sample*> pointers(const std::vector<replay::training_sample>& samples) {
    std::vector<const replay::training_sample*> list;
    for (const auto& s : samples) list.push_back(&s);
    return list;
}
}  // namespace

BOOST_AUTO_TEST_CASE(cutting_a_step_into_micro_batches_does_not_change_its_gradient) {
    auto samples = toy::samples(12, 11, replay::sample_kind::knowledge, "l", 3);
    // Answers of very different lengths: a mean of means would weigh them wrongly.
    samples[0].trained.assign(samples[0].trained.size(), 1);
    const auto step = pointers(samples);
    toy::bigram whole(11), cut(11);
    const auto one = train::accumulate_gradients(whole, replay::pack(step, 0));
    const auto packed = replay::pack(step, 9);
    BOOST_REQUIRE(packed.size() > 4u);
    const auto many = train::accumulate_gradients(cut, packed);
    BOOST_TEST(one.loss == many.loss, boost::test_tools::tolerance(1e-12));
    BOOST_TEST(one.target_tokens == many.target_tokens);
    BOOST_TEST(one.tokens == many.tokens);
    for (std::size_t i = 0; i < whole.gradients().size(); ++i)
        BOOST_TEST(whole.gradients()[i] - cut.gradients()[i] == 0.0f, boost::test_tools::tolerance(1e-6f));
}

BOOST_AUTO_TEST_CASE(the_loss_is_the_mean_over_learnt_tokens_and_its_gradient_is_right) {
    const auto samples = toy::samples(3, 5, replay::sample_kind::knowledge, "l", 8);
    const auto packed = replay::pack(pointers(samples), 7);
    toy::bigram model(5);
    const auto result = train::accumulate_gradients(model, packed);
    BOOST_TEST(result.target_tokens == 9u);
    BOOST_TEST(result.loss == train::evaluate_loss(model, packed).loss, boost::test_tools::tolerance(1e-12));
    for (const std::size_t i : {0u, 7u, 13u, 24u}) {
        const float h = 1e-2f, saved = model.parameters()[i];
        model.parameters()[i] = saved + h;
        const double up = train::evaluate_loss(model, packed).loss;
        model.parameters()[i] = saved - h;
        const double down = train::evaluate_loss(model, packed).loss;
        model.parameters()[i] = saved;
        BOOST_TEST(std::abs((up - down) / (2.0 * 0.01) - static_cast<double>(model.gradients()[i])) < 1e-5);
    }
}

BOOST_AUTO_TEST_CASE(gradients_of_the_step_before_are_forgotten) {
    const auto samples = toy::samples(4, 5, replay::sample_kind::knowledge, "l", 2);
    const auto packed = replay::pack(pointers(samples), 0);
    toy::bigram model(5);
    train::accumulate_gradients(model, packed);
    const std::vector<float> first(model.gradients().begin(), model.gradients().end());
    train::accumulate_gradients(model, packed);
    BOOST_TEST(first == std::vector<float>(model.gradients().begin(), model.gradients().end()),
               boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_step_without_learnt_tokens_is_harmless) {
    auto samples = toy::samples(1, 5, replay::sample_kind::knowledge, "l", 2);
    samples[0].trained.assign(samples[0].trained.size(), 0);
    toy::bigram model(5);
    const auto result = train::accumulate_gradients(model, replay::pack(pointers(samples), 0));
    BOOST_TEST(result.loss == 0.0);
    for (const float g : model.gradients()) BOOST_TEST(g == 0.0f);
}

BOOST_AUTO_TEST_SUITE_END()
