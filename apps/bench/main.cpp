// lab-bench: prompt and generation speed of models, alone, in batches and under a generator's load, and training speed,
// beside the limits of the machine.
#include <cstddef>
#include <iostream>
#include <map>
#include <string_view>
#include <vector>

#include "bench/load.hpp"
#include "bench/measure.hpp"
#include "bench/options.hpp"
#include "bench/output.hpp"
#include "bench/train.hpp"
#include "common/cli.hpp"
#include "common/limits.hpp"
#include "common/stop.hpp"
#include "lab/nn/save.hpp"

namespace {

using namespace lab;
using namespace lab::apps;

void measure_speed(const subject& s, const bench_options& o, const status_line& status, result_writer& out) {
    for (const auto& call : o.calls())
        for (const auto depth : o.depths) {
            for (const auto prompt : o.prompts)
                if (prompt != 0) speed_row(s, {prompt, 0, depth, o.repetitions, call}, status, out);
            for (const auto generate : o.generations)
                if (generate != 0) speed_row(s, {0, generate, depth, o.repetitions, call}, status, out);
        }
}

void measure_batched(const subject& s, const bench_options& o, const status_line& status, result_writer& out) {
    for (const auto& call : o.calls())
        for (const auto prompt : o.prompts)
            for (const auto generate : o.generations)
                for (const auto sequences : o.parallel) {
                    const batched_test test{prompt, generate, sequences, o.shared_prompt, call};
                    if (sequences == 0 || (o.context != 0 && test.cached() > o.context)) continue;
                    batched_row(s, test, o.context, status, out);
                }
}

void measure_load(const subject& s, const bench_options& o, const status_line& status, result_writer& out) {
    for (const auto& call : o.calls())
        for (const auto prompt : o.prompts)
            for (const auto generate : o.generations)
                for (const auto sequences : o.parallel)
                    for (const auto requests : o.requests)
                        load_row(s, {requests, sequences, prompt, generate, call}, status, out);
}

int run(int argc, char** argv) {
    const auto options = parse_bench(argc, argv);
    if (!options) return 0;
    const bench_options& o = *options;
    const auto choices = o.models();
    if (!o.save.empty()) {
        nn::save_gguf(load(choices.front(), o.threads.front(), compute::native, nullptr, false), o.save);
        return 0;
    }
    listen_for_stop();
    result_writer out(o.output);
    const status_line status;
    std::map<std::size_t, machine_limits> limits;  // by threads
    try {
        for (const auto& choice : choices)
            for (const auto threads : o.threads)
                for (const auto& compute : o.compute) {
                    status.show("loading " + choice.name);
                    subject s = make_subject(choice, threads, compute, o.profile);
                    auto& pool = s.model.pool();
                    if (o.limits) {
                        status.show("measuring the machine's limits");
                        if (!limits.contains(pool.size())) limits[pool.size()] = measure_limits(pool);
                        add_limits(s, limits[pool.size()]);
                    }
                    status.show("");
                    (o.mode == bench_mode::speed     ? measure_speed
                     : o.mode == bench_mode::batched ? measure_batched
                                                     : measure_load)(s, o, status, out);
                }
        for (const auto& [threads, found] : limits) out.note(limits_text(found, threads));
    } catch (const stopped&) {
        return stopped_exit_code();  // the rows so far stand
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    return lab::apps::run_app("lab-bench", [&] {
        if (argc > 1 && std::string_view(argv[1]) == "train") return lab::apps::train_bench(argc - 1, argv + 1);
        return run(argc, argv);
    });
}
