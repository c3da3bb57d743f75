// A whole taxonomy through pipelines: one for knowledge, one for free-form and one for grounded skills, as
// InstructLab's folders have them. Leaf by leaf, a leaf's rows in memory; a leaf that fails says why and the others go
// on. The result is that of sdg/generate.hpp, so samples.jsonl, rejected.jsonl and manifest.json are written the same
// way.
#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lab/sdg/blocks/leaf_rows.hpp"
#include "lab/sdg/blocks/pipeline_file.hpp"
#include "lab/sdg/pipeline.hpp"
#include "lab/sdg/run_result.hpp"
#include "lab/sdg/spending.hpp"

namespace lab::sdg::blocks {

/// A pipeline for each kind of leaf.
struct pipeline_set {
    std::map<leaf_type, pipeline> by_type;

    static constexpr std::array<std::pair<std::string_view, leaf_type>, 3> files{
        {{"knowledge.yaml", leaf_type::knowledge},
         {"freeform_skills.yaml", leaf_type::freeform_skill},
         {"grounded_skills.yaml", leaf_type::grounded_skill}}};

    [[nodiscard]] const pipeline* of(leaf_type type) const {
        const auto at = by_type.find(type);
        return at == by_type.end() ? nullptr : &at->second;
    }
};

/// A folder with any of knowledge.yaml, freeform_skills.yaml and grounded_skills.yaml; or one such file, for its kind
/// of leaf; or a file of another name, for all leaves. @throws pipeline_error, config_error for a folder with none
[[nodiscard]] inline pipeline_set read_pipelines(const std::filesystem::path& path,
                                                 const block_registry& registry = standard_blocks(),
                                                 const std::map<std::string, std::string>& families = {}) {
    pipeline_set set;
    if (!std::filesystem::is_directory(path)) {
        const pipeline p = read_pipeline(path, registry, families);
        for (const auto& [file, type] : pipeline_set::files)
            if (path.filename() == file) set.by_type[type] = p;
        if (set.by_type.empty())
            for (const auto& [file, type] : pipeline_set::files) set.by_type[type] = p;
        return set;
    }
    for (const auto& [file, type] : pipeline_set::files)
        if (std::filesystem::exists(path / file)) set.by_type[type] = read_pipeline(path / file, registry, families);
    if (set.by_type.empty())
        throw config_error(
            explain(path.string(), "has no pipeline", "knowledge.yaml, freeform_skills.yaml or grounded_skills.yaml"));
    return set;
}

struct taxonomy_options {
    run_options run{};
    chunk_options chunks{.max_tokens = 500, .overlap_tokens = 0};
    bool seeds_as_samples = true;
    std::shared_ptr<const contamination_index> avoid{};  // evaluation sets whose questions no sample may give away
};

struct taxonomy_result {
    run_result run;
    std::map<std::string, pipeline_report> reports{};  // by leaf

    /// For the manifest: files, options, and what every block of every leaf did.
    [[nodiscard]] json to_json(const pipeline_set& pipelines, const taxonomy_options& o) const {
        json used = json::object(), leaves = json::object();
        for (const auto& [type, p] : pipelines.by_type)
            used[std::string(name(type))] = {{"file", p.name}, {"sha256", p.sha256}, {"prompts", p.files}};
        for (const auto& [leaf, report] : reports) {
            json stages = json::array();
            for (const auto& s : report.stages) stages.push_back(json::parse(s.to_json().dump()));
            leaves[leaf] = std::move(stages);
        }
        return {{"pipelines", used},
                {"scaled", o.run.scaled},
                {"max_num_tokens", o.run.max_num_tokens},
                {"prompt_form", o.run.form == prompt_form::chat ? "chat" : "family"},
                {"model_family", o.run.model_family},
                {"seed", o.run.seed},
                {"chunk_tokens", o.chunks.max_tokens},
                {"chunk_overlap", o.chunks.overlap_tokens},
                {"leaves", leaves}};
    }
};

namespace detail {

/// Seeds first, then what the pipeline made; the same sample is kept once, and none that gives away a question.
inline void fill_leaf(leaf_result& r, std::vector<candidate> made, const taxonomy_options& options) {
    const taxonomy::leaf& leaf = *r.leaf;
    pipeline_options checks;
    checks.avoid = options.avoid;
    std::set<std::string> ids;
    for (std::size_t s = 0; s < leaf.seeds.size(); ++s)
        for (std::size_t q = 0; q < leaf.seeds[s].questions_and_answers.size(); ++q) {
            candidate c;
            c.origin = "seed";
            c.question = leaf.seeds[s].questions_and_answers[q].question;
            c.answer = leaf.seeds[s].questions_and_answers[q].answer;
            c.context = flat(leaf.seeds[s].context);
            c.provenance = {{"seed", {s, q}}, {"line", leaf.seeds[s].at.line}};
            if (!ids.insert(sample_id(leaf, c)).second || !options.seeds_as_samples) continue;
            contamination_check::compare(leaf, checks, c);
            (c.alive() ? r.kept : r.refused).push_back(std::move(c));
        }
    r.seeds = r.kept.size();
    for (auto& c : made) {
        if (c.alive() && !ids.insert(sample_id(leaf, c)).second)
            c.refuse("sample", "the same question and answer are there already");
        if (c.alive()) contamination_check::compare(leaf, checks, c);
        (c.alive() ? r.kept : r.refused).push_back(std::move(c));
    }
}

}  // namespace detail

/// A leaf on which the budget ends has failed, and so have those after it.
/// @param count tokens of a text, for the chunks; `leaves` must outlive the result
/// @param sink takes each leaf's samples as in sdg::generate; none: the result has them
/// @throws io_error when the teacher is gone for good, interrupted when the observer says so
[[nodiscard]] inline taxonomy_result generate_by_pipelines(std::span<const taxonomy::leaf> leaves,
                                                           const pipeline_set& pipelines, const teacher_set& teachers,
                                                           const taxonomy_options& options, token_counter count,
                                                           const run_observer& observer = {},
                                                           const leaf_sink& sink = {}) {
    taxonomy_result result;
    result.run.teacher = teachers.usual->identity();
    std::set<std::string> notes;
    run_progress progress;
    const auto report = [&](const std::string& what) {
        progress.leaf = what;
        if (observer && !observer(progress))
            throw interrupted("interrupted: run the same command again to go on where it stopped");
    };
    for (const auto& leaf : leaves) {
        leaf_result r;
        r.leaf = &leaf;
        const pipeline* p = pipelines.of(type_of(leaf));
        if (p == nullptr) {
            r.shortfall = "there is no pipeline for leaves of the kind " + std::string(name(type_of(leaf)));
            detail::fill_leaf(r, {}, options);
        } else if (!result.run.stopped.empty()) {
            r.failure = r.shortfall = "not begun: " + result.run.stopped;
            detail::fill_leaf(r, {}, options);
        } else {
            std::vector<candidate> made;
            try {
                const auto rows = rows_of(leaf, options.chunks, count);
                if (rows.rows.empty())
                    throw config_error(
                        "the leaf has no document to ask about (clone its repository and name the folder "
                        "of the documents)");
                run_options run = options.run;
                run.stream = leaf.id;
                const auto given = run_pipeline(*p, rows.rows, teachers, run,
                                                [&](const block_run& b) { report(leaf.id + ": " + b.block()); });
                sample_maker maker(leaf, rows, *p, options.run.seed);
                made = maker.samples(given);
                for (const auto& d : given.dropped) made.push_back(maker.refused(d));
                notes.insert(given.report.notes.begin(), given.report.notes.end());
                result.reports[leaf.id] = given.report;
            } catch (const config_error& fault) {
                r.shortfall = fault.what();
            } catch (const budget_ended& fault) {
                r.failure = r.shortfall = result.run.stopped = fault.what();
            }
            r.proposed = made.size();
            detail::fill_leaf(r, std::move(made), options);
            if (r.kept.size() == r.seeds && r.shortfall.empty()) {
                r.shortfall = "the pipeline kept no row";
                for (const auto& [check, n] : r.refused_by())
                    r.shortfall += "; " + std::to_string(n) + " were dropped by '" + check + "'";
            }
        }
        r.wanted = r.kept.size() - r.seeds;  // a pipeline has no quota
        progress.kept += r.kept.size() - r.seeds;
        progress.wanted += r.wanted;
        progress.refused += r.refused.size();
        result.run.add(std::move(r), options.avoid.get(), sink);
        report(leaf.id);
    }
    for (const auto& note : teachers.usual->notes()) notes.insert(note);
    result.run.notes.assign(notes.begin(), notes.end());
    return result;
}

}  // namespace lab::sdg::blocks
