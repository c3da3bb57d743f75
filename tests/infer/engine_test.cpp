// A generation's result is its own: the same bytes alone or in company, prefix found or computed, prompt whole or in
// chunks.
#include "lab/infer/engine.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>

#include "infer/tiny.hpp"
#include "lab/nn/synthetic.hpp"

BOOST_AUTO_TEST_SUITE(engine)

namespace {

using namespace lab;

infer::generation sampled(const tokenizer::tokenizer& t, const std::string& prompt, std::uint64_t seed,
                          std::size_t max_tokens = 40) {
    infer::generation job;
    job.prompt = t.encode(prompt);
    job.max_tokens = max_tokens;
    job.sampler = sampling::chain{sampling::temperature{0.8f}, sampling::multinomial{seed}};
    return job;
}

std::vector<infer::generation> some_jobs(const tokenizer::tokenizer& t, bool shared_prefix = true) {
    const std::string shared(shared_prefix ? 150 : 3, 'x');
    std::vector<infer::generation> jobs;
    for (std::uint64_t i = 0; i < 9; ++i)
        jobs.push_back(sampled(t, shared + std::string(i * 13 % 71, 'y') + std::to_string(i), i));
    jobs[4].forced = t.encode("a forced continuation, scored and not sampled");
    return jobs;
}

std::vector<infer::generated> run(const infer::engine_options& options, std::vector<infer::generation> jobs,
                                  std::size_t threads = 1) {
    infer::engine engine(test::byte_model(threads), test::byte_tokenizer(), options);
    return engine.run(jobs);
}

void require_same(const std::vector<infer::generated>& a, const std::vector<infer::generated>& b) {
    BOOST_REQUIRE_EQUAL(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
        BOOST_TEST(a[i].tokens == b[i].tokens, boost::test_tools::per_element());
        BOOST_TEST(a[i].text == b[i].text);
        BOOST_TEST(a[i].log_probability == b[i].log_probability);
        BOOST_TEST((a[i].finish == b[i].finish));
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(company_does_not_matter) {
    const auto t = test::byte_tokenizer();
    std::vector<infer::generated> alone;
    for (auto& job : some_jobs(t)) {
        infer::engine engine(test::byte_model(), t);
        alone.push_back(engine.run_one(std::move(job)));
    }
    BOOST_TEST(alone[0].tokens.size() > 5u);
    BOOST_TEST(alone[0].text != alone[1].text);
    require_same(run({}, some_jobs(t)), alone);
    require_same(run({.max_sequences = 3}, some_jobs(t)), alone);
    require_same(run({}, some_jobs(t), 3), alone);
}

BOOST_AUTO_TEST_CASE(chunks_of_a_prompt_do_not_matter) {
    const auto t = test::byte_tokenizer();
    const auto whole = run({}, some_jobs(t));
    require_same(run({.max_sequences = 5, .max_batch_tokens = 7, .max_logit_rows = 6}, some_jobs(t)), whole);
    require_same(run({.max_sequences = 9, .max_batch_tokens = 64}, some_jobs(t)), whole);
}

BOOST_AUTO_TEST_CASE(a_found_prefix_is_used_and_does_not_matter) {
    const auto t = test::byte_tokenizer();
    const auto first = run({.kept_sequences = 0, .cache_bytes = 1 << 22}, some_jobs(t));
    infer::engine engine(test::byte_model(), t);
    auto jobs = some_jobs(t), again = some_jobs(t);
    const auto fresh = engine.run(jobs), cached = engine.run(again);
    require_same(fresh, first);
    require_same(cached, first);
    BOOST_TEST(fresh[0].cached_tokens == 0u);
    for (std::size_t i = 1; i < fresh.size(); ++i) BOOST_TEST(fresh[i].cached_tokens >= 149u);
    for (const auto& r : cached) BOOST_TEST(r.cached_tokens + 1 == r.prompt_tokens);
}

BOOST_AUTO_TEST_CASE(a_score_is_the_probability_that_sampling_saw) {
    const auto t = test::byte_tokenizer();
    infer::engine engine(test::byte_model(), t);
    auto job = sampled(t, "what follows", 5, 30);
    job.sampler = sampling::chain{sampling::multinomial{11}};
    const auto drawn = engine.run_one(std::move(job));
    BOOST_REQUIRE((drawn.finish == text::finish_reason::length));
    infer::generation score;
    score.prompt = t.encode("what follows");
    score.forced = drawn.tokens;
    const auto scored = engine.run_one(std::move(score));
    BOOST_TEST(scored.log_probability == drawn.log_probability);
    BOOST_TEST(scored.log_probability < -1.0);
}

BOOST_AUTO_TEST_CASE(alternatives_are_the_likeliest_tokens_of_each_position) {
    const auto t = test::byte_tokenizer();
    infer::engine engine(test::byte_model(), t);
    auto job = sampled(t, "what follows", 5, 12);
    job.alternatives = 258;
    const auto all = engine.run_one(job);
    BOOST_REQUIRE_EQUAL(all.alternatives.size(), all.tokens.size());
    for (std::size_t i = 0; i < all.tokens.size(); ++i) {
        const auto& list = all.alternatives[i];
        BOOST_REQUIRE_EQUAL(list.size(), 258u);
        double total = 0;
        bool there = false;
        for (std::size_t k = 0; k < list.size(); ++k) {
            total += std::exp(list[k].log_probability);
            if (k > 0) BOOST_TEST(list[k].log_probability <= list[k - 1].log_probability);
            if (list[k].id != all.tokens[i]) continue;
            there = true;
            BOOST_TEST(list[k].log_probability == all.log_probabilities[i]);
        }
        BOOST_TEST(there);
        BOOST_TEST(total == 1.0, boost::test_tools::tolerance(1e-5));
    }
    job.alternatives = 3;
    job.forced = all.tokens;  // scored: the same positions
    const auto few = engine.run_one(job);
    BOOST_REQUIRE_EQUAL(few.alternatives.size(), all.tokens.size());
    for (std::size_t i = 0; i < few.alternatives.size(); ++i) {
        BOOST_REQUIRE_EQUAL(few.alternatives[i].size(), 3u);
        for (std::size_t k = 0; k < 3; ++k) BOOST_TEST(few.alternatives[i][k].id == all.alternatives[i][k].id);
    }
    job.alternatives = 0;
    BOOST_TEST(engine.run_one(job).alternatives.empty());
}

BOOST_AUTO_TEST_CASE(rows_beyond_the_tokenizer_are_no_tokens) {
    const auto t = test::byte_tokenizer();
    nn::runtime_dims padded{
        .dim = 32, .layers = 1, .heads = 4, .kv_heads = 2, .head_dim = 8, .hidden = 64, .vocab = 320, .tied = true};
    infer::engine engine(nn::make_synthetic(padded, dtype::f32, {.threads = 1}), t);
    auto job = sampled(t, "what follows", 5, 12);
    job.alternatives = 320;
    const auto drawn = engine.run_one(job);
    job.forced = drawn.tokens;
    const auto scored = engine.run_one(job);
    for (const auto* result : {&drawn, &scored}) {
        BOOST_REQUIRE_EQUAL(result->alternatives.size(), drawn.tokens.size());
        for (const auto& list : result->alternatives) {
            BOOST_REQUIRE_EQUAL(list.size(), t.size());
            double total = 0;
            for (const auto& a : list) {
                BOOST_TEST(static_cast<std::size_t>(a.id) < t.size());
                total += std::exp(a.log_probability);
            }
            BOOST_TEST(total < 1.0);  // the rows beyond have their share
        }
    }
    BOOST_TEST(drawn.log_probabilities == scored.log_probabilities, boost::test_tools::per_element());
    struct beyond {
        [[nodiscard]] token select(const sampling::candidates&, std::span<const token>) const { return 300; }
    };
    job.forced = {};
    job.sampler = sampling::chain{beyond{}};
    BOOST_CHECK_THROW((void)engine.run_one(job), config_error);
}

BOOST_AUTO_TEST_CASE(stop_strings_callbacks_and_lengths_end_a_generation) {
    const auto t = test::byte_tokenizer();
    infer::engine engine(test::byte_model(), t);
    const auto free = engine.run_one(sampled(t, "text", 2));
    auto job = sampled(t, "text", 2);
    const std::string stop = free.text.substr(free.text.size() / 2, 4);
    job.stop = {stop};
    std::string seen;
    job.on_text = [&](std::string_view piece) {
        seen += piece;
        return true;
    };
    const auto stopped = engine.run_one(std::move(job));
    BOOST_TEST((stopped.finish == text::finish_reason::stop));
    BOOST_TEST(stopped.text == free.text.substr(0, free.text.find(stop)));
    BOOST_TEST(seen == stopped.text);

    job = sampled(t, "text", 2);
    job.on_text = [&](std::string_view) { return false; };
    const auto cancelled = engine.run_one(std::move(job));
    BOOST_TEST((cancelled.finish == text::finish_reason::cancelled));
    BOOST_TEST(engine.run_one(sampled(t, "text", 2, 1)).tokens.size() == 1u);

    infer::engine narrow(test::byte_model(1, 20), t);
    const auto full = narrow.run_one(sampled(t, "sixteen tokens..", 1));
    BOOST_TEST(full.tokens.size() == 4u);
    BOOST_TEST((full.finish == text::finish_reason::length));
}

BOOST_AUTO_TEST_CASE(a_run_can_be_watched_and_ended) {
    const auto t = test::byte_tokenizer();
    infer::engine engine(test::byte_model(), t, {.max_sequences = 2});
    auto jobs = some_jobs(t);
    std::size_t finished = 0;
    const auto results =
        engine.run(jobs, {[&](std::size_t, const infer::generated&) { ++finished; }, [&] { return finished < 3; }});
    std::size_t cancelled = 0;
    for (const auto& r : results) cancelled += r.finish == text::finish_reason::cancelled ? 1u : 0u;
    BOOST_TEST(finished >= 3u);
    BOOST_TEST(cancelled + finished == results.size());
    auto again = some_jobs(t);
    require_same(engine.run(again), run({}, some_jobs(t)));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_run_is_refused) {
    const auto t = test::byte_tokenizer();
    infer::engine engine(test::byte_model(), t);
    BOOST_CHECK_THROW((void)engine.run_one({}), config_error);
    BOOST_CHECK_THROW((void)engine.run_one(sampled(t, std::string(512, 'a'), 1)), config_error);
    BOOST_CHECK_THROW((void)engine.run_one(sampled(t, "a", 1, 0)), config_error);
    infer::generation stranger;
    stranger.prompt = {258};
    BOOST_CHECK_THROW((void)engine.run_one(stranger), config_error);
}

BOOST_AUTO_TEST_CASE(a_model_with_a_window_takes_no_draft) {
    auto windowed = [] {
        return nn::make_synthetic({.dim = 32,
                                   .layers = 1,
                                   .heads = 4,
                                   .kv_heads = 2,
                                   .head_dim = 8,
                                   .hidden = 64,
                                   .vocab = 258,
                                   .window = 64},
                                  dtype::f32, {.threads = 1});
    };
    BOOST_CHECK_THROW(infer::engine(windowed(), test::byte_tokenizer(), {}, test::byte_model()), config_error);
    BOOST_CHECK_THROW(infer::engine(test::byte_model(), test::byte_tokenizer(), {}, windowed()), config_error);
}

BOOST_AUTO_TEST_CASE(a_small_cache_makes_sequences_wait) {
    const auto t = test::byte_tokenizer();
    const std::size_t block = test::byte_model().cache_block_bytes(dtype::f16);
    const auto jobs = [&] {
        std::vector<infer::generation> list;
        for (std::uint64_t i = 0; i < 3; ++i)
            list.push_back(sampled(t, std::string(50, static_cast<char>('a' + i)), i, 100));
        return list;
    };
    const auto wide = run({}, jobs());
    require_same(run({.cache_bytes = 3 * block}, jobs()), wide);  // each needs three blocks in the end
    require_same(run({.cache_bytes = 5 * block}, jobs()), wide);
    for (const auto& r : run({.cache_bytes = block}, jobs()))
        BOOST_TEST(r.tokens.size() == 14u);  // the context is one block
}

BOOST_AUTO_TEST_SUITE_END()
