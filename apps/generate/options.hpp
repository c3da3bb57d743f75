// lab-generate's command line.
#pragma once

#include <cstdint>
#include <cxxopts.hpp>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/server_options.hpp"
#include "lab/run/teacher_source.hpp"

namespace lab::apps {

struct generate_options {
    std::filesystem::path taxonomy, out, documents;
    std::vector<std::filesystem::path> avoid;
    std::string teacher, model, format;  // a model in this process, or servers' addresses with commas
    std::string judge, judge_model;      // gives the grades in the teacher's place
    sdg::http_teacher_options servers;   // how they are asked
    sdg::budget budget;
    sdg::pipeline_options pipeline;
    std::filesystem::path pipeline_file;  // InstructLab's kind; the four below are its
    std::string prompt_form, model_family;
    std::size_t scale = 30, max_num_tokens = 4096;
    std::size_t threads = 0, cache_bytes = run::teacher_cache_bytes;
    bool check = false, fix = false, fetch = false, keep_going = false, fresh = false, json = false, dry_run = false;

    [[nodiscard]] bool remote() const { return run::is_remote_teacher(teacher); }
};

inline constexpr const char* generate_examples = R"(
Examples:
  lab-generate --check --taxonomy taxonomy/
  lab-generate --check --fix --taxonomy taxonomy/
  lab-generate --taxonomy taxonomy/ --teacher smollm2.gguf --out data/
  lab-generate --taxonomy taxonomy/ --teacher http://localhost:8080/v1 --out data/ --samples-per-leaf 100
  lab-generate --taxonomy taxonomy/ --teacher smollm2.gguf --out data/ --avoid mmlu/ --avoid mt_bench/question.jsonl
  lab-generate --taxonomy taxonomy/ --teacher smollm2.gguf --out data/ --pipeline sdg/pipelines/simple
  lab-generate blocks --help
  lab-generate --taxonomy taxonomy/ --teacher small.gguf --judge http://localhost:8080/v1 --turns 3 --out data/
  lab-generate --taxonomy taxonomy/ --teacher https://host/v1 --out data/ --questions auto --views original,facts
  lab-generate --taxonomy taxonomy/ --teacher smollm2.gguf --out data/ --prompts my-prompts/
  lab-generate prompts --out my-prompts/     writes the teacher's instructions as files to edit
  OPENAI_API_KEY=... lab-generate --taxonomy taxonomy/ --teacher https://host/v1 --model NAME --out data/ \
      --max-cost 5 --price-in 0.15 --price-out 0.60
  lab-generate --taxonomy taxonomy/ --teacher http://one:8000,http://two:8000 --out data/
  lab-generate --taxonomy taxonomy/ --teacher http://one:8000 --out data/ --dry-run
  lab-generate select --help     chooses a varied part of samples that are there
A run that was stopped goes on where it stopped when the same command is typed again (--fresh starts over).
Exit codes: 0 done, 1 failed, 2 wrong call, 3 the files are written but something is missing: a leaf failed or the budget
ended (manifest.json says which and why).
)";

/// `lab-generate prompts --out DIR`: the wordings as files to edit. @throws usage_error, config_error
inline int write_prompts(int argc, char** argv) {
    cxxopts::Options spec(
        "lab-generate prompts",
        "Writes every wording that a teacher gets to see as a file to edit, DIR/<language>/<name>.txt. "
        "--prompts DIR of lab-generate and lab-run then takes them in place of the built-in ones; files "
        "that are not there stay built in.");
    const auto text = cxxopts::value<std::string>()->default_value("");
    spec.add_options()("out", "folder to write to", text)("prompts", "folder whose wordings are taken over", text)(
        "help", "this text");
    const auto args = spec.parse(argc, argv);
    if (args.count("help") != 0) {
        std::cout << spec.help();
        return 0;
    }
    if (!args.unmatched().empty()) throw usage_error("unexpected argument '" + args.unmatched().front() + "'");
    const std::filesystem::path out = args["out"].as<std::string>(), base = args["prompts"].as<std::string>();
    if (out.empty()) throw usage_error("--out is needed");
    if (std::filesystem::exists(out) && !std::filesystem::is_empty(out))
        throw config_error(explain(out.string(), "is not empty", "edited wordings are not overwritten: name another"));
    const auto wordings = base.empty() ? sdg::prompts::pack() : sdg::prompts::pack(base);
    wordings.write(out);
    std::cout << "Written to " << out.string() << ": edition " << wordings.edition(true) << '\n';
    return 0;
}

/// Nothing where only help was asked for. @throws usage_error, config_error, format_error
[[nodiscard]] inline std::optional<generate_options> parse_generate_options(int argc, char** argv) {
    cxxopts::Options spec(
        "lab-generate",
        "Makes training samples from a taxonomy with a teacher model, checks them, and says what was kept and why.");
    const auto text = [](const char* fallback = "") { return cxxopts::value<std::string>()->default_value(fallback); };
    const auto count = [](const char* fallback) { return cxxopts::value<std::size_t>()->default_value(fallback); };
    const auto real = [](const char* fallback) { return cxxopts::value<double>()->default_value(fallback); };
    spec.add_options("What")("taxonomy", "folder with qna.yaml files, or one of them", text())(
        "teacher",
        "a model (GGUF file, safetensors folder) or the base URL of an OpenAI-compatible server; several of one model: "
        "given again, or with commas",
        cxxopts::value<std::vector<std::string>>())("out", "folder for samples, rejected ones, journal and manifest",
                                                    text())(
        "documents", "folder with checkouts of the leaves' document repositories", text())(
        "fetch-documents", "clone the repositories that are missing there, or lack a leaf's commit, with git")(
        "check", "validate the taxonomy and stop; exit code 0 when every file is valid")(
        "fix", "with --check: first mend layout, and quotes around texts that YAML reads as something else")(
        "keep-going", "use the valid leaves although others have errors");
    spec.add_options("How much")("samples-per-leaf", "samples wanted of each leaf, seeds not counted", count("24"))(
        "budget", "proposals tried for each sample wanted", count("8"))(
        "no-seeds", "do not make the seeds samples too")("seed", "of everything random",
                                                         cxxopts::value<std::uint64_t>()->default_value("0"))(
        "turns", "questions in a conversation at most; skills only", count("1"))(
        "method",
        "what skill exercises are written after: lab (the leaf's seeds), evolve (the seeds made harder step by "
        "step), self-instruct (seeds of all leaves; knowledge too)",
        text("lab"));
    spec.add_options("Knowledge")("thorough",
                                  "list the documents' facts and say which have a question, cite each answer's place, "
                                  "check answers claim by claim and that questions stand alone; the next three and "
                                  "--record-judges come with it")(
        "questions", "who writes them: rules, teacher, or auto: the teacher, if the seeds show that it can",
        text("rules"))("views", "forms of a document to ask about: original, summary, facts, extractive, corrected",
                       text("original"))("examples", "seeds shown to a teacher that writes", count("3"))(
        "prompts", "folder with wordings that replace the built-in ones ('lab-generate prompts --out DIR' writes them)",
        text());
    spec.add_options("Pipeline files")("pipeline", "generate by InstructLab's pipelines: a folder, or one file",
                                       text())("scale", "what their `n: scaled` means", count("30"))(
        "max-num-tokens", "answers of their blocks called gen_knowledge are no longer; 4096: as they say",
        count("4096"))("prompt-form", "chat: in the teacher's own chat format; family: as InstructLab wraps it",
                       text("chat"))("model-family", "with --prompt-form family: before that of the blocks", text());
    spec.add_options("Checks")("chunk-tokens", "largest piece of a document", count("200"))(
        "chunk-overlap", "tokens repeated between pieces", count("20"))(
        "near-duplicate", "ROUGE-L at which two samples are the same", real("0.9"))(
        "least-auc", "judges below it, measured on the seeds, are not obeyed", real("0.7"))(
        "safety-judge", "ask a judge too whether a sample is harmless")(
        "judge", "a model or server that judges skills and safety in the teacher's place", text())(
        "judge-model", "name of the judge's model on its server; default: its first", text())(
        "judge-samples", "times that each judge is asked, the grades in another order each time", count("1"))(
        "avoid",
        "evaluation set (file or folder: JSON Lines, JSON, CSV, text) whose questions no sample may give away; "
        "repeatable",
        cxxopts::value<std::vector<std::string>>())("record-judges",
                                                    "ask judges that are not trusted too, and record what they say");
    spec.add_options("Teacher")(
        "format",
        "chat format of a local model, default what its own template says; of a server with --api completions",
        text())("api", "chat, or completions for a server that knows no chat format", text("chat"))(
        "threads", "of a local model; 0: one per processor", count("0"))("cache-mib", cache_help, count("1024"))(
        "model", "name of the server's model; default: its first", text());
    add_server_options(spec);
    spec.add_options("Budget")("dry-run", "tell calls, tokens and time without asking the teacher");
    spec.add_options("Output")("fresh", "forget what an earlier run learnt from the teacher")(
        "json", "the manifest on standard output at the end, events as JSON Lines on standard error")("help",
                                                                                                      "this text");
    const auto args = spec.parse(argc, argv);
    if (args.count("help") != 0) {
        std::cout << spec.help() << generate_examples;
        return std::nullopt;
    }
    if (!args.unmatched().empty()) throw usage_error("unexpected argument '" + args.unmatched().front() + "'");
    generate_options o;
    for (const auto& [name, path] : {std::pair{"taxonomy", &o.taxonomy}, {"out", &o.out}, {"documents", &o.documents}})
        *path = args[name].as<std::string>();
    for (const auto& [name, value] :
         {std::pair{"model", &o.model}, {"format", &o.format}, {"judge", &o.judge}, {"judge-model", &o.judge_model}})
        *value = args[name].as<std::string>();
    for (const auto& [name, flag] : {std::pair{"check", &o.check},
                                     {"fix", &o.fix},
                                     {"fetch-documents", &o.fetch},
                                     {"keep-going", &o.keep_going},
                                     {"fresh", &o.fresh},
                                     {"dry-run", &o.dry_run},
                                     {"json", &o.json}})
        *flag = args.count(name) != 0;
    if (args.count("avoid") != 0)
        for (const auto& set : args["avoid"].as<std::vector<std::string>>()) o.avoid.emplace_back(set);
    if (o.taxonomy.empty()) throw usage_error("--taxonomy is needed");
    if (!o.check && (args.count("teacher") == 0 || o.out.empty()))
        throw usage_error("--teacher and --out are needed (or --check)");
    if (o.fix && !o.check) throw usage_error("--fix goes with --check");
    if (o.fetch && (o.check || o.documents.empty()))
        throw usage_error(
            "--fetch-documents needs --documents, the folder to clone into, and fetches nothing for --check");
    if (args.count("teacher") != 0)
        for (const auto& part : args["teacher"].as<std::vector<std::string>>())
            o.teacher += (o.teacher.empty() ? "" : ",") + part;
    if (!o.check && o.teacher.empty()) throw usage_error("--teacher is empty");
    const auto api = args["api"].as<std::string>();
    if (api != "chat" && api != "completions") throw usage_error("--api is chat or completions, not '" + api + "'");
    if (api == "completions") o.servers.api = sdg::http_api::completions, o.servers.format = o.format;
    read_server_options(args, o.servers);
    o.budget = read_budget(args);
    auto& p = o.pipeline;
    p.seed = args["seed"].as<std::uint64_t>();
    for (const auto& [name, value] : {std::pair{"samples-per-leaf", &p.samples_per_leaf},
                                      {"budget", &p.budget},
                                      {"turns", &p.turns},
                                      {"judge-samples", &p.judge_samples},
                                      {"chunk-tokens", &p.chunks.max_tokens},
                                      {"chunk-overlap", &p.chunks.overlap_tokens},
                                      {"examples", &p.knowledge.examples}})
        *value = args[name].as<std::size_t>();
    for (const auto& [name, value] : {std::pair{"near-duplicate", &p.near_duplicate}, {"least-auc", &p.least_auc}})
        *value = args[name].as<double>();
    o.threads = chosen_threads(args);
    o.cache_bytes = chosen_cache_bytes(args);
    o.pipeline_file = args["pipeline"].as<std::string>();
    o.prompt_form = args["prompt-form"].as<std::string>();
    o.model_family = args["model-family"].as<std::string>();
    o.scale = args["scale"].as<std::size_t>();
    o.max_num_tokens = args["max-num-tokens"].as<std::size_t>();
    if (!o.pipeline_file.empty()) {  // InstructLab's chunks, where nothing else is said
        if (args.count("chunk-tokens") == 0) p.chunks.max_tokens = 500;
        if (args.count("chunk-overlap") == 0) p.chunks.overlap_tokens = 0;
    }
    const auto method = args["method"].as<std::string>();
    bool known = false;
    for (const auto m : {sdg::sampling_method::lab, sdg::sampling_method::evolve, sdg::sampling_method::self_instruct})
        if (name_of(m) == method) p.method = m, known = true;
    if (!known) throw usage_error("--method is lab, evolve or self-instruct, not '" + method + "'");
    if (p.turns == 0 || p.judge_samples == 0) throw usage_error("--turns and --judge-samples are at least 1");
    p.seeds_as_samples = args.count("no-seeds") == 0;
    p.safety_judge = args.count("safety-judge") != 0;
    p.knowledge.thorough = args.count("thorough") != 0;
    p.knowledge.record_judges = args.count("record-judges") != 0;
    p.knowledge.writer = sdg::writer_from(args["questions"].as<std::string>());
    p.knowledge.views = sdg::views_from(args["views"].as<std::string>());
    if (const auto folder = args["prompts"].as<std::string>(); !folder.empty()) p.wordings = sdg::prompts::pack(folder);
    return o;
}

}  // namespace lab::apps
