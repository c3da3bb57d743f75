// The measurements: a prompt or a generation alone, repeated; and many sequences at once. Each becomes a row.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/models.hpp"
#include "bench/output.hpp"
#include "bench/profile.hpp"
#include "bench/runner.hpp"
#include "lab/core/version.hpp"
#include "lab/kernels/arch.hpp"
#include "lab/run/available_memory.hpp"

namespace lab::apps {

/// A loaded model and what is the same in all its rows.
struct subject {
    std::shared_ptr<op_profile> profile;  // where wanted
    nn::any_model model;
    model_work work;
    std::string compute;
    machine_limits limits;
    ordered_json fields;

    /// What copying the matrices into the order of the kernels took; empty where none was.
    [[nodiscard]] std::string packing_text() const {
        const auto& info = model.info();
        return info.packed_bytes == 0 ? std::string()
                                      : "packing the weights of " + title() + ": " +
                                            text_of("%.2f MiB", static_cast<double>(info.packed_bytes) / 0x1p20) +
                                            text_of(" in %.0f ms", 1e3 * info.pack_seconds);
    }
    [[nodiscard]] std::string title() const { return work.type + (compute == "native" ? "" : " in " + compute); }
};

[[nodiscard]] inline std::string utc_now() {
    const std::time_t now = std::time(nullptr);
    std::tm fields{};
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", ::gmtime_r(&now, &fields));
    return text;
}
[[nodiscard]] inline std::string processor_name() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("model name")) return line.substr(std::min(line.size(), line.find(':') + 2));
    return "unknown";
}

/// How models are loaded, apart from their products' operands.
struct loading {
    thread_pool_options threads{};
    bool pack = true, profile = false;
};

[[nodiscard]] inline subject make_subject(const model_choice& choice, const std::string& compute, const loading& how) {
    const auto precision = compute_from_name(compute);
    subject s;
    if (how.profile) s.profile = std::make_shared<op_profile>();
    s.model = load(choice, {.pool = std::make_shared<thread_pool>(how.threads),
                            .compute = precision,
                            .profile = s.profile.get(),
                            .pack = how.pack});
    s.work = work_of(s.model, precision);
    s.compute = compute;
    s.fields = {{"build_version", version},
                {"cpu_info", processor_name()},
                {"backends", "CPU"},
                {"instruction_set", kernels::arch::native::name},
                {"model_filename", choice.name},
                {"model_type", s.work.type},
                {"model_size", s.work.bytes},
                {"model_n_params", s.work.parameters},
                {"n_threads", s.model.pool().size()},
                {"pinned", s.model.pool().pinned()},
                {"compute", compute},
                {"pack_ms", 1e3 * s.model.info().pack_seconds},
                {"pack_bytes", s.model.info().packed_bytes}};
    return s;
}
inline void add_limits(subject& s, const machine_limits& m) {
    s.limits = m;
    s.fields.update({{"limit_read_gbs", m.read},
                     {"limit_f32_gflops", m.f32},
                     {"limit_bf16_gflops", m.bf16},
                     {"limit_int8_gops", m.int8}});
}
[[nodiscard]] inline std::string limits_text(const machine_limits& m, std::size_t threads) {
    const auto operations = [](const char* name, double rate, const char* unit) {
        return rate > 0 ? std::string(", ") + name + text_of(" %.0f ", rate) + unit : std::string();
    };
    return "limits of " + std::to_string(threads) + (threads == 1 ? " thread (" : " threads (") +
           std::string(kernels::arch::native::name) + "): read " + text_of("%.1f GB/s", m.read) +
           operations("f32", m.f32, "GFLOP/s") + operations("bf16", m.bf16, "GFLOP/s") +
           operations("int8", m.int8, "GOP/s");
}
/// "61 % of f32 228 GFLOP/s"
[[nodiscard]] inline std::string share_text(const limit& l) {
    return text_of("%.0f %% of ", 100 * l.share) + l.name + text_of(l.peak < 100 ? " %.1f " : " %.0f ", l.peak) +
           l.unit;
}
inline void add_call(ordered_json& fields, const call_options& call) {
    fields.update({{"n_batch", call.batch}, {"type_k", name_of(call.cache)}, {"type_v", name_of(call.cache)}});
}
inline void add_share(ordered_json& fields, const std::string& prefix, const limit& l) {
    fields[prefix + "limit"] = l.name;
    fields[prefix + "limit_share"] = l.share;
}

/// A test of llama-bench: a prompt, or a generation, after `depth` tokens.
struct speed_test {
    std::size_t prompt = 0, generate = 0, depth = 0, repetitions = 5;
    call_options call{};

    [[nodiscard]] std::size_t tokens() const { return prompt + generate; }
    [[nodiscard]] std::string name() const {
        return (prompt != 0 ? "pp" + std::to_string(prompt) : "tg" + std::to_string(generate)) +
               (depth != 0 ? " @ d" + std::to_string(depth) : "");
    }
};

/// @throws config_error where the keys and values of so many sequences would not fit into memory
inline void require_memory(const nn::any_model& model, std::size_t sequences, std::size_t tokens, dtype cache) {
    const std::size_t window = model.dims().window;  // older ones are written over
    const std::size_t held = window == 0 ? tokens : std::min(tokens, window + kv_block_size);
    const double needed = static_cast<double>(sequences) *
                          std::ceil(static_cast<double>(held) / static_cast<double>(kv_block_size)) *
                          static_cast<double>(model.cache_block_bytes(cache));
    const auto there = static_cast<double>(run::available_memory());
    if (there == 0 || needed <= there) return;
    throw config_error(explain(std::to_string(sequences) + " sequences of " + std::to_string(tokens) + " tokens",
                               "their keys and values take " + text_of("%.1f", needed / 0x1p30) + " GiB, and " +
                                   text_of("%.1f", there / 0x1p30) + " are available",
                               "measure fewer or shorter ones, or -ctk q8_0"));
}

/// One run to warm up, then the timed ones; all of them continue the same `depth` tokens.
inline std::vector<double> run_test(const subject& s, const speed_test& t, const status_line& status) {
    require_memory(s.model, 1, t.depth + t.tokens(), t.call.cache);
    runner run(s.model, t.call);
    const auto base = run.cache().create();
    run.prefill(std::span(&base, 1), t.depth);
    std::vector<double> seconds;
    for (std::size_t i = 0; i <= t.repetitions; ++i) {
        status.show(s.work.type + " " + t.name() + ": run " + std::to_string(i) + " of " +
                    std::to_string(t.repetitions));
        const auto sequence = run.cache().fork(base, static_cast<std::int32_t>(t.depth));
        const double taken = seconds_of([&] {
            run.prefill(std::span(&sequence, 1), t.prompt);
            run.generate(sequence, t.generate);
        });
        run.cache().release(sequence);
        if (i != 0)
            seconds.push_back(taken);
        else if (s.profile)
            (void)s.profile->take();
    }
    status.show("");
    return seconds;
}

struct mean_and_deviation {
    double mean = 0, deviation = 0;  // of a sample: over n - 1
    explicit mean_and_deviation(const std::vector<double>& values) {
        const auto n = static_cast<double>(values.size());
        for (const double v : values) mean += v / n;
        for (const double v : values) deviation += (v - mean) * (v - mean);
        deviation = values.size() < 2 ? 0 : std::sqrt(deviation / (n - 1));
    }
};

inline void speed_row(const subject& s, const speed_test& t, const status_line& status, result_writer& out) {
    auto fields = s.fields;
    add_call(fields, t.call);
    fields.update({{"n_prompt", t.prompt}, {"n_gen", t.generate}, {"n_depth", t.depth}, {"test_time", utc_now()}});
    std::vector<double> nanoseconds, rates;
    for (const double seconds : run_test(s, t, status)) {
        nanoseconds.push_back(std::round(seconds * 1e9));
        rates.push_back(static_cast<double>(t.tokens()) / seconds);
    }
    const mean_and_deviation time(nanoseconds), rate(rates);
    fields.update({{"avg_ns", std::llround(time.mean)},
                   {"stddev_ns", std::llround(time.deviation)},
                   {"avg_ts", rate.mean},
                   {"stddev_ts", rate.deviation}});
    std::vector<cell> cells{{"model", s.title(), 24, true},
                            {"size", text_of("%.2f MiB", static_cast<double>(s.work.bytes) / 0x1p20), 12},
                            {"params", text_of("%.2f M", static_cast<double>(s.work.parameters) / 1e6), 10},
                            {"threads", std::to_string(s.model.pool().size())},
                            {"batch", std::to_string(t.call.batch)},
                            {"cache", std::string(name_of(t.call.cache))},
                            {"test", t.name(), 14},
                            {"t/s", text_of("%.2f", rate.mean) + text_of(" ± %.2f", rate.deviation), 18}};
    if (s.limits.read > 0) {
        const double operations = 2 * (s.work.body * static_cast<double>(t.prompt) + s.work.head);
        const limit l = t.prompt != 0 ? computing_limit(s.limits, s.work.with, operations * 1e9 / time.mean)
                                      : reading_limit(s.limits, s.work.step_bytes * rate.mean);
        add_share(fields, "", l);
        cells.push_back({"of the limit", share_text(l), 24});
    }
    fields["samples_ns"] = std::vector<std::int64_t>(nanoseconds.begin(), nanoseconds.end());
    fields["samples_ts"] = rates;
    const auto where = s.profile ? s.profile->take() : op_times{};
    double spent = 0;
    for (const double ns : nanoseconds) spent += ns / 1e9;
    if (s.profile) fields["profile"] = profile_fields(where);
    out.row(fields, cells);
    if (s.profile) out.block(profile_text(where, spent));
}

/// The nearer bound of a generation: a step reads the weights once for all its sequences and multiplies them with each.
[[nodiscard]] inline limit generating_limit(const subject& s, double tokens_per_second, double sequences) {
    const limit reading = reading_limit(s.limits, s.work.step_bytes * tokens_per_second / sequences);
    const limit computing = computing_limit(s.limits, s.work.with, 2 * (s.work.body + s.work.head) * tokens_per_second);
    return reading.share >= computing.share ? reading : computing;
}

/// A row of llama-batched-bench.
struct batched_test {
    std::size_t prompt = 0, generate = 0, sequences = 1;
    bool shared = false;  // one prompt, computed once
    call_options call{};

    /// Whether there is something to measure, in at most `context` cached tokens; 0: any number.
    [[nodiscard]] bool counts(std::size_t context) const {
        return sequences != 0 && prompt + generate != 0 && (context == 0 || cached() <= context);
    }
    [[nodiscard]] std::size_t prompt_tokens() const { return shared ? prompt : prompt * sequences; }
    [[nodiscard]] std::size_t cached() const { return prompt_tokens() + generate * sequences; }
};

/// Seconds of the prompts and of the generation.
inline std::pair<double, double> run_test(const subject& s, const batched_test& t) {
    require_memory(s.model, t.sequences, t.prompt + t.generate, t.call.cache);
    runner run(s.model, t.call);
    run.reserve(t.sequences, t.prompt + t.generate);
    std::vector<nn::sequence_id> warm{run.cache().create()}, all(t.sequences);
    run.prefill(warm, 16);
    run.generate(warm[0], 1);
    run.cache().release(warm[0]);
    if (s.profile) (void)s.profile->take();
    const double prompts = seconds_of([&] {
        all[0] = run.cache().create();
        for (std::size_t i = 1; !t.shared && i < all.size(); ++i) all[i] = run.cache().create();
        run.prefill(std::span(all).first(t.shared ? 1 : all.size()), t.prompt);
        for (std::size_t i = 1; t.shared && i < all.size(); ++i)
            all[i] = run.cache().fork(all[0], static_cast<std::int32_t>(t.prompt));
    });
    return {prompts, seconds_of([&] { run.generate_greedily(all, t.generate); })};
}

inline void batched_row(const subject& s, const batched_test& t, std::size_t context, const status_line& status,
                        result_writer& out) {
    status.show(s.work.type + ": " + std::to_string(t.sequences) + " sequences");
    const auto [t_pp, t_tg] = run_test(s, t);
    status.show("");
    const auto rate = [](std::size_t count, double seconds) {
        return seconds > 0 ? static_cast<double>(count) / seconds : 0;
    };
    const std::size_t generated = t.generate * t.sequences;
    const double s_pp = rate(t.prompt_tokens(), t_pp), s_tg = rate(generated, t_tg), t_all = t_pp + t_tg;
    auto fields = s.fields;
    add_call(fields, t.call);
    fields.update({{"n_kv_max", context},
                   {"is_pp_shared", t.shared ? 1 : 0},
                   {"pp", t.prompt},
                   {"tg", t.generate},
                   {"pl", t.sequences},
                   {"n_kv", t.cached()},
                   {"t_pp", t_pp},
                   {"speed_pp", s_pp},
                   {"t_tg", t_tg},
                   {"speed_tg", s_tg},
                   {"t", t_all},
                   {"speed", rate(t.cached(), t_all)}});
    const auto count = [](std::size_t n) { return std::to_string(n); };
    std::vector<cell> cells{{"model", s.title(), 24, true},
                            {"PP", count(t.prompt), 6},
                            {"TG", count(t.generate), 6},
                            {"B", count(t.sequences), 4},
                            {"N_KV", count(t.cached()), 6},
                            {"T_PP s", text_of("%.3f", t_pp), 8},
                            {"S_PP t/s", text_of("%.2f", s_pp), 8},
                            {"T_TG s", text_of("%.3f", t_tg), 8},
                            {"S_TG t/s", text_of("%.2f", s_tg), 8},
                            {"T s", text_of("%.3f", t_all), 8},
                            {"S t/s", text_of("%.2f", rate(t.cached(), t_all)), 8}};
    if (s.limits.read > 0) {
        const double heads = static_cast<double>(t.shared ? 1 : t.sequences);
        const limit pp = computing_limit(
            s.limits, s.work.with,
            t_pp > 0 ? 2 * (s.work.body * static_cast<double>(t.prompt_tokens()) + s.work.head * heads) / t_pp : 0);
        const limit tg = generating_limit(s, s_tg, static_cast<double>(t.sequences));
        add_share(fields, "pp_", pp);
        add_share(fields, "tg_", tg);
        cells.push_back({"PP of the limit", share_text(pp), 24});
        cells.push_back({"TG of the limit", share_text(tg), 24});
    }
    const auto where = s.profile ? s.profile->take() : op_times{};
    if (s.profile) fields["profile"] = profile_fields(where);
    out.row(fields, cells);
    if (s.profile) out.block(profile_text(where, t_all));
}

}  // namespace lab::apps
