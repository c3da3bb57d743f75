// lab-run's command line.
#pragma once

#include <cstdint>
#include <cxxopts.hpp>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/lora_options.hpp"
#include "common/phases.hpp"
#include "common/server_options.hpp"
#include "lab/run/lab_run.hpp"

namespace lab::apps {

struct run_options {
    std::filesystem::path taxonomy, documents, model, out;
    std::string teacher;
    sdg::http_teacher_options servers;
    run::lab_run_options run;
    replay::any_buffer buffer = replay::stratified{};
    std::size_t show = 3, cache_bytes = run::teacher_cache_bytes;
    bool fetch = false, keep_going = false, json = false;

    [[nodiscard]] bool remote() const { return run::is_remote_teacher(teacher); }
};

inline constexpr const char* run_examples = R"(
Examples:
  lab-run --taxonomy taxonomy/ --model smollm2.gguf --out out/
  lab-run --taxonomy taxonomy/ --model base/ --teacher http://localhost:8080/v1 --out out/ --samples-per-leaf 100
  lab-run --taxonomy taxonomy/ --model base/ --teacher http://one:8000,http://two:8000 --out out/ --max-tokens-total 5000000
  lab-run --taxonomy taxonomy/ --model base/ --format granite_lab --phases plan.yaml --out out/
  lab-run --taxonomy taxonomy/ --documents docs/ --fetch-documents --model base/ --lora 16 --base-type q4_k --out out/
Stopped or killed, the same command goes on where it was. After a leaf was added or changed it generates what is missing
for that leaf, keeps all other samples, and trains anew from the model over all of them.
)";

/// Nothing where only help was asked for. @throws usage_error, config_error, format_error
[[nodiscard]] inline std::optional<run_options> parse_run_options(int argc, char** argv) {
    cxxopts::Options spec("lab-run",
                          "LAB from end to end: asks a model what it does not know, generates samples from a taxonomy, "
                          "trains in phases with replay, asks again.");
    const auto text = [](const char* fallback = "") { return cxxopts::value<std::string>()->default_value(fallback); };
    const auto count = [](const char* fallback) { return cxxopts::value<std::size_t>()->default_value(fallback); };
    spec.add_options("What")("taxonomy", "folder with qna.yaml files, held-out questions beside them", text())(
        "model", "GGUF file or safetensors folder to train", text())(
        "teacher",
        "a model or the base URL of an OpenAI-compatible server, several of one model with commas; default: the model "
        "itself",
        text())("out", "folder for samples (data/), the trained model (run/) and all between", text())(
        "documents", "folder with checkouts of the leaves' document repositories", text())(
        "fetch-documents", "clone the repositories that are missing there, or lack a leaf's commit, with git")(
        "prompts", "folder with wordings that replace the built-in ones ('lab-generate prompts')", text())(
        "text", "plain text whose perplexity is watched beside the questions", text())(
        "format", "chat format of the trained model; default: the model's own", text())(
        "keep-going", "use the valid leaves although others have errors, train although some failed");
    spec.add_options("How")("samples-per-leaf", "samples wanted of each leaf, seeds not counted", count("24"))(
        "seed", "of everything random", cxxopts::value<std::uint64_t>()->default_value("0"))(
        "max-tokens", max_tokens_help, count("0"))("short-tokens", "knowledge answers up to this many tokens are short",
                                                   count("48"))("micro-batch", "tokens computed at once; bounds memory",
                                                                count("512"))("compute", compute_help, text("f32"))(
        "recompute", recompute_help, text("none"))("phrasings", "asked of each held-out question, 0: all", count("1"))(
        "checkpoint-minutes", "between checkpoints inside a phase", cxxopts::value<double>()->default_value("5"))(
        "threads", "0: one per processor", count("0"))("cache-mib", cache_help, count("1024"))(
        "teacher-model", "name of the server's model; default: its first", text());
    add_phase_options(spec);
    add_lora_options(spec);
    add_server_options(spec);
    spec.add_options("Output")("show", "answers shown before and after", count("3"))(
        "json", "one JSON object on standard output at the end, events of generation as JSON Lines on standard error")(
        "help", "this text");
    const auto args = spec.parse(argc, argv);
    if (args.count("help") != 0) {
        std::cout << spec.help() << run_examples;
        return std::nullopt;
    }
    if (!args.unmatched().empty()) throw usage_error("unexpected argument '" + args.unmatched().front() + "'");
    run_options o;
    auto& g = o.run.generation;
    auto& t = o.run.training;
    for (const auto& [name, path] : {std::pair{"taxonomy", &o.taxonomy},
                                     {"model", &o.model},
                                     {"out", &o.out},
                                     {"documents", &o.documents},
                                     {"text", &t.text}})
        *path = args[name].as<std::string>();
    if (o.taxonomy.empty() || o.model.empty() || o.out.empty())
        throw usage_error("--taxonomy, --model and --out are needed");
    o.teacher = args["teacher"].as<std::string>();
    if (o.teacher.empty()) o.teacher = o.model.string();
    if (o.remote()) run::set_servers(o.servers, std::vector{o.teacher});
    o.servers.model = args["teacher-model"].as<std::string>();
    read_server_options(args, o.servers);
    o.run.budget = read_budget(args);
    t.format = args["format"].as<std::string>();
    t.phases = chosen_phases(args);
    check_replay_options(args, t.phases);
    o.buffer = chosen_buffer(args);
    t.compute = chosen_compute(args);
    t.recompute = nn::recompute_from_name(args["recompute"].as<std::string>());
    for (const auto& [name, value] : {std::pair{"samples-per-leaf", &g.samples_per_leaf},
                                      {"max-tokens", &t.encode.max_tokens},
                                      {"short-tokens", &t.trainer.buckets.short_tokens},
                                      {"micro-batch", &t.trainer.micro_batch_tokens},
                                      {"phrasings", &t.phrasings},
                                      {"show", &o.show}})
        *value = args[name].as<std::size_t>();
    t.threads = chosen_threads(args);
    o.cache_bytes = chosen_cache_bytes(args);
    if (const auto folder = args["prompts"].as<std::string>(); !folder.empty()) g.wordings = sdg::prompts::pack(folder);
    t.trainer.seed = g.seed = args["seed"].as<std::uint64_t>();
    t.trainer.checkpoint_seconds = checkpoint_seconds(args);
    o.run.taxonomy = o.taxonomy;
    o.run.keep_going = o.keep_going = args.count("keep-going") != 0;
    o.fetch = args.count("fetch-documents") != 0;
    if (o.fetch && o.documents.empty())
        throw usage_error("--fetch-documents needs --documents, the folder to clone into");
    read_lora_options(args, t);
    o.json = args.count("json") != 0;
    return o;
}

}  // namespace lab::apps
