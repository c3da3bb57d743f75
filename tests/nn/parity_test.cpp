// Logits, gradients and training losses against transformers and PyTorch (tests/goldens/nn_goldens.py).
#include "lab/nn/batch_builder.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "lab/formats/safetensors.hpp"
#include "lab/nn/load.hpp"
#include "lab/nn/load_trainable.hpp"
#include "lab/nn/save.hpp"
#include "lab/optim/adamw.hpp"
#include "lab/optim/clip.hpp"
#include "nn/difference.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(parity)

namespace {

using namespace lab;

struct golden {
    explicit golden(const std::string& name)
        : folder(test::fixture("nn") / name), file(formats::open_safetensors(folder / "golden.safetensors")) {}
    [[nodiscard]] std::vector<float> floats(const std::string& key) const {
        return formats::to_floats(file.require(key));
    }
    [[nodiscard]] std::vector<token> tokens(const std::string& key) const {
        std::vector<token> list;
        for (const float x : floats(key)) list.push_back(static_cast<token>(x));
        return list;
    }
    std::filesystem::path folder;
    formats::checkpoint file;
};

std::vector<float> all_logits(nn::any_model& model, const std::vector<token>& tokens,
                              const std::vector<std::size_t>& pieces) {
    auto cache = model.make_cache();
    const std::vector ids{cache.create()};
    std::vector<float> logits;
    std::size_t done = 0;
    for (const std::size_t piece : pieces) {
        nn::batch_builder batch;
        batch.add(std::span(tokens).subspan(done, piece), static_cast<std::int32_t>(done));
        std::vector<std::uint32_t> rows(piece);
        for (std::size_t i = 0; i < piece; ++i) rows[i] = static_cast<std::uint32_t>(i);
        const auto part = model.forward(batch.get(), cache, ids, rows);
        logits.insert(logits.end(), part.flat().begin(), part.flat().end());
        done += piece;
    }
    return logits;
}

void check_logits(nn::any_model model, const golden& g) {
    const auto expected = g.floats("logits"), actual = all_logits(model, g.tokens("tokens"), {40});
    const auto [low, high] = std::minmax_element(expected.begin(), expected.end());
    double worst = 0;
    BOOST_REQUIRE(actual.size() == expected.size());
    for (std::size_t i = 0; i < actual.size(); ++i)
        worst = std::max(worst, std::abs(static_cast<double>(actual[i] - expected[i])));
    BOOST_TEST(worst < 1e-4 * static_cast<double>(*high - *low));
    BOOST_TEST(all_logits(model, g.tokens("tokens"), {11, 1, 1, 20, 7}) == actual, boost::test_tools::per_element());
}

const char* const all_models[] = {"llama", "llama_tied_bf16", "mistral", "mixtral", "mixtral_stacked"};
const char* const trained_models[] = {"llama", "llama_tied_bf16", "mistral", "mixtral"};

/// The packed training batch of a golden file.
struct training_data {
    explicit training_data(const golden& g) : targets(g.tokens("train.targets")) {
        const auto tokens = g.tokens("train.tokens"), offsets = g.tokens("train.offsets");
        for (std::size_t s = 0; s + 1 < offsets.size(); ++s)
            batch.add(std::span(tokens).subspan(static_cast<std::size_t>(offsets[s]),
                                                static_cast<std::size_t>(offsets[s + 1] - offsets[s])));
        for (const token t : targets) count += t != no_token ? 1.0 : 0.0;
    }
    nn::batch_builder batch;
    std::vector<token> targets;
    double count = 0;
};

}  // namespace

BOOST_AUTO_TEST_CASE(logits_match_transformers) {
    for (const auto* name : all_models) {
        BOOST_TEST_CONTEXT(name) {
            const golden g(std::string(name) == "mixtral_stacked" ? "mixtral" : name);
            const auto folder = test::fixture("nn") / name;
            check_logits(nn::load_model(folder, {.threads = 2, .compute = compute::f32}), g);
            check_logits(nn::load_model(folder, {.threads = 2, .compute = compute::f32, .pack = false}), g);
            check_logits(nn::load_model(folder, {.expand = dtype::f32, .threads = 1}), g);
        }
    }
}

BOOST_AUTO_TEST_CASE(logits_survive_every_container) {
    for (const auto* name : all_models) {
        BOOST_TEST_CONTEXT(name) {
            const golden g(std::string(name) == "mixtral_stacked" ? "mixtral" : name);
            const test::temporary_folder folder;
            const auto source = nn::load_model(test::fixture("nn") / name, {.threads = 2});
            nn::save_gguf(source, folder / "a.gguf");
            const auto gguf = nn::load_model(folder / "a.gguf", {.threads = 2, .compute = compute::f32});
            BOOST_TEST(!gguf.info().half_split);
            BOOST_TEST((gguf.dims() == source.dims()));
            BOOST_TEST(gguf.info().family == source.info().family);
            check_logits(gguf, g);
            nn::save_safetensors(gguf, folder / "hf", {.max_shard_bytes = 40000});
            const auto back = nn::load_model(folder / "hf", {.threads = 2});
            BOOST_TEST(back.info().half_split);
            BOOST_TEST((back.dims() == source.dims()));
            BOOST_REQUIRE(back.weights().size() == source.weights().size());
            for (std::size_t i = 0; i < back.weights().size(); ++i) {  // there and back: the same bytes
                const auto &a = back.weights()[i], &b = source.weights()[i];
                BOOST_TEST(a.info.name == b.info.name);
                const std::span<const std::byte> x(a.data.data, a.data.rows * a.data.row_stride()),
                    y(b.data.data, b.data.rows * b.data.row_stride());
                BOOST_TEST(std::equal(x.begin(), x.end(), y.begin(), y.end()));
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(gradients_match_pytorch) {
    for (const auto* name : trained_models) {
        BOOST_TEST_CONTEXT(name) {
            const golden g(name);
            const training_data data(g);
            auto model = nn::load_trainable(g.folder, {.threads = 2});
            const double sum = model.loss_and_gradients(data.batch.get(), data.targets, 1.0 / data.count);
            BOOST_TEST(sum / data.count == static_cast<double>(g.floats("train.loss")[0]),
                       boost::test_tools::tolerance(1e-5));
            BOOST_TEST(model.loss(data.batch.get(), data.targets) == sum);
            std::size_t at = 0;
            for (const auto& w : model.weights()) {
                const auto expected = g.floats("grad." + w.info.name);
                const auto actual = model.gradients().subspan(at, w.info.size());
                at += w.info.size();
                BOOST_REQUIRE(expected.size() == actual.size());
                BOOST_TEST_INFO(w.info.name);
                BOOST_TEST(test::relative_difference(actual, expected) < 1e-4);
            }
            BOOST_TEST(at == model.parameters().size());
        }
    }
}

BOOST_AUTO_TEST_CASE(the_router_loss_matches_transformers) {
    const golden g("mixtral");
    const training_data data(g);
    auto model = nn::load_trainable(g.folder, {.threads = 2});
    model.set_training({.router_loss = 0.5});
    const double sum = model.loss_and_gradients(data.batch.get(), data.targets, 1.0 / data.count);
    const double balance = static_cast<double>(g.floats("train.router_loss")[0]);
    BOOST_TEST(sum / data.count == static_cast<double>(g.floats("train.loss")[0]) + 0.5 * balance,
               boost::test_tools::tolerance(1e-5));
    std::size_t at = 0, compared = 0;
    for (const auto& w : model.weights()) {
        const auto actual = model.gradients().subspan(at, w.info.size());
        at += w.info.size();
        if (w.info.role != "router" && w.info.role != "embedding") continue;
        ++compared;
        BOOST_TEST_INFO(w.info.name);
        BOOST_TEST(test::relative_difference(actual, g.floats("router_grad." + w.info.name)) < 1e-4);
    }
    BOOST_TEST(compared == 1 + model.dims().layers);
}

BOOST_AUTO_TEST_CASE(ten_adamw_steps_match_pytorch) {
    for (const auto* name : trained_models) {
        BOOST_TEST_CONTEXT(name) {
            const golden g(name);
            const training_data data(g);
            auto model = nn::load_trainable(g.folder, {.threads = 2});
            optim::adamw optimizer({.beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1},
                                   optim::decay_ranges(model.weights()), &model.pool());
            for (const float expected : g.floats("train.losses")) {
                model.zero_gradients();
                const double loss =
                    model.loss_and_gradients(data.batch.get(), data.targets, 1.0 / data.count) / data.count;
                BOOST_TEST(loss == static_cast<double>(expected), boost::test_tools::tolerance(1e-4));
                const double norm = optim::global_norm(model.gradients(), &model.pool());
                optimizer.step(model.parameters(), model.gradients(), 1e-2, optim::clip_scale(norm, 1.0));
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(training_gives_the_same_bytes_on_any_thread_count) {
    const golden g("llama");
    const training_data data(g);
    std::vector<std::vector<float>> results;
    for (const std::size_t threads : {1u, 2u, 3u}) {
        auto model = nn::load_trainable(g.folder, {.threads = threads});
        optim::adamw optimizer({}, {}, &model.pool());
        for (int step = 0; step < 3; ++step) {
            model.zero_gradients();
            model.loss_and_gradients(data.batch.get(), data.targets, 1.0 / data.count);
            optimizer.step(model.parameters(), model.gradients(), 1e-2,
                           optim::clip_scale(optim::global_norm(model.gradients(), &model.pool()), 1.0));
        }
        const auto p = model.parameters();
        results.emplace_back(p.begin(), p.end());
    }
    BOOST_TEST((results[0] == results[1] && results[0] == results[2]));
}

BOOST_AUTO_TEST_CASE(what_learns_computes_as_what_infers) {
    for (const auto* name : trained_models) BOOST_TEST_CONTEXT(name) {
            check_logits(nn::load_trainable(test::fixture("nn") / name, {.threads = 1}), golden(name));
        }
}

BOOST_AUTO_TEST_CASE(what_cannot_be_trained_says_so) {
    const auto folder = test::fixture("nn") / "llama";
    auto stored = nn::load_model(folder, {.expand = dtype::f32, .threads = 1});
    nn::batch_builder batch;
    batch.add(std::vector<token>{1, 2});
    const std::vector<token> targets{2, 3};
    BOOST_CHECK_THROW(static_cast<void>(stored.parameters()), config_error);
    BOOST_CHECK_THROW(static_cast<void>(stored.gradients()), config_error);
    BOOST_CHECK_THROW(stored.loss(batch.get(), targets), config_error);
    BOOST_CHECK_THROW(stored.loss_and_gradients(batch.get(), targets, 1.0), config_error);
    BOOST_CHECK_THROW(stored.set_training({}), config_error);
    BOOST_CHECK_THROW(static_cast<void>(nn::load_model(folder, {.lora = nn::lora_options{}})), config_error);
    BOOST_CHECK_THROW(static_cast<void>(nn::load_trainable(folder, {.expand = dtype::bf16})), config_error);
    BOOST_CHECK_THROW(static_cast<void>(nn::any_model().info()), config_error);
}

BOOST_AUTO_TEST_SUITE_END()
