// How far a judge can be trusted, measured on the seeds: scores of what is known to be right against scores of the same
// with answers exchanged. AUC (the chance that a right one scores above a wrong one) and the threshold with the best
// balance (Youden's J). A judge whose AUC is low still has its scores recorded, but refuses nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "lab/formats/json.hpp"

namespace lab::sdg {

struct calibration {
    double auc = 0.5;
    double threshold = 0;                   // score >= threshold passes
    double right_kept = 0, wrong_kept = 0;  // shares of the two groups that the threshold lets pass
    std::size_t right = 0, wrong = 0;
    bool trusted = false;

    [[nodiscard]] formats::json to_json() const {
        return {{"auc", auc},     {"threshold", threshold}, {"right_kept", right_kept}, {"wrong_kept", wrong_kept},
                {"right", right}, {"wrong", wrong},         {"trusted", trusted}};
    }
};

/// @param least_auc below it, or with fewer than four scores on a side, the judge is not trusted
[[nodiscard]] inline calibration calibrate(std::span<const double> right, std::span<const double> wrong,
                                           double least_auc) {
    calibration c;
    c.right = right.size();
    c.wrong = wrong.size();
    if (right.empty() || wrong.empty()) return c;
    double wins = 0;
    for (const double r : right)
        for (const double w : wrong) wins += r > w ? 1.0 : r == w ? 0.5 : 0.0;
    c.auc = wins / (static_cast<double>(right.size()) * static_cast<double>(wrong.size()));
    std::vector<double> all(right.begin(), right.end());
    all.insert(all.end(), wrong.begin(), wrong.end());
    std::sort(all.begin(), all.end());
    const auto kept = [](std::span<const double> scores, double t) {
        return static_cast<double>(std::count_if(scores.begin(), scores.end(), [&](double s) { return s >= t; })) /
               static_cast<double>(scores.size());
    };
    double best = -1;
    for (std::size_t i = 0; i < all.size(); ++i) {
        const double t = i == 0 ? all[0] : all[i - 1] + (all[i] - all[i - 1]) / 2;
        const double r = kept(right, t), w = kept(wrong, t);
        if (r - w > best + 1e-12) best = r - w, c.threshold = t, c.right_kept = r, c.wrong_kept = w;
    }
    c.trusted = c.auc >= least_auc && right.size() >= 4 && wrong.size() >= 4;
    return c;
}

}  // namespace lab::sdg
