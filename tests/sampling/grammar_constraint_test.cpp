#include "lab/sampling/grammar_constraint.hpp"

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <thread>

#include "lab/core/rng.hpp"
#include "lab/sampling/constraint.hpp"
#include "lab/sampling/grammar/gbnf.hpp"
#include "lab/sampling/grammar/json_schema.hpp"
#include "lab/sampling/grammar/regex.hpp"
#include "support/toy_tokenizer.hpp"

BOOST_AUTO_TEST_SUITE(sampling_grammar_constraint)

using namespace lab::sampling;
using lab::token;

namespace {

const lab::test::toy_tokenizer vocabulary{
    .special = {"<end>", "{"},
    .pieces = {"{\"",    "\":", "\": ", "ab",       "a\"",  "\"}",   "\", \"", "12", " 3", "\xc3",
               "\xa9\"", "é",   "東京", "\xe6\x9d", "true", "null}", "\\u00",  "\n", " 1", "}}"}};
const auto per_element = boost::test_tools::per_element();

static_assert(Constraint<grammar_constraint>);
static_assert(!Constraint<token_grammar>);  // shared, and no state of a text

std::shared_ptr<token_grammar> over(const token_trie& trie, std::string_view schema, grammar_cache_limits limits = {}) {
    return std::make_shared<token_grammar>(trie, grammar_from_json_schema(schema), grammar_options{}, limits);
}
std::vector<std::pair<const char*, grammar>> some_grammars() {
    return {{"object", grammar_of_json_objects()},
            {"schema",
             grammar_from_json_schema(R"({"properties":{"ab":{"type":"integer"},"é":{"type":"string","maxLength":4}},
                                                "required":["é"]})")},
            {"regex", grammar_from_regex("([a-é]|東)*12?[^\\n]")},
            {"gbnf", grammar_from_gbnf("root ::= \"{\" root? \"}\" | [é-京]{1,3} \"\\n\"")}};
}

}  // namespace

BOOST_AUTO_TEST_CASE(masks_are_what_trying_every_token_gives) {
    const token_trie trie(vocabulary);
    for (const auto& [name, g] : some_grammars()) {
        const auto shared = std::make_shared<token_grammar>(trie, g);
        lab::counter_rng rng(4, name);
        for (int walk = 0; walk < 15; ++walk) {
            grammar_constraint c(shared);
            auto reference = g.start();
            for (int length = 0; length < 60 && !c.finished(); ++length) {
                std::vector<token> ids, expected;
                c.allowed(ids);
                for (token id = 0; id < static_cast<token>(vocabulary.size()); ++id) {
                    auto state = reference;
                    if (vocabulary.is_end_of_generation(id)) {
                        if (reference.accepts) expected.push_back(id);
                    } else if (!vocabulary.is_special(id)) {
                        for (const char b : vocabulary.piece_bytes(id))
                            state = g.step(state, static_cast<unsigned char>(b));
                        if (!state.dead()) expected.push_back(id);
                    }
                }
                BOOST_TEST(ids == expected, per_element);
                BOOST_TEST(c.can_end() == reference.accepts);
                BOOST_REQUIRE(!ids.empty());

                std::vector<float> logits(vocabulary.size());
                for (float& x : logits) x = static_cast<float>(rng.uniform());
                candidates masked(logits);
                c.mask(masked);
                masked.drop_removed();
                std::vector<token> left;
                for (const auto& one : masked) left.push_back(one.id);
                BOOST_TEST(left == expected, per_element);

                const token drawn = ids[rng.below(ids.size())];
                c.advance(drawn);
                if (drawn == 256) break;
                for (const char b : vocabulary.piece_bytes(drawn))
                    reference = g.step(reference, static_cast<unsigned char>(b));
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(a_token_may_end_inside_a_character) {
    const token_trie trie(vocabulary);
    const auto shared = std::make_shared<token_grammar>(trie, grammar_from_regex("é\"?"));
    grammar_constraint c(shared);
    BOOST_CHECK_THROW(c.advance(0xa9), lab::config_error);
    c.advance(vocabulary.encode("\xc3", {})[0]);
    BOOST_TEST(!c.can_end());
    grammar_constraint other = c;
    c.advance(vocabulary.encode("\xa9\"", {})[0]);
    BOOST_TEST(c.finished());
    other.advance(0xa9);
    BOOST_TEST(other.can_end());
    BOOST_TEST(!other.finished());
    other.advance(256);
    BOOST_TEST(other.finished());
    std::vector<token> ids;
    other.allowed(ids);
    BOOST_TEST(ids == (std::vector<token>{256}), per_element);
}

BOOST_AUTO_TEST_CASE(wrong_tokens_are_refused) {
    const token_trie trie(vocabulary);
    grammar_constraint c(over(trie, R"({"type":"object"})"));
    BOOST_CHECK_THROW(c.advance(256), lab::config_error);  // nothing is complete yet
    BOOST_CHECK_THROW(c.advance(257), lab::config_error);  // the control token spelled {
    BOOST_CHECK_THROW(c.advance('['), lab::config_error);
    BOOST_CHECK_THROW(c.advance(-1), lab::config_error);
    c.advance('{');
    c.advance('}');
    BOOST_TEST(c.finished());
}

BOOST_AUTO_TEST_CASE(masks_are_computed_once_for_all_and_survive_forgetting) {
    const token_trie trie(vocabulary);
    const auto shared = over(trie, R"({"type":"object"})");
    const auto tiny = over(trie, R"({"type":"object"})", {.states = 4, .masks = 2});
    const std::string text = R"({"ab": {"a": 12, "x": "é"}})";
    std::vector<token> ids, again;
    const auto run = [&] {
        grammar_constraint c(shared), d(tiny);
        for (const token id : vocabulary.encode(text, {})) {
            c.allowed(ids);
            d.allowed(again);
            BOOST_TEST(ids == again, per_element);
            c.advance(id);
            d.advance(id);
        }
        BOOST_TEST(c.finished());
        BOOST_TEST(d.finished());
    };
    run();
    const auto made = shared->masks_made();
    run();
    BOOST_TEST(shared->masks_made() == made);
    BOOST_TEST(tiny->masks_made() > made);

    std::vector<std::thread> threads;
    std::vector<int> finished(4);
    const auto fresh = over(trie, R"({"type":"object"})");
    for (std::size_t t = 0; t < finished.size(); ++t)
        threads.emplace_back([&, t] {
            grammar_constraint c(fresh);
            std::vector<token> mine;
            for (const token id : vocabulary.encode(text, {})) {
                c.allowed(mine);
                c.advance(id);
            }
            finished[t] = c.finished();
        });
    for (auto& t : threads) t.join();
    for (const int f : finished) BOOST_TEST(f == 1);
    BOOST_TEST(fresh->masks_made() == made);
}

BOOST_AUTO_TEST_CASE(grammars_without_a_first_token_are_refused_at_once) {
    const token_trie trie(vocabulary);
    const auto lost = grammar_from_gbnf("root ::= \"y\" (((((([] \"a\")?){9}){9}){9}){9}){9} \"x\"");
    BOOST_CHECK_EXCEPTION(
        grammar_constraint(std::make_shared<token_grammar>(trie, lost)), lab::config_error,
        [](const auto& e) { return std::string(e.what()).find("no token is left") != std::string::npos; });
    BOOST_CHECK_THROW(grammar_constraint(over(trie, R"({"type":"object"})", {.steps = 2})), lab::config_error);
    grammar_constraint(over(trie, R"({"type":"object"})", {.steps = 1000}));
}

BOOST_AUTO_TEST_CASE(limits_count_what_is_kept_and_each_mask_anew) {
    const token_trie trie(vocabulary);
    std::string pattern = "a1";
    for (char c = 'b'; c <= 'z'; ++c) pattern += std::string("|") + c + "1";
    const auto wide = std::make_shared<token_grammar>(trie, grammar_from_regex("(" + pattern + "){9}"),
                                                      grammar_options{}, grammar_cache_limits{.memory = 1000});
    auto here = wide->start();
    (void)wide->mask(here);
    for (int i = 0; i < 9; ++i) here = wide->advance(here, "c1");
    (void)wide->mask(wide->start());
    BOOST_TEST(wide->masks_made() == 2u);  // the tables of the states count: the first was forgotten

    const auto spaced =
        std::make_shared<token_grammar>(trie, grammar_from_regex("[a3]{200}b"), grammar_options{.leading_space = true},
                                        grammar_cache_limits{.walk = 20});
    (void)spaced->mask(spaced->start());
    (void)spaced->advance(spaced->start(), std::string(100, 'a'));
    BOOST_TEST(spaced->spaced_mask()->count > 0u);
}

/// A vocabulary without most bytes.
struct sparse {
    std::vector<std::string> list{"<end>", "a", "ab", "bc"};
    [[nodiscard]] std::size_t size() const { return list.size(); }
    [[nodiscard]] bool is_special(token id) const { return id == 0; }
    [[nodiscard]] bool is_end_of_generation(token id) const { return id == 0; }
    [[nodiscard]] std::string piece_bytes(token id) const { return list[static_cast<std::size_t>(id)]; }
};

BOOST_AUTO_TEST_CASE(tokens_after_which_nothing_fits_are_not_offered) {
    const token_trie trie(sparse{});
    BOOST_CHECK_THROW(token_grammar(trie, grammar_from_regex("ac")), lab::config_error);
    grammar_constraint c(std::make_shared<token_grammar>(trie, grammar_from_regex("a(bc|a|bx)")));
    std::vector<token> ids;
    c.allowed(ids);
    BOOST_TEST(ids == (std::vector<token>{1}), per_element);  // "ab" needs "c" or "x"
    c.advance(1);
    c.allowed(ids);
    BOOST_TEST(ids == (std::vector<token>{1, 3}), per_element);
}

BOOST_AUTO_TEST_CASE(requests_become_grammars_and_share_them) {
    const token_trie trie(vocabulary);
    grammar_store store(trie, 2);
    BOOST_TEST(store.get({.regex = "a+"}) == store.get({.regex = "a+"}));
    BOOST_TEST(store.get({.regex = "a+"}) != store.get({.grammar = "root ::= \"a\""}));
    BOOST_TEST(store.get({.regex = "a+"}) != store.get({.regex = "a+"}, true));
    for (const lab::text::output_constraint& wanted : {lab::text::output_constraint{.regex = "ab"},
                                                       {.json_schema = "{\"const\":12}"},
                                                       {.grammar = "root ::= \"ab\""}}) {
        auto c = make_constraint(trie, wanted, false, &store);
        BOOST_TEST(!!c);
        c.advance(vocabulary.encode(wanted.json_schema.empty() ? "ab" : "12", {})[0]);
        BOOST_TEST(c.finished());
        BOOST_TEST(!c.chosen());
    }
    BOOST_CHECK_THROW((void)make_constraint(trie, {.regex = "a", .grammar = "root ::= \"a\""}), lab::config_error);
    BOOST_CHECK_THROW((void)make_constraint(trie, {.choices = {"a"}, .regex = "a"}), lab::config_error);
    BOOST_CHECK_THROW((void)make_constraint(trie, {.regex = "("}), lab::config_error);
}

BOOST_AUTO_TEST_CASE(a_slow_grammar_does_not_hold_up_others) {
    const token_trie trie(vocabulary);
    grammar_store store(trie);
    const auto seconds = [](const auto& f) {
        const auto begin = std::chrono::steady_clock::now();
        f();
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    };
    std::string slow = "root ::= r0";
    for (int i = 0; i < 12; ++i)
        slow += "\nr" + std::to_string(i) + " ::= [ab]* \"a\" [ab]{4000} \"c\"" +
                (i < 11 ? " r" + std::to_string(i + 1) : std::string());
    double took = 0, again = 0;
    std::shared_ptr<token_grammar> one, other;
    std::thread first([&] { took = seconds([&] { one = store.get({.grammar = slow}); }); });
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::thread second([&] { again = seconds([&] { other = store.get({.grammar = slow}); }); });
    const double quick = seconds([&] { (void)store.get({.regex = "a"}); });
    first.join();
    second.join();
    BOOST_TEST(one == other);
    BOOST_TEST(quick < took / 2, quick << " s beside " << took << " s and " << again << " s");
    BOOST_TEST_MESSAGE(quick << " s beside " << took << " s and " << again << " s");
    for (int i = 0; i < 2; ++i) BOOST_CHECK_THROW((void)store.get({.regex = "("}), lab::config_error);
}

BOOST_AUTO_TEST_CASE(one_leading_space_is_allowed_on_request) {
    const token_trie trie(vocabulary);
    auto c = make_constraint(trie, {.regex = "\\d+"}, true);
    BOOST_TEST(c.takes_extra_space());
    std::vector<token> ids;
    c.allowed(ids);
    for (const char* text : {" ", " 3", "12", "7"})
        BOOST_TEST(std::count(ids.begin(), ids.end(), vocabulary.encode(text, {})[0]) == 1, text);
    auto spaced = c;
    spaced.advance(' ');
    BOOST_CHECK_THROW(spaced.advance(' '), lab::config_error);
    BOOST_TEST(!spaced.can_end());
    c.advance(vocabulary.encode(" 3", {})[0]);
    BOOST_TEST(c.can_end());
    BOOST_CHECK_THROW(c.advance(' '), lab::config_error);
    BOOST_TEST(!make_constraint(trie, {.regex = " ?\\d"}, true).takes_extra_space());
    BOOST_CHECK_THROW(make_constraint(trie, {.regex = "\\d+"}).advance(' '), lab::config_error);
}

BOOST_AUTO_TEST_SUITE_END()
