#include "lab/core/thread_pool.hpp"

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

BOOST_AUTO_TEST_SUITE(thread_pool_tests)

using namespace lab;

namespace {

#if defined(__linux__)
/// Processors that the calling thread may run on; none where the system does not say.
std::vector<int> allowed() {
    cpu_set_t set;
    std::vector<int> out;
    if (::sched_getaffinity(0, sizeof set, &set) != 0) return out;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
        if (CPU_ISSET(static_cast<std::size_t>(cpu), &set)) out.push_back(cpu);
    return out;
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // sanitizers need all the addresses there are
/// In a process of its own that is left 200 MiB of addresses: 8 MiB a thread is too much for a thousand.
int refused_after_some_threads() {
    std::size_t pages = 0;
    if (std::FILE* file = std::fopen("/proc/self/statm", "r"); file != nullptr) {
        if (std::fscanf(file, "%zu", &pages) != 1) return 2;
        std::fclose(file);
    }
    const rlim_t bytes = pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) + (std::size_t{200} << 20);
    const rlimit limit{bytes, bytes};
    if (::setrlimit(RLIMIT_AS, &limit) != 0) return 3;
    try {
        thread_pool pool(1000);
    } catch (const config_error& fault) {
        const std::string text = fault.what();
        if (text.find("of 1000 threads the system gave ") == text.npos || text.find("ulimit") == text.npos) return 4;
        if (text.find("gave 1:") != text.npos) return 5;  // some were made, and are ended
        try {
            thread_pool pool(2);  // and leave room for others
            return pool.size() == 2 ? 0 : 6;
        } catch (...) {
            return 7;
        }
    }
    return 8;
}
#endif
#endif

}  // namespace

BOOST_AUTO_TEST_CASE(every_item_is_done_once_in_parts_of_the_grain) {
    for (const std::size_t threads : {1u, 2u, 3u, 5u}) {
        thread_pool pool(threads);
        for (const std::size_t count : {0u, 1u, 7u, 64u, 1000u})
            for (const std::size_t grain : {1u, 4u, 7u, 2000u})
                for (const bool shared : {false, true}) {
                    std::vector<int> done(count);
                    std::atomic<bool> right{true};  // Boost.Test's checks are for one thread
                    const auto body = [&](std::size_t begin, std::size_t end, std::size_t worker) {
                        if (begin % grain != 0 || (end % grain != 0 && end != count) || worker >= threads)
                            right = false;
                        for (std::size_t i = begin; i < end; ++i) ++done[i];
                    };
                    shared ? pool.share_out(count, grain, body) : pool.parallel_for(count, grain, body);
                    BOOST_REQUIRE(right);
                    for (const int times : done) BOOST_REQUIRE_EQUAL(times, 1);
                }
    }
}

BOOST_AUTO_TEST_CASE(many_short_loops_lose_nothing) {
    thread_pool pool(4);
    std::vector<std::size_t> sums(64);
    for (std::size_t round = 0; round < 20000; ++round)
        pool.share_out(64, 1, [&](std::size_t begin, std::size_t end, std::size_t) {
            for (std::size_t i = begin; i < end; ++i) sums[i] += round;
        });
    for (const std::size_t sum : sums) BOOST_TEST(sum == 19999u * 20000 / 2);
}

BOOST_AUTO_TEST_CASE(a_loop_within_a_loop_runs_serially_and_exceptions_come_out) {
    thread_pool pool(3);
    std::vector<int> done(30);
    pool.parallel_for(3, 1, [&](std::size_t begin, std::size_t end, std::size_t) {
        for (std::size_t i = begin; i < end; ++i)
            pool.share_out(10, 1, [&](std::size_t first, std::size_t last, std::size_t) {
                for (std::size_t j = first; j < last; ++j) ++done[10 * i + j];
            });
    });
    for (const int times : done) BOOST_TEST(times == 1);
    for (int round = 0; round < 100; ++round)
        BOOST_CHECK_THROW(pool.share_out(100, 1,
                                         [](std::size_t begin, std::size_t, std::size_t) {
                                             if (begin >= 50) throw std::runtime_error("part");
                                         }),
                          std::runtime_error);
}

#if defined(__linux__)
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
BOOST_AUTO_TEST_CASE(too_many_threads_are_an_error_and_not_the_end) {
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child == 0) ::_exit(refused_after_some_threads());
    int status = 0;
    BOOST_REQUIRE_EQUAL(::waitpid(child, &status, 0), child);
    BOOST_TEST(WIFEXITED(status));
    BOOST_TEST(WEXITSTATUS(status) == 0);
}
#endif

BOOST_AUTO_TEST_CASE(pinned_workers_keep_to_a_processor_each) {
    const auto before = allowed();
    BOOST_REQUIRE(!before.empty());
    thread_pool pool(thread_pool_options{.threads = 3, .pin = true});
    BOOST_TEST(pool.size() == 3u);
    BOOST_REQUIRE(pool.pinned());
    std::vector<std::vector<int>> where(3);
    std::atomic<std::size_t> here{0};
    pool.parallel_for(3, 1, [&](std::size_t, std::size_t, std::size_t worker) {
        ++here;
        while (here.load() != 3) std::this_thread::yield();  // so that each thread has one part
        where[worker] = allowed();
    });
    BOOST_TEST(where[0] == before, boost::test_tools::per_element());  // the caller
    for (const std::size_t worker : {1u, 2u}) {
        BOOST_REQUIRE(where[worker].size() == 1u);
        BOOST_TEST(where[worker][0] == before[worker % before.size()]);
    }
    BOOST_TEST(allowed() == before, boost::test_tools::per_element());
    std::vector<int> done(1000);
    pool.share_out(1000, 1, [&](std::size_t begin, std::size_t end, std::size_t) {
        for (std::size_t i = begin; i < end; ++i) ++done[i];
    });
    for (const int times : done) BOOST_TEST(times == 1);
    BOOST_TEST(!thread_pool(2).pinned());
}
#endif

BOOST_AUTO_TEST_SUITE_END()
