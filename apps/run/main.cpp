// lab-run: taxonomy and model in, trained model out; asks before and after, goes on where it was stopped.
#include <iostream>
#include <memory>

#include "common/alone.hpp"
#include "common/answers.hpp"
#include "common/generation_report.hpp"
#include "common/generation_view.hpp"
#include "common/taxonomy.hpp"
#include "common/train_listener.hpp"
#include "options.hpp"

namespace {

using namespace lab;

run::teacher_source teacher_of(const apps::run_options& o) {
    if (!o.remote())
        return run::local_teacher_source(
            o.teacher, {}, o.run.training.threads, [] { return !apps::stop_asked(); }, o.cache_bytes);
    auto h = o.servers;
    apps::attend(h, o.json);
    return run::remote_teacher_source(h);
}

/// A taxonomy without held-out questions can be learnt, and its learning not be measured.
bool has_questions(const std::filesystem::path& taxonomy) {
    if (!std::filesystem::is_directory(taxonomy)) return false;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(taxonomy))
        if (entry.path().filename() == "heldout.jsonl") return true;
    return false;
}

int execute(apps::run_options o) {
    auto tree = apps::read_taxonomy({o.taxonomy, o.documents, o.fetch, o.keep_going, o.json});
    const auto say = [&](const std::string& line) {
        if (!o.json) std::cout << line << std::endl;
    };
    if (has_questions(o.taxonomy))
        o.run.training.heldout = o.taxonomy;
    else
        say("No heldout.jsonl beside any leaf: nothing is measured (docs/taxonomy.md says how to write one).");

    run::lab_listener on;
    apps::show_training(on, o.run.training, o.json);
    std::vector<eval::qa_item> before;
    on.row = [&](const eval::matrix_row& row) {
        if (!before.empty() || o.json) return;  // the untouched model's come first
        before = row.items;
        say("\n== The untouched model is asked what it cannot know");
        apps::show_answers(std::cout, before, {}, o.show);
        say(eval::to_text(std::span<const eval::qa_item>(before)));
    };
    std::shared_ptr<apps::generation_view> generating;
    on.generating = [&](std::size_t missing, std::size_t leaves) {
        say("\n== The teacher writes training data: " + std::to_string(missing) + " of " + std::to_string(leaves) +
            " leaves");
        generating = std::make_shared<apps::generation_view>(o.json ? apps::generation_view::style::events
                                                                    : apps::generation_view::style::automatic);
    };
    on.generation = [&](const sdg::run_progress& p) { generating->update(p); };
    on.generated = [&](const run::generated_event& e) {
        generating.reset();
        if (!o.json) apps::show_report(std::cout, {apps::shows_colours(stdout)}, e.run, e.facts, e.overlap);
    };
    const auto data = std::exchange(on.data, {});
    on.data = [&](const replay::encoded_dataset& d) {
        say("\n== Training; what earlier phases taught is measured after each");
        data(d);
    };

    const auto phases = o.run.training.phases;
    run::lab_run lab(std::move(tree), teacher_of(o), phases, o.buffer, o.run);
    const auto result = lab.execute(o.model, o.out, on);
    generating.reset();
    if (!result.finished) {
        std::cerr << "Stopped, nothing is lost: the same command goes on from there.\n";
        return apps::stopped_exit_code();
    }
    const auto folder = o.out / "run";
    const auto samples = o.out / "data" / "samples.jsonl";
    if (o.json) {
        formats::json all{{"generated", result.generated},
                          {"trained", result.trained},
                          {"samples_sha256", sha256_of_file(samples)},
                          {"manifest", result.manifest}};
        if (!result.matrix.rows.empty()) all["forgetting"] = eval::to_json(result.matrix);
        std::cout << formats::to_text(all) << '\n';
        return 0;
    }
    if (!result.matrix.rows.empty()) {
        say("\n== The same questions again");
        apps::show_answers(std::cout, result.matrix.rows.back().items, result.matrix.rows.front().items, o.show);
        say(eval::to_text(result.matrix));
    }
    if (!result.generated && !result.trained) say("All was done already: no leaf, sample or setting has changed.");
    say("\n== What is where");
    say(sha256_of_file(samples) + "  " + samples.string());
    for (const auto& [name, digest] : result.manifest["sha256"].items())
        say(digest.get<std::string>() + "  " + (folder / name).string());
    say("\n  " + samples.string() +
        "  what was generated; rejected.jsonl beside it says what was refused, and why\n  " + folder.string() +
        "/model.gguf, " + folder.string() + "/model/  the trained model\n  " + folder.string() +
        "/report.html  loss curves and the forgetting matrix\n\n  chat with it:  lab-chat --model " + folder.string() +
        "/model.gguf");
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    lab::apps::listen_for_stop();
    return lab::apps::run_app("lab-run", [&] {
        lab::apps::require_alone("start it alone; lab-train is the part that can be several");
        const auto options = lab::apps::parse_run_options(argc, argv);
        return options ? execute(*options) : 0;
    });
}
