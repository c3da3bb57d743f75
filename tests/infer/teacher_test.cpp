#include "lab/infer/teacher.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>

#include "infer/tiny.hpp"
#include "lab/infer/chat.hpp"

BOOST_AUTO_TEST_SUITE(teacher)

namespace {

using namespace lab;

text::request ask(const std::string& question) {
    text::request r;
    r.messages = {{"user", question}};
    r.max_tokens = 12;
    return r;
}

}  // namespace

BOOST_AUTO_TEST_CASE(answers_are_the_same_alone_and_in_a_batch) {
    infer::engine engine(test::byte_model(), test::byte_tokenizer());
    infer::local_teacher teacher(engine, text::chat_format_by_name("chatml"), "tiny");
    std::vector<text::request> batch;
    for (std::uint64_t i = 0; i < 5; ++i) {
        batch.push_back(ask("question " + std::to_string(i)));
        batch.back().sampling = {.temperature = 1.0f, .top_k = 50, .seed = i};
    }
    batch[2].constraint.choices = {"yes", "no", "perhaps"};
    batch[3].constraint.span_of = "Odo Finch keeps the green book.";
    batch[4].assistant_prefix = "Answer:";
    batch[4].constraint.span_of = "one two three";
    const auto together = teacher.complete(batch);
    for (std::size_t i = 0; i < batch.size(); ++i) {
        infer::engine fresh(test::byte_model(), test::byte_tokenizer());
        infer::local_teacher alone(fresh, text::chat_format_by_name("chatml"), "tiny");
        const auto answer = alone.complete(std::span(&batch[i], 1)).front();
        BOOST_TEST(answer.text == together[i].text);
        BOOST_TEST(answer.log_probability == together[i].log_probability);
    }
    BOOST_TEST(batch[3].constraint.span_of.find(together[3].text) != std::string::npos);
    BOOST_TEST(!together[3].text.empty());
    BOOST_TEST(batch[4].constraint.span_of.find(together[4].text) != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_choice_has_the_probabilities_that_scores_give) {
    infer::engine engine(test::byte_model(), test::byte_tokenizer());
    infer::local_teacher teacher(engine, text::chat_format_by_name("chatml"), "tiny");
    auto request = ask("which?");
    request.constraint.choices = {"yes", "no", "perhaps"};
    std::vector<text::score_request> scores;
    for (const auto& choice : request.constraint.choices) scores.push_back({request.messages, choice});
    const auto logs = teacher.score(scores);
    double sum = 0;
    for (const auto& s : logs) sum += std::exp(s.log_probability);
    const auto answer = teacher.complete(std::span(&request, 1)).front();
    BOOST_REQUIRE_EQUAL(answer.choice_probabilities.size(), 3u);
    std::size_t best = 0;
    for (std::size_t i = 0; i < 3; ++i) {
        BOOST_TEST(answer.choice_probabilities[i] == std::exp(logs[i].log_probability) / sum,
                   boost::test_tools::tolerance(1e-9));
        if (logs[i].log_probability > logs[best].log_probability) best = i;
    }
    BOOST_TEST(answer.text == request.constraint.choices[best]);
    BOOST_TEST(logs[1].tokens == 3u);  // "no" and the end of the turn
}

BOOST_AUTO_TEST_CASE(constraints_are_checked_the_same_way_for_choices) {
    infer::engine engine(test::byte_model(), test::byte_tokenizer());
    infer::local_teacher teacher(engine, text::chat_format_by_name("chatml"), "tiny");
    const text::output_constraint both_kinds[] = {{.choices = {"a"}, .regex = "a"},
                                                  {.choices = {"a"}, .json_schema = "{}"},
                                                  {.choices = {"a"}, .grammar = "root ::= \"a\""},
                                                  {.choices = {"a"}, .span_of = "a"},
                                                  {.span_of = "a", .regex = "a"}};
    const auto refused = [&](const text::output_constraint& wanted, std::string_view why) {
        std::vector<text::request> batch{ask("first"), ask("second")};
        batch[1].constraint = wanted;
        std::size_t delivered = 0;
        BOOST_CHECK_EXCEPTION(
            teacher.complete_each(batch, [&](std::size_t, const text::completion&) { ++delivered; }), config_error,
            [&](const config_error& e) { return std::string_view(e.what()).find(why) != std::string_view::npos; });
        BOOST_TEST(delivered == 0u);
    };
    for (const auto& wanted : both_kinds) refused(wanted, "more than one kind");
    refused({.choices = {"a", "b", "a"}}, "given twice");
    refused({.choices = {"a", ""}}, "empty");
}

BOOST_AUTO_TEST_CASE(a_raw_prompt_gets_no_chat_format) {
    infer::engine engine(test::byte_model(), test::byte_tokenizer());
    infer::local_teacher teacher(engine, text::chat_format_by_name("chatml"), "tiny");
    std::vector<text::request> both{ask("Odo keeps the book."), ask("")};
    both[1].raw = true;  // what the format makes of the first, spelt out
    both[1].messages = {{"user", "<|im_start|>user\nOdo keeps the book.<|im_end|>\n"},
                        {"user", "<|im_start|>assistant\n"}};
    for (auto& r : both) r.assistant_prefix = "He";
    const auto said = teacher.complete(both);
    BOOST_TEST(said[0].text == said[1].text);
    BOOST_TEST(said[0].log_probability == said[1].log_probability);
    for (auto& r : both) r.constraint.choices = {"yes", "no"};
    const auto chosen = teacher.complete(both);
    BOOST_TEST(chosen[0].choice_probabilities == chosen[1].choice_probabilities, boost::test_tools::per_element());
    both[1].messages = {{"user", "Odo keeps the book."}};
    both[1].constraint = {};
    BOOST_TEST(teacher.complete(std::span(&both[1], 1)).front().log_probability != said[0].log_probability);
}

BOOST_AUTO_TEST_CASE(a_chat_keeps_its_conversation_and_computes_each_turn_once) {
    infer::engine engine(test::byte_model(), test::byte_tokenizer());
    infer::chat chat(engine, text::chat_format_by_name("chatml"), sampling::chain{sampling::greedy{}},
                     {.system = "Be brief.", .max_tokens = 10});
    std::string streamed;
    const auto first = chat.say("one", [&](std::string_view piece) {
        streamed += piece;
        return true;
    });
    BOOST_TEST(streamed == first.text);
    const auto second = chat.say("two");
    BOOST_TEST(chat.messages().size() == 5u);
    BOOST_TEST(second.cached_tokens >= first.prompt_tokens);
    const auto redone = chat.regenerate();
    BOOST_TEST(redone.text == second.text);
    BOOST_TEST(chat.messages().size() == 5u);
    chat.reset();
    BOOST_TEST(chat.messages().size() == 1u);
    BOOST_CHECK_THROW(chat.regenerate(), config_error);
}

BOOST_AUTO_TEST_CASE(a_chat_is_as_before_after_a_fault_and_can_be_stopped_while_it_reads) {
    infer::engine engine(test::byte_model(), test::byte_tokenizer(), {.max_sequences = 1, .max_batch_tokens = 16});
    infer::chat chat(engine, text::chat_format_by_name("chatml"), sampling::chain{sampling::greedy{}},
                     {.system = "", .max_tokens = 10});
    static_cast<void>(chat.say("one"));
    const auto before = chat.messages();
    const auto failing = [](std::string_view) -> bool { throw config_error("the terminal is gone"); };
    BOOST_CHECK_THROW(chat.say("two", failing), config_error);
    BOOST_TEST((chat.messages() == before));
    BOOST_CHECK_THROW(chat.regenerate(failing), config_error);
    BOOST_TEST((chat.messages() == before));
    BOOST_CHECK_THROW(chat.say(std::string(600, 'x')), config_error);
    BOOST_TEST((chat.messages() == before));
    std::size_t asked = 0;
    chat.set_keep_going([&] { return ++asked < 3; });
    const auto stopped = chat.say(std::string(200, 'y'));
    BOOST_TEST(asked == 3u);
    BOOST_TEST((stopped.finish == text::finish_reason::cancelled));
    BOOST_TEST(stopped.tokens.empty());
}

BOOST_AUTO_TEST_CASE(a_long_chat_leaves_out_its_oldest_exchanges) {
    infer::engine engine(test::byte_model(1, 256), test::byte_tokenizer());
    infer::chat chat(engine, text::chat_format_by_name("chatml"), sampling::chain{sampling::greedy{}},
                     {.system = "S", .max_tokens = 8});
    for (int i = 0; i < 5; ++i) static_cast<void>(chat.say(std::string(40, static_cast<char>('a' + i))));
    BOOST_TEST(chat.left_out() > 0u);
    BOOST_TEST(chat.left_out() % 2 == 0u);
    BOOST_TEST(chat.messages().size() == 11u);
}

BOOST_AUTO_TEST_SUITE_END()
