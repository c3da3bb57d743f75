// lab-train's command line: what follows from losses, and which weights a phase hands on.
#pragma once

#include <cxxopts.hpp>
#include <string>
#include <tuple>

#include "common/cli.hpp"
#include "lab/run/train_run.hpp"

namespace lab::apps {

inline void add_guard_options(cxxopts::Options& spec) {
    const auto number = [](const char* fallback) { return cxxopts::value<double>()->default_value(fallback); };
    const auto count = [](const char* fallback) { return cxxopts::value<std::size_t>()->default_value(fallback); };
    spec.add_options("Guards")(
        "guard-norm", "pass over steps whose gradient's norm is above so many times the median (5 is usual); 0: none",
        number("0"))("guard-loss", "the same for the loss (3 is usual); 0: none", number("0"))(
        "heldout-every", "steps between held-out losses inside phases; 0: at the start and at phases' ends alone",
        count("0"))("patience", "held-out losses in a row without a new lowest that end a phase; 0: none do",
                    count("0"))("regression",
                                "when a phase raises an earlier one's held-out loss: none, report or stop",
                                cxxopts::value<std::string>()->default_value("none"))(
        "tolerance", "of --regression: share by which it may rise", number("0.1"))(
        "result", "weights that a phase hands on: last, best (lowest held-out loss), ema or average",
        cxxopts::value<std::string>()->default_value("last"))(
        "best-by",
        "instead of the held-out loss, for best and patience: choice (share of the questions answered right) "
        "or a command whose last word is a score, with {model} for the model's folder",
        cxxopts::value<std::string>()->default_value("loss"))("ema-decay", "of --result ema", number("0.999"))(
        "average-last", "of --result average: snapshots", count("5"))("average-every", "steps between them",
                                                                      count("10"));
}

/// @throws usage_error, config_error
inline void choose_guards(const cxxopts::ParseResult& args, run::train_run_options& run) {
    auto& o = run.trainer;
    o.guard.norm_factor = args["guard-norm"].as<double>();
    o.guard.loss_factor = args["guard-loss"].as<double>();
    o.heldout_every = args["heldout-every"].as<std::size_t>();
    o.watch.patience = args["patience"].as<std::size_t>();
    o.watch.tolerance = args["tolerance"].as<double>();
    const auto regression = args["regression"].as<std::string>();
    if (regression == "report")
        o.watch.regression = train::regression_action::report;
    else if (regression == "stop")
        o.watch.regression = train::regression_action::stop;
    else if (regression != "none")
        throw usage_error("--regression is none, report or stop");
    o.result = {train::phase_result_from_name(args["result"].as<std::string>()), args["ema-decay"].as<double>(),
                args["average-last"].as<std::size_t>(), args["average-every"].as<std::size_t>()};
    using train::phase_result;
    for (const auto& [option, kind, name] : {std::tuple{"ema-decay", phase_result::ema, "ema"},
                                             {"average-last", phase_result::average, "average"},
                                             {"average-every", phase_result::average, "average"}})
        if (args.count(option) != 0 && o.result.kind != kind)
            throw usage_error("--" + std::string(option) + " is of --result " + name);
    if (args.count("tolerance") != 0 && o.watch.regression == train::regression_action::none)
        throw usage_error("--tolerance is of --regression report or stop");
    const bool questions = !args["heldout"].as<std::string>().empty();
    const bool holds_out = questions || !args["text"].as<std::string>().empty();
    if (o.heldout_every != 0 && !holds_out) throw usage_error("--heldout-every needs --heldout or --text");
    if (const auto by = args["best-by"].as<std::string>(); by != "loss") {
        run.best_by = by;
        if (by != "choice" && by.find("{model}") == by.npos)
            throw usage_error("--best-by is loss, choice, or a command with {model} in it");
    }
    const bool follows = o.watch.patience != 0 || o.result.kind == train::phase_result::best;
    if (!run.best_by.empty() && !follows) throw usage_error("--best-by goes with --result best or --patience");
    if (follows && o.heldout_every == 0) throw usage_error("--patience and --result best need --heldout-every");
    if (run.best_by == "choice" && !questions) throw usage_error("--best-by choice needs --heldout");
    if (o.watch.regression != train::regression_action::none && !holds_out)
        throw usage_error("--regression needs --heldout or --text");
}

}  // namespace lab::apps
