// Random jobs from several threads into one service, with constraints, stop strings, cancels, priorities, shared
// beginnings and a cache that is too small for them all: each job's result is what it is alone. LAB_SOAK_SECONDS
// (default 2) says how long.
#include <algorithm>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "infer/random_jobs.hpp"
#include "infer/tiny.hpp"
#include "lab/core/rng.hpp"
#include "lab/infer/engine_service.hpp"

namespace {

using namespace lab;
using clock_type = std::chrono::steady_clock;

infer::generation random_job(counter_rng& rng) {
    infer::generation job;
    job.prompt.assign(rng.below(150), static_cast<token>('a' + rng.below(3)));
    for (std::size_t own = 1 + rng.below(20); own > 0; --own) job.prompt.push_back(static_cast<token>(rng.below(256)));
    job.max_tokens = 1 + rng.below(40);
    job.priority = static_cast<int>(rng.below(3));
    job.sampler = sampling::chain{sampling::temperature{1.2f}, sampling::multinomial{rng.next()}};
    if (rng.below(5) == 0)
        for (std::size_t n = 1 + rng.below(30); n > 0; --n) job.forced.push_back(static_cast<token>(rng.below(256)));
    test::add_random_wishes(job, rng);
    return job;
}

/// Whether `got` is the whole of `expected`, or, cancelled, its beginning.
bool agrees(const infer::generated& got, const infer::generated& expected) {
    if (got.finish != text::finish_reason::cancelled) return test::same_result(got, expected);
    const auto n = static_cast<std::ptrdiff_t>(got.log_probabilities.size());
    return got.log_probabilities.size() <= expected.log_probabilities.size() &&
           std::equal(got.log_probabilities.begin(), got.log_probabilities.end(), expected.log_probabilities.begin(),
                      expected.log_probabilities.begin() + n);
}

}  // namespace

BOOST_AUTO_TEST_CASE(soak) {
    const char* asked = std::getenv("LAB_SOAK_SECONDS");
    const auto end = clock_type::now() + std::chrono::seconds(asked == nullptr ? 2 : std::atoi(asked));
    const auto tokens = test::byte_tokenizer();
    const auto seed = static_cast<std::uint64_t>(clock_type::now().time_since_epoch().count());
    BOOST_TEST_MESSAGE("seed " << seed);
    counter_rng setup(seed);
    std::atomic<std::size_t> jobs = 0, cancelled = 0, wrong = 0;
    while (clock_type::now() < end) {
        infer::engine_options o;
        o.max_sequences = 1 + setup.below(20);
        o.max_batch_tokens = o.max_sequences + setup.below(100);
        o.max_logit_rows = 1 + setup.below(40);
        o.kept_sequences = setup.below(10);
        o.cache_type = setup.below(2) == 0 ? dtype::f16 : dtype::q8_0;
        o.cache_bytes = (8 + setup.below(40)) * test::byte_model().cache_block_bytes(o.cache_type);
        o.lookup_tokens = setup.below(4);
        infer::engine engine(test::byte_model(1 + setup.below(3)), tokens, o,
                             setup.below(2) == 0 ? nn::any_model{} : test::byte_model());
        infer::engine_service service(engine);
        std::vector<std::thread> clients;
        for (int c = 0; c < 3; ++c)
            clients.emplace_back([&, start = setup.next()] {
                counter_rng rng(start);
                infer::engine alone(test::byte_model(), tokens, {.cache_type = o.cache_type});
                const auto last = std::min(end, clock_type::now() + std::chrono::seconds(20));
                while (clock_type::now() < last) {
                    std::vector<infer::generation> mine(1 + rng.below(8));
                    for (auto& job : mine) job = random_job(rng);
                    std::vector<infer::engine_service::ticket> tickets;
                    for (const auto& job : mine) tickets.push_back(service.submit(job));
                    for (const auto& ticket : tickets)
                        if (rng.below(6) == 0) service.cancel(ticket.id);
                    for (std::size_t i = 0; i < mine.size(); ++i) {
                        const auto got = tickets[i].result.get();
                        ++jobs;
                        cancelled += got.finish == text::finish_reason::cancelled;
                        alone.forget();
                        wrong += !agrees(got, alone.run_one(mine[i]));
                    }
                }
            });
        for (auto& c : clients) c.join();
    }
    BOOST_TEST_MESSAGE(jobs << " jobs, " << cancelled << " of them cancelled");
    BOOST_TEST(wrong == 0u);
    BOOST_TEST(jobs > cancelled);
    BOOST_TEST(cancelled > 0u);
}
