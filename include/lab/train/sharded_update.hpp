// An optimizer whose state is shared out among ranks (ZeRO stage 1, arXiv:1910.02054): each rank adds up its part of
// the gradients over all ranks, moves that part of the parameters, and passes it to the others. The norm runs over the
// same tree as on one rank, so the bytes are the same. With one rank this is `optimizer_update`.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lab/core/tensor.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/optim/clip.hpp"
#include "lab/optim/groups.hpp"
#include "lab/train/optimizer.hpp"
#include "lab/train/ranks.hpp"
#include "lab/train/update.hpp"

namespace lab::train {

class sharded_update {
public:
    /// `tensors` cover the parameters in order, as optimizer_update's.
    sharded_update(const optimizer_options& options, const std::vector<optim::parameter_tensor>& tensors,
                   thread_pool* pool = nullptr, any_ranks ranks = {})
        : ranks_(std::move(ranks)),
          whole_(ranks_.alone() || options.kind == optimizer::adafactor),
          stateless_(options.kind == optimizer::sgd && options.sgd.momentum == 0),
          pool_(pool),
          bounds_(parts_of(size_of(tensors), ranks_.size(), optim::norm_leaf)),
          begin_(whole_ ? 0 : bounds_[ranks_.rank()]),
          end_(whole_ ? bounds_.back() : bounds_[ranks_.rank() + 1]),
          optimizer_(options, whole_ ? tensors : optim::cut(tensors, begin_, end_), pool) {}

    /// Adds the gradients up over the ranks first.
    [[nodiscard]] double norm(std::span<float> gradients) const {
        if (ranks_.alone()) return optimizer_.norm(gradients);
        ranks_.sum_parts(gradients, bounds_, pool_);
        if (whole_) ranks_.gather(gradients, bounds_);
        const std::size_t begin = bounds_[ranks_.rank()], end = bounds_[ranks_.rank() + 1];
        const auto leaf_of = [](std::size_t at) { return (at + optim::norm_leaf - 1) / optim::norm_leaf; };
        std::vector<std::size_t> leaves;
        for (const std::size_t b : bounds_) leaves.push_back(leaf_of(b));
        std::vector<double> sums(leaves.back());
        const auto own = optim::sums_of_squares(gradients.subspan(begin, end - begin), pool_);
        std::copy(own.begin(), own.end(), sums.begin() + static_cast<std::ptrdiff_t>(leaf_of(begin)));
        ranks_.gather(std::span(sums), leaves);
        return optim::norm_of(std::move(sums));
    }
    void step(std::span<float> parameters, std::span<const float> gradients, double learning_rate, double norm) {
        gathered_.clear();
        if (begin_ != end_)
            optimizer_.step(parameters.subspan(begin_, end_ - begin_), gradients.subspan(begin_, end_ - begin_),
                            learning_rate, norm);
        if (!whole_) ranks_.gather(parameters, bounds_);
    }
    void reset(std::size_t) { optimizer_.reset(end_ - begin_); }
    /// The first rank's are whole; the other ranks' are their parts.
    [[nodiscard]] std::vector<std::span<const float>> state() {
        if (whole_) return optimizer_.state();
        std::vector<std::span<const float>> all;
        gathered_.clear();
        for (const auto& own : optimizer_.state()) {
            all.push_back(own);
            if (stateless_) continue;
            std::span<float> values;
            if (ranks_.first()) {
                const auto& whole = gathered_.emplace_back(bounds_.back());
                all.back() = values = {whole.data(), whole.size()};
            }
            ranks_.collect(own, values, bounds_);
        }
        return all;
    }
    template <class Source>
    void restore(Source&& source) {
        if (whole_) return optimizer_.restore(source);
        optimizer_.restore([&](std::size_t array, std::size_t own) {
            return own == 0 ? std::span<const float>() : source(array, bounds_.back()).subspan(begin_, own);
        });
    }
    [[nodiscard]] std::size_t state_size() const { return optimizer_.state_size(); }
    /// Numbers that `state` gathers besides: the first rank's, until the next step.
    [[nodiscard]] std::size_t gathered_size() const {
        if (whole_ || stateless_ || !ranks_.first()) return 0;
        return optimizer_.state_size() / (end_ - begin_) * bounds_.back();
    }
    [[nodiscard]] std::uint64_t steps() const { return optimizer_.steps(); }
    void set_steps(std::uint64_t steps) { optimizer_.set_steps(steps); }
    [[nodiscard]] std::string describe() const { return optimizer_.describe(); }

private:
    [[nodiscard]] static std::size_t size_of(const std::vector<optim::parameter_tensor>& tensors) {
        std::size_t count = 0;
        for (const auto& t : tensors) count += t.size();
        return count;
    }

    any_ranks ranks_;
    bool whole_;  // every rank holds all of the state: alone, or it is small and not a part's own
    bool stateless_;
    thread_pool* pool_;
    std::vector<std::size_t> bounds_;  // of the ranks' parts
    std::size_t begin_, end_;          // of what the optimizer here moves
    optimizer_update optimizer_;
    std::vector<aligned_buffer<float>> gathered_;  // what `state` lists
};
static_assert(ParameterUpdate<sharded_update>);

}  // namespace lab::train
