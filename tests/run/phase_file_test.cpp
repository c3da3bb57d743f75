#include "lab/run/phase_file.hpp"

#include <fstream>

#include "lab/run/estimate.hpp"
#include "lab/train/heldout.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(yaml_phases)

using namespace lab;

namespace {
std::string message(const std::string& yaml) {
    try {
        (void)run::parse_yaml_phases(yaml, "plan.yaml");
    } catch (const error& fault) {
        return fault.what();
    }
    return "no fault";
}
bool begins(const std::string& text, const std::string& start) { return text.starts_with(start); }
}  // namespace

BOOST_AUTO_TEST_CASE(yaml_says_what_json_says) {
    const auto path = std::filesystem::path(LAB_SOURCE_DIR) / "data/plans/demo.json";
    const std::string yaml = R"(# the demo's plan
phases:
  - {name: knowledge-1, data: [knowledge_short], learning_rate: 2e-4, warmup_steps: 5, epochs: 6, batch_size: 8}
  - name: knowledge-2
    data: [knowledge_long]
    replay: {phases: [knowledge-1], ratio: 0.34}
    learning_rate: 2.0e-4
    warmup_steps: 5
    epochs: 3
    batch_size: 8
  - name: "skills"
    data:
      - foundational
      - compositional
    replay: {phases: [knowledge-1, knowledge-2], ratio: .34}
    learning_rate: 0.0002
    warmup_steps: 5
    epochs: 2
    batch_size: 8
)";
    const auto expected = replay::to_json(run::read_phases(path));
    BOOST_TEST(replay::to_json(run::parse_yaml_phases(yaml, "plan.yaml")) == expected);
    const test::temporary_folder folder;
    std::ofstream(folder / "plan.yml") << yaml;
    BOOST_TEST(replay::to_json(run::read_phases(folder / "plan.yml")) == expected);
}

BOOST_AUTO_TEST_CASE(faults_name_line_and_column) {
    BOOST_TEST(begins(message("phases:\n  - name: a\n    data: [all]\n  - name: b\n    data: [none]\n"),
                      "plan.yaml:4:5: phases[1]: field 'data'"));
    BOOST_TEST(begins(message("phases:\n  - name: a\n    data: [all]\n    epoch: 3\n"), "plan.yaml:2:5: phases[0]"));
    BOOST_TEST(begins(message("phases: <<\n"), "plan.yaml:1:9: a lone <<"));
    BOOST_TEST(begins(message("phases:\n  - 1: 2\n"), "plan.yaml:2:5: the key"));
    BOOST_TEST(begins(message("- a\n"), "plan.yaml: is not an object"));
    BOOST_TEST(begins(message(""), "plan.yaml: is not an object"));
    BOOST_TEST(
        begins(message("phases:\n  - {name: 99999999999999999999, data: [all]}\n"), "plan.yaml:2:12: the number"));
    BOOST_TEST(message("phases:\n  - name: untouched\n    data: [all]\n").find("'untouched'") != std::string::npos);
    // Aliases that repeat aliases: bounded, not expanded.
    std::string bomb = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n";
    for (int i = 1; i < 9; ++i) {
        bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
        for (int k = 0; k < 10; ++k) bomb += (k == 0 ? "*a" : ",*a") + std::to_string(i - 1);
        bomb += "]\n";
    }
    BOOST_TEST(message(bomb).find("repeat too much") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_key_stands_once) {
    BOOST_TEST(message("phases:\n  - name: a\n    epochs: 2\n    data: [all]\n    epochs: 3\n") ==
               "plan.yaml:5:5: duplicate key 'epochs'");
    BOOST_TEST(message("phases:\n  - {name: a, data: [all], name: b}\n") == "plan.yaml:2:28: duplicate key 'name'");
    BOOST_TEST(message("phases: []\nphases: []\n") == "plan.yaml:2:1: duplicate key 'phases'");
    BOOST_TEST(message("phases:\n  - name: b\n    data: [all]\n    replay: {ratio: 0.1,\n             ratio: 0.2}\n") ==
               "plan.yaml:5:14: duplicate key 'ratio'");
    BOOST_TEST(message("phases:\n  - &one {name: a, data: [all], epochs: 2}\n"
                       "  - {<<: *one, name: b, epochs: 3, epochs: 9}\n") == "plan.yaml:3:36: duplicate key 'epochs'");
    // A merged key is set anew: no repetition.
    const auto plan = run::parse_yaml_phases(
        "phases:\n"
        "  - &one {name: a, data: [all], epochs: 2, batch_size: 3}\n"
        "  - &two {<<: *one, name: b, epochs: 5}\n"
        "  - {<<: [*two, *one], name: c, batch_size: 7}\n",
        "plan.yaml");
    BOOST_REQUIRE(plan.size() == 3u);
    BOOST_TEST(plan[1].name.view() == "b");
    BOOST_TEST(plan[1].epochs == 5u);
    BOOST_TEST(plan[1].batch_size == 3u);
    BOOST_TEST(plan[2].epochs == 5u);
    BOOST_TEST(plan[2].batch_size == 7u);
}

BOOST_AUTO_TEST_CASE(a_phases_own_threshold_holds_wherever_the_plan_is_bound) {
    std::vector<replay::training_sample> samples;
    for (const std::size_t response : {2, 4, 6})
        samples.push_back({.id = std::to_string(response),
                           .leaf = "knowledge/a",
                           .kind = replay::sample_kind::knowledge,
                           .tokens = std::vector<token>(response + 1, 1),
                           .trained = std::vector<std::uint8_t>(response + 1, 1),
                           .response_tokens = response});
    run::train_run_options o;
    o.trainer.buckets.short_tokens = 3;
    o.phases = run::parse_yaml_phases(
        "phases:\n"
        "  - {name: first, data: [knowledge_short], epochs: 1, batch_size: 1}\n"
        "  - {name: own, data: [knowledge_short], short_tokens: 4, epochs: 1, batch_size: 1}\n",
        "plan.yaml");
    BOOST_TEST(run::estimate_detail::walk(samples, o, replay::stratified{}).steps == 1u + 2u);

    train::heldout_watch watch({.patience = 1});
    watch.set(samples, o.phases, o.trainer.buckets, 0);
    const auto tokens = [&](std::size_t phase) {
        std::size_t n = 0;
        for (const auto& batch : watch.own(phase)) n += batch.tokens.size();
        return n;
    };
    BOOST_TEST(tokens(0) == 3u);
    BOOST_TEST(tokens(1) == 3u + 5u);
}

BOOST_AUTO_TEST_SUITE_END()
