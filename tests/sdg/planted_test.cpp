// The knowledge checks against planted faults (support/planted.hpp).
#include "support/planted.hpp"

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(planted_faults)

using namespace lab;

BOOST_AUTO_TEST_CASE(a_sound_judge_finds_what_can_be_decided) {
    const auto table = test::plant(45, 0.35, 0.0, 11);
    BOOST_TEST_MESSAGE(table.to_text());
    BOOST_TEST(table.judges.at("writes").trusted);
    BOOST_TEST(table.proposed == 1200u);
    BOOST_TEST(table.spoilt > 300u);
    for (const auto& check : table.checks) {
        BOOST_TEST_CONTEXT(check.name) {
            BOOST_TEST(check.planted >= 20u);
            BOOST_TEST(check.recall() >= 0.95);
            BOOST_TEST(check.precision() >= 0.95);
        }
    }
    BOOST_TEST(table.facts == 240u);
    BOOST_TEST(table.covered == table.writable);
}

BOOST_AUTO_TEST_CASE(a_judge_that_errs_does_not_touch_what_rules_decide) {
    const auto table = test::plant(45, 0.35, 0.05, 12);
    for (const char* rule : {"form", "self_contained (rules)", "safety", "duplicate"}) {
        BOOST_TEST_CONTEXT(rule) {
            BOOST_TEST(table[rule].recall() >= 0.95);
            BOOST_TEST(table[rule].precision() >= 0.95);
        }
    }
    BOOST_TEST(table["grounded"].recall() >= 0.9);
    BOOST_TEST(table["all together"].recall() >= 0.95);  // what one lets pass, another finds
}

BOOST_AUTO_TEST_CASE(without_faults_nothing_is_refused) {
    const auto table = test::plant(13, 0.0, 0.0, 13);
    for (const auto& check : table.checks) BOOST_TEST(check.refused == 0u, check.name);
}

BOOST_AUTO_TEST_SUITE_END()
