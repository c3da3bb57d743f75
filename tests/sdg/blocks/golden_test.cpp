// Against instructlab-sdg itself: tests/data/sdg/blocks/golden.json, written by tests/goldens/sdg_blocks.py, which ran
// the pipelines beside it through InstructLab's code with a scripted client. Same rows in, same prompts, same answers:
// the same rows must come out, however they are batched. With LAB_INSTRUCTLAB_SDG, a checkout of instructlab/sdg, and
// LAB_INSTRUCTLAB_GOLDEN, what the script wrote for it, the same for InstructLab's own pipelines.
#include "lab/sdg/blocks/standard.hpp"

#include <cstdlib>

#include "lab/core/file.hpp"
#include "lab/sdg/blocks/pipeline_file.hpp"
#include "sdg/blocks/tables.hpp"
#include "support/data.hpp"
#include "support/scripted_answers.hpp"

BOOST_AUTO_TEST_SUITE(sdg_blocks_golden)

using namespace lab;
using namespace lab::sdg::blocks;
using test::table_of;

namespace {

struct echo_block {  // InstructLab's test of custom blocks has one of this name
    static constexpr std::string_view type = "EchoBlock";
    static echo_block read(config_reader&) { return {}; }
    table operator()(block_run&, table rows) const { return rows; }
};

void check_case(const cell& golden, const std::filesystem::path& folder) {
    auto registry = standard_blocks();
    registry.add<echo_block>();
    registry.add<llm_block>("MockLLMBlock");  // as in its tests' pipelines
    const auto p = read_pipeline(folder / golden.at("pipeline").get<std::string>(), registry);
    for (const std::size_t batch : {1000u, 3u, 1u}) {
        BOOST_TEST_CONTEXT(golden.at("name") << ", " << batch << " rows at a time") {
            auto teacher = test::scripted_answers(golden.at("calls"));
            run_options options;
            options.form = prompt_form::family;
            options.model_family = golden.at("family").get<std::string>();
            options.scaled = golden.at("scaled").get<std::size_t>();
            options.max_num_tokens = golden.at("max_num_tokens").get<std::size_t>();
            options.batch_rows = batch;
            const auto made = run_pipeline(p, table_of(golden.at("rows")), {&teacher, {}}, options);
            const cell& wanted = golden.at("out");
            BOOST_TEST(made.rows.size() == wanted.size());
            for (std::size_t i = 0; i < std::min(made.rows.size(), wanted.size()); ++i)
                BOOST_TEST(made.rows.object(made.rows.rows()[i]).dump() == wanted[i].dump());
        }
    }
}

std::filesystem::path from_environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::filesystem::path() : std::filesystem::path(value);
}
struct has_instructlab {
    boost::test_tools::assertion_result operator()(boost::unit_test::test_unit_id) const {
        boost::test_tools::assertion_result present(!from_environment("LAB_INSTRUCTLAB_SDG").empty() &&
                                                    !from_environment("LAB_INSTRUCTLAB_GOLDEN").empty());
        present.message() << "LAB_INSTRUCTLAB_SDG and LAB_INSTRUCTLAB_GOLDEN are not set";
        return present;
    }
};

}  // namespace

#ifdef LAB_PCRE2
BOOST_AUTO_TEST_CASE(the_same_rows_as_instructlab) {
    const auto folder = test::fixture("sdg/blocks");
    const cell golden = formats::parse_json<cell>(read_file(folder / "golden.json"), "golden.json");
    BOOST_REQUIRE(golden.at("cases").size() == 8);
    for (const auto& one : golden.at("cases")) check_case(one, folder);
}

BOOST_AUTO_TEST_CASE(instructlabs_own_pipelines, *boost::unit_test::precondition(has_instructlab())) {
    const auto folder = from_environment("LAB_INSTRUCTLAB_SDG");
    const cell golden =
        formats::parse_json<cell>(read_file(from_environment("LAB_INSTRUCTLAB_GOLDEN")), "LAB_INSTRUCTLAB_GOLDEN");
    for (const auto& one : golden.at("cases")) check_case(one, folder);
}
#endif

BOOST_AUTO_TEST_SUITE_END()
