// Learning from pairs of answers: the loss against its own derivative and against TRL's trainer, and a phase of it that
// is killed and resumed.
#include "lab/train/preference.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>

#include "lab/core/file.hpp"
#include "lab/formats/json.hpp"
#include "lab/formats/jsonl.hpp"
#include "lab/nn/load_trainable.hpp"
#include "lab/train/adamw_update.hpp"
#include "lab/train/trainer.hpp"
#include "support/data.hpp"
#include "train/toy.hpp"

BOOST_AUTO_TEST_SUITE(preference)

using namespace lab;

namespace {

replay::training_sample pair_of(const std::vector<token>& prompt, const std::vector<token>& chosen,
                                const std::vector<token>& rejected) {
    replay::training_sample s;
    for (const auto* answer : {&chosen, &rejected}) {
        s.tokens.insert(s.tokens.end(), prompt.begin(), prompt.end());
        s.trained.resize(s.tokens.size(), 0);
        s.tokens.insert(s.tokens.end(), answer->begin(), answer->end());
        s.trained.resize(s.tokens.size(), 1);
        if (answer == &chosen) s.chosen_tokens = s.tokens.size();
    }
    return s;
}

struct goldens {
    formats::json file = formats::parse_json(read_file(test::fixture("train/preferences.json")), "preferences");
    std::vector<replay::training_sample> pairs;

    goldens() {
        for (const auto& p : file["pairs"]) pairs.push_back(pair_of(p["prompt"], p["chosen"], p["rejected"]));
    }
};

constexpr std::size_t vocab = 13;

/// Answers first, then pairs of them: a plan of two phases.
std::vector<replay::training_sample> both_kinds() {
    auto all = toy::samples(12, vocab, replay::sample_kind::compositional, "compositional/a", 1);
    const auto answers = toy::samples(20, vocab, replay::sample_kind::compositional, "b", 2);
    for (std::size_t i = 0; i + 1 < answers.size(); i += 2)
        all.push_back(pair_of({1, 2, static_cast<token>(i % vocab)}, answers[i].tokens, answers[i + 1].tokens));
    return all;
}
std::vector<replay::phase> two_phases() {
    auto preferences = replay::preference_phase();
    preferences.learning_rate = 4, preferences.warmup_steps = 1, preferences.epochs = 3, preferences.batch_size = 3;
    return {{.name = "answers", .learning_rate = 0.5, .warmup_steps = 2, .epochs = 2, .batch_size = 4}, preferences};
}
using toy_trainer = train::trainer<toy::bigram, toy::momentum>;

struct run_record {
    std::vector<float> parameters;
    std::string metrics;
};
run_record run_of(const std::filesystem::path& folder, bool resume, std::uint64_t checkpoint_steps,
                  const train::listener& on = {}) {
    toy::bigram model(vocab);
    toy_trainer run(model, {}, both_kinds(), two_phases(), {.seed = 4},
                    {.seed = 4,
                     .micro_batch_tokens = 40,
                     .folder = folder,
                     .resume = resume,
                     .checkpoint_seconds = 1e9,
                     .checkpoint_steps = checkpoint_steps});
    (void)run.run(on);
    return {{model.parameters().begin(), model.parameters().end()}, read_file(folder / "metrics.jsonl")};
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_derivative_is_that_of_the_loss) {
    for (const double mistaken : {0.0, 0.1, 0.3})
        for (const double beta : {0.01, 0.1, 2.0})
            for (const double difference : {-900.0, -7.0, -0.1, 0.0, 2.5, 400.0}) {
                const train::preference_options o{beta, mistaken};
                constexpr double h = 1e-5;
                const double numeric =
                    (train::preference_loss(difference + h, o).loss - train::preference_loss(difference - h, o).loss) /
                    (2 * h);
                BOOST_TEST(std::abs(train::preference_loss(difference, o).derivative - numeric) < 1e-6 * (1 + beta));
            }
    BOOST_TEST(train::preference_loss(0.0, {}).loss == std::log(2.0), boost::test_tools::tolerance(1e-15));
    // All are mistaken: the same loss as of the pair the other way round.
    BOOST_TEST(train::preference_loss(3.0, {0.7, 1.0}).loss == train::preference_loss(-3.0, {0.7, 0.0}).loss);
}

// The same weights, pairs and order; rewards are compared as they are, losses by their size.
BOOST_AUTO_TEST_CASE(twenty_steps_are_those_of_trl) {
    const goldens g;
    const auto batch = g.file["batch"].get<std::size_t>();
    std::vector<std::size_t> own(g.pairs.size());
    for (std::size_t i = 0; i < own.size(); ++i) own[i] = i;
    for (const auto& series : g.file["series"])
        for (const std::size_t micro_batch : {0u, 1u, 90u})
            BOOST_TEST_CONTEXT("LoRA " << series["lora"] << ", micro-batch " << micro_batch) {
                nn::load_options options{.threads = 2};
                if (series["lora"].get<bool>()) options.adapter = test::fixture("nn/lora_llama");
                auto model = nn::load_trainable(test::fixture("nn/llama"), options);
                train::adamw_update update({.adamw = {.beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8}, .clip_norm = 0.0}, {},
                                           &model.pool());
                update.reset(model.parameters().size());
                train::preference_learner learner;
                train::gradient_shards one;
                BOOST_TEST(learner.begin(model, g.pairs, own, micro_batch, [](std::size_t) { return true; }));
                for (std::size_t k = 0; k < series["steps"].size(); ++k) {
                    const auto& expected = series["steps"][k];
                    std::vector<std::size_t> chosen;
                    std::vector<const replay::training_sample*> step;
                    for (std::size_t i = 0; i < batch; ++i) {
                        chosen.push_back((batch * k + i) % g.pairs.size());
                        step.push_back(&g.pairs[chosen.back()]);
                    }
                    const auto got = learner.accumulate_gradients(model, replay::pack(step, micro_batch), chosen,
                                                                  {.beta = g.file["beta"].get<double>()}, one);
                    BOOST_TEST_INFO("step " << k);
                    BOOST_TEST(got.loss == expected["loss"].get<double>(), boost::test_tools::tolerance(1e-4));
                    BOOST_TEST_REQUIRE(got.rewards.has_value());
                    BOOST_TEST(std::abs(got.rewards->chosen - expected["reward_chosen"].get<double>()) < 1e-4);
                    BOOST_TEST(std::abs(got.rewards->rejected - expected["reward_rejected"].get<double>()) < 1e-4);
                    if (k != 0)  // before the first step all are equal but for rounding
                        BOOST_TEST(got.rewards->accuracy == expected["reward_accuracy"].get<double>());
                    update.step(model.parameters(), model.gradients(), g.file["rate"].get<double>(),
                                update.norm(model.gradients()));
                }
            }
}

BOOST_AUTO_TEST_CASE(a_phase_begins_with_the_model_as_reference_and_tells_rewards) {
    const test::temporary_folder folder;
    std::vector<train::step_event> compared;
    train::listener on;
    on.step = [&](const train::step_event& e) {
        BOOST_TEST(e.rewards.has_value() == (e.phase == "preferences"));
        if (e.rewards) compared.push_back(e);
    };
    (void)run_of(folder.path(), false, 0, on);
    BOOST_TEST_REQUIRE(!compared.empty());
    BOOST_TEST(compared.front().loss == std::log(2.0), boost::test_tools::tolerance(1e-5));
    BOOST_TEST(compared.back().loss < 0.9 * compared.front().loss);
    BOOST_TEST(compared.back().rewards->chosen > compared.back().rewards->rejected);
    std::size_t lines = 0;
    formats::for_each_json_line(folder / "metrics.jsonl", [&](const formats::json& line, std::size_t) {
        if (!line.contains("reward_chosen")) return;
        BOOST_TEST(line["reward_accuracy"].get<double>() == compared[lines].rewards->accuracy);
        ++lines;
    });
    BOOST_TEST(lines == compared.size());
}

// The reference of a run that is resumed is still the model that the phase began with.
BOOST_AUTO_TEST_CASE(a_run_killed_anywhere_gives_the_same_bytes) {
    const test::temporary_folder reference;
    const auto expected = run_of(reference.path(), false, 0);
    struct killed {};
    for (const std::uint64_t every : {0u, 1u, 2u}) {
        std::size_t deaths = 0;
        for (std::uint64_t kill_at = 1; kill_at < 19; ++kill_at) {
            const test::temporary_folder folder;
            train::listener on;
            on.step = [&](const train::step_event& e) {
                if (e.total_step == kill_at) throw killed{};
            };
            try {
                (void)run_of(folder.path(), true, every, on);
            } catch (const killed&) {
                ++deaths;
            }
            const auto actual = run_of(folder.path(), true, every);
            BOOST_TEST((actual.parameters == expected.parameters));
            BOOST_TEST(actual.metrics == expected.metrics);
        }
        BOOST_TEST(deaths > 14u);
    }
}

BOOST_AUTO_TEST_CASE(a_stop_while_the_reference_is_asked_loses_nothing) {
    const test::temporary_folder reference, folder;
    const auto expected = run_of(reference.path(), false, 0);
    std::size_t done = 0;
    train::listener on;
    on.reference = [&](const train::reference_event& e) {
        BOOST_TEST(e.pairs == 10u);
        done = e.done;
    };
    on.stop = [&] { return done != 0; };
    toy::bigram model(vocab);
    toy_trainer run(model, {}, both_kinds(), two_phases(), {.seed = 4},
                    {.seed = 4, .micro_batch_tokens = 40, .folder = folder.path(), .checkpoint_seconds = 1e9});
    BOOST_TEST(!run.run(on).finished);
    BOOST_TEST((done != 0 && done < 10));
    const auto actual = run_of(folder.path(), true, 0);
    BOOST_TEST((actual.parameters == expected.parameters));
    BOOST_TEST(actual.metrics == expected.metrics);
}

BOOST_AUTO_TEST_CASE(a_model_without_losses_of_sequences_says_so) {
    struct plain : private toy::bigram {
        using bigram::bigram, bigram::parameters, bigram::gradients, bigram::zero_gradients, bigram::loss,
            bigram::loss_and_gradients;
    };
    static_assert(train::Trainable<plain> && !train::PreferenceTrainable<plain>);
    plain model(vocab);
    train::trainer<plain, toy::momentum> run(model, {}, both_kinds(), two_phases(), {}, {});
    BOOST_CHECK_THROW((void)run.run(), config_error);
}

BOOST_AUTO_TEST_SUITE_END()
