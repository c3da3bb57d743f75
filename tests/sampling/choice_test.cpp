#include "lab/sampling/choice.hpp"

#include <boost/test/unit_test.hpp>
#include <map>

#include "lab/sampling/samplers.hpp"
#include "sampling/distribution.hpp"
#include "support/toy_tokenizer.hpp"

BOOST_AUTO_TEST_SUITE(sampling_choice)

using namespace lab::sampling;
using lab::token;

namespace {

const lab::test::toy_tokenizer words{.special = {"<end>", "YES"},
                                     .pieces = {"Y", "YE", "ES", "YES", " YES", "NO", "N", "NOT", "é"}};
const auto per_element = boost::test_tools::per_element();

std::vector<std::string> spelled(const choice_constraint& c) {
    std::vector<token> ids;
    c.allowed(ids);
    std::vector<std::string> out;
    for (const token id : ids) out.push_back(words.piece_bytes(id));
    std::sort(out.begin(), out.end());
    return out;
}
/// A stand-in for a model: logits that depend on the path.
std::vector<float> logits_for(std::span<const token> path) {
    std::uint64_t seed = 7;
    for (const token id : path) seed = seed * 31 + static_cast<std::uint64_t>(id);
    lab::counter_rng rng(seed, "model");
    std::vector<float> logits(words.size());
    for (auto& x : logits) x = static_cast<float>(rng.normal());
    return logits;
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_trie_holds_every_plain_token_once) {
    const token_trie trie(words);
    BOOST_TEST(trie.end_tokens().size() == 1u);
    BOOST_TEST(trie.is_end(256));
    std::size_t tokens = 0;
    const auto count = [&](const auto& self, const token_trie::node& n, const std::string& path) -> void {
        for (const token id : trie.tokens(n)) {
            BOOST_TEST(words.piece_bytes(id) == path);
            BOOST_TEST(trie.bytes(id) == path);
            ++tokens;
        }
        for (const auto& child : trie.children(n)) self(self, child, path + static_cast<char>(child.byte));
    };
    count(count, trie.root(), "");
    BOOST_TEST(tokens == words.size() - 2);  // without the two control tokens
    BOOST_TEST(trie.bytes(256) == "");
    BOOST_TEST(trie.bytes(-1) == "");
    BOOST_TEST(trie.bytes(100000) == "");
}

BOOST_AUTO_TEST_CASE(tokens_may_split_a_choice_anywhere) {
    const token_trie trie(words);
    choice_constraint c(trie, {"YES", "NO"});
    BOOST_TEST(spelled(c) == (std::vector<std::string>{"N", "N", "NO", "Y", "Y", "YE", "YES"}), per_element);
    c.advance('Y');
    BOOST_TEST(spelled(c) == (std::vector<std::string>{"E", "ES"}), per_element);
    BOOST_TEST(!c.can_end());
    c.advance(words.encode("ES", {})[0]);
    BOOST_TEST(c.finished());
    BOOST_TEST(*c.chosen() == 0u);
    BOOST_TEST(spelled(c) == (std::vector<std::string>{"<end>"}), per_element);
}

BOOST_AUTO_TEST_CASE(a_choice_that_continues_another_may_end_or_go_on) {
    const token_trie trie(words);
    choice_constraint c(trie, {"NOT", "NO"});
    c.advance(words.encode("NO", {})[0]);
    BOOST_TEST(c.can_end());
    BOOST_TEST(!c.finished());
    BOOST_TEST(*c.chosen() == 1u);
    BOOST_TEST(spelled(c) == (std::vector<std::string>{"<end>", "T"}), per_element);
    choice_constraint ended = c;
    ended.advance(256);
    BOOST_TEST(ended.finished());
    c.advance('T');
    BOOST_TEST(*c.chosen() == 0u);
    BOOST_CHECK_THROW(c.advance('T'), lab::config_error);
}

BOOST_AUTO_TEST_CASE(wrong_tokens_and_impossible_lists_are_refused) {
    const token_trie trie(words);
    choice_constraint c(trie, {"YES"});
    BOOST_CHECK_THROW(c.advance('N'), lab::config_error);
    BOOST_CHECK_THROW(c.advance(256), lab::config_error);  // not complete yet
    BOOST_CHECK_THROW(c.advance(257), lab::config_error);  // the control token spelled YES
    BOOST_CHECK_THROW(choice_constraint(trie, {}), lab::config_error);
    BOOST_CHECK_THROW(choice_constraint(trie, {"a", ""}), lab::config_error);
    BOOST_CHECK_THROW(choice_constraint(trie, {"a", "b", "a"}), lab::config_error);
}

/// A vocabulary without the single bytes, so that some ways lead nowhere.
struct sparse {
    std::vector<std::string> list{"<end>", "A", "AB", "C", "BC"};
    [[nodiscard]] std::size_t size() const { return list.size(); }
    [[nodiscard]] bool is_special(token id) const { return id == 0; }
    [[nodiscard]] bool is_end_of_generation(token id) const { return id == 0; }
    [[nodiscard]] std::string piece_bytes(token id) const { return list[static_cast<std::size_t>(id)]; }
};

BOOST_AUTO_TEST_CASE(ways_that_no_token_can_finish_are_not_offered) {
    const token_trie trie(sparse{});
    std::vector<token> ids;
    choice_constraint(trie, {"ABC"}).allowed(ids);
    BOOST_TEST(ids == (std::vector<token>{1, 2}), per_element);
    choice_constraint(trie, {"AC"}).allowed(ids);  // "AB" would not fit, "A" does
    BOOST_TEST(ids == (std::vector<token>{1}), per_element);
    BOOST_CHECK_THROW(choice_constraint(trie, {"AB", "B"}), lab::config_error);
}

BOOST_AUTO_TEST_CASE(a_leading_space_is_allowed_on_request) {
    const token_trie trie(words);
    choice_constraint c(trie, {"NO", "YES"}, {.leading_space = true});
    const auto first = spelled(c);
    BOOST_TEST(std::count(first.begin(), first.end(), " YES") == 1);
    BOOST_TEST(std::count(first.begin(), first.end(), " ") == 1);
    c.advance(' ');
    c.advance(words.encode("NO", {})[0]);
    BOOST_TEST(*c.chosen() == 0u);
}

BOOST_AUTO_TEST_CASE(a_choice_that_is_another_behind_a_space_is_refused_as_such) {
    const token_trie trie(words);
    BOOST_CHECK_NO_THROW(choice_constraint(trie, {"NO", " NO"}));
    const auto wrong = [](const lab::config_error& e) {
        return std::string_view(e.what()).find("\" NO\" is also choice \"NO\" behind the space") !=
               std::string_view::npos;
    };
    BOOST_CHECK_EXCEPTION(choice_constraint(trie, {"YES", " NO", "NO"}, {.leading_space = true}), lab::config_error,
                          wrong);
    BOOST_CHECK_NO_THROW(choice_constraint(trie, {"NO", "  NO"}, {.leading_space = true}));
}

BOOST_AUTO_TEST_CASE(scores_are_the_chances_of_constrained_sampling) {
    const token_trie trie(words);
    const std::vector<std::string> choices{"YES", "NO", "NOT", "YE"};
    const choice_constraint start(trie, choices);
    std::vector<float> kept;
    const auto model = [&](std::span<const token> path) {
        kept = logits_for(path);
        return std::span<const float>(kept);
    };
    const auto scores = score_choices(start, choices.size(), model, 0.0);
    double total = 0;
    for (const double p : scores.probabilities) total += p;
    BOOST_TEST(total == 1.0, boost::test_tools::tolerance(1e-12));
    BOOST_TEST(scores.unexplored == 0.0);

    constexpr std::size_t draws = 20000;
    std::vector<std::size_t> counts(choices.size());
    candidates c;
    for (std::size_t i = 0; i < draws; ++i) {
        choice_constraint state = start;
        std::vector<token> path;
        while (!state.finished()) {
            c.assign(logits_for(path));
            state.mask(c);
            const token drawn = multinomial{i}.select(c, path);
            state.advance(drawn);
            path.push_back(drawn);
        }
        ++counts[*state.chosen()];
    }
    BOOST_TEST(lab::test::chi_squared(counts, scores.probabilities, draws) <
               lab::test::chi_squared_limit(choices.size() - 1));

    const auto rough = score_choices(start, choices.size(), model, 0.05);
    BOOST_TEST(rough.evaluations < scores.evaluations);
    double sum = rough.unexplored;
    for (const double p : rough.probabilities) sum += p;
    BOOST_TEST(sum == 1.0, boost::test_tools::tolerance(1e-12));
}

BOOST_AUTO_TEST_SUITE_END()
