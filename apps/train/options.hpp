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
#include "common/lora_options.hpp"
#include "common/phases.hpp"
#include "common/shapes.hpp"
#include "guard_options.hpp"
#include "lab/run/train_run.hpp"
#include "optimizer_options.hpp"

namespace lab::apps {

/// A model that is made before it is trained.
struct fresh_start {
    nn::runtime_dims dims;
    std::filesystem::path tokenizer;
};

struct train_options {
    run::train_run_options run;
    std::optional<fresh_start> fresh{};  // of run.model
    replay::any_buffer buffer = replay::stratified{};
    bool json = false;
    bool estimate = false;       // say what the run would take, and do not run
    bool ignore_memory = false;  // run although it seems not to fit
    bool afresh = false;         // also where --out holds a run that has not finished
};

inline constexpr const char* train_examples = R"(
Examples:
  lab-train --model smollm2.gguf --data samples/ --out run/
  lab-train --model base/ --data train.jsonl --out run/ --phases stacked --lr 1e-5 --epochs 3
  lab-train --model base/ --data samples/ --out run/ --heldout taxonomy/ --text plain.txt --resume
  lab-train ... --phases plan.yaml      a plan of your own; see docs/train.md
  lab-train ... --lora 16 --base-type q4_k     adapters beside frozen weights of 4 bits: a fraction of the memory
  lab-train ... --optimizer adafactor --estimate      would it fit, and how long would it take?
  lab-train --shape dim=288,layers=6,heads=6,hidden=768 --tokenizer tok/ --data book.txt --out run/ --lr 1e-3     from scratch
  lab-train --model run/model --preferences pairs.jsonl --out preferred/ --beta 0.1      DPO on pairs of answers
  mpirun -n 4 lab-train ...      four processes compute each step, and share out the optimizer's memory
  lab-train ... --self-replay 200      the model's own conversations mixed in, against forgetting
  lab-train ... --heldout taxonomy/ --heldout-every 20 --result best --patience 5 --regression report
  lab-train ... --heldout-every 50 --result best --best-by 'my-eval {model}'      by a score of your own
)";

/// What --shape asks for. @throws usage_error
[[nodiscard]] inline std::optional<fresh_start> chosen_start(const cxxopts::ParseResult& args) {
    const auto tokenizer = args["tokenizer"].as<std::string>();
    if (tokenizer.empty() != (args.count("shape") == 0)) throw usage_error("--shape and --tokenizer go together");
    if (tokenizer.empty()) return std::nullopt;
    const auto shape = args["shape"].as<std::string>();
    const fresh_start start{parse_shape(shape), tokenizer};
    if (!known_shape(shape) && start.dims.vocab != 0)
        throw usage_error("--shape " + shape + ": the vocabulary is that of --tokenizer, leave out vocab=");
    return start;
}

/// Nothing where only help was asked for. @throws usage_error, config_error
[[nodiscard]] inline std::optional<train_options> parse_train_options(int argc, char** argv) {
    cxxopts::Options spec("lab-train",
                          "Tunes a model on messages JSON Lines in LAB's phases, with replay of earlier phases.");
    const auto text = [](const char* fallback = "") { return cxxopts::value<std::string>()->default_value(fallback); };
    const auto count = [](const char* fallback) { return cxxopts::value<std::size_t>()->default_value(fallback); };
    spec.add_options("What")("model", "GGUF file or safetensors folder to start from", text())(
        "shape", "instead: a new model of these sizes, 'llama-15m' or 'dim=,layers=,heads=,hidden='", text())(
        "tokenizer", "of the new model: a file or folder (lab-model train-tokenizer makes one)", text())(
        "data",
        "messages JSON Lines or plain text (.txt): a file, or a folder (its samples.jsonl, else all its .jsonl)",
        text())("out", "folder for checkpoints, metrics and the result", text())(
        "self-replay",
        "conversations that the model makes up before it learns, replayed in every phase: what it can do already",
        count("0"))(
        "format",
        "chat format by name; default: the model's own, none for text alone; control tokens are added where missing",
        text())("heldout", "folder with heldout.jsonl files: asked before training and after every phase", text())(
        "text", "plain text file whose perplexity is watched beside the held-out questions; without any, its loss",
        text());
    add_phase_options(spec);
    add_preference_options(spec);
    add_optimizer_options(spec);
    add_guard_options(spec);
    spec.add_options("How")("max-tokens", max_tokens_help, count("0"))(
        "over-long", "what to do with longer ones: drop or split", text("drop"))(
        "short-tokens", "knowledge answers up to this many tokens are short", count("48"))(
        "micro-batch", "tokens computed at once; bounds memory", count("512"))("compute", compute_help, text("f32"))(
        "stochastic-rounding", "weights keep to bf16's values, rounded up or down at random after each step")(
        "recompute", recompute_help, text("none"))("seed", "of orders and replay",
                                                   cxxopts::value<std::uint64_t>()->default_value("0"))(
        "threads", "0: one per processor", count("0"))("shards",
                                                       "a step's gradient is cut into: the same number gives the same "
                                                       "bytes on one process and on 1/2, 1/4 ... as many; 0: one each",
                                                       count("0"));
    add_lora_options(spec);
    spec.add_options("Output")("type", "of the written weights: f32, f16, bf16", text("f32"))(
        "phrasings", "of each held-out question, 0: all", count("1"))(
        "resume", "go on from the newest checkpoint in --out, if there is one")(
        "fresh", "begin anew although --out holds checkpoints of a run that has not finished: they are removed")(
        "checkpoint-minutes", "between checkpoints inside a phase", cxxopts::value<double>()->default_value("5"))(
        "tensorboard", "also a TensorBoard event file, in the folder tensorboard of --out")(
        "estimate", "say how much memory and time the run would take, and do not run")(
        "ignore-memory", "begin although the run would not fit in the machine's memory")(
        "json", "end with one JSON object on standard output instead of tables")("help", "this text");
    const auto args = spec.parse(argc, argv);
    if (args.count("help") != 0) {
        std::cout << spec.help() << train_examples;
        return std::nullopt;
    }
    if (!args.unmatched().empty()) throw usage_error("unexpected argument '" + args.unmatched().front() + "'");
    train_options parsed;
    auto& o = parsed.run;
    for (const auto& [name, path] : {std::pair{"model", &o.model},
                                     {"data", &o.data},
                                     {"preferences", &o.preferences},
                                     {"out", &o.out},
                                     {"heldout", &o.heldout},
                                     {"text", &o.text}})
        *path = args[name].as<std::string>();
    if ((o.model.empty() && args.count("shape") == 0) || (o.data.empty() && o.preferences.empty()) || o.out.empty())
        throw usage_error("--model (or --shape), --data or --preferences, and --out are needed");
    if (!o.model.empty() && args.count("shape") != 0) throw usage_error("--model and --shape exclude each other");
    o.format = args["format"].as<std::string>();
    parsed.fresh = chosen_start(args);
    if (parsed.fresh) o.model = o.out / "start";
    o.phases = o.preferences.empty() ? chosen_phases(args) : chosen_phases_with_preferences(args, !o.data.empty());
    if (args.count("beta") != 0 && o.preferences.empty()) throw usage_error("--beta needs --preferences");
    o.self_replay = args["self-replay"].as<std::size_t>();
    if (o.self_replay != 0) replay_general_samples(args, o.phases);
    check_replay_options(args, o.phases);
    parsed.buffer = chosen_buffer(args);
    o.encode.max_tokens = args["max-tokens"].as<std::size_t>();
    if (parsed.fresh && o.encode.max_tokens == 0) o.encode.max_tokens = 1024;  // a new model's context is no less
    const auto long_ones = args["over-long"].as<std::string>();
    if (long_ones != "drop" && long_ones != "split") throw usage_error("--over-long is drop or split");
    o.encode.too_long = long_ones == "split" ? replay::over_long::split : replay::over_long::drop;
    o.update = chosen_optimizer(args);
    choose_guards(args, o);
    o.trainer.seed = args["seed"].as<std::uint64_t>();
    o.trainer.micro_batch_tokens = args["micro-batch"].as<std::size_t>();
    o.trainer.buckets.short_tokens = args["short-tokens"].as<std::size_t>();
    o.trainer.resume = args.count("resume") != 0;
    o.trainer.checkpoint_seconds = checkpoint_seconds(args);
    o.threads = chosen_threads(args);
    o.trainer.shards = args["shards"].as<std::size_t>();
    o.compute = chosen_compute(args);
    o.trainer.stochastic_rounding = args.count("stochastic-rounding") != 0;
    o.recompute = nn::recompute_from_name(args["recompute"].as<std::string>());
    read_lora_options(args, o);
    o.phrasings = args["phrasings"].as<std::size_t>();
    const auto type = args["type"].as<std::string>();
    for (const dtype t : {dtype::f32, dtype::f16, dtype::bf16})
        if (type == name_of(t)) o.type = t;
    if (type != name_of(o.type)) throw usage_error("--type is f32, f16 or bf16");
    o.tensorboard = args.count("tensorboard") != 0;
    parsed.afresh = args.count("fresh") != 0;
    if (parsed.afresh && o.trainer.resume) throw usage_error("--resume and --fresh exclude each other");
    parsed.json = args.count("json") != 0;
    parsed.estimate = args.count("estimate") != 0;
    parsed.ignore_memory = args.count("ignore-memory") != 0;
    return parsed;
}

}  // namespace lab::apps
