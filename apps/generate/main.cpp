// lab-generate: taxonomy -> leaves -> teacher -> checks -> samples.jsonl, rejected.jsonl, manifest.json.
#include <csignal>
#include <iostream>
#include <optional>

#include "common/chat_format.hpp"
#include "common/progress.hpp"
#include "lab/infer/teacher.hpp"
#include "lab/nn/load.hpp"
#include "lab/sdg/http_teacher.hpp"
#include "lab/sdg/journal.hpp"
#include "lab/taxonomy/check.hpp"
#include "lab/tokenizer/load.hpp"
#include "options.hpp"
#include "report.hpp"

namespace {

using namespace lab;
using apps::generate_options;

volatile std::sig_atomic_t stop_asked = 0;
extern "C" void ask_to_stop(int) {
    if (stop_asked != 0) std::_Exit(130);  // asked twice
    stop_asked = 1;
}

int check(const generate_options& o) {
    const auto reports = taxonomy::check(o.taxonomy, o.documents);
    if (o.json) {
        for (const auto& r : reports) std::cout << taxonomy::to_json_line(r) << '\n';
    } else {
        std::cout << taxonomy::to_text(reports);
    }
    return taxonomy::all_valid(reports) ? 0 : apps::exit_failure;
}

/// A model in this process. Its parts live as long as it does.
struct local_model {
    nn::any_model model;
    tokenizer::tokenizer tokens;
    infer::engine engine;
    infer::local_teacher teacher;

    explicit local_model(const generate_options& o)
        : model(nn::load_model(o.teacher, {.threads = o.threads})),
          tokens(tokenizer::load_tokenizer(o.teacher)),
          engine(model, tokens),
          teacher(engine, apps::chat_format_of(o.format, tokens), name(o)) {
        teacher.set_keep_going([] { return stop_asked == 0; });
    }
    /// What tells models apart wherever they lie: the file's digest, or its weights' where it is a folder.
    static std::string name(const generate_options& o) {
        std::string digests;
        if (std::filesystem::is_directory(o.teacher)) {
            std::map<std::string, std::string> files;
            for (const auto& entry : std::filesystem::directory_iterator(o.teacher))
                if (entry.path().extension() == ".safetensors")
                    files[entry.path().filename().string()] = sdg::sha256_of_file(entry.path());
            for (const auto& [file, digest] : files) digests += digest;
            digests = sdg::sha256_hex(digests);
        } else {
            digests = sdg::sha256_of_file(o.teacher);
        }
        return "local:" + std::filesystem::path(o.teacher).filename().string() + " sha256=" + digests.substr(0, 16) +
               (o.format.empty() ? "" : " format=" + o.format);
    }
};

sdg::http_teacher remote_teacher(const generate_options& o) {
    sdg::http_teacher_options h;
    h.http.base_url = o.teacher;
    h.http.key_variable = o.key_variable;
    h.http.certificate_authority = o.certificate_authority;
    h.http.timeout = o.timeout;
    h.http.retry = {.retries = o.retries, .seed = o.pipeline.seed};
    h.http.cancelled = [] { return stop_asked != 0; };
    if (!o.json) h.http.notice = [](const std::string& line) { std::cerr << "\n" << line << std::endl; };
    h.model = o.model;
    h.concurrency = o.concurrency;
    return sdg::http_teacher(std::move(h));
}

int generate(const generate_options& o) {
    const auto tree = taxonomy::load(o.taxonomy, {.keep_going = o.keep_going, .documents_dir = o.documents});
    if (!o.json)
        for (const auto& p : tree.problems) std::cerr << taxonomy::to_text(p) << '\n';
    if (tree.leaves.empty()) throw format_error(explain(o.taxonomy.string(), "has no valid leaf"));

    std::filesystem::create_directories(o.out);
    if (o.fresh) std::filesystem::remove(o.out / "journal.jsonl");
    sdg::journal journal(o.out / "journal.jsonl");

    std::optional<local_model> local;
    std::optional<sdg::http_teacher> remote;
    if (o.remote())
        remote.emplace(remote_teacher(o));
    else
        local.emplace(o);
    sdg::any_teacher asked = local ? sdg::any_teacher(sdg::journaled(local->teacher, journal))
                                   : sdg::any_teacher(sdg::journaled(*remote, journal));
    if (!o.json)
        std::cerr << tree.leaves.size() << " leaves, teacher " << asked.identity()
                  << (journal.size() > 0
                          ? ", going on with " + std::to_string(journal.size()) + " answers of an earlier run"
                          : "")
                  << '\n';

    apps::progress shown("generating", tree.leaves.size() * o.pipeline.samples_per_leaf, "samples",
                         o.json ? apps::progress::style::quiet : apps::progress::style::automatic);
    const auto count = [&](std::string_view text) {
        return local ? local->tokens.encode(text).size() : sdg::estimated_tokens(text);
    };
    sdg::run_result run;
    try {
        run = sdg::generate(tree.leaves, asked, o.pipeline, count, [&](const sdg::run_progress& p) {
            shown.update(p.kept, std::to_string(p.refused) + " refused, " + p.leaf);
            return stop_asked == 0;
        });
    } catch (const lab::error&) {
        if (stop_asked == 0) throw;
        shown.finish();
        std::cerr << "Stopped. " << journal.size() << " answers of the teacher are kept in " << journal.path().string()
                  << "; the same command goes on from there.\n";
        return 130;
    }
    shown.finish();

    // The examination's questions are read only now that nothing can be generated any more.
    const auto overlap = sdg::heldout_overlap(run);
    const auto facts = sdg::score_facts(run);
    const auto manifest = sdg::write_run(o.out, run, o.pipeline, o.taxonomy, overlap);
    if (o.json) {
        std::cout << formats::to_text(manifest) << '\n';
        return 0;
    }
    apps::show_report(std::cout, {apps::shows_colours(stdout)}, run, facts, overlap);
    std::cout << "Written to " << o.out.string() << ": samples.jsonl (sha256 "
              << manifest["outputs"]["samples.jsonl"]["sha256"].get<std::string>().substr(0, 16)
              << "...), rejected.jsonl, manifest.json\n";
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    std::signal(SIGINT, ask_to_stop);
    std::signal(SIGTERM, ask_to_stop);
    return apps::run_app("lab-generate", [&] {
        const auto options = apps::parse_generate_options(argc, argv);
        return !options ? 0 : options->check ? check(*options) : generate(*options);
    });
}
