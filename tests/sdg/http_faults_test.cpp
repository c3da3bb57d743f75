// What servers do wrong on the wire, one by one and mixed: an answer in the end, or an error that names the cause.
#include <set>

#include "lab/sdg/http_teacher.hpp"
#include "sdg/fault_server.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(http_faults)

using namespace lab;
using formats::json;
using test::http_answer;
using test::http_question;
using how = test::http_answer::how;

namespace {

sdg::http_teacher_options options_for(const std::string& url) {
    sdg::http_teacher_options o;
    o.http.base_url = url;
    o.http.timeout = 1;
    o.fleet.retry = {.retries = 2, .first_wait = 0.01, .longest_wait = 0.05};
    return o;
}
text::request ask(std::string question) {
    text::request r;
    r.messages = {{"user", std::move(question)}};
    return r;
}
http_answer echo(const http_question& q) {
    return http_answer::of(test::chat_reply(q.json()["messages"][0]["content"].get<std::string>() + "!"));
}

/// A server whose n-th answer to a completion is `script(n, question)`.
struct served {
    std::atomic<int> calls{0};
    test::fault_server server;
    template <class Script>
    explicit served(Script script)
        : server([this, script](const http_question& q) {
              return q.method == "GET" ? http_answer::of(test::model_list()) : script(calls++, q);
          }) {}
    std::string complaint(sdg::http_teacher_options o) {
        sdg::http_teacher teacher(o);
        const std::vector<text::request> one{ask("q")};
        try {
            (void)teacher.complete(one);
        } catch (const sdg::request_refused& e) {
            return std::string("refused: ") + e.what();
        } catch (const io_error& e) {
            return e.what();
        }
        return "an answer";
    }
    std::string complaint() { return complaint(options_for(server.url())); }
};
bool mentions(const std::string& text, const std::string& part) {
    BOOST_TEST_MESSAGE(text);
    return text.find(part) != std::string::npos;
}

}  // namespace

BOOST_AUTO_TEST_CASE(each_fault_once_and_the_answer_comes_all_the_same) {
    const std::vector<http_answer> faults{{500, "{}"},
                                          {502, "<html>Bad gateway</html>", "text/html"},
                                          {503, ""},
                                          {429, "{}", "application/json", "Retry-After: 0\r\n"},
                                          http_answer::bad(how::half),
                                          http_answer::bad(how::cut),
                                          http_answer::bad(how::chunks),
                                          http_answer::bad(how::noise, "SSH-2.0-OpenSSH_9.2\r\n"),
                                          http_answer::bad(how::noise, std::string("\0\xff\xfe", 3)),
                                          {200, "{\"choices\": [{\"mess"},  // ended early, and the length says so
                                          {200, "{}"},
                                          {200, R"({"error":{"message":"upstream","code":502}})"},
                                          {200, std::string(300, '[')},
                                          {200, "\xff\xfe"},
                                          http_answer::bad(how::hang),
                                          http_answer::bad(how::drip)};
    for (std::size_t f = 0; f < faults.size(); ++f) {
        served s([&](int n, const http_question& q) { return n == 0 ? faults[f] : echo(q); });
        BOOST_TEST(s.complaint() == "an answer", "fault " << f);
        BOOST_TEST(s.calls >= 2, "fault " << f);
    }
}

BOOST_AUTO_TEST_CASE(a_fault_that_stays_is_named) {
    const auto always = [](http_answer a) { return served([a](int, const http_question&) { return a; }).complaint(); };
    BOOST_TEST(
        mentions(always({500, R"({"error":"out of memory"})"}), "HTTP status 500: out of memory; gave up after 3"));
    BOOST_TEST(mentions(always(http_answer::bad(how::hang)), "no whole answer within the time-out of 1.0 s; gave up"));
    BOOST_TEST(mentions(always(http_answer::bad(how::drip)), "no whole answer within the time-out"));
    BOOST_TEST(mentions(always(http_answer::bad(how::half)), "the answer broke off; gave up"));
    BOOST_TEST(mentions(always(http_answer::bad(how::chunks)), "the answer broke off; gave up"));
    BOOST_TEST(mentions(always(http_answer::bad(how::cut)), "the connection broke before an answer began; gave up"));
    BOOST_TEST(mentions(always({200, "{\"choices\": [{"}),
                        "the answer is no JSON (application/json): {\"choices\": [{; gave up"));
    BOOST_TEST(mentions(always({200, "[]"}), "the answer is no completion: []; gave up"));
}

BOOST_AUTO_TEST_CASE(what_no_retry_can_help_ends_at_once) {
    const auto at_once = [](http_answer a) {
        served s([a](int, const http_question&) { return a; });
        const auto what = s.complaint();
        BOOST_TEST(s.calls == 1, what);
        return what;
    };
    BOOST_TEST(mentions(at_once({401, "{}"}), "no key, or a wrong one, in OPENAI_API_KEY"));
    BOOST_TEST(mentions(at_once({403, "{}"}), "no key, or a wrong one"));
    BOOST_TEST(mentions(at_once({404, "{}"}), "usually ends in /v1"));
    BOOST_TEST(mentions(at_once({402, R"({"error":{"message":"no credit left"}})"}), "402: no credit left"));
    BOOST_TEST(mentions(at_once({200, "<html>Welcome</html>", "text/html"}), "no JSON (text/html): <html>"));
    BOOST_TEST(mentions(at_once({200, "data: {}\n\n", "text/event-stream"}), "no JSON (text/event-stream)"));
    const auto moved = at_once({307, "", "text/plain", "Location: http://127.0.0.1:1/v1/chat/completions\r\n"});
    BOOST_TEST(mentions(moved, "it sends elsewhere, to http://127.0.0.1:1/"));
    BOOST_TEST(mentions(at_once({400, R"({"error":{"message":"the context is 4096 tokens"}})"}), "refused: "));
    BOOST_TEST(mentions(at_once({413, ""}), "refused: "));
}

BOOST_AUTO_TEST_CASE(answers_larger_than_the_limit_are_not_read) {
    for (const bool announced : {true, false}) {
        served s([announced](int, const http_question&) {
            auto a = http_answer::of(test::chat_reply(std::string(3u << 20, 'x')));
            if (!announced) {  // no length: the connection's end is the answer's
                a.body = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + a.body;
                a.sent = how::noise;
            }
            return a;
        });
        auto o = options_for(s.server.url());
        o.http.longest_answer = 2u << 20;
        BOOST_TEST(mentions(s.complaint(o), "the answer is longer than 2 MiB"));
    }
    served s([](int, const http_question&) {
        return http_answer::bad(how::noise, "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n{}");
    });
    BOOST_TEST(mentions(s.complaint(), "longer than"));
}

BOOST_AUTO_TEST_CASE(a_connection_that_lay_idle_may_be_closed) {
    // Closes every connection after its answer without saying so: the next call finds it dead, which is no failure.
    served s([](int, const http_question& q) {
        auto a = echo(q);
        a.body =
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(a.body.size()) +
            "\r\n\r\n" + a.body;
        a.sent = how::noise;
        return a;
    });
    auto o = options_for(s.server.url());
    o.fleet.retry.retries = 0;
    sdg::http_teacher teacher(o);
    const std::vector<text::request> one{ask("q")};
    for (int i = 0; i < 20; ++i) BOOST_TEST(teacher.complete(one)[0].text == "q!");
}

BOOST_AUTO_TEST_CASE(a_hanging_call_ends_when_the_work_is_cancelled) {
    served s([](int, const http_question&) { return http_answer::bad(how::hang); });
    auto o = options_for(s.server.url());
    o.http.timeout = 600;
    std::atomic<bool> stop{false};
    o.fleet.cancelled = [&] { return stop.load(); };
    sdg::http_teacher teacher(o);
    std::thread asks([&] {
        while (s.calls == 0) std::this_thread::yield();
        stop = true;
    });
    const std::vector<text::request> one{ask("q")};
    BOOST_CHECK_THROW((void)teacher.complete(one), io_error);
    asks.join();
}

BOOST_AUTO_TEST_CASE(two_servers_full_of_faults_answer_everything_in_order) {
    const auto script = [](int n, const http_question& q) {
        switch (n % 7) {
            case 1:
                return http_answer{503, "", "", "Retry-After: 0\r\n"};
            case 3:
                return http_answer::bad(how::half);
            case 5:
                return n % 2 == 0 ? http_answer{500, "{}"} : http_answer::bad(how::cut);
            default:
                return echo(q);
        }
    };
    served a(script), b(script);
    auto o = options_for(a.server.url());
    o.more_servers = {b.server.url()};
    o.fleet.retry = {.retries = 8, .first_wait = 0.001, .longest_wait = 0.01};
    sdg::http_teacher teacher(o);
    std::vector<text::request> requests;
    for (int i = 0; i < 200; ++i) requests.push_back(ask(std::string("q").append(std::to_string(i))));
    const auto answers = teacher.complete(requests);
    for (std::size_t i = 0; i < 200; ++i) BOOST_TEST(answers[i].text == requests[i].messages[0].content + "!");
    BOOST_TEST(a.calls > 20);
    BOOST_TEST(b.calls > 20);
}

BOOST_AUTO_TEST_CASE(a_server_killed_in_the_middle) {
    served a([](int, const http_question& q) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        return echo(q);
    });
    auto b = std::make_unique<served>([](int, const http_question& q) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        return echo(q);
    });
    auto o = options_for(a.server.url());
    o.more_servers = {b->server.url()};
    std::set<std::string> told;
    std::mutex mutex;
    o.fleet.notice = [&](const std::string& line) {
        const std::lock_guard lock(mutex);
        told.insert(line);
    };
    sdg::http_teacher teacher(o);
    std::vector<text::request> requests;
    for (int i = 0; i < 120; ++i) requests.push_back(ask(std::string("q").append(std::to_string(i))));
    std::size_t seen = 0;
    std::vector<std::string> answers(requests.size());
    teacher.complete_each(requests, [&](std::size_t i, const text::completion& c) {
        answers[i] = c.text;
        if (++seen == 30) b->server.stop();
    });
    for (std::size_t i = 0; i < answers.size(); ++i) BOOST_TEST(answers[i] == requests[i].messages[0].content + "!");
    BOOST_TEST(!told.empty());
}

BOOST_AUTO_TEST_SUITE_END()
