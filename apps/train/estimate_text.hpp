// What `lab-train --estimate` prints.
#pragma once

#include <cmath>
#include <cstdint>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "common/progress.hpp"
#include "lab/eval/report.hpp"
#include "lab/run/estimate.hpp"

namespace lab::apps {

[[nodiscard]] inline std::string gigabytes(std::uint64_t bytes) {
    std::ostringstream text;
    text << std::fixed << std::setprecision(2) << static_cast<double>(bytes) / 1e9 << " GB";
    return text.str();
}

/// Of a run that does not fit.
[[nodiscard]] inline std::string shortage_text(const run::training_estimate& e, const run::train_run_options& o) {
    std::string text =
        gigabytes(e.total()) + " are needed, " + gigabytes(e.available) + " are there. What saves memory:";
    for (const auto& [what, bytes] : run::savings(e, o)) text += "\n  " + what + "  saves " + gigabytes(bytes);
    return text;
}

inline void show_estimate(const run::training_estimate& e, const run::train_run_options& o, std::ostream& out) {
    std::vector<std::vector<std::string>> rows{{"memory", ""}};
    const auto row = [&](const std::string& name, std::uint64_t bytes) {
        if (bytes != 0) rows.push_back({name, gigabytes(bytes)});
    };
    row("weights", e.weights);
    row("gradients", e.gradients);
    row("optimizer", e.optimizer);
    row("averaged or best weights", e.result);
    row("activations of " + std::to_string(e.longest_micro_batch) + " tokens", e.activations);
    row("in all", e.total());
    row("this machine has", e.available);
    out << eval::table(rows) << '\n' << e.steps << " steps over " << e.tokens << " tokens";
    if (e.measured) {
        out << ", " << duration_text(e.seconds()) << " at " << std::llround(e.tokens_per_second)
            << " tokens a second (held-out questions not counted)\n";
        out << "A micro-batch takes " << gigabytes(static_cast<std::uint64_t>(1000 * e.activations_each))
            << " for each 1000 tokens (--micro-batch).\n";
        const auto kept = [&](nn::recompute r) { return std::string(name_of(r)) + " " + gigabytes(1000 * e.kept(r)); };
        out << "Kept of them for the backward, by --recompute: " << kept(nn::recompute::none) << ", "
            << kept(nn::recompute::selective) << ", " << kept(nn::recompute::full) << ".\n";
    } else {
        out << ", not measured\n";
    }
    if (!e.fits()) out << "\nThis does not fit: " << shortage_text(e, o) << '\n';
}

}  // namespace lab::apps
