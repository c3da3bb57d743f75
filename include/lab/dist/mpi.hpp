// Ranks over MPI (MPI-3.1; made and tested with Open MPI): the transport of train/ranks.hpp between the processes that
// mpirun started. Link lab::mpi. One object for a process, used by the thread that made it.
#pragma once

#include <mpi.h>
#include <sched.h>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/train/ranks.hpp"

namespace lab::dist {

/// Whether mpirun, or a launcher like it, started this process: whether to make an mpi_group.
[[nodiscard]] inline bool started_by_mpi() {
    for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"})
        if (std::getenv(name) != nullptr) return true;
    return false;
}

class mpi_group {
public:
    /// @throws io_error
    mpi_group() {
        int provided = 0, size = 0;
        if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS)
            throw io_error("MPI cannot be started");
        MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
        check(MPI_Comm_rank(MPI_COMM_WORLD, &rank_));
        check(MPI_Comm_size(MPI_COMM_WORLD, &size));
        size_ = static_cast<std::size_t>(size);
    }
    mpi_group(const mpi_group&) = delete;
    mpi_group& operator=(const mpi_group&) = delete;
    ~mpi_group() { MPI_Finalize(); }

    [[nodiscard]] std::size_t rank() const { return static_cast<std::size_t>(rank_); }
    [[nodiscard]] std::size_t size() const { return size_; }
    /// Ends all ranks at once: this one has failed, and the others would wait for it.
    [[noreturn]] static void abort(int code) {
        MPI_Abort(MPI_COMM_WORLD, code);
        std::_Exit(code);
    }
    /// What this rank may have of its machine: how many ranks share its memory, and the threads that it may keep busy,
    /// its share of the processors that it and others are bound to.
    struct machine_share {
        std::size_t ranks, threads;
    };
    [[nodiscard]] machine_share share() const {
        MPI_Comm machine;
        int ranks_here = 1;
        check(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &machine));
        check(MPI_Comm_size(machine, &ranks_here));
        cpu_set_t mine;
        CPU_ZERO(&mine);
        static_cast<void>(::sched_getaffinity(0, sizeof mine, &mine));
        std::vector<cpu_set_t> bound(static_cast<std::size_t>(ranks_here));
        check(MPI_Allgather(&mine, sizeof mine, MPI_BYTE, bound.data(), sizeof mine, MPI_BYTE, machine));
        check(MPI_Comm_free(&machine));
        const auto sharing =
            std::count_if(bound.begin(), bound.end(), [&](const cpu_set_t& other) { return CPU_EQUAL(&mine, &other); });
        return {bound.size(), static_cast<std::size_t>(std::max<std::ptrdiff_t>(1, CPU_COUNT(&mine) / sharing))};
    }

    void begin(train::bytes_out out, train::bytes_in in, std::size_t slot) {
        auto& requests = requests_[slot];
        for (std::size_t r = 0; r < size_; ++r) {
            const int other = static_cast<int>(r), tag = static_cast<int>(slot);
            if (!in[r].empty())
                check(MPI_Irecv(in[r].data(), static_cast<int>(in[r].size()), MPI_BYTE, other, tag, MPI_COMM_WORLD,
                                &requests.emplace_back()));
            if (!out[r].empty())
                check(MPI_Isend(out[r].data(), static_cast<int>(out[r].size()), MPI_BYTE, other, tag, MPI_COMM_WORLD,
                                &requests.emplace_back()));
        }
    }
    /// Asks again and again instead of waiting inside MPI, which would keep a processor busy for as long as the first
    /// rank asks its questions.
    void end(std::size_t slot) {
        auto& requests = requests_[slot];
        constexpr auto longest = std::chrono::microseconds(1000);
        auto pause = std::chrono::microseconds(0);
        for (int tries = 0, done = 0;; ++tries) {
            check(MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE));
            if (done != 0) break;
            if (tries < 1000) continue;
            std::this_thread::sleep_for(pause);
            pause = std::min(longest, pause + std::chrono::microseconds(10));
        }
        requests.clear();
    }

private:
    static void check(int code) {
        if (code == MPI_SUCCESS) return;
        std::array<char, MPI_MAX_ERROR_STRING> text{};
        int length = 0;
        MPI_Error_string(code, text.data(), &length);
        throw io_error(explain("another rank no longer answers",
                               std::string(text.data(), static_cast<std::size_t>(length)),
                               "resume from the newest checkpoint"));
    }

    int rank_ = 0;
    std::size_t size_ = 1;
    std::array<std::vector<MPI_Request>, 2> requests_;
};
static_assert(train::RankGroup<mpi_group>);

}  // namespace lab::dist
