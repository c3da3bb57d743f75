// Adapters in forward and backward against derivatives taken without the backward, and against merged weights.
#include "lab/nn/lora_backend.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <complex>
#include <set>

#include "lab/kernels/reference.hpp"
#include "lab/nn/adapters.hpp"
#include "lab/nn/training.hpp"
#include "nn/tiny_models.hpp"

BOOST_AUTO_TEST_SUITE(lora_backend)

namespace {

using namespace lab;
using reference = kernels::reference<double>;
using complex_reference = kernels::reference<std::complex<double>>;
static_assert(backend<nn::lora_backend<reference>> && backend<nn::lora_backend<complex_reference>>);

/// A random base with random adapters: both matrices, so that every gradient is at work.
template <class Architecture, class Base>
struct adapted {
    using S = typename Base::scalar;
    using backend_type = nn::lora_backend<Base>;
    test::owned_model<Architecture, Base> base;
    nn::adapter_set<Architecture, S> adapters;
    backend_type backend;
    nn::model<Architecture, nn::runtime_dims, backend_type> model;

    adapted(const nn::runtime_dims& d, const nn::lora_options& o, bool half_split)
        : base(test::random_model<Architecture, Base>(d, {}, 11, half_split)),
          adapters(d, o),
          backend({}, {.rate = o.dropout, .seed = 9, .step = 3, .active = o.dropout != 0}),
          model(d, nn::with_adapters<Base>(d, base.model.weights(), adapters), backend, half_split) {
        counter_rng rng(21);
        for (S& x : adapters.flat()) x = static_cast<S>(static_cast<float>(0.3 * rng.normal()));
    }
};

using test::two_samples;

template <class Architecture>
void check_by_complex_step(nn::runtime_dims d, const nn::lora_options& o, bool half_split) {
    const auto data = two_samples(d.vocab);
    adapted<Architecture, reference> real(d, o, half_split);
    adapted<Architecture, complex_reference> complex(d, o, half_split);
    nn::adapter_set<Architecture, double> gradients(d, o);
    nn::training_pass pass(real.model, 8);
    const auto loss = pass.loss_and_gradients(data.batch.get(), data.targets, 0.5, gradients.get());
    nn::training_pass complex_pass(complex.model);
    BOOST_TEST(std::real(complex_pass.loss(data.batch.get(), data.targets).sum) == loss.sum,
               boost::test_tools::tolerance(1e-12));
    constexpr double h = 1e-50;
    const auto parameters = complex.adapters.flat();
    counter_rng rng(5);
    const auto along = [&](std::size_t begin, std::size_t end) {
        double expected = 0;
        for (std::size_t i = begin; i < end; ++i) {
            const double direction = rng.normal();
            expected += gradients.flat()[i] * direction;
            parameters[i] += std::complex<double>(0, h * direction);
        }
        const double derivative = 0.5 * complex_pass.loss(data.batch.get(), data.targets).sum.imag() / h;
        for (std::size_t i = begin; i < end; ++i) parameters[i] = std::real(parameters[i]);
        BOOST_TEST(expected == derivative, boost::test_tools::tolerance(1e-9));
        BOOST_TEST(std::abs(derivative) > 1e-6);
    };
    std::size_t at = 0;
    nn::for_each_tensor(
        d,
        [&](const nn::tensor_info& info, auto& handle) {
            if constexpr (requires { handle.b_turned; }) {
                BOOST_TEST_INFO(info.name);
                if (!handle) return;
                along(at, at + handle.a.size());
                at += handle.a.size();
                along(at, at + handle.b_turned.size());
                at += handle.b_turned.size();
            }
        },
        gradients.get());
    BOOST_TEST(at == parameters.size());
}

}  // namespace

BOOST_AUTO_TEST_CASE(adapter_gradients_match_the_complex_step) {
    check_by_complex_step<nn::arch::llama>(test::tiny_dims(), {.rank = 3, .alpha = 5}, true);
}

BOOST_AUTO_TEST_CASE(with_dropout_a_window_and_few_targets_too) {
    auto d = test::tiny_dims();
    d.tied = true;
    d.window = 5;
    check_by_complex_step<nn::arch::mistral>(
        d, {.rank = 4, .dropout = 0.3, .rank_stabilised = true, .targets = {"q", "v_proj", "down"}}, false);
}

BOOST_AUTO_TEST_CASE(experts_take_adapters_routers_do_not) {
    auto d = test::tiny_dims();
    d.experts = 3, d.experts_per_token = 2;
    check_by_complex_step<nn::arch::mixtral>(d, {.rank = 3}, true);
    check_by_complex_step<nn::arch::mixtral>(d, {.rank = 2, .dropout = 0.25, .targets = {"q", "w2", "up"}}, true);
    const auto size = [&](std::vector<std::string> targets) {
        return nn::adapter_set<nn::arch::mixtral, float>(d, {.rank = 2, .targets = std::move(targets)}).flat().size();
    };
    const std::size_t attention = 2 * d.layers * (2 * (24 + 16) + 2 * (12 + 16)),
                      one = 2 * d.layers * d.experts * (d.dim + d.hidden);
    BOOST_TEST(size({"q", "k", "v", "o"}) == attention);
    for (const char* name : {"gate", "gate_proj", "w1", "w2", "w3"}) BOOST_TEST(size({name}) == one);
    BOOST_TEST(size({}) == attention + 3 * one);
    BOOST_CHECK_THROW(size({"router"}), config_error);
}

BOOST_AUTO_TEST_CASE(an_adapted_model_is_the_model_of_the_merged_weights) {
    const auto d = test::tiny_dims();
    const nn::lora_options o{.rank = 2, .alpha = 3};
    adapted<nn::arch::llama, reference> adapted(d, o, true);
    auto merged = test::random_model<nn::arch::llama, reference>(d, {}, 11, true);
    nn::for_each_tensor(
        d,
        [&](const nn::tensor_info&, auto& weight, const auto& adapter) {
            if constexpr (requires { adapter.b_turned; })
                for (std::size_t i = 0; adapter && i < weight.extent(0); ++i)
                    for (std::size_t j = 0; j < weight.extent(1); ++j)
                        for (std::size_t k = 0; k < o.rank; ++k)
                            weight(i, j) += 1.5 * adapter.b_turned(k, i) * adapter.a(k, j);
        },
        merged.parameters->get(), adapted.adapters.get());
    const auto tokens = test::random_tokens(20, d.vocab);
    const auto a = test::all_logits(adapted.model, tokens), b = test::all_logits(merged.model, tokens);
    BOOST_REQUIRE(a.size() == b.size());
    for (std::size_t i = 0; i < a.size(); ++i) BOOST_REQUIRE_SMALL(a[i] - b[i], 1e-10);
}

BOOST_AUTO_TEST_CASE(what_dropout_leaves_out_depends_on_every_part_of_its_key) {
    const auto draw = [](nn::lora_dropout d, std::uint64_t id, std::size_t row) {
        std::vector<bool> kept;
        d.for_row(id, row, 1003, [&](std::size_t j, bool k) {
            BOOST_REQUIRE(j == kept.size());
            kept.push_back(k);
        });
        return kept;
    };
    const nn::lora_dropout base{.rate = 0.25, .seed = 1, .step = 2};
    const auto kept = draw(base, 3, 4);
    BOOST_TEST(kept.size() == 1003u);
    const auto share = static_cast<double>(std::count(kept.begin(), kept.end(), true)) / 1003;
    BOOST_TEST(std::abs(share - 0.75) < 0.05);
    BOOST_TEST((draw(base, 3, 4) == kept));
    std::set<std::vector<bool>> different{kept, draw(base, 3, 5), draw(base, 4, 4)};
    auto other = base;
    other.seed = 7, different.insert(draw(other, 3, 4));
    other = base, other.step = 3, different.insert(draw(other, 3, 4));
    other = base, other.step = std::uint64_t{1} << 40, different.insert(draw(other, 3, 4));
    other = base, other.pass = 1, different.insert(draw(other, 3, 4));
    BOOST_TEST(different.size() == 7u);
}

BOOST_AUTO_TEST_CASE(options_that_make_no_sense_are_refused) {
    const auto d = test::tiny_dims();
    const auto make = [&](const nn::lora_options& o) { nn::adapter_set<nn::arch::llama, float> set(d, o); };
    make({});
    BOOST_CHECK_THROW(make({.rank = 0}), config_error);
    BOOST_CHECK_THROW(make({.alpha = -1}), config_error);
    BOOST_CHECK_THROW(make({.dropout = 1}), config_error);
    BOOST_CHECK_THROW(make({.targets = {"q", "embedding"}}), config_error);
}

BOOST_AUTO_TEST_SUITE_END()
