#include "lab/nn/kv_cache.hpp"

#include <boost/test/unit_test.hpp>
#include <cstring>

BOOST_AUTO_TEST_SUITE(kv_cache)

namespace {

using namespace lab;
using cache = nn::kv_cache<float>;

nn::kv_cache_options room_for(std::size_t blocks) { return {.max_bytes = blocks * cache(2, 1, 2, 0).block_bytes()}; }

}  // namespace

BOOST_AUTO_TEST_CASE(blocks_are_taken_as_a_sequence_grows) {
    cache kv(2, 1, 2, 0, room_for(3));
    BOOST_TEST(kv.max_blocks() == 3u);
    const auto a = kv.create();
    BOOST_TEST(kv.blocks_needed(a, 0) == 0u);
    BOOST_TEST(kv.blocks_needed(a, 64) == 1u);
    BOOST_TEST(kv.blocks_needed(a, 65) == 2u);
    kv.extend(a, 64);
    BOOST_TEST(kv.used_blocks() == 1u);
    kv.extend(a, 1);
    BOOST_TEST(kv.used_blocks() == 2u);
    BOOST_TEST(kv.length(a) == 65);
    BOOST_TEST(kv.block(a, 0) != kv.block(a, 1));
    BOOST_TEST(kv.layer_offset(1) == 64 * (2 + 16) * sizeof(float));  // a head of values is padded to 16
    BOOST_TEST(kv.block_bytes() == 2 * kv.layer_offset(1));
    kv.release(a);
    BOOST_TEST(kv.used_blocks() == 0u);
    BOOST_CHECK_THROW(static_cast<void>(kv.length(a)), config_error);
}

BOOST_AUTO_TEST_CASE(a_full_cache_refuses_and_stays_as_it_was) {
    cache kv(2, 1, 2, 0, room_for(2));
    const auto a = kv.create();
    kv.extend(a, 100);
    BOOST_CHECK_THROW(kv.extend(a, 29), config_error);
    BOOST_TEST(kv.length(a) == 100);
    kv.extend(a, 28);
    BOOST_TEST(kv.free_blocks() == 0u);
    BOOST_CHECK_THROW(cache(2, 1, 2, 0, {.max_bytes = 100}), config_error);
    BOOST_CHECK_THROW(cache(0, 1, 2, 0), config_error);
}

BOOST_AUTO_TEST_CASE(a_fork_shares_until_someone_writes) {
    cache kv(2, 1, 2, 0);
    const auto a = kv.create();
    kv.extend(a, 100);
    std::memset(kv.block(a, 1), 51, kv.block_bytes());
    const auto b = kv.fork(a, 90), c = kv.fork(a, 64);
    BOOST_TEST(kv.used_blocks() == 2u);
    BOOST_TEST(kv.length(b) == 90);
    BOOST_TEST(kv.block(b, 1) == kv.block(a, 1));
    kv.extend(c, 1);  // its only block is full: nothing to copy
    BOOST_TEST(kv.used_blocks() == 3u);
    BOOST_TEST(kv.blocks_needed(b, 1) == 1u);
    kv.extend(b, 1);
    BOOST_TEST(kv.used_blocks() == 4u);
    BOOST_TEST(kv.block(b, 1) != kv.block(a, 1));
    BOOST_TEST(std::memcmp(kv.block(b, 1), kv.block(a, 1), kv.block_bytes()) == 0);
    BOOST_TEST(kv.block(b, 0) == kv.block(a, 0));
    kv.release(a);
    BOOST_TEST(kv.used_blocks() == 3u);  // a's second block alone is free again
    kv.release(b);
    kv.release(c);
    BOOST_TEST(kv.used_blocks() == 0u);
    BOOST_CHECK_THROW(static_cast<void>(kv.fork(b, 0)), config_error);
}

BOOST_AUTO_TEST_CASE(elements_can_be_halves_or_bytes) {
    const cache whole(2, 2, 32, 0);
    for (const dtype type : {dtype::f16, dtype::bf16})
        BOOST_TEST(cache(2, 2, 32, 0, {.type = type}).block_bytes() == whole.block_bytes() / 2);
    BOOST_TEST(cache(2, 2, 32, 0, {.type = dtype::q8_0}).block_bytes() == whole.block_bytes() / 128 * 34);
    BOOST_CHECK_THROW(cache(2, 2, 32, 0, {.type = dtype::q4_0}), config_error);
    BOOST_CHECK_THROW(nn::kv_cache<double>(2, 2, 32, 0, {.type = dtype::f16}), config_error);
}

BOOST_AUTO_TEST_CASE(truncating_gives_blocks_back) {
    cache kv(2, 1, 2, 0);
    const auto a = kv.create();
    kv.extend(a, 200);
    kv.truncate(a, 64);
    BOOST_TEST(kv.used_blocks() == 1u);
    BOOST_TEST(kv.length(a) == 64);
    BOOST_CHECK_THROW(kv.truncate(a, 65), config_error);
    kv.truncate(a, 0);
    BOOST_TEST(kv.used_blocks() == 0u);
}

BOOST_AUTO_TEST_CASE(a_sliding_window_gives_old_blocks_back) {
    cache kv(2, 1, 2, 70);
    const auto a = kv.create();
    kv.extend(a, 133);  // the next position, 133, sees 64 ... 133: block 0 is out of sight
    kv.drop_outside_window(a);
    BOOST_TEST(kv.block(a, 0) == nullptr);
    BOOST_TEST(kv.block(a, 1) != nullptr);
    BOOST_TEST(kv.used_blocks() == 2u);
    const auto b = kv.fork(a, 133);
    BOOST_TEST(kv.block(b, 0) == nullptr);
    BOOST_CHECK_THROW(kv.truncate(a, 132), config_error);  // position 132 would see 63
    BOOST_CHECK_THROW(static_cast<void>(kv.fork(a, 100)), config_error);
    kv.truncate(a, 0);
    BOOST_TEST(kv.length(a) == 0);
    kv.extend(a, 1);
    BOOST_TEST(kv.block(a, 0) != nullptr);

    cache edge(2, 1, 2, 70);
    const auto c = edge.create();
    edge.extend(c, 132);
    edge.drop_outside_window(c);
    BOOST_TEST(edge.used_blocks() == 3u);
}

BOOST_AUTO_TEST_SUITE_END()
