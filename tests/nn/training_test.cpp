// The hand-written backward against derivatives taken without it: complex step and central differences.
#include "lab/nn/training.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <complex>

#include "lab/kernels/cpu.hpp"
#include "lab/nn/init.hpp"
#include "nn/tiny_models.hpp"

BOOST_AUTO_TEST_SUITE(training)

namespace {

using namespace lab;
using reference = kernels::reference<double>;
using complex_reference = kernels::reference<std::complex<double>>;

using test::two_samples;

/// Checks every tensor's gradient along `direction` against the complex step: `derivative(h)` is that of the checked
/// function, taken after the tensor's weights were moved by i h times the direction.
template <class Architecture, class Derivative>
void check_along(const nn::runtime_dims& d, nn::parameter_set<Architecture, std::complex<double>>& weights,
                 nn::parameter_set<Architecture, double>& gradients, nn::parameter_set<Architecture, double>& direction,
                 const Derivative& derivative) {
    constexpr double h = 1e-50;
    nn::for_each_tensor(
        d,
        [&](const nn::tensor_info& info, auto& value, auto& gradient, auto& along) {
            double expected = 0;
            for (std::size_t i = 0; i < gradient.size(); ++i) {
                expected += gradient.data()[i] * along.data()[i];
                value.data()[i] += std::complex<double>(0, h * along.data()[i]);
            }
            BOOST_TEST_INFO(info.name);
            BOOST_TEST(expected == derivative(h), boost::test_tools::tolerance(1e-9));
            for (std::size_t i = 0; i < gradient.size(); ++i) value.data()[i] = std::real(value.data()[i]);
        },
        weights.get(), gradients.get(), direction.get());
}

template <class Architecture>
void check_by_complex_step(nn::runtime_dims d, bool half_split) {
    const auto data = two_samples(d.vocab);
    auto real = test::random_model<Architecture, reference>(d, {}, 11, half_split);
    auto complex = test::random_model<Architecture, complex_reference>(d, {}, 11, half_split);
    nn::parameter_set<Architecture, double> gradients(d);
    nn::training_pass pass(real.model, 8);
    const auto loss = pass.loss_and_gradients(data.batch.get(), data.targets, 0.5, gradients.get());
    nn::training_pass complex_pass(complex.model);
    BOOST_TEST(loss.targets == 23u);
    BOOST_TEST(std::real(complex_pass.loss(data.batch.get(), data.targets).sum) == loss.sum,
               boost::test_tools::tolerance(1e-12));

    // The derivative along a random direction checks every parameter of a tensor at once; a few single ones follow.
    counter_rng rng(5);
    nn::parameter_set<Architecture, double> direction(d);
    for (double& x : direction.flat()) x = rng.normal();
    const auto parameters = complex.parameters->flat();
    constexpr double h = 1e-50;
    const auto derivative = [&](double step) {
        return 0.5 * complex_pass.loss(data.batch.get(), data.targets).sum.imag() / step;
    };
    check_along<Architecture>(d, *complex.parameters, gradients, direction, derivative);
    for (int i = 0; i < 20; ++i) {
        const auto at = static_cast<std::size_t>(rng.below(parameters.size()));
        parameters[at] += std::complex<double>(0, h);
        const double single = derivative(h);
        parameters[at] = std::real(parameters[at]);
        BOOST_TEST(std::abs(gradients.flat()[at] - single) < 1e-9 * (1 + std::abs(single)));
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(llama_gradients_match_the_complex_step) {
    check_by_complex_step<nn::arch::llama>(test::tiny_dims(), true);
}

BOOST_AUTO_TEST_CASE(tied_mistral_gradients_match_the_complex_step) {
    auto d = test::tiny_dims();
    d.tied = true;
    d.window = 5;
    check_by_complex_step<nn::arch::mistral>(d, false);
}

// A function that no sum of token losses is: the log of a sum of the sequences' losses, each to a power.
BOOST_AUTO_TEST_CASE(gradients_of_a_function_of_sequences_match_the_complex_step) {
    auto d = test::tiny_dims();
    d.tied = true;
    const auto data = two_samples(d.vocab);
    auto real = test::random_model<nn::arch::llama, reference>(d, {}, 11);
    auto complex = test::random_model<nn::arch::llama, complex_reference>(d, {}, 11);
    nn::parameter_set<nn::arch::llama, double> gradients(d), direction(d);
    nn::training_pass pass(real.model, 8);
    std::vector<double> told;
    pass.weighted_gradients(
        data.batch.get(), data.targets,
        [&](std::span<const double> losses, std::span<double> weights) {
            told.assign(losses.begin(), losses.end());
            const double sum = losses[0] * losses[0] + losses[1] * losses[1] * losses[1];
            weights[0] = 2 * losses[0] / sum;
            weights[1] = 3 * losses[1] * losses[1] / sum;
        },
        gradients.get());
    BOOST_TEST_REQUIRE(told.size() == 2u);
    BOOST_TEST(told[0] + told[1] == pass.loss(data.batch.get(), data.targets).sum, boost::test_tools::tolerance(1e-12));

    counter_rng rng(5);
    for (double& x : direction.flat()) x = rng.normal();
    nn::training_pass complex_pass(complex.model);
    check_along<nn::arch::llama>(d, *complex.parameters, gradients, direction, [&](double step) {
        std::vector<std::complex<double>> losses(2);
        complex_pass.sequence_losses(data.batch.get(), data.targets, losses);
        return std::log(losses[0] * losses[0] + losses[1] * losses[1] * losses[1]).imag() / step;
    });
}

nn::runtime_dims mixture_dims() {
    auto d = test::tiny_dims();
    d.experts = 5, d.experts_per_token = 2;
    return d;
}

BOOST_AUTO_TEST_CASE(mixtral_gradients_match_the_complex_step) {
    check_by_complex_step<nn::arch::mixtral>(mixture_dims(), true);
    auto all = mixture_dims();  // every expert is everybody's
    all.experts_per_token = all.experts;
    check_by_complex_step<nn::arch::mixtral>(all, true);
    auto one = mixture_dims();  // its share is 1 whatever the router says
    one.experts_per_token = 1;
    check_by_complex_step<nn::arch::mixtral>(one, true);
}

BOOST_AUTO_TEST_CASE(the_router_loss_has_the_gradient_of_its_central_differences) {
    const auto d = mixture_dims();
    const auto data = two_samples(d.vocab);
    auto m = test::random_model<nn::arch::mixtral, reference>(d, {}, 11);
    nn::parameter_set<nn::arch::mixtral, double> gradients(d), ignored(d), direction(d);
    nn::training_pass pass(m.model, 8);
    const double plain = pass.loss_and_gradients(data.batch.get(), data.targets, 1.0, ignored.get()).sum;
    pass.set({.router_loss = 0.5});
    const auto with = pass.loss_and_gradients(data.batch.get(), data.targets, 1.0, gradients.get());
    BOOST_TEST(with.sum > plain + 0.5 * static_cast<double>(with.targets));  // two experts a token: about 2
    counter_rng rng(5);
    for (double& x : direction.flat()) x = rng.normal();
    constexpr double h = 1e-6;
    nn::for_each_tensor(
        d,
        [&](const nn::tensor_info& info, auto& value, auto& gradient, auto& along) {
            double expected = 0;
            const auto moved = [&](double step) {
                for (std::size_t i = 0; i < value.size(); ++i) value.data()[i] += step * along.data()[i];
                return pass.loss_and_gradients(data.batch.get(), data.targets, 1.0, ignored.get()).sum;
            };
            for (std::size_t i = 0; i < gradient.size(); ++i) expected += gradient.data()[i] * along.data()[i];
            const double derivative = (moved(h) - moved(-2 * h)) / (2 * h);
            (void)moved(h);
            BOOST_TEST_INFO(info.name);
            BOOST_TEST(expected == derivative, boost::test_tools::tolerance(1e-6));
        },
        m.parameters->get(), gradients.get(), direction.get());
}

BOOST_AUTO_TEST_CASE(the_load_is_balanced_where_every_expert_is_as_likely_and_as_often_chosen) {
    nn::load_balance<double> even, skewed;
    even.restart(4);
    skewed.restart(4);
    for (std::size_t i = 0; i < 8; ++i) {
        std::vector<double> share(4), logits(4), first(4);
        share[i % 4] = 1, first[0] = 1;
        even.add(logits, share);
        logits[0] = 3;
        skewed.add(logits, first);
    }
    BOOST_TEST(even.loss() == 1.0, boost::test_tools::tolerance(1e-12));
    BOOST_TEST(skewed.loss() == 4 * std::exp(3.0) / (std::exp(3.0) + 3), boost::test_tools::tolerance(1e-12));
}

BOOST_AUTO_TEST_CASE(gradients_accumulate_and_scale) {
    const auto d = test::tiny_dims();
    const auto data = two_samples(d.vocab);
    auto m = test::random_model<nn::arch::llama, reference>(d);
    nn::parameter_set<nn::arch::llama, double> once(d), twice(d);
    nn::training_pass pass(m.model);
    pass.loss_and_gradients(data.batch.get(), data.targets, 1.0, once.get());
    pass.loss_and_gradients(data.batch.get(), data.targets, 0.25, twice.get());
    pass.loss_and_gradients(data.batch.get(), data.targets, 0.75, twice.get());
    for (std::size_t i = 0; i < once.flat().size(); ++i) BOOST_REQUIRE_SMALL(once.flat()[i] - twice.flat()[i], 1e-10);
}

BOOST_AUTO_TEST_CASE(packed_samples_do_not_see_each_other) {
    const auto d = test::tiny_dims();
    const auto data = two_samples(d.vocab);
    auto m = test::random_model<nn::arch::llama, reference>(d);
    nn::training_pass pass(m.model);
    const auto together = pass.loss(data.batch.get(), data.targets);
    double apart = 0;
    const auto all = data.batch.get();
    for (std::size_t s = 0; s < 2; ++s) {
        const std::size_t begin = all.seq_offsets[s], count = all.seq_offsets[s + 1] - begin;
        nn::batch_builder one;
        one.add(all.tokens.subspan(begin, count));
        apart += pass.loss(one.get(), std::span(data.targets).subspan(begin, count)).sum;
    }
    BOOST_TEST(together.sum == apart, boost::test_tools::tolerance(1e-12));
}

BOOST_AUTO_TEST_CASE(bad_batches_are_refused) {
    const auto d = test::tiny_dims();
    auto m = test::random_model<nn::arch::llama, reference>(d);
    nn::training_pass pass(m.model);
    nn::batch_builder batch;
    batch.add(std::vector<token>{1, 2, 3});
    BOOST_CHECK_THROW(pass.loss(batch.get(), std::vector<token>{1, 2}), shape_error);
    BOOST_CHECK_THROW(pass.loss(batch.get(), std::vector<token>{1, 2, 32}), config_error);
    batch.add(std::vector<token>{4, -1});
    BOOST_CHECK_THROW(pass.loss(batch.get(), std::vector<token>{1, 2, 3, 4, 5}), config_error);
    batch.clear();
    batch.add(std::vector<token>{1, 2}, 3);
    BOOST_CHECK_THROW(pass.loss(batch.get(), std::vector<token>{1, 2}), config_error);
}

template <class Architecture>
void check_recomputed(const nn::runtime_dims& d) {
    using backend = kernels::cpu<kernels::arch::native>;
    const auto data = two_samples(d.vocab);
    thread_pool pool(2);
    const auto m = nn::make_model<Architecture>(d, backend(pool), nn::init::normal{3});
    std::vector<float> kept;
    for (const auto again : {nn::recompute::none, nn::recompute::selective, nn::recompute::full}) {
        BOOST_TEST_INFO(nn::name_of(again));
        nn::training_pass pass(m.model, backend(pool), again);
        pass.set({.neftune_alpha = 5, .router_loss = 0.1});
        nn::parameter_set<Architecture, float> gradients(d);
        for (int step = 0; step < 2; ++step)
            pass.loss_and_gradients(data.batch.get(), data.targets, 1.0, gradients.get());
        const std::vector<float> all(gradients.flat().begin(), gradients.flat().end());
        if (again == nn::recompute::none) kept = all;
        BOOST_TEST((all == kept));
    }
}

BOOST_AUTO_TEST_CASE(what_is_computed_again_is_the_same_to_the_bit) {
    auto d = test::tiny_dims();
    d.layers = 4;
    check_recomputed<nn::arch::llama>(d);
    d.experts = 5, d.experts_per_token = 2;
    check_recomputed<nn::arch::mixtral>(d);
    BOOST_TEST(nn::kept_activations(d, nn::recompute::full) < nn::kept_activations(d, nn::recompute::selective));
    BOOST_TEST(nn::kept_activations(d, nn::recompute::selective) < nn::kept_activations(d, nn::recompute::none));
    BOOST_CHECK_THROW((void)nn::recompute_from_name("all"), config_error);
}

BOOST_AUTO_TEST_CASE(a_pass_may_compute_in_bfloat16) {
    using backend = kernels::cpu<kernels::arch::native>;
    const auto d = test::tiny_dims();
    const auto data = two_samples(d.vocab);
    thread_pool pool(2);
    const auto m = nn::make_model<nn::arch::llama>(d, backend(pool), nn::init::normal{3});
    nn::parameter_set<nn::arch::llama, float> exact(d), rounded(d);
    nn::training_pass in_float(m.model);
    nn::training_pass in_bf16(m.model, backend(pool, {.compute = compute::bf16}));
    const auto a = in_float.loss_and_gradients(data.batch.get(), data.targets, 1.0, exact.get());
    const auto b = in_bf16.loss_and_gradients(data.batch.get(), data.targets, 1.0, rounded.get());
    BOOST_TEST(a.sum == b.sum, boost::test_tools::tolerance(2e-3));
    double difference = 0, length = 0;
    for (std::size_t i = 0; i < exact.flat().size(); ++i) {
        const auto x = static_cast<double>(exact.flat()[i]);
        difference += std::pow(x - static_cast<double>(rounded.flat()[i]), 2), length += x * x;
    }
    BOOST_TEST(std::sqrt(difference / length) < 0.02);
    BOOST_TEST(difference > 0);  // it was rounded
}

BOOST_AUTO_TEST_SUITE_END()
