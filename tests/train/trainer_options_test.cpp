// The trainer with guards, early stopping, averaged and best weights: what they do, and that a killed run that goes on
// still ends in the bytes of an undisturbed one.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <map>

#include "lab/core/half.hpp"
#include "lab/formats/jsonl.hpp"
#include "lab/train/trainer.hpp"
#include "support/data.hpp"
#include "train/toy.hpp"

BOOST_AUTO_TEST_SUITE(train_trainer_options)

using namespace lab;
using replay::sample_kind;

namespace {
constexpr std::size_t vocab = 17;
constexpr token poison = 16;

/// A bigram that gives no number for batches that begin with `poison`, or a gradient that is `spike` times too large.
class stumbling : public toy::bigram {
public:
    explicit stumbling(double spike = std::numeric_limits<double>::quiet_NaN()) : bigram(vocab), spike_(spike) {}
    double loss_and_gradients(const ragged_batch& batch, std::span<const token> targets, double scale) {
        bool hit = false;
        for (std::size_t s = 0; s < batch.sequences(); ++s) hit |= batch.tokens[batch.seq_offsets[s]] == poison;
        const double sum = bigram::loss_and_gradients(batch, targets, hit ? scale * spike_ : scale);
        return hit && std::isnan(spike_) ? spike_ : sum;
    }

private:
    double spike_;
};

std::vector<replay::training_sample> samples(bool poisoned) {
    auto all = toy::samples(24, vocab, sample_kind::knowledge, "knowledge/a", 1);
    for (auto& s : toy::samples(16, vocab, sample_kind::compositional, "compositional/c", 2)) all.push_back(s);
    for (auto& s : all) s.tokens[0] = static_cast<token>(s.tokens[0] % poison);
    if (poisoned) all[5].tokens[0] = poison;
    return all;
}
std::vector<replay::training_sample> heldout() {
    auto all = toy::samples(4, vocab, sample_kind::knowledge, "knowledge/a", 98);
    for (auto& s : toy::samples(4, vocab, sample_kind::compositional, "compositional/c", 99)) all.push_back(s);
    return all;
}
std::vector<replay::phase> plan() {
    std::vector<replay::phase> phases{{.name = "facts",
                                       .data = replay::content::knowledge,
                                       .learning_rate = 0.5,
                                       .warmup_steps = 2,
                                       .epochs = 6,
                                       .batch_size = 4},
                                      {.name = "skills",
                                       .data = replay::content::compositional,
                                       .learning_rate = 0.5,
                                       .warmup_steps = 2,
                                       .epochs = 6,
                                       .batch_size = 4}};
    return phases;
}

struct outcome {
    std::vector<float> parameters;
    std::string metrics;
    std::vector<formats::json> lines;
    train::run_result result;
};
/// Runs to the end, killed after each of these steps and resumed.
template <class Model = toy::bigram, class Make>
outcome run(const train::trainer_options& base, std::vector<std::uint64_t> kills, const Make& make,
            bool poisoned = false) {
    struct killed {};
    const test::temporary_folder folder;
    for (std::size_t life = 0;; ++life) {
        auto options = base;
        options.seed = 4;
        options.micro_batch_tokens = 16;
        options.folder = folder.path();
        options.resume = true;
        options.checkpoint_seconds = 1e9;
        options.checkpoint_steps = 3;
        Model model = make();
        train::trainer<Model, toy::momentum> trainer(model, {}, samples(poisoned), plan(), {.seed = 4}, options);
        trainer.set_heldout(heldout());
        train::listener on;
        const auto die = [&](std::uint64_t at) {
            if (life < kills.size() && at == kills[life]) throw killed{};
        };
        on.step = [&](const train::step_event& e) { die(e.total_step); };
        on.skipped = [&](const train::skipped_event& e) { die(e.total_step); };
        try {
            outcome o;
            o.result = trainer.run(on);
            o.parameters.assign(model.parameters().begin(), model.parameters().end());
            o.metrics = read_file(folder / "metrics.jsonl");
            formats::for_each_json_line(folder / "metrics.jsonl",
                                        [&](const formats::json& line, std::size_t) { o.lines.push_back(line); });
            return o;
        } catch (const killed&) {
        }
    }
}
const auto plain = [] { return toy::bigram(vocab); };
std::size_t count(const outcome& o, const char* event) {
    return static_cast<std::size_t>(
        std::count_if(o.lines.begin(), o.lines.end(), [&](const auto& line) { return line["event"] == event; }));
}
template <class Model = toy::bigram, class Make>
void check_kills(const train::trainer_options& options, const outcome& expected, const Make& make,
                 bool poisoned = false) {
    for (const auto& kills :
         {std::vector<std::uint64_t>{1, 2, 5}, {4, 8, 12, 16, 20}, {7, 19, 31, 41}, {37, 38, 39, 40}}) {
        const auto actual = run<Model>(options, kills, make, poisoned);
        BOOST_TEST((actual.parameters == expected.parameters));
        BOOST_TEST(actual.metrics == expected.metrics);
    }
}
}  // namespace

// What fails once does not fail again: the run goes on from where it failed, no step is lost and no byte is another.
BOOST_AUTO_TEST_CASE(a_run_that_fails_is_kept_as_it_was_before) {
    struct failing : toy::bigram {
        explicit failing(std::uint64_t step) : bigram(vocab), at(step) {}
        void begin_step(std::uint64_t step) { now = step; }
        double loss_and_gradients(const ragged_batch& batch, std::span<const token> targets, double scale) {
            const double loss = bigram::loss_and_gradients(batch, targets, scale);
            return now == at ? std::numeric_limits<double>::quiet_NaN() : loss;
        }
        std::uint64_t at, now = 0;
    };
    constexpr std::uint64_t never = 1000;
    for (const auto kind : {train::phase_result::last, train::phase_result::best, train::phase_result::ema}) {
        std::string expected;
        std::vector<float> weights;
        // At steps 0 and 36 a phase begins, at 60 both have ended. A score is asked for every five steps.
        for (const auto& bad : {std::pair{never, never},
                                {0, never},
                                {1, never},
                                {17, never},
                                {36, never},
                                {40, never},
                                {never, 0},
                                {never, 2},
                                {never, 7},
                                {never, 9}}) {
            const test::temporary_folder folder;
            std::uint64_t scores = 0;
            bool failed = false;
            for (bool over = false; !over;) {
                failing model(failed ? never : bad.first);
                train::trainer_options o{.seed = 4,
                                         .micro_batch_tokens = 16,
                                         .heldout_every = 5,
                                         .folder = folder.path(),
                                         .resume = true,
                                         .checkpoint_seconds = 1e9,
                                         .result = {.kind = kind}};
                o.watch.patience = 50;
                o.score_name = "a weight";
                o.score = [&](std::size_t) {
                    if (!failed && scores++ == bad.second) throw config_error("no score");
                    return static_cast<double>(model.parameters()[3]);
                };
                train::trainer<failing, toy::momentum> trainer(model, {}, samples(false), plan(), {.seed = 4}, o);
                trainer.set_heldout(heldout());
                std::uint64_t taken = 0;
                train::listener on;
                on.step = [&](const train::step_event&) { ++taken; };
                try {
                    over = trainer.run(on).finished;
                    if (failed && bad.first != never) BOOST_TEST(taken == 60 - bad.first);
                    if (expected.empty()) {
                        expected = read_file(folder / "metrics.jsonl");
                        weights.assign(model.parameters().begin(), model.parameters().end());
                    }
                    BOOST_TEST(read_file(folder / "metrics.jsonl") == expected);
                    BOOST_TEST(std::ranges::equal(model.parameters(), weights));
                } catch (const config_error&) {
                    BOOST_TEST_REQUIRE(!failed);
                    failed = true;
                }
            }
            BOOST_TEST(failed == (bad.first != never || bad.second != never));
        }
    }
}

BOOST_AUTO_TEST_CASE(a_step_that_is_not_finite_is_passed_over_and_told) {
    const auto make = [] { return stumbling(); };
    train::trainer_options o;
    o.guard = {.norm_factor = 50};
    const auto r = run<stumbling>(o, {}, make, true);
    BOOST_TEST(r.result.finished);
    BOOST_TEST(r.result.steps == 36u + 24u);
    BOOST_TEST(count(r, "skipped") == 6u);  // once an epoch
    BOOST_TEST(count(r, "step") == 54u);
    for (const float x : r.parameters) BOOST_REQUIRE(std::isfinite(x));
    for (const auto& line : r.lines)
        if (line["event"] == "skipped") {
            BOOST_TEST(line["loss"].is_null());
            BOOST_TEST(line["why"] == "the loss is not finite");
        }
    check_kills<stumbling>(o, r, make, true);
    BOOST_CHECK_THROW((void)run<stumbling>({}, {}, make, true), config_error);  // without a guard it ends the run
}

BOOST_AUTO_TEST_CASE(a_spike_is_passed_over_where_the_guard_says_so) {
    const auto make = [] { return stumbling(1000.0); };
    train::trainer_options o;
    o.guard = {.norm_factor = 20, .least = 3};
    const auto r = run<stumbling>(o, {}, make, true);
    BOOST_TEST(count(r, "skipped") >= 5u);  // the first may come before there is a median
    BOOST_TEST(count(r, "skipped") <= 6u);
    check_kills<stumbling>(o, r, make, true);
    BOOST_TEST(count(run<stumbling>({}, {}, make, true), "skipped") == 0u);
}

BOOST_AUTO_TEST_CASE(too_many_steps_in_a_row_end_the_run) {
    train::trainer_options o;
    o.guard = {.norm_factor = 20};
    class never : public toy::bigram {
    public:
        never() : bigram(vocab) {}
        double loss_and_gradients(const ragged_batch&, std::span<const token>, double) {
            return std::numeric_limits<double>::infinity();
        }
    };
    BOOST_CHECK_EXCEPTION((void)run<never>(o, {}, [] { return never(); }), config_error, [](const auto& e) {
        return std::string(e.what()).find("step 11: the loss is not finite, and so it was") != std::string::npos;
    });
}

BOOST_AUTO_TEST_CASE(a_phase_hands_on_what_was_asked_for_and_the_same_after_kills) {
    const auto last = run({}, {}, plain);
    for (const auto kind : {train::phase_result::best, train::phase_result::ema, train::phase_result::average}) {
        train::trainer_options o;
        o.heldout_every = 4;
        o.result = {.kind = kind, .average_last = 3, .average_every = 5};
        const auto r = run(o, {}, plain);
        BOOST_TEST((r.parameters != last.parameters));
        BOOST_TEST(count(r, "result") == 2u);
        check_kills(o, r, plain);
    }
}

BOOST_AUTO_TEST_CASE(weights_rounded_stochastically_are_bf16s_and_learn) {
    train::trainer_options o;
    o.stochastic_rounding = true;
    const auto r = run(o, {}, plain), exact = run({}, {}, plain);
    for (const float x : r.parameters) BOOST_REQUIRE(to_float(to_bf16(x)) == x);
    const auto loss = [](const outcome& from) { return from.lines.back()["loss"].template get<double>(); };
    BOOST_TEST(exact.lines.back()["event"] == "heldout");
    BOOST_TEST(loss(r) == loss(exact), boost::test_tools::tolerance(0.02));
    check_kills(o, r, plain);
}

BOOST_AUTO_TEST_CASE(the_best_weights_have_the_lowest_own_loss_that_was_measured) {
    train::trainer_options o;
    o.heldout_every = 4;
    o.result = {.kind = train::phase_result::best};
    const auto r = run(o, {}, plain);
    std::map<std::string, double> lowest;
    for (const auto& line : r.lines) {
        if (line["event"] == "own heldout") {
            auto& at = lowest.try_emplace(line["phase"].get<std::string>(), 1e9).first->second;
            at = std::min(at, line["loss"].get<double>());
        } else if (line["event"] == "result") {
            BOOST_TEST(line["loss"].get<double>() == lowest.at(line["phase"].get<std::string>()));
        }
    }
    BOOST_TEST(lowest.size() == 2u);
    // Random data: what is learnt by heart makes the held-out loss rise, so that the best is not the last.
    toy::bigram model(vocab);
    std::copy(r.parameters.begin(), r.parameters.end(), model.parameters().begin());
    train::heldout_watch watch({.patience = 1});
    watch.set(heldout(), plan(), {}, 16);
    BOOST_TEST(train::evaluate_loss(model, watch.own(1)).loss == lowest.at("skills"));
}

BOOST_AUTO_TEST_CASE(a_score_takes_the_place_of_the_held_out_loss) {
    train::trainer_options o;
    o.heldout_every = 4;
    o.result = {.kind = train::phase_result::best};
    o.score_name = "the fourth measured of each phase, then worse and worse";
    std::size_t phase = 9, asked = 0;
    o.score = [&](std::size_t p) {
        asked = p == std::exchange(phase, p) ? asked + 1 : 1;
        return asked <= 4 ? 0.1 * static_cast<double>(asked) : -1.0;
    };
    const auto r = run(o, {}, plain);
    BOOST_TEST(count(r, "own heldout") == 0u);
    BOOST_TEST(count(r, "score") > 8u);
    for (const auto& line : r.lines)
        if (line["event"] == "result") {
            BOOST_TEST(line["step"] == 16);
            BOOST_TEST(line["score"].get<double>() == 0.4, boost::test_tools::tolerance(1e-12));
        }
    o.score = [](std::size_t) { return 1.0; };
    o.watch = {.patience = 2};
    const auto still = run(o, {}, plain);
    BOOST_TEST(count(still, "stopped early") >= 1u);
    check_kills(o, still, plain);
}

BOOST_AUTO_TEST_CASE(a_phase_without_progress_ends_early) {
    train::trainer_options o;
    o.heldout_every = 3;
    o.watch = {.patience = 2};
    o.result = {.kind = train::phase_result::best};
    const auto r = run(o, {}, plain);
    BOOST_TEST(r.result.finished);
    BOOST_TEST(r.result.steps < 60u);
    BOOST_TEST(count(r, "stopped early") >= 1u);
    check_kills(o, r, plain);
}

BOOST_AUTO_TEST_CASE(forgetting_is_reported_or_stops_the_run) {
    train::trainer_options o;
    o.watch = {.regression = train::regression_action::report, .tolerance = 0.0};
    const auto r = run(o, {}, plain);
    BOOST_TEST(count(r, "earlier phase") == 1u);
    check_kills(o, r, plain);

    const test::temporary_folder folder;
    o.watch.regression = train::regression_action::stop;
    o.folder = folder.path();
    o.resume = true;
    const auto go = [&] {
        toy::bigram model(vocab);
        train::trainer<toy::bigram, toy::momentum> trainer(model, {}, samples(false), plan(), {.seed = 4}, o);
        trainer.set_heldout(heldout());
        return trainer.run().finished;
    };
    BOOST_CHECK_EXCEPTION((void)go(), train::regression_error, [](const auto& e) {
        return std::string(e.what()).find("'skills' raised the held-out loss of 'facts'") != std::string::npos;
    });
    BOOST_TEST(go());  // asked again, it goes on from the checkpoint
}

BOOST_AUTO_TEST_CASE(options_that_lack_what_they_need_are_refused) {
    const auto make = [](const train::trainer_options& o) {
        toy::bigram model(vocab);
        train::trainer<toy::bigram, toy::momentum> trainer(model, {}, samples(false), plan(), {.seed = 4}, o);
        (void)trainer.run();
    };
    train::trainer_options best, patience, average, regression;
    best.result.kind = train::phase_result::best;
    BOOST_CHECK_THROW(make(best), config_error);
    best.heldout_every = 2;
    BOOST_CHECK_THROW(make(best), config_error);  // no held-out samples
    patience.watch.patience = 1;
    BOOST_CHECK_THROW(make(patience), config_error);
    average.heldout_every = 2;
    average.watch.patience = 1;
    average.result.kind = train::phase_result::average;
    BOOST_CHECK_THROW(make(average), config_error);
    regression.watch.regression = train::regression_action::report;
    BOOST_CHECK_THROW(make(regression), config_error);
}

BOOST_AUTO_TEST_CASE(smoothing_and_noise_need_a_model_that_knows_them) {
    auto phases = plan();
    phases[1].label_smoothing = 0.1;
    toy::bigram model(vocab);
    train::trainer<toy::bigram, toy::momentum> trainer(model, {}, samples(false), phases, {.seed = 4}, {});
    BOOST_CHECK_THROW((void)trainer.run(), config_error);
}

BOOST_AUTO_TEST_CASE(settings_are_part_of_the_run_only_where_they_are_not_plain) {
    BOOST_TEST(train::further_settings({}).is_null());
    train::trainer_options o;
    o.heldout_every = 7;
    BOOST_TEST(train::further_settings(o).is_null());
    o.guard.loss_factor = 3;
    BOOST_TEST(train::further_settings(o)["guard"]["loss_factor"] == 3.0);
}

BOOST_AUTO_TEST_SUITE_END()
