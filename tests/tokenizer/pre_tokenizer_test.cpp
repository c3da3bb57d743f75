#include "lab/tokenizer/pre_tokenizer.hpp"

#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "lab/core/rng.hpp"

BOOST_AUTO_TEST_SUITE(pre_tokenizer)

namespace lt = lab::tokenizer;
using rule = lt::split_rule;

namespace {

std::vector<std::string> pieces(const lt::pre_tokenizer& p, std::string_view text) {
    std::vector<std::string> out;
    p.split(text, [&](std::string_view piece) { out.emplace_back(piece); });
    return out;
}

void check(const lt::pre_tokenizer& p, std::string_view text, std::vector<std::string> expected) {
    const auto got = pieces(p, text);
    BOOST_TEST_CONTEXT("text '" << text << "'") BOOST_TEST(got == expected, boost::test_tools::per_element());
}

constexpr rule all_rules[] = {rule::gpt2,
                              rule::smollm,
                              rule::llama3,
                              rule::qwen2,
                              rule::qwen35,
                              rule::seed_coder,
                              rule::no_contractions,
                              rule::gpt4o,
                              rule::tekken,
                              rule::each_number,
                              rule::three_numbers,
                              rule::number_runs,
                              rule::digit_triples,
                              rule::punctuation_runs,
                              rule::punctuation_runs_falcon};

}  // namespace

BOOST_AUTO_TEST_CASE(gpt2) {
    const lt::pre_tokenizer p{rule::gpt2};
    check(p, "I've we'll 'Twas", {"I", "'ve", " we", "'ll", " '", "Twas"});
    check(p, "in 1984, x2", {"in", " 1984", ",", " x", "2"});
    check(p, "a   b", {"a", "  ", " b"});
    check(p, "a \n\n b  ", {"a", " \n\n", " b", "  "});
    check(p, "\tx", {"\t", "x"});
    check(p, "...!?\n", {"...!?", "\n"});
    check(p, "e\u0301", {"e", "\u0301"});  // a mark is neither letter nor number
    check(p, "中文 ½", {"中文", " ½"});
    check(p, "", {});
}

BOOST_AUTO_TEST_CASE(smollm_cuts_each_digit_out_first) {
    const lt::pre_tokenizer p{rule::smollm};
    check(p, "in 1984", {"in", " ", "1", "9", "8", "4"});
    check(p, "a  5  b", {"a", "  ", "5", " ", " b"});  // before a digit the spaces stay together
    BOOST_TEST((lt::pre_tokenizer{rule::each_number, rule::gpt2} == p));
}

BOOST_AUTO_TEST_CASE(llama3_and_qwen2) {
    const lt::pre_tokenizer llama{rule::llama3};
    check(llama, "I'VE 12345 (ok)\n\nnext", {"I", "'VE", " ", "123", "45", " (", "ok", ")\n\n", "next"});
    check(llama, "x\n  \n  y", {"x", "\n  \n", " ", " y"});
    check(llama, "\tfoo $bar", {"\tfoo", " $", "bar"});
    check(llama, " \r\n", {" \r\n"});
    check({rule::qwen2}, "a 123", {"a", " ", "1", "2", "3"});
    check({rule::qwen35}, "xe\u0301y", {"xe\u0301y"});
    check({rule::no_contractions}, "it's", {"it", "'s"});
    check({rule::no_contractions}, "we'll've", {"we", "'ll", "'ve"});
    check({rule::seed_coder}, "!!\n", {"!!", "\n"});
}

BOOST_AUTO_TEST_CASE(long_s_folds_only_where_asked) {
    lt::pre_tokenizer p{rule::llama3};
    check(p, "'\u017Fa", {"'\u017Fa"});
    p.fold_long_s = true;
    check(p, "'\u017Fa", {"'\u017F", "a"});
}

BOOST_AUTO_TEST_CASE(words_by_case) {
    const lt::pre_tokenizer p{rule::gpt4o};
    check(p, "HTTPServer isn't", {"HTTPServer", " isn't"});
    check(p, "camelCaseABC", {"camel", "Case", "ABC"});
    check(p, "中文ABCd", {"中文ABCd"});
    check(p, "中A!/\n", {"中", "A", "!/\n"});
    check({rule::tekken}, "isn't 12", {"isn", "'t", " ", "1", "2"});
}

BOOST_AUTO_TEST_CASE(older_rules_in_sequence) {
    const auto falcon = lt::pre_tokenizer_by_name("falcon");
    BOOST_REQUIRE(falcon.has_value());
    check(falcon->rules, "a, 12345 `b`", {"a", ",", " ", "123", "45", " ", "`", "b", "`"});
    check({rule::digit_triples}, "12345a678", {"123", "45a", "678"});
    check({rule::three_numbers}, "ab12345", {"ab", "123", "45"});
    BOOST_CHECK_THROW((lt::pre_tokenizer{rule::gpt2, rule::gpt2, rule::gpt2, rule::gpt2, rule::gpt2}),
                      lab::config_error);
}

BOOST_AUTO_TEST_CASE(names_and_expressions) {
    BOOST_TEST(lt::pre_tokenizer_by_name("llama-bpe")->ignore_merges);
    BOOST_TEST(!lt::pre_tokenizer_by_name("qwen2")->ignore_merges);
    BOOST_TEST(!lt::pre_tokenizer_by_name("never-heard-of").has_value());
    BOOST_TEST((lt::split_rule_from_regex(R"(\p{N}{1,3})") == rule::three_numbers));
    BOOST_TEST(!lt::split_rule_from_regex(R"(\w+)").has_value());
}

// Whatever the bytes, the pieces are the text, and none is empty.
BOOST_AUTO_TEST_CASE(pieces_cover_any_bytes) {
    lab::counter_rng random(11);
    constexpr std::string_view likely = " \n'sSreLL12ab.!\xC3\xA9\xE4\xB8\xAD\xCC\x81\xF0\x9F\x99\x82";
    for (const rule r : all_rules) {
        const lt::pre_tokenizer p{r};
        for (int n = 0; n < 400; ++n) {
            std::string text;
            for (std::uint64_t i = random.below(40); i > 0; --i)
                text.push_back(random.below(3) == 0 ? static_cast<char>(random.below(256))
                                                    : likely[random.below(likely.size())]);
            std::string joined;
            for (const auto& piece : pieces(p, text)) {
                BOOST_REQUIRE(!piece.empty());
                joined += piece;
            }
            BOOST_REQUIRE(joined == text);
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
