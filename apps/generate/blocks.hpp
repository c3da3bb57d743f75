// Generation by pipeline files: `lab-generate blocks` runs one over rows alone, `lab-generate --pipeline` over a
// taxonomy.
#pragma once

#include <cstdint>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/progress.hpp"
#include "common/server_options.hpp"
#include "common/stop.hpp"
#include "common/taxonomy.hpp"
#include "finish.hpp"
#include "lab/core/file.hpp"
#include "lab/run/teacher_source.hpp"
#include "lab/sdg/blocks/taxonomy_run.hpp"
#include "lab/sdg/run_writer.hpp"
#include "lab/taxonomy/load.hpp"
#include "options.hpp"

namespace lab::apps {

namespace blocks = sdg::blocks;

inline constexpr const char* blocks_examples = R"(
Examples:
  lab-generate blocks --check --pipeline pipelines/full
  lab-generate blocks --pipeline annotate.yaml --in rows.jsonl --out out.jsonl --teacher smollm2.gguf
  lab-generate blocks --pipeline columns.yaml --in rows.jsonl --out out.jsonl
Rows are JSON objects, one a line. What is dropped goes to OUT with .rejected.jsonl for its ending, with the block and the
reason; the teacher's answers to OUT with .journal.jsonl: a run that was stopped goes on there.
)";

struct blocks_options {
    std::filesystem::path pipeline, in, out, rejected, journal;
    generate_options teacher;  // how to reach it
    blocks::run_options run;
    std::vector<std::string> model_teachers;
    bool check = false, fresh = false, json = false;
};

[[nodiscard]] inline blocks::prompt_form prompt_form_of(const std::string& name) {
    if (name != "chat" && name != "family") throw usage_error("--prompt-form is chat or family, not '" + name + "'");
    return name == "chat" ? blocks::prompt_form::chat : blocks::prompt_form::family;
}

/// Nothing where only help was asked for. @throws usage_error
[[nodiscard]] inline std::optional<blocks_options> parse_blocks_options(int argc, char** argv) {
    cxxopts::Options spec("lab-generate blocks",
                          "Runs a pipeline file (InstructLab's format 1.0) over rows of JSON Lines.");
    const auto text = [](const char* fallback = "") { return cxxopts::value<std::string>()->default_value(fallback); };
    const auto count = [](const char* fallback) { return cxxopts::value<std::size_t>()->default_value(fallback); };
    spec.add_options("What")("pipeline", "pipeline file, or with --check a folder of them", text())(
        "in", "rows, JSON Lines", text())("out", "rows that come out", text())(
        "rejected", "rows that were dropped; default: beside --out", text())(
        "journal", "answers of the teacher; default: beside --out", text())(
        "check", "validate the pipeline and the files it names, and stop");
    spec.add_options("How")("seed", "of everything random", cxxopts::value<std::uint64_t>()->default_value("0"))(
        "scale", "what `n: scaled` means", count("30"))(
        "max-num-tokens", "answers of blocks called gen_knowledge are no longer; 4096: as they say themselves",
        count("4096"))("prompt-form", "chat: in the teacher's own chat format; family: as InstructLab wraps it",
                       text("chat"))("model-family", "with --prompt-form family: before that of the blocks", text())(
        "batch-rows", "rows that pass through a block at a time; changes no row", count("1024"));
    spec.add_options("Teacher")(
        "teacher", "a model or the base URL of an OpenAI-compatible server, several of one model with commas", text())(
        "model-teacher", "MODEL=TEACHER: another one for blocks with this model_id; may be repeated",
        cxxopts::value<std::vector<std::string>>()->default_value(""))(
        "format", "chat format of a local model; default: what its own template says", text())(
        "threads", "of a local model; 0: one per processor", count("0"))("cache-mib", cache_help, count("1024"))(
        "model", "name of the server's model; default: its first", text());
    add_server_options(spec);
    spec.add_options("Output")("fresh", "forget what an earlier run learnt from the teacher")(
        "json", "machine-readable output on standard output, no progress")("help", "this text");
    const auto args = spec.parse(argc, argv);
    if (args.count("help") != 0) {
        std::cout << spec.help() << blocks_examples;
        return std::nullopt;
    }
    if (!args.unmatched().empty()) throw usage_error("unexpected argument '" + args.unmatched().front() + "'");
    blocks_options o;
    for (const auto& [name, path] : {std::pair{"pipeline", &o.pipeline},
                                     {"in", &o.in},
                                     {"out", &o.out},
                                     {"rejected", &o.rejected},
                                     {"journal", &o.journal}})
        *path = args[name].as<std::string>();
    o.check = args.count("check") != 0;
    o.fresh = args.count("fresh") != 0;
    o.json = args.count("json") != 0;
    if (o.pipeline.empty()) throw usage_error("--pipeline is needed");
    if (!o.check && (o.in.empty() || o.out.empty())) throw usage_error("--in and --out are needed (or --check)");
    if (o.rejected.empty()) o.rejected = std::filesystem::path(o.out).replace_extension(".rejected.jsonl");
    if (o.journal.empty()) o.journal = std::filesystem::path(o.out).replace_extension(".journal.jsonl");
    o.run.seed = args["seed"].as<std::uint64_t>();
    o.run.scaled = args["scale"].as<std::size_t>();
    o.run.max_num_tokens = args["max-num-tokens"].as<std::size_t>();
    o.run.batch_rows = args["batch-rows"].as<std::size_t>();
    o.run.form = prompt_form_of(args["prompt-form"].as<std::string>());
    o.run.model_family = args["model-family"].as<std::string>();
    for (const auto& pair : args["model-teacher"].as<std::vector<std::string>>())
        if (!pair.empty()) o.model_teachers.push_back(pair);
    auto& t = o.teacher;
    for (const auto& [name, value] : {std::pair{"teacher", &t.teacher}, {"model", &t.model}, {"format", &t.format}})
        *value = args[name].as<std::string>();
    t.threads = chosen_threads(args);
    t.cache_bytes = chosen_cache_bytes(args);
    read_server_options(args, t.servers);
    t.budget = read_budget(args);
    t.pipeline.seed = o.run.seed;
    t.json = o.json;
    return o;
}

/// Pipelines of a file or a folder, checked; @return whether all are valid
inline bool check_pipelines(const blocks_options& o) {
    std::vector<std::filesystem::path> files{o.pipeline};
    if (std::filesystem::is_directory(o.pipeline)) {
        files.clear();
        for (const auto& entry : std::filesystem::directory_iterator(o.pipeline))
            if (entry.path().extension() == ".yaml") files.push_back(entry.path());
        std::sort(files.begin(), files.end());
    }
    bool valid = !files.empty();
    if (files.empty()) std::cerr << o.pipeline.string() << ": has no .yaml file\n";
    for (const auto& file : files) {
        formats::json line{{"file", file.string()}, {"valid", true}, {"problems", formats::json::array()}};
        try {
            const auto p = blocks::read_pipeline(file);
            line["problems"] = p.warnings;
            line["blocks"] = p.stages.size();
            if (!o.json) {
                for (const auto& w : p.warnings) std::cout << w << '\n';
                std::cout << file.string() << ": valid, " << p.stages.size() << " blocks\n";
            }
        } catch (const blocks::pipeline_error& fault) {
            valid = false;
            line["valid"] = false;
            for (const auto& problem : fault.problems) line["problems"].push_back(to_text(problem));
            if (!o.json) std::cout << fault.what() << '\n';
        }
        if (o.json) std::cout << formats::to_text(line) << '\n';
    }
    return valid;
}

inline void show_stages(std::ostream& out, const painter& paint, const std::vector<blocks::stage_report>& stages) {
    for (const auto& s : stages) {
        std::string why;
        for (const auto& [kind, n] : s.dropped)
            why.append(why.empty() ? "  dropped: " : ", ").append(kind).append(" ").append(std::to_string(n));
        if (s.asked > 0) why += "  (" + std::to_string(s.asked) + " answers)";
        out << "  " << std::setw(6) << s.rows_in << " -> " << std::setw(6) << s.rows_out << "  " << s.name
            << paint.dim(why) << '\n';
    }
}

/// Teachers opened for a run, with their journal.
class opened_teachers {
public:
    template <class TeacherOf>
    opened_teachers(const blocks_options& o, TeacherOf teacher_of)
        : journal_(o.journal, {.fresh = o.fresh}), accounts_{.limit = o.teacher.budget} {
        if (o.teacher.teacher.empty()) {
            teachers_.push_back(std::make_unique<sdg::any_teacher>(sdg::scripted_teacher(
                [](const text::request&) -> text::completion {
                    throw usage_error("this pipeline asks a teacher: --teacher is needed");
                },
                {}, "none")));
        } else {
            open(teacher_of(o.teacher));
        }
        set_.usual = teachers_.back().get();
        for (const auto& pair : o.model_teachers) {
            const auto equals = pair.find('=');
            if (equals == 0 || equals == pair.npos)
                throw usage_error("--model-teacher is MODEL=TEACHER, not '" + pair + "'");
            auto other = o.teacher;
            other.teacher = pair.substr(equals + 1);
            if (other.remote()) other.model = pair.substr(0, equals);
            open(teacher_of(other));
            set_.by_model[pair.substr(0, equals)] = teachers_.back().get();
        }
    }
    [[nodiscard]] const blocks::teacher_set& set() const noexcept { return set_; }
    [[nodiscard]] const sdg::journal& journal() const noexcept { return journal_; }

private:
    void open(const run::teacher_source& source) {
        behind_.push_back(std::make_unique<run::opened_teacher>(source.open()));
        teachers_.push_back(
            std::make_unique<sdg::any_teacher>(sdg::journaled(behind_.back()->teacher, journal_, &accounts_)));
    }
    sdg::journal journal_;
    sdg::ledger accounts_;
    std::vector<std::unique_ptr<run::opened_teacher>> behind_;
    std::vector<std::unique_ptr<sdg::any_teacher>> teachers_;
    blocks::teacher_set set_;
};

/// @param teacher_of from generate_options to a run::teacher_source
template <class TeacherOf>
int run_blocks(const blocks_options& o, TeacherOf teacher_of) {
    const auto p = blocks::read_pipeline(o.pipeline);
    if (!o.json)
        for (const auto& w : p.warnings) std::cerr << w << '\n';
    blocks::row_file rows(o.in);
    const opened_teachers teachers(o, teacher_of);

    progress shown("rows", rows.size(), "rows", o.json ? progress::style::quiet : progress::style::automatic);
    atomic_file out(o.out), rejected(o.rejected);
    std::size_t read = 0, made = 0, dropped = 0;
    blocks::pipeline_report report;
    try {
        blocks::pipeline_run run(
            p, teachers.set(), o.run,
            [&](const blocks::table& t) {
                for (const auto& r : t.rows()) out.write(t.line(r));
                made += t.size();
            },
            [&](const blocks::dropped_row& d) {
                const blocks::cell line{{"block", d.block},
                                        {"kind", d.kind},
                                        {"reason", d.reason},
                                        {"row", d.origin},
                                        {"values", d.values}};
                rejected.write(line.dump(-1, ' ', false, blocks::cell::error_handler_t::replace) + "\n");
                ++dropped;
            },
            [&](const blocks::block_run& b) {
                shown.update(read, b.block() + ", " + std::to_string(b.asked()) + " answers");
                if (stop_asked()) throw sdg::interrupted("stopped");
            });
        run.check(rows.columns());
        do {
            auto part = rows.next(o.run.batch_rows);
            const std::size_t size = part.size();
            run.push(std::move(part));
            shown.update(read += size);
            if (stop_asked()) throw sdg::interrupted("stopped");
        } while (read < rows.size());
        report = run.finish();
    } catch (const usage_error&) {
        throw;
    } catch (const lab::error&) {
        if (!stop_asked()) throw;
        shown.finish();
        std::cerr << "Stopped. " << teachers.journal().size() << " answers of the teacher are kept in "
                  << o.journal.string() << "; the same command goes on from there.\n";
        return stopped_exit_code();
    }
    out.commit();
    rejected.commit();
    shown.finish();
    if (o.json) {
        blocks::cell stages = blocks::cell::array();
        for (const auto& s : report.stages) stages.push_back(s.to_json());
        const blocks::cell line{{"pipeline", p.name},   {"sha256", p.sha256}, {"rows_in", rows.size()},
                                {"rows_out", made},     {"dropped", dropped}, {"blocks", stages},
                                {"notes", report.notes}};
        std::cout << line.dump() << '\n';
        return 0;
    }
    const painter paint{shows_colours(stdout)};
    std::cout << paint.bold(std::to_string(made) + " rows") << " of " << rows.size() << " that went in, " << dropped
              << " dropped on the way\n";
    show_stages(std::cout, paint, report.stages);
    for (const auto& note : report.notes) std::cout << paint.yellow("Note: " + note) << '\n';
    std::cout << "Written to " << o.out.string() << " and " << o.rejected.string() << '\n';
    return 0;
}

template <class TeacherOf>
int blocks_command(int argc, char** argv, TeacherOf teacher_of) {
    const auto options = parse_blocks_options(argc, argv);
    if (!options) return 0;
    if (options->check) return check_pipelines(*options) ? 0 : exit_failure;
    return run_blocks(*options, teacher_of);
}

/// `lab-generate --pipeline`: the taxonomy's leaves as rows, samples as in every other run.
template <class TeacherOf>
int generate_by_pipelines(const generate_options& o, TeacherOf teacher_of) {
    const auto pipelines = blocks::read_pipelines(o.pipeline_file);
    const run::teacher_source source = teacher_of(o);
    const auto tree = read_taxonomy({o.taxonomy, o.documents, o.fetch, o.keep_going, o.json});
    if (!o.json)
        for (const auto& [type, p] : pipelines.by_type)
            for (const auto& w : p.warnings) std::cerr << w << '\n';
    if (tree.leaves.empty()) throw format_error(explain(o.taxonomy.string(), "has no valid leaf"));
    blocks::taxonomy_options options;
    options.run.seed = o.pipeline.seed;
    options.run.scaled = o.scale;
    options.run.max_num_tokens = o.max_num_tokens;
    options.run.form = prompt_form_of(o.prompt_form);
    options.run.model_family = o.model_family;
    options.chunks = o.pipeline.chunks;
    options.seeds_as_samples = o.pipeline.seeds_as_samples;
    options.avoid = o.pipeline.avoid;

    make_folder(o.out);
    sdg::journal journal(o.out / "journal.jsonl", {.fresh = o.fresh});
    auto opened = source.open();
    sdg::ledger accounts{.limit = o.budget};
    sdg::within_context limited(opened.teacher, opened.context, tree.leaves);
    sdg::any_teacher asked(sdg::journaled(limited, journal, &accounts));

    progress shown("generating", tree.leaves.size(), "leaves",
                   o.json ? progress::style::quiet : progress::style::automatic);
    sdg::run_writer writer(o.out, o.pipeline);
    blocks::taxonomy_result made;
    std::size_t leaves = 0;
    std::string leaf;
    try {
        made = blocks::generate_by_pipelines(
            tree.leaves, pipelines, {&asked, {}}, options, opened.count,
            [&](const sdg::run_progress& p) {
                const bool done = p.leaf.find(": ") == p.leaf.npos;
                shown.update(leaves += done,
                             std::to_string(p.kept) + " samples, " + std::to_string(p.refused) + " refused, " + p.leaf);
                return !stop_asked();
            },
            writer.sink());
    } catch (const lab::error&) {
        if (!stop_asked()) throw;
        shown.finish();
        std::cerr << "Stopped. " << journal.size() << " answers of the teacher are kept in " << journal.path().string()
                  << "; the same command goes on from there.\n";
        return stopped_exit_code();
    }
    shown.finish();
    return finish_run(o, made.run, writer, accounts, {{"pipeline", made.to_json(pipelines, options)}}, [&] {
        for (const auto& [id, report] : made.reports) {
            std::cout << id << '\n';
            show_stages(std::cout, painter{shows_colours(stdout)}, report.stages);
        }
    });
}

}  // namespace lab::apps
