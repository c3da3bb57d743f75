// lab-train as several processes (mpirun -n N lab-train ...): the first rank speaks, all compute, a failure ends all.
#pragma once

#include <chrono>
#include <csignal>
#include <exception>
#include <iostream>
#include <memory>
#include <streambuf>
#include <string>
#include <string_view>
#include <thread>

#include "common/alone.hpp"
#include "common/cli.hpp"
#include "common/stop.hpp"
#include "lab/train/ranks.hpp"
#ifdef LAB_MPI
#include "lab/dist/mpi.hpp"
#endif

namespace lab::apps {

struct rank_place {
    train::any_ranks ranks{};
    std::size_t threads = 0;  // that a rank may keep busy; 0: one per processor
    std::size_t here = 1;     // ranks on this machine
};

#ifdef LAB_MPI
/// run_app for a body that is told its place among the ranks, in every process.
template <class F>
int run_on_ranks(std::string_view name, F&& body) {
    if (!dist::started_by_mpi()) return run_app(name, [&] { return body(rank_place{}); });
    const auto group = std::make_shared<dist::mpi_group>();
    std::signal(SIGUSR1, ask_to_stop);  // mpirun passes it on, and kills too soon after SIGTERM and Ctrl-C
    if (group->size() == 1)
        return run_app(name, [&] {
            require_alone("the launcher is not of the MPI that it was built with: use that one's mpirun");
            return body(rank_place{});
        });
    struct : std::streambuf {
        int overflow(int c) override { return c == traits_type::eof() ? 0 : c; }
    } nowhere;
    std::streambuf* const out = std::cout.rdbuf();
    if (group->rank() != 0) std::cout.rdbuf(&nowhere);
    const auto who =
        group->rank() == 0 ? std::string(name) : std::string(name) + ", rank " + std::to_string(group->rank());
    const int code = run_app(who, [&] {
        // Another rank, or the first with the same words, says what is wrong and ends all; if not, this one does.
        try {
            const auto share = group->share();
            return body(rank_place{train::any_ranks(group), share.threads, share.ranks});
        } catch (const std::exception& fault) {
            if (dynamic_cast<const train::other_rank_failed*>(&fault) != nullptr ||
                (is_wrong_call(fault) && group->rank() != 0))
                std::this_thread::sleep_for(std::chrono::seconds(2));
            throw;
        }
    });
    std::cout.rdbuf(out);
    if (code != 0 && code < 128) dist::mpi_group::abort(code);
    return code;
}
#else
template <class F>
int run_on_ranks(std::string_view name, F&& body) {
    return run_app(name, [&] {
        require_alone("it was built without MPI: install libopenmpi-dev and build again, or start it alone");
        return body(rank_place{});
    });
}
#endif

}  // namespace lab::apps
