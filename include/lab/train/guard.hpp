// Watches a run's losses and gradient norms: a step whose loss or norm is not finite, or lies above a multiple of its
// running median, is not taken (Pascanu et al. 2013 clip such steps; PaLM, arXiv:2204.02311, skips the data). Medians
// are over the last steps that were taken, in this phase. A step refused is always told; too many in a row end the run.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/formats/json.hpp"

namespace lab::train {

struct guard_options {
    double norm_factor = 0;         // times the median norm; 0: norms are not judged
    double loss_factor = 0;         // times the median loss; 0: losses are not judged
    std::size_t window = 50;        // steps whose median counts
    std::size_t least = 10;         // steps taken before one is judged
    std::size_t most_skipped = 10;  // in a row; one more ends the run

    [[nodiscard]] bool on() const { return norm_factor > 0 || loss_factor > 0; }
};

class step_guard {
public:
    /// @throws config_error where the options contradict each other
    explicit step_guard(guard_options options = {}) : options_(options) {
        const auto is_factor = [](double f) { return f == 0 || (f > 1 && std::isfinite(f)); };
        if (!is_factor(options.norm_factor) || !is_factor(options.loss_factor))
            throw config_error("guard: a step is refused above a multiple of the median, larger than 1 (try 5)");
        if (options.window == 0 || options.least > options.window)
            throw config_error("guard: the window holds at least as many steps as are taken before one is judged");
    }

    [[nodiscard]] const guard_options& options() const { return options_; }
    /// Forgets the medians: a new phase.
    void reset() { losses_.clear(), norms_.clear(), in_a_row_ = 0; }

    /// Why a step must not be taken; empty where it may, and then it counts for the medians.
    [[nodiscard]] std::string judge(double loss, double norm) {
        std::string why = fault(loss, norm);
        if (!why.empty()) {
            ++in_a_row_;
            return why;
        }
        in_a_row_ = 0;
        for (auto [list, value] : {std::pair{&losses_, loss}, {&norms_, norm}}) {
            list->push_back(value);
            if (list->size() > options_.window) list->pop_front();
        }
        return why;
    }
    /// More steps in a row were refused than one may call spikes.
    [[nodiscard]] bool exhausted() const { return in_a_row_ > options_.most_skipped; }
    [[nodiscard]] double median_loss() const { return median(losses_); }
    [[nodiscard]] double median_norm() const { return median(norms_); }

    [[nodiscard]] formats::json state() const {
        return {{"losses", losses_}, {"norms", norms_}, {"in_a_row", in_a_row_}};
    }
    /// @throws format_error
    void restore(const formats::json& state, const std::string& place) {
        const auto list = [&](const char* name) {
            const auto values = formats::field<std::vector<double>>(state, name, place);
            if (values.size() > options_.window) throw format_error(explain(place, "the guard's window is longer"));
            return std::deque<double>(values.begin(), values.end());
        };
        losses_ = list("losses");
        norms_ = list("norms");
        in_a_row_ = formats::field<std::size_t>(state, "in_a_row", place);
    }
    /// Settings that change results.
    [[nodiscard]] formats::json describe() const {
        return {{"norm_factor", options_.norm_factor},
                {"loss_factor", options_.loss_factor},
                {"window", options_.window},
                {"least", options_.least},
                {"most_skipped", options_.most_skipped}};
    }

private:
    [[nodiscard]] static double median(const std::deque<double>& values) {
        if (values.empty()) return 0;
        std::vector<double> sorted(values.begin(), values.end());
        const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
        std::nth_element(sorted.begin(), middle, sorted.end());
        if (sorted.size() % 2 == 1) return *middle;
        return (*middle + *std::max_element(sorted.begin(), middle)) / 2;
    }
    [[nodiscard]] std::string fault(double loss, double norm) const {
        if (!std::isfinite(loss)) return "the loss is not finite";
        if (!std::isfinite(norm)) return "the gradient is not finite";
        if (norms_.size() < options_.least) return {};
        const auto above = [](double value, double factor, double middle) {
            return factor > 0 && middle > 0 && value > factor * middle;
        };
        if (above(norm, options_.norm_factor, median_norm())) return "the gradient's norm is far above its median";
        if (above(loss, options_.loss_factor, median_loss())) return "the loss is far above its median";
        return {};
    }

    guard_options options_;
    std::deque<double> losses_, norms_;
    std::size_t in_a_row_ = 0;
};

}  // namespace lab::train
