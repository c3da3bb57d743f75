#include "lab/sdg/calibration.hpp"

#include "support/data.hpp"

using namespace lab;

BOOST_AUTO_TEST_SUITE(calibrations)

BOOST_AUTO_TEST_CASE(auc_threshold_and_trust) {
    const std::vector<double> right{3, 4, 5, 6}, wrong{0, 1, 2, 4};
    const auto c = sdg::calibrate(right, wrong, 0.7);
    BOOST_TEST(c.auc == (4 + 3.5 + 4 + 3) / 16,
               boost::test_tools::tolerance(1e-12));  // the 3 loses to the 4, the 4 ties with it
    BOOST_TEST(c.threshold == 2.5);
    BOOST_TEST(c.right_kept == 1.0);
    BOOST_TEST(c.wrong_kept == 0.25);
    BOOST_TEST(c.trusted);
    BOOST_TEST(!sdg::calibrate(right, wrong, 0.95).trusted);
    BOOST_TEST(!sdg::calibrate(std::vector<double>{9, 9, 9}, wrong, 0.7).trusted);  // too few
    BOOST_TEST(!sdg::calibrate({}, wrong, 0.7).trusted);
    BOOST_TEST(sdg::calibrate(right, right, 0.7).auc == 0.5);
}

BOOST_AUTO_TEST_SUITE_END()
