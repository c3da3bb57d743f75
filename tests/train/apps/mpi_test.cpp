// lab-train as several processes under mpirun: the same bytes for any number of them, and what happens when one is
// lost.
#include "lab/dist/mpi.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <csignal>
#include <cstdlib>
#include <fstream>

#include "support/data.hpp"
#include "support/process.hpp"
#include "train/apps/workplace.hpp"

BOOST_AUTO_TEST_SUITE(train_mpi)

using namespace lab;
using test::workplace;

namespace {

const std::vector<std::string> four_shards{"--shards", "4", "--micro-batch", "24", "--threads", "1"};

std::vector<std::string> with(std::vector<std::string> command, const std::vector<std::string>& more) {
    command.insert(command.end(), more.begin(), more.end());
    return command;
}
void set_environment() {
    for (const char* name : {"OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"})  // as in a container
        ::setenv(name, "1", 1);
    ::setenv("ASAN_OPTIONS", "detect_leaks=0", 0);  // Open MPI keeps what it has until the end
}
std::vector<std::string> on_processes(std::size_t count, const std::vector<std::string>& command) {
    set_environment();
    return with({LAB_MPIRUN, "--oversubscribe", "--bind-to", "none", "-n", std::to_string(count)}, command);
}
/// Processes of lab-train that write to this folder.
std::vector<pid_t> processes_of(const std::filesystem::path& out) {
    std::vector<pid_t> found;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
        const std::string name = entry.path().filename().string();
        if (name.find_first_not_of("0123456789") != std::string::npos) continue;
        std::ifstream file(entry.path() / "cmdline");
        const std::string command((std::istreambuf_iterator<char>(file)), {});
        if (command.starts_with(LAB_TRAIN_APP) && command.find(out.string()) != std::string::npos)
            found.push_back(static_cast<pid_t>(std::stol(name)));
    }
    std::sort(found.begin(), found.end());
    return found;
}
/// Whether a run has taken so many steps.
auto has_steps(const std::filesystem::path& out, std::size_t steps) {
    return [=] {
        std::ifstream file(out / "metrics.jsonl");
        std::size_t lines = 0;
        for (std::string line; std::getline(file, line);) lines += line.find("\"event\":\"step\"") != std::string::npos;
        return lines >= steps;
    };
}
void check_same(const workplace& w, const std::string& a, const std::string& b) {
    for (const char* name : {"model.gguf", "model/model.safetensors", "metrics.jsonl", "forgetting.json"})
        BOOST_TEST((read_file(w.folder / (a + "/" + name)) == read_file(w.folder / (b + "/" + name))),
                   a << ' ' << name);
}

}  // namespace

BOOST_AUTO_TEST_CASE(any_number_of_processes_writes_the_bytes_of_one) {
    const workplace w;
    const auto alone = w.run(w.train("alone", four_shards));
    BOOST_REQUIRE_MESSAGE(alone.code == 0, alone.err);
    for (const std::size_t count : {2u, 4u}) {
        const auto out = "on" + std::to_string(count);
        const auto many = w.run(on_processes(count, w.train(out, four_shards)));
        BOOST_REQUIRE_MESSAGE(many.code == 0, many.err);
        check_same(w, out, "alone");
        BOOST_TEST(many.out.find("Trained ") == many.out.rfind("Trained "));  // one of them speaks
    }
}

BOOST_AUTO_TEST_CASE(two_network_namespaces_write_the_bytes_of_one_machine) {
    const workplace w;
    set_environment();
    const auto apart =
        w.run(with({LAB_SOURCE_DIR "/tests/train/apps/two_namespaces", LAB_MPIRUN}, w.train("apart", four_shards)));
    if (apart.code == 77) {
        BOOST_TEST_MESSAGE(apart.err);
        return;
    }
    BOOST_REQUIRE_MESSAGE(apart.code == 0, apart.err);
    const auto alone = w.run(w.train("alone", four_shards));
    BOOST_REQUIRE_MESSAGE(alone.code == 0, alone.err);
    check_same(w, "apart", "alone");
}

// What draws at random, measures and averages: dropout, noise on the embeddings, held-out losses, preferences.
BOOST_AUTO_TEST_CASE(draws_and_measures_do_not_depend_on_the_processes) {
    const workplace w;
    const auto pairs = (w.folder / "pairs.jsonl").string();
    std::ofstream file(pairs);
    for (const char* q : {"a", "bc", "def", "ghij", "klmno"})
        file << R"({"prompt":")" << q << R"(?","chosen":"yes, )" << q << R"(","rejected":"no"})"
             << "\n";
    file.close();
    const auto options = with(four_shards, {"--lora", "4", "--lora-dropout", "0.2", "--neftune", "5", "--optimizer",
                                            "sgd", "--heldout-every", "2", "--result", "best", "--preferences", pairs});
    const auto alone = w.run(w.train("alone", options));
    BOOST_REQUIRE_MESSAGE(alone.code == 0, alone.err);
    const auto many = w.run(on_processes(2, w.train("many", options)));
    BOOST_REQUIRE_MESSAGE(many.code == 0, many.err);
    check_same(w, "many", "alone");
}

BOOST_AUTO_TEST_CASE(a_lost_process_ends_the_run_which_then_goes_on) {
    const workplace w;
    BOOST_REQUIRE(w.run(w.train("alone", four_shards)).code == 0);
    const auto out = w.folder / "lost";
    const auto options = with(four_shards, {"--resume", "--checkpoint-minutes", "0"});
    pid_t victim = 0;
    const auto kill_one = [&, ready = has_steps(out, 3)] {
        if (victim != 0 || !ready()) return false;
        const auto found = processes_of(out);
        if (found.size() < 2) return false;
        ::kill(victim = found.back(), SIGKILL);
        return false;
    };
    const auto lost = test::execute(on_processes(2, w.train("lost", options)), w.folder.path(), kill_one);
    BOOST_TEST(victim != 0);
    BOOST_TEST(lost.code != 0);
    const auto rest = w.run(on_processes(4, w.train("lost", options)));
    BOOST_REQUIRE_MESSAGE(rest.code == 0, rest.err);
    check_same(w, "lost", "alone");
}

BOOST_AUTO_TEST_CASE(asked_to_stop_all_of_them_save_and_end) {
    const workplace w;
    BOOST_REQUIRE(w.run(w.train("alone", four_shards)).code == 0);
    const auto out = w.folder / "stopped";
    const auto stopped =
        test::execute(on_processes(2, w.train("stopped", four_shards)), w.folder.path(), has_steps(out, 2), SIGUSR1);
    BOOST_TEST(stopped.code != 0);
    BOOST_TEST(stopped.err.find("nothing is lost") != std::string::npos, stopped.err);
    const auto rest = w.run(w.train("stopped", with(four_shards, {"--resume"})));
    BOOST_REQUIRE_MESSAGE(rest.code == 0, rest.err);
    check_same(w, "stopped", "alone");
}

BOOST_AUTO_TEST_CASE(what_fails_in_one_process_ends_all_with_its_words) {
    const workplace w;
    const auto shards = w.run(on_processes(2, w.train("odd", {"--shards", "3"})));
    BOOST_TEST(shards.code == 1);
    BOOST_TEST(shards.err.find("cannot be shared out among 2 ranks") != std::string::npos, shards.err);
    const auto usage = w.run(on_processes(2, {LAB_TRAIN_APP, "--data", w.data}));
    BOOST_TEST(usage.code == 2);
    auto both = w.train("wrong", four_shards);
    both.insert(both.end(), {":", "-n", "1"});  // the second is called with a file that only it lacks
    for (const auto& word : w.train("wrong", with(four_shards, {"--phases", "nowhere.yaml"}))) both.push_back(word);
    const auto second = w.run(on_processes(1, both));
    BOOST_TEST(second.code == 2);
    BOOST_TEST(second.err.find("rank 1: --phases nowhere.yaml is neither") != std::string::npos, second.err);
    const std::string words = "--out are needed";
    BOOST_TEST((usage.err.find(words) != std::string::npos && usage.err.find(words) == usage.err.rfind(words)),
               usage.err);
}

BOOST_AUTO_TEST_SUITE_END()
