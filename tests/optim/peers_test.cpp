// Optimizers against PyTorch and transformers (tests/goldens/optim_goldens.py).
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "lab/formats/safetensors.hpp"
#include "lab/nn/batch_builder.hpp"
#include "lab/nn/load_trainable.hpp"
#include "lab/train/optimizer.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(optimizer_peers)

namespace {
using namespace lab;

struct peer {
    std::string name;
    double rate;
    train::optimizer_options options;
};
std::vector<peer> peers() {
    using train::optimizer;
    const auto sgd = [](double momentum, bool nesterov, double decay) {
        return train::optimizer_options{
            .kind = optimizer::sgd, .sgd = {momentum, nesterov, decay}, .decay = {.vectors = true}, .clip_norm = 0};
    };
    const auto adafactor = [](bool relative) {
        return train::optimizer_options{.kind = optimizer::adafactor,
                                        .adafactor = {.relative = relative, .weight_decay = 0.1},
                                        .decay = {.vectors = true},
                                        .clip_norm = 0};
    };
    return {{"sgd", 0.05, sgd(0.9, false, 0.1)},
            {"sgd_plain", 0.2, sgd(0, false, 0)},
            {"sgd_nesterov", 0.05, sgd(0.9, true, 0.1)},
            {"adafactor", 1e-2, adafactor(false)},
            {"adafactor_relative", 5e-2, adafactor(true)}};
}
formats::checkpoint golden() { return formats::open_safetensors(test::fixture("optim/golden.safetensors")); }
}  // namespace

BOOST_AUTO_TEST_CASE(ten_steps_with_given_gradients_end_where_the_peers_end) {
    const auto file = golden();
    const auto floats = [&](const std::string& key) { return formats::to_floats(file.require(key)); };
    const std::vector<optim::parameter_tensor> tensors{{5, 7, true, true}, {1, 3, false, true}, {16, 4, true, true}};
    const char* names[] = {"a", "b", "c"};
    for (const auto& [name, rate, options] : peers()) {
        BOOST_TEST_CONTEXT(name) {
            std::vector<float> parameters;
            for (const auto* tensor : names)
                for (const float x : floats(std::string("start.") + tensor)) parameters.push_back(x);
            train::optimizer_update update(options, tensors);
            update.reset(parameters.size());
            for (std::size_t step = 0; step < 10; ++step) {
                std::vector<float> gradients, expected;
                for (std::size_t t = 0; t < 3; ++t) {
                    const auto n = static_cast<std::ptrdiff_t>(tensors[t].size());
                    const auto part = [&](std::vector<float>& to, const std::string& key) {
                        const auto all = floats(key);
                        const auto at = all.begin() + static_cast<std::ptrdiff_t>(step) * n;
                        to.insert(to.end(), at, at + n);
                    };
                    part(gradients, std::string("gradients.") + names[t]);
                    part(expected, name + "." + names[t]);
                }
                update.step(parameters, gradients, rate, update.norm(gradients));
                double worst = 0;
                for (std::size_t i = 0; i < parameters.size(); ++i)
                    worst = std::max(worst, std::abs(static_cast<double>(parameters[i] - expected[i])));
                BOOST_TEST(worst < 2e-6);
            }
            BOOST_TEST(update.steps() == 10u);
        }
    }
}

BOOST_AUTO_TEST_CASE(ten_steps_of_a_model_have_the_peers_losses) {
    const auto file = golden();
    const auto folder = test::fixture("nn/llama");
    const auto given = formats::open_safetensors(folder / "golden.safetensors");
    const auto ids = [&](const std::string& key) {
        std::vector<token> list;
        for (const float x : formats::to_floats(given.require(key))) list.push_back(static_cast<token>(x));
        return list;
    };
    const auto tokens = ids("train.tokens"), targets = ids("train.targets"), offsets = ids("train.offsets");
    nn::batch_builder batch;
    for (std::size_t s = 0; s + 1 < offsets.size(); ++s)
        batch.add(std::span(tokens).subspan(static_cast<std::size_t>(offsets[s]),
                                            static_cast<std::size_t>(offsets[s + 1] - offsets[s])));
    double count = 0;
    for (const token t : targets) count += t != no_token;
    for (auto [name, rate, options] : peers()) {
        BOOST_TEST_CONTEXT(name) {
            options.clip_norm = 1.0;
            auto model = nn::load_trainable(folder, {.threads = 2});
            train::optimizer_update update(options, optim::parameter_tensors(model.weights(), options.decay),
                                           &model.pool());
            update.reset(model.parameters().size());
            for (const float expected : formats::to_floats(file.require(name + ".losses"))) {
                model.zero_gradients();
                const double loss = model.loss_and_gradients(batch.get(), targets, 1.0 / count) / count;
                BOOST_TEST(loss == static_cast<double>(expected), boost::test_tools::tolerance(1e-4));
                update.step(model.parameters(), model.gradients(), rate, update.norm(model.gradients()));
            }
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
