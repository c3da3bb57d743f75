#include "lab/sdg/dedup.hpp"

#include "support/data.hpp"

using namespace lab;

namespace {
std::string random_text(counter_rng& rng, std::size_t vocabulary) {
    std::string text;
    for (std::size_t n = 1 + rng.below(24); n > 0; --n)
        text.append("w").append(std::to_string(rng.below(vocabulary))).append(" ");
    return text;
}
}  // namespace

BOOST_AUTO_TEST_SUITE(dedup)

BOOST_AUTO_TEST_CASE(finds_what_comparing_all_pairs_finds) {
    for (const double threshold : {0.3, 0.5, 0.7, 0.85, 1.0}) {
        counter_rng rng(11, hash64(std::to_string(threshold)));
        sdg::duplicate_index index(threshold);
        std::vector<std::string> kept;
        for (int i = 0; i < 300; ++i) {
            std::string text = random_text(rng, i % 2 == 0 ? 12 : 200);
            if (i % 5 == 4) text = std::string(kept[rng.below(kept.size())]).append("w1");
            std::optional<sdg::duplicate_index::match> expected;
            for (std::size_t k = 0; k < kept.size(); ++k) {
                const double f1 = sdg::rouge_l(kept[k], text).f1;
                if (f1 + 1e-9 >= threshold && (!expected || f1 > expected->similarity)) expected = {k, f1};
            }
            const auto found = index.find(text);
            BOOST_TEST_REQUIRE(found.has_value() == expected.has_value());
            if (found) BOOST_TEST(found->similarity == expected->similarity);
            if (found) BOOST_TEST(found->item == expected->item);
            index.add(text);
            kept.push_back(text);
        }
    }
}

BOOST_AUTO_TEST_CASE(prefilter_leaves_few_pairs) {
    counter_rng rng(3);
    sdg::duplicate_index index(0.7);
    constexpr std::size_t n = 1000;
    for (std::size_t i = 0; i < n; ++i) {
        const auto text = random_text(rng, 3000);
        (void)index.find(text);
        index.add(text);
    }
    BOOST_TEST(index.compared() < n * (n - 1) / 2 / 50);
}

BOOST_AUTO_TEST_CASE(case_and_punctuation_do_not_tell_texts_apart) {
    sdg::duplicate_index index(1.0);
    index.add("What is the lowest string?");
    BOOST_TEST(index.find("what is the LOWEST string").has_value());
    BOOST_TEST(!index.find("what is the lowest string called").has_value());
    BOOST_TEST(!index.find("...").has_value());
}

BOOST_AUTO_TEST_CASE(refuses_a_threshold_outside_its_range) {
    BOOST_CHECK_THROW(sdg::duplicate_index(0.0), config_error);
    BOOST_CHECK_THROW(sdg::duplicate_index(1.5), config_error);
}

BOOST_AUTO_TEST_SUITE_END()
