// A hundred steps against PyTorch's (tests/goldens/steps_goldens.py): the same weights, data and order, packed or not,
// in one micro-batch or many, clipped or not, all weights or an adapter.
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "lab/core/file.hpp"
#include "lab/formats/json.hpp"
#include "lab/nn/load_trainable.hpp"
#include "lab/optim/groups.hpp"
#include "lab/replay/packing.hpp"
#include "lab/train/adamw_update.hpp"
#include "lab/train/step.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(hundred_steps)

using namespace lab;

namespace {

struct goldens {
    formats::json file = formats::parse_json(read_file(test::fixture("train/hundred_steps.json")), "hundred_steps");
    std::vector<replay::training_sample> samples;

    goldens() {
        for (const auto& s : file["samples"]) {
            replay::training_sample t;
            t.tokens = s["tokens"].get<std::vector<token>>();
            for (std::size_t i = 0; i < t.tokens.size(); ++i) t.trained.push_back(i >= s["prompt"].get<std::size_t>());
            samples.push_back(std::move(t));
        }
    }
    [[nodiscard]] std::vector<double> losses(const char* compute, bool lora, double clip) const {
        for (const auto& s : file["series"])
            if (s["compute"] == compute && s["lora"] == lora && s["clip"] == clip)
                return s["losses"].get<std::vector<double>>();
        throw std::runtime_error("no such series");
    }
};

/// The losses before each step. `micro_batch` tokens are computed at once: 1 takes each sample alone, 0 all of a step.
std::vector<double> losses_of(const goldens& g, lab::compute arithmetic, bool lora, double clip,
                              std::size_t micro_batch) {
    nn::load_options options{.threads = 2, .training = arithmetic};
    if (lora) options.adapter = test::fixture("nn/lora_llama");
    auto model = nn::load_trainable(test::fixture("nn/llama"), options);
    train::adamw_update update(
        {.adamw = {.beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1}, .clip_norm = clip},
        lora ? std::vector<optim::parameter_range>{} : optim::decay_ranges(model.weights()), &model.pool());
    update.reset(model.parameters().size());
    const auto batch = g.file["batch"].get<std::size_t>(), warmup = g.file["warmup"].get<std::size_t>();
    std::vector<double> losses;
    for (std::size_t k = 0; k < 100; ++k) {
        std::vector<const replay::training_sample*> step;
        for (std::size_t i = 0; i < batch; ++i) step.push_back(&g.samples[(batch * k + i) % g.samples.size()]);
        losses.push_back(train::accumulate_gradients(model, replay::pack(step, micro_batch)).loss);
        const double share = std::min(1.0, static_cast<double>(k + 1) / static_cast<double>(warmup));
        update.step(model.parameters(), model.gradients(), g.file["rate"].get<double>() * share,
                    update.norm(model.gradients()));
    }
    return losses;
}

double worst(const std::vector<double>& a, const std::vector<double>& b) {
    BOOST_TEST_REQUIRE(a.size() == b.size());
    double most = 0;
    for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(a[i] / b[i] - 1));
    return most;
}

}  // namespace

BOOST_AUTO_TEST_CASE(losses_are_pytorchs) {
    const goldens g;
    for (const bool lora : {false, true})
        for (const double clip : {0.0, 0.5}) {
            const auto expected = g.losses("f32", lora, clip);
            for (const std::size_t micro_batch : {0u, 1u, 70u})
                BOOST_TEST_CONTEXT("LoRA " << lora << ", clip " << clip << ", micro-batch " << micro_batch)
            BOOST_TEST(worst(losses_of(g, compute::f32, lora, clip, micro_batch), expected) < 1e-4);
        }
}

BOOST_AUTO_TEST_CASE(in_bf16_they_stray_no_further_than_pytorchs_own) {
    const goldens g;
    for (const bool lora : {false, true})
        for (const double clip : {0.0, 0.5}) BOOST_TEST_CONTEXT("LoRA " << lora << ", clip " << clip) {
                const auto exact = g.losses("f32", lora, clip);
                const double band = worst(g.losses("bf16", lora, clip), exact);
                const double ours = worst(losses_of(g, compute::bf16, lora, clip, 0), exact);
                BOOST_TEST(ours > 1e-7);  // it is another arithmetic
                BOOST_TEST(ours < 1.5 * band);
            }
}

BOOST_AUTO_TEST_SUITE_END()
