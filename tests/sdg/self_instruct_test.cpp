// Self-instruct's draws: over all leaves, two of eight from what was made, nothing too much like what is there.
#include "lab/sdg/self_instruct.hpp"

#include <set>

#include "able_teacher.hpp"
#include "lab/sdg/context_check.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(self_instruct)

using namespace lab;
using test::able_teacher;

BOOST_AUTO_TEST_CASE(examples_come_from_all_leaves_and_from_what_was_made) {
    const std::vector<taxonomy::leaf> leaves{test::sums_leaf(), test::poems_leaf(), test::fruits_leaf()};
    const auto run =
        test::generate_with({}, leaves, {.samples_per_leaf = 10, .method = sdg::sampling_method::self_instruct});
    std::size_t made = 0, with_made = 0, kept = 0;
    std::set<std::string> drawn_from;
    for (const auto& r : run.leaves) {
        kept += r.kept.size() - r.seeds;
        for (const auto* list : {&r.kept, &r.refused})
            for (const auto& c : *list) {
                if (c.origin != "self-instruct") continue;
                std::size_t of_made = 0;
                BOOST_TEST(c.provenance["seeds"].size() == 8u);
                for (const auto& s : c.provenance["seeds"])
                    s[0] == "made" ? ++of_made : (drawn_from.insert(s[0].get<std::string>()), 0u);
                BOOST_TEST(of_made <= 2u);
                ++made;
                with_made += of_made == 2;
                if (c.number < 16) BOOST_TEST(of_made == 0u);
                BOOST_TEST(c.provenance.contains("leaf_by"));
            }
    }
    BOOST_TEST(kept == 30u);
    BOOST_TEST(drawn_from.size() == 3u);
    BOOST_TEST(with_made + 16 == made);
    // Counted with the leaf that it is like: a sum with the sums.
    for (std::size_t i = run.leaves[0].seeds; i < run.leaves[0].kept.size(); ++i)
        BOOST_TEST(test::sum_of(run.leaves[0].kept[i].question).has_value());
}

BOOST_AUTO_TEST_CASE(questions_are_new) {
    const std::vector<taxonomy::leaf> leaves{test::poems_leaf(), test::sums_leaf()};
    const auto run =
        test::generate_with({}, leaves, {.samples_per_leaf = 12, .method = sdg::sampling_method::self_instruct});
    std::vector<std::string> questions;
    std::size_t refused = 0, seeds = 0;
    for (const bool made : {false, true})
        for (const auto& r : run.leaves)
            for (std::size_t i = made ? r.seeds : 0; i < (made ? r.kept.size() : r.seeds); ++i) {
                questions.push_back(r.kept[i].question);
                seeds += !made;
            }
    for (const auto& r : run.leaves) {
        for (const auto& c : r.refused) refused += c.refused_by == "novelty";
        if (r.kept.size() - r.seeds < r.wanted)
            BOOST_TEST(r.shortfall.starts_with("self-instruct draws from all leaves at once"));
    }
    BOOST_TEST(refused > 0u);
    BOOST_TEST_REQUIRE(questions.size() > seeds);
    for (std::size_t i = seeds; i < questions.size(); ++i)
        for (std::size_t j = 0; j < i; ++j) BOOST_TEST(sdg::rouge_l(questions[j], questions[i]).f1 < 0.7);
}

BOOST_AUTO_TEST_CASE(without_a_judge_answers_are_marked_as_unconfirmed) {
    const std::vector<taxonomy::leaf> leaves{test::sums_leaf(), test::poems_leaf()};
    for (const bool seeing : {true, false}) {
        const auto run = test::generate_with({.wrong = 0.4, .seeing = seeing}, leaves,
                                             {.samples_per_leaf = 8, .method = sdg::sampling_method::self_instruct});
        std::size_t wrong = 0;
        for (const auto& r : run.leaves)
            for (std::size_t i = r.seeds; i < r.kept.size(); ++i) {
                BOOST_TEST(r.kept[i].provenance["confirmed"] == seeing);
                wrong += !able_teacher::right(r.kept[i].question, r.kept[i].answer);
            }
        BOOST_TEST((wrong > 0) == !seeing);
    }
}

BOOST_AUTO_TEST_CASE(what_exceeds_the_context_ends_the_draw_and_says_so) {
    auto leaves = std::vector{test::sums_leaf(), test::poems_leaf()};
    leaves[1].seeds[0].questions_and_answers[0].question = "Write a poem about " + std::string(5000, 'x') + ", please.";
    able_teacher able;
    const auto length = [](const text::messages& messages, const std::string& answer) {
        std::size_t n = answer.size();
        for (const auto& m : messages) n += m.content.size();
        return n;
    };
    sdg::within_context limited(able, {4000, length}, leaves);
    sdg::any_teacher teacher{limited};
    const auto run = test::run_over(
        leaves, teacher, {.samples_per_leaf = 40, .safety_judge = true, .method = sdg::sampling_method::self_instruct});
    BOOST_TEST(run.judges.contains("mark"));  // measured on the leaf that fits
    BOOST_TEST(run.judges.at("safe").trusted);
    for (const auto& r : run.leaves)
        BOOST_TEST(r.shortfall.find("it ended early: compositional_skills->poems: a request of ") != r.shortfall.npos,
                   r.shortfall);
}

BOOST_AUTO_TEST_SUITE_END()
