// The training plan that a command line asks for.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cxxopts.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "common/cli.hpp"
#include "lab/nn/training_settings.hpp"
#include "lab/replay/buffer.hpp"
#include "lab/run/phase_file.hpp"

namespace lab::apps {

/// Adds --phases and what changes every phase of it.
inline void add_phase_options(cxxopts::Options& spec) {
    spec.add_options("Phases")("phases", "lab, lab-paper, stacked, or a JSON or YAML file",
                               cxxopts::value<std::string>()->default_value("lab"))(
        "replay-ratio", "share of the earlier phases' samples mixed into each epoch", cxxopts::value<double>())(
        "replay-by", "what that is a share of: samples or tokens", cxxopts::value<std::string>())(
        "no-replay", "the same as --replay-ratio 0")(
        "replay-policy",
        "which of them, where a phase's file names no policy of its own: stratified (evenly over leaves, in rotation), "
        "reservoir (at random), full (all)",
        cxxopts::value<std::string>()->default_value("stratified"))("lr", "learning rate, of all phases",
                                                                    cxxopts::value<double>())(
        "epochs", "epochs, of all phases", cxxopts::value<std::size_t>())("batch", "samples per step, of all phases",
                                                                          cxxopts::value<std::size_t>())(
        "warmup", "warm-up steps, of all phases", cxxopts::value<std::size_t>())(
        "schedule", "constant, linear, cosine or wsd after the warm-up, of all phases", cxxopts::value<std::string>())(
        "schedule-floor", "lowest rate of a schedule that falls, as a share of --lr", cxxopts::value<double>())(
        "stable-share", "wsd: share of the steps before the rate falls", cxxopts::value<double>())(
        "label-smoothing", "share of each target spread over the vocabulary (off; 0.1 is usual)",
        cxxopts::value<double>())(
        "router-loss", "of a mixture of experts, weight of the loss that evens their load (off; 0.02 is usual)",
        cxxopts::value<double>())("neftune", "noise on embeddings, NEFTune's alpha (off; 5 is usual)",
                                  cxxopts::value<double>());
}
/// Adds --preferences and --beta.
inline void add_preference_options(cxxopts::Options& spec) {
    spec.add_options("Preferences")(
        "preferences",
        "pairs of answers, chosen and rejected: learnt by DPO in a last phase, or alone where there is no --data",
        cxxopts::value<std::string>()->default_value(""))(
        "beta", "how far that phase may go from the model it begins with: 0.01 far, 0.5 hardly",
        cxxopts::value<double>()->default_value("0.1"));
}

/// @throws usage_error
[[nodiscard]] inline replay::schedule_kind chosen_schedule(const std::string& name) {
    for (const auto& [known, kind] : replay::schedule_names)
        if (known == name) return kind;
    throw usage_error("--schedule is constant, linear, cosine or wsd");
}

/// @throws usage_error
[[nodiscard]] inline replay::replay_measure chosen_measure(const std::string& name) {
    for (const auto& [known, measure] : replay::replay_measure_names)
        if (known == name) return measure;
    throw usage_error("--replay-by is samples or tokens");
}

/// What the command line changes in every phase.
inline void apply_phase_options(const cxxopts::ParseResult& args, std::vector<replay::phase>& phases) {
    for (auto& p : phases) {
        if (args.count("lr") != 0) p.learning_rate = args["lr"].as<double>();
        if (args.count("epochs") != 0) p.epochs = args["epochs"].as<std::size_t>();
        if (args.count("batch") != 0) p.batch_size = args["batch"].as<std::size_t>();
        if (args.count("warmup") != 0) p.warmup_steps = args["warmup"].as<std::size_t>();
        if (args.count("replay-ratio") != 0 && p.replays != 0) p.replay_ratio = args["replay-ratio"].as<double>();
        if (args.count("no-replay") != 0) p.replay_ratio = 0.0;
        if (args.count("replay-by") != 0) p.replay_by = chosen_measure(args["replay-by"].as<std::string>());
        if (args.count("schedule") != 0) p.schedule = chosen_schedule(args["schedule"].as<std::string>());
        for (const auto& [option, value] : {std::pair{"schedule-floor", &replay::phase::schedule_floor},
                                            {"stable-share", &replay::phase::stable_share},
                                            {"label-smoothing", &replay::phase::label_smoothing},
                                            {"router-loss", &replay::phase::router_loss},
                                            {"neftune", &replay::phase::neftune_alpha}})
            if (args.count(option) != 0) p.*value = args[option].as<double>();
    }
    replay::check_phases(phases);
    const auto needs = [&](const char* option, const char* what, auto holds) {
        if (args.count(option) != 0 && std::none_of(phases.begin(), phases.end(), holds))
            throw usage_error("--" + std::string(option) + " needs " + what);
    };
    using replay::schedule_kind;
    needs("schedule-floor", "a schedule that falls: --schedule linear, cosine or wsd",
          [](const auto& p) { return p.schedule != schedule_kind::constant; });
    needs("stable-share", "--schedule wsd", [](const auto& p) { return p.schedule == schedule_kind::wsd; });
    if (args.count("no-replay") != 0 && args.count("replay-ratio") != 0)
        throw usage_error("--no-replay and --replay-ratio exclude each other");
}

/// Options of replay are refused where no phase replays. @throws usage_error
inline void check_replay_options(const cxxopts::ParseResult& args, const std::vector<replay::phase>& phases) {
    const bool replays =
        std::any_of(phases.begin(), phases.end(), [](const auto& p) { return p.replays != 0 || p.replay_ratio > 0; });
    for (const char* option : {"replay-ratio", "replay-by", "replay-policy"})
        if (args.count(option) != 0 && !replays)
            throw usage_error("--" + std::string(option) + " is for a plan with phases that replay: here none does");
}

/// Seconds between checkpoints. @throws usage_error
[[nodiscard]] inline double checkpoint_seconds(const cxxopts::ParseResult& args) {
    const double minutes = args["checkpoint-minutes"].as<double>();
    if (!(minutes >= 0)) throw usage_error("--checkpoint-minutes is 0 or more");
    return 60 * minutes;
}

/// A phase plan: a name, or a file; with what the command line changes in every phase.
[[nodiscard]] inline std::vector<replay::phase> chosen_phases(const cxxopts::ParseResult& args) {
    const auto name = args["phases"].as<std::string>();
    const auto known = replay::find_phases(name);
    if (!known && !std::filesystem::exists(name))
        throw usage_error("--phases " + name + " is neither lab, lab-paper, stacked nor a file");
    auto phases = known ? *known : run::read_phases(name);
    apply_phase_options(args, phases);
    return phases;
}

/// Phases that replay nothing replay the general samples: in --replay-ratio, or as much as LAB's later phases replay.
inline void replay_general_samples(const cxxopts::ParseResult& args, std::vector<replay::phase>& phases) {
    const double ratio = args.count("replay-ratio") != 0 ? args["replay-ratio"].as<double>() : 0.34;
    for (auto& p : phases)
        if (!p.compares() && p.replays == 0 && p.replay_ratio == 0 && args.count("no-replay") == 0)
            p.replay_ratio = ratio;
    replay::check_phases(phases);
}

/// The plan of a command line that names preferences. Behind other phases theirs has its own numbers, for a rate that
/// teaches is far too high for it; a plan of the user's may hold such a phase itself.
[[nodiscard]] inline std::vector<replay::phase> chosen_phases_with_preferences(const cxxopts::ParseResult& args,
                                                                               bool other_data) {
    auto last = replay::preference_phase();
    last.beta = args["beta"].as<double>();
    std::vector<replay::phase> phases;
    if (!other_data && args.count("phases") == 0) {
        phases.push_back(last);
        apply_phase_options(args, phases);
        return phases;
    }
    phases = chosen_phases(args);
    for (auto& p : phases)
        if (p.compares() && args.count("beta") != 0) p.beta = args["beta"].as<double>();
    if (std::none_of(phases.begin(), phases.end(), [](const auto& p) { return p.compares(); })) phases.push_back(last);
    replay::check_phases(phases);
    return phases;
}

/// @throws config_error
[[nodiscard]] inline replay::any_buffer chosen_buffer(const cxxopts::ParseResult& args) {
    return replay::buffer_by_name(args["replay-policy"].as<std::string>(), args["seed"].as<std::uint64_t>());
}

inline constexpr const char* max_tokens_help =
    "longest sample, in tokens, at most the model's context; 0: 1024, or the context where that is less";

inline constexpr const char* compute_help =
    "operands of training's matrix products: f32 or bf16; sums and weights stay f32";

/// @throws usage_error, config_error
[[nodiscard]] inline compute chosen_compute(const cxxopts::ParseResult& args) {
    const auto chosen = compute_from_name(args["compute"].as<std::string>());
    if (chosen == compute::native) throw usage_error("--compute is f32 or bf16");
    return chosen;
}

inline constexpr const char* recompute_help =
    "what the backward computes again instead of keeping: none, selective (the feed-forward), full; the same bytes";

}  // namespace lab::apps
