// What a run leaves behind: samples.jsonl (all), one file for each kind, rejected.jsonl with reasons, facts.jsonl (the
// documents' facts and which samples ask about each), views.jsonl (where the teacher wrote any), manifest.json (seeds
// of randomness, digests of every input and output, teacher, prompts, judges, counts). No clock and no absolute path is
// written: the same run gives the same bytes anywhere. Every file appears complete or not at all, the manifest last.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lab/core/file.hpp"
#include "lab/core/version.hpp"
#include "lab/sdg/contamination_check.hpp"
#include "lab/sdg/diversity.hpp"
#include "lab/sdg/generate.hpp"
#include "lab/taxonomy/heldout.hpp"

namespace lab::sdg {

/// How much of the generated data is close to the questions kept for the examination. A report: it changes no sample.
struct overlap_report {
    std::size_t heldout = 0;  // phrasings
    std::size_t equal = 0;    // samples whose question equals one, punctuation and case aside
    std::size_t near = 0;     // samples at ROUGE-L F1 >= 0.7 of one, equal ones included
};

/// Reads the held-out questions beside each leaf, after everything is generated. @throws format_error, io_error
[[nodiscard]] inline std::map<std::string, overlap_report> heldout_overlap(const run_result& run) {
    std::map<std::string, overlap_report> reports;
    for (const auto& r : run.leaves) {
        overlap_report o;
        duplicate_index index(0.7);
        for (const auto& h : taxonomy::heldout_beside(r.leaf->folder))
            for (const auto& phrasing : h.phrasings) {
                index.add(h.context.empty() ? phrasing : flat(h.context) + "\n\n" + phrasing);
                ++o.heldout;
            }
        for (const auto& c : r.kept)
            for (std::size_t turn = 0; turn <= c.more.size(); ++turn)
                if (const auto twin = index.find(turn == 0 ? user_text(*r.leaf, c) : c.more[turn - 1].question)) {
                    ++o.near;
                    o.equal += twin->similarity > 1 - 1e-9;
                }
        reports[r.leaf->id] = o;
    }
    return reports;
}

/// What came of comparing one leaf's samples, kept and refused, with the sets to avoid.
[[nodiscard]] inline std::map<std::string, contamination_tally> contamination_of(const leaf_result& r,
                                                                                 const contamination_index& sets) {
    std::map<std::string, contamination_tally> tallies;
    for (const auto* samples : {&r.kept, &r.refused}) count_overlaps(sets, *samples, tallies);
    return tallies;
}

/// Of what was kept, question and answer together.
[[nodiscard]] inline text_diversity diversity_of(const leaf_result& r) {
    std::vector<hashed_text> texts;
    for (const auto& c : r.kept) texts.push_back(loose_word_hashes(user_text(*r.leaf, c) + "\n" + c.answer));
    return diversity_of(std::span<const hashed_text>(texts));
}

namespace detail {

[[nodiscard]] inline json inputs_of(const run_result& run, const std::filesystem::path& taxonomy) {
    json inputs = json::object();
    const auto name = [&](const std::filesystem::path& file) {
        const auto below = file.lexically_relative(taxonomy);
        return (below.empty() || *below.begin() == ".." ? file.filename() : below).generic_string();
    };
    for (const auto& r : run.leaves) {
        if (!r.leaf->file.empty()) inputs[name(r.leaf->file)] = sha256_of_file(r.leaf->file);
        for (const auto& d : r.leaf->documents) inputs[r.leaf->id + " " + d.path] = sha256_hex(d.text);
    }
    return inputs;
}

/// Documents whose text was made of something else: the digest of the file itself, and what made it.
[[nodiscard]] inline json converted_inputs(const run_result& run) {
    json list = json::object();
    for (const auto& r : run.leaves)
        for (const auto& d : r.leaf->documents)
            if (!d.converter.empty() && d.converter != "text")
                list[r.leaf->id + " " + d.path] = {{"sha256", d.sha256}, {"converter", d.converter}};
    return list;
}

[[nodiscard]] inline json options_json(const pipeline_options& o) {
    json options{{"seed", o.seed},
                 {"samples_per_leaf", o.samples_per_leaf},
                 {"budget", o.budget},
                 {"chunk_tokens", o.chunks.max_tokens},
                 {"chunk_overlap", o.chunks.overlap_tokens},
                 {"near_duplicate", o.near_duplicate},
                 {"least_auc", o.least_auc},
                 {"calibration_examples", o.calibration_examples},
                 {"per_group", o.per_group},
                 {"seeds_as_samples", o.seeds_as_samples},
                 {"safety_judge", o.safety_judge},
                 {"blocked_terms", o.safety.blocked_terms},
                 {"personal_data", o.safety.personal_data}};
    if (o.avoid != nullptr) options["avoid"] = to_json(*o.avoid);
    if (o.method != sampling_method::lab) options["method"] = name_of(o.method);
    if (o.turns > 1) options["turns"] = o.turns;
    if (o.judge_samples > 1) options["judge_samples"] = o.judge_samples;
    if (!is_thorough(o.knowledge)) return options;
    json views = json::array();
    for (const auto v : o.knowledge.views) views.push_back(name_of(v));
    options["knowledge"] = {{"views", views},
                            {"questions_by", name_of(o.knowledge.writer)},
                            {"examples", o.knowledge.examples},
                            {"record_judges", o.knowledge.record_judges}};
    return options;
}

[[nodiscard]] inline json views_json(const std::vector<view_text>& views) {
    json all = json::object();
    for (const auto& [name, v] : count_views(views))
        all[name] = {{"chunks", v.chunks}, {"taken", v.taken}, {"dropped", v.dropped}};
    return all;
}

/// Counts, and the first facts without a kept question; facts.jsonl has them all.
[[nodiscard]] inline json coverage_json(const std::vector<fact>& facts) {
    constexpr std::size_t most = 20;
    json all = coverage::of(facts).to_json(), list = json::array();
    for (const auto& f : facts)
        if (!f.covered() && list.size() < most) list.push_back({{"id", f.id}, {"text", f.text}, {"why", f.why_not()}});
    all["first_without"] = std::move(list);
    return all;
}

/// How a score is spread over all candidates that have it: count, mean, lowest, quartiles, highest.
[[nodiscard]] inline json spread_of(const leaf_result& r, const std::string& score) {
    std::vector<double> all;
    for (const auto* list : {&r.kept, &r.refused})
        for (const auto& c : *list)
            if (const auto at = c.scores.find(score); at != c.scores.end()) all.push_back(at->get<double>());
    if (all.empty()) return nullptr;
    std::sort(all.begin(), all.end());
    double sum = 0;
    for (const double x : all) sum += x;
    const auto at = [&](std::size_t quarter) { return all[(all.size() - 1) * quarter / 4]; };
    return {{"count", all.size()},
            {"mean", sum / static_cast<double>(all.size())},
            {"quartiles", {at(0), at(1), at(2), at(3), at(4)}}};
}
[[nodiscard]] inline json spreads_of(const leaf_result& r) {
    json all = json::object();
    for (const char* score : {"round_trip", "gain", "says_grounded", "relevant", "self_contained"})
        if (auto spread = spread_of(r, score); !spread.is_null()) all[score] = std::move(spread);
    return all;
}

}  // namespace detail

/// Writes all files into `folder`, which is made where it is missing. `more` becomes part of the manifest.
/// @return the manifest
inline json write_run(const std::filesystem::path& folder, const run_result& run, const pipeline_options& options,
                      const std::filesystem::path& taxonomy, const std::map<std::string, overlap_report>& overlap = {},
                      const json& more = json::object()) {
    std::filesystem::create_directories(folder);
    std::map<std::string, std::string> files{
        {"samples", {}}, {"knowledge", {}}, {"foundational", {}}, {"compositional", {}}, {"rejected", {}}};
    const bool thorough = is_thorough(options.knowledge);
    if (thorough) files["facts"];
    std::map<std::string, std::size_t> lines;
    const auto put = [&](const std::string& file, const json& line) {
        files[file] += formats::to_text(line) + "\n";
        ++lines[file];
    };
    json leaves = json::array();
    for (const auto& r : run.leaves) {
        for (const auto& c : r.kept) {
            const json line = sample_json(*r.leaf, c, run.teacher);
            put("samples", line);
            put(std::string(kind_name(r.leaf->kind)), line);
        }
        std::map<std::string, std::size_t> origins;
        for (const auto& c : r.kept) ++origins[c.origin];
        for (const auto& c : r.refused) put("rejected", refused_json(*r.leaf, c, run.teacher));
        for (const auto& f : r.facts) {
            json line = to_json(f);
            line["leaf"] = r.leaf->id;
            put("facts", line);
        }
        for (const auto& v : r.views) {
            json line = to_json(v);
            line["leaf"] = r.leaf->id;
            put("views", line);
        }
        json leaf{{"id", r.leaf->id},          {"kind", kind_name(r.leaf->kind)},
                  {"wanted", r.wanted},        {"generated", r.kept.size() - r.seeds},
                  {"seeds", r.seeds},          {"proposed", r.proposed},
                  {"kept_by_origin", origins}, {"refused_by", r.refused_by()}};
        if (!r.shortfall.empty()) leaf["shortfall"] = r.shortfall;
        if (!r.failure.empty()) leaf["failure"] = r.failure;
        leaf["diversity"] = to_json(diversity_of(r));
        if (options.avoid != nullptr)
            for (const auto& [set, tally] : contamination_of(r, *options.avoid))
                leaf["contamination"][set] = tally.to_json();
        if (!r.facts.empty()) leaf["facts"] = detail::coverage_json(r.facts);
        if (!r.views.empty()) leaf["views"] = detail::views_json(r.views);
        if (auto spreads = detail::spreads_of(r); thorough && !spreads.empty()) leaf["scores"] = std::move(spreads);
        if (!r.judges.empty()) leaf["judges"] = r.judges;
        std::map<std::string, std::size_t> turns;
        for (const auto& c : r.kept)
            if (!c.more.empty()) ++turns[std::to_string(1 + c.more.size())];
        if (!turns.empty()) leaf["kept_with_turns"] = turns;
        if (const auto at = overlap.find(r.leaf->id); at != overlap.end())
            leaf["heldout_overlap"] = {
                {"heldout_phrasings", at->second.heldout}, {"equal", at->second.equal}, {"near", at->second.near}};
        leaves.push_back(std::move(leaf));
    }
    json outputs = json::object(), judges = json::object();
    for (const auto& [name, content] : files) {
        write_file_atomically(folder / (name + ".jsonl"), content);
        outputs[name + ".jsonl"] = {{"sha256", sha256_hex(content)}, {"lines", lines[name]}};
    }
    for (const auto& [name, c] : run.judges) judges[name] = c.to_json();
    json manifest{{"format", 1},
                  {"lab_version", version},
                  {"options", detail::options_json(options)},
                  {"teacher", run.teacher},
                  {"teacher_notes", run.notes},
                  {"prompts_edition", options.wordings.edition(thorough)},
                  {"judges", judges},
                  {"inputs", detail::inputs_of(run, taxonomy)},
                  {"outputs", outputs},
                  {"leaves", leaves}};
    if (!run.stopped.empty()) manifest["stopped"] = run.stopped;
    if (!run.spending.is_null()) manifest["teacher_answers"] = run.spending;
    if (auto converted = detail::converted_inputs(run); !converted.empty())
        manifest["converted"] = std::move(converted);
    if (const auto changed = options.wordings.changed(); !changed.empty()) manifest["prompts_changed"] = changed;
    if (!run.judge.empty()) manifest["judge"] = run.judge;
    manifest.update(more);
    write_file_atomically(folder / "manifest.json", formats::to_text(manifest, 2) + "\n");
    return manifest;
}

}  // namespace lab::sdg
