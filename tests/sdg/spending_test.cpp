#include "lab/sdg/spending.hpp"

#include "lab/sdg/journaled.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(budgets)

using namespace lab;

namespace {

/// Every answer takes ten tokens to read and `length` to write.
struct metered {
    std::size_t calls = 0, length = 5;
    bool tells = true;
    std::vector<text::completion> complete(std::span<const text::request> requests) {
        std::vector<text::completion> answers;
        for (const auto& r : requests) {
            ++calls;
            text::completion c;
            c.text = r.messages[0].content + "!";
            if (tells) c.spent = {10, length};
            if (!r.constraint.choices.empty()) c.no_verdict = "well", c.text.clear();
            c.notes = {"a note on " + r.messages[0].content};
            answers.push_back(c);
        }
        return answers;
    }
    std::vector<text::score> score(std::span<const text::score_request> requests) {
        calls += requests.size();
        return std::vector<text::score>(requests.size(), {-1.0, 3, {20, 3}});
    }
    std::string identity() const { return "metered"; }
};
std::vector<text::request> questions(std::size_t from, std::size_t to) {
    std::vector<text::request> list;
    for (std::size_t i = from; i < to; ++i) {
        text::request r;
        r.messages = {{"user", std::string("question ").append(std::to_string(i))}};  // 10 or 11 letters: 7 tokens
        r.max_tokens = 20;
        list.push_back(r);
    }
    return list;
}

}  // namespace

BOOST_AUTO_TEST_CASE(answers_are_counted_once_whoever_gave_them) {
    const test::temporary_folder folder;
    metered m;
    auto requests = questions(0, 4);
    requests.push_back(requests[0]);
    const std::vector<text::score_request> s{{requests[0].messages, "x"}};
    auto choice = questions(4, 5);
    choice[0].constraint.choices = {"YES", "NO"};
    formats::json whole;
    for (int run = 0; run < 3; ++run) {
        sdg::journal log(folder / "j.jsonl");
        sdg::ledger accounts;
        sdg::journaled teacher(m, log, &accounts);
        if (run == 1) (void)teacher.score(s);  // in another order
        (void)teacher.complete(requests);
        (void)teacher.complete(requests);
        (void)teacher.complete(choice);
        (void)teacher.score(s);
        BOOST_TEST(accounts.run.completions == 5u);
        BOOST_TEST(accounts.run.scores == 1u);
        BOOST_TEST(accounts.run.prompt_tokens == 70u);
        BOOST_TEST(accounts.run.completion_tokens == 28u);
        BOOST_TEST(accounts.run.no_verdict == 1u);
        BOOST_TEST(accounts.run.estimated == 0u);
        BOOST_TEST(accounts.now.answers() == (run == 0 ? 6u : 0u));
        BOOST_TEST(teacher.notes().size() == 5u);  // those of answers from the journal too
        const auto told = sdg::to_json(accounts.run, {.prompt = 2, .completion = 10});
        if (run == 0) whole = told;
        BOOST_TEST(told == whole);
        BOOST_TEST(told["cost"]["total"] == (70 * 2 + 28 * 10) / 1e6);
    }
    BOOST_TEST(m.calls == 6u);
}

BOOST_AUTO_TEST_CASE(a_teacher_that_tells_no_tokens_is_estimated) {
    const test::temporary_folder folder;
    metered m;
    m.tells = false;
    sdg::journal log(folder / "j.jsonl");
    sdg::ledger accounts;
    sdg::journaled teacher(m, log, &accounts);
    (void)teacher.complete(questions(0, 2));
    BOOST_TEST(accounts.run.estimated == 2u);
    BOOST_TEST(accounts.run.prompt_tokens == 14u);
    BOOST_TEST(accounts.run.completion_tokens == 6u);
}

BOOST_AUTO_TEST_CASE(a_budget_ends_before_it_is_passed_and_a_larger_one_goes_on) {
    const test::temporary_folder folder;
    metered m;
    const auto run = [&](sdg::budget limit) {
        sdg::journal log(folder / "j.jsonl");
        sdg::ledger accounts{.limit = limit};
        sdg::journaled teacher(m, log, &accounts);
        bool ended = false;
        try {
            for (std::size_t batch = 0; batch < 10; ++batch)
                (void)teacher.complete(questions(10 * batch, 10 * batch + 10));
        } catch (const sdg::budget_ended& e) {
            BOOST_TEST_MESSAGE(e.what());
            ended = true;
        }
        BOOST_TEST(sdg::budget{limit}.covers(accounts.run));
        return std::pair(ended, accounts.run.tokens());
    };
    const auto first = run({.most_tokens = 500});
    BOOST_TEST(first.first);
    BOOST_TEST(first.second > 470u);  // the last request is not asked where it might pass
    BOOST_TEST(first.second <= 500u);
    const auto calls = m.calls;
    BOOST_TEST((run({.most_tokens = 500}) == first));  // nothing new is asked, and it ends in the same place
    BOOST_TEST(m.calls == calls);
    const auto cost = run({.most_cost = 0.001, .price = {.prompt = 1, .completion = 1}});
    BOOST_TEST(cost.first);
    BOOST_TEST(cost.second > 970u);
    BOOST_TEST(cost.second <= 1000u);
    BOOST_TEST(!run({.most_tokens = 1520}).first);
    BOOST_TEST(m.calls == 100u);  // every question once
}

BOOST_AUTO_TEST_CASE(a_killed_run_ends_its_budget_where_the_whole_run_does) {
    const auto ends_at = [](const std::filesystem::path& path, std::size_t dies_after) {
        metered m;
        struct mortal {
            metered* m;
            std::size_t dies_after;
            std::vector<text::completion> complete(std::span<const text::request> r) { return m->complete(r); }
            void complete_each(std::span<const text::request> requests, sdg::completion_sink sink) {
                for (std::size_t i = requests.size(); i-- > 0;) {  // the last first
                    if (m->calls == dies_after) throw io_error("dead");
                    sink(i, m->complete(requests.subspan(i, 1))[0]);
                }
            }
            std::vector<text::score> score(std::span<const text::score_request> r) { return m->score(r); }
            std::string identity() const { return "mortal"; }
        } teacher{&m, dies_after};
        for (;;) {
            sdg::journal log(path);
            sdg::ledger accounts{.limit = {.most_tokens = 300}};
            sdg::journaled remembered(teacher, log, &accounts);
            try {
                (void)remembered.complete(questions(0, 30));
            } catch (const sdg::budget_ended&) {
                return accounts.run.tokens();
            } catch (const io_error&) {
                teacher.dies_after = static_cast<std::size_t>(-1);
            }
        }
    };
    const test::temporary_folder folder;
    const auto whole = ends_at(folder / "whole.jsonl", static_cast<std::size_t>(-1));
    for (std::size_t n = 1; n < 18; ++n) BOOST_TEST(ends_at(folder / (std::to_string(n) + ".jsonl"), n) == whole);
}

BOOST_AUTO_TEST_SUITE_END()
