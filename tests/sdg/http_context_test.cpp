#include <atomic>

#include "lab/sdg/generate.hpp"
#include "lab/sdg/http_teacher.hpp"
#include "sdg/fault_server.hpp"

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(http_context)

using namespace lab;
using formats::json;
using test::http_answer;
using test::http_question;

namespace {

/// A server that counts a token for every word; its chat format adds two words, and one for each message.
struct counting_server {
    std::string owner;
    json listed_as = json::object(), properties = json::object();
    bool counts = true;
    std::atomic<int> asked{0}, counted{0};

    http_answer operator()(const http_question& q) {
        if (q.path == "/v1/models") {
            auto list = test::model_list("tiny", owner);
            list["data"][0].update(listed_as);
            return http_answer::of(list);
        }
        if (q.path == "/props" && !properties.empty()) return http_answer::of(properties);
        if (q.path == "/v1/chat/completions") return ++asked, http_answer::of(test::chat_reply("yes"));
        if (!counts) return {404, "{}"};
        const auto body = q.json();
        if (q.path == "/apply-template") return http_answer::of({{"prompt", framed(body["messages"])}});
        if (q.path != "/tokenize") return {404, "{}"};
        ++counted;
        const auto text = body.contains("messages") ? framed(body["messages"]) : body["content"].get<std::string>();
        json tokens = json::array();
        for (const auto& w : sdg::loose_words(text)) tokens.push_back(w.size());
        return http_answer::of({{"count", tokens.size()}, {"tokens", tokens}});
    }
    static std::string framed(const json& messages) {
        std::string text = "begin ";
        for (const auto& m : messages) text += "turn " + m["content"].get<std::string>() + " ";
        return text + "end ";
    }
};

struct fleet {
    counting_server what;
    test::fault_server server{[this](const http_question& q) { return what(q); }};
    sdg::http_teacher teacher{[this] {
        sdg::http_teacher_options o;
        o.http.base_url = server.url();
        o.fleet.retry.retries = 0;
        return o;
    }()};
};

text::messages words(std::size_t n, const std::string& word = "boat") {
    std::string said;
    for (std::size_t i = 0; i < n; ++i) said += (i == 0 ? "" : " ") + word;
    return {{"user", said}};
}

constexpr std::size_t never(std::string_view) { return 0; }

}  // namespace

BOOST_AUTO_TEST_CASE(llama_server_tells_its_slots_length_and_counts) {
    fleet f{{"llamacpp", {{"meta", {{"n_ctx_train", 99}}}}, {{"default_generation_settings", {{"n_ctx", 2000}}}}}};
    const auto limit = sdg::server_context(f.teacher, 0, never);
    BOOST_TEST(limit.tokens == 2000u);
    BOOST_TEST(limit.count(words(400), "") == 403u);
    BOOST_TEST(limit.count(words(400), "and that is all") == 407u);
    BOOST_TEST(f.what.counted == 2);
    BOOST_TEST(limit.count(words(30), "") < 2000u);  // so few bytes are never too many tokens
    BOOST_TEST(f.what.counted == 2);
}

BOOST_AUTO_TEST_CASE(vllm_tells_the_models_length_and_counts_with_its_template) {
    fleet f{{"vllm", {{"max_model_len", 1500}}}};
    const auto limit = sdg::server_context(f.teacher, 0, never);
    BOOST_TEST(limit.tokens == 1500u);
    BOOST_TEST(limit.count(words(400), "") == 403u);
    BOOST_TEST(limit.count(words(400), "yes") == 405u);  // the answer is a message of its own
}

BOOST_AUTO_TEST_CASE(too_long_a_request_is_named_and_not_sent) {
    fleet f{{"llamacpp", json::object(), {{"default_generation_settings", {{"n_ctx", 300}}}}}};
    taxonomy::leaf leaf;
    leaf.id = "knowledge->boats";
    leaf.seeds.push_back({words(290, "mast")[0].content, {{"Which boat is red?", "Ada"}}, {12, 3}});
    const std::vector leaves{leaf};
    sdg::within_context checked(f.teacher, sdg::server_context(f.teacher, 0, never), leaves);
    text::request fits, too_long;
    fits.messages = words(290);
    too_long.messages = {{"user", leaf.seeds[0].context + " What about " + words(20)[0].content}};
    BOOST_TEST(checked.complete(std::vector{fits})[0].text == "yes");
    BOOST_CHECK_EXCEPTION((void)checked.complete(std::vector{too_long}), sdg::context_error, [](const auto& fault) {
        const std::string said = fault.what();
        return fault.leaf == "knowledge->boats" && said.find("315 tokens") != said.npos &&
               said.find("context of 300") != said.npos && said.find("line 12") != said.npos;
    });
    BOOST_TEST(f.what.asked == 1);
}

BOOST_AUTO_TEST_CASE(of_servers_that_say_nothing_nothing_is_refused_unless_a_length_is_given) {
    fleet f{{"somebody", json::object(), json::object(), false}};
    const auto unknown = sdg::server_context(f.teacher, 0, sdg::estimated_tokens);
    BOOST_TEST(unknown.tokens == 0u);
    const auto given = sdg::server_context(f.teacher, 1200, sdg::estimated_tokens);
    BOOST_TEST(given.tokens == 1200u);
    BOOST_TEST(given.count(words(400), "") == sdg::estimated_tokens(words(400)[0].content));
}

BOOST_AUTO_TEST_CASE(the_shorter_of_said_and_given_holds_and_a_server_that_does_not_count_refuses_by_itself) {
    fleet f{{"llamacpp", json::object(), {{"default_generation_settings", {{"n_ctx", 2000}}}}, false}};
    BOOST_TEST(sdg::server_context(f.teacher, 500, never).tokens == 500u);
    BOOST_TEST(sdg::server_context(f.teacher, 5000, never).tokens == 2000u);
    BOOST_TEST(sdg::server_context(f.teacher, 0, sdg::estimated_tokens).count(words(900), "") == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
