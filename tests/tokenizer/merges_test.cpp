#include "lab/tokenizer/merges.hpp"

#include <boost/test/unit_test.hpp>
#include <map>
#include <utility>
#include <vector>

#include "lab/core/rng.hpp"
#include "lab/tokenizer/piece_index.hpp"

BOOST_AUTO_TEST_SUITE(merges)

namespace lt = lab::tokenizer;
using lab::token;

namespace {

// The definition, word for word: join the leftmost pair of lowest rank until there is none.
std::vector<token> naive(std::vector<token> s, const std::vector<lt::merge_rule>& rules) {
    std::map<std::pair<token, token>, lt::merge_rule> table;
    for (const auto& r : rules) table.emplace(std::pair(r.left, r.right), r);
    for (;;) {
        std::size_t best = s.size();
        std::uint32_t rank = 0;
        for (std::size_t i = 0; i + 1 < s.size(); ++i) {
            const auto found = table.find({s[i], s[i + 1]});
            if (found != table.end() && (best == s.size() || found->second.rank < rank)) {
                best = i;
                rank = found->second.rank;
            }
        }
        if (best == s.size()) return s;
        s[best] = table.at({s[best], s[best + 1]}).result;
        s.erase(s.begin() + static_cast<std::ptrdiff_t>(best + 1));
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(both_loops_equal_the_definition) {
    lab::counter_rng random(3);
    const auto draw = [&](std::uint64_t n) { return static_cast<token>(random.below(n)); };
    for (int round = 0; round < 200; ++round) {
        std::vector<lt::merge_rule> rules;
        token fresh = 4;
        const auto ranks = 1 + random.below(40);  // few ranks: ties are common
        for (std::uint64_t n = random.below(40); n > 0; --n, ++fresh)
            rules.push_back({draw(static_cast<std::uint64_t>(fresh)), draw(static_cast<std::uint64_t>(fresh)), fresh,
                             static_cast<std::uint32_t>(random.below(ranks))});
        const lt::merge_table table(rules);
        for (const std::uint64_t size : {0u, 1u, 2u, 3u, 17u, 63u, 64u, 65u, 66u, 200u}) {
            lt::merge_scratch scratch;
            for (std::uint64_t i = 0; i < size; ++i) scratch.symbols.push_back(draw(round % 2 == 0 ? 4 : 2));
            const auto expected = naive(scratch.symbols, rules);
            table.merge(scratch);
            BOOST_REQUIRE(scratch.symbols == expected);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_million_symbols_merge_in_reasonable_time) {
    std::vector<lt::merge_rule> rules;  // "aa", "aaaa", ... up to 2^10
    for (token i = 0; i < 10; ++i) rules.push_back({i, i, i + 1, static_cast<std::uint32_t>(i)});
    const lt::merge_table table(rules);
    lt::merge_scratch scratch;
    scratch.symbols.assign(1 << 20, 0);
    table.merge(scratch);  // quadratic work would take hours
    BOOST_TEST(scratch.symbols.size() == 1024U);
    BOOST_TEST(scratch.symbols.front() == 10);
}

BOOST_AUTO_TEST_CASE(first_rule_of_a_pair_counts) {
    const lt::merge_rule rules[] = {{0, 1, 2, 5}, {0, 1, 3, 0}};
    const lt::merge_table table(rules);
    BOOST_TEST(table.find(0, 1).result == 2);
    BOOST_TEST(table.find(1, 0).rank == lt::merge_table::no_rank);
}

BOOST_AUTO_TEST_CASE(piece_index_finds_what_it_holds) {
    lt::piece_index index(10);
    std::vector<std::string> keys;
    lab::counter_rng random(5);
    for (token i = 0; i < 3000; ++i) {  // far more than announced: it grows
        std::string key;
        for (std::uint64_t n = random.below(20); n > 0; --n) key.push_back(static_cast<char>(random.below(256)));
        key.append(":").append(std::to_string(i));
        BOOST_TEST(index.insert(key, i) == i);
        keys.push_back(key);
    }
    BOOST_TEST(index.insert(keys[7], 9999) == 7);
    BOOST_TEST(index.size() == keys.size());
    for (token i = 0; i < 3000; ++i) BOOST_REQUIRE(index.find(keys[static_cast<std::size_t>(i)]) == i);
    BOOST_TEST(index.find("absent") == lab::no_token);
    BOOST_TEST(index.find("") == lab::no_token);
    BOOST_TEST(lt::piece_index().find("x") == lab::no_token);
}

BOOST_AUTO_TEST_SUITE_END()
