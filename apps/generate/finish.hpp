// The end of a run of lab-generate, whoever made its samples: files in place, the report, the last words, the exit
// code.
#pragma once

#include <cstdio>
#include <iostream>

#include "common/cli.hpp"
#include "common/generation_report.hpp"
#include "lab/core/file.hpp"
#include "lab/formats/json.hpp"
#include "lab/sdg/fact_table.hpp"
#include "lab/sdg/heldout_overlap.hpp"
#include "lab/sdg/journaled.hpp"
#include "lab/sdg/run_report.hpp"
#include "lab/sdg/run_writer.hpp"
#include "options.hpp"
#include "spending_text.hpp"

namespace lab::apps {

/// @param more part of the manifest @param details() printed below the report
/// @return the exit code: 0, or 3 where a leaf failed or the budget ended, or 1 where every leaf failed
template <class F>
int finish_run(const generate_options& o, sdg::run_result& made, sdg::run_writer& writer, const sdg::ledger& accounts,
               const formats::json& more, F&& details) {
    made.spending = sdg::to_json(accounts.run, o.budget.price);
    // The examination's questions are read only now that nothing can be generated any more.
    const auto overlap = sdg::heldout_overlap(made, writer.kept());
    const auto facts = sdg::score_facts(made, writer.kept());
    const auto manifest = writer.finish(made, o.taxonomy, overlap, more);
    write_file_atomically(o.out / "report.html", sdg::html_report_of(o.out));
    const bool nothing = made.failures() == made.summaries.size() && made.stopped.empty();
    const int code = made.failures() == 0 ? 0 : nothing ? exit_failure : exit_incomplete;
    if (o.json) {
        std::cout << formats::to_text(manifest) << '\n';
        return code;
    }
    show_report(std::cout, {shows_colours(stdout)}, made, facts, overlap, o.pipeline.avoid.get());
    details();
    std::cout << "Written to " << o.out.string() << ": samples.jsonl (sha256 "
              << manifest["outputs"]["samples.jsonl"]["sha256"].get<std::string>().substr(0, 16)
              << "...), rejected.jsonl, manifest.json, report.html"
              << (manifest["outputs"].contains("facts.jsonl") ? ", facts.jsonl" : "")
              << "\nThe teacher's answers: " << spent_text(accounts) << '\n';
    std::cout.flush();
    if (!made.stopped.empty())
        std::cerr << "Not all was done: " << made.stopped << "; the same command with a larger budget goes on.\n";
    else if (code != 0)
        std::cerr << made.failures() << " of " << made.summaries.size()
                  << " leaves failed (why stands above and in manifest.json); the same command tries them again.\n";
    return code;
}

}  // namespace lab::apps
