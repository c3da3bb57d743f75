#include "lab/replay/packing.hpp"

#include <boost/test/unit_test.hpp>
#include <limits>

BOOST_AUTO_TEST_SUITE(replay_packing)

using namespace lab;
using replay::training_sample;

namespace {
training_sample sample_of(std::vector<token> tokens, std::vector<std::uint8_t> trained) {
    training_sample s;
    s.tokens = std::move(tokens);
    s.trained = std::move(trained);
    return s;
}
}  // namespace

BOOST_AUTO_TEST_CASE(targets_are_the_next_learnt_token) {
    // prompt 10 11, answer 20 21: position 1 predicts 20, position 2 predicts 21, the last predicts nothing.
    const auto a = sample_of({10, 11, 20, 21}, {0, 0, 1, 1});
    const auto b = sample_of({5, 6}, {1, 1});  // its first token is never a target
    const std::vector<const training_sample*> step{&a, &b};
    const auto batches = replay::pack(step, 100);
    BOOST_REQUIRE(batches.size() == 1u);
    const auto& batch = batches[0];
    BOOST_TEST(batch.tokens == (std::vector<token>{10, 11, 20, 21, 5, 6}), boost::test_tools::per_element());
    BOOST_TEST(batch.positions == (std::vector<std::int32_t>{0, 1, 2, 3, 0, 1}), boost::test_tools::per_element());
    BOOST_TEST(batch.seq_offsets == (std::vector<std::uint32_t>{0, 4, 6}), boost::test_tools::per_element());
    BOOST_TEST(batch.targets == (std::vector<token>{-1, 20, 21, -1, 6, -1}), boost::test_tools::per_element());
    BOOST_TEST(batch.target_tokens == 3u);
    BOOST_TEST(replay::target_count(a) + replay::target_count(b) == 3u);
    BOOST_TEST(batch.batch().sequences() == 2u);
}

BOOST_AUTO_TEST_CASE(micro_batches_keep_to_the_token_budget) {
    std::vector<training_sample> samples;
    for (std::size_t n : {4u, 4u, 3u, 20u, 2u, 1u, 6u})
        samples.push_back(sample_of(std::vector<token>(n, 7), std::vector<std::uint8_t>(n, 1)));
    std::vector<const training_sample*> step;
    for (const auto& s : samples) step.push_back(&s);
    const auto batches = replay::pack(step, 8);
    std::vector<std::size_t> sizes;
    for (const auto& b : batches) sizes.push_back(b.tokens.size());
    // The one of 20 stands alone; the one of 1 token is left out; the others are 4 3, 4 2 and 6.
    BOOST_TEST(sizes == (std::vector<std::size_t>{7, 6, 20, 6}), boost::test_tools::per_element());
    BOOST_TEST(replay::pack(step, 0).size() == 1u);  // 0: no limit
    BOOST_TEST(replay::pack({}, 8).empty());
}

BOOST_AUTO_TEST_CASE(every_sample_is_in_one_of_few_even_micro_batches) {
    counter_rng rng(1, "packing");
    for (int round = 0; round < 50; ++round) {
        std::vector<training_sample> samples;
        std::size_t all = 0;
        for (std::size_t i = 0; i < 1 + rng.below(60); ++i) {
            const std::size_t n = 2 + rng.below(400);
            samples.push_back(sample_of(std::vector<token>(n, static_cast<token>(i)), std::vector<std::uint8_t>(n, 1)));
            all += n;
        }
        std::vector<const training_sample*> step;
        for (const auto& s : samples) step.push_back(&s);
        const auto batches = replay::pack(step, 1000);
        std::vector<int> seen(samples.size());
        std::size_t longest = 0, shortest = all;
        for (const auto& b : batches) {
            BOOST_TEST(b.tokens.size() <= 1000u);
            longest = std::max(longest, b.tokens.size());
            shortest = std::min(shortest, b.tokens.size());
            token before = -1;
            for (std::size_t s = 0; s + 1 < b.seq_offsets.size(); ++s) {
                const token t = b.tokens[b.seq_offsets[s]];
                BOOST_TEST(t > before);  // the given order
                BOOST_TEST(b.seq_offsets[s + 1] - b.seq_offsets[s] ==
                           samples[static_cast<std::size_t>(t)].tokens.size());
                ++seen[static_cast<std::size_t>(t)];
                before = t;
            }
        }
        BOOST_TEST((seen == std::vector<int>(samples.size(), 1)));
        BOOST_TEST(batches.size() <= all / 599 + 1);  // one less was too few: the emptiest held over 1000 - 401
        if (samples.size() > 3 * batches.size()) BOOST_TEST(longest - shortest <= 400u);
    }
}

BOOST_AUTO_TEST_CASE(orders_are_permutations_that_differ_by_seed_phase_and_epoch) {
    const auto order = replay::epoch_order(50, 1, 0, 0);
    std::vector<std::size_t> sorted = order;
    std::sort(sorted.begin(), sorted.end());
    for (std::size_t i = 0; i < sorted.size(); ++i) BOOST_TEST(sorted[i] == i);
    BOOST_TEST(order == replay::epoch_order(50, 1, 0, 0), boost::test_tools::per_element());
    BOOST_CHECK(order != replay::epoch_order(50, 2, 0, 0));
    BOOST_CHECK(order != replay::epoch_order(50, 1, 1, 0));
    BOOST_CHECK(order != replay::epoch_order(50, 1, 0, 1));
}

BOOST_AUTO_TEST_CASE(steps_round_up) {
    BOOST_TEST(replay::steps_per_epoch(9, 4) == 3u);
    BOOST_TEST(replay::steps_per_epoch(8, 4) == 2u);
    BOOST_TEST(replay::steps_per_epoch(0, 4) == 0u);
    BOOST_TEST(replay::steps_per_epoch(9, std::numeric_limits<std::size_t>::max()) == 1u);
    BOOST_CHECK_THROW((void)replay::steps_per_epoch(8, 0), config_error);
}

BOOST_AUTO_TEST_CASE(an_epoch_is_cut_evenly_and_completely) {
    for (const std::size_t n : {1u, 7u, 8u, 9u, 50u})
        for (const std::size_t batch : {1u, 4u, 8u, 64u}) {
            std::vector<std::size_t> order(n), seen;
            for (std::size_t i = 0; i < n; ++i) order[i] = n - i;
            const std::size_t steps = replay::steps_per_epoch(n, batch);
            std::size_t smallest = n, largest = 0;
            for (std::size_t k = 0; k < steps; ++k) {
                const auto part = replay::step_samples(order, k, steps);
                smallest = std::min(smallest, part.size());
                largest = std::max(largest, part.size());
                seen.insert(seen.end(), part.begin(), part.end());
            }
            BOOST_TEST(seen == order, boost::test_tools::per_element());
            BOOST_TEST(largest <= batch);
            BOOST_TEST(largest - smallest <= 1u);
        }
}

BOOST_AUTO_TEST_SUITE_END()
