// Recipes as InstructLab writes them, what is said about wrong ones and where, and sizes.
#include "lab/sdg/recipe.hpp"

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(sdg_recipe)

using namespace lab;

namespace {

/// The message of the fault that reading `text` gives.
std::string fault_of(const std::string& text) {
    try {
        (void)sdg::parse_recipe(text, "r.yaml");
    } catch (const error& fault) {
        return fault.what();
    }
    return "none";
}

}  // namespace

BOOST_AUTO_TEST_CASE(as_instructlab_writes_it) {
    const auto r = sdg::parse_recipe(
        "datasets:\n- path: node_datasets/knowledge_a_p07.jsonl\n  sampling_size: 1.0\n"
        "- path: skill.jsonl\n  sampling_size: 30\nmetadata:\n  sys_prompt: I am an AI.\n",
        "r.yaml");
    BOOST_REQUIRE(r.datasets.size() == 2u);
    BOOST_TEST(r.datasets[0].path == "node_datasets/knowledge_a_p07.jsonl");
    BOOST_TEST(r.datasets[0].size.of(7) == 7u);
    BOOST_TEST(r.datasets[1].size.of(7) == 30u);
    BOOST_TEST(r.system_prompt.value() == "I am an AI.");
    BOOST_TEST(r.warnings.empty());
}

BOOST_AUTO_TEST_CASE(sizes_round_down_and_one_is_all) {
    const auto r = sdg::parse_recipe(
        "sys_prompt: Hello\ndatasets: [{path: a, sampling_size: 0.5}, {path: b, sampling_size: 2.5}, {path: c, "
        "sampling_size: 1}, {path: d, sampling_size: 0}, {path: e, sampling_size: 1.0e+2}]",
        "r.yaml");
    BOOST_TEST(r.datasets[0].size.of(7) == 3u);
    BOOST_TEST(r.datasets[1].size.of(7) == 17u);
    BOOST_TEST(r.datasets[2].size.of(7) == 7u);
    BOOST_TEST(r.datasets[3].size.of(7) == 0u);
    BOOST_TEST(r.datasets[4].size.of(7) == 700u);
    BOOST_TEST(r.system_prompt.value() == "Hello");
    BOOST_REQUIRE(r.warnings.size() == 2u);
    BOOST_TEST(r.warnings[0].find("r.yaml:2:99: sampling_size 1 takes all") == 0u, r.warnings[0]);
    BOOST_TEST(r.warnings[1].find("sampling_size 0 takes nothing") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(unknown_keys_are_named_and_passed_over) {
    const auto r = sdg::parse_recipe("dataset: 1\ndatasets:\n- path: a\n  sampling_size: 1.0\n  weight: 3\n", "r.yaml");
    BOOST_REQUIRE(r.warnings.size() == 2u);
    BOOST_TEST(r.warnings[0].find("r.yaml:1:1: the key 'dataset'") == 0u, r.warnings[0]);
    BOOST_TEST(r.warnings[1].find("r.yaml:5:3: the key 'weight'") == 0u, r.warnings[1]);
    BOOST_TEST(sdg::parse_recipe("", "r.yaml").datasets.empty());
    BOOST_TEST(sdg::parse_recipe("datasets:\n", "r.yaml").datasets.empty());
}

BOOST_AUTO_TEST_CASE(faults_name_line_and_column) {
    for (const auto& [text, place, part] : std::vector<std::array<std::string, 3>>{
             {"- a\n", "r.yaml:1:1: ", "a recipe is a mapping"},
             {"datasets: 3", "r.yaml:1:11: ", "not a list"},
             {"datasets:\n- a", "r.yaml:2:3: ", "a dataset is a mapping"},
             {"datasets:\n- sampling_size: 1.0", "r.yaml:2:3: ", "no 'path'"},
             {"datasets:\n- path: a", "r.yaml:2:3: ", "no 'sampling_size'"},
             {"datasets:\n- path: 3\n  sampling_size: 1.0", "r.yaml:2:9: ", "path"},
             {"datasets:\n- path: a\n  sampling_size: -3", "r.yaml:3:18: ", "negative"},
             {"datasets:\n- path: a\n  sampling_size: -0.5", "r.yaml:3:18: ", "no share"},
             {"datasets:\n- path: a\n  sampling_size: .nan", "r.yaml:3:18: ", "no share"},
             {"datasets:\n- path: a\n  sampling_size: .inf", "r.yaml:3:18: ", "no share"},
             {"datasets:\n- path: a\n  sampling_size: 3000.0", "r.yaml:3:18: ", "1000 times"},
             {"datasets:\n- path: a\n  sampling_size: half", "r.yaml:3:18: ", "text"},
             {"datasets:\n- path: a\n  sampling_size: true", "r.yaml:3:18: ", "boolean"},
             {"datasets:\n- path: a\n  sampling_size: 99999999999999999999", "r.yaml:3:18: ", "more than"},
             {"metadata: {sys_prompt: [a]}", "r.yaml:1:24: ", "not text"},
             {"budgets: [a]", "r.yaml:1:10: ", "mapping"},
             {"budgets: {knowledge: many}", "r.yaml:1:22: ", "no number"},
             {"datasets: [", "r.yaml:", "YAML"}}) {
        const auto fault = fault_of(text);
        BOOST_TEST(fault.find(place) == 0u, text << " -> " << fault);
        BOOST_TEST(fault.find(part) != std::string::npos, text << " -> " << fault);
    }
}

BOOST_AUTO_TEST_CASE(written_and_read_again) {
    sdg::recipe r;
    r.datasets = {{"a: b.jsonl", sdg::sampling_size::of_share(0.25), {}, false},
                  {"c\"d.jsonl", sdg::sampling_size::of_count(30), {}, false},
                  {"e", {}, {}, false}};
    r.system_prompt = "One\nline: \"two\" # three";
    r.budgets = {{"", "knowledge->a", 200'000}};
    const auto again = sdg::parse_recipe(sdg::to_yaml(r), "r.yaml");
    BOOST_REQUIRE(again.datasets.size() == 3u);
    for (std::size_t i = 0; i < 3; ++i) {
        BOOST_TEST(again.datasets[i].path == r.datasets[i].path);
        BOOST_TEST(again.datasets[i].size.text() == r.datasets[i].size.text());
    }
    BOOST_TEST(again.system_prompt.value() == *r.system_prompt);
    BOOST_REQUIRE(again.budgets.size() == 1u);
    BOOST_TEST(again.budgets[0].path == "knowledge->a");
    BOOST_TEST(again.budgets[0].tokens == 200'000u);
    BOOST_TEST(again.warnings.empty());
    BOOST_TEST(sdg::to_yaml({}) == "datasets: []\n");
}

BOOST_AUTO_TEST_SUITE_END()
