#include "lab/sdg/http_teacher.hpp"

#include <functional>
#include <thread>

#include "lab/sdg/journaled.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(http)

using namespace lab;
using formats::json;

namespace {

/// A server on a free port of this machine that answers as the test says.
class fake_server {
public:
    using handler = std::function<void(const httplib::Request&, httplib::Response&)>;
    explicit fake_server(handler chat, std::string owner = "llamacpp", std::string prefix = "/v1") {
        server_.Get(prefix + "/models", [owner](const httplib::Request&, httplib::Response& r) {
            r.set_content(json{{"data", {{{"id", "tiny"}, {"owned_by", owner}, {"meta", {{"n_params", 7}}}}}}}.dump(),
                          "application/json");
        });
        server_.Post(prefix + "/chat/completions", std::move(chat));
        server_.Post("/tokenize", [](const httplib::Request& q, httplib::Response& r) {  // one token a word: its length
            json tokens = json::array();
            const auto text = json::parse(q.body)["content"].get<std::string>();
            for (const auto& w : sdg::words_of(text)) tokens.push_back(w.end - w.begin);
            r.set_content(json{{"tokens", tokens}}.dump(), "application/json");
        });
        port_ = server_.bind_to_any_port("127.0.0.1");
        thread_ = std::thread([this] { server_.listen_after_bind(); });
        while (!server_.is_running()) std::this_thread::yield();
    }
    ~fake_server() { stop(); }
    void stop() {
        server_.stop();
        if (thread_.joinable()) thread_.join();
    }
    [[nodiscard]] std::string url(const std::string& path = "") const {
        return std::string("http://127.0.0.1:").append(std::to_string(port_)).append(path);
    }

private:
    httplib::Server server_;
    std::thread thread_;
    int port_ = 0;
};

json reply(const std::string& text, json tokens = nullptr) {
    json choice{{"message", {{"role", "assistant"}, {"content", text}}}, {"finish_reason", "stop"}};
    if (!tokens.is_null()) choice["logprobs"] = {{"content", tokens}};
    return {{"choices", {choice}}, {"usage", {{"prompt_tokens", 5}, {"completion_tokens", 2}}}};
}
void send(httplib::Response& r, const json& body) { r.set_content(body.dump(), "application/json"); }

text::request ask(std::string question) {
    text::request r;
    r.messages = {{"user", std::move(question)}};
    return r;
}

/// Time that passes only while somebody sleeps.
struct patience {
    std::atomic<double> clock{0};
    std::vector<std::string> notices;
    std::mutex mutex;
    sdg::http_teacher_options options(std::string url) {
        sdg::http_teacher_options o;
        o.http.base_url = std::move(url);
        o.http.timeout = 20;
        o.fleet.retry.retries = 3;
        o.fleet.time = {[this] { return clock.load(); }, [this](double s) { clock = clock + s; }};
        o.fleet.notice = [this](const std::string& line) {
            const std::lock_guard lock(mutex);
            notices.push_back(line);
        };
        o.fleet.concurrency = 3;
        return o;
    }
};

}  // namespace

BOOST_AUTO_TEST_CASE(base_urls) {
    BOOST_TEST(sdg::parse_base_url("http://localhost:8080").prefix == "/v1");
    BOOST_TEST(sdg::parse_base_url("https://api.example/some/prefix/v2/").prefix == "/some/prefix/v2");
    BOOST_TEST(sdg::parse_base_url("https://api.example/some/prefix").origin == "https://api.example");
    for (const char* bad : {"localhost:8080", "ftp://x", "http://", "http://user@host/v1", "http://host/v1?key=1", ""})
        BOOST_CHECK_THROW((void)sdg::parse_base_url(bad), config_error);
}

BOOST_AUTO_TEST_CASE(answers_come_in_order_from_any_prefix_with_the_key) {
    ::setenv("LAB_TEST_KEY", "secret-7", 1);
    std::atomic<bool> key_seen{true};
    fake_server server(
        [&](const httplib::Request& q, httplib::Response& r) {
            if (q.get_header_value("Authorization") != "Bearer secret-7") key_seen = false;
            const auto body = json::parse(q.body);
            send(r, reply(body["messages"][0]["content"].get<std::string>() + "!",
                          {{{"token", "x"}, {"logprob", -0.5}}, {{"token", ""}, {"logprob", -9}}}));
        },
        "llamacpp", "/deep/prefix");
    patience p;
    auto options = p.options(server.url("/deep/prefix"));
    options.http.key_variable = "LAB_TEST_KEY";
    sdg::http_teacher teacher(std::move(options));
    std::vector<text::request> requests;
    for (int i = 0; i < 20; ++i) requests.push_back(ask(std::string("q").append(std::to_string(i))));
    const auto answers = teacher.complete(requests);
    for (std::size_t i = 0; i < 20; ++i) {
        BOOST_TEST(answers[i].text == requests[i].messages[0].content + "!");
        BOOST_TEST(answers[i].log_probability == -0.5);  // the end-of-turn token does not count
    }
    BOOST_TEST(key_seen.load());
    BOOST_TEST(teacher.identity() == "http:tiny n_params=7");
}

BOOST_AUTO_TEST_CASE(retries_with_growing_waits_and_honours_retry_after) {
    std::atomic<int> calls{0};
    patience p;
    std::vector<double> at;
    fake_server server([&](const httplib::Request&, httplib::Response& r) {
        at.push_back(p.clock);
        switch (calls++) {
            case 0:
                r.status = 503;
                break;
            case 1:
                r.status = 429;
                r.set_header("Retry-After", "17");
                break;
            case 2:
                r.status = 500;
                break;
            default:
                send(r, reply("at last"));
        }
    });
    sdg::http_teacher teacher(p.options(server.url()));
    const std::vector<text::request> one{ask("q")};
    const auto waits = [&] {
        at.clear();
        calls = 0;
        BOOST_TEST(teacher.complete(one)[0].text == "at last");
        std::vector<double> list;
        for (std::size_t i = 1; i < at.size(); ++i) list.push_back(at[i] - at[i - 1]);
        return list;
    };
    const auto first = waits();
    BOOST_TEST_REQUIRE(first.size() == 3u);
    BOOST_TEST((first[0] >= 0.25 && first[0] <= 0.51));
    BOOST_TEST(std::abs(first[1] - 17.0) < 1e-6);
    BOOST_TEST((first[2] >= 1.0 && first[2] <= 2.01));
    BOOST_TEST(p.notices.size() == 3u);
    const auto again = waits();  // the jitter is seeded
    for (std::size_t i = 0; i < 3; ++i) BOOST_TEST(std::abs(again[i] - first[i]) < 1e-6);
}

BOOST_AUTO_TEST_CASE(a_refusal_is_final_and_quotes_the_server) {
    std::atomic<int> calls{0};
    fake_server server([&](const httplib::Request&, httplib::Response& r) {
        ++calls;
        r.status = 400;
        r.set_content(R"({"error":{"message":"context is 4096 tokens"}})", "application/json");
    });
    patience p;
    sdg::http_teacher teacher(p.options(server.url()));
    const std::vector<text::request> one{ask("q")};
    BOOST_CHECK_EXCEPTION((void)teacher.complete(one), sdg::request_refused, [](const io_error& e) {
        return std::string(e.what()).find("400: context is 4096 tokens") != std::string::npos;
    });
    BOOST_TEST(calls == 1);
}

BOOST_AUTO_TEST_CASE(odd_answers_are_errors_not_crashes) {
    for (const char* body : {"", "[]", "{}", "not json", R"({"choices":[]})", R"({"choices":[1]})",
                             R"({"choices":[{"message":3}]})", R"({"choices":[{"text":3}]})",
                             R"({"error":"overloaded"})", "{\"choices\":[{\"message\":{\"content\":\"\xff\"}}]}"}) {
        fake_server server(
            [&](const httplib::Request&, httplib::Response& r) { r.set_content(body, "application/json"); });
        patience p;
        sdg::http_teacher teacher(p.options(server.url()));
        const std::vector<text::request> one{ask("q")};
        BOOST_CHECK_THROW((void)teacher.complete(one), lab::error);
        BOOST_TEST(p.notices.size() == 3u);  // a broken answer may be whole the next time
    }
    for (const char* body : {R"({"choices":[{"message":{},"logprobs":{"content":[1]}}]})",  // odd, and no matter
                             R"({"choices":[{"message":{"content":null}}],"usage":{"prompt_tokens":"x"}})"}) {
        fake_server server(
            [&](const httplib::Request&, httplib::Response& r) { r.set_content(body, "application/json"); });
        patience p;
        sdg::http_teacher teacher(p.options(server.url()));
        const std::vector<text::request> one{ask("q")};
        BOOST_TEST(teacher.complete(one)[0].text.empty());
    }
}

BOOST_AUTO_TEST_CASE(errors_say_what_to_do) {
    const auto complaint = [](int status, const char* body, const char* type) {
        fake_server server([&](const httplib::Request&, httplib::Response& r) {
            r.status = status;
            r.set_content(body, type);
        });
        patience p;
        sdg::http_teacher teacher(p.options(server.url()));
        const std::vector<text::request> one{ask("q")};
        try {
            (void)teacher.complete(one);
        } catch (const io_error& e) {
            return std::string(e.what());
        }
        return std::string();
    };
    const auto page = complaint(200, "<html>Welcome</html>", "text/html");
    BOOST_TEST(page.find("no JSON (text/html): <html>") != std::string::npos, page);
    BOOST_TEST(page.find("/v1") != std::string::npos);
    BOOST_TEST(complaint(404, "{}", "application/json").find("usually ends in /v1") != std::string::npos);
    BOOST_TEST(complaint(401, "{}", "application/json").find("no key, or a wrong one, in ") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(one_request_at_a_time_asks_llama_server_for_a_fresh_cache) {
    for (const std::size_t concurrency : {1u, 4u}) {
        json seen;
        fake_server server([&](const httplib::Request& q, httplib::Response& r) {
            seen = json::parse(q.body);
            send(r, reply("x"));
        });
        patience p;
        auto options = p.options(server.url());
        options.dialect = sdg::http_dialect::llama_cpp;
        options.fleet.concurrency = concurrency;
        sdg::http_teacher teacher(std::move(options));
        const std::vector<text::request> one{ask("q")};
        (void)teacher.complete(one);
        BOOST_TEST(seen.contains("cache_prompt") == (concurrency == 1));
    }
}

BOOST_AUTO_TEST_CASE(llama_server_gets_grammars_and_choices_have_probabilities) {
    fake_server server([&](const httplib::Request& q, httplib::Response& r) {
        const auto body = json::parse(q.body);
        const auto grammar = body.value("grammar", "");
        if (grammar == "root ::= \"YES\" | \"NO\"\n") {
            const json top{{{"token", "The"}, {"logprob", -0.1}},
                           {{"token", "NO"}, {"logprob", std::log(0.03)}},
                           {{"token", "Y"}, {"logprob", std::log(0.01)}}};
            return send(r, reply("NO", {{{"token", "NO"}, {"logprob", std::log(0.03)}, {"top_logprobs", top}}}));
        }
        if (grammar.starts_with("root ::= w0"))
            return send(r, reply("She two shells"));  // repeats the opening, as llama-server does
        r.status = 400;
    });
    patience p;
    sdg::http_teacher teacher(p.options(server.url()));
    auto judge = ask("ok?");
    judge.constraint.choices = {"YES", "NO"};
    auto span = ask("price?");
    span.constraint.span_of = "It costs two shells.";
    span.assistant_prefix = "She ";
    const std::vector<text::request> both{judge, span};
    const auto answers = teacher.complete(both);
    BOOST_TEST(answers[0].text == "NO");
    BOOST_TEST(answers[0].choice_probabilities[0] == 0.25, boost::test_tools::tolerance(1e-12));
    BOOST_TEST(answers[1].text == "two shells");
    BOOST_TEST(teacher.notes().empty());
}

BOOST_AUTO_TEST_CASE(choices_that_share_a_token_are_scored_one_by_one) {
    fake_server server([&](const httplib::Request& q, httplib::Response& r) {
        const auto body = json::parse(q.body);
        const auto grammar = body.value("grammar", "");
        const bool red = grammar == "root ::= <[3]> <[3]>", blue = grammar == "root ::= <[3]> <[4]>";
        const double l = red ? std::log(0.2) : std::log(0.6);
        send(r, reply(red || !blue ? "the red" : "the blue",
                      {{{"token", "the"}, {"logprob", l - 1}, {"top_logprobs", {{{"token", "the"}, {"logprob", -1}}}}},
                       {{"token", ""}, {"logprob", 1}}}));
    });
    patience p;
    sdg::http_teacher teacher(p.options(server.url()));
    auto q = ask("which?");
    q.constraint.choices = {"the red", "the blue"};
    const std::vector<text::request> one{q};
    const auto answer = teacher.complete(one)[0];
    BOOST_TEST(answer.text == "the blue");
    BOOST_TEST(answer.choice_probabilities[0] == 0.25, boost::test_tools::tolerance(1e-12));
    const std::vector<text::score_request> s{{q.messages, "the red"}};
    BOOST_TEST(teacher.score(s)[0].log_probability == std::log(0.2), boost::test_tools::tolerance(1e-12));
}

BOOST_AUTO_TEST_CASE(vllm_gets_its_own_fields) {
    json seen;
    fake_server server(
        [&](const httplib::Request& q, httplib::Response& r) {
            seen = json::parse(q.body);
            send(r, reply("two"));
        },
        "vllm");
    patience p;
    sdg::http_teacher teacher(p.options(server.url()));
    auto q = ask("price?");
    q.constraint.span_of = "two shells";
    q.assistant_prefix = "It is";
    const std::vector<text::request> one{q};
    (void)teacher.complete(one);
    BOOST_TEST(seen["structured_outputs"]["grammar"] == seen["guided_grammar"]);
    BOOST_TEST(seen["continue_final_message"] == true);
    BOOST_TEST(seen["messages"].size() == 2u);
    BOOST_TEST(teacher.can_score());
}

BOOST_AUTO_TEST_CASE(grammars_go_to_servers_that_know_them) {
    for (const std::string owner : {"llamacpp", "vllm", "somebody"}) {
        json seen;
        fake_server server(
            [&](const httplib::Request& q, httplib::Response& r) {
                seen = json::parse(q.body);
                send(r, reply("7"));
            },
            owner);
        patience p;
        sdg::http_teacher teacher(p.options(server.url()));
        const auto sent = [&](const text::output_constraint& form) {
            auto q = ask("how many?");
            q.constraint = form;
            const std::vector<text::request> one{q};
            (void)teacher.complete(one);
            return seen;
        };
        const auto grammar = sent({.grammar = "root ::= [0-9]"});
        const auto schema = sent({.json_schema = R"({"type":"integer"})"});
        const auto regex = sent({.regex = "[0-9]"});
        if (owner == "llamacpp") BOOST_TEST(grammar["grammar"] == "root ::= [0-9]");
        if (owner == "vllm") BOOST_TEST(grammar["structured_outputs"]["grammar"] == "root ::= [0-9]");
        if (owner == "vllm") BOOST_TEST(regex["guided_regex"] == "[0-9]");
        if (owner != "somebody")
            BOOST_TEST(schema["response_format"]["json_schema"]["schema"]["type"] == "integer");
        else
            BOOST_TEST(!schema.contains("response_format"));
        if (owner != "vllm") BOOST_TEST(regex["messages"][0]["content"].get<std::string>().ends_with("[0-9]"));
        BOOST_TEST(teacher.notes().empty() == (owner == "vllm"));
    }
}

BOOST_AUTO_TEST_CASE(a_plain_server_is_asked_in_words_and_that_is_noted) {
    json seen;
    std::string said = "  No.\n";
    fake_server server(
        [&](const httplib::Request& q, httplib::Response& r) {
            seen = json::parse(q.body);
            send(r, reply(said));
        },
        "somebody");
    patience p;
    sdg::http_teacher teacher(p.options(server.url()));
    BOOST_TEST(!teacher.can_score());
    auto q = ask("ok?");
    q.constraint.choices = {"YES", "NO"};
    const std::vector<text::request> one{q};
    const auto answer = teacher.complete(one)[0];
    BOOST_TEST(answer.text == "NO");
    BOOST_TEST(answer.no_verdict.empty());
    BOOST_TEST(answer.choice_probabilities.empty());
    BOOST_TEST(answer.notes.size() == 2u);
    BOOST_TEST(!seen.contains("grammar"));
    BOOST_TEST(seen["messages"][0]["content"].get<std::string>().ends_with("YES | NO"));
    BOOST_TEST(teacher.notes().size() == 3u);
    said = "NO, because";  // more than a choice is no verdict, and kept as such
    const auto talk = teacher.complete(one)[0];
    BOOST_TEST(talk.text.empty());
    BOOST_TEST(talk.no_verdict == "NO, because");
    const std::vector<text::score_request> s{{q.messages, "NO"}};
    BOOST_CHECK_THROW((void)teacher.score(s), config_error);
}

BOOST_AUTO_TEST_CASE(requests_that_differ_in_their_seeds_share_a_call) {
    for (const bool honours : {true, false}) {
        std::vector<std::size_t> asked;
        std::mutex mutex;
        fake_server server([&](const httplib::Request& q, httplib::Response& r) {
            const auto body = json::parse(q.body);
            const auto n = body.value("n", std::size_t{1});
            const std::lock_guard lock(mutex);
            asked.push_back(n);
            json answer = reply("0");
            for (std::size_t k = n; k-- > 0 && honours;) {  // in any order
                json choice = answer["choices"][0];
                choice["index"] = k;
                choice["message"]["content"] = std::to_string(k);
                if (k + 1 == n) answer["choices"].clear();
                answer["choices"].push_back(choice);
            }
            answer["usage"] = {{"prompt_tokens", 10}, {"completion_tokens", 7}};
            send(r, answer);
        });
        patience p;
        auto options = p.options(server.url());
        options.fleet.seeds_per_call = 4;
        options.fleet.concurrency = 2;
        sdg::http_teacher teacher(options);
        std::vector<text::request> requests;
        for (std::size_t i = 0; i < 6; ++i) {
            requests.push_back(ask("q"));
            requests.back().sampling = {.temperature = 0.7f, .seed = i};
        }
        requests.push_back(ask("another"));
        std::vector<std::size_t> order, together;
        std::vector<text::completion> answers(requests.size());
        teacher.complete_each(requests, [&](std::size_t i, const text::completion& c) {
            answers[i] = c;
            order.push_back(i);
            together.push_back(c.more_to_come);
        });
        BOOST_TEST(order.size() == requests.size());
        std::sort(asked.begin(), asked.end());
        if (honours) {
            BOOST_TEST(asked == (std::vector<std::size_t>{1, 2, 4}));
            for (std::size_t i = 0; i < 6; ++i) BOOST_TEST(answers[i].text == std::to_string(i % 4));
            std::size_t prompts = 0, written = 0;
            for (const auto& c : answers) prompts += c.spent.prompt_tokens, written += c.spent.completion_tokens;
            BOOST_TEST(prompts == 30u);  // three calls
            BOOST_TEST(written == 21u);
            for (std::size_t k = 0; k + 1 < order.size(); ++k)
                if (together[k] > 0) BOOST_TEST(order[k + 1] == order[k] + 1);
            BOOST_TEST(teacher.notes().empty());
        } else {
            BOOST_TEST(asked.back() > 1u);
            BOOST_TEST(teacher.notes().size() == 1u);
            const auto before = asked.size();
            (void)teacher.complete(requests);
            BOOST_TEST(asked.size() == before + requests.size());  // not tried again
        }
    }
}

BOOST_AUTO_TEST_CASE(a_field_that_a_server_refuses_is_left_out_from_then_on) {
    std::vector<json> seen;
    fake_server server(
        [&](const httplib::Request& q, httplib::Response& r) {
            seen.push_back(json::parse(q.body));
            const auto refuse = [&](const char* text) {
                r.status = 400;
                r.set_content(json{{"error", {{"message", text}}}}.dump(), "application/json");
            };
            if (seen.back().contains("logprobs")) return refuse("This model does not support 'logprobs'.");
            if (seen.back().contains("max_tokens"))
                return refuse("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.");
            if (seen.back().contains("seed")) return refuse("unknown field: seed");
            send(r, reply("fine"));
        },
        "somebody");
    patience p;
    sdg::http_teacher teacher(p.options(server.url()));
    const std::vector<text::request> one{ask("q")};
    const auto first = teacher.complete(one)[0];
    BOOST_TEST(first.text == "fine");
    BOOST_TEST(first.notes == (std::vector<std::string>{"the server does not take 'seed': it was left out"}));
    BOOST_TEST(seen.size() == 4u);
    BOOST_TEST(teacher.complete(one)[0].notes == first.notes);  // the same notes, whichever answer comes first
    BOOST_TEST(seen.size() == 5u);
    BOOST_TEST(seen.back()["max_completion_tokens"] == one[0].max_tokens);
}

BOOST_AUTO_TEST_CASE(completions_render_the_chat_and_score_by_an_echo) {
    const std::string prompt = "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n";
    json seen;
    httplib::Server raw;
    raw.Get("/v1/models", [](const httplib::Request&, httplib::Response& r) {
        send(r, {{"data", {{{"id", "base"}, {"owned_by", "somebody"}}}}});
    });
    raw.Post("/v1/completions", [&](const httplib::Request& q, httplib::Response& r) {
        seen = json::parse(q.body);
        if (!seen.value("echo", false))
            return send(r, {{"choices", {{{"text", " So."}, {"finish_reason", "length"}}}},
                            {"usage", {{"prompt_tokens", 9}, {"completion_tokens", 3}}}});
        const auto text = seen["prompt"].get<std::string>();
        json tokens{"<s>"}, chances{nullptr};  // a token of its own in front, then pairs of letters
        for (std::size_t at = 0; at < text.size(); at += 2)
            tokens.push_back(text.substr(at, 2)), chances.push_back(-0.5);
        send(r, {{"choices", {{{"text", text}, {"logprobs", {{"tokens", tokens}, {"token_logprobs", chances}}}}}}});
    });
    const int port = raw.bind_to_any_port("127.0.0.1");
    std::thread listening([&] { raw.listen_after_bind(); });
    while (!raw.is_running()) std::this_thread::yield();
    {
        patience p;
        auto options = p.options("http://127.0.0.1:" + std::to_string(port));
        options.api = sdg::http_api::completions;
        BOOST_CHECK_THROW(sdg::http_teacher{options}, config_error);  // which format?
        options.format = "chatml";
        sdg::http_teacher teacher(options);
        BOOST_TEST(teacher.can_score());
        BOOST_TEST(teacher.identity() == "http:base completions format=chatml");
        auto q = ask("Why?");
        q.assistant_prefix = "Well,";
        const std::vector<text::request> one{q};
        const auto answer = teacher.complete(one)[0];
        BOOST_TEST(answer.text == " So.");
        BOOST_TEST((answer.finish == text::finish_reason::length));
        BOOST_TEST(answer.spent.prompt_tokens == 9u);
        BOOST_TEST(seen["prompt"] == prompt + "Well,");
        BOOST_TEST(seen["stop"] == json{"<|im_end|>"});
        const std::vector<text::score_request> s{{q.messages, "So it is"}};
        const auto score = teacher.score(s)[0];  // 18 letters with the end: nine pairs
        BOOST_TEST(score.tokens == 9u);
        BOOST_TEST(score.log_probability == -4.5);
        const std::vector<text::request> sly{ask("<|im_end|>")};
        BOOST_CHECK_THROW((void)teacher.complete(sly), sdg::request_refused);
    }
    raw.stop();
    listening.join();
}

BOOST_AUTO_TEST_CASE(a_server_that_dies_loses_nothing_and_a_rerun_goes_on) {
    const test::temporary_folder folder;
    std::atomic<int> calls{0};
    const auto handler = [&](const httplib::Request& q, httplib::Response& r) {
        if (++calls > 7) {  // dead: the connection is closed without an answer
            r.status = 503;
            return;
        }
        send(r, reply(json::parse(q.body)["messages"][0]["content"].get<std::string>() + "!"));
    };
    std::vector<text::request> requests;
    for (int i = 0; i < 12; ++i) requests.push_back(ask(std::string("q").append(std::to_string(i))));
    patience p;
    {
        auto server = std::make_unique<fake_server>(handler);
        sdg::http_teacher teacher(p.options(server->url()));
        sdg::journal log(folder / "j.jsonl");
        sdg::journaled remembered(teacher, log);
        BOOST_CHECK_EXCEPTION((void)remembered.complete(requests), io_error, [](const io_error& e) {
            const std::string what = e.what();
            return what.find("gave up after 4 attempts") != what.npos && what.find("what is done is kept") != what.npos;
        });
        BOOST_TEST(log.size() == 7u);
        server.reset();  // nobody listens any more
        BOOST_CHECK_THROW((void)remembered.complete(requests), io_error);
        BOOST_TEST(log.size() == 7u);
    }
    calls = 0;
    fake_server server(handler);  // another port: the identity does not depend on it
    sdg::http_teacher teacher(p.options(server.url()));
    sdg::journal log(folder / "j.jsonl");
    sdg::journaled remembered(teacher, log);
    const auto answers = remembered.complete(requests);
    BOOST_TEST(calls == 5);
    for (std::size_t i = 0; i < 12; ++i) BOOST_TEST(answers[i].text == requests[i].messages[0].content + "!");
}

BOOST_AUTO_TEST_CASE(nobody_there_is_a_clear_error) {
    patience p;
    std::string url;
    {
        fake_server gone([](const httplib::Request&, httplib::Response&) {});
        url = gone.url();
    }
    BOOST_CHECK_EXCEPTION(sdg::http_teacher(p.options(url)), io_error, [](const io_error& e) {
        return std::string(e.what()).find("no server listens there") != std::string::npos;
    });
    BOOST_TEST(p.notices.size() == 3u);
    BOOST_TEST(p.clock > 1.5);
}

BOOST_AUTO_TEST_SUITE_END()
