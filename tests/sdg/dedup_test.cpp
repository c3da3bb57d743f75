#include "lab/sdg/dedup.hpp"

#include <map>

#include "lab/sdg/rouge.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(dedup)

using namespace lab;
using match = sdg::duplicate_index::match;

namespace {

std::string random_text(counter_rng& rng, std::size_t vocabulary, std::size_t most = 24) {
    std::string text;
    for (std::size_t n = 1 + rng.below(most); n > 0; --n)
        text.append("w").append(std::to_string(rng.below(vocabulary))).append(" ");
    return text;
}

/// The text with a share of its words changed, removed or doubled.
std::string edited(counter_rng& rng, const std::string& text, double rate) {
    std::string out;
    for (const auto& word : sdg::loose_words(text)) {
        const bool change = rng.uniform() < rate;
        const auto how = rng.below(3);
        if (!change || how == 2) out += word + " ";
        if (change && how != 1) out += "e" + std::to_string(rng.below(30)) + " ";
    }
    return out;
}

/// Few frames with slots, near copies, exact copies and strangers.
std::vector<std::string> mixed_texts(std::size_t count) {
    counter_rng rng(5);
    std::vector<std::string> frames, texts;
    for (int i = 0; i < 4; ++i) frames.push_back(random_text(rng, 300, 150));
    for (std::size_t i = 0; i < count; ++i) switch (rng.below(5)) {
            case 0:
                texts.push_back(random_text(rng, 300, 150));
                break;
            case 1:
                texts.push_back(texts.empty() ? "" : texts[rng.below(texts.size())]);
                break;
            case 2:
                texts.push_back(texts.empty() ? "" : edited(rng, texts[rng.below(texts.size())], 0.1));
                break;
            default:
                texts.push_back(edited(rng, frames[rng.below(frames.size())], 0.3));
        }
    return texts;
}

/// Every pair compared.
struct all_pairs {
    std::optional<match> find(const std::string& text, double threshold) {
        const auto words = numbers_of(text);
        sdg::prepared_sequence prepared(words);
        std::optional<match> best;
        for (std::size_t k = 0; k < kept.size(); ++k) {
            if (words.empty() || kept[k].empty()) continue;
            const double f1 = sdg::rouge_from(prepared.common(kept[k]), kept[k].size(), words.size()).f1;
            if (f1 + 1e-9 >= threshold && (!best || f1 > best->similarity)) best = {k, f1};
        }
        return best;
    }
    void add(const std::string& text) { kept.push_back(numbers_of(text)); }

    std::vector<std::vector<std::uint32_t>> kept;

private:
    std::vector<std::uint32_t> numbers_of(const std::string& text) {
        std::vector<std::uint32_t> out;
        for (const auto& word : sdg::rouge_words(text))
            out.push_back(numbers_.emplace(word, static_cast<std::uint32_t>(numbers_.size())).first->second);
        return out;
    }
    std::map<std::string, std::uint32_t> numbers_;
};

void require_equal(const std::optional<match>& found, const std::optional<match>& expected) {
    BOOST_TEST_REQUIRE(found.has_value() == expected.has_value());
    if (!found) return;
    BOOST_TEST(found->similarity == expected->similarity);
    BOOST_TEST(found->item == expected->item);
}

}  // namespace

BOOST_AUTO_TEST_CASE(finds_what_comparing_all_pairs_finds) {
    for (const double threshold : {0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 0.99, 1.0}) {
        counter_rng rng(11, hash64(std::to_string(threshold)));
        sdg::duplicate_index by_parts(threshold, 0), half(threshold, 200), by_signatures(threshold);
        std::vector<std::string> kept;
        all_pairs compared;
        for (int i = 0; i < 400; ++i) {
            std::string text = random_text(rng, i % 2 == 0 ? 12 : 200, i % 3 == 0 ? 120 : 24);
            if (i % 5 == 4) text = std::string(kept[rng.below(kept.size())]).append("w1");
            if (i % 5 == 3) text = edited(rng, kept[rng.below(kept.size())], (1 - threshold) * 0.7);
            const auto expected = compared.find(text, threshold);
            for (auto* index : {&by_parts, &half, &by_signatures}) {
                require_equal(index->find(text), expected);
                index->add(text);
            }
            compared.add(text);
            kept.push_back(text);
        }
    }
}

BOOST_AUTO_TEST_CASE(keeps_what_comparing_one_by_one_keeps_on_any_number_of_threads) {
    const auto texts = mixed_texts(700);
    for (const double threshold : {0.6, 0.9}) {
        all_pairs compared;
        std::vector<std::optional<match>> expected;
        for (const auto& text : texts) {
            expected.push_back(compared.find(text, threshold));
            if (!expected.back()) compared.add(text);
        }
        BOOST_TEST(compared.kept.size() > 50u);
        BOOST_TEST(compared.kept.size() < 600u);
        const std::vector<std::string_view> views(texts.begin(), texts.end());
        for (const std::size_t threads : {1u, 3u}) {
            thread_pool pool(threads);
            sdg::duplicate_index index(threshold);
            auto found = index.keep_new(std::span(views).first(300), pool);
            for (const auto& more : index.keep_new(std::span(views).subspan(300), pool)) found.push_back(more);
            BOOST_TEST_REQUIRE(found.size() == texts.size());
            for (std::size_t i = 0; i < found.size(); ++i) BOOST_TEST_CONTEXT("text " << i) {
                    require_equal(found[i], expected[i]);
                }
            BOOST_TEST(index.size() == compared.kept.size());
        }
    }
}

BOOST_AUTO_TEST_CASE(filters_leave_few_pairs) {
    counter_rng rng(3);
    sdg::duplicate_index index(0.7);
    constexpr std::size_t n = 1000;
    for (std::size_t i = 0; i < n; ++i) {
        const auto text = random_text(rng, 3000);
        (void)index.find(text);
        index.add(text);
    }
    BOOST_TEST(index.compared() < n * (n - 1) / 2 / 1000);
}

BOOST_AUTO_TEST_CASE(a_template_that_all_share_is_not_what_is_looked_up) {
    counter_rng rng(6);
    const auto frame = sdg::loose_words(random_text(rng, 500, 1) + "please tell me in a few words what was asked of ");
    for (const bool scattered : {false, true}) {
        sdg::duplicate_index index(0.9, 0);
        constexpr std::size_t n = 2000;
        for (std::size_t i = 0; i < n; ++i) {
            std::string text;
            for (std::size_t w = 0; w < frame.size(); ++w) {
                text += frame[w] + " ";
                if (scattered ? w % 4 == 0 : w == 5)
                    for (int k = 0; k < (scattered ? 1 : 3); ++k) text += std::to_string(rng.below(100'000)) + " ";
            }
            BOOST_TEST(!index.find(text).has_value());
            index.add(text);
        }
        BOOST_TEST(index.compared() < 20 * n);
    }
}

BOOST_AUTO_TEST_CASE(the_earliest_of_equal_texts_is_named) {
    sdg::duplicate_index index(0.5);
    index.add("one two three four");
    index.add("One, two: three FOUR!");
    BOOST_TEST(*index.find_equal("one two three four") == 0u);
    BOOST_TEST(!index.find_equal("one two four three").has_value());
    BOOST_TEST(!index.find_equal("").has_value());
    BOOST_TEST(index.find("one two three four")->item == 0u);
    BOOST_TEST(index.find("one two three five")->item == 0u);
}

BOOST_AUTO_TEST_CASE(texts_of_any_length_are_taken) {
    counter_rng rng(8);
    const auto book = random_text(rng, 500, 1) + random_text(rng, 500, 30000) + "the end of a long text ";
    sdg::duplicate_index index(0.9);
    index.add("");
    index.add("...");
    index.add(book);
    BOOST_TEST(index.find(edited(rng, book, 0.02))->item == 2u);
    BOOST_TEST(!index.find("the end").has_value());
    BOOST_TEST(!index.find("").has_value());
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

BOOST_AUTO_TEST_CASE(signatures_never_say_more_than_there_is) {
    counter_rng rng(2);
    for (int i = 0; i < 300; ++i) {
        const auto one = random_text(rng, 60, 200),
                   two = i % 2 == 0 ? edited(rng, one, 0.3) : random_text(rng, 60, 200);
        auto a = sdg::loose_word_hashes(one), b = sdg::loose_word_hashes(two);
        const std::size_t bound = sdg::text_signature(a).difference(sdg::text_signature(b));
        std::sort(a.begin(), a.end());
        std::sort(b.begin(), b.end());
        std::vector<std::uint64_t> only;
        std::set_symmetric_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(only));
        BOOST_TEST(bound <= only.size());
        std::size_t odd = 0;  // what stands an even number of times leaves no trace
        for (auto at = only.begin(), end = at; at != only.end(); at = end) {
            end = std::upper_bound(at, only.end(), *at);
            odd += static_cast<std::size_t>(end - at) % 2;
        }
        BOOST_TEST(bound * 4 >= odd * 3);  // and not much less
    }
}

BOOST_AUTO_TEST_CASE(a_hash_table_holds_what_a_map_holds) {
    counter_rng rng(4);
    sdg::hash_table table;
    std::map<std::uint64_t, std::uint32_t> expected;
    BOOST_TEST(table.find(0) == sdg::hash_table::none);
    for (std::uint32_t i = 0; i < 5000; ++i) {
        const std::uint64_t key = rng.below(3000) << (rng.below(2) * 40);  // keys that differ in their high or low bits
        BOOST_TEST(table.insert(key, i) == expected.emplace(key, i).first->second);
    }
    BOOST_TEST(table.size() == expected.size());
    for (const auto& [key, number] : expected) BOOST_TEST(table.find(key) == number);
    BOOST_TEST(table.find(7777777) == sdg::hash_table::none);
}

BOOST_AUTO_TEST_SUITE_END()
