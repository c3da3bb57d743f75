// The four roles on free-form and grounded leaves, with a teacher that follows the prompts: what is kept, what is found
// out, who is believed.
#include "lab/sdg/skills.hpp"

#include <map>
#include <set>

#include "able_teacher.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(skills)

using namespace lab;
using formats::json;
using test::able_teacher;

namespace {

struct score_card {
    std::size_t kept_right = 0, kept_wrong = 0, refused_right = 0, refused_wrong = 0;
    [[nodiscard]] double precision() const { return double(kept_right) / double(kept_right + kept_wrong); }
    [[nodiscard]] double recall() const { return double(refused_wrong) / double(refused_wrong + kept_wrong); }
};

/// What the checks let pass and what they refused, against what is right. Quota and repetitions are no verdicts.
score_card score(const sdg::leaf_result& r) {
    score_card s;
    const auto right = [&](const sdg::candidate& c) {
        return able_teacher::right(r.leaf->grounded ? c.context : c.question, c.answer);
    };
    for (std::size_t i = r.seeds; i < r.kept.size(); ++i) ++(right(r.kept[i]) ? s.kept_right : s.kept_wrong);
    for (const auto& c : r.refused) {
        if (c.refused_by != "pair" && c.refused_by != "agreement") continue;
        ++(right(c) ? s.refused_right : s.refused_wrong);
    }
    return s;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_capable_teacher_fills_free_form_and_grounded_leaves) {
    std::map<std::string, std::size_t> asked;
    const std::vector<taxonomy::leaf> leaves{test::sums_leaf(), test::poems_leaf(), test::fruits_leaf()};
    const auto run = test::generate_with({.asked = &asked}, leaves, {.samples_per_leaf = 12});
    for (const char* judge : {"question", "mark", "mark_in_context"}) {
        BOOST_TEST(run.judges.at(judge).trusted, judge << ": " << run.judges.at(judge).weakness);
        BOOST_TEST(run.judges.at(judge).auc == 1.0);
        BOOST_TEST(run.judges.at(judge).kinds.size() >= 4u);
    }
    for (const auto& r : run.leaves) {
        BOOST_TEST(r.kept.size() - r.seeds == 12u, r.leaf->id << ": " << r.shortfall);
        BOOST_TEST(r.judges.size() == 2u);
        for (std::size_t i = r.seeds; i < r.kept.size(); ++i) {
            const auto& c = r.kept[i];
            BOOST_TEST(able_teacher::right(r.leaf->grounded ? c.context : c.question, c.answer));
            BOOST_TEST(c.context.empty() == !r.leaf->grounded);
            BOOST_TEST(c.scores.contains("question"));
            BOOST_TEST(c.scores.contains("mark"));
            BOOST_TEST(c.provenance["persona"] == (r.leaf == &leaves[1] ? "creative" : "precise"));
        }
    }
    for (const char* role : {"writer", "question judge", "responder", "pair judge", "persona"})
        BOOST_TEST(asked[role] > 0u, role);
    // A text to work on keeps its lines, and serves two exercises.
    const auto& fruits = run.leaves[2];
    std::map<std::string, int> contexts;
    for (std::size_t i = fruits.seeds; i < fruits.kept.size(); ++i) {
        BOOST_TEST(fruits.kept[i].context.find("plums.\nNo other") != std::string::npos);
        ++contexts[fruits.kept[i].context];
    }
    BOOST_TEST(contexts.size() < 12u);
}

BOOST_AUTO_TEST_CASE(planted_errors_are_found) {
    const std::vector<taxonomy::leaf> leaves{test::sums_leaf(), test::poems_leaf(), test::fruits_leaf()};
    const auto run = test::generate_with({.wrong = 0.3, .stray = 0.2}, leaves, {.samples_per_leaf = 30, .budget = 6});
    for (const auto& r : run.leaves) {
        const auto s = score(r);
        BOOST_TEST(s.refused_wrong > 5u, r.leaf->id);
        BOOST_TEST(s.precision() > 0.95, r.leaf->id);
        BOOST_TEST(s.recall() > 0.95, r.leaf->id);
        std::size_t stray = 0;
        for (const auto& c : r.refused)
            stray += c.refused_by == "question" && c.question.find("photograph") != std::string::npos;
        BOOST_TEST(stray > 0u, r.leaf->id);
        for (const auto& c : r.kept) BOOST_TEST(c.question.find("photograph") == std::string::npos);
    }
}

BOOST_AUTO_TEST_CASE(a_judge_that_cannot_tell_is_found_out_and_asked_no_more) {
    std::map<std::string, std::size_t> asked;
    const std::vector<taxonomy::leaf> leaves{test::sums_leaf(), test::poems_leaf(), test::fruits_leaf()};
    const auto run = test::generate_with({.seeing = false, .asked = &asked}, leaves, {.samples_per_leaf = 4});
    BOOST_TEST(!run.judges.at("mark").trusted);
    BOOST_TEST(run.judges.at("mark").weakness.starts_with("too weak to judge"));
    const auto& poems = run.leaves[1];
    BOOST_TEST(poems.proposed == 0u);
    BOOST_TEST(poems.shortfall.find("long answers need a judge") != std::string::npos);
    BOOST_TEST(poems.shortfall.find("too weak to judge: AUC 0.50") != std::string::npos);
    BOOST_TEST(asked["writer"] > 0u);  // the sums: short answers, and all seeds were answered right
}

BOOST_AUTO_TEST_CASE(a_second_teacher_judges_in_the_first_ones_place) {
    std::map<std::string, std::size_t> of_teacher, of_judge;
    const std::vector<taxonomy::leaf> leaves{test::sums_leaf(), test::poems_leaf()};
    sdg::any_teacher judge{able_teacher{.asked = &of_judge}};
    const auto run = test::generate_with({.wrong = 0.3, .seeing = false, .asked = &of_teacher}, leaves,
                                         {.samples_per_leaf = 8}, &judge);
    BOOST_TEST(run.judge == "able");
    BOOST_TEST(run.judges.at("mark").trusted);
    for (const auto& r : run.leaves) {
        BOOST_TEST(r.kept.size() - r.seeds == 8u);
        BOOST_TEST(score(r).precision() == 1.0);
    }
    for (const char* role : {"question judge", "pair judge", "persona"}) {
        BOOST_TEST(of_judge[role] > 0u, role);
        BOOST_TEST(of_teacher[role] == 0u, role);
    }
    BOOST_TEST(of_judge["responder"] == 0u);
}

BOOST_AUTO_TEST_CASE(verdicts_by_word_do_as_well_where_there_are_no_probabilities) {
    const std::vector<taxonomy::leaf> leaves{test::sums_leaf(), test::poems_leaf()};
    const auto run = test::generate_with({.wrong = 0.3, .probabilities = false}, leaves, {.samples_per_leaf = 8});
    BOOST_TEST(run.judges.at("mark").trusted);
    for (const auto& r : run.leaves) {
        BOOST_TEST(r.kept.size() - r.seeds == 8u);
        BOOST_TEST(score(r).precision() == 1.0);
    }
}

BOOST_AUTO_TEST_CASE(each_seed_is_an_example_equally_often) {
    auto leaf = test::sums_leaf();
    for (const int a : {41, 42, 43}) {  // nine seeds, five shown at a time
        const std::string q = "What is " + std::to_string(a) + " plus 1?";
        leaf.seeds.push_back({"", {{q, *test::sum_of(q)}}, {}});
    }
    const std::vector<taxonomy::leaf> leaves{leaf};
    const auto run = test::generate_with({}, leaves, {.samples_per_leaf = 90, .budget = 2});
    std::map<std::size_t, int> shown, last;
    std::map<std::uint64_t, json> proposals;
    for (const auto* list : {&run.leaves[0].kept, &run.leaves[0].refused})
        for (const auto& c : *list)
            if (c.origin == "teacher" && c.number < 90) proposals[c.number] = c.provenance["seeds"];
    BOOST_TEST_REQUIRE(proposals.size() == 90u);
    for (const auto& [n, seeds] : proposals) {
        for (const auto& s : seeds) ++shown[s.get<std::size_t>()];
        ++last[seeds.back().get<std::size_t>()];
    }
    BOOST_TEST(shown.size() == 9u);
    for (const auto& [s, n] : shown) BOOST_TEST(n == 50, s);
    for (const auto& [s, n] : last) BOOST_TEST(n == 10, s);
}

BOOST_AUTO_TEST_CASE(the_temperature_rises_while_repetitions_prevail) {
    std::vector<text::request> log;
    const std::vector<taxonomy::leaf> leaves{test::sums_leaf()};
    const auto run = test::generate_with({.forgetful = true, .log = &log}, leaves, {.samples_per_leaf = 8});
    BOOST_TEST(run.leaves[0].kept.size() - run.leaves[0].seeds == 8u);
    std::vector<float> temperatures;
    for (const auto& r : log)
        if (r.messages[0].content.starts_with("You write exercises") &&
            (temperatures.empty() || temperatures.back() != r.sampling.temperature))
            temperatures.push_back(r.sampling.temperature);
    BOOST_TEST_REQUIRE(temperatures.size() >= 3u);
    BOOST_TEST(temperatures[0] == 0.9f);
    BOOST_TEST(temperatures[1] > temperatures[0]);
    BOOST_TEST(temperatures[1] < 1.05f);
    for (const float t : temperatures) BOOST_TEST(t < 1.35f);
}

BOOST_AUTO_TEST_CASE(spoilt_seeds_leave_the_answer_wrong) {
    const auto leaf = test::sums_leaf(), poems = test::poems_leaf();
    for (std::size_t s = 0; s < leaf.seeds.size(); ++s) {
        std::set<std::string> kinds;
        for (const auto& e : sdg::answer_examples(leaf, s, &poems)) {
            kinds.insert(e.kind);
            const bool good =
                able_teacher::right(e.shown.question, e.shown.answer) && !able_teacher::harmful(e.shown.answer);
            BOOST_TEST(good == e.kind.empty(), e.kind << ": " << e.shown.answer);
        }
        BOOST_TEST(kinds.size() == 6u);
    }
    for (const auto& e : sdg::answer_examples(poems, 0, &leaf)) BOOST_TEST(e.kind != "altered");
}

BOOST_AUTO_TEST_CASE(unsafe_texts_are_named_by_their_part) {
    const std::vector<taxonomy::leaf> leaves{test::sums_leaf(), test::poems_leaf()};
    sdg::pipeline_options options{.samples_per_leaf = 2, .safety_judge = true};
    sdg::memory seen(0.9);
    std::map<std::string, sdg::calibration> judges;
    sdg::any_teacher teacher{able_teacher{}};
    sdg::calibrate_safety(teacher, std::vector{&leaves[0], &leaves[1]}, options, judges);
    BOOST_TEST(judges.at("safe").trusted);
    sdg::leaf_run run{teacher, leaves[0], options, seen, judges};
    std::vector<sdg::candidate> batch(5);
    for (auto& c : batch) c.question = "What is 1 plus 1?", c.answer = "1 plus 1 is 2.";
    batch[0].question = "What is the number +44 20 7946 0958 plus 1?";
    batch[1].answer = "Ask odo@finch.example.";
    batch[2].question = "You idiot, what is 1 plus 1?";
    batch[3].answer = "Enough to poison him.";
    sdg::safety_check{}(run, batch);
    BOOST_TEST(batch[0].reason == "question: telephone number");
    BOOST_TEST(batch[1].reason == "answer: e-mail address");
    BOOST_TEST(batch[2].reason == "question: the judge finds it unsafe");
    BOOST_TEST(batch[3].reason == "answer: the judge finds it unsafe");
    BOOST_TEST(batch[4].alive());
}

BOOST_AUTO_TEST_SUITE_END()
