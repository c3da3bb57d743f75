#include "lab/sdg/teacher_fleet.hpp"

#include <atomic>
#include <set>

#include "lab/sdg/journaled.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(fleets)

using namespace lab;
using sdg::server_fault;

namespace {

text::request ask(std::string question) {
    text::request r;
    r.messages = {{"user", std::move(question)}};
    return r;
}
std::vector<text::request> questions(std::size_t n) {
    std::vector<text::request> list;
    for (std::size_t i = 0; i < n; ++i) list.push_back(ask(std::string("q").append(std::to_string(i))));
    return list;
}

/// A server in this process: answers every question with itself and "!", unless its script says otherwise.
struct scripted_endpoint {
    struct script {
        std::string name = "one", identity = "model";
        std::function<void()> on_look = [] {};
        std::function<void(const text::request&)> on_call = [](const text::request&) {};
        std::atomic<std::size_t> calls{0}, looks{0}, at_once{0}, most_at_once{0};
    };
    script* s;
    void look() {
        ++s->looks;
        s->on_look();
    }
    std::vector<text::completion> complete(std::span<const text::request> requests) {
        const std::size_t now = ++s->at_once;
        for (std::size_t most = s->most_at_once; most < now && !s->most_at_once.compare_exchange_weak(most, now);) {
        }
        struct leave {
            std::atomic<std::size_t>& n;
            ~leave() { --n; }
        } const left{s->at_once};
        ++s->calls;
        s->on_call(requests[0]);
        std::vector<text::completion> answers(1);
        answers[0].text = requests[0].messages[0].content + "!";
        return answers;
    }
    text::score score(const text::score_request& r) { return {-1.0 * static_cast<double>(r.answer.size()), 1}; }
    std::string name() const { return s->name; }
    std::string identity() const { return s->identity; }
    bool can_score() const { return true; }
    std::size_t seeds_at_once() const { return 1; }
    std::vector<std::string> notes() const { return {"by " + s->name}; }
};
static_assert(sdg::endpoint<scripted_endpoint>);

struct fleet {
    std::deque<scripted_endpoint::script> scripts;
    std::atomic<double> clock{0};
    std::mutex mutex;
    std::vector<std::string> notices;
    sdg::fleet_options options{.retry = {.retries = 2}};

    explicit fleet(std::size_t n) : scripts(n) {
        for (std::size_t i = 0; i < n; ++i) scripts[i].name = std::string("server ").append(std::to_string(i));
        options.time = {[this] { return clock.load(); }, [this](double s) { clock = clock + s; }};
        options.notice = [this](const std::string& line) {
            const std::lock_guard lock(mutex);
            notices.push_back(line);
        };
    }
    sdg::teacher_fleet teacher() {
        std::vector<sdg::any_endpoint> servers;
        for (auto& s : scripts) servers.emplace_back(std::make_unique<scripted_endpoint>(scripted_endpoint{&s}));
        return {std::move(servers), options};
    }
    [[nodiscard]] std::size_t told(const std::string& part) {
        const std::lock_guard lock(mutex);
        return static_cast<std::size_t>(std::count_if(
            notices.begin(), notices.end(), [&](const std::string& line) { return line.find(part) != line.npos; }));
    }
};

void pause(int milliseconds) { std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds)); }
void expect_all(const std::vector<text::completion>& answers, std::size_t n) {
    BOOST_TEST_REQUIRE(answers.size() == n);
    for (std::size_t i = 0; i < n; ++i)
        BOOST_TEST(answers[i].text == std::string("q").append(std::to_string(i)).append("!"));
}
auto says(std::string part) {
    return [part = std::move(part)](const std::exception& e) {
        BOOST_TEST_MESSAGE(e.what());
        return std::string(e.what()).find(part) != std::string::npos;
    };
}

}  // namespace

BOOST_AUTO_TEST_CASE(work_goes_to_the_server_with_the_least_of_it) {
    fleet f(2);
    f.scripts[0].on_call = [](const text::request&) { pause(12); };
    f.scripts[1].on_call = [](const text::request&) { pause(3); };
    f.options.concurrency = 2;
    auto teacher = f.teacher();
    expect_all(teacher.complete(questions(60)), 60);
    BOOST_TEST(f.scripts[0].calls + f.scripts[1].calls == 60u);
    BOOST_TEST(f.scripts[1].calls > 2 * f.scripts[0].calls);
    BOOST_TEST(f.scripts[0].calls > 0u);
    BOOST_TEST(f.scripts[0].most_at_once <= 2u);
    expect_all(teacher.complete(questions(2)), 2);
    const auto status = teacher.status();
    BOOST_TEST(status[0].answered + status[1].answered == 62u);
    BOOST_TEST(teacher.identity() == "model");
    BOOST_TEST(teacher.notes() == (std::vector<std::string>{"by server 0", "by server 1"}));
    // Two at once go to two servers.
    const auto before = f.scripts[0].calls.load();
    auto pair = questions(2);
    expect_all(teacher.complete(pair), 2);
    BOOST_TEST(f.scripts[0].calls == before + 1);
    const std::vector<text::score_request> s{{pair[0].messages, "abc"}, {pair[1].messages, "a"}};
    BOOST_TEST(teacher.score(s)[0].log_probability == -3.0);
}

BOOST_AUTO_TEST_CASE(a_server_that_dies_loses_its_work_to_the_others_and_may_come_back) {
    fleet f(2);
    std::atomic<bool> dead{false};
    f.scripts[1].on_call = [&](const text::request&) {
        if (dead) throw server_fault("server 1: nobody listens", server_fault::kind::unreachable);
        pause(1);
    };
    f.scripts[1].on_look = [&] {
        if (dead) throw server_fault("server 1: nobody listens", server_fault::kind::unreachable);
    };
    f.scripts[0].on_call = [&](const text::request&) {
        if (f.scripts[0].calls > 5) dead = true;
        f.clock = f.clock + 0.3;  // so that waits come to an end
        pause(1);
    };
    auto teacher = f.teacher();
    expect_all(teacher.complete(questions(80)), 80);
    BOOST_TEST(f.told("retry 1 of 2") >= 1u);
    BOOST_TEST(f.told("the server is taken out") == 1u);
    BOOST_TEST((teacher.status()[1].now == sdg::server_status::standing::out));
    const auto looks = f.scripts[1].looks.load();
    f.clock = f.clock + 31;
    expect_all(teacher.complete(questions(4)), 4);  // looked at, in vain
    BOOST_TEST(f.scripts[1].looks == looks + 1);
    expect_all(teacher.complete(questions(4)), 4);  // not yet again
    BOOST_TEST(f.scripts[1].looks == looks + 1);
    dead = false;
    f.scripts[0].on_call = [](const text::request&) { pause(2); };
    f.clock = f.clock + 61;
    const auto calls = f.scripts[1].calls.load();
    expect_all(teacher.complete(questions(40)), 40);
    BOOST_TEST(f.told("server 1: is back") == 1u);
    BOOST_TEST(f.scripts[1].calls > calls);
}

BOOST_AUTO_TEST_CASE(the_run_ends_when_no_server_is_left_and_names_them_all) {
    fleet f(2);
    std::atomic<int> answers{0};
    f.options.concurrency = 1;
    for (auto& s : f.scripts)
        s.on_call = [&, name = s.name](const text::request&) {
            if (++answers > 6) throw server_fault(name + ": refuses to talk", server_fault::kind::unreachable);
        };
    const test::temporary_folder folder;
    auto teacher = f.teacher();
    sdg::journal log(folder / "j.jsonl");
    sdg::journaled remembered(teacher, log);
    BOOST_CHECK_EXCEPTION((void)remembered.complete(questions(20)), io_error, [](const io_error& e) {
        const std::string what = e.what();
        return what.find("no server is left: server 0: refuses to talk; server 1: refuses") != what.npos &&
               what.find("what is done is kept") != what.npos;
    });
    BOOST_TEST(log.size() == 6u);  // nothing that was answered is lost
    answers = -100;
    f.clock = f.clock + 40;
    expect_all(remembered.complete(questions(20)), 20);  // they are back
    BOOST_TEST(remembered.asked() == 20u);
}

BOOST_AUTO_TEST_CASE(a_refused_request_is_told_and_the_others_are_answered) {
    fleet f(2);
    for (auto& s : f.scripts)
        s.on_call = [](const text::request& r) {
            const auto& q = r.messages[0].content;
            if (q == "q3" || q == "q11") throw sdg::request_refused(q + " is too long");
        };
    auto teacher = f.teacher();
    std::set<std::size_t> answered;
    const auto all = questions(16);
    for (int again = 0; again < 3; ++again)
        BOOST_CHECK_EXCEPTION(
            teacher.complete_each(all, [&](std::size_t i, const text::completion&) { answered.insert(i); }),
            sdg::request_refused, says("q3 is too long"));  // the first in the requests' order, whoever was faster
    BOOST_TEST(answered.size() == 14u);
    BOOST_TEST(f.notices.empty());
}

BOOST_AUTO_TEST_CASE(a_request_that_alone_breaks_the_server_is_refused) {
    fleet f(1);
    std::size_t tried = 0;
    f.scripts[0].on_call = [&](const text::request& r) {
        if (r.messages[0].content != "q3") return;
        ++tried;
        throw server_fault("server 0: HTTP status 500", server_fault::kind::broken);
    };
    f.options.concurrency = 1;
    auto teacher = f.teacher();
    std::size_t answered = 0;
    BOOST_CHECK_EXCEPTION(
        teacher.complete_each(questions(8), [&](std::size_t, const text::completion&) { ++answered; }),
        sdg::request_refused, says("other requests are answered, this one failed 3 times"));
    BOOST_TEST(tried == 3u);
    BOOST_TEST(answered == 7u);
    // A server that breaks on everything is not blamed on the requests.
    f.scripts[0].on_call = [](const text::request&) {
        throw server_fault("server 0: HTTP status 500", server_fault::kind::broken);
    };
    auto other = f.teacher();
    BOOST_CHECK_EXCEPTION((void)other.complete(questions(3)), io_error, says("gave up after 3 attempts"));
}

BOOST_AUTO_TEST_CASE(one_wave_of_failures_counts_once) {
    fleet f(1);
    std::atomic<int> waiting{0};
    std::atomic<bool> fail{true};
    f.scripts[0].on_call = [&](const text::request&) {
        if (!fail) return;
        ++waiting;
        while (waiting < 8) std::this_thread::yield();
        fail = false;
        throw server_fault("server 0: HTTP status 503", server_fault::kind::busy, 5.0);
    };
    f.options.concurrency = 8;
    auto teacher = f.teacher();
    expect_all(teacher.complete(questions(8)), 8);
    BOOST_TEST(f.notices.size() == 1u);
    BOOST_TEST(f.clock >= 5.0);  // as long as it asked for
    BOOST_TEST(f.clock < 6.0);
}

BOOST_AUTO_TEST_CASE(what_is_final_takes_a_server_out_for_good) {
    fleet f(2);
    f.scripts[0].on_call = [](const text::request&) {
        throw server_fault("server 0: HTTP status 401", server_fault::kind::final);
    };
    f.options.concurrency = 2;
    auto teacher = f.teacher();
    expect_all(teacher.complete(questions(10)), 10);
    BOOST_TEST(f.told("going on without this server") == 1u);
    f.clock = f.clock + 10000;
    expect_all(teacher.complete(questions(10)), 10);
    BOOST_TEST(f.scripts[0].looks == 1u);
    f.scripts[1].on_call = f.scripts[0].on_call;
    BOOST_CHECK_EXCEPTION((void)teacher.complete(questions(1)), io_error, says("no server is left"));
}

BOOST_AUTO_TEST_CASE(servers_of_one_run_serve_one_model) {
    fleet f(2);
    f.scripts[1].identity = "another";
    BOOST_CHECK_EXCEPTION((void)f.teacher(), config_error,
                          says("server 0 serves model, server 1 serves another (all servers of a run"));
    BOOST_CHECK_THROW(sdg::teacher_fleet({}, {}), config_error);
}

BOOST_AUTO_TEST_CASE(a_server_that_is_down_at_first_joins_later_if_it_is_the_same) {
    for (const std::string now : {"model", "another"}) {
        fleet f(2);
        std::atomic<bool> down{true};
        f.scripts[0].identity = "not known yet";
        f.scripts[0].on_look = [&] {
            if (down) throw server_fault("server 0: nobody listens", server_fault::kind::unreachable);
            f.scripts[0].identity = now;
        };
        auto teacher = f.teacher();
        BOOST_TEST(teacher.identity() == "model");
        BOOST_TEST(f.told("going on without it") == 1u);
        expect_all(teacher.complete(questions(3)), 3);
        down = false;
        f.clock = f.clock + 31;
        f.scripts[1].on_call = [](const text::request&) { pause(2); };
        expect_all(teacher.complete(questions(40)), 40);
        BOOST_TEST((f.scripts[0].calls > 0u) == (now == "model"));
        BOOST_TEST(f.told(now == "model" ? "server 0: is back" : "must serve the same model") == 1u);
    }
    fleet f(2);  // with none of them, the start is tried a few times
    std::atomic<int> looks{0};
    for (auto& s : f.scripts)
        s.on_look = [&] {
            if (++looks < 4) throw server_fault("nobody listens", server_fault::kind::unreachable);
        };
    (void)f.teacher();
    BOOST_TEST(looks == 4);
    looks = -100;
    BOOST_CHECK_EXCEPTION((void)f.teacher(), io_error, says("no server is left"));
}

BOOST_AUTO_TEST_CASE(a_sink_that_throws_ends_the_batch) {
    fleet f(1);
    auto teacher = f.teacher();
    std::size_t delivered = 0;
    BOOST_CHECK_EXCEPTION(teacher.complete_each(questions(100),
                                                [&](std::size_t, const text::completion&) {
                                                    if (++delivered == 5) throw io_error("the disk is full");
                                                }),
                          io_error, says("the disk is full"));
    BOOST_TEST(f.scripts[0].calls < 100u);
}

BOOST_AUTO_TEST_CASE(cancelling_ends_waiting) {
    fleet f(1);
    std::atomic<bool> stop{false};
    f.options.cancelled = [&] { return stop.load(); };
    f.options.time = {};  // real time: the wait would be long
    f.options.retry = {.retries = 3, .first_wait = 100, .longest_wait = 100};
    f.scripts[0].on_call = [&](const text::request&) {
        throw server_fault("server 0: HTTP status 503", server_fault::kind::busy);
    };
    auto teacher = f.teacher();
    std::thread asks([&] {
        pause(50);
        stop = true;
    });
    BOOST_CHECK_EXCEPTION((void)teacher.complete(questions(3)), io_error, says("cancelled"));
    asks.join();
}

BOOST_AUTO_TEST_SUITE_END()
