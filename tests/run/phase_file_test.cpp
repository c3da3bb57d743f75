#include "lab/run/phase_file.hpp"

#include <fstream>

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
    // Aliases that repeat aliases: bounded, not expanded.
    std::string bomb = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n";
    for (int i = 1; i < 9; ++i) {
        bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
        for (int k = 0; k < 10; ++k) bomb += (k == 0 ? "*a" : ",*a") + std::to_string(i - 1);
        bomb += "]\n";
    }
    BOOST_TEST(message(bomb).find("repeat too much") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
