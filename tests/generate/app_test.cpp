// lab-generate as a process: killed at random moments, its servers failing in every way, its disk full, its budget
// spent. In the end the bytes of the undisturbed run, or an error that names the cause and the same bytes later.
#include "lab/core/rng.hpp"

#include <atomic>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "lab/formats/json.hpp"
#include "lab/nn/save.hpp"
#include "sdg/scripted_server.hpp"
#include "support/data.hpp"
#include "support/process.hpp"
#include "train/tiny_llama.hpp"

BOOST_AUTO_TEST_SUITE(generate_app)

using namespace lab;
using formats::json;
using test::http_answer;
using test::http_question;
using how = test::http_answer::how;

namespace {

constexpr const char* final_files[] = {"samples.jsonl", "rejected.jsonl", "manifest.json", "report.html"};

bool mentions(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// The scripted reader behind a counter: what it answers to the n-th request for a text may be another's.
struct served {
    using script = std::function<std::optional<http_answer>(int, const http_question&)>;
    std::atomic<int> calls{0};
    test::fault_server server;
    explicit served(
        script s = [](int, const http_question&) { return std::nullopt; }, int port = 0)
        : server(
              [this, s](const http_question& q) {
                  if (q.path == "/v1/chat/completions")
                      if (auto a = s(calls++, q)) return *a;
                  return test::scripted_reader()(q);
              },
              port) {}
};
served::script at(int when, http_answer a) {
    return [=](int n, const http_question&) { return n == when ? std::optional(a) : std::nullopt; };
}
served::script from(int when, http_answer a) {
    return [=](int n, const http_question&) { return n >= when ? std::optional(a) : std::nullopt; };
}

struct workplace {
    test::temporary_folder folder;

    workplace() {
        namespace fs = std::filesystem;
        const fs::path all = fs::path(LAB_SOURCE_DIR) / "data/taxonomy";
        for (const char* leaf :
             {"knowledge/music/instruments/ollophone", "compositional_skills/travel/timetables/departure_line",
              "foundational_skills/linguistics/word_order/reverse_three_words"}) {
            fs::create_directories((folder / "taxonomy" / leaf).parent_path());
            fs::copy(all / leaf, folder / "taxonomy" / leaf, fs::copy_options::recursive);
        }
    }
    [[nodiscard]] std::string at(const std::string& name) const { return (folder / name).string(); }
    [[nodiscard]] std::vector<std::string> command(const std::string& out, std::vector<std::string> more) const {
        std::vector<std::string> all{LAB_GENERATE_APP,     "--taxonomy", at("taxonomy"), "--out", at(out),
                                     "--samples-per-leaf", "4",          "--seed",       "5"};
        all.insert(all.end(), more.begin(), more.end());
        return all;
    }
    template <class When>
    test::finished run(const std::vector<std::string>& all, When when, int signal = SIGKILL) const {
        return test::execute(all, folder.path(), when, signal);
    }
    test::finished run(const std::vector<std::string>& all) const {
        return run(all, [] { return false; });
    }
    /// Asks `urls`, with little patience.
    test::finished ask(const std::string& out, const std::string& urls, std::vector<std::string> more = {}) const {
        std::vector<std::string> all{"--teacher", urls, "--timeout", "1", "--retries", "2"};
        all.insert(all.end(), more.begin(), more.end());
        return run(command(out, all));
    }
    void expect_same(const std::string& out, const std::string& as, const std::string& what) const {
        for (const char* name : final_files)
            BOOST_TEST((read_file(folder / out / name) == read_file(folder / as / name)), what << ": " << name);
    }
    [[nodiscard]] json manifest(const std::string& out) const {
        return formats::parse_json(read_file(folder / out / "manifest.json"), "manifest");
    }
};

/// What an undisturbed run over the scripted server makes, once for all tests.
struct undisturbed : workplace {
    int calls = 0;
    undisturbed() {
        served s;
        const auto done = ask("whole", s.server.url());
        calls = s.calls;
        BOOST_REQUIRE_MESSAGE(done.code == 0, done.err);
        std::size_t made = 0;
        const auto told = manifest("whole");
        for (const auto& leaf : told["leaves"]) made += leaf["generated"].get<std::size_t>();
        BOOST_REQUIRE(made == 12u);
        BOOST_REQUIRE(calls > 50);
    }
    [[nodiscard]] int moment(counter_rng& rng) const {
        return static_cast<int>(rng.below(static_cast<std::uint64_t>(calls)));
    }
};
undisturbed& whole_run() {
    static undisturbed w;
    return w;
}

}  // namespace

BOOST_AUTO_TEST_CASE(events_for_scripts_add_up) {
    const workplace w;
    served s;
    const auto done = w.ask("events", s.server.url(), {"--json"});
    BOOST_REQUIRE_MESSAGE(done.code == 0, done.err);
    const auto told = formats::parse_json(done.out, "stdout");
    std::vector<json> leaves;
    std::istringstream lines(done.err);
    for (std::string line; std::getline(lines, line);) {
        const auto event = formats::parse_json(line, "stderr");
        if (event.at("event") == "leaf") leaves.push_back(event);
    }
    BOOST_REQUIRE(leaves.size() == 3u);
    for (std::size_t i = 0; i < 3; ++i) {
        BOOST_TEST(leaves[i]["leaf"] == told["leaves"][i]["id"]);
        BOOST_TEST(leaves[i]["kept"] == told["leaves"][i]["generated"]);
        BOOST_TEST(leaves[i]["refused"] == told["leaves"][i]["refused_by"]);
        BOOST_TEST(leaves[i]["wanted"] == 4);
    }
}

BOOST_AUTO_TEST_CASE(a_local_teacher_killed_at_random_moments) {
    const workplace w;
    const auto model = w.at("base");
    nn::save_safetensors(tiny::llama(3, 1, 260), model, {.tokenizer = test::fixture("train/bytes")});
    const auto command = [&](const std::string& out) {
        return w.command(out, {"--teacher", model, "--threads", "1", "--least-auc", "0"});
    };
    const auto whole = w.run(command("whole"));
    BOOST_REQUIRE_MESSAGE(whole.code == 0, whole.err);
    const auto known = [&](const std::string& out) {  // bytes of the journal
        std::error_code none;
        const auto size = std::filesystem::file_size(w.folder / out / "journal.jsonl", none);
        return none ? 0.0 : static_cast<double>(size);
    };
    const double full = known("whole");
    counter_rng rng(11);
    std::size_t deaths = 0;
    for (int turn = 0; turn < 20; ++turn) {
        const auto out = "killed" + std::to_string(turn);
        for (int again = 0; again <= turn % 3; ++again) {  // some more than once
            const double end = known(out) + (full - known(out)) * rng.uniform();
            deaths += w.run(command(out), [&] { return known(out) >= end; }).code != 0;
        }
        const auto done = w.run(command(out));
        BOOST_REQUIRE_MESSAGE(done.code == 0, done.err);
        w.expect_same(out, "whole", out);
    }
    BOOST_TEST(deaths >= 20u);
}

BOOST_AUTO_TEST_CASE(killed_while_a_server_answers) {
    const auto& w = whole_run();
    counter_rng rng(12);
    for (int turn = 0; turn < 20; ++turn) {
        const std::string out = "killed" + std::to_string(turn);
        const int moment = w.moment(rng);
        served s;
        const auto died = w.run(w.command(out, {"--teacher", s.server.url()}), [&] { return s.calls > moment; });
        BOOST_TEST(died.code != 1, died.err);
        const int asked = s.calls;
        if (moment < w.calls / 2)  // in the middle of the work: samples were written, and no file is there yet
            for (const char* name : final_files) BOOST_TEST(!std::filesystem::exists(w.folder / out / name), name);
        const auto done = w.ask(out, s.server.url());
        BOOST_REQUIRE_MESSAGE(done.code == 0, done.err);
        for (const auto& entry : std::filesystem::directory_iterator(w.folder / out))
            BOOST_TEST(entry.path().extension() != ".unfinished", entry.path());
        BOOST_TEST(s.calls - asked <= w.calls - moment + 64, "what was answered is not asked again");
        w.expect_same(out, "whole", "killed after " + std::to_string(moment) + " calls");
        std::filesystem::remove_all(w.folder / out);
    }
}

BOOST_AUTO_TEST_CASE(a_fault_that_passes_changes_no_byte) {
    const auto& w = whole_run();
    const std::pair<const char*, http_answer> faults[] = {
        {"500", {500, R"({"error":"out of memory"})"}},
        {"502 with a page", {502, "<html>Bad gateway</html>", "text/html"}},
        {"503", {503, ""}},
        {"429", {429, "{}", "application/json", "Retry-After: 1\r\n"}},
        {"half an answer", http_answer::bad(how::half)},
        {"half a chunked answer", http_answer::bad(how::chunks)},
        {"closed without a byte", http_answer::bad(how::cut)},
        {"no HTTP", http_answer::bad(how::noise, "SSH-2.0-OpenSSH_9.2\r\n")},
        {"noise", http_answer::bad(how::noise, std::string("\0\xff\xfe", 3))},
        {"half of the JSON", {200, "{\"choices\": [{\"mess"}},
        {"another JSON", {200, "{}"}},
        {"an error behind 200", {200, R"({"error":{"message":"upstream","code":502}})"}},
        {"deep nesting", {200, std::string(5000, '[')}},
        {"no UTF-8", {200, "{\"choices\":[{\"message\":{\"content\":\"\xff\"}}]}"}},
        {"hang", http_answer::bad(how::hang)},
        {"drip", http_answer::bad(how::drip)}};
    counter_rng rng(13);
    for (const auto& [name, fault] : faults) {
        served s(at(w.moment(rng), fault));
        const auto done = w.ask("faulty", s.server.url());
        BOOST_TEST(done.code == 0, name << ": " << done.err);
        // On a connection that lay idle closing it is no failure: the server may have closed it long ago.
        if (fault.sent != how::cut && fault.sent != how::noise)
            BOOST_TEST(mentions(done.err, "retry 1 of 2"), name << ": " << done.err);
        w.expect_same("faulty", "whole", name);
        std::filesystem::remove_all(w.folder / "faulty");
    }
}

BOOST_AUTO_TEST_CASE(a_fault_that_stays_is_named_and_the_same_command_goes_on) {
    const auto& w = whole_run();
    struct lasting {
        http_answer answer;
        const char* cause;
    };
    const lasting faults[] = {
        {{500, R"({"error":"out of memory"})"}, "HTTP status 500: out of memory; gave up after 3"},
        {{401, "{}"}, "no key, or a wrong one, in OPENAI_API_KEY"},
        {http_answer::bad(how::half), "the answer broke off; gave up after 3"},
        {http_answer::bad(how::hang), "no whole answer within the time-out of 1.0 s; gave up"},
        {{200, "<html>Welcome</html>", "text/html"}, "no JSON (text/html): <html>"}};
    counter_rng rng(14);
    for (const auto& [answer, cause] : faults) {
        served bad(from(w.moment(rng), answer));
        const auto failed = w.ask("failed", bad.server.url());
        BOOST_TEST(failed.code == 1, cause);
        BOOST_TEST(mentions(failed.err, cause), failed.err);
        served good;
        const auto done = w.ask("failed", good.server.url());
        BOOST_TEST(done.code == 0, done.err);
        BOOST_TEST(good.calls < w.calls + 64);
        w.expect_same("failed", "whole", cause);
        std::filesystem::remove_all(w.folder / "failed");
    }
    const auto nobody = w.ask("nobody", "http://127.0.0.1:1/v1", {"--retries", "0"});
    BOOST_TEST(nobody.code == 1);
    BOOST_TEST(mentions(nobody.err, "no server listens there"), nobody.err);
}

BOOST_AUTO_TEST_CASE(several_servers_and_one_dies) {
    const auto& w = whole_run();
    served a;
    std::unique_ptr<served> b;
    b = std::make_unique<served>(from(20, http_answer::bad(how::cut)));
    const auto done = w.ask("two", a.server.url() + "," + b->server.url());
    BOOST_TEST(done.code == 0, done.err);
    BOOST_TEST(a.calls > 20);
    BOOST_TEST(b->calls > 20);
    BOOST_TEST(mentions(done.err, "broke before an answer began; retry 1 of 2"), done.err);
    w.expect_same("two", "whole", "two servers");
    const int before = a.calls;
    BOOST_TEST(w.ask("two", a.server.url()).code == 0);  // all is known: nothing is asked
    BOOST_TEST(a.calls == before);
}

BOOST_AUTO_TEST_CASE(one_failing_leaf_does_not_end_the_run) {
    const auto& w = whole_run();
    const auto refuse = [](int, const http_question& q) {
        return mentions(q.body, "ollophone")
                   ? std::optional(http_answer{400, R"({"error":{"message":"no music here"}})"})
                   : std::nullopt;
    };
    served s(refuse);
    const auto partly = w.ask("partly", s.server.url());
    BOOST_TEST(partly.code == 3, partly.err);
    BOOST_TEST(mentions(partly.err, "1 of 3 leaves failed"), partly.err);
    std::size_t made = 0;
    const auto told = w.manifest("partly");
    for (const auto& leaf : told["leaves"])
        if (mentions(leaf["id"].get<std::string>(), "ollophone"))
            BOOST_TEST(mentions(leaf.value("failure", ""), "400: no music here"), leaf);
        else
            made += leaf["generated"].get<std::size_t>();
    BOOST_TEST(made > 0u);
    served good;
    BOOST_TEST(w.ask("partly", good.server.url()).code == 0);
    w.expect_same("partly", "whole", "tried again");
}

BOOST_AUTO_TEST_CASE(a_full_disk_is_named_and_nothing_written_is_lost) {
    const auto& w = whole_run();
    const auto full = std::filesystem::file_size(w.folder / "whole/journal.jsonl");
    for (const std::uint64_t part : {full / 5, full * 2 / 3}) {
        served s;
        auto all = w.command("full", {"--teacher", s.server.url()});
        std::vector<std::string> limited{
            "/bin/bash", "-c", "trap '' XFSZ; ulimit -f " + std::to_string(part / 1024 + 1) + "; exec \"$@\"", "bash"};
        limited.insert(limited.end(), all.begin(), all.end());
        const auto failed = w.run(limited);
        BOOST_TEST(failed.code == 1);
        BOOST_TEST(mentions(failed.err, "journal.jsonl: cannot append: File too large"), failed.err);
        BOOST_TEST(mentions(failed.err, "answers are kept; make room"), failed.err);
        BOOST_TEST(!std::filesystem::exists(w.folder / "full/samples.jsonl"));
        const int before = s.calls;
        BOOST_TEST(w.ask("full", s.server.url()).code == 0);
        BOOST_TEST(s.calls - before < w.calls);
        w.expect_same("full", "whole", "room was made");
        std::filesystem::remove_all(w.folder / "full");
    }
}

BOOST_AUTO_TEST_CASE(a_damaged_journal_is_told_and_mended) {
    const auto& w = whole_run();
    const auto path = w.folder / "damaged/journal.jsonl";
    std::filesystem::create_directories(path.parent_path());
    auto text = read_file(w.folder / "whole/journal.jsonl");
    counter_rng rng(15);
    for (int i = 0; i < 5; ++i) {
        auto& c = text[rng.below(text.size())];
        if (c != '\n') c = static_cast<char>(c ^ 4);
    }
    write_file_atomically(path, text);
    served s;
    const auto done = w.ask("damaged", s.server.url());
    BOOST_TEST(done.code == 0, done.err);
    BOOST_TEST(mentions(done.err, "lines are damaged"), done.err);
    BOOST_TEST(s.calls > 0);
    BOOST_TEST(s.calls < w.calls / 2);
    w.expect_same("damaged", "whole", "damaged");
}

BOOST_AUTO_TEST_CASE(a_document_that_cannot_be_read_is_named) {
    const workplace w;
    const auto folder = w.folder / "taxonomy/knowledge/music/instruments/ollophone/documents";
    std::ofstream(folder / "broken.md", std::ios::binary) << "# Broken\n\xff\xfe no text\n";
    served s;
    const auto failed = w.ask("out", s.server.url());
    BOOST_TEST(failed.code == 1);
    BOOST_TEST(mentions(failed.err, "broken.md"), failed.err);
    BOOST_TEST(s.calls == 0);
}

BOOST_AUTO_TEST_CASE(what_changes_is_asked_anew_and_the_rest_is_not) {
    const workplace w;
    served s;
    BOOST_TEST(w.ask("out", s.server.url()).code == 0);
    const int first = s.calls;
    const auto leaf = w.folder / "taxonomy/compositional_skills/travel/timetables/departure_line/qna.yaml";
    auto text = read_file(leaf);
    const auto place = text.find("question: ");
    text.insert(text.find('\n', place), " ");  // a space at a line's end is no change
    write_file_atomically(leaf, text);
    BOOST_TEST(w.ask("out", s.server.url()).code == 0);
    BOOST_TEST(s.calls == first);
    BOOST_TEST(w.ask("out", s.server.url(), {"--samples-per-leaf", "5"}).code == 0);
    BOOST_TEST(s.calls - first < first / 2);
    const int before = s.calls;
    test::fault_server other([&](const http_question& q) {
        if (q.path == "/v1/models") return http_answer::of(test::model_list("another"));
        s.calls += q.path == "/v1/chat/completions";
        return test::scripted_reader()(q);
    });
    BOOST_TEST(w.ask("out", other.url()).code == 0);
    BOOST_TEST(s.calls - before == first);  // another model: everything
    BOOST_TEST(w.manifest("out")["teacher"].get<std::string>().starts_with("http:another"));
}

BOOST_AUTO_TEST_CASE(a_budget_ends_the_run_and_a_larger_one_goes_on) {
    const auto& w = whole_run();
    const auto spent = w.manifest("whole")["teacher_answers"];
    const auto tokens = spent["prompt_tokens"].get<std::uint64_t>() + spent["completion_tokens"].get<std::uint64_t>();
    served s;
    const auto ended = w.ask("poor", s.server.url(), {"--max-tokens-total", std::to_string(tokens * 4 / 5)});
    BOOST_TEST(ended.code == 3, ended.err);
    BOOST_TEST(mentions(ended.err, "the budget ends here"), ended.err);
    const auto told = w.manifest("poor");
    BOOST_TEST(told.contains("stopped"));
    const auto& used = told["teacher_answers"];
    BOOST_TEST(used["prompt_tokens"].get<std::uint64_t>() + used["completion_tokens"].get<std::uint64_t>() <=
               tokens * 4 / 5);
    const auto again = w.ask("poor", s.server.url(), {"--max-tokens-total", std::to_string(tokens * 4 / 5)});
    BOOST_TEST(again.code == 3);
    BOOST_TEST((w.manifest("poor") == told));
    const auto more = w.ask("poor", s.server.url());
    BOOST_TEST(more.code == 0, more.err);
    w.expect_same("poor", "whole", "no budget any more");
    BOOST_TEST(w.ask("poor", s.server.url(), {"--max-cost", "1"}).code == 2);
}

BOOST_AUTO_TEST_CASE(a_dry_run_asks_nothing) {
    const auto& w = whole_run();
    served s;
    const auto first = w.ask("dry", s.server.url(), {"--dry-run", "--json"});
    BOOST_TEST(first.code == 0, first.err);
    BOOST_TEST(s.calls == 0);
    BOOST_TEST(!std::filesystem::exists(w.folder / "dry"));
    const auto plan = formats::parse_json(first.out, "stdout");
    BOOST_TEST(plan["expected"]["completions"].get<int>() > 0);
    BOOST_TEST(plan["leaves"] == 3);
    BOOST_TEST(w.ask("dry", s.server.url()).code == 0);
    const int calls = s.calls;
    const auto after = w.ask("dry", s.server.url(), {"--dry-run", "--json"});
    const auto rest = formats::parse_json(after.out, "stdout");
    BOOST_TEST(rest["expected"]["completions"] == 0);
    BOOST_TEST(rest["expected"]["scores"] == 0);
    BOOST_TEST((rest["answered"] == w.manifest("dry")["teacher_answers"]));
    BOOST_TEST(s.calls == calls);
    const auto words = w.ask("dry", s.server.url(), {"--dry-run", "--samples-per-leaf", "40"});
    BOOST_TEST(mentions(words.out, "at the pace of the"), words.out);
}

BOOST_AUTO_TEST_CASE(wrong_calls) {
    const workplace w;
    for (const auto& wrong : std::vector<std::vector<std::string>>{{"--concurrency", "0"},
                                                                   {"--concurrency", "many"},
                                                                   {"--timeout", "0"},
                                                                   {"--api", "other"},
                                                                   {"--price-in", "-1"}})
        BOOST_TEST(w.ask("x", "http://127.0.0.1:1/v1", wrong).code == 2, wrong[0]);
    const auto mixed = w.ask("x", "http://127.0.0.1:1/v1,model.gguf");
    BOOST_TEST(mixed.code != 0);
    BOOST_TEST(mentions(mixed.err, "model.gguf"), mixed.err);
}

BOOST_AUTO_TEST_SUITE_END()
