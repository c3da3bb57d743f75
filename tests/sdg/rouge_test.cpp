#include "lab/sdg/rouge.hpp"

#include "lab/core/rng.hpp"
#include "lab/formats/jsonl.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(rouge)

using namespace lab;

namespace {

/// The table itself, row by row.
std::size_t common_by_table(const std::vector<std::uint32_t>& a, const std::vector<std::uint32_t>& b) {
    std::vector<std::size_t> row(b.size() + 1, 0);
    for (const auto x : a) {
        std::size_t diagonal = 0;
        for (std::size_t j = 0; j < b.size(); ++j) {
            const std::size_t above = row[j + 1];
            row[j + 1] = x == b[j] ? diagonal + 1 : std::max(above, row[j]);
            diagonal = above;
        }
    }
    return row.back();
}

std::vector<std::uint32_t> random_words(counter_rng& rng, std::size_t count, std::uint64_t vocabulary) {
    std::vector<std::uint32_t> words(count);
    for (auto& w : words) w = static_cast<std::uint32_t>(rng.below(vocabulary) * 0x01000193u);
    return words;
}

}  // namespace

BOOST_AUTO_TEST_CASE(equals_the_rouge_score_package) {
    const auto lines = formats::read_jsonl(test::fixture("sdg/rouge_l.jsonl"));
    BOOST_TEST_REQUIRE(lines.size() > 60);
    for (std::size_t i = 1; i < lines.size(); ++i) {
        const auto& l = lines[i];
        const auto s = sdg::rouge_l(l["target"].get<std::string>(), l["prediction"].get<std::string>());
        BOOST_TEST_CONTEXT("pair " << i) {
            BOOST_TEST(s.precision == l["precision"].get<double>());
            BOOST_TEST(s.recall == l["recall"].get<double>());
            BOOST_TEST(s.f1 == l["f1"].get<double>(), boost::test_tools::tolerance(1e-15));
        }
    }
}

BOOST_AUTO_TEST_CASE(subsequences_64_at_a_time_equal_the_table) {
    counter_rng rng(6);
    for (const std::size_t n : {0u, 1u, 2u, 63u, 64u, 65u, 127u, 128u, 129u, 200u, 320u, 321u, 500u})
        for (const std::size_t m : {0u, 1u, 64u, 130u, 300u})
            for (const std::uint64_t vocabulary : {1u, 3u, 40u, 1000u}) {
                const auto a = random_words(rng, n, vocabulary);
                auto b = random_words(rng, m, vocabulary);
                for (std::size_t i = 0; i < std::min(n, m); ++i)  // much in common, also at the ends
                    if (rng.below(10) != 0) b[i] = a[i];
                if (rng.below(3) == 0) std::reverse(b.begin(), b.end());
                const std::size_t expected = common_by_table(a, b);
                sdg::prepared_sequence prepared(a);
                BOOST_TEST_CONTEXT(n << " and " << m << " of " << vocabulary << " words") {
                    BOOST_TEST(prepared.common(b) == expected);
                    BOOST_TEST(prepared.common(b, expected) == expected);
                    BOOST_TEST(prepared.common(b, expected + 1) <= expected);
                    BOOST_TEST(prepared.common(a) == n);
                }
            }
}

BOOST_AUTO_TEST_CASE(long_texts_are_compared_in_stripes) {
    counter_rng rng(9);
    for (const std::size_t n : {4096u, 4097u, 9000u}) {
        const auto a = random_words(rng, n, 700);
        auto b = a;
        for (auto& w : b)
            if (rng.below(4) == 0) w = static_cast<std::uint32_t>(rng.below(700) * 0x01000193u);
        b.erase(b.begin() + 50, b.begin() + 90);
        sdg::prepared_sequence prepared(a);
        const std::size_t expected = common_by_table(a, b);
        BOOST_TEST(prepared.common(b) == expected);
        BOOST_TEST(prepared.common(b) == expected);  // again, with what the first left behind
        BOOST_TEST(sdg::prepared_sequence(b).common(a) == expected);
        prepared.assign(std::span(a).first(100));
        BOOST_TEST(prepared.common(std::span(a).first(150)) == 100u);
    }
}

BOOST_AUTO_TEST_CASE(loose_words_keep_other_scripts) {
    BOOST_TEST(sdg::rouge_words("日本").empty());
    BOOST_TEST(sdg::loose_words("日本 Café").size() == 2u);
    BOOST_TEST(sdg::loose_words("日本 Café")[1] == "café");
}

BOOST_AUTO_TEST_SUITE_END()
