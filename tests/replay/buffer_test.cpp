#include "lab/replay/buffer.hpp"

#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <set>

BOOST_AUTO_TEST_SUITE(replay_buffer)

using namespace lab;
using replay::replay_item;

namespace {
// The smallest buffer: the first ones, always.
struct first_ones {
    std::vector<std::size_t> draw(std::span<const replay_item> items, std::size_t count, std::uint64_t) const {
        std::vector<std::size_t> drawn(std::min(count, items.size()));
        for (std::size_t i = 0; i < drawn.size(); ++i) drawn[i] = i;
        return drawn;
    }
};
struct wrong_result {
    int draw(std::span<const replay_item>, std::size_t, std::uint64_t) const { return 0; }
};
static_assert(replay::ReplayBuffer<first_ones> && replay::ReplayBuffer<replay::reservoir> &&
              replay::ReplayBuffer<replay::stratified>);
static_assert(!replay::ReplayBuffer<wrong_result> && !replay::ReplayBuffer<int>);

std::vector<replay_item> items_of(const std::vector<std::pair<std::string_view, std::size_t>>& leaves) {
    std::vector<replay_item> items;
    for (const auto& [leaf, n] : leaves)
        for (std::size_t i = 0; i < n; ++i) items.push_back({items.size(), leaf, 1});
    return items;
}
bool ascending_without_repeats(const std::vector<std::size_t>& drawn, std::size_t limit) {
    for (std::size_t i = 0; i < drawn.size(); ++i)
        if (drawn[i] >= limit || (i > 0 && drawn[i] <= drawn[i - 1])) return false;
    return true;
}
}  // namespace

BOOST_AUTO_TEST_CASE(a_ratio_is_the_share_of_the_earlier_samples) {
    BOOST_TEST(replay::replay_count(90, 1.0 / 3.0) == 30u);
    BOOST_TEST(replay::replay_count(90, 0.0) == 0u);
    BOOST_TEST(replay::replay_count(90, 0.001) == 1u);  // asked for some: never none
    BOOST_TEST(replay::replay_count(90, 1.0) == 90u);
    BOOST_TEST(replay::replay_count(0, 0.5) == 0u);
    BOOST_CHECK_THROW((void)replay::replay_count(10, 1.5), config_error);
    BOOST_CHECK_THROW((void)replay::replay_count(10, -0.1), config_error);
    BOOST_CHECK_THROW((void)replay::replay_count(10, std::nan("")), config_error);
}

BOOST_AUTO_TEST_CASE(reservoir_is_uniform_and_seeded) {
    const auto items = items_of({{"a", 20}});
    const replay::reservoir buffer{.seed = 5};
    BOOST_TEST(buffer.draw(items, 5, 3) == buffer.draw(items, 5, 3), boost::test_tools::per_element());
    BOOST_CHECK(buffer.draw(items, 5, 3) != buffer.draw(items, 5, 4));
    BOOST_CHECK(buffer.draw(items, 5, 3) != replay::reservoir{.seed = 6}.draw(items, 5, 3));
    std::array<int, 20> seen{};
    for (std::uint64_t epoch = 0; epoch < 4000; ++epoch) {
        const auto drawn = buffer.draw(items, 5, epoch);
        BOOST_REQUIRE(drawn.size() == 5 && ascending_without_repeats(drawn, 20));
        for (const std::size_t i : drawn) ++seen[i];
    }
    double chi_squared = 0;  // expectation 1000 each; 19 degrees of freedom, p = 0.001 at 43.8
    for (const int n : seen) chi_squared += (n - 1000.0) * (n - 1000.0) / 1000.0;
    BOOST_TEST(chi_squared < 43.8);
}

BOOST_AUTO_TEST_CASE(stratified_gives_each_leaf_the_same) {
    const auto items = items_of({{"big", 60}, {"small", 4}, {"middle", 26}});
    const auto drawn = replay::stratified{.seed = 1}.draw(items, 30, 0);
    BOOST_REQUIRE(drawn.size() == 30u && ascending_without_repeats(drawn, items.size()));
    std::map<std::string_view, int> by_leaf;
    for (const std::size_t i : drawn) ++by_leaf[items[i].leaf];
    BOOST_TEST(by_leaf["small"] == 4);  // all it has
    BOOST_TEST(by_leaf["big"] == 13);
    BOOST_TEST(by_leaf["middle"] == 13);
}

BOOST_AUTO_TEST_CASE(stratified_rotates_through_all_samples) {
    const auto items = items_of({{"a", 12}, {"b", 12}});
    std::set<std::size_t> seen;
    for (std::uint64_t epoch = 0; epoch < 3; ++epoch)
        for (const std::size_t i : replay::stratified{.seed = 9}.draw(items, 8, epoch)) seen.insert(i);
    BOOST_TEST(seen.size() == 24u);
}

BOOST_AUTO_TEST_CASE(odd_ones_out_go_round_the_leaves) {
    const auto items = items_of({{"a", 5}, {"b", 5}, {"c", 5}});
    std::set<std::string_view> favoured;
    for (std::uint64_t epoch = 0; epoch < 3; ++epoch) {
        const auto drawn = replay::stratified{}.draw(items, 1, epoch);
        BOOST_REQUIRE(drawn.size() == 1u);
        favoured.insert(items[drawn[0]].leaf);
    }
    BOOST_TEST(favoured.size() == 3u);
}

BOOST_AUTO_TEST_CASE(the_edges) {
    BOOST_TEST(replay::stratified{}.draw({}, 4, 0).empty());
    BOOST_TEST(replay::reservoir{}.draw({}, 4, 0).empty());
    const auto items = items_of({{"a", 3}});
    BOOST_TEST(replay::stratified{}.draw(items, 99, 7).size() == 3u);
    BOOST_TEST(replay::reservoir{}.draw(items, 99, 7).size() == 3u);
    BOOST_TEST(replay::stratified{}.draw(items, 0, 0).empty());
}

// Long samples lie in one leaf, short ones in the other.
BOOST_AUTO_TEST_CASE(a_share_of_tokens_is_met_to_within_a_sample) {
    auto items = items_of({{"long", 20}, {"short", 60}});
    double all = 0;
    for (auto& item : items) {
        item.tokens = item.leaf == "long" ? 300 + item.sample : 10 + item.sample % 7;
        all += static_cast<double>(item.tokens);
    }
    const auto tokens_of = [&](const std::vector<std::size_t>& drawn) {
        double sum = 0;
        for (const std::size_t i : drawn) sum += static_cast<double>(items[i].tokens);
        return sum;
    };
    using replay::replay_measure;
    for (const double ratio : {0.1, 0.34, 0.5, 0.9})
        for (const std::uint64_t epoch : {0u, 3u}) {
            for (const replay::any_buffer& buffer : {replay::any_buffer(replay::stratified{.seed = 2}),
                                                     replay::any_buffer(replay::reservoir{.seed = 2})}) {
                const auto drawn = replay::draw_share(buffer, items, ratio, replay_measure::tokens, epoch);
                BOOST_TEST_INFO(buffer.name() << " " << ratio);
                BOOST_TEST(std::abs(tokens_of(drawn) - ratio * all) < 320);
                BOOST_TEST((drawn == replay::draw_share(buffer, items, ratio, replay_measure::tokens, epoch)));
            }
            BOOST_TEST((replay::draw_share(replay::stratified{}, items, ratio, replay_measure::samples, epoch) ==
                        replay::stratified{}.draw(items, replay::replay_count(items.size(), ratio), epoch)));
        }
    const auto share = [&](double ratio) {
        return replay::draw_share(replay::reservoir{}, items, ratio, replay_measure::tokens, 0).size();
    };
    BOOST_TEST(share(0.0) == 0u);
    BOOST_TEST(share(1e-6) == 1u);  // asked for some: never none
    BOOST_TEST(share(1.0) == items.size());
    BOOST_TEST(replay::draw_share(replay::full{}, items, 0.1, replay_measure::tokens, 0).size() == items.size());
}

BOOST_AUTO_TEST_CASE(any_buffer_draws_as_what_it_holds) {
    std::vector<replay::replay_item> items;
    for (std::size_t i = 0; i < 30; ++i) items.push_back({i, i % 3 == 0 ? "a" : "b", 1});
    for (const std::uint64_t epoch : {0u, 1u, 5u}) {
        BOOST_TEST((replay::buffer_by_name("stratified", 4).draw(items, 8, epoch) ==
                    replay::stratified{.seed = 4}.draw(items, 8, epoch)));
        BOOST_TEST((replay::buffer_by_name("reservoir", 4).draw(items, 8, epoch) ==
                    replay::reservoir{.seed = 4}.draw(items, 8, epoch)));
        BOOST_TEST(replay::buffer_by_name("full", 4).draw(items, 8, epoch).size() == 30u);
    }
    BOOST_TEST(replay::full{}.draw(items, 0, 0).empty());
    BOOST_TEST(replay::any_buffer(replay::reservoir{}).name() == "reservoir");
    BOOST_TEST(replay::any_buffer(first_ones{}).name() == "custom");
    BOOST_CHECK_THROW((void)replay::buffer_by_name("all", 0), config_error);
}

BOOST_AUTO_TEST_SUITE_END()
