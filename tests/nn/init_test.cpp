#include "lab/nn/init.hpp"

#include <boost/test/unit_test.hpp>

#include "lab/nn/training.hpp"
#include "nn/tiny_models.hpp"

BOOST_AUTO_TEST_SUITE(init)

using namespace lab;
using reference = kernels::reference<double>;

BOOST_AUTO_TEST_CASE(values_come_from_the_seed_and_the_tensors_name_alone) {
    auto d = test::tiny_dims();
    const auto a = nn::make_parameters<nn::arch::llama, float>(d, nn::init::normal{.seed = 1});
    const auto b = nn::make_parameters<nn::arch::llama, float>(d, nn::init::normal{.seed = 1});
    const auto c = nn::make_parameters<nn::arch::llama, float>(d, nn::init::normal{.seed = 2});
    BOOST_TEST(std::equal(a.flat().begin(), a.flat().end(), b.flat().begin()));
    BOOST_TEST(a.get().layers[1].q(3, 4) != c.get().layers[1].q(3, 4));
    BOOST_TEST(a.get().layers[0].q(3, 4) != a.get().layers[1].q(3, 4));
    d.vocab = 50;
    const auto larger = nn::make_parameters<nn::arch::llama, float>(d, nn::init::normal{.seed = 1});
    BOOST_TEST(a.get().layers[1].q(3, 4) == larger.get().layers[1].q(3, 4));
    BOOST_TEST(a.get().norm(0) == 1.0f);
    d.kv_heads = 3;
    BOOST_CHECK_THROW((void(nn::make_parameters<nn::arch::llama, float>(d, nn::init::normal{}))), config_error);
}

BOOST_AUTO_TEST_CASE(a_fresh_model_starts_at_the_uniform_loss_and_learns) {
    const auto d = test::tiny_dims();
    auto m = nn::make_model<nn::arch::llama>(d, reference{}, nn::init::normal{.seed = 1});
    nn::training_pass pass(m.model);
    nn::parameter_set<nn::arch::llama, double> gradients(d);
    nn::batch_builder batch;
    const auto tokens = test::random_tokens(12, d.vocab);
    batch.add(tokens);
    std::vector<token> targets(tokens.begin() + 1, tokens.end());
    targets.push_back(no_token);
    const double uniform = std::log(static_cast<double>(d.vocab));
    double loss = pass.loss(batch.get(), targets).sum / 11;
    BOOST_TEST(loss == uniform, boost::test_tools::tolerance(0.05));
    for (int step = 0; step < 60; ++step) {
        std::fill(gradients.flat().begin(), gradients.flat().end(), 0.0);
        loss = pass.loss_and_gradients(batch.get(), targets, 1.0 / 11, gradients.get()).sum / 11;
        for (std::size_t i = 0; i < gradients.flat().size(); ++i) m.parameters->flat()[i] -= 0.5 * gradients.flat()[i];
    }
    BOOST_TEST(loss < 0.5 * uniform);
}

BOOST_AUTO_TEST_SUITE_END()
