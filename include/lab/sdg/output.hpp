// What a run leaves behind: samples.jsonl (all), one file for each kind, rejected.jsonl with reasons, facts.jsonl (the
// documents' facts and which samples ask about each), views.jsonl (where the teacher wrote any), manifest.json (seeds
// of randomness, digests of every input and output, teacher, prompts, judges, counts). No clock and no absolute path is
// written: the same run gives the same bytes anywhere. Every file appears complete or not at all, the manifest last.
// With lab::generator linked (LAB_COMPILED) writing is a declaration.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "lab/sdg/heldout_overlap.hpp"
#include "lab/sdg/pipeline.hpp"
#include "lab/sdg/run_result.hpp"
#ifndef LAB_COMPILED
#include "lab/sdg/run_writer.hpp"
#endif

namespace lab::sdg {

/// Writes all files of a run that holds its samples into `folder`, which is made where it is missing; one that gives
/// them to a sink is written by run_writer as it goes on. `more` becomes part of the manifest.
/// @return the manifest @throws io_error, config_error for a run whose samples a sink took
#ifdef LAB_COMPILED
json write_run(const std::filesystem::path& folder, const run_result& run, const pipeline_options& options,
               const std::filesystem::path& taxonomy, const std::map<std::string, overlap_report>& overlap = {},
               const json& more = json::object());
#else
inline json write_run(const std::filesystem::path& folder, const run_result& run, const pipeline_options& options,
                      const std::filesystem::path& taxonomy, const std::map<std::string, overlap_report>& overlap = {},
                      const json& more = json::object()) {
    return detail::write_held_run(folder, run, options, taxonomy, overlap, more);
}
#endif

}  // namespace lab::sdg
