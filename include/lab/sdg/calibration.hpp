// How far a judge can be trusted: its scores of what is known to be right against its scores of what is known to be
// wrong. AUC (the chance that a right one scores above a wrong one) with Newcombe's interval ("Confidence intervals for
// an effect size measure based on the Mann-Whitney statistic, part 2", 2006, method 5), the ROC, a threshold of good
// balance (Youden's J) where scores leave the most room, each kind of wrong examples apart, and a leaf's own scores
// weighed against all others'. A judge that is not trusted still has its scores recorded, but refuses nothing.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <map>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "lab/formats/json.hpp"

namespace lab::sdg {

/// Scores by what the examples are: as they should be, or wrong in one of several kinds.
struct judge_scores {
    std::vector<double> right;
    std::map<std::string, std::vector<double>> wrong;

    [[nodiscard]] std::vector<double> all_wrong() const {
        std::vector<double> all;
        for (const auto& [kind, scores] : wrong) all.insert(all.end(), scores.begin(), scores.end());
        return all;
    }
};

/// What a threshold lets pass, the lowest of those that let pass the same: one corner of the ROC.
struct roc_point {
    double threshold = 0, right_kept = 0, wrong_kept = 0;
};

struct kind_result {
    double auc = 0.5, kept = 0;  // against this kind alone; the share of it that the threshold lets pass
    std::size_t examples = 0;
};

struct calibration {
    double auc = 0.5, low = 0, high = 1;    // 95 % interval
    double threshold = 0;                   // score >= threshold passes
    double right_kept = 0, wrong_kept = 0;  // shares of the two groups that the threshold lets pass
    std::size_t right = 0, wrong = 0;
    double weighed_auc = 0.5;  // what trust is decided by: the AUC, or a leaf's weighed against the other leaves'
    bool trusted = false;
    std::string weakness;  // why it is not trusted
    std::vector<roc_point> roc;
    std::map<std::string, kind_result> kinds;  // empty where only one kind was measured
    std::size_t unreadable = 0;                // examples to which the judge gave no verdict

    [[nodiscard]] formats::json to_json() const {
        formats::json out{{"auc", auc},
                          {"auc_interval", {low, high}},
                          {"threshold", threshold},
                          {"right_kept", right_kept},
                          {"wrong_kept", wrong_kept},
                          {"right", right},
                          {"wrong", wrong},
                          {"trusted", trusted}};
        if (!weakness.empty()) out["weakness"] = weakness;
        if (weighed_auc != auc) out["weighed_auc"] = weighed_auc;
        if (unreadable > 0) out["unreadable"] = unreadable;
        for (const auto& p : roc) out["roc"].push_back({p.threshold, p.right_kept, p.wrong_kept});
        for (const auto& [kind, k] : kinds)
            out["kinds"][kind] = {{"auc", k.auc}, {"kept", k.kept}, {"examples", k.examples}};
        return out;
    }
};

/// Chance that a right one scores above a wrong one, ties counted half; 0.5 where either is missing.
[[nodiscard]] inline double auc_of(std::span<const double> right, std::span<const double> wrong) {
    if (right.empty() || wrong.empty()) return 0.5;
    double wins = 0;
    for (const double r : right)
        for (const double w : wrong) wins += r > w ? 1.0 : r == w ? 0.5 : 0.0;
    return wins / (static_cast<double>(right.size()) * static_cast<double>(wrong.size()));
}

/// All a with |a - auc| <= 1.96 sqrt(a (1-a) (1 + (N-1) ((1-a)/(2-a) + a/(1+a))) / (m n)), N = (m+n)/2: unlike
/// Hanley and McNeil's it stays open where the AUC is 1.
/// @param right, wrong numbers of examples
[[nodiscard]] inline std::pair<double, double> auc_interval(double auc, std::size_t right, std::size_t wrong) {
    if (right == 0 || wrong == 0) return {0, 1};
    constexpr double z = 1.959963984540054;
    const double pairs = static_cast<double>(right) * static_cast<double>(wrong);
    const double half = static_cast<double>(right + wrong) / 2;
    const auto inside = [&](double a) {
        const double variance = a * (1 - a) * (1 + (half - 1) * ((1 - a) / (2 - a) + a / (1 + a))) / pairs;
        return std::abs(a - auc) <= z * std::sqrt(variance) + 1e-15;
    };
    const auto edge = [&](double out) {
        double in = auc;
        for (int i = 0; i < 60; ++i) {
            const double middle = in + (out - in) / 2;
            (inside(middle) ? in : out) = middle;
        }
        return in;
    };
    return {edge(0.0), edge(1.0)};
}

namespace detail {

[[nodiscard]] inline double share_kept(std::span<const double> scores, double threshold) {
    if (scores.empty()) return 0;
    const auto kept = std::count_if(scores.begin(), scores.end(), [&](double s) { return s >= threshold; });
    return static_cast<double>(kept) / static_cast<double>(scores.size());
}

/// A threshold, the width of the empty interval about it, Youden's J there and its variance.
struct cut {
    double threshold = 0, room = 0, balance = -2, variance = 0;
};
/// Every threshold that lets another set of these scores pass: the least score, and half-ways between neighbours.
[[nodiscard]] inline std::vector<cut> cuts_of(std::vector<double> scores) {
    std::sort(scores.begin(), scores.end());
    std::vector<cut> list;
    for (std::size_t i = 0; i < scores.size(); ++i) {
        const double room = i == 0 ? 0 : scores[i] - scores[i - 1];
        if (i == 0 || room > 0) list.push_back({scores[i] - room / 2, room});
    }
    return list;
}
/// Variance of a share of `n` examples, as if two more were in it and two were not (Agresti and Coull): not 0 where
/// all or none are.
[[nodiscard]] inline double share_variance(double share, double n) {
    const double p = (share * n + 2) / (n + 4);
    return p * (1 - p) / (n + 4);
}
/// Of the cuts that a few examples do not tell from the best, its balance less one standard error, the roomiest: a
/// score or two among the other group's do not draw the threshold there.
[[nodiscard]] inline cut chosen(std::span<const cut> cuts) {
    cut best, roomiest{.room = -1};
    for (const auto& c : cuts)
        if (c.balance > best.balance) best = c;
    const double least = best.balance - std::sqrt(best.variance);
    for (const auto& c : cuts)
        if (c.balance >= least && std::tie(c.room, c.balance) > std::tie(roomiest.room, roomiest.balance)) roomiest = c;
    return roomiest;
}

inline constexpr std::size_t least_examples = 4;

/// The place of the judge's weakest kind: it must lie above half-way from chance to the least AUC.
[[nodiscard]] inline std::string weakness_of(const calibration& c, double least_auc, std::size_t right,
                                             std::size_t wrong, const std::map<std::string, double>& kinds) {
    char text[160];
    if (right < least_examples || wrong < least_examples) {
        std::snprintf(text, sizeof text, "only %zu right and %zu wrong examples: %zu of each are needed", right, wrong,
                      least_examples);
        return text;
    }
    if (c.weighed_auc < least_auc) {
        std::snprintf(text, sizeof text, "too weak to judge: AUC %.2f [%.2f, %.2f], at least %.2f is asked",
                      c.weighed_auc, c.low, c.high, least_auc);
        return text;
    }
    for (const auto& [kind, auc] : kinds)
        if (auc < (0.5 + least_auc) / 2) {
            std::snprintf(text, sizeof text, "does not see what is wrong with '%s': AUC %.2f, at least %.2f is asked",
                          kind.c_str(), auc, (0.5 + least_auc) / 2);
            return text;
        }
    return {};
}

/// What the two have in common: figures of `own`, decided together with `others`, which count as `weight` examples.
[[nodiscard]] inline calibration calibrated(const judge_scores& own, const judge_scores* others, double weight,
                                            double least_auc) {
    const auto wrong = own.all_wrong();
    calibration c;
    c.right = own.right.size();
    c.wrong = wrong.size();
    c.auc = auc_of(own.right, wrong);
    std::tie(c.low, c.high) = auc_interval(c.auc, c.right, c.wrong);
    const auto other_wrong = others != nullptr ? others->all_wrong() : std::vector<double>{};
    const bool alone = others == nullptr || others->right.empty() || other_wrong.empty();
    // Weighed by the examples behind each: n of one's own against `weight` of all the others' together.
    const auto weighed = [&](double mine, std::size_t n, double theirs) {
        return alone ? mine : (static_cast<double>(n) * mine + weight * theirs) / (static_cast<double>(n) + weight);
    };
    c.weighed_auc = weighed(c.auc, c.right, alone ? 0.0 : auc_of(others->right, other_wrong));

    auto every = own.right;
    every.insert(every.end(), wrong.begin(), wrong.end());
    if (!alone) {
        every.insert(every.end(), others->right.begin(), others->right.end());
        every.insert(every.end(), other_wrong.begin(), other_wrong.end());
    }
    auto cuts = cuts_of(std::move(every));
    const double more = alone ? 0 : weight;
    for (auto& [t, room, balance, variance] : cuts) {
        const roc_point p{t, share_kept(own.right, t), share_kept(wrong, t)};
        if (c.roc.empty() || p.right_kept < c.roc.back().right_kept || p.wrong_kept < c.roc.back().wrong_kept)
            c.roc.push_back(p);
        const double r = weighed(p.right_kept, c.right, alone ? 0.0 : share_kept(others->right, t));
        const double w = weighed(p.wrong_kept, c.right, alone ? 0.0 : share_kept(other_wrong, t));
        balance = r - w;
        variance = share_variance(r, static_cast<double>(c.right) + more) +
                   share_variance(w, static_cast<double>(c.wrong) + more);
    }
    c.threshold = chosen(cuts).threshold;
    c.right_kept = share_kept(own.right, c.threshold);
    c.wrong_kept = share_kept(wrong, c.threshold);
    std::map<std::string, double> weighed_kinds;
    if (own.wrong.size() > 1)
        for (const auto& [kind, scores] : own.wrong) {
            c.kinds[kind] = {auc_of(own.right, scores), share_kept(scores, c.threshold), scores.size()};
            const auto at = alone ? own.wrong.end() : others->wrong.find(kind);
            const bool elsewhere = !alone && at != others->wrong.end();
            if (scores.size() + (elsewhere ? at->second.size() : 0) < least_examples) continue;
            weighed_kinds[kind] =
                elsewhere ? weighed(c.kinds[kind].auc, c.right, auc_of(others->right, at->second)) : c.kinds[kind].auc;
        }
    c.weakness = weakness_of(c, least_auc, c.right + (alone ? 0 : others->right.size()), c.wrong + other_wrong.size(),
                             weighed_kinds);
    c.trusted = c.weakness.empty();
    return c;
}

}  // namespace detail

/// @param least_auc below it, or with fewer than four scores on a side, the judge is not trusted; nor where it is
/// nearly blind to one of several kinds of which there are four
[[nodiscard]] inline calibration calibrate(const judge_scores& scores, double least_auc) {
    return detail::calibrated(scores, nullptr, 0, least_auc);
}
/// The same where all wrong ones are of one kind.
[[nodiscard]] inline calibration calibrate(std::span<const double> right, std::span<const double> wrong,
                                           double least_auc) {
    judge_scores scores{{right.begin(), right.end()}, {}};
    scores.wrong["wrong"].assign(wrong.begin(), wrong.end());
    return calibrate(scores, least_auc);
}
/// A leaf's own judge: a handful of seeds say little by themselves, so the shares kept and the AUCs are means of the
/// leaf's, with the weight of its right examples, and of all the other leaves', with the weight of `weight` examples.
[[nodiscard]] inline calibration calibrate_leaf(const judge_scores& own, const judge_scores& others, double least_auc,
                                                double weight = 5) {
    return detail::calibrated(own, &others, weight, least_auc);
}

}  // namespace lab::sdg
