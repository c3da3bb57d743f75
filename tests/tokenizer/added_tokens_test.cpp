#include "lab/tokenizer/added_tokens.hpp"

#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

BOOST_AUTO_TEST_SUITE(added_tokens)

namespace lt = lab::tokenizer;

namespace {

// "text|[3]|text": stretches and ids in order.
std::string cut(const lt::added_token_matcher& m, std::string_view text, bool parse_special = true) {
    std::string out;
    const auto bar = [&] {
        if (!out.empty()) out.push_back('|');
    };
    m.split(
        text, parse_special,
        [&](std::string_view stretch, std::size_t offset) {
            BOOST_TEST(text.substr(offset, stretch.size()) == stretch);
            bar();
            out += stretch;
        },
        [&](lab::token id) {
            bar();
            out.append("[").append(std::to_string(id)).append("]");
        });
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(leftmost_then_longest) {
    const lt::added_token_matcher m({{.text = "<a>", .id = 1}, {.text = "<a>b", .id = 2}, {.text = "a>b<", .id = 3}});
    BOOST_TEST(cut(m, "x<a>c<a>b<") == "x|[1]|c|[2]|<");
    BOOST_TEST(cut(m, "<a><a>") == "[1]|[1]");
    BOOST_TEST(cut(m, "xa>b<a>") == "x|[3]|a>");
    BOOST_TEST(cut(m, "") == "");
    BOOST_TEST(cut(m, "<a") == "<a");
    BOOST_TEST(cut({}, "<a>") == "<a>");
}

BOOST_AUTO_TEST_CASE(special_ones_only_on_request) {
    const lt::added_token_matcher m({{.text = "<s>", .id = 1}, {.text = "word", .id = 2, .special = false}});
    BOOST_TEST(cut(m, "<s>word", false) == "<s>|[2]");
    BOOST_TEST(cut(m, "<s>word", true) == "[1]|[2]");
}

BOOST_AUTO_TEST_CASE(white_space_flags) {
    const lt::added_token_matcher m(
        {{.text = "<l>", .id = 1, .lstrip = true}, {.text = "<r>", .id = 2, .rstrip = true}});
    BOOST_TEST(cut(m, "a \t<l> b") == "a|[1]| b");
    BOOST_TEST(cut(m, "a <r>\u3000\n b") == "a |[2]|b");
    BOOST_TEST(cut(m, "  <l>") == "[1]");
    BOOST_TEST(cut(m, "<r>  <l>x") == "[2]|[1]|x");  // the first one has taken the spaces already
}

BOOST_AUTO_TEST_CASE(single_words) {
    const lt::added_token_matcher m({{.text = "cat", .id = 1, .single_word = true}});
    BOOST_TEST(cut(m, "cat concat cats cat! _cat") == "[1]| concat cats |[1]|! _cat");
    BOOST_TEST(cut(m, "\u00E9cat \u00E9 cat") == "\u00E9cat \u00E9 |[1]");
}

BOOST_AUTO_TEST_SUITE_END()
