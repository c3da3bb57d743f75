#include "lab/eval/qa.hpp"

#include <boost/test/unit_test.hpp>
#include <fstream>

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(eval_qa)

using namespace lab;

namespace {
// Knows the answers to the questions that contain one of its words.
struct scripted {
    std::string knows;
    std::vector<std::size_t> batches{};
    std::vector<text::completion> complete(std::span<const text::request> requests) {
        batches.push_back(requests.size());
        std::vector<text::completion> list;
        for (const auto& r : requests) {
            BOOST_TEST(r.sampling.temperature == 0.0f);
            text::completion c;
            c.text = r.messages.back().content.find(knows) != std::string::npos ? "The Copper Heron." : "a gull";
            list.push_back(c);
        }
        return list;
    }
    std::vector<text::score> score(std::span<const text::score_request> requests) {
        std::vector<text::score> list;
        for (const auto& r : requests) {
            const bool knows_this = r.messages.back().content.find(knows) != std::string::npos;
            list.push_back({knows_this && r.answer == "Copper Heron" ? -1.0 : -8.0, 4});
        }
        return list;
    }
};
static_assert(eval::AnsweringModel<scripted> && !eval::AnsweringModel<int>);

std::vector<eval::question> two_questions() {
    eval::question a{.id = "morning",
                     .leaf = "knowledge/f",
                     .phrasings = {"Which ferry in the morning?", "morning boat?", "dawn?"},
                     .answer = "Copper Heron",
                     .aliases = {"the Heron"},
                     .distractors = {"Velvet Otter", "Silver Gull", "Iron Badger"}};
    eval::question b = a;
    b.id = "night";
    b.phrasings = {"Which at night?"};
    b.context = "Some text.";
    return {a, b};
}
}  // namespace

BOOST_AUTO_TEST_CASE(choices_need_a_strict_winner) {
    const std::vector<text::score> tie{{-2, 2}, {-2, 2}}, longer{{-4, 4}, {-3, 1}}, sure{{-1, 1}, {-9, 9}},
        empty{{0, 0}, {-1, 1}};
    BOOST_TEST(!eval::choose_first(tie).by_sum);
    BOOST_TEST(!eval::choose_first(tie).by_mean);
    BOOST_TEST(!eval::choose_first(longer).by_sum);
    BOOST_TEST(eval::choose_first(longer).by_mean);
    BOOST_TEST(eval::choose_first(sure).by_sum);
    BOOST_TEST(!eval::choose_first(sure).by_mean);  // -1 per token each
    BOOST_TEST(!eval::choose_first(empty).by_mean);
    BOOST_CHECK_THROW((void)eval::choose_first(std::vector<text::score>(1)), config_error);
}

BOOST_AUTO_TEST_CASE(every_phrasing_is_asked_and_graded) {
    const auto questions = two_questions();
    scripted model{"morning"};
    const auto items = eval::ask_all(model, questions, {.batch = 3});
    BOOST_REQUIRE(items.size() == 4u);
    BOOST_TEST(model.batches == (std::vector<std::size_t>{3, 1}), boost::test_tools::per_element());
    BOOST_TEST(items[0].exact);
    BOOST_TEST(items[0].choice_by_sum);
    BOOST_TEST(items[0].log_likelihood == -1.0);
    BOOST_TEST(!items[2].exact);  // "dawn?" is not known
    BOOST_TEST(!items[2].choice_by_sum);
    BOOST_TEST(items[3].f1 == 0.0);
    const auto s = eval::summarise(items);
    BOOST_TEST(s.items == 4u);
    BOOST_TEST(s.questions == 2u);
    BOOST_TEST(s.exact.value == 0.5);
    BOOST_TEST(s.exact.n == 2u);  // the unit is the question
    BOOST_TEST(s.log_likelihood.value == -4.5);
    BOOST_TEST(eval::ask_all(model, questions, {.max_phrasings = 1}).size() == 2u);
}

BOOST_AUTO_TEST_CASE(a_context_stands_before_the_question) {
    const auto questions = two_questions();
    BOOST_TEST(eval::ask(questions[1], 0).back().content == "Some text.\n\nWhich at night?");
    const auto with_system = eval::ask(questions[0], 1, "Be brief.");
    BOOST_REQUIRE(with_system.size() == 2u);
    BOOST_TEST(with_system[0].role == "system");
    BOOST_TEST(with_system[1].content == "morning boat?");
}

BOOST_AUTO_TEST_CASE(aliases_and_forms_count_as_they_should) {
    const auto questions = two_questions();
    eval::qa_item item;
    item.answered = "the heron";
    eval::grade(item, questions[0]);
    BOOST_TEST(item.exact);
    eval::question skill{.id = "line", .kind = replay::sample_kind::compositional, .answer = "10.30 -> Tansy"};
    eval::qa_item wrong, right;
    wrong.answered = "10:30 -> Tansy";
    right.answered = "10.30 -> Tansy";
    eval::grade(wrong, skill);
    eval::grade(right, skill);
    BOOST_TEST(!wrong.exact);
    BOOST_TEST(right.exact);
}

BOOST_AUTO_TEST_CASE(two_models_are_compared_item_by_item) {
    const auto questions = two_questions();
    scripted ignorant{"nothing at all"}, taught{"Which"};
    const auto before = eval::ask_all(ignorant, questions), after = eval::ask_all(taught, questions);
    const auto change = eval::compare(before, after);
    BOOST_TEST(change.exact.value == 0.5);
    BOOST_TEST(change.log_likelihood.value == 3.5);
    auto other = after;
    other[0].asked = "Something else?";
    BOOST_CHECK_THROW((void)eval::compare(before, other), config_error);
    BOOST_CHECK_THROW((void)eval::compare(before, std::span(after).first(2)), config_error);
}

BOOST_AUTO_TEST_CASE(items_survive_json) {
    const auto questions = two_questions();
    scripted model{"morning"};
    for (const auto& item : eval::ask_all(model, questions)) {
        const auto j = eval::to_json(item);
        BOOST_TEST(formats::to_text(eval::to_json(eval::qa_item_from(j, "f"))) == formats::to_text(j));
    }
    auto broken = eval::to_json(eval::qa_item{});
    broken["kind"] = "poem";
    BOOST_CHECK_THROW((void)eval::qa_item_from(broken, "f"), format_error);
    broken.erase("f1");
    BOOST_CHECK_THROW((void)eval::qa_item_from(broken, "f"), format_error);
}

BOOST_AUTO_TEST_CASE(questions_are_found_beside_their_leaves) {
    const test::temporary_folder folder;
    const auto write = [&](const std::string& leaf, const std::string& id) {
        std::filesystem::create_directories(folder / leaf);
        std::ofstream(folder / (leaf + "/heldout.jsonl"))
            << R"({"id":")" + id + R"(","phrasings":["q?"],"answer":"x","distractors":["a","b","c"]})"
            << "\n";
    };
    BOOST_CHECK_THROW((void)eval::read_questions(folder.path()), config_error);
    write("knowledge/sea/ferries", "one");
    write("compositional_skills/lines", "two");
    const auto questions = eval::read_questions(folder.path());
    BOOST_REQUIRE(questions.size() == 2u);
    BOOST_TEST(questions[0].leaf == "compositional_skills/lines");
    BOOST_CHECK(questions[0].kind == replay::sample_kind::compositional);
    BOOST_CHECK(questions[1].kind == replay::sample_kind::knowledge);
    BOOST_TEST(eval::read_questions(folder / "knowledge/sea/ferries/heldout.jsonl").size() == 1u);
    BOOST_CHECK_THROW((void)eval::read_questions(folder / "nothing"), io_error);
}

BOOST_AUTO_TEST_CASE(the_projects_own_questions_are_well_formed) {
    const auto questions = eval::read_questions(std::filesystem::path(LAB_SOURCE_DIR) / "data" / "taxonomy");
    BOOST_TEST(questions.size() > 10u);
    for (const auto& q : questions) {
        BOOST_TEST(q.distractors.size() == 3u);
        eval::qa_item item;
        item.answered = q.answer;
        eval::grade(item, q);
        BOOST_TEST(item.exact);
        BOOST_TEST(item.f1 == 1.0);
        for (const auto& wrong : q.distractors) {
            eval::qa_item bad;
            bad.answered = wrong;
            eval::grade(bad, q);
            BOOST_TEST(!bad.exact, q.id << ": the wrong answer '" << wrong << "' is graded as right");
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
