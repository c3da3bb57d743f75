#include "lab/run/training_report.hpp"

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <string>

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(training_reports)

using namespace lab;

namespace {

/// Two phases: the second one replays, passes a step over, and meets a held-out loss that was not finite.
constexpr const char* log =
    R"({"event":"phase","phase":"facts","own_samples":30,"replayed_per_epoch":0,"epochs":2,"steps":2}
{"event":"step","phase":"facts","epoch":0,"step":1,"total_step":1,"loss":4.0,"learning_rate":1e-5,"gradient_norm":2.5,"tokens":100,"target_tokens":40}
{"event":"step","phase":"facts","epoch":1,"step":2,"total_step":2,"loss":2.0,"learning_rate":2e-5,"gradient_norm":1.5,"tokens":110,"target_tokens":50}
{"event":"heldout","phase":"facts","total_step":2,"loss":3.25,"target_tokens":9}
{"event":"phase","phase":"<skills>","own_samples":20,"replayed_per_epoch":10,"epochs":1,"steps":3}
{"event":"step","phase":"<skills>","epoch":0,"step":1,"total_step":3,"loss":1.5,"learning_rate":2e-5,"gradient_norm":1.0,"tokens":70,"target_tokens":30}
{"event":"skipped","phase":"<skills>","step":2,"total_step":4,"loss":null,"gradient_norm":null,"median_loss":1.5,"median_norm":1.0,"why":"loss"}
{"event":"heldout","phase":"<skills>","total_step":4,"loss":null,"target_tokens":9}
{"event":"phase skipped","phase":"more"}
)";
std::vector<replay::phase> plan() {
    return {replay::phase{.name = "facts"}, replay::phase{.name = "<skills>", .replays = 1, .replay_ratio = 0.34},
            replay::phase{.name = "more"}};
}
struct written {
    test::temporary_folder folder;
    std::filesystem::path file = folder / "metrics.jsonl";
    explicit written(const std::string& text) { std::ofstream(file, std::ios::binary) << text; }
};

}  // namespace

BOOST_AUTO_TEST_CASE(the_log_is_added_up_by_phase) {
    const written w(log);
    const auto run = run::read_training_record(w.file);
    BOOST_REQUIRE(run.phases.size() == 3u);
    const auto& facts = run.phases[0];
    BOOST_TEST(facts.own_samples == 30u);
    BOOST_TEST(facts.steps == 2u);
    BOOST_TEST(facts.tokens == 210u);
    BOOST_TEST(facts.learnt_tokens == 90u);
    BOOST_TEST(*facts.heldout == 3.25);
    const auto& skills = run.phases[1];
    BOOST_TEST(skills.replayed_per_epoch == 10u);
    BOOST_TEST(skills.first_step == 3u);
    BOOST_TEST(skills.steps_passed_over == 1u);
    BOOST_TEST(!skills.heldout.has_value());  // it was not finite
    BOOST_TEST(run.phases[2].skipped);
    BOOST_TEST(run.loss.points.size() == 3u);
    BOOST_TEST(run.heldout.points.size() == 1u);
    BOOST_TEST(run.rate.points[1].second == 2e-5);
}

BOOST_AUTO_TEST_CASE(the_page_shows_phases_replay_and_curves) {
    const written w(log);
    const std::string page = run::training_report(run::read_training_record(w.file), plan(), "stratified", {});
    const auto has = [&](const std::string& part) { return page.find(part) != std::string::npos; };
    BOOST_TEST(has("<h2>Loss</h2>"));
    BOOST_TEST(has("<h2>Learning rate</h2>"));
    BOOST_TEST(has("<h2>Gradient norm</h2>"));
    BOOST_TEST(has("2.0e-05"));  // a rate's axis is readable
    BOOST_TEST(has("10 <small>of facts, stratified</small>"));
    auto own_policy = plan();
    own_policy[1].replay_policy = "full";
    BOOST_TEST(run::training_report(run::read_training_record(w.file), own_policy, "stratified", {})
                   .find("10 <small>of facts, full</small>") != std::string::npos);
    BOOST_TEST(has("20 + 10</text>"));
    BOOST_TEST(has("1 of 3 <small>1 passed over</small>"));
    BOOST_TEST(has("skipped: no samples of its own"));
    BOOST_TEST(has("class=\"mark\""));
    BOOST_TEST(has("&lt;skills&gt;"));
    BOOST_TEST(!has("<skills>"));
    BOOST_TEST(!has("<h2>What was learnt"));  // nothing was asked
}

BOOST_AUTO_TEST_CASE(the_page_shows_rewards_scores_and_what_phases_handed_on) {
    const written w(
        R"({"event":"phase","phase":"facts","own_samples":30,"replayed_per_epoch":0,"epochs":2,"steps":9}
{"event":"step","phase":"facts","epoch":0,"step":1,"total_step":1,"loss":4.0,"learning_rate":1e-5,"gradient_norm":2.5,"tokens":100,"target_tokens":40}
{"event":"own heldout","phase":"facts","total_step":1,"loss":3.5}
{"event":"step","phase":"facts","epoch":0,"step":2,"total_step":2,"loss":3.0,"learning_rate":1e-5,"gradient_norm":2.5,"tokens":100,"target_tokens":40}
{"event":"own heldout","phase":"facts","total_step":2,"loss":3.75}
{"event":"stopped early","phase":"facts","step":2,"best":3.5}
{"event":"result","phase":"facts","kind":"best","step":1,"loss":3.5}
{"event":"phase","phase":"scored","own_samples":30,"replayed_per_epoch":0,"epochs":2,"steps":1}
{"event":"step","phase":"scored","epoch":0,"step":1,"total_step":3,"loss":2.0,"learning_rate":1e-5,"gradient_norm":2.5,"tokens":100,"target_tokens":40}
{"event":"score","phase":"scored","total_step":3,"score":0.75}
{"event":"result","phase":"scored","kind":"best","step":1,"score":0.75}
{"event":"earlier phase","phase":"scored","earlier":"facts","total_step":3,"before":3.5,"loss":4.5,"worse":true}
{"event":"phase","phase":"better","own_samples":30,"replayed_per_epoch":0,"epochs":2,"steps":1}
{"event":"step","phase":"better","epoch":0,"step":1,"total_step":4,"loss":0.69,"learning_rate":1e-5,"gradient_norm":2.5,"tokens":100,"target_tokens":40,"reward_chosen":0.5,"reward_rejected":-0.25,"reward_accuracy":0.875}
{"event":"result","phase":"better","kind":"average","weights":5}
{"event":"earlier phase","phase":"better","earlier":"facts","total_step":4,"before":3.5,"loss":null,"worse":true}
{"event":"earlier phase","phase":"better","earlier":"scored","total_step":4,"before":2.5,"loss":2.25,"worse":false}
)");
    const auto run = run::read_training_record(w.file);
    BOOST_REQUIRE(run.phases.size() == 3u);
    BOOST_TEST(run.phases[0].stopped_early);
    BOOST_TEST(run.phases[0].result == "step 1, loss 3.500");
    BOOST_TEST(!run.phases[1].stopped_early);
    BOOST_TEST(run.phases[1].result == "step 1, score 0.750");
    BOOST_TEST(run.phases[2].result == "mean of 5 snapshots");
    BOOST_REQUIRE(run.own_heldout.size() == 2u);
    BOOST_TEST(run.own_heldout[0].name == "facts");
    BOOST_TEST(run.own_heldout[0].points.size() == 3u);
    BOOST_TEST(run.own_heldout[1].points.size() == 2u);  // what it was when its phase ended, and now
    BOOST_TEST(run.own_heldout[1].points[0].first == 3.0);
    BOOST_TEST(run.own_heldout[1].points[0].second == 2.5);
    BOOST_REQUIRE(run.regressions.size() == 3u);
    BOOST_TEST(run.regressions[0].worse);
    BOOST_TEST(!run.regressions[1].now.has_value());
    BOOST_TEST(run.score.points.size() == 1u);
    BOOST_TEST(run.chosen.points.size() == 1u);
    BOOST_TEST(run.rejected.points[0].second == -0.25);
    BOOST_TEST(run.accuracy.points[0].second == 0.875);
    const std::string page = run::training_report(run, plan(), "stratified", {});
    for (const char* part : {"<h2>Held-out loss by phase</h2>", "<h2>Score</h2>", "<h2>Rewards of preferences</h2>",
                             "2 of 9 <small>stopped early</small>", "<td>step 1, loss 3.500</td>",
                             "<td>mean of 5 snapshots</td>", "<b>forgetting</b>", "<td>4.500</td>"})
        BOOST_TEST(page.find(part) != std::string::npos, part);
}

BOOST_AUTO_TEST_CASE(a_run_without_steps_has_a_page_and_a_torn_log_none) {
    const written empty("");
    BOOST_TEST(run::training_report(run::read_training_record(empty.file), plan(), "full", {}).find("<svg") ==
               std::string::npos);
    const written torn("{\"event\":\"step\",\"phase\":\"facts\"");
    BOOST_CHECK_THROW((void)run::read_training_record(torn.file), format_error);
    const written odd("{\"event\":\"phase\",\"phase\":\"facts\"}\n");
    BOOST_CHECK_THROW((void)run::read_training_record(odd.file), format_error);
}

BOOST_AUTO_TEST_SUITE_END()
