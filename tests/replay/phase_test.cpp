#include "lab/replay/phase.hpp"

#include <boost/test/unit_test.hpp>
#include <set>

#include "lab/replay/plan.hpp"

BOOST_AUTO_TEST_SUITE(replay_phase)

using namespace lab;
using replay::content;
using replay::sample_kind;

namespace {
std::vector<replay::training_sample> mixed_samples() {
    std::vector<replay::training_sample> samples;
    const auto add = [&](std::string leaf, sample_kind kind, std::size_t response) {
        replay::training_sample s;
        s.leaf = std::move(leaf);
        s.kind = kind;
        s.response_tokens = response;
        samples.push_back(s);
    };
    for (int i = 0; i < 6; ++i) add("knowledge/a", sample_kind::knowledge, 10);
    for (int i = 0; i < 4; ++i) add("knowledge/b", sample_kind::knowledge, 90);
    for (int i = 0; i < 3; ++i) add("foundational/c", sample_kind::foundational, 200);
    for (int i = 0; i < 5; ++i) add("compositional/d", sample_kind::compositional, 5);
    return samples;
}
static_assert(replay::lab_phases()[2].name == replay::phase_name("skills"));
static_assert(replay::parse_kind("knowledge->islands") == sample_kind::knowledge);
static_assert(replay::parse_kind("foundational_skills/reasoning") == sample_kind::foundational);
static_assert(replay::parse_kind("compositional_skills_writing") == sample_kind::compositional);
static_assert(!replay::parse_kind("knowledgeable") && !replay::parse_kind(""));
static_assert(replay::parse_kind("general") == sample_kind::general && !replay::parse_kind("general/a"));
}  // namespace

BOOST_AUTO_TEST_CASE(built_in_plans_are_valid_and_found_by_name) {
    for (const char* name : {"lab", "lab-paper", "stacked"}) {
        const auto plan = replay::find_phases(name);
        BOOST_REQUIRE(plan.has_value());
        BOOST_CHECK_NO_THROW(replay::check_phases(*plan));
    }
    BOOST_CHECK(!replay::find_phases("nonsense"));
}

BOOST_AUTO_TEST_CASE(the_lab_plan_splits_knowledge_by_length_and_replays_it) {
    const auto samples = mixed_samples();
    const auto plans = replay::bind_phases(samples, replay::lab_phases());
    BOOST_REQUIRE(plans.size() == 3u);
    BOOST_TEST(plans[0].own.size() == 6u);
    BOOST_TEST(plans[0].earlier.empty());
    BOOST_TEST(plans[1].own.size() == 4u);
    BOOST_TEST(plans[1].earlier.size() == 6u);
    BOOST_TEST(plans[2].own.size() == 8u);
    BOOST_TEST(plans[2].earlier.size() == 10u);
}

BOOST_AUTO_TEST_CASE(the_papers_plan_puts_foundational_skills_with_long_knowledge) {
    const auto samples = mixed_samples();
    const auto plans = replay::bind_phases(samples, replay::lab_paper_phases());
    BOOST_TEST(plans[1].own.size() == 7u);
    BOOST_TEST(plans[2].own.size() == 5u);
    BOOST_TEST(plans[2].earlier.size() == 13u);
    for (const auto& p : plans) {
        BOOST_TEST(p.options.batch_size == 3840u);
        BOOST_TEST(p.options.warmup_steps == 385u);
        BOOST_TEST(p.options.learning_rate == 2e-5);
    }
}

BOOST_AUTO_TEST_CASE(a_phase_may_have_a_policy_of_its_own) {
    const auto samples = mixed_samples();
    auto phases = replay::lab_phases();
    phases[2].replay_policy = "full";
    BOOST_CHECK_NO_THROW(replay::check_phases(phases));
    const auto plans = replay::bind_phases(samples, phases);
    const replay::stratified buffer{.seed = 3};
    BOOST_TEST(replay::epoch_samples(plans[2], buffer, 3, 2, 0).size() == 8u + 10u);  // not 0.34 of them
    phases[2].replay_policy = "reservoir";
    BOOST_TEST(replay::epoch_samples(replay::bind_phases(samples, phases)[2], buffer, 3, 2, 0) ==
                   replay::epoch_samples(replay::bind_phases(samples, replay::lab_phases())[2],
                                         replay::reservoir{.seed = 3}, 3, 2, 0),
               boost::test_tools::per_element());
    phases[2].replay_policy = "best";
    BOOST_CHECK_EXCEPTION(replay::check_phases(phases), config_error, [](const config_error& e) {
        return std::string_view(e.what()).find("'best'") != std::string_view::npos;
    });
}

BOOST_AUTO_TEST_CASE(the_threshold_is_a_number_of_tokens_inclusive) {
    const replay::length_buckets buckets{.short_tokens = 48};
    BOOST_CHECK(buckets(sample_kind::knowledge, 48) == content::knowledge_short);
    BOOST_CHECK(buckets(sample_kind::knowledge, 49) == content::knowledge_long);
    BOOST_CHECK(buckets(sample_kind::foundational, 1) == content::foundational);
    BOOST_CHECK(buckets(sample_kind::compositional, 500) == content::compositional);
}

BOOST_AUTO_TEST_CASE(a_phase_may_have_a_threshold_of_its_own) {
    const auto samples = mixed_samples();  // knowledge of 10 and of 90 tokens
    auto phases = replay::lab_phases();
    phases[0].short_tokens = 90;
    auto plans = replay::bind_phases(samples, phases);
    BOOST_TEST(plans[0].own.size() == 10u);
    BOOST_TEST(plans[1].own.size() == 4u);  // the run's 48
    BOOST_TEST(plans[1].earlier.size() == 6u);
    phases[1].short_tokens = 9;
    plans = replay::bind_phases(samples, phases, {.short_tokens = 1000});
    BOOST_TEST(plans[0].own.size() == 10u);
    BOOST_TEST(plans[1].own.size() == 10u);
}

BOOST_AUTO_TEST_CASE(a_phase_without_data_is_skipped_and_an_empty_plan_refused) {
    auto samples = mixed_samples();
    std::erase_if(samples, [](const auto& s) { return s.response_tokens == 90; });
    const auto plans = replay::bind_phases(samples, replay::lab_phases());
    BOOST_TEST(plans[1].skipped());
    BOOST_TEST(plans[2].earlier.size() == 6u);  // replay goes on from the first phase
    samples.clear();
    BOOST_CHECK_THROW((void)replay::bind_phases(samples, replay::lab_phases()), config_error);
}

BOOST_AUTO_TEST_CASE(general_samples_are_replayed_by_whoever_replays_and_learnt_only_by_name) {
    auto samples = mixed_samples();
    for (int i = 0; i < 7; ++i) {
        samples.push_back(samples[0]);
        samples.back().kind = sample_kind::general, samples.back().leaf = "self";
    }
    auto plans = replay::bind_phases(samples, replay::lab_phases());
    BOOST_TEST(plans[0].own.size() == 6u);
    BOOST_TEST(plans[0].earlier.empty());  // its ratio is 0
    BOOST_TEST(plans[1].earlier.size() == 6u + 7u);
    BOOST_TEST(plans[2].own.size() == 8u);
    auto phases = *replay::find_phases("lab");
    phases[0].replay_ratio = 0.5;
    phases.push_back({.name = "general", .data = content::general, .replay_ratio = 0.5});
    plans = replay::bind_phases(samples, phases);
    BOOST_TEST(plans[0].earlier.size() == 7u);
    BOOST_TEST(replay::epoch_samples(plans[0], replay::stratified{}, 1, 0, 0).size() == 6u + 4u);  // 3.5
    BOOST_TEST(plans[3].own.size() == 7u);
    BOOST_TEST(plans[3].earlier.empty());
}

BOOST_AUTO_TEST_CASE(an_epoch_mixes_own_and_replayed_samples) {
    const auto samples = mixed_samples();
    const auto plans = replay::bind_phases(samples, replay::lab_phases());
    const replay::stratified buffer{.seed = 3};
    const auto order = replay::epoch_samples(plans[2], buffer, 3, 2, 0);
    BOOST_TEST(order.size() == 8u + 3u);  // 0.34 of 10
    BOOST_TEST(order == replay::epoch_samples(plans[2], buffer, 3, 2, 0), boost::test_tools::per_element());
    BOOST_CHECK(order != replay::epoch_samples(plans[2], buffer, 3, 2, 1));
    const std::set<std::size_t> distinct(order.begin(), order.end());
    BOOST_TEST(distinct.size() == order.size());
    for (const std::size_t own : plans[2].own) BOOST_TEST(distinct.contains(own));
}

BOOST_AUTO_TEST_CASE(what_a_phase_trains_on_is_not_replayed_twice) {
    const auto samples = mixed_samples();
    const std::vector<replay::phase> phases{{.name = "one", .data = content::knowledge},
                                            {.name = "two", .data = content::all, .replays = 1, .replay_ratio = 1.0}};
    const auto plans = replay::bind_phases(samples, phases);
    BOOST_TEST(plans[1].own.size() == samples.size());
    BOOST_TEST(plans[1].earlier.empty());
}

BOOST_AUTO_TEST_CASE(faults_name_the_phase) {
    const auto refused = [](replay::phase p) {
        try {
            replay::check_phases(std::vector<replay::phase>{p});
        } catch (const config_error& e) {
            return std::string(e.what()).find("phase 'x'") != std::string::npos;
        }
        return false;
    };
    BOOST_TEST(!refused({.name = "x"}));
    BOOST_TEST(refused({.name = "x", .data = content::none}));
    BOOST_CHECK_EXCEPTION(
        replay::check_phases(std::vector<replay::phase>{{.name = replay::untouched}}), config_error,
        [](const config_error& e) { return std::string_view(e.what()).starts_with("phase 'untouched'"); });
    BOOST_TEST(refused({.name = "x", .replays = 1}));
    BOOST_TEST(refused({.name = "x", .replay_ratio = 2}));
    BOOST_TEST(refused({.name = "x", .learning_rate = 0}));
    BOOST_TEST(refused({.name = "x", .learning_rate = std::nan("")}));
    BOOST_TEST(refused({.name = "x", .epochs = 0}));
    BOOST_TEST(refused({.name = "x", .epochs = 1'000'000'000'000}));
    BOOST_TEST(refused({.name = "x", .batch_size = 0}));
    BOOST_CHECK_THROW(replay::check_phases({}), config_error);
    BOOST_CHECK_THROW(replay::phase_name(std::string(48, 'n')), config_error);
}

BOOST_AUTO_TEST_SUITE_END()
