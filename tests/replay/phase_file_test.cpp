#include "lab/replay/phase_file.hpp"

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(replay_phase_file)

using namespace lab;

namespace {
std::string refusal(const std::string& phases) {
    try {
        (void)replay::parse_phases(R"({"phases":)" + phases + "}", "plan.json");
    } catch (const error& e) {
        return e.what();
    }
    return "";
}
bool mentions(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }
}  // namespace

BOOST_AUTO_TEST_CASE(built_in_plans_survive_a_round_trip) {
    for (const char* name : {"lab", "lab-paper", "stacked"}) {
        const auto plan = *replay::find_phases(name);
        const auto text = formats::to_text(replay::to_json(plan), 2);
        const auto back = replay::parse_phases(text, "plan.json");
        BOOST_REQUIRE(back.size() == plan.size());
        BOOST_TEST(formats::to_text(replay::to_json(back), 2) == text);
        for (std::size_t i = 0; i < plan.size(); ++i) {
            BOOST_CHECK(back[i].name == plan[i].name && back[i].data == plan[i].data &&
                        back[i].replays == plan[i].replays);
            BOOST_TEST(back[i].learning_rate == plan[i].learning_rate);
        }
    }
}

BOOST_AUTO_TEST_CASE(what_is_left_out_keeps_its_default) {
    const auto plan = replay::parse_phases(
        R"({"phases":[{"name":"one","data":["knowledge"]},{"name":"two","data":["foundational","compositional"],)"
        R"("replay":{"phases":["one"],"ratio":0.5},"learning_rate":1e-4,"epochs":2,"schedule":"cosine"}]})",
        "plan.json");
    BOOST_REQUIRE(plan.size() == 2u);
    BOOST_TEST(plan[0].batch_size == replay::phase{}.batch_size);
    BOOST_CHECK(plan[0].data == replay::content::knowledge);
    BOOST_TEST(plan[1].replays == 1u);
    BOOST_TEST(plan[1].replay_ratio == 0.5);
    BOOST_CHECK(plan[1].schedule == replay::schedule_kind::cosine);
}

BOOST_AUTO_TEST_CASE(numbers_beyond_a_plain_plan_survive_and_are_written_only_where_they_are_set) {
    const auto plan = replay::parse_phases(
        R"({"phases":[{"name":"one","data":["knowledge"]},{"name":"two","data":["all"],"schedule":"wsd",)"
        R"("schedule_floor":0.1,"stable_share":0.7,"label_smoothing":0.1,"router_loss":0.02,"neftune_alpha":5,)"
        R"("replay":{"phases":["one"],"ratio":0.2,"by":"tokens","policy":"full"}},{"name":"last","data":["preferences"],"beta":0.3}]})",
        "plan.json");
    BOOST_TEST(plan[1].schedule_floor == 0.1);
    BOOST_TEST(plan[1].stable_share == 0.7);
    BOOST_TEST(plan[1].label_smoothing == 0.1);
    BOOST_TEST(plan[1].router_loss == 0.02);
    BOOST_TEST(plan[1].neftune_alpha == 5.0);
    BOOST_CHECK(plan[1].replay_by == replay::replay_measure::tokens);
    BOOST_TEST(plan[1].replay_policy.view() == "full");
    BOOST_TEST(plan[2].compares());
    BOOST_TEST(plan[2].beta == 0.3);
    const auto written = replay::to_json(plan)["phases"];
    for (const char* name : {"schedule_floor", "stable_share", "label_smoothing", "router_loss", "neftune_alpha"}) {
        BOOST_TEST(!written[0].contains(name), name);
        BOOST_TEST(written[1].contains(name), name);
    }
    BOOST_TEST(!written[0]["replay"].contains("by"));
    BOOST_TEST(written[1]["replay"]["by"] == "tokens");
    BOOST_TEST(!written[1].contains("beta"));
    BOOST_TEST(written[2]["beta"] == 0.3);
    const auto back = replay::parse_phases(formats::to_text(replay::to_json(plan)), "plan.json");
    BOOST_TEST(formats::to_text(replay::to_json(back)) == formats::to_text(replay::to_json(plan)));
    for (const char* bad :
         {R"("schedule_floor":2)", R"("stable_share":1)", R"("label_smoothing":1)", R"("neftune_alpha":-1)",
          R"("neftune_alpha":"much")", R"("beta":0)", R"("replay":{"phases":[],"ratio":0.1,"by":"leaves"})"})
        BOOST_TEST(refusal(R"([{"name":"a","data":["all"],)" + std::string(bad) + "}]") != "", bad);
}

BOOST_AUTO_TEST_CASE(a_threshold_of_ones_own_survives_and_is_written_only_where_it_is_set) {
    const auto plan = replay::parse_phases(
        R"({"phases":[{"name":"one","data":["knowledge_short"],"short_tokens":24},)"
        R"({"name":"two","data":["knowledge_long"]},{"name":"three","data":["all"],"short_tokens":0}]})",
        "plan.json");
    BOOST_TEST(plan[0].short_tokens.value() == 24u);
    BOOST_TEST(!plan[1].short_tokens);
    const auto written = replay::to_json(plan)["phases"];
    BOOST_TEST(written[0]["short_tokens"] == 24);
    BOOST_TEST(!written[1].contains("short_tokens"));
    BOOST_TEST(written[2]["short_tokens"] == 0);
    const auto back = replay::parse_phases(formats::to_text(replay::to_json(plan)), "plan.json");
    BOOST_TEST(formats::to_text(replay::to_json(back)) == formats::to_text(replay::to_json(plan)));
    for (const char* bad : {"-1", "1.5", "\"few\""})
        BOOST_TEST(mentions(refusal(R"([{"name":"a","data":["all"],"short_tokens":)" + std::string(bad) + "}]"),
                            "'short_tokens'"));
}

BOOST_AUTO_TEST_CASE(faults_say_where_and_what_would_do) {
    BOOST_TEST(mentions(refusal("3"), "'phases'"));
    BOOST_TEST(refusal("[]") != "");
    BOOST_TEST(mentions(refusal(R"([{"data":["all"]}])"), "'name'"));
    BOOST_TEST(mentions(refusal(R"([{"name":"a"}])"), "'data'"));
    BOOST_TEST(mentions(refusal(R"([{"name":"a","data":["poems"]}])"), "knowledge_short"));
    BOOST_TEST(mentions(refusal(R"([{"name":"a","data":["all"],"learningrate":1}])"), "unknown field 'learningrate'"));
    BOOST_TEST(mentions(refusal(R"([{"name":"a","data":["all"],"replay":{"phases":["b"],"ratio":0.1}}])"),
                        "not an earlier phase"));
    BOOST_TEST(mentions(refusal(R"([{"name":"a","data":["all"],"schedule":"magic"}])"), "wsd"));
    BOOST_TEST(mentions(refusal(R"([{"name":"a","data":["all"],"epochs":-1}])"), "'epochs'"));
    BOOST_TEST(mentions(refusal(R"([{"name":"a","data":["all"]},{"name":"a","data":["all"]}])"), "twice"));
    BOOST_TEST(mentions(refusal(R"([{"name":"untouched","data":["all"]}])"), "phase 'untouched'"));
    BOOST_TEST(mentions(refusal(R"(["x"])"), "phases[0]"));
}

BOOST_AUTO_TEST_SUITE_END()
