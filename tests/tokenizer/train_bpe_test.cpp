#include "lab/tokenizer/train_bpe.hpp"

#include "lab/core/file.hpp"
#include "lab/core/sha256.hpp"
#include "lab/formats/json.hpp"
#include "lab/tokenizer/tokenizer.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(train_bpe)

using namespace lab;

namespace {

/// tests/goldens/tokenizer_training.py's digest.
std::string digest(const tokenizer::vocabulary& v) {
    std::string lines;
    for (const auto& text : v.texts) lines += text + "\n";
    for (const auto& [left, right] : v.merges) lines += left + " " + right + "\n";
    return sha256_hex(lines);
}

tokenizer::bpe_training options_of(const formats::json& golden) {
    return {.vocab_size = golden["vocab_size"].get<std::size_t>(),
            .min_frequency = golden["min_frequency"].get<std::uint64_t>(),
            .special_tokens = golden["special"].get<std::vector<std::string>>(),
            .splits = tokenizer::pre_tokenizer_by_name(golden["pre"].get<std::string>())->rules};
}

void require_golden(const formats::json& golden, const std::filesystem::path& folder, std::size_t threads) {
    const auto options = options_of(golden);
    thread_pool pool(threads);
    tokenizer::piece_counts counts;
    for (const auto& file : golden["files"])
        counts.add(read_file(folder / file.get<std::string>()), options.splits, pool);
    const auto v = tokenizer::train_bpe(counts, options);
    std::vector<std::string> first;
    for (std::size_t i = 0; i < std::min<std::size_t>(20, v.merges.size()); ++i)
        first.push_back(v.merges[i].first + " " + v.merges[i].second);
    BOOST_TEST(first == golden["first"].get<std::vector<std::string>>(), boost::test_tools::per_element());
    BOOST_TEST(v.texts.size() == golden["tokens"].get<std::size_t>());
    BOOST_TEST(digest(v) == golden["sha256"].get<std::string>());
}

const formats::json& goldens() {
    static const auto all = formats::parse_json(read_file(test::fixture("tokenizer/trained.json")), "trained.json");
    return all;
}

tokenizer::vocabulary learn(std::string_view text, const tokenizer::bpe_training& options) {
    tokenizer::piece_counts counts;
    counts.add(text, options.splits);
    return tokenizer::train_bpe(counts, options);
}

}  // namespace

BOOST_AUTO_TEST_CASE(vocabulary_and_merges_are_those_of_the_peer) {
    for (const auto& golden : goldens()["cases"])
        for (const std::size_t threads : {1u, 3u})
            BOOST_TEST_CONTEXT(golden["files"] << ", " << golden["pre"] << ", " << threads << " threads")
    require_golden(golden, LAB_SOURCE_DIR, threads);
}

BOOST_AUTO_TEST_CASE(and_of_whole_books, *boost::unit_test::precondition(test::needs("corpora"))) {
    for (const auto& golden : goldens()["shared"])
        BOOST_TEST_CONTEXT(golden["files"]) require_golden(golden, LAB_SHARED_DATA, 2);
}

BOOST_AUTO_TEST_CASE(what_is_learnt_encodes_any_bytes) {
    const std::string text = read_file(test::fixture("tokenizer/training.txt"));
    const tokenizer::tokenizer learnt(learn(text, {.vocab_size = 500, .special_tokens = {"<|end|>"}}));
    BOOST_TEST(learnt.size() == 500u);
    BOOST_TEST(learnt.source().added.size() == 1u);
    BOOST_TEST(learnt.find("<|end|>").value() == 0);
    BOOST_TEST(learnt.decode(learnt.encode(text)) == text);
    BOOST_TEST(learnt.encode(text).size() < text.size() / 2);
    std::string all;
    for (int b = 0; b < 128; ++b) all.push_back(static_cast<char>(b));
    all += "\u00e9\u4f60\U0001f6a2";
    BOOST_TEST(learnt.decode(learnt.encode(all)) == all);
    BOOST_TEST(learnt.encode("a<|end|>", {.parse_special = true}).back() == 0);
}

BOOST_AUTO_TEST_CASE(special_tokens_are_texts_that_differ) {
    const auto refused = [](std::vector<std::string> special, const std::string& what) {
        const tokenizer::bpe_training options{.vocab_size = 300, .special_tokens = std::move(special)};
        const auto says = [&](const config_error& e) { return std::string(e.what()).find(what) != std::string::npos; };
        BOOST_CHECK_EXCEPTION(tokenizer::check_bpe_training(options), config_error, says);
        BOOST_CHECK_EXCEPTION((void)learn("some text", options), config_error, says);
    };
    refused({""}, "one of them is empty");
    refused({"<a>", ""}, "one of them is empty");
    refused({"<a>", "<b>", "<a>"}, "'<a>': is given twice");
}

BOOST_AUTO_TEST_CASE(text_without_pairs_and_text_that_is_no_utf8) {
    BOOST_TEST(learn("", {}).texts.size() == 256u);
    BOOST_TEST(learn("a\nb\nc", {}).merges.empty());
    BOOST_TEST(learn("\xff\xff\xff\xff", {.vocab_size = 300}).merges.size() == 4u);  // of U+FFFD's three bytes
    BOOST_CHECK_EXCEPTION((void)learn("text", {.vocab_size = 257, .special_tokens = {"<a>", "<b>"}}), config_error,
                          [](const config_error& e) { return std::string(e.what()).find("258") != std::string::npos; });
}

BOOST_AUTO_TEST_SUITE_END()
