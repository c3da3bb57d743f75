// The whole way on a model small enough for a test: it learns facts, forgets them without replay, keeps them with it,
// and a killed run ends in the same bytes.
#include <boost/test/unit_test.hpp>

#include "lab/train/trainer.hpp"
#include "support/data.hpp"
#include "train/tiny_llama.hpp"

BOOST_AUTO_TEST_SUITE(train_tiny_llama)

using namespace lab;

namespace {
std::vector<replay::phase> plan(double replay_ratio) {
    auto phases = *replay::find_phases("lab");
    for (auto& p : phases) p.learning_rate = 4e-3, p.warmup_steps = 5, p.epochs = 120, p.batch_size = 4;
    for (auto& p : phases) p.replay_ratio = p.replays == 0 ? 0.0 : replay_ratio;
    return phases;
}
std::vector<replay::training_sample> all_samples() {
    auto samples = tiny::islands();
    for (auto& s : tiny::reversals()) samples.push_back(std::move(s));
    return samples;
}
using run_type = train::trainer<nn::any_model, train::adamw_update>;

struct outcome {
    double facts_learnt = 0, facts_kept = 0, skill = 0;
};
outcome learn(double replay_ratio) {
    auto model = tiny::llama();
    run_type run(model, tiny::adamw(model), all_samples(), plan(replay_ratio), {.seed = 1}, {.seed = 1});
    outcome o;
    train::listener on;
    on.phase_end = [&](const train::phase_event& e) {
        if (e.name == "knowledge-1") o.facts_learnt = tiny::loss_of(model, tiny::islands());
    };
    BOOST_TEST(run.run(on).finished);
    o.facts_kept = tiny::loss_of(model, tiny::islands());
    o.skill = tiny::loss_of(model, tiny::reversals());
    return o;
}
}  // namespace

BOOST_AUTO_TEST_CASE(replay_keeps_what_the_phase_before_taught) {
    auto untouched = tiny::llama();
    const double before = tiny::loss_of(untouched, tiny::islands());
    const outcome without = learn(0.0), with = learn(0.5);
    BOOST_TEST_MESSAGE("facts: untouched " << before << ", learnt " << without.facts_learnt << ", after the skill "
                                           << without.facts_kept << " without replay, " << with.facts_kept
                                           << " with; skill " << without.skill << ", " << with.skill);
    BOOST_TEST(before > 4.0);  // ln 258 is 5.6: it knew nothing
    BOOST_TEST(without.facts_learnt < 0.1);
    BOOST_TEST(without.facts_learnt == with.facts_learnt);  // the first phase replays nothing
    BOOST_TEST(without.facts_kept > 1.0);
    BOOST_TEST(with.facts_kept < 0.1);
    BOOST_TEST(without.skill < 0.1);
    BOOST_TEST(with.skill < 0.1);
}

BOOST_AUTO_TEST_CASE(cutting_a_step_differently_changes_a_gradient_by_rounding_only) {
    const auto samples = all_samples();
    std::vector<const replay::training_sample*> step;
    for (const auto& s : samples) step.push_back(&s);
    auto whole = tiny::llama(), cut = tiny::llama();
    const double one = train::accumulate_gradients(whole, replay::pack(step, 0)).loss;
    const auto packed = replay::pack(step, 100);
    BOOST_REQUIRE(packed.size() > 5u);
    const double many = train::accumulate_gradients(cut, packed).loss;
    BOOST_TEST(one == many, boost::test_tools::tolerance(1e-6));
    double difference = 0, norm = 0;
    for (std::size_t i = 0; i < whole.gradients().size(); ++i) {
        const auto a = static_cast<double>(whole.gradients()[i]), b = static_cast<double>(cut.gradients()[i]);
        difference += (a - b) * (a - b);
        norm += a * a;
    }
    BOOST_TEST(std::sqrt(difference / norm) < 1e-5);
}

BOOST_AUTO_TEST_CASE(a_killed_run_on_any_number_of_threads_ends_in_the_same_bytes) {
    struct killed {};
    const auto train = [&](const std::filesystem::path& folder, std::uint64_t every, std::vector<std::uint64_t> kills,
                           std::size_t threads) {
        for (std::size_t life = 0;; ++life) {
            auto model = tiny::llama(3, threads + life % 2);
            auto phases = plan(0.5);
            for (auto& p : phases) p.epochs = 3;
            run_type run(
                model, tiny::adamw(model), all_samples(), phases, {.seed = 1},
                {.seed = 1, .micro_batch_tokens = 120, .folder = folder, .resume = true, .checkpoint_steps = every});
            train::listener on;
            on.step = [&](const train::step_event& e) {
                if (life < kills.size() && e.total_step == kills[life]) throw killed{};
            };
            try {
                (void)run.run(on);
                return std::vector<float>(model.parameters().begin(), model.parameters().end());
            } catch (const killed&) {
            }
        }
    };
    const test::temporary_folder a, b, c;
    const auto expected = train(a.path(), 0, {}, 1);
    BOOST_CHECK(train(b.path(), 2, {3, 5, 12}, 1) == expected);
    BOOST_CHECK(train(c.path(), 0, {4, 11}, 2) == expected);
    BOOST_TEST(read_file(b.path() / "metrics.jsonl") == read_file(a.path() / "metrics.jsonl"));
    BOOST_TEST(read_file(c.path() / "metrics.jsonl") == read_file(a.path() / "metrics.jsonl"));
}

BOOST_AUTO_TEST_SUITE_END()
