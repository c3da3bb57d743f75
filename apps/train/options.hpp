// lab-train's command line.
#pragma once

#include <cstdint>
#include <cxxopts.hpp>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "common/cli.hpp"
#include "lab/core/dtype.hpp"
#include "lab/replay/encode.hpp"
#include "lab/replay/phase_file.hpp"
#include "lab/train/adamw_update.hpp"
#include "lab/train/trainer.hpp"

namespace lab::apps {

struct train_options {
    std::filesystem::path model, data, out, heldout, text;
    std::string format;
    std::vector<replay::phase> phases;
    replay::encode_options encode;
    train::adamw_update_options update;
    train::trainer_options trainer;
    std::size_t threads = 0, phrasings = 1;
    dtype type = dtype::f32;
    bool json = false;
};

inline constexpr const char* train_examples = R"(
Examples:
  lab-train --model smollm2.gguf --data samples/ --out run/
  lab-train --model base/ --data train.jsonl --out run/ --phases stacked --lr 1e-5 --epochs 3
  lab-train --model base/ --data samples/ --out run/ --heldout taxonomy/ --text plain.txt --resume
  lab-train ... --phases plan.json      a plan of your own; see docs/train.md
)";

/// A phase plan: a name, or a file; with what the command line changes in every phase.
[[nodiscard]] inline std::vector<replay::phase> chosen_phases(const cxxopts::ParseResult& args) {
    const auto name = args["phases"].as<std::string>();
    const auto known = replay::find_phases(name);
    if (!known && !std::filesystem::exists(name))
        throw usage_error("--phases " + name + " is neither lab, lab-paper, stacked nor a file");
    auto phases = known ? *known : replay::read_phases(name);
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

/// Nothing where only help was asked for. @throws usage_error, config_error
[[nodiscard]] inline std::optional<train_options> parse_train_options(int argc, char** argv) {
    cxxopts::Options spec("lab-train",
                          "Tunes a model on messages JSON Lines in LAB's phases, with replay of earlier phases.");
    const auto text = [](const char* fallback = "") { return cxxopts::value<std::string>()->default_value(fallback); };
    const auto count = [](const char* fallback) { return cxxopts::value<std::size_t>()->default_value(fallback); };
    spec.add_options("What")("model", "GGUF file or safetensors folder to start from", text())(
        "data", "messages JSON Lines: a file, or a folder (its samples.jsonl, else all its .jsonl)", text())(
        "out", "folder for checkpoints, metrics and the result", text())(
        "format", "chat format by name; default: what the model's own template says", text())(
        "heldout", "folder with heldout.jsonl files: asked before training and after every phase", text())(
        "text", "plain text file whose perplexity is watched beside the held-out questions", text());
    spec.add_options("How")("phases", "lab, lab-paper, stacked, or a JSON file", text("lab"))(
        "replay-ratio", "share of the earlier phases' samples mixed into each epoch", cxxopts::value<double>())(
        "no-replay", "the same as --replay-ratio 0")("lr", "learning rate, of all phases", cxxopts::value<double>())(
        "epochs", "epochs, of all phases", cxxopts::value<std::size_t>())("batch", "samples per step, of all phases",
                                                                          cxxopts::value<std::size_t>())(
        "warmup", "warm-up steps, of all phases", cxxopts::value<std::size_t>())(
        "max-tokens", "longest sample, in tokens", count("1024"))(
        "over-long", "what to do with longer ones: drop or split", text("drop"))(
        "short-tokens", "knowledge answers up to this many tokens are short", count("48"))(
        "micro-batch", "tokens computed at once; bounds memory", count("1024"))(
        "clip", "largest norm of the gradient", cxxopts::value<double>()->default_value("1"))(
        "weight-decay", "AdamW's", cxxopts::value<double>()->default_value("0"))(
        "seed", "of orders and replay", cxxopts::value<std::uint64_t>()->default_value("0"))(
        "threads", "0: one per processor", count("0"));
    spec.add_options("Output")("type", "of the written weights: f32, f16, bf16", text("f32"))(
        "phrasings", "of each held-out question, 0: all", count("1"))(
        "resume", "go on from the newest checkpoint in --out, if there is one")(
        "checkpoint-minutes", "between checkpoints inside a phase", cxxopts::value<double>()->default_value("5"))(
        "json", "end with one JSON object on standard output instead of tables")("help", "this text");
    const auto args = spec.parse(argc, argv);
    if (args.count("help") != 0) {
        std::cout << spec.help() << train_examples;
        return std::nullopt;
    }
    if (!args.unmatched().empty()) throw usage_error("unexpected argument '" + args.unmatched().front() + "'");
    train_options o;
    for (const auto& [name, path] :
         {std::pair{"model", &o.model}, {"data", &o.data}, {"out", &o.out}, {"heldout", &o.heldout}, {"text", &o.text}})
        *path = args[name].as<std::string>();
    if (o.model.empty() || o.data.empty() || o.out.empty()) throw usage_error("--model, --data and --out are needed");
    o.format = args["format"].as<std::string>();
    o.phases = chosen_phases(args);
    o.encode.max_tokens = args["max-tokens"].as<std::size_t>();
    const auto long_ones = args["over-long"].as<std::string>();
    if (long_ones != "drop" && long_ones != "split") throw usage_error("--over-long is drop or split");
    o.encode.too_long = long_ones == "split" ? replay::over_long::split : replay::over_long::drop;
    o.update.clip_norm = args["clip"].as<double>();
    o.update.adamw.weight_decay = args["weight-decay"].as<double>();
    o.trainer.seed = args["seed"].as<std::uint64_t>();
    o.trainer.micro_batch_tokens = args["micro-batch"].as<std::size_t>();
    o.trainer.buckets.short_tokens = args["short-tokens"].as<std::size_t>();
    o.trainer.folder = o.out;
    o.trainer.resume = args.count("resume") != 0;
    o.trainer.checkpoint_seconds = 60 * args["checkpoint-minutes"].as<double>();
    o.threads = args["threads"].as<std::size_t>();
    o.phrasings = args["phrasings"].as<std::size_t>();
    const auto type = args["type"].as<std::string>();
    for (const dtype t : {dtype::f32, dtype::f16, dtype::bf16})
        if (type == name_of(t)) o.type = t;
    if (type != name_of(o.type)) throw usage_error("--type is f32, f16 or bf16");
    o.json = args.count("json") != 0;
    return o;
}

}  // namespace lab::apps
