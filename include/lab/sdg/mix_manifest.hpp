// What a mix was made of, as JSON: inputs with digests, sizes asked for and taken, what was left out and why, budgets,
// counts by leaf and kind, the files written. No clock and no absolute path: the same mix gives the same bytes.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "lab/core/version.hpp"
#include "lab/sdg/mix_phases.hpp"

namespace lab::sdg {

namespace mix_detail {
[[nodiscard]] inline json left_out_json(const std::map<std::string, left_out_count>& left_out) {
    json out = json::object();
    for (const auto& [reason, n] : left_out) out[reason] = {{"count", n.count}, {"first", n.places}};
    return out;
}
/// A file's place without the folders above it, where it is absolute.
[[nodiscard]] inline std::string without_folders(const std::string& path) {
    const std::filesystem::path p(path);
    return p.is_absolute() ? p.filename().string() : path;
}
}  // namespace mix_detail

[[nodiscard]] inline json to_json(const part_report& p) {
    return {{"path", mix_detail::without_folders(p.path)},
            {"sha256", p.sha256},
            {"bytes", p.bytes},
            {"found", p.found},
            {"usable", p.usable},
            {"left_out", mix_detail::left_out_json(p.left_out)}};
}

/// The mix that is the file `name`.
[[nodiscard]] inline json to_json(const mix_report& r, const std::string& name) {
    json parts = json::array(), budgets = json::array(), leaves = json::array();
    std::map<std::string, mix_report::leaf_count> kinds;
    for (const auto& p : r.parts) {
        json part = to_json(p);
        part["sampling_size"] = p.size.counts ? json(p.size.count) : json(p.size.share);
        part["asked"] = p.asked;
        part["taken"] = p.taken;
        part["tokens"] = p.tokens;
        part["over_budget"] = p.over_budget;
        part["repeats_refused"] = p.repeats_refused;
        if (p.outside) part["outside"] = true;
        parts.push_back(std::move(part));
    }
    for (const auto& b : r.budgets)
        budgets.push_back({{"path", b.asked.path},
                           {"asked", b.asked.tokens},
                           {"tokens", b.tokens},
                           {"samples", b.samples},
                           {"short_by", b.short_by()},
                           {"supply_tokens", b.supply_tokens},
                           {"supply_samples", b.supply_samples},
                           {"repeats_refused", b.repeats}});
    for (const auto& [name_of, n] : r.leaves) {
        leaves.push_back(
            {{"leaf", name_of.leaf}, {"kind", name_of.kind}, {"samples", n.samples}, {"tokens", n.tokens}});
        auto& kind = kinds[name_of.kind.empty() ? "unknown" : name_of.kind];
        kind.samples += n.samples, kind.tokens += n.tokens;
    }
    json by_kind = json::object();
    for (const auto& [kind, n] : kinds) by_kind[kind] = {{"samples", n.samples}, {"tokens", n.tokens}};
    return {{"file", name},         {"sha256", r.sha256},     {"bytes", r.bytes},   {"samples", r.samples},
            {"repeats", r.repeats}, {"unmasked", r.unmasked}, {"tokens", r.tokens}, {"parts", parts},
            {"budgets", budgets},   {"leaves", leaves},       {"kinds", by_kind},   {"warnings", r.warnings}};
}

[[nodiscard]] inline json to_json(const phase_report& r) {
    json leaves = json::array(), inputs = json::array();
    for (const auto& input : r.inputs) inputs.push_back(to_json(input));
    for (const auto& l : r.leaves) {
        json leaf{{"leaf", l.leaf}, {"kind", l.kind}, {"samples", l.samples}};
        if (l.kind == "knowledge") {
            leaf["with_document"] = l.with_document;
            leaf["without_document"] = mix_detail::left_out_json(l.without_document);
            leaf["passages"] = l.passages;
            leaf["golden_shown"] = l.golden_shown;
            leaf["golden_absent"] = l.golden_absent;
            leaf["golden_alone"] = l.golden_alone;
            leaf["distractors"] = l.distractors;
            leaf["fewer_distractors"] = l.fewer_distractors;
            leaf["auxiliary"] = l.auxiliary;
        }
        leaves.push_back(std::move(leaf));
    }
    return {{"inputs", inputs}, {"leaves", leaves}, {"warnings", r.warnings}};
}

[[nodiscard]] inline json to_json(const phase_options& o) {
    std::string_view preset;
    for (const auto& [name, value] : mix_presets)
        if (value == o.preset) preset = name;
    return {{"preset", preset},
            {"skills_sampling_size", o.skills.counts ? json(o.skills.count) : json(o.skills.share)},
            {"least_knowledge", o.least_knowledge},
            {"golden", o.raft.golden},
            {"documents", o.raft.documents},
            {"distractors", o.raft.distractors == distractor_choice::bm25 ? "bm25" : "random"},
            {"distractors_from", o.distract_across ? "all" : "leaf"},
            {"clean_distractors", o.raft.clean},
            {"bm25", {{"k1", o.raft.bm25.k1}, {"b", o.raft.bm25.b}, {"epsilon", o.raft.bm25.epsilon}}}};
}

/// @param files of `to_json(mix_report)`; `phases` null where a recipe alone was mixed
[[nodiscard]] inline json mix_manifest(std::uint64_t seed, const std::string& counted_by, const json& options,
                                       const json& phases, const std::vector<json>& files) {
    json out{
        {"format", 1}, {"lab_version", version}, {"seed", seed}, {"tokens_counted_by", counted_by}, {"files", files}};
    if (!options.is_null()) out["options"] = options;
    if (!phases.is_null()) out["phases"] = phases;
    return out;
}

}  // namespace lab::sdg
