// lab-bench's command line, in llama-bench's and llama-batched-bench's words where they have one.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cxxopts.hpp>
#include <initializer_list>
#include <iostream>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bench/load.hpp"
#include "bench/measure.hpp"
#include "bench/models.hpp"
#include "bench/output.hpp"
#include "bench/runner.hpp"
#include "common/argv.hpp"
#include "common/cli.hpp"
#include "common/shapes.hpp"
#include "lab/core/dtype.hpp"
#include "lab/core/version.hpp"

namespace lab::apps {

inline constexpr const char* bench_overview =
    R"(lab-bench: how fast a model runs, beside what the machine can do at most.

  lab-bench -m FILE [-p 512] [-n 128] [-d 0] [-t 0] [-r 5] [-o md|csv|json|jsonl]
  lab-bench batched -m FILE [-npp 256] [-ntg 64] [-npl 1,8,32] [-pps] [-t 0] [-c 0] [-o md|csv|json|jsonl]
  lab-bench load -m FILE [-n 64] [-npl 16] [-npp 433] [-ntg 96] [-t 0] [-o md|csv|json|jsonl]
  lab-bench train --shape NAME [--batch 2] [--seq 512] [--type f32,bf16] [-r 3]      (lab-bench train --help)

Options take comma lists; each combination is a row. Without a file, --shape measures random weights:

  lab-bench -m model.gguf -p 128,512 -n 64
  lab-bench --shape granite-7b --type q4_0 -p 64 -n 16 -r 2 -d 0,4096
  lab-bench --shape dim=512,layers=8,heads=8,hidden=1536,vocab=32000 --type q8_0,q6_k -o json
  lab-bench batched -m model.gguf -npp 256 -ntg 64 -npl 1,8,32 -pps
  lab-bench -m model.gguf -p 0 -n 64 -d 4096 --profile
  lab-bench load -m model.gguf -n 64 -npl 16 -npp 433 -ntg 96

pp512 is a prompt of 512 tokens, tg128 the generation of 128, "@ d4096" with 4096 tokens in the cache before. Beside
each figure stands its share of a measured limit of this machine: a prompt's of the multiply-adds that it can do, a
generation's of the bytes that it can read. Only the weights are counted: attention over a long context comes on top.
`load` is a generator's work, through the whole engine: requests that share a prompt, sampled, so many at once.

)";

enum class bench_mode { speed, batched, load };

struct bench_options {
    std::vector<std::string> files, types;
    std::string shapes, output, save;
    bench_mode mode = bench_mode::speed;
    std::vector<std::size_t> prompts, generations, depths, batches, threads, parallel, requests;
    std::vector<std::string> compute, cache_types;
    std::size_t repetitions = 0, context = 0, cache_mib = 0;
    bool shared_prompt = false, limits = true, profile = false, pin = false, pack = true;

    /// Every combination of -b and --cache-type.
    [[nodiscard]] std::vector<call_options> calls() const {
        std::vector<call_options> out;
        for (const auto batch : batches)
            for (const auto& type : cache_types) out.push_back({batch, dtype_from_name(type)});
        return out;
    }
    [[nodiscard]] std::vector<speed_test> speed_tests() const {
        std::vector<speed_test> out;
        for (const auto& call : calls())
            for (const auto depth : depths) {
                for (const auto prompt : prompts)
                    if (prompt != 0) out.push_back({prompt, 0, depth, repetitions, call});
                for (const auto generate : generations)
                    if (generate != 0) out.push_back({0, generate, depth, repetitions, call});
            }
        return out;
    }
    [[nodiscard]] std::vector<batched_test> batched_tests() const {
        std::vector<batched_test> out;
        for (const auto& call : calls())
            for (const auto prompt : prompts)
                for (const auto generate : generations)
                    for (const auto sequences : parallel)
                        if (const batched_test test{prompt, generate, sequences, shared_prompt, call};
                            test.counts(context))
                            out.push_back(test);
        return out;
    }
    [[nodiscard]] std::vector<load_test> load_tests() const {
        std::vector<load_test> out;
        for (const auto& call : calls())
            for (const auto prompt : prompts)
                for (const auto generate : generations)
                    for (const auto sequences : parallel)
                        for (const auto count : requests)
                            out.push_back({count, sequences, prompt, generate, call,
                                           cache_mib == 0 ? 0 : bytes_of_mib(cache_mib)});
        return out;
    }
    [[nodiscard]] std::vector<model_choice> models() const {
        std::vector<model_choice> out;
        for (const auto& file : files) out.push_back({file, {}, {}});
        for (const auto& shape : split_shapes(shapes))
            for (const auto& type : types) out.push_back({shape, parse_shape(shape), dtype_from_name(type)});
        if (out.empty()) throw usage_error("a model is missing: -m FILE, or --shape NAME");
        if (mode == bench_mode::load && files.size() != out.size())
            throw usage_error("load needs a model with a tokenizer: -m FILE, not --shape");
        if (!save.empty() && (out.size() != 1 || !files.empty()))
            throw usage_error("--save needs one --shape and type");
        return out;
    }
};

/// What can be seen before a model is loaded. @throws usage_error
inline void require_rows(const bench_options& o) {
    const auto above_zero = [](const char* option, const std::vector<std::size_t>& values) {
        if (std::find(values.begin(), values.end(), 0u) != values.end())
            throw usage_error(std::string(option) + " must be at least 1");
    };
    const auto one_of = [](const char* option, const std::vector<std::string>& values,
                           std::initializer_list<std::string_view> known) {
        std::string all;
        for (const auto name : known) all.append(all.empty() ? "" : ", ").append(name);
        for (const auto& value : values)
            if (std::find(known.begin(), known.end(), value) == known.end())
                throw usage_error(std::string(option) + " " + value + ": one of " + all);
    };
    const auto at_most = [](std::size_t most, const char* option, std::span<const std::size_t> values) {
        for (const auto value : values)
            if (value > most)
                throw usage_error(std::string(option) + " " + std::to_string(value) + ": at most " +
                                  std::to_string(most));
    };
    constexpr std::size_t most_tokens = std::size_t{1} << 24, most_at_once = std::size_t{1} << 16, most_runs = 1000000;
    const bool speed = o.mode == bench_mode::speed;
    at_most(most_tokens, speed ? "-p" : "-npp", o.prompts);
    at_most(most_tokens, speed ? "-n" : "-ntg", o.generations);
    at_most(most_tokens, "-d", o.depths);
    at_most(most_tokens, "-b", o.batches);
    at_most(most_at_once, "-npl", o.parallel);
    at_most(most_runs, "-n", o.requests);
    at_most(most_runs, "-r", std::span(&o.repetitions, 1));
    if (o.profile && o.output == "csv") throw usage_error("--profile has no columns in csv: -o md, json or jsonl");
    for (const auto threads : o.threads) checked_threads(threads);
    above_zero("-b", o.batches);
    one_of("-ctk", o.cache_types, {"f16", "q8_0", "bf16", "f32"});
    one_of("--compute", o.compute, {"native", "f32", "bf16"});
    if (speed) {
        if (o.repetitions == 0) throw usage_error("-r must be at least 1");
        if (o.speed_tests().empty()) throw usage_error("nothing to measure: -p or -n must be above 0");
    } else if (o.mode == bench_mode::batched) {
        if (o.batched_tests().empty())
            throw usage_error(
                "nothing to measure: -npl, and -npp or -ntg, must be above 0, and -c, where given, hold their tokens");
    } else {
        above_zero("-npl", o.parallel);
        above_zero("-ntg", o.generations);
        above_zero("-n", o.requests);
        if (o.cache_mib != 0) static_cast<void>(bytes_of_mib(o.cache_mib));
    }
}

/// @return nothing where --help or --version was all that was wanted.
[[nodiscard]] inline std::optional<bench_options> parse_bench(int argc, char** argv) {
    bench_options o;
    const std::string_view command = argc > 1 ? argv[1] : "";
    if (command == "batched") o.mode = bench_mode::batched;
    if (command == "load") o.mode = bench_mode::load;
    const bool speed = o.mode == bench_mode::speed, load = o.mode == bench_mode::load;
    cxxopts::Options spec(speed ? "lab-bench" : "lab-bench " + std::string(command), "");
    const auto counts = [](std::vector<std::size_t>& to, const char* fallback) {
        return cxxopts::value(to)->default_value(fallback);
    };
    spec.add_options()("m,model", "GGUF files or safetensors folders", cxxopts::value(o.files))(
        "shape", shape_choices, cxxopts::value(o.shapes))("type", "weight format of a shape",
                                                          cxxopts::value(o.types)->default_value("q4_0"))(
        "save", "write the random weights of the shape to this GGUF file and measure nothing", cxxopts::value(o.save))(
        "t,threads", "0: one per processor", counts(o.threads, "0"))("b,batch-size", "tokens of one call with prompts",
                                                                     counts(o.batches, "512"))(
        "ctk,cache-type", "of the cached keys and values: f16, q8_0, bf16, f32",
        cxxopts::value(o.cache_types)->default_value("f16"))("compute",
                                                             "operands of matrix products: native, f32, bf16",
                                                             cxxopts::value(o.compute)->default_value("native"))(
        "o,output,output-format", "md, csv, json or jsonl", cxxopts::value(o.output)->default_value("md"));
    if (!speed) {
        spec.add_options()("npp", "prompt tokens of a sequence", counts(o.prompts, load ? "433" : "256"))(
            "ntg", "tokens generated for each sequence", counts(o.generations, load ? "96" : "64"))(
            "npl", "sequences at once", counts(o.parallel, load ? "16" : "1,8,32"));
    }
    if (load) {
        spec.add_options()("n,requests", "in all; they share the prompt but for its last token",
                           counts(o.requests, "64"))(
            "cache-mib", "MiB that cached keys and values may take at most; 0: what the test needs, 1024 at least",
            cxxopts::value(o.cache_mib)->default_value("0"));
    } else if (!speed) {
        spec.add_options()("pps", "one prompt shared by all sequences", cxxopts::value(o.shared_prompt))(
            "c,ctx-size", "skip rows with more tokens in the cache than this; 0: none",
            cxxopts::value(o.context)->default_value("0"));
    } else {
        spec.add_options()("p,n-prompt", "prompt tokens; 0: no such test", counts(o.prompts, "512"))(
            "n,n-gen", "tokens to generate; 0: no such test", counts(o.generations, "128"))(
            "d,n-depth", "tokens in the cache before", counts(o.depths, "0"))(
            "r,repetitions", "of each test, after one run to warm up",
            cxxopts::value(o.repetitions)->default_value("5"));
    }
    spec.add_options()("profile", "also where the time went, by operation; measuring that takes a few percent",
                       cxxopts::value(o.profile))(
        "no-pack", "read the weights as they are stored, not copied into the order of the kernels: the same results")(
        "pin", "bind each thread but the first to a processor of its own", cxxopts::value(o.pin))(
        "json", "the same as -o json")("no-limits", "do not measure what the machine can do")("version", "the version")(
        "h,help", "this text");
    static constexpr std::array<std::string_view, 5> one_dash{"npp", "ntg", "npl", "pps", "ctk"};
    const int skipped = speed ? 0 : 1;
    const std::vector<const char*> given(argv + skipped, argv + argc);
    const auto arguments = with_double_dashes(given, one_dash);
    const auto pointers = as_argv(arguments);
    const auto args = spec.parse(static_cast<int>(pointers.size()), pointers.data());
    if (args.count("help") != 0) return std::cout << bench_overview << spec.help(), std::nullopt;
    if (args.count("version") != 0) return std::cout << "lab-bench " << version << '\n', std::nullopt;
    if (!args.unmatched().empty()) throw usage_error("unexpected argument '" + args.unmatched().front() + "'");
    take_json(args, o.output);
    if (args.count("type") != 0 && o.shapes.empty())
        throw usage_error("--type goes with --shape; the weights of a file are measured as they are stored");
    o.limits = args.count("no-limits") == 0;
    o.pack = args.count("no-pack") == 0;
    require_rows(o);
    return o;
}

}  // namespace lab::apps
