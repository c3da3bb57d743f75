#include "lab/sdg/minhash.hpp"

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(minhash)

using namespace lab;

namespace {

std::vector<std::uint64_t> random_set(counter_rng& rng, std::size_t n) {
    std::vector<std::uint64_t> set(n);
    for (auto& x : set) x = rng.next64();
    return set;
}

std::string random_text(counter_rng& rng, std::size_t words) {
    std::string text;
    for (; words > 0; --words) text.append("w").append(std::to_string(rng.below(400))).append(" ");
    return text;
}

}  // namespace

BOOST_AUTO_TEST_CASE(estimates_the_jaccard_similarity) {
    const sdg::min_hash minima(512, 3);
    counter_rng rng(1);
    for (const double j : {0.0, 0.1, 0.3, 0.5, 0.8, 1.0}) {
        double sum = 0, square = 0;
        constexpr int pairs = 40;
        for (int p = 0; p < pairs; ++p) {
            const std::size_t all = 300, shared = static_cast<std::size_t>(j * all), own = (all - shared) / 2;
            auto a = random_set(rng, shared), b = a;
            for (auto* set : {&a, &b})
                for (const auto x : random_set(rng, own)) set->push_back(x);
            std::reverse(b.begin(), b.end());
            b.push_back(b.front());  // order and repetition do not matter
            const double truth = static_cast<double>(shared) / static_cast<double>(shared + 2 * own);
            const double off = sdg::estimated_jaccard(minima(a), minima(b)) - truth;
            sum += off, square += off * off;
        }
        const double expected = std::sqrt(j * (1 - j) / 512);  // of one estimate
        BOOST_TEST(std::abs(sum / pairs) <= 4 * expected / std::sqrt(pairs) + 1e-12);
        BOOST_TEST(std::sqrt(square / pairs) <= 1.5 * expected + 1e-12);
    }
}

BOOST_AUTO_TEST_CASE(bands_meet_as_often_as_the_formula_says) {
    constexpr std::size_t bands = 20, rows = 3;
    counter_rng rng(2);
    for (const double j : {0.2, 0.4, 0.6}) {
        std::size_t met = 0;
        constexpr std::size_t pairs = 600;
        for (std::size_t p = 0; p < pairs; ++p) {
            const sdg::min_hash minima(bands * rows, p);
            sdg::band_table table(bands, rows);
            auto a = random_set(rng, static_cast<std::size_t>(200 * j)), b = a;
            for (auto* set : {&a, &b})
                for (const auto x : random_set(rng, static_cast<std::size_t>(100 * (1 - j)))) set->push_back(x);
            table.add(minima(a));
            met += table.near(minima(b)).size();
        }
        const double chance = sdg::chance_of_meeting(j, bands, rows), error = std::sqrt(chance * (1 - chance) / pairs);
        BOOST_TEST(std::abs(static_cast<double>(met) / pairs - chance) < 4 * error);
    }
}

BOOST_AUTO_TEST_CASE(a_table_of_any_size_finds_every_band_that_is_shared) {
    counter_rng rng(3);
    sdg::band_table table(4, 2);
    std::vector<std::vector<std::uint32_t>> all;
    for (std::uint32_t i = 0; i < 500; ++i) {
        std::vector<std::uint32_t> minima(8);
        for (auto& m : minima) m = static_cast<std::uint32_t>(rng.below(12));
        std::vector<std::uint32_t> expected;
        for (std::uint32_t k = 0; k < all.size(); ++k)
            for (std::size_t b = 0; b < 8; b += 2)
                if (all[k][b] == minima[b] && all[k][b + 1] == minima[b + 1]) {
                    expected.push_back(k);
                    break;
                }
        BOOST_TEST(table.near(minima) == expected, boost::test_tools::per_element());
        table.add(minima);
        all.push_back(minima);
    }
}

BOOST_AUTO_TEST_CASE(what_is_found_is_near_and_most_of_it_is_found) {
    counter_rng rng(4);
    sdg::minhash_index index({.threshold = 0.7});
    sdg::duplicate_index exact(0.7);
    std::size_t there = 0, found = 0, same = 0;
    std::vector<std::string> texts;
    for (int i = 0; i < 600; ++i) {
        auto text = random_text(rng, 20 + rng.below(60));
        if (i % 2 == 1) {
            text.clear();
            for (const auto& word : sdg::loose_words(texts[rng.below(texts.size())]))
                if (rng.below(100) < 85) text += word + " ";
        }
        const auto near = index.find(text), truth = exact.find(text);
        if (near) BOOST_TEST(near->similarity == sdg::rouge_l(texts[near->item], text).f1);
        if (near) BOOST_TEST(near->similarity >= 0.7 - 1e-9);
        there += truth.has_value(), found += near.has_value();
        same += near && truth && near->item == truth->item;
        BOOST_TEST(index.add(text) == exact.add(text));
        texts.push_back(text);
    }
    BOOST_TEST(there > 200u);
    BOOST_TEST(static_cast<double>(found) > 0.98 * static_cast<double>(there));
    BOOST_TEST(same > found * 95 / 100);
    BOOST_TEST(index.compared() < 600u * 599 / 2 / 20);
}

BOOST_AUTO_TEST_CASE(texts_without_words_are_counted_and_never_found) {
    sdg::minhash_index index;
    BOOST_TEST(index.add("...") == 0u);
    BOOST_TEST(index.add("one") == 1u);
    BOOST_TEST(!index.find("!").has_value());
    BOOST_TEST(index.find("One")->item == 1u);
    BOOST_TEST(index.size() == 2u);
}

BOOST_AUTO_TEST_CASE(refuses_options_out_of_range) {
    BOOST_CHECK_THROW(sdg::minhash_index({.threshold = 0}), config_error);
    BOOST_CHECK_THROW(sdg::minhash_index({.shingle = 0}), config_error);
    BOOST_CHECK_THROW(sdg::minhash_index({.bands = 0}), config_error);
    BOOST_CHECK_THROW(sdg::band_table(2, 2).add(std::vector<std::uint32_t>(3)), shape_error);
    BOOST_CHECK_THROW((void)sdg::estimated_jaccard({}, {}), shape_error);
}

BOOST_AUTO_TEST_SUITE_END()
