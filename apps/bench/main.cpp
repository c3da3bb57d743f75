// lab-bench: prompt and generation speed of models, alone, in batches and under a generator's load, and training speed,
// beside the limits of the machine.
#include <cstddef>
#include <iostream>
#include <map>
#include <string>
#include <string_view>
#include <utility>
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

void measure(const subject& s, const bench_options& o, const status_line& status, result_writer& out) {
    if (o.mode == bench_mode::speed)
        for (const auto& test : o.speed_tests()) speed_row(s, test, status, out);
    else if (o.mode == bench_mode::batched)
        for (const auto& test : o.batched_tests()) batched_row(s, test, o.context, status, out);
    else
        for (const auto& test : o.load_tests()) load_row(s, test, status, out);
}

int speed_bench(int argc, char** argv) {
    const auto options = parse_bench(argc, argv);
    if (!options) return 0;
    const bench_options& o = *options;
    const auto choices = o.models();
    if (!o.save.empty()) {
        nn::save_gguf(load(choices.front(), {.threads = o.threads.front(), .pack = false}), o.save);
        return 0;
    }
    listen_for_stop();
    result_writer out(o.output);
    const status_line status;
    std::map<std::size_t, machine_limits> limits;  // by threads
    std::vector<std::string> notes;
    try {
        for (const auto& choice : choices)
            for (const auto threads : o.threads)
                for (const auto& compute : o.compute) {
                    status.show("loading " + choice.name);
                    subject s = make_subject(choice, compute, {{threads, o.pin}, o.pack, o.profile});
                    auto& pool = s.model.pool();
                    if (o.limits) {
                        status.show("measuring the machine's limits");
                        if (!limits.contains(pool.size())) limits[pool.size()] = measure_limits(pool);
                        add_limits(s, limits[pool.size()]);
                    }
                    status.show("");
                    measure(s, o, status, out);
                    if (auto text = s.packing_text(); !text.empty()) notes.push_back(std::move(text));
                    if (o.pin && !pool.pinned()) notes.emplace_back("the system did not bind threads to processors");
                }
        for (const auto& text : notes) out.note(text);
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
        return speed_bench(argc, argv);
    });
}
