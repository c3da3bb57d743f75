#include "lab/sdg/context_check.hpp"

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(context_check)

using namespace lab;

namespace {

taxonomy::leaf leaf_named(const std::string& id, const std::string& context) {
    taxonomy::leaf l;
    l.id = id;
    l.seeds.push_back({"", {{"What is short?", "This."}}, {4, 3}});
    l.seeds.push_back({context, {{"Which boat is red?", "Ada"}}, {12, 3}});
    return l;
}

struct world {
    std::size_t asked = 0, scored = 0;
    sdg::scripted_teacher teacher{[this](const text::request&) {
                                      ++asked;
                                      return text::completion{.text = "yes"};
                                  },
                                  [this](const text::score_request&) {
                                      ++scored;
                                      return text::score{};
                                  }};
    std::vector<taxonomy::leaf> leaves{leaf_named("knowledge->a", "The first boat is red."),
                                       leaf_named("knowledge->b", std::string(600, 'x') + "\nand\n  more.")};
    sdg::within_context<sdg::scripted_teacher> checked(std::size_t tokens) {
        return {teacher,
                {tokens,
                 [](const text::messages& messages, const std::string& answer) {
                     std::size_t n = answer.size();
                     for (const auto& m : messages) n += m.content.size();
                     return n;
                 }},
                leaves};
    }
};

void expect_fault(const std::function<void()>& call, std::initializer_list<std::string_view> words) {
    try {
        call();
        BOOST_ERROR("nothing was refused");
    } catch (const sdg::context_error& fault) {
        for (const auto word : words)
            BOOST_TEST(std::string_view(fault.what()).find(word) != std::string_view::npos, fault.what());
    }
}

text::request about(std::string content) {
    text::request r;
    r.messages = {{"user", std::move(content)}};
    return r;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_long_request_names_leaf_and_seed_before_anything_is_asked) {
    world w;
    auto checked = w.checked(500);
    const std::vector<text::request> batch{
        about("short"), about("Text: " + std::string(600, 'x') + " and more.\nQuestion: Which boat is red?")};
    expect_fault([&] { (void)checked.complete(batch); },
                 {"knowledge->b: a request of 645 tokens", "context of 500",
                  "the context of the seed example in line 12 (610 of 646 bytes)", "shorten it"});
    BOOST_TEST(w.asked == 0u);
    const std::vector<text::score_request> scores{{{{"user", "short"}}, std::string(500, 'y')}};
    expect_fault([&] { (void)checked.score(scores); }, {"teacher: a request of 505 tokens", "longer context"});
    BOOST_TEST(w.scored == 0u);
}

BOOST_AUTO_TEST_CASE(a_long_request_names_the_document) {
    world w;
    std::string text;
    for (int i = 0; i < 100; ++i) text += "Boat " + std::to_string(i) + " is\nred. ";
    w.leaves[0].documents.push_back({"docs/boats.md", "# Boats\n\n" + text});
    auto checked = w.checked(500);
    expect_fault([&] { (void)checked.complete(std::vector{about("Read this.\n\n" + sdg::flat(text) + "\n\nAsk.")}); },
                 {"knowledge->a: ", "a piece of the document docs/boats.md", "--chunk-tokens"});
}

BOOST_AUTO_TEST_CASE(one_token_is_left_for_the_answer) {
    world w;
    auto checked = w.checked(10);
    BOOST_CHECK_NO_THROW((void)checked.complete(std::vector{about("123456789")}));
    BOOST_CHECK_THROW((void)checked.complete(std::vector{about("1234567890")}), sdg::context_error);
    auto choice = about("12345");
    choice.constraint.choices = {"a", "bcdef"};
    BOOST_CHECK_THROW((void)checked.complete(std::vector{choice}), sdg::context_error);
    choice.constraint.choices = {"a", "bcde"};
    choice.assistant_prefix = "p";
    BOOST_CHECK_THROW((void)checked.complete(std::vector{choice}), sdg::context_error);
    auto unknown = w.checked(0);
    BOOST_CHECK_NO_THROW((void)unknown.complete(std::vector{about("1234567890")}));
}

BOOST_AUTO_TEST_SUITE_END()
