// Budgets of tokens: how they are written, which samples fall under them, and what is taken.
#include "lab/sdg/token_budget.hpp"

#include <map>

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(sdg_token_budget)

using namespace lab;

namespace {

struct pile {
    std::vector<std::vector<std::uint32_t>> of_leaf;
    std::vector<sdg::budget_candidate> samples;
    void add(std::uint32_t leaf, std::size_t n, std::uint64_t tokens) {
        for (std::size_t i = 0; i < n; ++i) samples.push_back({tokens, leaf, &of_leaf[leaf], false});
    }
    [[nodiscard]] std::map<std::uint32_t, std::uint64_t> taken() const {
        std::map<std::uint32_t, std::uint64_t> by_leaf;
        for (const auto& s : samples) by_leaf[s.leaf] += s.taken ? s.tokens : 0;
        return by_leaf;
    }
};

}  // namespace

BOOST_AUTO_TEST_CASE(numbers_of_tokens) {
    BOOST_TEST(sdg::parse_token_count("50000", "b") == 50'000u);
    BOOST_TEST(sdg::parse_token_count("200k", "b") == 200'000u);
    BOOST_TEST(sdg::parse_token_count("1.5M", "b") == 1'500'000u);
    BOOST_TEST(sdg::parse_token_count("2g", "b") == 2'000'000'000u);
    for (const char* wrong : {"", "k", "0", "-5", "1e3", "1.2.3", ".", "12x", "9999999g", "123456789012345678901234"})
        BOOST_CHECK_THROW((void)sdg::parse_token_count(wrong, "b"), config_error);
    const auto b = sdg::parse_budget("skills_train:knowledge/a=b=2k");
    BOOST_TEST(b.file == "skills_train");
    BOOST_TEST(b.path == "knowledge/a=b");
    BOOST_TEST(b.tokens == 2000u);
    for (const char* wrong : {"knowledge", "=5", "somewhere:knowledge=5", "skills_train:=5", "knowledge="})
        BOOST_CHECK_THROW((void)sdg::parse_budget(wrong), config_error);
}

BOOST_AUTO_TEST_CASE(paths_of_the_taxonomy) {
    using sdg::in_subtree;
    BOOST_TEST(in_subtree("knowledge", "knowledge->science->bees", "knowledge"));
    BOOST_TEST(in_subtree("knowledge/science", "knowledge->science->bees", "knowledge"));
    BOOST_TEST(in_subtree("knowledge->science->bees/", "knowledge/science/bees", "knowledge"));
    BOOST_TEST(!in_subtree("knowledge/sci", "knowledge->science->bees", "knowledge"));
    BOOST_TEST(!in_subtree("knowledge/science/bees/more", "knowledge->science->bees", "knowledge"));
    BOOST_TEST(in_subtree("compositional", "compositional_skills->writing", ""));
    BOOST_TEST(in_subtree("compositional_skills/writing", "compositional->writing", ""));
    BOOST_TEST(in_subtree("foundational_skills", "", "foundational"));
    BOOST_TEST(in_subtree("knowledge", "", "knowledge"));
    BOOST_TEST(!in_subtree("knowledge", "", "compositional"));
    BOOST_TEST(!in_subtree("knowledge", "", ""));
    BOOST_TEST(in_subtree("knowledge/science", "knowledge_science_bees", "knowledge"));  // InstructLab's spelling
    BOOST_TEST(!in_subtree("knowledge/sci", "knowledge_science_bees", "knowledge"));
    BOOST_TEST(in_subtree("/", "anything->at->all", ""));
}

BOOST_AUTO_TEST_CASE(filled_evenly_over_leaves_and_never_beyond) {
    pile p;
    p.of_leaf = {{0}, {0}, {0}};
    p.add(0, 1000, 10);  // a large leaf
    p.add(1, 40, 10);
    p.add(2, 5, 10);  // all of it fits
    std::vector<sdg::budget_report> budgets{{{"", "knowledge", 655}, 0, 0, 0, 0, 0}};
    sdg::fill_budgets(p.samples, budgets, 1);
    BOOST_TEST(budgets[0].tokens == 650u);
    BOOST_TEST(budgets[0].samples == 65u);
    BOOST_TEST(budgets[0].supply_tokens == 10'450u);
    auto by_leaf = p.taken();
    BOOST_TEST(by_leaf[2] == 50u);
    BOOST_TEST(by_leaf[0] == 300u);
    BOOST_TEST(by_leaf[1] == 300u);
}

BOOST_AUTO_TEST_CASE(a_long_sample_gives_way_to_shorter_ones) {
    pile p;
    p.of_leaf = {{0}};
    p.add(0, 1, 90);
    p.add(0, 20, 7);
    std::vector<sdg::budget_report> budgets{{{"", "x", 60}, 0, 0, 0, 0, 0}};
    sdg::fill_budgets(p.samples, budgets, 5);
    BOOST_TEST(budgets[0].tokens == 56u);
    BOOST_TEST(!p.samples[0].taken);
}

BOOST_AUTO_TEST_CASE(what_is_short_is_told_and_a_part_within_a_part_holds_both) {
    pile p;
    p.of_leaf = {{0, 1}, {0}};
    p.add(0, 100, 10);
    p.add(1, 3, 10);
    std::vector<sdg::budget_report> budgets{{{"", "knowledge", 500}, 0, 0, 0, 0, 0},
                                            {{"", "knowledge/a", 200}, 0, 0, 0, 0, 0}};
    sdg::fill_budgets(p.samples, budgets, 5);
    BOOST_TEST(budgets[1].tokens == 200u);
    BOOST_TEST(budgets[0].tokens == 230u);
    BOOST_TEST(budgets[0].short_by() == 270u);
    BOOST_TEST(budgets[0].supply_samples == 103u);
}

BOOST_AUTO_TEST_CASE(the_seed_decides_which) {
    const auto chosen = [](std::uint64_t seed) {
        pile p;
        p.of_leaf = {{0}};
        p.add(0, 200, 10);
        std::vector<sdg::budget_report> budgets{{{"", "x", 500}, 0, 0, 0, 0, 0}};
        sdg::fill_budgets(p.samples, budgets, seed);
        std::vector<bool> taken;
        for (const auto& s : p.samples) taken.push_back(s.taken);
        return taken;
    };
    BOOST_TEST(chosen(1) == chosen(1));
    BOOST_TEST(chosen(1) != chosen(2));
}

BOOST_AUTO_TEST_SUITE_END()
