#include "lab/train/trainer.hpp"

#include <boost/test/unit_test.hpp>

#include "lab/formats/jsonl.hpp"
#include "lab/train/optimizer.hpp"
#include "support/data.hpp"
#include "train/toy.hpp"

BOOST_AUTO_TEST_SUITE(train_trainer)

using namespace lab;
using replay::sample_kind;

namespace {
constexpr std::size_t vocab = 17;

std::vector<replay::training_sample> mixed() {
    auto all = toy::samples(20, vocab, sample_kind::knowledge, "knowledge/a", 1);
    for (const auto& [kind, leaf] :
         {std::pair{sample_kind::foundational, "foundational/b"}, {sample_kind::compositional, "compositional/c"}})
        for (auto& s : toy::samples(14, vocab, kind, leaf, 2 + static_cast<unsigned>(kind))) all.push_back(s);
    for (std::size_t i = 0; i < 6; ++i) all[i].response_tokens = 80;  // long knowledge
    return all;
}
std::vector<replay::phase> plan() {
    auto phases = *replay::find_phases("lab");
    for (auto& p : phases) p.learning_rate = 0.5, p.warmup_steps = 2, p.epochs = 3, p.batch_size = 4;
    return phases;
}
using toy_trainer = train::trainer<toy::bigram, toy::momentum>;

struct run_record {
    std::vector<float> parameters;
    std::string metrics;
};
run_record record(toy::bigram& model, const std::filesystem::path& folder) {
    return {{model.parameters().begin(), model.parameters().end()}, read_file(folder / "metrics.jsonl")};
}
run_record uninterrupted(const std::filesystem::path& folder) {
    toy::bigram model(vocab);
    toy_trainer run(model, {}, mixed(), plan(), {.seed = 4},
                    {.seed = 4, .micro_batch_tokens = 16, .heldout_every = 4, .folder = folder});
    run.set_heldout(toy::samples(3, vocab, sample_kind::knowledge, "h", 99));
    BOOST_TEST(run.run().finished);
    return record(model, folder);
}
}  // namespace

BOOST_AUTO_TEST_CASE(the_learning_rate_warms_up_and_then_follows_its_schedule) {
    replay::phase p{.name = "p", .learning_rate = 1.0, .warmup_steps = 4};
    const auto close = boost::test_tools::tolerance(1e-12);
    BOOST_TEST(train::learning_rate(p, 0, 104) == 0.25, close);
    BOOST_TEST(train::learning_rate(p, 3, 104) == 1.0, close);
    BOOST_TEST(train::learning_rate(p, 103, 104) == 1.0, close);
    p.schedule = replay::schedule_kind::linear;
    BOOST_TEST(train::learning_rate(p, 54, 104) == 0.5, close);
    p.schedule = replay::schedule_kind::cosine;
    BOOST_TEST(train::learning_rate(p, 54, 104) == 0.5, close);
    BOOST_TEST(train::learning_rate(p, 4, 104) == 1.0, close);
    p.schedule = replay::schedule_kind::wsd;
    BOOST_TEST(train::learning_rate(p, 83, 104) == 1.0, close);
    BOOST_TEST(train::learning_rate(p, 94, 104) == 0.5, close);
    p.warmup_steps = 0;
    BOOST_TEST(train::learning_rate(p, 0, 1) == 1.0, close);
}

BOOST_AUTO_TEST_CASE(a_run_learns_and_tells_about_it) {
    const test::temporary_folder folder;
    toy::bigram model(vocab);
    toy_trainer run(model, {}, mixed(), plan(), {.seed = 4}, {.seed = 4, .folder = folder.path()});
    std::vector<std::string> begun, ended;
    std::vector<double> losses;
    std::uint64_t tokens = 0;
    train::listener on;
    on.phase_begin = [&](const train::phase_event& e) { begun.emplace_back(e.name); };
    on.phase_end = [&](const train::phase_event& e) { ended.emplace_back(e.name); };
    on.step = [&](const train::step_event& e) {
        losses.push_back(e.loss);
        tokens = e.tokens_done;
        BOOST_TEST(e.total_step == losses.size());
        BOOST_TEST(e.tokens_total == run.total_tokens());
    };
    const auto result = run.run(on);
    BOOST_TEST(result.finished);
    BOOST_TEST(begun == (std::vector<std::string>{"knowledge-1", "knowledge-2", "skills"}),
               boost::test_tools::per_element());
    BOOST_TEST(ended == begun, boost::test_tools::per_element());
    BOOST_TEST(losses.size() == run.total_steps());
    BOOST_TEST(tokens == run.total_tokens());
    BOOST_TEST(losses.back() < losses.front());
    std::size_t steps = 0;
    formats::for_each_json_line(folder / "metrics.jsonl", [&](const formats::json& line, std::size_t) {
        steps += line["event"] == "step";
        BOOST_TEST(!line.contains("seconds"));
    });
    BOOST_TEST(steps == losses.size());
}

BOOST_AUTO_TEST_CASE(two_runs_with_one_seed_agree_to_the_byte_and_another_seed_does_not) {
    const test::temporary_folder a, b;
    const auto one = uninterrupted(a.path()), two = uninterrupted(b.path());
    BOOST_TEST(one.parameters == two.parameters, boost::test_tools::per_element());
    BOOST_TEST(one.metrics == two.metrics);
    toy::bigram model(vocab);
    toy_trainer other(model, {}, mixed(), plan(), {.seed = 5}, {.seed = 5, .micro_batch_tokens = 16});
    (void)other.run();
    BOOST_CHECK(one.parameters != std::vector<float>(model.parameters().begin(), model.parameters().end()));
}

// Stopped at every possible step, and again after a resume; with checkpoints at all, some or no steps inside phases;
// what lies behind the last checkpoint is lost, as by kill -9.
BOOST_AUTO_TEST_CASE(a_resumed_run_gives_the_bytes_of_an_uninterrupted_one) {
    const test::temporary_folder reference;
    const auto expected = uninterrupted(reference.path());
    struct killed {};
    for (const std::uint64_t every : {0u, 1u, 3u}) {
        bool finished = false;
        for (std::uint64_t kill_at = 1; !finished; kill_at += every == 1 ? 1 : 5) {
            const test::temporary_folder folder;
            std::uint64_t lives = 0;
            finished = true;
            for (bool over = false; !over; ++lives) {
                toy::bigram model(vocab);
                toy_trainer run(model, {}, mixed(), plan(), {.seed = 4},
                                {.seed = 4,
                                 .micro_batch_tokens = 16,
                                 .heldout_every = 4,
                                 .folder = folder.path(),
                                 .resume = true,
                                 .checkpoint_seconds = 1e9,
                                 .checkpoint_steps = every});
                run.set_heldout(toy::samples(3, vocab, sample_kind::knowledge, "h", 99));
                train::listener on;
                on.step = [&](const train::step_event& e) {
                    if (lives < 2 && e.total_step == kill_at + 7 * lives) throw killed{};
                };
                try {
                    BOOST_TEST(run.run(on).finished);
                    over = true;
                    const auto actual = record(model, folder.path());
                    BOOST_TEST((actual.parameters == expected.parameters));
                    BOOST_TEST(actual.metrics == expected.metrics);
                } catch (const killed&) {
                    finished = false;
                }
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(a_torn_newest_checkpoint_costs_time_but_no_byte) {
    const test::temporary_folder reference, folder;
    const auto expected = uninterrupted(reference.path());
    const auto options = [&] {
        return train::trainer_options{.seed = 4,
                                      .micro_batch_tokens = 16,
                                      .heldout_every = 4,
                                      .folder = folder.path(),
                                      .resume = true,
                                      .checkpoint_steps = 2};
    };
    {
        toy::bigram model(vocab);
        toy_trainer run(model, {}, mixed(), plan(), {.seed = 4}, options());
        run.set_heldout(toy::samples(3, vocab, sample_kind::knowledge, "h", 99));
        train::listener on;
        std::uint64_t seen = 0;
        on.step = [&](const train::step_event& e) { seen = e.total_step; };
        on.stop = [&] { return seen == 15; };
        BOOST_TEST(!run.run(on).finished);
    }
    const auto torn = folder.path() / "checkpoints" / "step-00000015.ckpt";
    BOOST_REQUIRE(std::filesystem::exists(torn));
    std::filesystem::resize_file(torn, std::filesystem::file_size(torn) / 2);
    toy::bigram model(vocab);
    toy_trainer run(model, {}, mixed(), plan(), {.seed = 4}, options());
    run.set_heldout(toy::samples(3, vocab, sample_kind::knowledge, "h", 99));
    train::listener on;
    std::vector<std::string> notices;
    on.notice = [&](const std::string& text) { notices.push_back(text); };
    BOOST_TEST(run.run(on).finished);
    BOOST_REQUIRE(notices.size() == 1u);
    BOOST_TEST(notices[0].find("damaged") != std::string::npos);
    const auto actual = record(model, folder.path());
    BOOST_TEST(actual.parameters == expected.parameters, boost::test_tools::per_element());
    BOOST_TEST(actual.metrics == expected.metrics);
}

BOOST_AUTO_TEST_CASE(a_checkpoint_of_another_run_is_refused) {
    const test::temporary_folder folder;
    (void)uninterrupted(folder.path());
    const auto refused = [&](std::uint64_t seed, std::vector<replay::training_sample> samples,
                             std::uint64_t model_seed) {
        toy::bigram model(vocab, model_seed);
        toy_trainer run(model, {}, std::move(samples), plan(), {.seed = seed},
                        {.seed = seed, .micro_batch_tokens = 16, .folder = folder.path(), .resume = true});
        try {
            (void)run.run();
            return false;
        } catch (const config_error&) {
            return true;
        }
    };
    BOOST_TEST(!refused(4, mixed(), 1));
    BOOST_TEST(refused(5, mixed(), 1));
    BOOST_TEST(refused(4, mixed(), 2));
    auto changed = mixed();
    changed[3].tokens[1] ^= 1;
    BOOST_TEST(refused(4, changed, 1));
}

BOOST_AUTO_TEST_CASE(a_checkpoint_of_another_optimizer_is_refused_by_name) {
    using tensors = std::vector<optim::parameter_tensor>;
    const test::temporary_folder folder;
    const auto trained = [&](const train::optimizer_options& o, bool resume) {
        toy::bigram model(vocab);
        train::trainer<toy::bigram, train::optimizer_update> run(
            model, train::optimizer_update(o, tensors{{vocab, vocab, true, true}}), mixed(), plan(), {.seed = 4},
            {.seed = 4, .folder = folder.path(), .resume = resume, .checkpoint_steps = 2});
        train::listener on;
        std::uint64_t seen = 0;
        on.step = [&](const train::step_event& e) { seen = e.total_step; };
        on.stop = [&] { return seen == 9 && !resume; };
        return run.run(on).finished;
    };
    for (const auto kind : {train::optimizer::adamw, train::optimizer::sgd, train::optimizer::adafactor}) {
        BOOST_TEST(!trained({.kind = kind}, false));
        const auto other = kind == train::optimizer::sgd ? train::optimizer::adamw : train::optimizer::sgd;
        BOOST_CHECK_EXCEPTION((void)trained({.kind = other}, true), config_error, [](const auto& e) {
            return std::string(e.what()).find("was written by the optimizer") != std::string::npos;
        });
        BOOST_TEST(trained({.kind = kind}, true));
    }
}

BOOST_AUTO_TEST_CASE(a_finished_run_resumed_gives_its_result_again) {
    const test::temporary_folder folder;
    const auto expected = uninterrupted(folder.path());
    toy::bigram model(vocab);
    toy_trainer run(model, {}, mixed(), plan(), {.seed = 4},
                    {.seed = 4, .micro_batch_tokens = 16, .folder = folder.path(), .resume = true});
    train::listener on;
    std::vector<std::string> ended;
    on.phase_end = [&](const train::phase_event& e) { ended.emplace_back(e.name); };
    on.step = [](const train::step_event&) { BOOST_ERROR("nothing is left to train"); };
    BOOST_TEST(run.run(on).finished);
    BOOST_TEST(ended == std::vector<std::string>{"skills"}, boost::test_tools::per_element());
    BOOST_TEST(record(model, folder.path()).parameters == expected.parameters, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_phase_without_samples_is_skipped_with_a_notice) {
    auto samples = mixed();
    for (auto& s : samples) s.response_tokens = 3;
    toy::bigram model(vocab);
    toy_trainer run(model, {}, samples, plan(), {}, {});
    std::vector<std::string> notices;
    std::size_t skipped = 0;
    train::listener on;
    on.notice = [&](const std::string& text) { notices.push_back(text); };
    on.phase_end = [&](const train::phase_event& e) { skipped += e.skipped; };
    BOOST_TEST(run.run(on).finished);
    BOOST_TEST(skipped == 1u);
    BOOST_REQUIRE(notices.size() == 1u);
    BOOST_TEST(notices[0].find("knowledge-2") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_loss_that_explodes_ends_the_run_with_advice) {
    auto phases = plan();
    for (auto& p : phases) p.learning_rate = 999.0;
    toy::bigram model(vocab);
    toy_trainer run(model, {}, mixed(), phases, {}, {});
    BOOST_CHECK_EXCEPTION((void)run.run(), config_error, [](const auto& e) {
        return std::string(e.what()).find("lower the learning rate") != std::string::npos;
    });
}

BOOST_AUTO_TEST_SUITE_END()
