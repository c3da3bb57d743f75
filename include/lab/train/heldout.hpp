// Samples whose loss is watched and never learnt: all together, and each phase's own, by the content that the phase
// trains on. From the own ones come early stopping (no new lowest loss for a while) and the guard against forgetting:
// after every phase the earlier phases' losses are compared with what they were when those phases ended.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/formats/json.hpp"
#include "lab/replay/packing.hpp"
#include "lab/replay/phase.hpp"
#include "lab/train/step.hpp"

namespace lab::train {

enum class regression_action : std::uint8_t { none, report, stop };

struct watch_options {
    std::size_t patience = 0;  // held-out losses in a row without a new lowest that end a phase; 0: none do
    regression_action regression = regression_action::none;
    double tolerance = 0.1;  // share by which an earlier phase's loss may rise

    [[nodiscard]] bool on() const { return patience != 0 || regression != regression_action::none; }
};

/// A phase raised an earlier one's held-out loss and the run was asked to stop there; its checkpoint is kept.
struct regression_error : error {
    using error::error;
};

class heldout_watch {
public:
    /// `own_losses`: phases' own losses are wanted for another reason too. @throws config_error
    explicit heldout_watch(watch_options options = {}, bool own_losses = false)
        : options_(options), on_(options.on() || own_losses) {
        if (!(options.tolerance >= 0)) throw config_error("held-out guard: the tolerance is not negative (try 0.1)");
    }
    [[nodiscard]] const watch_options& options() const { return options_; }
    [[nodiscard]] bool on() const { return on_; }

    void set(std::span<const replay::training_sample> samples, std::span<const replay::phase> phases,
             replay::length_buckets buckets, std::size_t micro_batch_tokens) {
        using list = std::vector<const replay::training_sample*>;
        list all;
        for (const auto& s : samples) all.push_back(&s);
        all_ = replay::pack(all, micro_batch_tokens);
        own_.assign(phases.size(), {});
        baselines_.assign(phases.size(), std::nullopt);
        for (std::size_t p = 0; p < phases.size() && on(); ++p) {
            list own;
            for (const auto* s : all)
                if (replay::intersects(phases[p].data, buckets.of(phases[p])(*s))) own.push_back(s);
            own_[p] = replay::pack(own, micro_batch_tokens);
        }
    }

    [[nodiscard]] bool empty() const { return all_.empty(); }
    [[nodiscard]] std::span<const replay::packed_batch> all() const { return all_; }
    /// A phase's own samples; all of them where it has none.
    [[nodiscard]] std::span<const replay::packed_batch> own(std::size_t phase) const {
        return own_[phase].empty() ? all_ : own_[phase];
    }

    void begin_phase() { best_.reset(), since_ = 0; }
    /// A held-out loss in mid-phase: true where the phase has lost its patience.
    [[nodiscard]] bool impatient(double loss) {
        if (std::isfinite(loss) && (!best_ || loss < *best_)) {
            best_ = loss;
            since_ = 0;
        } else {
            ++since_;
        }
        return options_.patience != 0 && since_ >= options_.patience;
    }
    [[nodiscard]] double best() const { return best_.value_or(0); }

    struct comparison {
        std::size_t phase = 0;
        double before = 0, now = 0;
        bool worse = false;
    };
    /// `phase` has ended: its own loss becomes what later ones are compared with, and it is itself compared.
    template <class Evaluate>
    [[nodiscard]] std::vector<comparison> compare(std::size_t phase, const Evaluate& evaluate) {
        std::vector<comparison> found;
        if (options_.regression == regression_action::none || own_.empty()) return found;
        for (std::size_t p = 0; p < phase; ++p) {
            if (!baselines_[p]) continue;
            const double now = evaluate(own_[p]);
            found.push_back({p, *baselines_[p], now, !(now <= *baselines_[p] * (1.0 + options_.tolerance))});
        }
        if (own_[phase].empty()) return found;
        if (const double own = evaluate(own_[phase]); std::isfinite(own)) baselines_[phase] = own;
        return found;
    }

    [[nodiscard]] formats::json state() const {
        formats::json baselines = formats::json::array();
        for (const auto& b : baselines_) baselines.push_back(b ? formats::json(*b) : formats::json());
        return {{"best", best_ ? formats::json(*best_) : formats::json()}, {"since", since_}, {"baselines", baselines}};
    }
    /// @throws format_error
    void restore(const formats::json& state, const std::string& place) {
        best_ = formats::optional_field<double>(state, "best", place);
        since_ = formats::field<std::size_t>(state, "since", place);
        const auto baselines = formats::field<std::vector<formats::json>>(state, "baselines", place);
        if (baselines.size() != baselines_.size())
            throw format_error(explain(place, "holds held-out losses of another number of phases"));
        for (std::size_t p = 0; p < baselines.size(); ++p) {
            baselines_[p].reset();
            if (baselines[p].is_number()) baselines_[p] = baselines[p].get<double>();
        }
    }
    /// Settings that change results.
    [[nodiscard]] formats::json describe() const {
        return {{"patience", options_.patience},
                {"regression", static_cast<int>(options_.regression)},
                {"tolerance", options_.tolerance}};
    }

private:
    watch_options options_;
    bool on_ = false;
    std::vector<replay::packed_batch> all_;
    std::vector<std::vector<replay::packed_batch>> own_;  // by phase
    std::vector<std::optional<double>> baselines_;        // by phase: its own loss when it ended
    std::optional<double> best_;
    std::size_t since_ = 0;
};

}  // namespace lab::train
