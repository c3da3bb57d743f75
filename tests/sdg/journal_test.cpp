#include "lab/sdg/journal.hpp"

#include "support/data.hpp"

using namespace lab;

namespace {
text::request ask(std::string question, std::uint64_t seed = 0) {
    text::request r;
    r.messages = {{"user", std::move(question)}};
    r.sampling.seed = seed;
    return r;
}
struct echo {
    int calls = 0;
    int fail_after = 1 << 30;
    std::vector<text::completion> complete(std::span<const text::request>) {
        throw error("the journal must use complete_each");
    }
    void complete_each(std::span<const text::request> requests, sdg::completion_sink sink) {
        for (std::size_t i = 0; i < requests.size(); ++i) {
            if (calls == fail_after) throw io_error("the line is dead");
            ++calls;
            text::completion c;
            c.text = requests[i].messages[0].content + "!";
            c.log_probability = -0.1;
            c.choice_probabilities = {1.0 / 3.0, 2.0 / 3.0};
            sink(i, c);
        }
    }
    std::vector<text::score> score(std::span<const text::score_request> r) {
        calls += static_cast<int>(r.size());
        return std::vector<text::score>(r.size(), {-std::numeric_limits<double>::infinity(), 3});
    }
    std::string identity() const { return "echo"; }
};
}  // namespace

BOOST_AUTO_TEST_SUITE(journals)

BOOST_AUTO_TEST_CASE(repeats_no_call_and_gives_the_same_answers) {
    const test::temporary_folder folder;
    echo e;
    std::vector<text::request> requests{ask("a"), ask("b"), ask("a"), ask("a", 1)};
    std::vector<text::completion> first;
    {
        sdg::journal log(folder / "j.jsonl");
        sdg::journaled teacher(e, log);
        first = teacher.complete(requests);
        BOOST_TEST(e.calls == 3);  // equal requests are asked once
        BOOST_TEST(first[0].text == "a!");
        const std::vector<text::score_request> s{{requests[0].messages, "x"}};
        BOOST_TEST(teacher.score(s)[0].log_probability == -1e30);
    }
    sdg::journal log(folder / "j.jsonl");
    sdg::journaled teacher(e, log);
    const auto again = teacher.complete(requests);
    BOOST_TEST(e.calls == 4);
    for (std::size_t i = 0; i < again.size(); ++i) {
        BOOST_TEST(again[i].text == first[i].text);
        BOOST_TEST(again[i].log_probability == first[i].log_probability);
        BOOST_TEST(again[i].choice_probabilities == first[i].choice_probabilities);
    }
}

BOOST_AUTO_TEST_CASE(keeps_what_came_before_a_failure) {
    const test::temporary_folder folder;
    echo e;
    e.fail_after = 2;
    const std::vector<text::request> requests{ask("a"), ask("b"), ask("c")};
    {
        sdg::journal log(folder / "j.jsonl");
        sdg::journaled teacher(e, log);
        BOOST_CHECK_THROW((void)teacher.complete(requests), io_error);
    }
    e.fail_after = 3;
    sdg::journal log(folder / "j.jsonl");
    BOOST_TEST(log.size() == 2u);
    sdg::journaled teacher(e, log);
    BOOST_TEST(teacher.complete(requests)[2].text == "c!");
    BOOST_TEST(e.calls == 3);
}

BOOST_AUTO_TEST_CASE(a_torn_last_line_is_ignored_and_damage_inside_is_not) {
    const test::temporary_folder folder;
    echo e;
    const std::vector<text::request> requests{ask("a"), ask("b")};
    {
        sdg::journal log(folder / "j.jsonl");
        sdg::journaled teacher(e, log);
        (void)teacher.complete(requests);
    }
    const auto whole = read_file(folder / "j.jsonl");
    const auto second = whole.find('\n') + 1;
    for (std::size_t cut = second; cut + 1 < whole.size(); cut += 7) {  // killed anywhere in the second record
        write_file_atomically(folder / "j.jsonl", whole.substr(0, cut));
        sdg::journal log(folder / "j.jsonl");
        BOOST_TEST(log.size() == 1u);
        sdg::journaled teacher(e, log);
        (void)teacher.complete(requests);
        BOOST_TEST(read_file(folder / "j.jsonl") == whole);
    }
    write_file_atomically(folder / "j.jsonl", "{\"kez\": 1}\n" + whole);
    BOOST_CHECK_THROW(sdg::journal(folder / "j.jsonl"), format_error);
}

BOOST_AUTO_TEST_CASE(an_answer_cut_inside_a_character_is_the_same_after_reading) {
    const test::temporary_folder folder;
    sdg::scripted_teacher cutter([](const text::request&) {
        text::completion c;
        c.text = "caf\xc3";
        return c;
    });
    const std::vector<text::request> requests{ask("a")};
    for (int run = 0; run < 2; ++run) {
        sdg::journal log(folder / "j.jsonl");
        sdg::journaled teacher(cutter, log);
        BOOST_TEST(teacher.complete(requests)[0].text == "caf?");
    }
}

BOOST_AUTO_TEST_SUITE_END()
