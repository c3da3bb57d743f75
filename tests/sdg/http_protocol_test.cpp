#include "lab/sdg/http_protocol.hpp"

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(http_protocol)

using namespace lab;
using formats::json;
namespace protocol = sdg::http_protocol;

BOOST_AUTO_TEST_CASE(a_verdict_is_exactly_one_of_the_choices) {
    const std::vector<std::string> yes_no{"YES", "NO"};
    for (const char* said : {"YES", "yes", " Yes.\n", "**YES**", "\"yes\"", "(Yes!)"})
        BOOST_TEST(protocol::verdict_in(said, yes_no).value() == 0u, said);
    for (const char* said :
         {"", " ", "YES NO", "Yes, it is", "NO, because", "The answer is YES", "Y", "YESS", "NO/YES", "."})
        BOOST_TEST(!protocol::verdict_in(said, yes_no).has_value(), said);
    const std::vector<std::string> cases{"pot", "Pot", "the pot"};
    BOOST_TEST(protocol::verdict_in("Pot", cases).value() == 1u);
    BOOST_TEST(!protocol::verdict_in("POT", cases).has_value());  // which of the two?
    BOOST_TEST(protocol::verdict_in("The pot.", cases).value() == 2u);
    BOOST_TEST(!protocol::verdict_in("...", {"!", "?"}).has_value());
    BOOST_TEST(protocol::verdict_in("?", {"!", "?"}).value() == 1u);
}

BOOST_AUTO_TEST_CASE(both_forms_of_log_probabilities_are_read) {
    const json newer{
        {"content",
         {{{"token", "Y"},
           {"logprob", -0.5},
           {"top_logprobs", {{{"token", "Y"}, {"logprob", -0.5}}, {{"token", "N"}, {"logprob", -1.5}}}}}}}};
    const json older{{"tokens", {"Y"}}, {"token_logprobs", {-0.5}}, {"top_logprobs", {{{"Y", -0.5}, {"N", -1.5}}}}};
    for (const auto& form : {newer, older}) {
        const json answer{{"choices", {{{"text", "YES"}, {"logprobs", form}}}}};
        const auto reply = protocol::read_replies(answer, "here")[0];
        BOOST_TEST(reply.has_logprobs);
        BOOST_TEST(reply.tokens.size() == 1u);
        BOOST_TEST(reply.tokens[0].logprob == -0.5);
        const auto p = protocol::first_token_probabilities(reply, {"YES", "NO"});
        BOOST_TEST_REQUIRE(p.size() == 2u);
        BOOST_TEST(p[0] == 1 / (1 + std::exp(-1.0)), boost::test_tools::tolerance(1e-12));
        BOOST_TEST(protocol::first_token_probabilities(reply, {"YES", "YET"}).empty());  // the token fits both
        BOOST_TEST(protocol::first_token_probabilities(reply, {"YES", "MAYBE"}).empty());
    }
    for (const auto& odd :
         {json(3), json::array(), json{{"tokens", {"a", "b"}}, {"token_logprobs", {1}}}, json{{"content", 1}}})
        BOOST_TEST(
            !protocol::read_replies({{"choices", {{{"text", "x"}, {"logprobs", odd}}}}}, "here")[0].has_logprobs);
}

BOOST_AUTO_TEST_CASE(replies_come_by_their_index_and_parts_are_joined) {
    const json answer{{"choices",
                       {{{"index", 1}, {"message", {{"content", "b"}}}},
                        {{"index", 0},
                         {"message", {{"content", {{{"type", "text"}, {"text", "a"}}, {{"text", "A"}}, 7}}}},
                         {"finish_reason", "length"}}}},
                      {"usage", {{"prompt_tokens", 4}, {"completion_tokens", -3}}}};
    const auto replies = protocol::read_replies(answer, "here");
    BOOST_TEST(replies[0].text == "aA");
    BOOST_TEST(replies[0].cut);
    BOOST_TEST(replies[1].text == "b");
    BOOST_TEST(replies[0].usage->prompt_tokens == 4u);
    BOOST_TEST(replies[0].usage->completion_tokens == 0u);
    BOOST_TEST(!replies[1].usage.has_value());
    for (const char* bad : {"null", "3", "[]", "{}", R"({"choices":{}})", R"({"choices":[]})", R"({"choices":[null]})",
                            R"({"choices":[{"message":"x"}]})", R"({"choices":[{"text":1}]})"})
        BOOST_CHECK_THROW((void)protocol::read_replies(json::parse(bad), "here"), sdg::server_fault);
}

BOOST_AUTO_TEST_CASE(complaints_about_fields_are_told_from_others) {
    const json body{{"logprobs", true}, {"top_logprobs", 5}, {"seed", 1}, {"max_tokens", 8}, {"n", 2}, {"stop", {"x"}}};
    using protocol::unsupported_field;
    BOOST_TEST(unsupported_field("400: 'logprobs' is not supported", body) == "logprobs");
    BOOST_TEST(unsupported_field("Unknown parameter: top_logprobs", body) == "top_logprobs");
    BOOST_TEST(unsupported_field("Unsupported value: 'n' does not support 2", body) == "n");
    BOOST_TEST(unsupported_field("unsupported: use max_completion_tokens", body) == "max_tokens");
    BOOST_TEST(unsupported_field("max_tokens is too large: the context is 4096 tokens, more is not supported", body) ==
               "");
    BOOST_TEST(unsupported_field("the seed of this is bad", body) == "");
    BOOST_TEST(unsupported_field("unknown field temperature", body) == "");  // not among what was sent
}

BOOST_AUTO_TEST_CASE(forms_over_text_completions) {
    protocol::writer w{
        .dialect = sdg::http_dialect::vllm, .model = "m", .format = text::chat_format_by_name("mistral")};
    text::request r;
    r.messages = {{"user", "Why?"}};
    r.constraint.json_schema = R"({"type":"integer"})";
    const auto call = w.write(r);
    BOOST_TEST(call.body["prompt"] == "[INST] Why? [/INST]");  // the server puts <s> in front
    BOOST_TEST(call.body["guided_json"]["type"] == "integer");
    BOOST_TEST(!call.body.contains("messages"));
    BOOST_TEST(std::string(w.path()) == "/completions");
}

BOOST_AUTO_TEST_SUITE_END()
