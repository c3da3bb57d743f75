// How lab-train ends where it does not come to its end: with a report of what it did, or at once, and never silently.
#include <sys/stat.h>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "lab/core/file.hpp"
#include "lab/formats/json.hpp"
#include "support/data.hpp"
#include "support/process.hpp"
#include "train/apps/workplace.hpp"

BOOST_AUTO_TEST_SUITE(ends_of_runs)

using namespace lab;

using test::workplace;

namespace {

bool mentions(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// Holds from so many milliseconds on.
auto after(int milliseconds) {
    return [then = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds)] {
        return std::chrono::steady_clock::now() >= then;
    };
}
std::size_t rows(const std::filesystem::path& run) {
    return formats::parse_json(read_file(run / "forgetting.json"), "forgetting")["rows"].size();
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_stopped_run_reports_so_far_and_in_the_end_the_same_bytes) {
    const workplace w;
    const auto train = [&](const std::string& out, std::vector<std::string> more = {}) {
        more.insert(more.end(), {"--epochs", "40"});
        return w.train(out, more);
    };
    BOOST_REQUIRE(w.run(train("whole")).code == 0);
    const auto out = w.folder / "stopped";
    const auto life = [&](const std::vector<std::string>& more, std::uintmax_t size) {
        return test::execute(
            train("stopped", more), w.folder.path(),
            [&] {
                std::error_code none;
                const auto now = std::filesystem::file_size(out / "metrics.jsonl", none);
                return std::filesystem::exists(out / "eval/1-knowledge-1.json") && !none && now > size;
            },
            SIGINT);
    };
    const auto stopped = life({}, 0);
    BOOST_REQUIRE_MESSAGE(stopped.code == 130, stopped.err);
    BOOST_TEST(mentions(stopped.err, "Report so far: " + (out / "report.html").string()), stopped.err);
    BOOST_TEST(mentions(read_file(out / "report.html"), "<h2>Loss</h2>"));
    BOOST_TEST(rows(out) == 2u);
    // Inside a phase a life does not measure what earlier ones did: it is read.
    std::filesystem::remove(out / "forgetting.json");
    const auto again = life({"--resume"}, std::filesystem::file_size(out / "metrics.jsonl"));
    BOOST_REQUIRE_MESSAGE(again.code == 130, again.err);
    BOOST_TEST(rows(out) == 2u);
    BOOST_REQUIRE(w.run(train("stopped", {"--resume"})).code == 0);
    for (const char* name : {"model.gguf", "metrics.jsonl", "report.html", "forgetting.json"})
        BOOST_TEST((read_file(out / name) == read_file(w.folder / "whole" / name)), name);
    // A run of other options is refused without touching what is there.
    const auto other = w.run(train("stopped", {"--resume", "--seed", "8"}));
    BOOST_TEST(other.code == 1);
    BOOST_TEST((read_file(out / "report.html") == read_file(w.folder / "whole/report.html")));
}

BOOST_AUTO_TEST_CASE(a_run_that_fails_reports_what_it_did) {
    const workplace w;
    const auto forgets = w.run(w.train(
        "forgets", {"--regression", "stop", "--tolerance", "0", "--no-replay", "--tensorboard", "--epochs", "40"}));
    BOOST_TEST(forgets.code == 1);
    BOOST_TEST(mentions(forgets.err, "raised the held-out loss of 'knowledge-1'"), forgets.err);
    const auto page = read_file(w.folder / "forgets/report.html");
    BOOST_TEST(mentions(page, "<b>forgetting</b>"));
    BOOST_TEST(mentions(page, "What was learnt and what was forgotten"));
    BOOST_TEST(rows(w.folder / "forgets") == 3u);
    BOOST_TEST(!std::filesystem::exists(w.folder / "forgets/manifest.json"));

    const auto told = (w.folder / "told").string();  // the second score fails
    const auto fails = w.run(w.train("fails", {"--heldout-every", "2", "--result", "best", "--best-by",
                                               "test ! -e " + told + " && touch " + told + " && echo 1 # {model}"}));
    BOOST_TEST(fails.code == 1);
    BOOST_TEST(mentions(fails.err, "failed with code 1"), fails.err);
    BOOST_TEST(mentions(read_file(w.folder / "fails/report.html"), "<h2>Score</h2>"));
    BOOST_TEST(rows(w.folder / "fails") == 1u);
}

BOOST_AUTO_TEST_CASE(a_signal_ends_at_once_what_has_not_begun) {
    const workplace w;
    const auto book = (w.folder / "book.txt").string();
    {
        std::ofstream text(book, std::ios::binary);
        for (int i = 0; i < 400000; ++i) text << "the ferry leaves at nine and the bell is rung. ";
    }
    for (const char* estimate : {"--estimate", "--json"}) {
        const auto ended = test::execute({LAB_TRAIN_APP, "--model", w.model, "--data", book, "--out",
                                          (w.folder / "run").string(), "--phases", "stacked", estimate},
                                         w.folder.path(), after(200), SIGTERM);
        BOOST_TEST(ended.code == -1, estimate << ": " << ended.code << ended.err);  // by the signal itself
        BOOST_TEST(!std::filesystem::exists(w.folder / "run"));
    }
}

BOOST_AUTO_TEST_CASE(a_fifo_is_refused_and_not_waited_for) {
    const workplace w;
    for (const char* name : {"pipe.jsonl", "pipe.txt"}) {
        const auto pipe = (w.folder / name).string();
        BOOST_REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
        const auto refused =
            test::execute({LAB_TRAIN_APP, "--model", w.model, "--data", pipe, "--out", (w.folder / "run").string()},
                          w.folder.path(), after(20000));
        BOOST_TEST(refused.code == 1, name);
        BOOST_TEST(mentions(refused.err, "is not a regular file"), refused.err);
    }
}

BOOST_AUTO_TEST_CASE(a_limit_of_file_sizes_is_told) {
    const workplace w;
    auto command = w.train("run");
    command.insert(command.begin(), {"/bin/sh", "-c", "ulimit -f 20; exec \"$@\"", "sh"});
    const auto result = w.run(command);
    BOOST_TEST(result.code == 1);
    BOOST_TEST(mentions(result.err, "File too large"), result.err);
}

BOOST_AUTO_TEST_SUITE_END()
