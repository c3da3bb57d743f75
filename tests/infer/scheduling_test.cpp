// Jobs that come, go, overtake and are guessed at: what each gives stays what it gives alone.
#include "lab/infer/engine_service.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <exception>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "infer/tiny.hpp"
#include "lab/infer/engine.hpp"
#include "lab/sampling/chain.hpp"

BOOST_AUTO_TEST_SUITE(scheduling)

namespace {

using namespace lab;

infer::generation job_of(const std::string& prompt, std::uint64_t seed, std::size_t max_tokens = 40) {
    infer::generation job;
    job.prompt = test::byte_tokenizer().encode(prompt);
    job.max_tokens = max_tokens;
    job.sampler = sampling::chain{sampling::temperature{0.8f}, sampling::multinomial{seed}};
    return job;
}
infer::generated alone(const infer::generation& job) {
    infer::engine engine(test::byte_model(), test::byte_tokenizer());
    return engine.run_one(job);
}
void require_same(const infer::generated& a, const infer::generated& b) {
    BOOST_TEST(a.tokens == b.tokens, boost::test_tools::per_element());
    BOOST_TEST(a.log_probabilities == b.log_probabilities, boost::test_tools::per_element());
    BOOST_TEST(a.log_probability == b.log_probability);
    BOOST_TEST(a.text == b.text);
    BOOST_TEST((a.finish == b.finish));
}
std::size_t steps_until_idle(infer::engine& engine) {
    std::size_t steps = 1;
    while (engine.step()) ++steps;
    return steps;
}

}  // namespace

BOOST_AUTO_TEST_CASE(jobs_join_at_any_step_and_from_callbacks) {
    infer::engine engine(test::byte_model(), test::byte_tokenizer(), {.max_sequences = 2});
    std::vector<infer::generated> results(3);
    engine.submit(job_of("first", 1), [&](infer::generated&& r) {
        results[0] = std::move(r);
        engine.submit(job_of("third", 3), [&](infer::generated&& third) { results[2] = std::move(third); });
    });
    for (int i = 0; i < 5; ++i) BOOST_TEST(engine.step());
    engine.submit(job_of("second", 2), [&](infer::generated&& r) { results[1] = std::move(r); });
    BOOST_TEST(engine.open() == 2u);
    steps_until_idle(engine);
    BOOST_TEST(engine.open() == 0u);
    require_same(results[0], alone(job_of("first", 1)));
    require_same(results[1], alone(job_of("second", 2)));
    require_same(results[2], alone(job_of("third", 3)));
}

BOOST_AUTO_TEST_CASE(higher_priorities_overtake_and_the_overtaken_go_on) {
    for (const std::size_t kept : {0u, 32u}) {
        infer::engine engine(test::byte_model(), test::byte_tokenizer(), {.max_sequences = 2, .kept_sequences = kept});
        std::vector<std::size_t> order;
        std::vector<infer::generation> jobs;
        std::vector<infer::generated> results(5);
        for (std::uint64_t i = 0; i < 5; ++i) {
            jobs.push_back(job_of(std::string(70, 'x') + std::to_string(i), i, 30));
            jobs.back().priority = i < 3 ? 0 : static_cast<int>(i);
        }
        jobs[1].forced = test::byte_tokenizer().encode(std::string(40, 'y'));
        const auto submit = [&](std::size_t i) {
            engine.submit(jobs[i], [&, i](infer::generated&& r) {
                order.push_back(i);
                results[i] = std::move(r);
            });
        };
        for (std::size_t i = 0; i < 3; ++i) submit(i);
        engine.step(), engine.step();
        submit(3), submit(4);
        steps_until_idle(engine);
        for (std::size_t i = 0; i < 5; ++i) require_same(results[i], alone(jobs[i]));
        const auto place = [&](std::size_t i) { return std::find(order.begin(), order.end(), i) - order.begin(); };
        BOOST_TEST(place(4) < place(0));
        BOOST_TEST(place(3) < place(0));
        BOOST_TEST(place(0) < place(2));
    }
}

BOOST_AUTO_TEST_CASE(a_score_cut_into_steps_and_evicted_counts_each_token_once) {
    auto scored = job_of(std::string(30, 'a'), 0);
    scored.forced = test::byte_tokenizer().encode(std::string(60, 'b'));
    const auto expected = alone(scored);
    BOOST_TEST(expected.log_probabilities.size() == 60u);
    const std::size_t block = test::byte_model().cache_block_bytes(dtype::f16);
    // Four blocks: the older job grows to three and takes the two of the score when it needs its third.
    infer::engine engine(test::byte_model(), test::byte_tokenizer(),
                         {.max_logit_rows = 2, .kept_sequences = 0, .cache_bytes = 4 * block});
    const std::vector<infer::generation> jobs{job_of(std::string(100, 'c'), 1, 60), scored};
    const auto results = engine.run(jobs);
    require_same(results[1], expected);
    require_same(results[0], alone(jobs[0]));
}

BOOST_AUTO_TEST_CASE(a_job_can_be_taken_back_while_it_waits_and_while_it_runs) {
    infer::engine engine(test::byte_model(), test::byte_tokenizer(), {.max_sequences = 2});
    std::vector<infer::generated> results(4);
    std::vector<infer::job_id> ids;
    for (std::uint64_t i = 0; i < 4; ++i)
        ids.push_back(engine.submit(job_of("job " + std::to_string(i), i),
                                    [&, i](infer::generated&& r) { results[i] = std::move(r); }));
    for (int i = 0; i < 4; ++i) engine.step();
    engine.cancel(ids[0]), engine.cancel(ids[3]);
    steps_until_idle(engine);
    engine.cancel(ids[1]);  // has ended: nothing
    const auto whole = alone(job_of("job 0", 0));
    BOOST_TEST((results[0].finish == text::finish_reason::cancelled));
    BOOST_REQUIRE(results[0].tokens.size() == 4u);
    BOOST_TEST(std::equal(results[0].tokens.begin(), results[0].tokens.end(), whole.tokens.begin()));
    BOOST_TEST((results[3].finish == text::finish_reason::cancelled));
    BOOST_TEST(results[3].tokens.empty());
    require_same(results[1], alone(job_of("job 1", 1)));
    require_same(results[2], alone(job_of("job 2", 2)));
}

BOOST_AUTO_TEST_CASE(what_goes_wrong_in_one_job_ends_that_one_alone) {
    for (const std::size_t lookup : {0u, 8u}) {
        infer::engine engine(test::byte_model(2), test::byte_tokenizer(), {.lookup_tokens = lookup});
        std::vector<infer::generated> results(3);
        for (std::uint64_t i = 0; i < 3; ++i) {
            auto job = job_of("job " + std::to_string(i), i);
            if (i == 1)
                job.on_text = [n = 0](std::string_view) mutable -> bool {
                    if (++n == 4) throw format_error("from a callback");
                    return true;
                };
            engine.submit(job, [&, i](infer::generated&& r) { results[i] = std::move(r); });
        }
        steps_until_idle(engine);
        require_same(results[0], alone(job_of("job 0", 0)));
        require_same(results[2], alone(job_of("job 2", 2)));
        BOOST_TEST((results[1].finish == text::finish_reason::cancelled));
        BOOST_CHECK_THROW(std::rethrow_exception(results[1].fault), format_error);
        const auto whole = alone(job_of("job 1", 1));
        BOOST_REQUIRE(!results[1].tokens.empty());
        BOOST_TEST(std::equal(results[1].tokens.begin(), results[1].tokens.end(), whole.tokens.begin()));
        auto failing = job_of("job 1", 1);
        failing.on_text = [](std::string_view) -> bool { throw format_error("from a callback"); };
        BOOST_CHECK_THROW((void)engine.run_one(failing), format_error);
        require_same(engine.run_one(job_of("job 1", 1)), whole);
    }
}

BOOST_AUTO_TEST_CASE(a_sampler_that_fails_ends_its_own_job_beside_a_draft_too) {
    struct failing {
        void apply(sampling::candidates&, std::span<const token> before) const {
            if (before.size() > 12) throw std::out_of_range("from a sampler");
        }
    };
    struct beyond {
        [[nodiscard]] token select(const sampling::candidates&, std::span<const token>) const { return 258; }
    };
    for (const bool draft : {false, true}) {
        infer::engine engine(test::byte_model(), test::byte_tokenizer(), {},
                             draft ? test::byte_model() : nn::any_model{});
        std::vector<infer::generated> results(3);
        for (std::uint64_t i = 0; i < 3; ++i) {
            auto job = job_of("job " + std::to_string(i), i);
            if (i == 1) job.sampler = sampling::chain{failing{}, sampling::multinomial{i}};
            if (i == 2) job.sampler = sampling::chain{beyond{}};
            engine.submit(job, [&, i](infer::generated&& r) { results[i] = std::move(r); });
        }
        steps_until_idle(engine);
        require_same(results[0], alone(job_of("job 0", 0)));
        BOOST_CHECK_THROW(std::rethrow_exception(results[1].fault), std::out_of_range);
        BOOST_TEST(results[1].tokens.size() == 8u);
        BOOST_CHECK_THROW(std::rethrow_exception(results[2].fault), config_error);
    }
}

BOOST_AUTO_TEST_CASE(more_sequences_than_rows_of_logits_advance_together) {
    struct no_end {
        void apply(sampling::candidates& c, std::span<const token>) const { c.remove(257); }
    };
    infer::engine engine(test::byte_model(), test::byte_tokenizer(), {.max_sequences = 6, .max_logit_rows = 2});
    std::size_t finished = 0, steps = 0;
    for (std::uint64_t i = 0; i < 6; ++i) {
        auto job = job_of("job " + std::to_string(i), i, 10);
        job.sampler = sampling::chain{no_end{}, sampling::multinomial{i}};
        engine.submit(job, [&](infer::generated&&) { ++finished; });
    }
    while (finished == 0) engine.step(), ++steps;
    BOOST_TEST(finished == 6u);
    BOOST_TEST(steps == 10u);
}

BOOST_AUTO_TEST_CASE(who_wants_no_more_text_is_not_called_again) {
    infer::engine engine(test::byte_model(), test::byte_tokenizer());
    auto job = job_of("text", 2);
    const auto whole = alone(job);
    // A stop string of which the text has the beginning: that is held back until the end.
    job.stop = {whole.text.substr(3, 4) + "never"};
    std::size_t calls = 0;
    job.on_text = [&](std::string_view) { return ++calls < 3; };
    const auto got = engine.run_one(job);
    BOOST_TEST(calls == 3u);
    BOOST_TEST((got.finish == text::finish_reason::cancelled));
    BOOST_TEST(whole.text.starts_with(got.text));
}

BOOST_AUTO_TEST_CASE(guesses_leave_room_for_everyone) {
    // With as many rows as sequences, no guess may take another one's row: all get on by a token each step.
    infer::engine engine(test::byte_model(), test::byte_tokenizer(),
                         {.max_sequences = 4, .max_batch_tokens = 4, .lookup_tokens = 8});
    for (std::uint64_t i = 0; i < 4; ++i) engine.submit(job_of("abab" + std::to_string(i), i, 20));
    BOOST_TEST(steps_until_idle(engine) < 32u);
}

BOOST_AUTO_TEST_CASE(a_draft_changes_nothing_but_the_steps) {
    const auto t = test::byte_tokenizer();
    for (const bool greedy : {true, false}) {
        auto job = job_of("speculate", 5, 100);
        if (greedy) job.sampler = sampling::chain{sampling::greedy{}};
        infer::engine plain(test::byte_model(), t);
        const auto expected = plain.run_one(job);
        // The model itself, which is always right, and a stranger, which is nearly always wrong.
        for (const std::uint64_t seed : {3u, 4u})
            for (const std::size_t guesses : {1u, 5u, 15u}) {
                infer::engine engine(test::byte_model(), t, {.draft_tokens = guesses}, test::byte_model(1, 512, seed));
                std::size_t steps = 0;
                for (int round = 0; round < 2; ++round) {
                    infer::generated got;
                    engine.submit(job, [&](infer::generated&& r) { got = std::move(r); });
                    steps = steps_until_idle(engine);
                    require_same(got, expected);
                    if (seed == 3)
                        BOOST_TEST(got.guessed_tokens - got.guesses_right <= guesses);  // where the text ends
                    BOOST_TEST(got.guessed_tokens > 0u);
                }
                if (seed == 3 && guesses == 15) BOOST_TEST(steps < expected.tokens.size() / 3);
            }
    }
    auto narrow = test::byte_model(1, 40);  // its context ends before the text does
    infer::engine engine(test::byte_model(), t, {}, narrow);
    require_same(engine.run_one(job_of("speculate", 5, 100)), alone(job_of("speculate", 5, 100)));
}

BOOST_AUTO_TEST_CASE(several_threads_share_a_service) {
    infer::engine engine(test::byte_model(2), test::byte_tokenizer(), {.max_sequences = 4});
    std::vector<std::thread> clients;
    std::vector<infer::generated> results(12);
    {
        infer::engine_service service(engine);
        for (std::size_t c = 0; c < 3; ++c)
            clients.emplace_back([&, c] {
                for (std::size_t i = c; i < results.size(); i += 3)
                    results[i] = service.submit(job_of("client " + std::to_string(i), i)).result.get();
            });
        // Jobs that are to be cancelled take their time, so that they are still there on a slow day.
        const auto slow_job = [](const std::string& prompt) {
            auto job = job_of(prompt, 1, 500);
            job.on_text = [](std::string_view) {
                std::this_thread::sleep_for(std::chrono::milliseconds(20));
                return true;
            };
            return job;
        };
        auto unwanted = service.submit(slow_job("unwanted"));
        service.cancel(unwanted.id);
        BOOST_TEST((unwanted.result.get().finish == text::finish_reason::cancelled));
        for (auto& c : clients) c.join();
        BOOST_CHECK_THROW((void)service.submit({}), config_error);
        auto failing = job_of("throws", 1);
        failing.on_text = [](std::string_view) -> bool { throw format_error("from a callback"); };
        BOOST_CHECK_THROW(service.submit(failing).result.get(), format_error);
        require_same(service.submit(job_of("client 0", 0)).result.get(), results[0]);
        auto left = service.submit(slow_job("left over"));
        clients.clear();
        results.push_back({});
        // Destroyed with a job under way: it ends as cancelled.
        clients.emplace_back([&, waiting = std::move(left.result)]() mutable { results.back() = waiting.get(); });
    }
    clients.back().join();
    for (std::size_t i = 0; i < 12; ++i) require_same(results[i], alone(job_of("client " + std::to_string(i), i)));
    BOOST_TEST((results.back().finish == text::finish_reason::cancelled));
}

BOOST_AUTO_TEST_SUITE_END()
