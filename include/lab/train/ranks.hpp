// Processes that train one model together (ranks, as MPI calls them), as the trainer sees them: their number, and one
// exchange of bytes from which everything else here is made. Sums over ranks run over a fixed tree, pairs of neighbours
// first, so that they do not depend on who was quicker. A transport is a model of RankGroup (dist/mpi.hpp is one).
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/tensor.hpp"
#include "lab/core/thread_pool.hpp"

namespace lab::train {

using bytes_out = std::span<const std::span<const std::byte>>;  // [ranks] what goes to each
using bytes_in = std::span<const std::span<std::byte>>;         // [ranks] where what comes from each is put

/// A transport between `size()` processes, of which this is number `rank()`. All of them call `begin` and `end` in the
/// same order; what one sends has the length that the other expects, and a rank's entry for itself is empty.
/// `end(slot)` returns when the exchange begun with that slot (0 or 1) is over; until then its memory is left alone.
/// @throws io_error where another rank no longer answers
template <class G>
concept RankGroup = requires(G& g, const G& c, bytes_out out, bytes_in in, std::size_t slot) {
    { c.rank() } -> std::convertible_to<std::size_t>;
    { c.size() } -> std::convertible_to<std::size_t>;
    {g.begin(out, in, slot)};
    {g.end(slot)};
};

/// Where each rank's part of `count` values begins, [ranks + 1], in multiples of `grain`; only the first rank's is
/// never empty.
[[nodiscard]] inline std::vector<std::size_t> parts_of(std::size_t count, std::size_t ranks, std::size_t grain) {
    const std::size_t grains = (count + grain - 1) / grain;
    std::vector<std::size_t> bounds;
    for (std::size_t r = 0; r <= ranks; ++r)
        bounds.push_back(std::min(count, (grains * r + ranks - 1) / ranks * grain));
    return bounds;
}

/// Thrown by the ranks beside one that threw something else.
struct other_rank_failed : error {
    other_rank_failed() : error("another rank has failed") {}
};

/// Any transport, or none: then there is one rank, and every call below returns at once.
class any_ranks {
public:
    any_ranks() = default;
    template <RankGroup G>
    explicit any_ranks(std::shared_ptr<G> group)
        : rank_(group->rank()), size_(group->size()), group_(std::make_shared<holder<G>>(std::move(group))) {}

    [[nodiscard]] std::size_t rank() const { return rank_; }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool alone() const { return size_ == 1; }
    [[nodiscard]] bool first() const { return rank_ == 0; }

    /// Every rank's part of the values for all of them, in pieces that keep the transport's memory small.
    template <class T>
    void gather(std::span<T> values, std::span<const std::size_t> bounds) const {
        deliver(std::span<const T>(part(values, bounds, rank_)), values, bounds, [](std::size_t) { return true; });
    }
    /// The same for the first rank alone: `own` parts make its `all`, which the others leave empty.
    template <class T>
    void collect(std::span<const T> own, std::span<T> all, std::span<const std::size_t> bounds) const {
        if (first()) std::copy(own.begin(), own.end(), all.begin());
        deliver(own, all, bounds, [](std::size_t to) { return to == 0; });
    }
    /// Values of which each is given by one rank, the others having 0 there: all of them for all.
    void merge(std::span<double> values) const {
        if (alone()) return;
        std::vector<double> all(size_ * values.size());
        std::vector<std::size_t> bounds;
        for (std::size_t r = 0; r <= size_; ++r) bounds.push_back(r * values.size());
        std::copy(values.begin(), values.end(), all.begin() + static_cast<std::ptrdiff_t>(bounds[rank_]));
        gather(std::span(all), bounds);
        for (std::size_t r = 0; r < size_; ++r)
            for (std::size_t i = 0; i < values.size(); ++i)
                if (all[bounds[r] + i] != 0) values[i] = all[bounds[r] + i];
    }
    /// Whether any rank says so.
    [[nodiscard]] bool any(bool mine) const {
        std::vector<double> said(size_);
        said[rank_] = mine ? 1.0 : 0.0;
        merge(said);
        return std::any_of(said.begin(), said.end(), [](double s) { return s != 0; });
    }
    /// Whether all say the same number.
    [[nodiscard]] bool same(std::uint64_t mine) const {
        std::vector<double> halves(2 * size_);
        halves[2 * rank_] = static_cast<double>(mine >> 32);
        halves[2 * rank_ + 1] = static_cast<double>(mine & 0xffffffffu);
        merge(halves);
        for (std::size_t i = 2; i < halves.size(); ++i)
            if (halves[i] != halves[i - 2]) return false;
        return true;
    }
    /// What the first rank says.
    [[nodiscard]] bool by_first(bool mine) const { return any(first() && mine); }
    /// Returns when all ranks are here.
    void meet() const { static_cast<void>(any(false)); }
    /// Calls f() on every rank and waits for all. Where one throws, all do: it what it threw, the others
    /// other_rank_failed.
    template <class F>
    void together(F&& f) const {
        std::exception_ptr fault;
        try {
            f();
        } catch (...) {
            fault = std::current_exception();
        }
        const bool failed = any(fault != nullptr);
        if (fault) std::rethrow_exception(fault);
        if (failed) throw other_rank_failed();
    }

    /// Of `values` this rank's part becomes its sum over the ranks; the rest is left as it is.
    void sum_parts(std::span<float> values, std::span<const std::size_t> bounds, thread_pool* pool = nullptr) const {
        if (alone()) return;
        const std::size_t own = bounds[rank_ + 1] - bounds[rank_];
        std::array<aligned_buffer<float>, 2> received;
        for (auto& r : received) r = aligned_buffer<float>(size_ * std::min(own, piece));
        const auto arrived = [&](std::size_t p, std::size_t from) {
            return std::span(received[p % 2].data() + from * std::min(own, piece), length(own, p));
        };
        const auto begin = [&](std::size_t p) {
            std::vector<std::span<const std::byte>> out(size_);
            std::vector<std::span<std::byte>> in(size_);
            for (std::size_t r = 0; r < size_; ++r) {
                if (r == rank_) continue;
                const auto theirs = part(values, bounds, r);
                out[r] = std::as_bytes(theirs.subspan(std::min(theirs.size(), p * piece), length(theirs.size(), p)));
                in[r] = std::as_writable_bytes(arrived(p, r));
            }
            group_->begin(out, in, p % 2);
        };
        const std::size_t count = pieces(bounds);
        begin(0);
        for (std::size_t p = 0; p < count; ++p) {  // one piece is added up while the next one is on its way
            if (p + 1 < count) begin(p + 1);
            group_->end(p % 2);
            if (length(own, p) == 0) continue;
            std::vector<float*> terms;
            for (std::size_t r = 0; r < size_; ++r)
                terms.push_back(r == rank_ ? part(values, bounds, r).data() + p * piece : arrived(p, r).data());
            float* sum = part(values, bounds, rank_).data() + p * piece;
            parallel_for(pool, length(own, p), 4096,
                         [&](std::size_t from, std::size_t to, std::size_t) { add_tree(terms, sum, from, to); });
        }
    }

private:
    static constexpr std::size_t piece = std::size_t{1} << 20;  // values of a rank's part that travel at once

    struct transport {
        virtual ~transport() = default;
        virtual void begin(bytes_out out, bytes_in in, std::size_t slot) = 0;
        virtual void end(std::size_t slot) = 0;
    };
    template <class G>
    struct holder final : transport {
        explicit holder(std::shared_ptr<G> g) : group(std::move(g)) {}
        void begin(bytes_out out, bytes_in in, std::size_t slot) override { group->begin(out, in, slot); }
        void end(std::size_t slot) override { group->end(slot); }
        std::shared_ptr<G> group;
    };

    template <class T>
    [[nodiscard]] static std::span<T> part(std::span<T> values, std::span<const std::size_t> bounds, std::size_t r) {
        return values.subspan(bounds[r], bounds[r + 1] - bounds[r]);
    }
    /// Of the p-th piece of a part of so many values.
    [[nodiscard]] static std::size_t length(std::size_t part, std::size_t p) {
        return std::min(piece, part - std::min(part, p * piece));
    }
    [[nodiscard]] std::size_t pieces(std::span<const std::size_t> bounds) const {
        std::size_t most = 0;
        for (std::size_t r = 0; r < size_; ++r) most = std::max(most, bounds[r + 1] - bounds[r]);
        return (most + piece - 1) / piece;
    }
    /// `own` goes to the ranks that `wants` names, into their `all`.
    template <class T, class Wants>
    void deliver(std::span<const T> own, std::span<T> all, std::span<const std::size_t> bounds, Wants&& wants) const {
        if (alone()) return;
        for (std::size_t p = 0; p < pieces(bounds); ++p) {
            std::vector<std::span<const std::byte>> out(size_);
            std::vector<std::span<std::byte>> in(size_);
            for (std::size_t r = 0; r < size_; ++r) {
                if (r == rank_) continue;
                if (wants(r))
                    out[r] = std::as_bytes(own.subspan(std::min(own.size(), p * piece), length(own.size(), p)));
                if (!wants(rank_)) continue;
                const auto theirs = part(all, bounds, r);
                in[r] = std::as_writable_bytes(
                    theirs.subspan(std::min(theirs.size(), p * piece), length(theirs.size(), p)));
            }
            group_->begin(out, in, 0);
            group_->end(0);
        }
    }
    /// sum[i] = (t0[i] + t1[i]) + (t2[i] + t3[i]) ..., for i in [from, to). The terms are written over.
    static void add_tree(std::span<float* const> terms, float* sum, std::size_t from, std::size_t to) {
        for (std::size_t step = 1; step < terms.size(); step *= 2)
            for (std::size_t t = 0; t + step < terms.size(); t += 2 * step)
                for (std::size_t i = from; i < to; ++i) terms[t][i] += terms[t + step][i];
        if (sum != terms[0]) std::copy(terms[0] + from, terms[0] + to, sum + from);
    }

    std::size_t rank_ = 0, size_ = 1;
    std::shared_ptr<transport> group_;
};

}  // namespace lab::train
