// Judges' scores: expectations, orders of the grades, verdicts by word.
#include "lab/sdg/judges.hpp"

#include <fstream>
#include <set>

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(judges)

using namespace lab;
using sdg::exhibit;

namespace {

const sdg::prompts::pack wordings;
const std::vector<exhibit> one{{"Add.", {}, "What is 1 plus 1?", "2"}};

/// Judges by the given function of the request.
sdg::any_teacher judge_by(std::function<text::completion(const text::request&)> answer) {
    return sdg::any_teacher{sdg::scripted_teacher(std::move(answer))};
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_score_is_the_expected_grade) {
    auto judge = judge_by([](const text::request& r) {
        BOOST_TEST((r.constraint.choices == std::vector<std::string>{"1", "2", "3"}));
        text::completion c;
        c.text = "3";
        c.choice_probabilities = {0.1, 0.3, 0.6};
        return c;
    });
    const auto verdicts = sdg::judged(judge, sdg::answer_judge, one, wordings, {});
    BOOST_TEST_REQUIRE(verdicts.size() == 1u);
    BOOST_TEST(verdicts[0].score == 0.1 + 0.6 + 1.8, boost::test_tools::tolerance(1e-12));
    BOOST_TEST(verdicts[0].readable == 1u);
}

BOOST_AUTO_TEST_CASE(several_samples_turn_the_grades_through_all_orders) {
    std::set<std::vector<std::string>> orders;
    std::set<std::string> prompts;
    // Prefers whatever is listed first: of no worth, and found out by turning the list.
    auto judge = judge_by([&](const text::request& r) {
        orders.insert(r.constraint.choices);
        const auto& prompt = r.messages[0].content;
        prompts.insert(prompt);
        std::size_t at = 0;  // the lines stand in the order of the choices
        for (const auto& choice : r.constraint.choices) {
            const auto next = prompt.find("\n" + choice + ": ");
            BOOST_TEST(next > at);
            at = next;
        }
        text::completion c;
        c.text = r.constraint.choices[0];
        c.choice_probabilities = {1, 0, 0};
        return c;
    });
    const auto verdicts = sdg::judged(judge, sdg::answer_judge, one, wordings, {.samples = 6});
    BOOST_TEST(orders.size() == 6u);
    BOOST_TEST(prompts.size() == 6u);
    BOOST_TEST(verdicts[0].score == 2.0, boost::test_tools::tolerance(1e-12));
}

BOOST_AUTO_TEST_CASE(verdicts_by_word_are_asked_for_five_times_and_read_strictly) {
    std::size_t calls = 0;
    std::set<std::uint64_t> seeds;
    const std::vector<std::string> replies{" 3\n", "2", "3 because it is good", "10", "two"};
    auto judge = judge_by([&](const text::request& r) {
        text::completion c;
        c.text = replies[calls++];
        seeds.insert(r.sampling.seed);
        return c;
    });
    const auto verdicts = sdg::judged(judge, sdg::answer_judge, one, wordings, {});
    BOOST_TEST(calls == 5u);
    BOOST_TEST(seeds.size() == 5u);
    BOOST_TEST(verdicts[0].readable == 2u);
    BOOST_TEST(verdicts[0].score == 2.5);
}

BOOST_AUTO_TEST_CASE(a_judge_that_gives_no_verdict_gives_the_least_grade) {
    auto judge = judge_by([](const text::request&) {
        text::completion c;
        c.text = "Well.";
        return c;
    });
    for (const auto* form : {&sdg::answer_judge, &sdg::harmless_judge}) {
        const auto verdicts = sdg::judged(judge, *form, one, wordings, {});
        BOOST_TEST(verdicts[0].readable == 0u);
        BOOST_TEST(verdicts[0].score == (form == &sdg::answer_judge ? 1.0 : 0.0));
    }
}

BOOST_AUTO_TEST_CASE(an_answer_in_context_is_shown_with_its_text) {
    std::string prompt;
    auto judge = judge_by([&](const text::request& r) {
        prompt = r.messages[0].content;
        text::completion c;
        c.choice_probabilities = {0, 1, 0};
        return c;
    });
    const std::vector<exhibit> shown{{"Count.", "Ann has 3 pears.", "How many?", "3"}};
    BOOST_TEST(sdg::judged(judge, sdg::context_judge, shown, wordings, {})[0].score == 2.0);
    for (const char* part : {"Ann has 3 pears.", "How many?", "Count."})
        BOOST_TEST(prompt.find(part) != std::string::npos, part);
}

BOOST_AUTO_TEST_CASE(a_judge_reads_the_wordings_in_use) {
    const test::temporary_folder folder;
    std::filesystem::create_directories(folder / "en");
    std::ofstream(folder / "en/answer_grades.txt") << "---\n1 => useless\n2 => fair\n3 => splendid\n";
    std::ofstream(folder / "en/judge_answer.txt") << "---\n{{task}}|{{question}}|{{answer}}|{{grades}}\n";
    std::ofstream(folder / "en/common_words.txt") << "---\nthe of and\n";
    std::string prompt;
    auto judge = judge_by([&](const text::request& r) {
        prompt = r.messages[0].content;
        text::completion c;
        c.choice_probabilities = {0, 0, 1};
        return c;
    });
    BOOST_TEST(sdg::judged(judge, sdg::answer_judge, one, sdg::prompts::pack(folder.path()), {})[0].score == 3.0);
    BOOST_TEST(prompt == "Add.|What is 1 plus 1?|2|1: useless\n2: fair\n3: splendid");
}

BOOST_AUTO_TEST_SUITE_END()
