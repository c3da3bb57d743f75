// Property: a generation's bytes depend on the model and itself alone. Random jobs with shared beginnings run in random
// company, chunks, caches and threads, with guesses of a draft model and without, over every kind of product and cache.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <map>
#include <span>

#include "infer/random_jobs.hpp"
#include "infer/tiny.hpp"
#include "lab/core/rng.hpp"
#include "lab/infer/engine.hpp"
#include "lab/nn/synthetic.hpp"

BOOST_AUTO_TEST_SUITE(invariance)

namespace {

using namespace lab;

/// Few layers, but rows of 256, which every format can hold.
constexpr nn::runtime_dims small_dims{
    .dim = 256, .layers = 2, .heads = 6, .kv_heads = 2, .head_dim = 24, .hidden = 256, .vocab = 258, .tied = true};

nn::any_model small_model(dtype type, std::size_t threads, bool pack = true, compute precision = compute::native) {
    return nn::make_synthetic(small_dims, type, {.threads = threads, .compute = precision, .pack = pack});
}

std::vector<infer::generation> random_jobs(counter_rng& rng) {
    const auto below = [&](std::uint64_t n) { return static_cast<std::size_t>(rng.next() % n); };
    std::vector<infer::generation> jobs(1 + below(64));
    std::vector<std::vector<token>> beginnings;
    for (std::size_t i = 0; i < 3; ++i) {
        beginnings.emplace_back(below(200));
        for (token& t : beginnings.back()) t = static_cast<token>(below(256));
    }
    for (auto& job : jobs) {
        job.prompt = beginnings[below(3)];
        job.prompt.resize(below(job.prompt.size() + 1));
        for (std::size_t own = 1 + below(20); own > 0; --own) job.prompt.push_back(static_cast<token>(below(256)));
        job.max_tokens = 1 + below(12);
        const std::uint64_t seed = rng.next();
        job.sampler = sampling::chain{sampling::temperature{1.5f}, sampling::multinomial{seed}};
        if (below(8) == 0)
            for (std::size_t n = 1 + below(9); n > 0; --n) job.forced.push_back(static_cast<token>(below(256)));
        counter_rng wishes(seed, "wishes");
        test::add_random_wishes(job, wishes);
    }
    return jobs;
}

infer::engine_options random_options(counter_rng& rng, const nn::any_model& model, dtype cache) {
    const auto below = [&](std::uint64_t n) { return static_cast<std::size_t>(rng.next() % n); };
    infer::engine_options o;
    o.max_sequences = 1 + below(64);
    o.max_batch_tokens = o.max_sequences + below(200);
    o.max_logit_rows = 1 + below(80);
    o.kept_sequences = below(40);
    o.cache_bytes = (5 + below(100)) * model.cache_block_bytes(cache);
    o.cache_type = cache;
    o.lookup_tokens = below(9);
    o.draft_tokens = 1 + o.lookup_tokens / 3;
    return o;
}

/// Random jobs are what each of them is alone, whatever the company, chunks, prefixes, room, guesses and threads.
void require_no_difference(const nn::runtime_dims& dims, dtype type, std::span<const dtype> caches, counter_rng& rng) {
    const auto tokens = test::byte_tokenizer();
    std::map<std::size_t, nn::any_model> models;  // by threads
    for (const std::size_t threads : {1u, 2u, 4u})
        models.emplace(threads, nn::make_synthetic(dims, type, {.threads = threads}));
    for (const dtype cache : caches) {
        auto jobs = random_jobs(rng);
        std::vector<infer::generated> alone;
        for (const auto& job : jobs) {
            infer::engine engine(models.at(1), tokens, {.cache_type = cache});
            alone.push_back(engine.run_one(job));
        }
        for (const auto& [threads, model] : models) {
            const auto options = random_options(rng, model, cache);
            const bool drafts = dims.window == 0 && options.kept_sequences % 3 == 0;
            infer::engine engine(model, tokens, options, drafts ? test::byte_model() : nn::any_model{});
            for (int round = 0; round < 2; ++round) {  // the second finds the first one's prefixes
                auto again = jobs;
                const auto together = engine.run(again);
                for (std::size_t i = 0; i < jobs.size(); ++i)
                    BOOST_REQUIRE_MESSAGE(test::same_result(together[i], alone[i]),
                                          model.info().family << " in " << name_of(type) << ", cache " << name_of(cache)
                                                              << ", threads " << threads << (drafts ? ", draft" : "")
                                                              << ", round " << round << ", job " << i);
            }
        }
    }
}

constexpr dtype cache_types[] = {dtype::f16, dtype::q8_0, dtype::f32, dtype::bf16};

}  // namespace

BOOST_AUTO_TEST_CASE(random_company_chunks_caches_and_threads_do_not_matter) {
    counter_rng rng(7);
    for (const dtype type : all_dtypes) require_no_difference(small_dims, type, cache_types, rng);
}

BOOST_AUTO_TEST_CASE(nor_do_they_where_attention_slides_or_experts_are_chosen) {
    counter_rng rng(8);
    for (const std::size_t experts : {0u, 4u}) {
        auto dims = small_dims;
        dims.window = 40;
        dims.experts = experts, dims.experts_per_token = experts / 2;
        for (const dtype type : {dtype::q4_k, dtype::f32})
            require_no_difference(dims, type, std::span(cache_types).first(2), rng);
    }
}

BOOST_AUTO_TEST_CASE(packed_weights_give_the_bytes_of_those_in_place) {
    const auto tokens = test::byte_tokenizer();
    for (const dtype type : all_dtypes)
        for (const compute precision : {compute::native, compute::f32, compute::bf16}) {
            counter_rng rng(static_cast<std::uint64_t>(type));
            auto jobs = random_jobs(rng);
            jobs.resize(std::min<std::size_t>(jobs.size(), 6));
            const auto packed = small_model(type, 2, true, precision), plain = small_model(type, 2, false, precision);
            BOOST_TEST(plain.info().packed_bytes == 0u);
            BOOST_TEST(plain.info().pack_seconds == 0.0);
            BOOST_TEST((packed.info().packed_bytes == 0) == (packed.info().pack_seconds == 0.0));
            if (precision == compute::native && block_size(type) != 1) {
                std::size_t matrices = 0;
                for (const auto& w : packed.weights())
                    if (w.info.rank == 2) matrices += w.data.rows * w.data.row_stride();
                BOOST_TEST(packed.info().packed_bytes >= matrices, name_of(type));
                BOOST_TEST(packed.info().packed_bytes < matrices + matrices / 4, name_of(type));
            }
            infer::engine a(packed, tokens), b(plain, tokens);
            const auto x = a.run(jobs), y = b.run(jobs);
            for (std::size_t i = 0; i < x.size(); ++i) {
                BOOST_TEST(x[i].tokens == y[i].tokens, name_of(type) << " in " << name_of(precision));
                BOOST_TEST(x[i].log_probabilities == y[i].log_probabilities, name_of(type)
                                                                                 << " in " << name_of(precision));
            }
        }
}

BOOST_AUTO_TEST_CASE(guesses_from_the_text_change_nothing_but_the_steps) {
    const auto tokens = test::byte_tokenizer();
    for (const bool greedy : {true, false}) {
        infer::generation job;
        for (int i = 0; i < 60; ++i) job.prompt.push_back(i % 7 + 40);
        job.max_tokens = 200;
        if (greedy)
            job.sampler = sampling::chain{sampling::greedy{}};
        else
            job.sampler = sampling::chain{sampling::temperature{0.2f}, sampling::multinomial{3}};
        infer::engine plain(small_model(dtype::q8_0, 2), tokens);
        const auto expected = plain.run_one(job);
        for (const std::size_t guesses : {1u, 4u, 15u}) {
            infer::engine engine(small_model(dtype::q8_0, 2), tokens, {.lookup_tokens = guesses});
            for (int round = 0; round < 2; ++round) {
                const auto got = engine.run_one(job);
                BOOST_TEST(got.tokens == expected.tokens, boost::test_tools::per_element());
                BOOST_TEST(got.log_probability == expected.log_probability);
                BOOST_TEST(got.text == expected.text);
                if (greedy) BOOST_TEST(got.guesses_right > 50u);  // a small model soon goes round in circles
            }
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
