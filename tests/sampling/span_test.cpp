#include "lab/sampling/span.hpp"

#include <boost/test/unit_test.hpp>
#include <set>

#include "lab/core/rng.hpp"
#include "lab/sampling/constraint.hpp"
#include "support/toy_tokenizer.hpp"

BOOST_AUTO_TEST_SUITE(sampling_span)

using namespace lab::sampling;
using lab::token;

namespace {

const lab::test::toy_tokenizer vocabulary{
    .special = {"<end>"},
    .pieces = {"The", " ferry", " fer",  "ry", " M", "MV",  " Alda", "Al",     "da", ".",  " sails", " at",
               " 12", ":30",    "12:30", ") ", " (", "don", "'t",    " co-op", "\n", "  ", "é",      " \xc3"}};
const auto per_element = boost::test_tools::per_element();

/// Everything the definition allows, by brute force over beginnings and ends.
std::set<std::string> all_spans(std::string_view raw, const span_options& o) {
    const lab::sampling::detail::span_text text(raw);
    std::set<std::string> out;
    for (std::size_t b = 0; b < text.size(); ++b)
        for (std::size_t e = b + 1; e <= text.size() && text[e - 1] != '\n'; ++e)
            if (text.can_start(b) && text.can_end(e) && text.words(b, e) >= o.min_words &&
                (o.max_words == 0 || text.words(b, e) <= o.max_words))
                out.insert(std::string(text.text().substr(b, e - b)));
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(spans_begin_and_end_at_words) {
    const auto spans = all_spans("The ferry (MV Alda) costs 3.50, don't swim.", {.max_words = 2});
    for (const char* yes : {"ferry", "MV Alda", "The ferry", "3.50", "don't swim", "don't swim.", "(MV", "swim."})
        BOOST_TEST(spans.count(yes) == 1u, yes);
    for (const char* no : {"fer", "50", "3", "don", "t swim", "costs 3", "ferry (", " ferry", "ferry ", "3.50,",
                           ") costs", "Alda) costs 3.50"})
        BOOST_TEST(spans.count(no) == 0u, no);
}

BOOST_AUTO_TEST_CASE(white_space_is_squeezed_and_blank_lines_are_walls) {
    const auto spans = all_spans("one  two\nthree\n\n four", {});
    BOOST_TEST(spans.count("one two three") == 1u);
    BOOST_TEST(spans.count("three four") == 0u);
    BOOST_TEST(spans.count("four") == 1u);
}

BOOST_AUTO_TEST_CASE(letters_of_every_script_make_words) {
    const auto spans = all_spans("Zoë’s «café» – naïve 東京", {});
    for (const char* yes : {"Zoë’s", "café", "naïve", "東京"}) BOOST_TEST(spans.count(yes) == 1u, yes);
    for (const char* no : {"Zo", "Zoë", "s", "caf", "東"}) BOOST_TEST(spans.count(no) == 0u, no);
}

BOOST_AUTO_TEST_CASE(the_mask_is_exactly_what_can_still_become_a_span) {
    const token_trie trie(vocabulary);
    const std::vector<std::string> texts{"The ferry (MV Alda) sails at 12:30. The ferry MV Al.",
                                         "don't co-op\n\nThe  ferry", "café é, 12:30", "a a a a b"};
    const std::vector<span_options> limits{
        {}, {.max_words = 2}, {.min_words = 2, .max_words = 3}, {.min_words = 1, .max_words = 1}};
    for (const auto& text : texts) {
        for (const auto& o : limits) {
            const auto spans = all_spans(text, o);
            std::set<std::string> prefixes;
            for (const auto& s : spans)
                for (std::size_t n = 0; n <= s.size(); ++n) prefixes.insert(s.substr(0, n));
            lab::counter_rng rng(11, text);
            for (int walk = 0; walk < 60; ++walk) {
                span_constraint c(trie, text, o);
                std::string answer;
                while (!c.finished()) {
                    std::vector<token> ids, expected;
                    c.allowed(ids);
                    for (token id = 0; id < static_cast<token>(vocabulary.size()); ++id)
                        if (id == 256 ? spans.count(answer) > 0
                                      : prefixes.count(answer + vocabulary.piece_bytes(id)) > 0)
                            expected.push_back(id);
                    BOOST_TEST(ids == expected, per_element);
                    BOOST_TEST(c.can_end() == (spans.count(answer) > 0));
                    BOOST_REQUIRE(!ids.empty());
                    const token drawn = ids[rng.below(ids.size())];
                    c.advance(drawn);
                    if (drawn != 256) answer += vocabulary.piece_bytes(drawn);
                }
                BOOST_TEST(spans.count(answer) == 1u, answer);
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(one_leading_space_is_allowed_on_request) {
    const token_trie trie(vocabulary);
    span_constraint c(trie, "The ferry sails", {.max_words = 1, .leading_space = true});
    c.advance(vocabulary.encode(" ferry", {})[0]);
    BOOST_TEST(c.finished());
    span_constraint spaced(trie, "The ferry sails", {.leading_space = true});
    spaced.advance(' ');
    BOOST_CHECK_THROW(spaced.advance(' '), lab::config_error);
    spaced.advance(vocabulary.encode("The", {})[0]);
    BOOST_TEST(spaced.can_end());
    span_constraint bare(trie, "The ferry sails");
    BOOST_CHECK_THROW(bare.advance(vocabulary.encode(" ferry", {})[0]), lab::config_error);
}

BOOST_AUTO_TEST_CASE(impossible_spans_are_refused) {
    const token_trie trie(vocabulary);
    BOOST_CHECK_THROW(span_constraint(trie, ""), lab::config_error);
    BOOST_CHECK_THROW(span_constraint(trie, " \n ,; "), lab::config_error);
    BOOST_CHECK_THROW(span_constraint(trie, "one two", {.min_words = 3}), lab::config_error);
    BOOST_CHECK_THROW(span_constraint(trie, "one two\n\nthree", {.min_words = 3}), lab::config_error);
    BOOST_CHECK_THROW(span_constraint(trie, "one two", {.min_words = 3, .max_words = 2}), lab::config_error);
}

BOOST_AUTO_TEST_CASE(requests_become_constraints) {
    const token_trie trie(vocabulary);
    BOOST_TEST(!make_constraint(trie, {}));
    auto choice = make_constraint(trie, {.choices = {"a", "b"}});
    choice.advance('b');
    BOOST_TEST(*choice.chosen() == 1u);
    auto span = make_constraint(trie, {.span_of = "one two three", .min_words = 2, .max_words = 2});
    for (const char c : std::string("two three")) span.advance(static_cast<token>(c));
    BOOST_TEST(span.finished());
    BOOST_CHECK_THROW((void)make_constraint(trie, {.choices = {"a"}, .span_of = "a"}), lab::config_error);
    BOOST_TEST(any_constraint{}.can_end());
    BOOST_TEST(!any_constraint{}.finished());
}

BOOST_AUTO_TEST_SUITE_END()
