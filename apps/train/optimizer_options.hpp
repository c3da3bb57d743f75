// lab-train's command line: the optimizer.
#pragma once

#include <cxxopts.hpp>
#include <string>
#include <vector>

#include "common/cli.hpp"
#include "lab/train/optimizer.hpp"

namespace lab::apps {

inline void add_optimizer_options(cxxopts::Options& spec) {
    spec.add_options("Optimizer")(
        "optimizer", "adamw (8 bytes of state a parameter), sgd (4, 0 without momentum), adafactor (next to none)",
        cxxopts::value<std::string>()->default_value("adamw"))(
        "momentum", "of sgd", cxxopts::value<double>()->default_value("0.9"))("nesterov", "Nesterov's step for sgd")(
        "adafactor-relative", "adafactor: --lr is a share of each tensor's own size")(
        "clip", "largest norm of the gradient, 0: no limit", cxxopts::value<double>()->default_value("1"))(
        "weight-decay", "of matrices", cxxopts::value<double>()->default_value("0"))(
        "no-decay", "matrices without it, by role: embedding,head", cxxopts::value<std::vector<std::string>>())(
        "decay-vectors", "norm gains decay too");
}

/// @throws usage_error, config_error
[[nodiscard]] inline train::optimizer_options chosen_optimizer(const cxxopts::ParseResult& args) {
    train::optimizer_options o;
    o.kind = train::optimizer_from_name(args["optimizer"].as<std::string>());
    for (const auto& [option, kind] : {std::pair{"momentum", train::optimizer::sgd},
                                       {"nesterov", train::optimizer::sgd},
                                       {"adafactor-relative", train::optimizer::adafactor}})
        if (args.count(option) != 0 && o.kind != kind)
            throw usage_error("--" + std::string(option) + " is not for --optimizer " +
                              args["optimizer"].as<std::string>());
    const double decay = args["weight-decay"].as<double>();
    o.adamw.weight_decay = o.sgd.weight_decay = o.adafactor.weight_decay = decay;
    o.sgd.momentum = args["momentum"].as<double>();
    o.sgd.nesterov = args.count("nesterov") != 0;
    o.adafactor.relative = args.count("adafactor-relative") != 0;
    o.clip_norm = args["clip"].as<double>();
    if (args.count("no-decay") != 0) o.decay.without = args["no-decay"].as<std::vector<std::string>>();
    o.decay.vectors = args.count("decay-vectors") != 0;
    return o;
}

}  // namespace lab::apps
