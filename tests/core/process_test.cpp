#include "lab/core/process.hpp"

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <thread>

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(process)

using namespace lab;
using ending = process_result::ending;

namespace {
process_result shell(const std::string& script, const process_options& options = {}) {
    return run_process("/bin/sh", {"-c", script}, options);
}
}  // namespace

BOOST_AUTO_TEST_CASE(output_errors_and_status) {
    const auto r = shell("echo out; echo err >&2; exit 3");
    BOOST_TEST(r.out == "out\n");
    BOOST_TEST(r.err == "err\n");
    BOOST_TEST((r.how == ending::exited));
    BOOST_TEST(r.code == 3);
    BOOST_TEST(!r.ok());
    BOOST_TEST(to_text(r) == "ended with status 3: err");
    BOOST_TEST(shell("true").ok());
    const auto killed = shell("kill -TERM $$");
    BOOST_TEST((killed.how == ending::signalled));
    BOOST_TEST(killed.code == SIGTERM);
}

BOOST_AUTO_TEST_CASE(input_comes_from_bytes) {
    std::string bytes;
    for (int i = 0; i < 300'000; ++i) bytes += static_cast<char>(i * 7);
    const auto echoed = run_process("/bin/cat", {}, {.input = bytes});
    BOOST_TEST(echoed.ok());
    BOOST_TEST((echoed.out == bytes));
    BOOST_TEST(run_process("/bin/cat", {}).out.empty());  // no terminal, no waiting
}

BOOST_AUTO_TEST_CASE(arguments_are_never_words_of_a_shell) {
    const auto r = run_process("/bin/echo", {"$(id)", "; rm -rf x", "a b", "-n"});
    BOOST_TEST(r.out == "$(id) ; rm -rf x a b -n\n");
    BOOST_CHECK_THROW((void)run_process("/bin/echo", {std::string("a\0b", 3)}), io_error);
}

BOOST_AUTO_TEST_CASE(environment_is_changed_only_where_asked) {
    BOOST_TEST(
        shell("echo $LAB_PROCESS_TEST $PATH", {.environment = {{"LAB_PROCESS_TEST", "x=y"}}}).out.starts_with("x=y /"));
    BOOST_TEST(shell("echo ${LAB_PROCESS_TEST-unset}").out == "unset\n");
    BOOST_TEST(shell("echo ${HOME-unset}", {.environment = {{"HOME", std::nullopt}}}).out == "unset\n");
}

BOOST_AUTO_TEST_CASE(limits_end_it) {
    BOOST_TEST((shell("sleep 60", {.seconds = 0.05}).how == ending::too_slow));
    BOOST_TEST((shell("exec >&- 2>&-; sleep 60", {.seconds = 0.05}).how == ending::too_slow));
    const auto much = shell("yes", {.most_output = 1000});
    BOOST_TEST((much.how == ending::too_much_output));
    BOOST_TEST(much.out.size() <= 1000U);
    BOOST_TEST(shell("printf 0123456789", {.most_output = 10}).ok());
    const auto loud = shell("yes >&2 & yes >&2 & sleep 0.2", {.seconds = 20});  // what writes on ends with it
    BOOST_TEST(loud.ok());
    BOOST_TEST(loud.err.size() <= (std::size_t{64} << 10));
    int asked = 0;
    BOOST_TEST((shell("sleep 60", {.keep_going = [&] { return ++asked < 2; }}).how == ending::stopped));
}

BOOST_AUTO_TEST_CASE(memory_is_bounded) {
    // The bound reaches the program a moment after its start, so it waits that moment.
    const auto r = shell("sleep 0.2; x=0123456789abcdef; while :; do x=$x$x; done",
                         {.memory = std::size_t{256} << 20, .seconds = 30});
    BOOST_TEST((r.how != ending::too_slow));
    BOOST_TEST(!r.ok());
}

BOOST_AUTO_TEST_CASE(what_it_started_dies_with_it) {
    const test::temporary_folder folder;
    const auto mark = (folder / "mark").string();
    const auto r = shell("(sleep 0.4; touch '" + mark + "') & echo started", {.seconds = 20});
    BOOST_TEST(r.out == "started\n");  // the one left behind holds the output open: nobody waits for it
    (void)shell("(sleep 0.4; touch '" + mark + "') & sleep 60", {.seconds = 0.05});
    std::this_thread::sleep_for(std::chrono::milliseconds(700));
    BOOST_TEST(!std::filesystem::exists(mark));
}

BOOST_AUTO_TEST_CASE(programs_are_found_as_a_shell_does) {
    BOOST_TEST(find_program("sh").has_value());
    BOOST_TEST(!find_program("lab-no-such-program").has_value());
    BOOST_TEST(find_program("/bin/sh").has_value());
    BOOST_TEST(!find_program("/etc/passwd").has_value());
    BOOST_CHECK_THROW((void)run_process("/no/such/program", {}), io_error);
}

BOOST_AUTO_TEST_SUITE_END()
