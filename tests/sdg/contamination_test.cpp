#include "lab/sdg/contamination.hpp"

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(contamination)

using namespace lab;

namespace {

sdg::evaluation_set set_of(const std::vector<std::string>& questions) {
    sdg::evaluation_set set{"exam", {}};
    for (const auto& q : questions) set.items.push_back({"exam:" + std::to_string(set.items.size() + 1), q, {}});
    return set;
}
sdg::set_overlap compare(const sdg::evaluation_set& set, const std::string& question, const std::string& answer = "",
                         sdg::contamination_options options = {}) {
    return sdg::contamination_index({set}, options).compare(question, question + "\n" + answer).at(0);
}
void write(const std::filesystem::path& file, const std::string& text) {
    std::filesystem::create_directories(file.parent_path());
    write_file_atomically(file, text);
}

const std::string ferry =
    "On which weekday does the last ferry of the season leave the northern harbour of Pellamy for the mainland?";

}  // namespace

BOOST_AUTO_TEST_CASE(thirteen_words_in_a_row_are_enough) {
    const std::string base =
        "Each morning a baker carries exactly forty loaves of dark bread up the hill to the school, and in the "
        "afternoon "
        "he brings back the empty baskets. The school has nine classes. How many loaves does each class get at most?";
    const auto exam = set_of({"something else entirely is asked in this question about birds", base});
    const auto hit = compare(exam, "Tell a story.",
                             "It began when a baker carries exactly forty loaves of dark bread up the hill to pray.");
    BOOST_TEST(hit.item == 1u);
    BOOST_TEST(hit.why.find("13 words in a row") != std::string::npos);
    BOOST_TEST(hit.share > 0.2);
    BOOST_TEST(hit.share < 0.8);
    const auto less = compare(exam, "Tell a story.", "A baker carries exactly forty loaves of bread up a hill.");
    BOOST_TEST(less.why.empty());
}

BOOST_AUTO_TEST_CASE(most_of_a_question_in_pieces_is_enough) {
    const auto exam = set_of({ferry});
    const auto whole = compare(exam, "Please answer: " + ferry);
    BOOST_TEST(whole.share == 1.0);
    BOOST_TEST(!whole.why.empty());
    // Two runs of eight, with a word changed between them: 17 of 19 words.
    const auto pieces =
        compare(exam, "Story.",
                "on which weekday does the last ferry of the summer leave the northern harbour of Pellamy for the");
    BOOST_TEST(pieces.share == 17.0 / 19, boost::test_tools::tolerance(1e-9));
    const auto one = compare(exam, "Story.", "The last ferry of the season leave the pier.");
    BOOST_TEST(one.share == 8.0 / 19, boost::test_tools::tolerance(1e-9));
    BOOST_TEST(one.why.empty());
}

BOOST_AUTO_TEST_CASE(a_question_nearly_the_same_is_found_by_rouge) {
    const auto exam = set_of({ferry});
    const auto near = compare(exam,
                              "On which day does the last ferry of this season leave the northern port of Pellamy for "
                              "the mainland?");
    BOOST_TEST(near.share < 0.8);
    BOOST_TEST(near.why.find("ROUGE-L 0.8") == std::string::npos);  // 16 of 19 words are not near enough
    BOOST_TEST(near.why.empty());
    const auto nearer = compare(exam,
                                "On which day does the last ferry of this season leave the northern harbour of Pellamy "
                                "for the mainland?");
    BOOST_TEST(nearer.why.find("nearly the same, ROUGE-L 0.89") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(short_questions_must_be_there_whole) {
    const auto exam = set_of({"What is the capital of Pellamy?", "Who was Otto Lind?", "What is 7 times 8?"});
    BOOST_TEST(compare(exam, "Quick: what is the capital of Pellamy, please?").why.find("whole") != std::string::npos);
    BOOST_TEST(compare(exam, "What is the capital of Marl?").why.empty());
    BOOST_TEST(compare(exam, "who was otto lind").why.find("the same") != std::string::npos);
    BOOST_TEST(compare(exam, "Tell me who was Otto Lind and when he lived").why.empty());
    BOOST_TEST(compare(exam, "What is 7 times 9?").why.empty());
    BOOST_TEST(compare(exam, "What is 7 times 8?").item == 2u);
}

BOOST_AUTO_TEST_CASE(boilerplate_gives_nothing_away) {
    std::vector<std::string> questions;
    for (int i = 0; i < 12; ++i)
        questions.push_back(
            "Answer the following multiple choice question with the letter of the right option and nothing "
            "else at all: how long is a piece of string number " +
            std::to_string(i) + "?");
    const std::string same =
        "Answer the following multiple choice question with the letter of the right option and nothing else at all: "
        "who "
        "sings?";
    BOOST_TEST(compare(set_of(questions), same).why.empty());
    BOOST_TEST(compare(set_of(questions), same).share == 0.0);
    questions.resize(5);
    BOOST_TEST(!compare(set_of(questions), same).why.empty());
}

BOOST_AUTO_TEST_CASE(questions_that_many_items_ask_are_told_apart_by_their_choices) {
    sdg::evaluation_set exam{"exam", {}};
    exam.items = {{"1", "Which of these is true?", "Goats eat paper\nFerries fly\nSnow is warm\nStones sing"},
                  {"2", "Which of these is true?", "Bread is blue\nRain is dry\nLamps sleep\nTom is tall"}};
    BOOST_TEST(compare(exam, "Which of these is true?").why.empty());
    const auto hit = compare(exam, "Which of these is true? Bread is blue. Rain is dry. Lamps sleep. Tom is tall.");
    BOOST_TEST(hit.item == 1u);
    BOOST_TEST(!hit.why.empty());
}

BOOST_AUTO_TEST_CASE(each_set_is_reported_by_itself) {
    auto one = set_of({ferry}), two = set_of({"Who was Otto Lind?"});
    const sdg::contamination_index index({one, two});
    BOOST_TEST(index.set(0).name == "exam");
    BOOST_TEST(index.set(1).name == "exam (2)");
    const auto overlaps = index.compare("Who was Otto Lind?", "Who was Otto Lind?\nA painter.");
    BOOST_TEST(overlaps.at(0).why.empty());
    BOOST_TEST(!overlaps.at(1).why.empty());
    BOOST_CHECK_THROW(sdg::contamination_index({one}, {.share = 0}), config_error);
    BOOST_CHECK_THROW(sdg::contamination_index({one}, {.long_run = 5}), config_error);
    BOOST_CHECK_THROW(sdg::contamination_index({one}, {.whole = 0}), config_error);
}

BOOST_AUTO_TEST_CASE(sets_are_read_from_the_usual_formats) {
    const test::temporary_folder folder;
    write(
        folder / "set/a.jsonl",
        R"({"id": "x", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "first?"}, {"role": "assistant", "content": "yes"}, {"role": "user", "content": "second?"}]})"
        "\n"
        R"({"question": "third?", "answer": "no", "category": "math"})"
        "\n"
        R"({"instruction": "fourth", "input": "the input", "output": "out"})"
        "\n"
        R"({"prompt": "fifth?", "choices": ["one", {"text": "two"}]})"
        "\n"
        R"({"question_id": 81, "turns": ["sixth?", "seventh?"]})"
        "\n"
        R"({"question_id": 81, "choices": [{"turns": ["the reference"]}]})"
        "\n");
    write(folder / "set/b.json", R"([{"question": "eighth?"}])");
    write(folder / "set/c.csv", "ninth?,a,b,c,d,B\n\"tenth, or not?\",a,b,c,d,A\n");
    write(folder / "set/d.csv", "id,Question,Answer\n7,eleventh?,yes\n");
    write(folder / "set/e.txt", "twelfth?\nthirteenth?\n");
    write(folder / "set/f.md", "fourteenth,\nstill?\n\n\nfifteenth?\n");
    write(folder / "set/heldout.jsonl", R"({"id": "h", "phrasings": ["never read"]})"
                                        "\n");
    write(folder / "set/picture.png", "not a text");
    write(folder / "set/.git/config", std::string("a\0b", 3));
    write(folder / "set/LICENSE", "no question");
    write(folder / "set/README.md", "no question");
    write(folder / "set/other.jsonl", R"({"nothing": "asked"})"
                                      "\n");
    const auto set = sdg::read_evaluation_set(folder / "set");
    std::vector<std::string> questions, names;
    for (const auto& item : set.items) {
        auto text = item.question;
        while (text.ends_with('\n')) text.pop_back();
        questions.push_back(text);
        names.push_back(item.name);
    }
    const std::vector<std::string> expected{
        "first?",         "second?",   "third?",   "fourth\nthe input", "fifth?",
        "sixth?",         "seventh?",  "",         "eighth?",           "ninth?",
        "tenth, or not?", "eleventh?", "twelfth?", "thirteenth?",       "fourteenth,\nstill?",
        "fifteenth?"};
    BOOST_TEST(questions == expected, boost::test_tools::per_element());
    BOOST_TEST(names[0] == "a.jsonl:1 turn 1");
    BOOST_TEST(names[2] == "a.jsonl:2");
    BOOST_TEST(names[8] == "b.json [0]");
    BOOST_TEST(names[11] == "d.csv:2");
    BOOST_TEST(names[15] == "f.md:5");
    BOOST_TEST(set.items[0].rest == "yes\n");
    BOOST_TEST(set.items[2].rest == "no\n");
    BOOST_TEST(set.items[4].rest == "one\ntwo\n");
    BOOST_TEST(set.items[7].rest == "the reference\n");
    BOOST_TEST(set.items[9].rest == "a\nb\nc\nd\nB\n");
    BOOST_TEST(
        set.skipped == (std::vector<std::string>{".git/config", "LICENSE", "README.md", "other.jsonl", "picture.png"}),
        boost::test_tools::per_element());
    BOOST_TEST(set.name == "set");
    BOOST_TEST(sdg::read_evaluation_set(folder / "set/").name == "set");
    BOOST_TEST(sdg::read_evaluation_set(folder / "set/c.csv").items.size() == 2u);
    const auto before = set.sha256;
    write(folder / "set/e.txt", "twelfth!\n");
    BOOST_TEST(sdg::read_evaluation_set(folder / "set").sha256 != before);
}

BOOST_AUTO_TEST_CASE(what_is_no_set_is_refused) {
    const test::temporary_folder folder;
    write(folder / "heldout.jsonl", R"({"id": "h", "phrasings": ["never read"]})"
                                    "\n");
    write(folder / "empty.jsonl", "");
    write(folder / "broken.jsonl", "{\"question\": \"a?\"}\n{\"question\": \n");
    write(folder / "binary.txt", std::string("a\0b", 3));
    BOOST_CHECK_THROW((void)sdg::read_evaluation_set(folder / "heldout.jsonl"), config_error);
    BOOST_CHECK_THROW((void)sdg::read_evaluation_set(folder / "empty.jsonl"), format_error);
    BOOST_CHECK_THROW((void)sdg::read_evaluation_set(folder / "binary.txt"), format_error);
    BOOST_CHECK_THROW((void)sdg::read_evaluation_set(folder / "nowhere"), io_error);
    try {
        (void)sdg::read_evaluation_set(folder / "broken.jsonl");
        BOOST_FAIL("read a broken file");
    } catch (const format_error& fault) {
        BOOST_TEST(std::string(fault.what()).find("broken.jsonl:2") != std::string::npos);
    }
}

BOOST_AUTO_TEST_CASE(every_real_question_is_found_and_no_stranger,
                     *boost::unit_test::precondition(test::needs("mmlu/test")) *
                         boost::unit_test::precondition(test::needs("mt_bench/question.jsonl")) *
                         boost::unit_test::precondition(test::needs("instruct/gsm8k_train_2000.jsonl"))) {
    auto mmlu = sdg::read_evaluation_set(test::shared_data("mmlu/test"));
    auto bench = sdg::read_evaluation_set(test::shared_data("mt_bench/question.jsonl"));
    BOOST_TEST(mmlu.items.size() > 1000u);
    BOOST_TEST(bench.items.size() == 160u);
    const sdg::contamination_index index({mmlu, bench});
    for (std::size_t s = 0; s < index.size(); ++s)
        for (const auto& item : index.set(s).items) {
            const auto found = index.compare(item.question, item.question + "\n" + item.rest).at(s);
            BOOST_TEST(!found.why.empty(), item.name << ": " << item.question);
        }
    std::size_t refused = 0;
    const auto strangers = sdg::read_evaluation_set(test::shared_data("instruct/gsm8k_train_2000.jsonl"));
    for (const auto& item : strangers.items)
        for (const auto& o : index.compare(item.question, item.question + "\n" + item.rest)) refused += !o.why.empty();
    BOOST_TEST(refused <= strangers.items.size() / 500);
}

BOOST_AUTO_TEST_SUITE_END()
