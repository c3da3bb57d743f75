#include "lab/taxonomy/lint_texts.hpp"

#include <boost/test/unit_test.hpp>
#include <fstream>

#include "lab/taxonomy/check.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(lint_of_texts)

using namespace lab::taxonomy;
namespace fs = std::filesystem;

namespace {

leaf knowledge_leaf() {
    leaf l;
    l.id = "knowledge->boats";
    l.kind = root::knowledge;
    for (std::size_t i = 0; i < 3; ++i) {
        const auto n = std::to_string(i);
        l.seeds.push_back({"Boat " + n + " is red.", {{"Which colour has boat " + n + "?", "red"}}, {10 * (i + 1), 3}});
    }
    return l;
}

std::vector<std::string> advice(const leaf& l) {
    problem_list problems("q");
    lint_texts(l, problems);
    std::vector<std::string> out;
    for (const auto& p : problems.all()) out.push_back(to_text(p));
    return out;
}

void expect(const leaf& l, std::initializer_list<std::string_view> beginnings) {
    const auto found = advice(l);
    BOOST_TEST(found.size() == beginnings.size());
    for (std::size_t i = 0; i < std::min(found.size(), beginnings.size()); ++i)
        BOOST_TEST(found[i].find(beginnings.begin()[i]) != std::string::npos, found[i]);
}

void write(const fs::path& file, std::string_view text) {
    fs::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_good_leaf_is_left_in_peace) { expect(knowledge_leaf(), {}); }

BOOST_AUTO_TEST_CASE(questions_that_stand_twice) {
    auto l = knowledge_leaf();
    l.seeds[1].questions_and_answers.push_back({"which COLOUR has boat 0", "red!"});
    l.seeds[2].questions_and_answers.push_back({"Which colour has boat 1?", "boat"});
    l.seeds[2].questions_and_answers.push_back({"Red?", "red."});
    expect(l,
           {"q:20:3: warning: the question 'which COLOUR has boat 0' stands already in the example of line 10 (ask",
            "q:30:3: warning: the question 'Which colour has boat 1?' stands already in the example of line 20, with "
            "another answer",
            "q:30:3: warning: the answer to 'Red?' repeats the question"});
    l = knowledge_leaf();
    l.seeds[2].context = "boat 0 is RED";
    l.seeds[2].questions_and_answers = {{"Is it red?", "yes"}};
    expect(l, {"q:30:3: warning: the context is the one of line 10 again"});
}

BOOST_AUTO_TEST_CASE(questions_that_lean_on_a_text) {
    for (const char* question :
         {"According to the text, what is red?", "What is red in this passage?", "Who is named in the document?",
          "What does the paragraph above say about red?", "Which boats does the following article name?"}) {
        auto l = knowledge_leaf();
        l.seeds[0].questions_and_answers[0].question = question;
        expect(l, {"which the student will not see"});
    }
    for (const char* question : {"What is a text message?", "Which article of the constitution names red?",
                                 "Who wrote the document of 1815?", "Which passage leads to the harbour?"}) {
        auto l = knowledge_leaf();
        l.seeds[0].questions_and_answers[0].question = question;
        expect(l, {});
    }
}

BOOST_AUTO_TEST_CASE(answers_that_no_context_tells) {
    auto l = knowledge_leaf();
    l.seeds[0].questions_and_answers[0].answer = "green paint";
    expect(l, {"q:10:3: warning: no word of the answer to 'Which colour has boat 0?' stands in its context"});
    for (const char* answer : {"Yes, green paint.", "7", "A red one"}) {
        l.seeds[0].questions_and_answers[0].answer = answer;
        expect(l, {});
    }
}

BOOST_AUTO_TEST_CASE(skills_and_sources) {
    leaf l;
    l.task_description = "Write.";
    for (std::size_t i = 0; i < 2; ++i)
        l.seeds.push_back({"Text " + std::to_string(i), {{"Shorten it.", "x"}}, {4, 3}});
    expect(l, {"q:1:1: warning: the task description 'Write.' says little"});  // one question for different contexts
    l = knowledge_leaf();
    l.source.emplace();
    l.source->repo = "https://example.org/boats.git";
    l.source->commit = "main";
    expect(l, {"the commit 'main' is no full name"});
    l.source->commit = std::string(40, 'a');
    expect(l, {});
    l.source->repo = ".";
    l.source->commit = "local";
    expect(l, {});
}

BOOST_AUTO_TEST_CASE(over_files_and_beside_them) {
    const lab::test::temporary_folder top;
    const auto skill = [](std::string_view third) {
        std::string text = "version: 3\ntask_description: Say what it is.\ncreated_by: me\nseed_examples:\n";
        for (const std::string_view question :
             std::initializer_list<std::string_view>{"one", "two", third, "four", "five"})
            text.append("  - question: ").append(question).append("\n    answer: x\n");
        return text;
    };
    write(top / "compositional_skills/a/qna.yaml", skill("three"));
    write(top / "compositional_skills/a/heldout.jsonl",
          R"({"id": "x", "phrasings": ["Two?"], "answer": "a", "distractors": ["b", "c", "d"]})"
          "\n");
    write(top / "compositional_skills/b/qna.yaml",
          "version: 3\ntask_description: Say what it is.\ncreated_by: me\n"
          "seed_examples:\n"
          "  - {question: Three, answer: x}\n  - {question: b2, answer: x}\n"
          "  - {question: b3, answer: x}\n  - {question: b4, answer: x}\n"
          "  - {question: b5, answer: x}\n");
    write(top / "compositional_skills/b/heldout.jsonl", "{broken\n");
    const auto reports = check(top.path());
    BOOST_TEST_REQUIRE(reports.size() == 2U);
    const auto text = to_text(reports);
    BOOST_TEST(text.find("a/qna.yaml:7:1: warning: heldout.jsonl asks 'Two?' too") != std::string::npos, text);
    BOOST_TEST(text.find("the question 'Three' is asked in compositional_skills->a too, line 9") != std::string::npos,
               text);
    BOOST_TEST(text.find("b/qna.yaml:1:1: warning: ") != std::string::npos, text);
    BOOST_TEST(text.find("2 of 2 files valid, 3 warnings") != std::string::npos, text);
}

BOOST_AUTO_TEST_SUITE_END()
