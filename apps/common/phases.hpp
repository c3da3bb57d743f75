// The training plan that a command line asks for.
#pragma once

#include <cxxopts.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "common/cli.hpp"
#include "lab/run/phase_file.hpp"

namespace lab::apps {

/// Adds --phases and what changes every phase of it.
inline void add_phase_options(cxxopts::Options& spec) {
    spec.add_options("Phases")("phases", "lab, lab-paper, stacked, or a JSON or YAML file",
                               cxxopts::value<std::string>()->default_value("lab"))(
        "replay-ratio", "share of the earlier phases' samples mixed into each epoch", cxxopts::value<double>())(
        "no-replay", "the same as --replay-ratio 0")("lr", "learning rate, of all phases", cxxopts::value<double>())(
        "epochs", "epochs, of all phases", cxxopts::value<std::size_t>())("batch", "samples per step, of all phases",
                                                                          cxxopts::value<std::size_t>())(
        "warmup", "warm-up steps, of all phases", cxxopts::value<std::size_t>());
}

/// A phase plan: a name, or a file; with what the command line changes in every phase.
[[nodiscard]] inline std::vector<replay::phase> chosen_phases(const cxxopts::ParseResult& args) {
    const auto name = args["phases"].as<std::string>();
    const auto known = replay::find_phases(name);
    if (!known && !std::filesystem::exists(name))
        throw usage_error("--phases " + name + " is neither lab, lab-paper, stacked nor a file");
    auto phases = known ? *known : run::read_phases(name);
    for (auto& p : phases) {
        if (args.count("lr") != 0) p.learning_rate = args["lr"].as<double>();
        if (args.count("epochs") != 0) p.epochs = args["epochs"].as<std::size_t>();
        if (args.count("batch") != 0) p.batch_size = args["batch"].as<std::size_t>();
        if (args.count("warmup") != 0) p.warmup_steps = args["warmup"].as<std::size_t>();
        if (args.count("replay-ratio") != 0 && p.replays != 0) p.replay_ratio = args["replay-ratio"].as<double>();
        if (args.count("no-replay") != 0) p.replay_ratio = 0.0;
    }
    replay::check_phases(phases);
    return phases;
}

inline constexpr const char* compute_help =
    "operands of training's matrix products: f32 or bf16; sums and weights stay f32";

/// @throws usage_error, config_error
[[nodiscard]] inline compute chosen_compute(const cxxopts::ParseResult& args) {
    const auto chosen = compute_from_name(args["compute"].as<std::string>());
    if (chosen == compute::native) throw usage_error("--compute is f32 or bf16");
    return chosen;
}

}  // namespace lab::apps
