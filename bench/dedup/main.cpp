// bench_dedup: time and peak memory of finding near duplicates, each size in a process of its own.
//   bench_dedup --kind edits --data corpus.txt --texts 10000,100000,1000000
//   bench_dedup --kind frames --texts 100000 --threshold 0.7 --minhash
#include <sys/resource.h>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cxxopts.hpp>
#include <iostream>

#include "common/cli.hpp"
#include "lab/sdg/minhash.hpp"
#include "own_process.hpp"
#include "texts.hpp"

namespace {

using namespace lab;

struct stopwatch {
    std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
    std::clock_t cpu_start = std::clock();
    double wall = 0, cpu = 0;
    void begin() { start = std::chrono::steady_clock::now(), cpu_start = std::clock(); }
    void end() {
        wall += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        cpu += static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC;
    }
};

/// Calls `keep(block of texts)` until all are through; making the texts is not timed.
template <class Keep>
void feed(const bench::sample_texts& texts, std::size_t count, thread_pool& pool, stopwatch& watch, Keep keep) {
    constexpr std::size_t block = 8192;
    std::vector<std::string> made(block);
    std::vector<std::string_view> views(block);
    for (std::size_t at = 0; at < count; at += block) {
        const std::size_t n = std::min(block, count - at);
        pool.share_out(n, 64, [&](std::size_t begin, std::size_t end, std::size_t) {
            for (std::size_t i = begin; i < end; ++i) views[i] = made[i] = texts(at + i);
        });
        watch.begin();
        keep(std::span(views).first(n));
        watch.end();
    }
}

void measure(const cxxopts::ParseResult& args, const bench::sample_texts& texts, std::size_t count) {
    const double threshold = args["threshold"].as<double>();
    thread_pool pool(args["threads"].as<std::size_t>());
    stopwatch watch;
    std::size_t kept = 0, compared = 0;
    if (args.count("minhash") != 0) {
        sdg::minhash_index index({.threshold = threshold});
        feed(texts, count, pool, watch, [&](std::span<const std::string_view> block) {
            for (const auto text : block)
                if (!index.find(text)) index.add(text);
        });
        kept = index.size(), compared = index.compared();
    } else {
        sdg::duplicate_index index(threshold);
        feed(texts, count, pool, watch, [&](auto block) { (void)index.keep_new(block, pool); });
        kept = index.size(), compared = index.compared();
    }
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    std::printf("%9zu texts %9zu kept %12zu pairs compared %9.2f s %9.2f s of processors %7ld MiB\n", count, kept,
                compared, watch.wall, watch.cpu, usage.ru_maxrss / 1024);
}

int run(int argc, char** argv) {
    cxxopts::Options spec("bench_dedup", "Times finding near duplicates among made-up texts.");
    spec.add_options()("kind", "'edits' of given files, or 'frames' with slots",
                       cxxopts::value<std::string>()->default_value("frames"))(
        "texts", "how many, several by commas",
        cxxopts::value<std::vector<std::size_t>>()->default_value("10000,100000,1000000"))(
        "threshold", "ROUGE-L F1", cxxopts::value<double>()->default_value("0.9"))(
        "threads", "0: one per processor", cxxopts::value<std::size_t>()->default_value("0"))(
        "per-frame", "texts of one frame", cxxopts::value<std::size_t>()->default_value("1000"))(
        "minhash", "by MinHash, which misses some pairs, on one thread")(
        "data", "files for 'edits': text, JSON, JSON Lines",
        cxxopts::value<std::vector<std::string>>()->default_value(""))("help", "this text");
    const auto args = spec.parse(argc, argv);
    if (args.count("help") != 0) {
        std::cout << spec.help();
        return 0;
    }
    std::vector<std::filesystem::path> files;
    for (const auto& file : args["data"].as<std::vector<std::string>>())
        if (!file.empty()) files.emplace_back(file);
    const std::string kind = args["kind"].as<std::string>();
    std::cout << kind << ", threshold " << args["threshold"].as<double>() << std::endl;
    for (const std::size_t count : args["texts"].as<std::vector<std::size_t>>()) {
        const bench::sample_texts texts(kind, count, files, {.per_frame = args["per-frame"].as<std::size_t>()});
        bench::in_own_process(std::to_string(count) + " texts", [&] { measure(args, texts, count); });
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    return lab::apps::run_app("bench_dedup", [&] { return run(argc, argv); });
}
