#include "lab/sdg/calibration.hpp"

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(calibrations)

using namespace lab;

BOOST_AUTO_TEST_CASE(auc_threshold_and_trust) {
    const std::vector<double> right{3, 4, 5, 6}, wrong{0, 1, 2, 4};
    const auto c = sdg::calibrate(right, wrong, 0.7);
    BOOST_TEST(c.auc == (4 + 3.5 + 4 + 3) / 16,
               boost::test_tools::tolerance(1e-12));  // the 3 loses to the 4, the 4 ties with it
    BOOST_TEST(c.threshold == 2.5);
    BOOST_TEST(c.right_kept == 1.0);
    BOOST_TEST(c.wrong_kept == 0.25);
    BOOST_TEST(c.trusted);
    BOOST_TEST(c.weakness.empty());
    BOOST_TEST(!sdg::calibrate(right, wrong, 0.95).trusted);
    BOOST_TEST(sdg::calibrate(right, wrong, 0.95).weakness.starts_with("too weak to judge: AUC 0.91"));
    BOOST_TEST(!sdg::calibrate(std::vector<double>{9, 9, 9}, wrong, 0.7).trusted);  // too few
    BOOST_TEST(!sdg::calibrate({}, wrong, 0.7).trusted);
    BOOST_TEST(sdg::calibrate(right, right, 0.7).auc == 0.5);
}

/// One right answer among eight is scored as the wrong ones are: that is the judge's error, not where its scores part.
BOOST_AUTO_TEST_CASE(a_stray_score_does_not_draw_the_threshold) {
    const std::vector<double> wrong{0.05, 0.1, 0.15, 0.2, 0.12, 0.18, 0.02, 0.07};
    const auto c = sdg::calibrate(std::vector<double>{0.75, 0.8, 0.85, 0.9, 0.95, 0.78, 0.88, 0.22}, wrong, 0.7);
    BOOST_TEST(c.threshold == (0.22 + 0.75) / 2, boost::test_tools::tolerance(1e-12));
    BOOST_TEST(c.right_kept == 0.875);
    BOOST_TEST(c.wrong_kept == 0.0);
    // Three of eight are no stray.
    const auto low = sdg::calibrate(std::vector<double>{0.75, 0.8, 0.85, 0.9, 0.95, 0.24, 0.25, 0.26}, wrong, 0.7);
    BOOST_TEST(low.threshold == 0.22, boost::test_tools::tolerance(1e-12));
}

BOOST_AUTO_TEST_CASE(the_roc_has_a_corner_for_every_set_that_can_pass) {
    const auto c = sdg::calibrate(std::vector<double>{3, 4, 5, 6}, std::vector<double>{0, 1, 2, 4}, 0.7);
    BOOST_TEST_REQUIRE(c.roc.size() == 7u);  // seven different scores
    BOOST_TEST(c.roc.front().right_kept == 1.0);
    BOOST_TEST(c.roc.front().wrong_kept == 1.0);
    for (std::size_t i = 1; i < c.roc.size(); ++i) {
        BOOST_TEST(c.roc[i].threshold > c.roc[i - 1].threshold);
        BOOST_TEST(c.roc[i].right_kept <= c.roc[i - 1].right_kept);
        BOOST_TEST(c.roc[i].wrong_kept <= c.roc[i - 1].wrong_kept);
    }
    // The area under it, by trapezes from (0, 0), is the AUC.
    double area = 0, x = 0, y = 0;
    for (std::size_t i = c.roc.size(); i-- > 0;) {
        area += (c.roc[i].wrong_kept - x) * (c.roc[i].right_kept + y) / 2;
        x = c.roc[i].wrong_kept;
        y = c.roc[i].right_kept;
    }
    BOOST_TEST(area == c.auc, boost::test_tools::tolerance(1e-12));
}

BOOST_AUTO_TEST_CASE(the_interval_solves_its_equation_and_stays_open_at_one) {
    const auto variance = [](double a, double m, double n) {
        return a * (1 - a) * (1 + ((m + n) / 2 - 1) * ((1 - a) / (2 - a) + a / (1 + a))) / (m * n);
    };
    for (const double auc : {0.3, 0.5, 0.85, 1.0})
        for (const std::size_t n : {5u, 10u, 40u}) {
            const auto [low, high] = sdg::auc_interval(auc, 10, n);
            BOOST_TEST(low <= auc);
            BOOST_TEST(high >= auc);
            for (const double edge : {low, high})
                if (edge > 0 && edge < 1)
                    BOOST_TEST(std::abs(edge - auc) == 1.959963984540054 * std::sqrt(variance(edge, 10, double(n))),
                               boost::test_tools::tolerance(1e-9));
        }
    BOOST_TEST(sdg::auc_interval(1, 10, 10).first < 0.9);
    BOOST_TEST(sdg::auc_interval(1, 10, 10).first > 0.6);
    BOOST_TEST(sdg::auc_interval(1, 10, 40).first > sdg::auc_interval(1, 10, 10).first);
    BOOST_TEST(sdg::auc_interval(0.5, 0, 4).second == 1.0);
}

BOOST_AUTO_TEST_CASE(kinds_are_told_apart_and_blindness_to_one_costs_trust) {
    sdg::judge_scores scores{{3, 3, 3, 3}, {{"foreign", {1, 1, 1, 1}}, {"harmful", {1, 1, 1, 1}}}};
    BOOST_TEST(sdg::calibrate(scores, 0.7).trusted);
    scores.wrong["altered"] = {3, 3, 3, 3};
    const auto blind = sdg::calibrate(scores, 0.7);
    BOOST_TEST(blind.auc > 0.8);
    BOOST_TEST(!blind.trusted);
    BOOST_TEST(blind.weakness.find("'altered'") != std::string::npos);
    BOOST_TEST(blind.kinds.at("altered").auc == 0.5);
    BOOST_TEST(blind.kinds.at("altered").kept == 1.0);
    BOOST_TEST(blind.kinds.at("foreign").kept == 0.0);
    scores.wrong["altered"] = {3, 3, 3};  // three say nothing
    BOOST_TEST(sdg::calibrate(scores, 0.7).trusted);
}

BOOST_AUTO_TEST_CASE(a_leaf_is_weighed_against_the_others) {
    const sdg::judge_scores clear{{3, 3, 3, 3, 3}, {{"foreign", {1, 1, 1, 1, 1}}}};
    const sdg::judge_scores blurred{{2, 2, 2, 2, 2}, {{"foreign", {2, 2, 2, 2, 2}}}};
    const auto good = sdg::calibrate_leaf(clear, blurred, 0.7);  // five of its own, five for all the others
    BOOST_TEST(good.auc == 1.0);
    BOOST_TEST(good.weighed_auc == 0.75);
    BOOST_TEST(good.trusted);
    BOOST_TEST(!sdg::calibrate_leaf(blurred, clear, 0.8).trusted);
    BOOST_TEST(sdg::calibrate_leaf(clear, {}, 0.7).weighed_auc == 1.0);  // nothing to weigh against
    // The threshold moves towards where this leaf's scores part.
    const sdg::judge_scores strict{{1.5, 1.6, 1.7, 1.8, 1.9}, {{"foreign", {1, 1.1, 1.2, 1.3, 1.4}}}};
    const sdg::judge_scores mild{{2.8, 2.8, 2.8, 2.8, 2.8}, {{"foreign", {1.6, 2.4, 2.4, 2.4, 2.4}}}};
    BOOST_TEST(sdg::calibrate_leaf(strict, mild, 0.7, 1).threshold < 1.5);
    BOOST_TEST(sdg::calibrate_leaf(strict, mild, 0.7, 1000).threshold > 2.4);
}

BOOST_AUTO_TEST_CASE(a_manifest_tells_all_of_it) {
    const auto j = sdg::calibrate(sdg::judge_scores{{3, 3}, {{"a", {1, 1}}, {"b", {1}}}}, 0.7).to_json();
    for (const char* field : {"auc", "auc_interval", "threshold", "right", "wrong", "roc", "kinds", "weakness"})
        BOOST_TEST(j.contains(field), field);
    BOOST_TEST(j["kinds"]["b"]["examples"] == 1);
}

BOOST_AUTO_TEST_SUITE_END()
