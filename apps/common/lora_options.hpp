// The options of apps that can train adapters (LoRA) in the weights' place.
#pragma once

#include <cstddef>
#include <cxxopts.hpp>
#include <string>
#include <utility>
#include <vector>

#include "common/cli.hpp"
#include "lab/run/train_run.hpp"

namespace lab::apps {

inline void add_lora_options(cxxopts::Options& spec) {
    const auto text = [] { return cxxopts::value<std::string>()->default_value(""); };
    const auto real = [] { return cxxopts::value<double>()->default_value("0"); };
    spec.add_options("Adapters (LoRA)")(
        "lora", "learn adapters of this rank and leave the weights as they are; 0: train the weights",
        cxxopts::value<std::size_t>()->default_value("0"))("lora-alpha",
                                                           "their scale is alpha / rank; 0: twice the rank", real())(
        "lora-dropout", "share of their inputs left out of a step", real())(
        "lora-rs", "rank-stabilised: scale alpha / sqrt(rank)")(
        "lora-targets", "linear layers that get one: of q,k,v,o,gate,up,down; default: all",
        cxxopts::value<std::vector<std::string>>()->default_value(""))(
        "adapter", "go on with this one: a folder that PEFT or lab-train wrote, its rank and scale", text())(
        "base-type", "of the weights beside them: q8_0, q4_0, q4_k, bf16 ...; default: as stored", text());
}

/// Adapters, where --lora or --adapter asks for them. @throws usage_error for an option of theirs without.
inline void read_lora_options(const cxxopts::ParseResult& args, run::train_run_options& o) {
    const auto rank = args["lora"].as<std::size_t>();
    o.adapter = args["adapter"].as<std::string>();
    if (rank == 0 && o.adapter.empty()) {
        for (const char* name : {"lora-alpha", "lora-dropout", "lora-rs", "lora-targets", "base-type"})
            if (args.count(name) != 0) throw usage_error("--" + std::string(name) + " needs --lora RANK");
        return;
    }
    if (!o.adapter.empty())
        for (const char* name : {"lora", "lora-alpha", "lora-rs", "lora-targets"})
            if (args.count(name) != 0)
                throw usage_error("--" + std::string(name) + " is given by the adapter of --adapter");
    nn::lora_options lora{.alpha = args["lora-alpha"].as<double>(),
                          .dropout = args["lora-dropout"].as<double>(),
                          .rank_stabilised = args.count("lora-rs") != 0};
    if (rank != 0) lora.rank = rank;
    if (args.count("lora-targets") != 0) lora.targets = args["lora-targets"].as<std::vector<std::string>>();
    o.lora = std::move(lora);
    if (const auto type = args["base-type"].as<std::string>(); !type.empty()) o.base_type = dtype_from_name(type);
}

}  // namespace lab::apps
