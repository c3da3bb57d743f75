// Conversations of several turns: each judged, ended where one fails, written and read as messages.
#include "lab/sdg/conversation.hpp"

#include "able_teacher.hpp"
#include "lab/replay/dataset.hpp"
#include "lab/sdg/leaf_store.hpp"
#include "lab/sdg/output.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(conversations)

using namespace lab;
using formats::json;
using test::able_teacher;

BOOST_AUTO_TEST_CASE(every_turn_is_right_and_judged) {
    const std::vector<taxonomy::leaf> leaves{test::sums_leaf(), test::poems_leaf()};
    const sdg::pipeline_options options{.samples_per_leaf = 8, .turns = 3};
    const auto run = test::generate_with({}, leaves, options);
    const test::temporary_folder folder;
    const auto manifest = sdg::write_run(folder / "out", run, options, folder.path());
    BOOST_TEST(manifest["leaves"][0]["kept_with_turns"]["3"] == 8);
    for (const auto& r : run.leaves)
        for (std::size_t i = r.seeds; i < r.kept.size(); ++i) {
            const auto& c = r.kept[i];
            BOOST_TEST(c.more.size() == 2u, c.provenance.value("conversation_ended", ""));
            for (const auto& turn : c.more) BOOST_TEST(able_teacher::right(turn.question, turn.answer));
            for (const auto& scores : c.provenance["turns"]) {
                BOOST_TEST(scores.contains("question"));
                BOOST_TEST(scores.contains("answer"));
            }
        }
    // What training reads: user and assistant in turns, all of the assistant's to be learnt.
    std::size_t long_ones = 0;
    for (const auto& s : replay::read_samples(folder / "out")) {
        BOOST_TEST(s.messages.size() % 2 == 0u);
        for (std::size_t i = 0; i < s.messages.size(); ++i)
            BOOST_TEST(s.messages[i].role == (i % 2 == 0 ? "user" : "assistant"));
        long_ones += s.messages.size() == 6;
    }
    BOOST_TEST(long_ones == 16u);
    // And what is stored of a leaf comes back whole.
    const auto& c = run.leaves[0].kept.back();
    const auto again = sdg::candidate_from(sdg::to_json(c), "here");
    BOOST_TEST(sdg::sample_id(leaves[0], again) == sdg::sample_id(leaves[0], c));
    BOOST_TEST(again.more.size() == 2u);
}

BOOST_AUTO_TEST_CASE(a_turn_that_fails_twice_ends_the_conversation) {
    const std::vector<taxonomy::leaf> leaves{test::sums_leaf()};
    const auto run = test::generate_with({.wrong = 0.5}, leaves, {.samples_per_leaf = 20, .turns = 4});
    std::map<std::size_t, std::size_t> lengths;
    std::size_t second_tries = 0;
    for (std::size_t i = run.leaves[0].seeds; i < run.leaves[0].kept.size(); ++i) {
        const auto& c = run.leaves[0].kept[i];
        ++lengths[c.more.size()];
        for (const auto& turn : c.more) BOOST_TEST(able_teacher::right(turn.question, turn.answer));
        if (c.more.size() < 3)
            BOOST_TEST(c.provenance["conversation_ended"].get<std::string>().starts_with(
                "turn " + std::to_string(c.more.size() + 2)));
        if (c.provenance.contains("turns"))
            for (const auto& turn : c.provenance["turns"]) second_tries += turn["attempt"] == 1;
    }
    BOOST_TEST(lengths.size() > 1u);
    BOOST_TEST(second_tries > 0u);
}

BOOST_AUTO_TEST_CASE(what_was_asked_before_is_no_new_turn) {
    const std::vector<taxonomy::leaf> leaves{test::fruits_leaf()};  // it asks for the same fruit again and again
    const auto run = test::generate_with({}, leaves, {.samples_per_leaf = 4, .turns = 3});
    std::map<std::string, std::size_t> by_context;  // two exercises share a text: what one asks, the other need not
    std::size_t ended = 0;
    for (std::size_t i = run.leaves[0].seeds; i < run.leaves[0].kept.size(); ++i) {
        const auto& c = run.leaves[0].kept[i];
        const auto why = c.provenance["conversation_ended"].get<std::string>();
        by_context[c.context] += c.more.size();
        ended += why == "turn 3: asks what was asked before";
        BOOST_TEST((c.more.size() == 1u) == (why == "turn 3: asks what was asked before"), why);
        if (c.more.empty()) BOOST_TEST(why.starts_with("turn 2 says the same as "));
    }
    BOOST_TEST(by_context.size() >= 2u);
    for (const auto& [context, turns] : by_context) BOOST_TEST(turns == 1u);
    BOOST_TEST(ended == by_context.size());
}

BOOST_AUTO_TEST_CASE(without_a_trusted_judge_nothing_is_continued) {
    const std::vector<taxonomy::leaf> leaves{test::sums_leaf()};
    sdg::pipeline_options options{.turns = 2};
    sdg::memory seen(0.9);
    std::map<std::string, sdg::calibration> judges;
    sdg::any_teacher teacher{able_teacher{}};
    sdg::leaf_run run{teacher, leaves[0], options, seen, judges};
    std::vector<sdg::candidate> batch(1);
    batch[0].question = "What is 1 plus 1?";
    batch[0].answer = "1 plus 1 is 2.";
    sdg::conversation{}(run, batch);
    BOOST_TEST(batch[0].more.empty());
    BOOST_TEST(batch[0].provenance.contains("conversation_ended"));
}

BOOST_AUTO_TEST_CASE(a_repeated_turn_is_cut_off) {
    const std::vector<taxonomy::leaf> leaves{test::sums_leaf()};
    sdg::pipeline_options options;
    sdg::memory seen(0.9);
    std::map<std::string, sdg::calibration> judges;
    sdg::any_teacher teacher{able_teacher{}};
    sdg::leaf_run run{teacher, leaves[0], options, seen, judges};
    std::vector<sdg::candidate> batch(2);
    batch[0].question = "What is 1 plus 1?", batch[0].answer = "1 plus 1 is 2.";
    batch[0].more = {{"And what is the sum of 40 and 2, may I ask?", "The two make 42."}};
    batch[1].question = "What is 5 plus 5?", batch[1].answer = "5 plus 5 is 10.";
    batch[1].more = {{"Something else: how many are 7 and 9?", "These are 16."}, batch[0].more[0]};
    sdg::near_duplicates{}(run, batch);
    BOOST_TEST(batch[0].more.size() == 1u);
    BOOST_TEST(batch[1].alive());
    BOOST_TEST(batch[1].more.size() == 1u);
    BOOST_TEST(batch[1].provenance["conversation_ended"].get<std::string>() ==
               "turn 3 says the same as " + sdg::sample_id(leaves[0], batch[0]));
}

BOOST_AUTO_TEST_CASE(no_turn_gives_away_what_is_to_be_avoided) {
    const std::vector<taxonomy::leaf> leaves{test::poems_leaf()};
    sdg::pipeline_options options{.samples_per_leaf = 3, .turns = 2};
    const sdg::evaluation_set exam{"exam", {{"exam:1", "My sister too deserves one from you, a poem about", {}}}};
    options.avoid = std::make_shared<const sdg::contamination_index>(std::vector{exam});
    const auto run = test::generate_with({}, leaves, options);
    BOOST_TEST(run.leaves[0].kept.size() - run.leaves[0].seeds == 3u);
    for (std::size_t i = run.leaves[0].seeds; i < run.leaves[0].kept.size(); ++i) {
        const auto& c = run.leaves[0].kept[i];
        BOOST_TEST(c.more.empty());
        BOOST_TEST(c.provenance["conversation_ended"].get<std::string>().starts_with("turn 2: exam, exam:1"));
    }
    // Turns that come with a proposal are compared with the sets too.
    sdg::memory seen(0.9);
    std::map<std::string, sdg::calibration> judges;
    sdg::any_teacher teacher{able_teacher{}};
    sdg::leaf_run work{teacher, leaves[0], options, seen, judges};
    std::vector<sdg::candidate> batch(1);
    batch[0].question = "A poem about tea, please.", batch[0].answer = "O tea.";
    batch[0].more = {{exam.items[0].question + " milk?", "O milk."}};
    sdg::contamination_check{}(work, batch);
    BOOST_TEST(batch[0].refused_by == "contamination");
}

BOOST_AUTO_TEST_CASE(frames_go_on_with_further_exercises) {
    taxonomy::leaf turn = test::skill_leaf("foundational_skills->turn", "Turn the words around.",
                                           {{"", "Turn around: sun sea", "sea sun"},
                                            {"", "Turn around: cup egg", "egg cup"},
                                            {"", "Turn around: hat fog", "fog hat"}});
    const std::vector<taxonomy::leaf> leaves{turn};
    sdg::any_teacher teacher{sdg::scripted_teacher([](const text::request& r) {
        static constexpr std::array<const char*, 12> words{"oak", "elm", "owl", "bee", "ant", "jam",
                                                           "ink", "pen", "jar", "urn", "ivy", "fig"};
        text::completion c;
        c.text = words[counter_rng(r.sampling.seed).below(words.size())];
        return c;
    })};
    const auto run = test::run_over(leaves, teacher, {.samples_per_leaf = 6, .turns = 3});
    std::size_t turns = 0;
    for (std::size_t i = run.leaves[0].seeds; i < run.leaves[0].kept.size(); ++i)
        for (const auto& more : run.leaves[0].kept[i].more) {
            const auto words = sdg::loose_words(more.question);
            BOOST_TEST(more.answer == words[3] + " " + words[2]);
            ++turns;
        }
    BOOST_TEST(turns > 6u);
}

BOOST_AUTO_TEST_SUITE_END()
