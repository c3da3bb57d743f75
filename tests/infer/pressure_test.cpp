// More work than the key-value cache has room for: who gives way, and that nobody waits for ever.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "infer/tiny.hpp"
#include "lab/infer/engine.hpp"
#include "lab/sampling/chain.hpp"

BOOST_AUTO_TEST_SUITE(pressure)

namespace {

using namespace lab;

infer::generation job_of(std::size_t prompt, std::size_t max_tokens, std::uint64_t seed, int priority = 0) {
    infer::generation job;
    job.prompt = test::byte_tokenizer().encode(std::to_string(seed) + std::string(prompt, 'x'));
    job.max_tokens = max_tokens;
    job.sampler = sampling::chain{sampling::temperature{0.8f}, sampling::multinomial{seed}};
    job.priority = priority;
    return job;
}

/// An engine with a cache of six blocks, and the order in which its jobs end.
struct small_cache {
    infer::engine engine{
        test::byte_model(),
        test::byte_tokenizer(),
        {.max_sequences = 4, .kept_sequences = 0, .cache_bytes = 6 * test::byte_model().cache_block_bytes(dtype::f16)}};
    std::vector<std::uint64_t> ended;
    std::function<void()> when_one_ends;

    void submit(const infer::generation& job, std::uint64_t number) {
        engine.submit(job, [this, job, number](infer::generated&& r) {
            ended.push_back(number);
            infer::engine alone(test::byte_model(), test::byte_tokenizer());
            BOOST_TEST(r.tokens == alone.run_one(job).tokens, boost::test_tools::per_element());
            if (when_one_ends) when_one_ends();
        });
    }
    [[nodiscard]] std::size_t place_of(std::uint64_t number) const {
        return static_cast<std::size_t>(std::find(ended.begin(), ended.end(), number) - ended.begin());
    }
};

constexpr std::uint64_t large = 1000;

}  // namespace

BOOST_AUTO_TEST_CASE(a_large_prompt_of_higher_priority_takes_the_blocks_of_those_that_decode) {
    small_cache c;
    for (std::uint64_t i = 0; i < 3; ++i) c.submit(job_of(60, 60, i), i);
    for (int i = 0; i < 8; ++i) BOOST_TEST(c.engine.step());
    const std::size_t before = c.ended.size();  // some end of themselves
    BOOST_TEST(before < 2u);
    c.submit(job_of(300, 5, large, 1), large);
    while (c.engine.step()) {
    }
    BOOST_TEST(c.ended.size() == 4u);
    BOOST_TEST(c.place_of(large) == before);
}

BOOST_AUTO_TEST_CASE(small_prompts_do_not_pass_a_large_one_for_ever) {
    small_cache c;
    std::uint64_t next = 0;
    const auto submit_small = [&] {
        c.submit(job_of(30, 20 + next % 7, next), next);
        ++next;
    };
    c.when_one_ends = [&] {
        if (next < 40) submit_small();
    };
    for (int i = 0; i < 3; ++i) submit_small();
    for (int i = 0; i < 4; ++i) BOOST_TEST(c.engine.step());
    const std::size_t before = c.ended.size();
    c.submit(job_of(300, 5, large), large);
    while (c.engine.step()) {
    }
    BOOST_TEST(c.ended.size() == 41u);
    BOOST_TEST(c.place_of(large) <= before + 3);  // behind those that decoded already
}

BOOST_AUTO_TEST_SUITE_END()
