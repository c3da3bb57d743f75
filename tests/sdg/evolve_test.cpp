// Evolving exercises: generations, both directions, what the rules of elimination refuse.
#include "lab/sdg/evolve.hpp"

#include <set>

#include "able_teacher.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(evolving)

using namespace lab;
using test::able_teacher;

BOOST_AUTO_TEST_CASE(exercises_grow_over_generations_in_all_ways) {
    std::map<std::string, std::size_t> asked;
    const std::vector<taxonomy::leaf> leaves{test::sums_leaf()};
    const auto run = test::generate_with({.stray = 0.2, .asked = &asked}, leaves,
                                         {.samples_per_leaf = 60, .method = sdg::sampling_method::evolve});
    const auto& r = run.leaves[0];
    BOOST_TEST(r.kept.size() - r.seeds == 60u, r.shortfall);
    BOOST_TEST(run.judges.at("harder").trusted);
    std::set<std::size_t> generations;
    std::set<std::string> changes, questions;
    for (const auto& c : r.kept) questions.insert(c.question);
    for (const auto& c : r.refused) questions.insert(c.question);
    for (std::size_t i = r.seeds; i < r.kept.size(); ++i) {
        const auto& c = r.kept[i];
        BOOST_TEST(c.origin == "evolved");
        BOOST_TEST(able_teacher::right(c.question, c.answer));
        generations.insert(c.provenance["generation"].get<std::size_t>());
        changes.insert(c.provenance["change"].get<std::string>());
        BOOST_TEST(questions.contains(c.provenance["from"].get<std::string>()));
        if (c.provenance["generation"] == 1)
            BOOST_TEST(c.provenance["from"].get<std::string>() ==
                       leaves[0].seeds[c.provenance["seed"].get<std::size_t>()].questions_and_answers[0].question);
    }
    BOOST_TEST((generations == std::set<std::size_t>{1, 2, 3, 4}));
    BOOST_TEST(changes.size() == sdg::evolutions.size());
    std::size_t eliminated = 0;
    for (const auto& c : r.refused) eliminated += c.refused_by == "evolution";
    BOOST_TEST(eliminated > 0u);
    BOOST_TEST(asked["changer"] > 0u);
    BOOST_TEST(asked["writer"] == 0u);
}

BOOST_AUTO_TEST_CASE(the_rules_of_elimination) {
    const std::vector<taxonomy::leaf> leaves{test::sums_leaf()};
    sdg::pipeline_options options;
    sdg::memory seen(0.9);
    std::map<std::string, sdg::calibration> judges;
    sdg::any_teacher teacher{able_teacher{}};
    sdg::leaf_run run{teacher, leaves[0], options, seen, judges};
    const auto with = [](const char* question, const char* answer) {
        sdg::candidate c;
        c.question = question;
        c.answer = answer;
        c.provenance["from"] = "What is 3 plus 4?";
        return c;
    };
    std::vector<sdg::candidate> batch{
        with("What is 3 plus 4, if you please and have the time?", "3 plus 4 is 7."),
        with("What is 3, plus 4?", "7"),
        with("Here is the rewritten exercise: what is 3 plus 5?", "8"),
        with("What will the weather be in three days?", "I'm sorry, but I do not know that."),
        with("Which words are there?", "The, and ... of it!"),
    };
    sdg::evolved_question_check{}(run, batch);
    sdg::evolved_answer_check{}(run, batch);
    BOOST_TEST(batch[0].alive());
    BOOST_TEST(batch[1].reason == "asks the same as the exercise that it came from");
    BOOST_TEST(batch[2].reason == "speaks of how it was made: 'rewritten exercise'");
    BOOST_TEST(batch[3].reason == "the answer declines");
    BOOST_TEST(batch[4].reason == "the answer has no word of content");
    const std::string essay = [] {
        std::string text = "She was sorry";
        for (int i = 0; i < 90; ++i) text += " again";
        return text;
    }();
    BOOST_TEST(!sdg::detail::is_refusal(essay));  // a long answer may say so
}

BOOST_AUTO_TEST_CASE(what_fails_is_changed_otherwise) {
    const auto leaf = test::sums_leaf();
    sdg::pipeline_options options;
    sdg::memory seen(0.9);
    std::map<std::string, sdg::calibration> judges;
    sdg::any_teacher teacher{able_teacher{}};
    sdg::leaf_run run{teacher, leaf, options, seen, judges};
    sdg::evolve_source source(leaf);
    auto batch = source.propose(run, 0, leaf.seeds.size());
    std::vector<std::string> failed;
    for (auto& c : batch) {
        if (c.number % 2 == 0) continue;
        c.refuse("test", "no");
        failed.push_back(c.provenance["from"]);
    }
    source.observe(run, batch);
    const auto next = source.propose(run, 100, leaf.seeds.size());
    std::size_t again = 0;
    for (const auto& c : next)
        if (const std::string from = c.provenance["from"];
            std::find(failed.begin(), failed.end(), from) != failed.end()) {
            ++again;
            BOOST_TEST(c.provenance["generation"] == 1);
        } else {
            BOOST_TEST(c.provenance["generation"] == 2);
        }
    BOOST_TEST(again == failed.size());
}

BOOST_AUTO_TEST_SUITE_END()
