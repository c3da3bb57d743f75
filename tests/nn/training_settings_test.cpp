// Label smoothing against PyTorch (tests/goldens/optim_goldens.py), noise on embeddings against its definition.
#include "lab/nn/training_settings.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "lab/formats/safetensors.hpp"
#include "lab/nn/batch_builder.hpp"
#include "lab/nn/finite.hpp"
#include "lab/nn/load_trainable.hpp"
#include "nn/difference.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(training_settings)

namespace {
using namespace lab;

struct packed {
    packed() {
        const auto file = formats::open_safetensors(test::fixture("nn/llama/golden.safetensors"));
        const auto ids = [&](const char* key) {
            std::vector<token> list;
            for (const float x : formats::to_floats(file.require(key))) list.push_back(static_cast<token>(x));
            return list;
        };
        const auto tokens = ids("train.tokens"), offsets = ids("train.offsets");
        targets = ids("train.targets");
        for (std::size_t s = 0; s + 1 < offsets.size(); ++s)
            batch.add(std::span(tokens).subspan(static_cast<std::size_t>(offsets[s]),
                                                static_cast<std::size_t>(offsets[s + 1] - offsets[s])));
        for (const token t : targets) count += t != no_token;
    }
    nn::batch_builder batch;
    std::vector<token> targets;
    double count = 0;
};
nn::any_model load(std::size_t threads = 1) {
    return nn::load_trainable(test::fixture("nn/llama"), {.threads = threads});
}
std::vector<float> gradients_of(nn::any_model& model, const packed& data, const nn::training_settings& settings) {
    model.zero_gradients();
    model.set_training(settings);
    (void)model.loss_and_gradients(data.batch.get(), data.targets, 1.0 / data.count);
    const auto g = model.gradients();
    return {g.begin(), g.end()};
}
}  // namespace

BOOST_AUTO_TEST_CASE(label_smoothing_matches_pytorch) {
    const auto golden = formats::open_safetensors(test::fixture("optim/golden.safetensors"));
    const packed data;
    auto model = load();
    const double plain = model.loss(data.batch.get(), data.targets);
    model.set_training({.label_smoothing = 0.1});
    const double loss = model.loss_and_gradients(data.batch.get(), data.targets, 1.0 / data.count) / data.count;
    BOOST_TEST(loss == static_cast<double>(formats::to_floats(golden.require("smooth.loss"))[0]),
               boost::test_tools::tolerance(1e-5));
    BOOST_TEST(model.loss(data.batch.get(), data.targets) == plain);  // what is watched is not smoothed
    std::size_t at = 0, compared = 0;
    for (const auto& w : model.weights()) {
        const auto actual = model.gradients().subspan(at, w.info.size());
        at += w.info.size();
        if (w.info.name != "lm_head.weight" && w.info.name != "model.norm.weight" &&
            w.info.name.find("layers.0.mlp.up") == std::string::npos)
            continue;
        const auto expected = formats::to_floats(golden.require("smooth.grad." + w.info.name));
        BOOST_TEST_INFO(w.info.name);
        BOOST_TEST(test::relative_difference(actual, expected) < 1e-4);
        ++compared;
    }
    BOOST_TEST(compared == 3u);
}

BOOST_AUTO_TEST_CASE(rows_without_a_target_are_not_smoothed) {
    std::vector<double> logits{1, 2, 3, 4, 5, 6}, losses{7, 8};
    const std::vector<token> targets{no_token, 2};
    nn::smooth_losses<double>({logits.data(), {2, 3}}, targets, 0.3, {losses.data(), {2}});
    BOOST_TEST(losses[0] == 7.0);
    BOOST_TEST(losses[1] == 8.0 + 0.3 * (6.0 - 5.0), boost::test_tools::tolerance(1e-12));
    nn::smooth_gradients<double>({logits.data(), {2, 3}}, targets, 0.3, 2.0);
    BOOST_TEST(logits[0] == 1.0);
    BOOST_TEST(logits[3] == 4.0 - 0.2, boost::test_tools::tolerance(1e-12));
    BOOST_TEST(logits[5] == 6.0 - 0.2 + 0.6, boost::test_tools::tolerance(1e-12));
}

BOOST_AUTO_TEST_CASE(noise_is_uniform_and_a_function_of_seed_step_and_row) {
    constexpr std::size_t dim = 30, rows = 400;
    nn::batch_builder builder;
    builder.add(std::vector<token>(rows - 100, 1));
    builder.add(std::vector<token>(100, 1));
    const auto noise = [&](std::uint64_t seed, std::uint64_t step, std::uint64_t first) {
        std::vector<float> x(rows * dim);
        nn::add_embedding_noise<float>({.neftune_alpha = 5, .noise_seed = seed, .noise_step = step}, builder.get(),
                                       first, {x.data(), {rows, dim}});
        return x;
    };
    const auto x = noise(1, 2, 0);
    double sum = 0, squares = 0;
    const double size = 5 / std::sqrt(300.0 * dim), second = 5 / std::sqrt(100.0 * dim);
    for (std::size_t i = 0; i < x.size(); ++i) {
        const double scaled = static_cast<double>(x[i]) / (i < 300 * dim ? size : second);
        BOOST_REQUIRE(std::abs(scaled) <= 1.0 + 1e-6);
        sum += scaled;
        squares += scaled * scaled;
    }
    const auto n = static_cast<double>(x.size());
    BOOST_TEST(std::abs(sum / n) < 0.02);                   // 3.8 standard errors
    BOOST_TEST(std::abs(squares / n - 1.0 / 3.0) < 0.012);  // 4.4
    BOOST_TEST((noise(1, 2, 0) == x));
    BOOST_TEST((noise(2, 2, 0) != x));
    BOOST_TEST((noise(1, 3, 0) != x));
    const auto later = noise(1, 2, 1);  // the same rows, one further
    for (std::size_t i = 0; i < 299 * dim; ++i) BOOST_REQUIRE(later[i] == x[i + dim]);
}

BOOST_AUTO_TEST_CASE(training_with_noise_gives_the_same_bytes_on_any_thread_count) {
    const packed data;
    const nn::training_settings noisy{.label_smoothing = 0.1, .neftune_alpha = 5, .noise_seed = 3, .noise_step = 9};
    auto one = load(1), three = load(3);
    const auto expected = gradients_of(one, data, noisy);
    BOOST_TEST((gradients_of(three, data, noisy) == expected));
    BOOST_TEST((gradients_of(one, data, noisy) == expected));  // said again, it starts anew
    auto fresh = load(1);
    fresh.zero_gradients();
    (void)fresh.loss_and_gradients(data.batch.get(), data.targets, 1.0 / data.count);
    const auto plain = gradients_of(one, data, {});
    BOOST_TEST((plain == std::vector<float>(fresh.gradients().begin(), fresh.gradients().end())));
    BOOST_TEST((plain != expected));
}

BOOST_AUTO_TEST_CASE(gradients_with_noise_are_those_of_the_noisy_loss) {
    const packed data;
    const nn::training_settings noisy{.label_smoothing = 0.2, .neftune_alpha = 10, .noise_seed = 3, .noise_step = 9};
    auto model = load();
    const auto g = gradients_of(model, data, noisy);
    const auto loss_at = [&](std::size_t i, float offset) {
        const auto p = model.parameters();
        const float kept = p[i];
        p[i] = kept + offset;
        model.set_training(noisy);
        const double loss = model.loss_and_gradients(data.batch.get(), data.targets, 0.0) / data.count;
        p[i] = kept;
        return loss;
    };
    for (const std::size_t i : {std::size_t{100}, g.size() / 2, g.size() - 300}) {
        const double slope = (loss_at(i, 1e-2f) - loss_at(i, -1e-2f)) / 2e-2;
        BOOST_TEST(std::abs(slope - static_cast<double>(g[i])) < 1e-4 + 0.02 * std::abs(slope));
    }
}

BOOST_AUTO_TEST_CASE(a_weight_that_is_no_number_is_named) {
    auto model = load();
    nn::require_finite(model);
    model.parameters()[64 * 32 + 5] = std::numeric_limits<float>::quiet_NaN();  // behind the embedding [64, 32]
    BOOST_CHECK_EXCEPTION(nn::require_finite(model), config_error, [](const auto& e) {
        return std::string(e.what()).find("'model.layers.0.input_layernorm.weight', row 0, column 5 is not a number") !=
               std::string::npos;
    });
}

BOOST_AUTO_TEST_SUITE_END()
