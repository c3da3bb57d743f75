// bench_generation: time and peak memory of whole runs over made-up leaves with a scripted teacher, journal and files
// included, each size in a process of its own; as lab-generate writes them, leaf by leaf, or held until the end. Driven
// by bench/generation_growth.
//   bench_generation --leaves 100,1000,10000 --samples 100 --out DIR [--held] [--report]
#include <sys/resource.h>
#include <chrono>
#include <cstdio>
#include <cxxopts.hpp>
#include <filesystem>
#include <iostream>

#include "common/cli.hpp"
#include "lab/sdg/generate.hpp"
#include "lab/sdg/journaled.hpp"
#include "lab/sdg/output.hpp"
#include "lab/sdg/run_report.hpp"
#include "lab/sdg/run_writer.hpp"
#include "own_process.hpp"

namespace {

using namespace lab;

/// One of 30,000 made-up words.
std::string word(std::uint64_t number) {
    static constexpr std::array<const char*, 32> syllables{
        "ba", "ke", "li", "mo", "nu", "ra", "se", "ti", "vo", "zu", "do", "fe", "gi", "ha", "ju", "po",
        "ma", "re", "si", "to", "la", "ne", "wi", "ko", "du", "pa", "he", "vi", "so", "bu", "ga", "le"};
    const std::uint64_t x = number % 30'000;
    return std::string(syllables[x % 32]) + syllables[x / 32 % 32] + syllables[x / 1024];
}
std::string words(counter_rng& rng, std::size_t count) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) text += (i == 0 ? "" : " ") + word(rng.next64());
    return text;
}

constexpr std::size_t subjects = 9;

/// An exercise of a leaf: its two words, then `subjects` others.
std::string question(const std::string& leaf, counter_rng& rng) {
    return "Please " + leaf + ": " + words(rng, subjects);
}
/// What is right follows from the question and is no copy of it.
std::string answer(const std::string& to) {
    counter_rng rng(hash64(to), "answer");
    return "This makes " + words(rng, 25) + ".";
}
std::string words_of_leaf(std::size_t l) { return word(l) + " " + word(7 * l + l / 30'000 + 1); }

std::vector<taxonomy::leaf> made_up_leaves(std::size_t count) {
    std::vector<taxonomy::leaf> list(count);
    for (std::size_t l = 0; l < count; ++l) {
        auto& leaf = list[l];
        leaf.id = "compositional_skills->made_up->" + std::to_string(l);
        leaf.kind = taxonomy::root::compositional;
        leaf.task_description = "Do as " + words_of_leaf(l) + " asks.";
        counter_rng rng(l, "seeds");
        for (std::size_t s = 0; s < 5; ++s) {
            const auto q = question(words_of_leaf(l), rng);
            leaf.seeds.push_back({"", {{q, answer(q)}}, {}});
        }
    }
    return list;
}

/// Reads a judge's prompt as a judge would: is it an exercise, whole, of this task, and rightly answered?
bool is_right(const std::string& prompt) {
    const auto at = prompt.find("Please ");
    if (at == prompt.npos) return false;
    const std::string asked = prompt.substr(at, prompt.find('\n', at) - at);
    const auto list = sdg::loose_words(asked);
    if (list.size() != 3 + subjects) return false;
    if (prompt.starts_with("Somebody wrote")) return prompt.substr(0, at).find(list[1] + " " + list[2]) != prompt.npos;
    return prompt.find("\n" + answer(asked) + "\n") != prompt.npos;
}

/// Writes new exercises of the task, answers and judges rightly.
text::completion reply(const text::request& r) {
    text::completion c;
    const auto& last = r.messages.back().content;
    if (const auto& choices = r.constraint.choices; !choices.empty()) {
        const std::size_t chosen = choices[0] == "precise" || !is_right(last) ? 0 : choices.size() - 1;
        c.text = choices[chosen];
        c.choice_probabilities.assign(choices.size(), 0.1 / static_cast<double>(choices.size() - 1));
        c.choice_probabilities[chosen] = 0.9;
    } else if (r.messages.front().content.starts_with("You write exercises")) {
        const auto example = sdg::loose_words(r.messages[r.messages.size() - 2].content);
        counter_rng rng(r.sampling.seed, "exercise");
        c.text = question(example.at(1) + " " + example.at(2), rng);
    } else {
        c.text = answer(last);
    }
    return c;
}

void measure(const cxxopts::ParseResult& args, std::size_t leaves) {
    const std::filesystem::path out = args["out"].as<std::string>();
    std::filesystem::remove_all(out);
    std::filesystem::create_directories(out);
    const auto tree = made_up_leaves(leaves);
    const sdg::pipeline_options options{.samples_per_leaf = args["samples"].as<std::size_t>()};
    const auto count = [](std::string_view text) { return sdg::estimated_tokens(text); };
    const auto start = std::chrono::steady_clock::now();
    sdg::any_teacher script{sdg::scripted_teacher(reply)};
    sdg::journal journal(out / "journal.jsonl");
    sdg::any_teacher teacher(sdg::journaled(script, journal));
    std::size_t samples = 0;
    if (args.count("held") != 0) {
        const auto run = sdg::generate(tree, teacher, options, count);
        for (const auto& s : run.summaries) samples += s.generated();
        sdg::write_run(out, run, options, {}, sdg::heldout_overlap(run));
    } else {
        sdg::run_writer writer(out, options);
        const auto run = sdg::generate(tree, teacher, options, count, {}, {}, nullptr, writer.sink());
        for (const auto& s : run.summaries) samples += s.generated();
        writer.finish(run, {}, sdg::heldout_overlap(run, writer.kept()));
    }
    if (args.count("report") != 0) write_file_atomically(out / "report.html", sdg::html_report_of(out));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
    };
    // leaves, samples, answers of the teacher, seconds, seconds of processors, peak KiB, bytes of the journal's index
    std::printf("%zu,%zu,%zu,%.2f,%.2f,%ld,%zu\n", leaves, samples, journal.size(), took.count(),
                seconds(usage.ru_utime) + seconds(usage.ru_stime), usage.ru_maxrss, journal.index_bytes());
}

int run(int argc, char** argv) {
    cxxopts::Options spec("bench_generation", "Times whole runs over made-up leaves with a scripted teacher.");
    spec.add_options()("leaves", "how many, several by commas",
                       cxxopts::value<std::vector<std::size_t>>()->default_value("100,1000,10000"))(
        "samples", "of each leaf", cxxopts::value<std::size_t>()->default_value("100"))(
        "out", "folder for journal and files, emptied first", cxxopts::value<std::string>()->default_value(""))(
        "held", "hold all samples until the end")("report", "the report too")("help", "this text");
    const auto args = spec.parse(argc, argv);
    if (args.count("help") != 0 || args["out"].as<std::string>().empty()) {
        std::cout << spec.help();
        return args.count("help") != 0 ? 0 : 2;
    }
    for (const std::size_t leaves : args["leaves"].as<std::vector<std::size_t>>())
        bench::in_own_process(std::to_string(leaves) + " leaves", [&] { measure(args, leaves); });
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    return lab::apps::run_app("bench_generation", [&] { return run(argc, argv); });
}
