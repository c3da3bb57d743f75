// lab-bench train: whole optimizer steps, forward, backward, clipping and AdamW, over random tokens in samples of a
// given length or range of lengths, packed without padding.
#pragma once

#include <sys/resource.h>
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cxxopts.hpp>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bench/measure.hpp"
#include "bench/output.hpp"
#include "bench/runner.hpp"
#include "common/cli.hpp"
#include "common/shapes.hpp"
#include "common/stop.hpp"
#include "common/training_work.hpp"
#include "lab/core/rng.hpp"
#include "lab/nn/load_trainable.hpp"
#include "lab/replay/packing.hpp"
#include "lab/train/adamw_update.hpp"
#include "lab/train/step.hpp"

namespace lab::apps {

inline constexpr const char* train_bench_overview =
    R"(lab-bench train: how fast a model is trained, beside the multiply-adds that the machine can do.

  lab-bench train --shape smollm2-135m --batch 2 --seq 512
  lab-bench train -m model.gguf --type f32,bf16 --batch 8 --seq 256 -r 5 -o json
  lab-bench train -m model.gguf --batch 32 --lengths 20-500 --masked 0.5 --profile
  lab-bench train --shape smollm2-135m --lora 16 --base-type q4_k

A step is forward, backward, clipping and AdamW over --batch samples; --type is of the products' operands, weights and
sums are f32. Samples are packed without padding. What is masked gives no loss, and its logits are not computed.

)";

struct train_bench_options {
    model_choice model;
    std::vector<std::string> types;
    std::string output;
    std::optional<dtype> base_type;
    std::size_t lora = 0;
    std::size_t batch = 2, shortest = 512, longest = 512, micro_batch = 512, threads = 0, repetitions = 3;
    double masked = 0;
    nn::recompute recompute = nn::recompute::none;
    bool limits = true, profile = false;
};

/// @return nothing where --help was all that was wanted.
[[nodiscard]] inline std::optional<train_bench_options> parse_train_bench(int argc, char** argv) {
    train_bench_options o;
    std::string file, shape, lengths, base_type, again;
    std::size_t sequence = 512;
    cxxopts::Options spec("lab-bench train", "");
    spec.add_options()("m,model", "GGUF file or safetensors folder", cxxopts::value(file))(
        "shape", shape_choices, cxxopts::value(shape))("type", "of the products' operands: f32, bf16",
                                                       cxxopts::value(o.types)->default_value("f32"))(
        "batch", "samples of a step", cxxopts::value(o.batch)->default_value("2"))(
        "seq", "tokens of a sample", cxxopts::value(sequence)->default_value("512"))(
        "lora", "rank of adapters that are trained instead of the weights; 0: none",
        cxxopts::value(o.lora)->default_value("0"))(
        "base-type", "with --lora: of the weights, f32 or any block format; default: f32, of a file as stored",
        cxxopts::value(base_type))("lengths", "shortest-longest, drawn evenly, instead of --seq: 20-500",
                                   cxxopts::value(lengths))("masked",
                                                            "share of each sample, from its start, that gives no loss",
                                                            cxxopts::value(o.masked)->default_value("0"))(
        "micro-batch", "tokens computed at once, as in lab-train; 0: all of a step",
        cxxopts::value(o.micro_batch)->default_value("512"))("recompute",
                                                             "instead of kept for the backward: none, selective, full",
                                                             cxxopts::value(again)->default_value("none"))(
        "t,threads", "0: one per processor", cxxopts::value(o.threads)->default_value("0"))(
        "r,repetitions", "steps that are measured, after one to warm up",
        cxxopts::value(o.repetitions)->default_value("3"))("profile", "also where the time went, by operation",
                                                           cxxopts::value(o.profile))(
        "o,output,output-format", "md, csv, json or jsonl", cxxopts::value(o.output)->default_value("md"))(
        "json", "the same as -o json")("no-limits", "do not measure what the machine can do")("h,help", "this text");
    const auto args = spec.parse(argc, argv);
    if (args.count("help") != 0) return std::cout << train_bench_overview << spec.help(), std::nullopt;
    if (!args.unmatched().empty()) throw usage_error("unexpected argument '" + args.unmatched().front() + "'");
    if (file.empty() == shape.empty()) throw usage_error("a model is needed: -m FILE or --shape NAME");
    o.model = file.empty() ? model_choice{shape, parse_shape(shape), dtype::f32} : model_choice{file, {}, {}};
    if (!base_type.empty() && o.lora == 0) throw usage_error("--base-type needs --lora RANK");
    if (!base_type.empty()) o.base_type = dtype_from_name(base_type);
    o.recompute = nn::recompute_from_name(again);
    take_json(args, o.output);
    o.limits = args.count("no-limits") == 0;
    o.shortest = o.longest = sequence;
    if (!lengths.empty()) {
        const char* end = lengths.data() + lengths.size();
        const auto first = std::from_chars(lengths.data(), end, o.shortest);
        const bool dash = first.ec == std::errc() && first.ptr != end && *first.ptr == '-';
        const auto second = dash ? std::from_chars(first.ptr + 1, end, o.longest) : first;
        if (!dash || second.ec != std::errc() || second.ptr != end || o.shortest > o.longest)
            throw usage_error("--lengths " + lengths + ": SHORTEST-LONGEST, as in 20-500");
    }
    checked_threads(o.threads);
    if (o.batch == 0 || o.shortest < 2 || o.repetitions == 0)
        throw usage_error("--batch and -r must be at least 1, samples two tokens long");
    if (!(o.masked >= 0 && o.masked < 1)) throw usage_error("--masked lies in [0, 1)");
    for (const auto& type : o.types)
        if (compute_from_name(type) == compute::native) throw usage_error("--type is f32 or bf16");
    return o;
}

/// Samples of random tokens, lengths and tokens by the seed.
[[nodiscard]] inline std::vector<replay::training_sample> random_samples(const train_bench_options& o,
                                                                         std::size_t vocab) {
    counter_rng rng(1, "lab-bench train");
    std::vector<replay::training_sample> samples(o.batch);
    for (auto& s : samples) {
        s.tokens.resize(o.shortest + rng.below(o.longest - o.shortest + 1));
        for (token& t : s.tokens) t = static_cast<token>(rng.below(vocab));
        s.trained.assign(s.tokens.size(), 1);
        std::fill_n(s.trained.begin(), static_cast<std::size_t>(o.masked * static_cast<double>(s.tokens.size())), 0);
    }
    return samples;
}

/// The type of the linear layers.
[[nodiscard]] inline dtype linear_type(const nn::any_model& model) {
    for (const auto& [info, data] : model.weights())
        if (!nn::linear_module(info).empty()) return data.type;
    return dtype::f32;
}

/// From here on the peak counts anew: a row's is not that of the row before.
inline void forget_peak_memory() { std::ofstream("/proc/self/clear_refs") << "5"; }
[[nodiscard]] inline double peak_resident_mb() {
    ::rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_maxrss) / 1024;
}

inline void train_row(const train_bench_options& o, const std::string& type, const machine_limits& limits,
                      const std::shared_ptr<thread_pool>& pool, const status_line& status, result_writer& out) {
    const auto precision = compute_from_name(type);
    forget_peak_memory();
    const auto profile = o.profile ? std::make_shared<op_profile>() : nullptr;
    nn::load_options options{
        .pool = pool, .profile = profile.get(), .pack = false, .training = precision, .recompute = o.recompute};
    status.show("loading " + o.model.name);
    if (o.lora != 0) options.lora = nn::lora_options{.rank = o.lora};
    if (!o.model.dims && o.base_type) options.expand = o.base_type;
    auto model = o.model.dims ? nn::make_trainable_synthetic(*o.model.dims, o.base_type.value_or(dtype::f32), options)
                              : nn::load_trainable(o.model.name, options);
    const auto samples = random_samples(o, model.dims().vocab);
    std::vector<const replay::training_sample*> step;
    for (const auto& s : samples) step.push_back(&s);
    const auto batches = replay::pack(step, o.micro_batch);
    train::adamw_update update({}, optim::decay_ranges(model), pool.get());
    update.reset(model.parameters().size());

    train::step_loss loss;
    const auto one_step = [&] {
        if (stop_asked()) throw stopped{};
        loss = train::accumulate_gradients(model, batches);
        {
            const op_timer timer(profile.get(), {"clipping and AdamW"});
            update.step(model.parameters(), model.gradients(), 1e-5, update.norm(model.gradients()));
        }
        if (!std::isfinite(loss.loss)) throw format_error("the loss is not finite");
    };
    std::vector<double> seconds;
    for (std::size_t i = 0; i <= o.repetitions; ++i) {
        status.show(type + ": step " + std::to_string(i) + " of " + std::to_string(o.repetitions));
        const double taken = seconds_of(one_step);
        if (i != 0) seconds.push_back(taken);
        if (i == 0 && profile) (void)profile->take();
    }
    status.show("");
    double whole = 0;
    for (const double s : seconds) whole += s;
    std::sort(seconds.begin(), seconds.end());
    const double median = (seconds[(seconds.size() - 1) / 2] + seconds[seconds.size() / 2]) / 2;
    const double rate = static_cast<double>(loss.tokens) / median;
    const auto with = precision == compute::bf16 ? kernels::operand::bf16 : kernels::operand::f32;
    const limit share =
        computing_limit(limits, with, training_work(model).of(loss.tokens, loss.target_tokens) / median);
    const auto work = work_of(model, precision);
    std::vector<std::size_t> lengths;
    for (const auto& s : samples) lengths.push_back(s.tokens.size());
    ordered_json fields{{"build_version", version},
                        {"cpu_info", processor_name()},
                        {"instruction_set", kernels::arch::native::name},
                        {"model_filename", o.model.name},
                        {"model_n_params", work.parameters},
                        {"n_threads", pool->size()},
                        {"type", type},
                        {"lora", o.lora},
                        {"recompute", name_of(o.recompute)},
                        {"base_type", name_of(linear_type(model))},
                        {"batch", o.batch},
                        {"seq_shortest", o.shortest},
                        {"seq_longest", o.longest},
                        {"lengths", lengths},
                        {"micro_batch", o.micro_batch},
                        {"masked", o.masked},
                        {"tokens", loss.tokens},
                        {"targets", loss.target_tokens},
                        {"tok_s", rate},
                        {"samples_s", static_cast<double>(o.batch) / median},
                        {"step_ms", 1e3 * median},
                        {"step_ms_least", 1e3 * seconds.front()},
                        {"step_ms_most", 1e3 * seconds.back()},
                        {"peak_rss_mb", peak_resident_mb()}};
    add_share(fields, "", share);
    const std::vector<cell> cells{{"model", work.type, 18, true},
                                  {"products", type, 8},
                                  {"samples", std::to_string(o.batch)},
                                  {"tokens", std::to_string(loss.tokens)},
                                  {"learnt", std::to_string(loss.target_tokens)},
                                  {"step ms", text_of("%.0f", 1e3 * median), 8},
                                  {"t/s", text_of("%.1f", rate), 8},
                                  {"of the limit", o.limits ? share_text(share) : "", 12},
                                  {"peak MiB", text_of("%.0f", peak_resident_mb()), 8}};
    const auto where = profile ? profile->take() : op_times{};
    if (profile) fields["profile"] = profile_fields(where);
    out.row(fields, cells);
    if (profile) out.note(profile_text(where, whole));
}

/// @return the exit code
inline int train_bench(int argc, char** argv) {
    const auto o = parse_train_bench(argc, argv);
    if (!o) return 0;
    listen_for_stop();
    result_writer out(o->output);
    const status_line status;
    const auto pool = std::make_shared<thread_pool>(o->threads);
    machine_limits limits;
    if (o->limits) {
        status.show("measuring the machine's limits");
        limits = measure_limits(*pool);
    }
    try {
        for (const auto& type : o->types) train_row(*o, type, limits, pool, status, out);
    } catch (const stopped&) {
        return stopped_exit_code();
    }
    if (o->limits) out.note(limits_text(limits, pool->size()));
    return 0;
}

}  // namespace lab::apps
