// lab-generate: taxonomy -> leaves -> teacher -> checks -> samples.jsonl, rejected.jsonl, manifest.json.
#include <iostream>
#include <string_view>

#include "blocks.hpp"
#include "common/alone.hpp"
#include "common/generation_view.hpp"
#include "common/progress.hpp"
#include "common/taxonomy.hpp"
#include "finish.hpp"
#include "inspect.hpp"
#include "lab/core/file.hpp"
#include "lab/run/teacher_source.hpp"
#include "lab/sdg/run_writer.hpp"
#include "lab/taxonomy/check.hpp"
#include "lab/taxonomy/fix.hpp"
#include "mix.hpp"
#include "options.hpp"
#include "select.hpp"
#include "spending_text.hpp"

namespace {

using namespace lab;
using apps::generate_options;

int check(const generate_options& o) {
    if (o.fix)
        for (const auto& f : taxonomy::fix_files(o.taxonomy))
            std::cerr << f.file.string() << ": mended " << f.lines << (f.lines == 1 ? " line, " : " lines, ")
                      << "put quotes around " << f.quoted << (f.quoted == 1 ? " value\n" : " values\n");
    const auto reports = taxonomy::check(o.taxonomy, o.documents);
    if (o.json) {
        for (const auto& r : reports) std::cout << taxonomy::to_json_line(r) << '\n';
    } else {
        std::cout << taxonomy::to_text(reports);
    }
    return taxonomy::all_valid(reports) ? 0 : apps::exit_failure;
}

/// @param place a model's file or folder, or the addresses of its servers
/// @param format chat format of a local model; empty: what its own template says
/// @param model its name on a server; empty: the first
run::teacher_source teacher_at(const generate_options& o, const std::string& place, const std::string& format,
                               const std::string& model) {
    if (!run::is_remote_teacher(place))
        return run::local_teacher_source(
            place, format, o.threads, [] { return !apps::stop_asked(); }, o.cache_bytes);
    auto h = o.servers;
    run::set_servers(h, std::vector{place});
    h.model = model;
    apps::attend(h, o.json);
    return run::remote_teacher_source(h);
}

run::teacher_source teacher_of(const generate_options& o) { return teacher_at(o, o.teacher, o.format, o.model); }

taxonomy::tree leaves_of(const generate_options& o) {
    auto tree = apps::read_taxonomy({o.taxonomy, o.documents, o.fetch, o.keep_going, o.json});
    if (tree.leaves.empty()) throw format_error(explain(o.taxonomy.string(), "has no valid leaf"));
    return tree;
}

int dry_run(const generate_options& o) {
    if (!o.pipeline_file.empty()) throw apps::usage_error("--dry-run plays no pipeline files");
    const auto tree = leaves_of(o);
    const auto path = o.out / "journal.jsonl";
    std::optional<sdg::journal> journal;
    if (!o.fresh && std::filesystem::exists(path)) journal.emplace(path);
    const auto about = journal ? journal->teacher(teacher_of(o).key) : formats::json();
    const auto identity = about.is_object() ? about.value("identity", std::string()) : std::string();
    const bool scores = about.is_object() ? about.value("can_score", true) : true;
    apps::progress shown("playing the run", tree.leaves.size() * o.pipeline.samples_per_leaf, "samples",
                         o.json ? apps::progress::style::quiet : apps::progress::style::automatic);
    const auto count = [](std::string_view text) { return sdg::estimated_tokens(text); };
    const auto plan = sdg::plan_run(tree.leaves, o.pipeline, count, journal && !identity.empty() ? &*journal : nullptr,
                                    identity, scores, [&](const sdg::run_progress& p) {
                                        shown.update(p.kept, p.leaf);
                                        return !apps::stop_asked();
                                    });
    shown.finish();
    apps::show_plan(std::cout, plan, o.budget, journal ? journal->whole_pace() : sdg::journal::pace{}, o.json);
    return 0;
}

int generate(const generate_options& o) {
    if (!o.pipeline_file.empty()) return apps::generate_by_pipelines(o, teacher_of);
    const auto tree = leaves_of(o);
    make_folder(o.out);
    sdg::journal journal(o.out / "journal.jsonl", {.fresh = o.fresh});
    if (journal.damaged() > 0)
        std::cerr << journal.path().string() << ": " << journal.damaged()
                  << " lines are damaged; what they held is asked anew\n";

    const auto source = teacher_of(o);
    auto opened = source.open();
    journal.set_teacher(source.key,
                        {{"identity", opened.teacher.identity()}, {"can_score", opened.teacher.can_score()}});
    sdg::ledger accounts{.limit = o.budget};
    sdg::within_context limited(opened.teacher, opened.context, tree.leaves);
    sdg::any_teacher asked(sdg::journaled(limited, journal, &accounts));
    std::optional<run::opened_teacher> second;
    std::optional<sdg::within_context<sdg::any_teacher>> second_limited;
    std::optional<sdg::any_teacher> judge;
    if (!o.judge.empty()) {
        second = teacher_at(o, o.judge, {}, o.judge_model).open();
        second_limited.emplace(second->teacher, second->context, tree.leaves);
        judge.emplace(sdg::journaled(*second_limited, journal, &accounts));
    }
    if (!o.json)
        std::cerr << tree.leaves.size() << " leaves, teacher " << asked.identity()
                  << (journal.size() > 0
                          ? ", going on with " + std::to_string(journal.size()) + " answers of an earlier run"
                          : "")
                  << '\n';

    std::optional<apps::generation_view> shown;
    shown.emplace(o.json ? apps::generation_view::style::events : apps::generation_view::style::automatic,
                  [&] { return accounts.now.tokens(); });
    sdg::run_writer writer(o.out, o.pipeline);
    sdg::run_result made;
    try {
        made = sdg::generate(
            tree.leaves, asked, o.pipeline, opened.count,
            [&](const sdg::run_progress& p) {
                shown->update(p);
                return !apps::stop_asked();
            },
            {}, judge ? &*judge : nullptr, writer.sink());
    } catch (const lab::error&) {
        if (!apps::stop_asked()) throw;
        shown.reset();
        std::cerr << "Stopped. " << journal.size() << " answers of the teacher are kept in " << journal.path().string()
                  << "; the same command goes on from there.\n";
        return apps::stopped_exit_code();
    }
    shown.reset();
    return apps::finish_run(o, made, writer, accounts, formats::json::object(), [] {});
}

}  // namespace

int main(int argc, char** argv) {
    apps::listen_for_stop();
    if (argc > 1 && std::string_view(argv[1]) == "mix") return apps::mix_command(argc - 1, argv + 1);
    return apps::run_app("lab-generate", [&] {
        if (argc > 1 && std::string_view(argv[1]) == "select") return apps::select_command(argc - 1, argv + 1);
        if (argc > 1 && std::string_view(argv[1]) == "inspect") return apps::inspect_command(argc - 1, argv + 1);
        if (argc > 1 && std::string_view(argv[1]) == "diff") return apps::diff_command(argc - 1, argv + 1);
        if (argc > 1 && std::string_view(argv[1]) == "report") return apps::report_command(argc - 1, argv + 1);
        if (argc > 1 && std::string_view(argv[1]) == "prompts") return apps::write_prompts(argc - 1, argv + 1);
        if (argc > 1 && std::string_view(argv[1]) == "blocks")
            return apps::blocks_command(argc - 1, argv + 1, teacher_of);
        apps::require_alone("start it alone, with several servers where one teacher is too slow");
        auto options = apps::parse_generate_options(argc, argv);
        if (options && !options->avoid.empty()) options->pipeline.avoid = sdg::read_sets_to_avoid(options->avoid);
        return !options           ? 0
               : options->check   ? check(*options)
               : options->dry_run ? dry_run(*options)
                                  : generate(*options);
    });
}
