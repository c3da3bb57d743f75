// A run's files (output.hpp says which), written leaf by leaf while it goes on: lines go to temporary files in its
// folder, so that memory holds no samples. At the end all are made safe, then all put into place, the manifest last. A
// killed run leaves "NAME.unfinished" files, which the next run replaces.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/file.hpp"
#include "lab/core/sha256.hpp"
#include "lab/core/version.hpp"
#include "lab/sdg/heldout_overlap.hpp"
#include "lab/sdg/options_json.hpp"
#include "lab/sdg/run_files.hpp"

namespace lab::sdg {

namespace detail {

[[nodiscard]] inline json inputs_of(const run_result& run, const std::filesystem::path& taxonomy) {
    json inputs = json::object();
    const auto name = [&](const std::filesystem::path& file) {
        const auto below = file.lexically_relative(taxonomy);
        return (below.empty() || *below.begin() == ".." ? file.filename() : below).generic_string();
    };
    for (const auto& s : run.summaries) {
        if (!s.leaf->file.empty()) inputs[name(s.leaf->file)] = sha256_of_file(s.leaf->file);
        for (const auto& d : s.leaf->documents) inputs[s.leaf->id + " " + d.path] = sha256_hex(d.text);
    }
    return inputs;
}

/// Documents whose text was made of something else: the digest of the file itself, and what made it.
[[nodiscard]] inline json converted_inputs(const run_result& run) {
    json list = json::object();
    for (const auto& s : run.summaries)
        for (const auto& d : s.leaf->documents)
            if (!d.converter.empty() && d.converter != "text")
                list[s.leaf->id + " " + d.path] = {{"sha256", d.sha256}, {"converter", d.converter}};
    return list;
}

/// Counts, and the first facts without a kept question; facts.jsonl has them all.
[[nodiscard]] inline json coverage_json(const leaf_summary& s) {
    json all = s.facts.to_json(), list = json::array();
    for (const auto& gap : s.gaps) list.push_back({{"id", gap.id}, {"text", gap.text}, {"why", gap.why}});
    all["first_without"] = std::move(list);
    return all;
}

/// A leaf's entry in the manifest.
[[nodiscard]] inline json leaf_json(const leaf_summary& s, bool thorough) {
    json leaf{{"id", s.leaf->id},
              {"kind", kind_name(s.leaf->kind)},
              {"wanted", s.wanted},
              {"generated", s.generated()},
              {"seeds", s.seeds},
              {"proposed", s.proposed},
              {"kept_by_origin", s.kept_by_origin},
              {"refused_by", s.refused_by},
              {"diversity", to_json(s.diversity)}};
    if (!s.shortfall.empty()) leaf["shortfall"] = s.shortfall;
    if (!s.failure.empty()) leaf["failure"] = s.failure;
    for (const auto& [set, tally] : s.contamination) leaf["contamination"][set] = tally.to_json();
    if (s.facts.facts > 0) leaf["facts"] = coverage_json(s);
    for (const auto& [view, n] : s.views)
        leaf["views"][view] = {{"chunks", n.chunks}, {"taken", n.taken}, {"dropped", n.dropped}};
    if (thorough)
        for (const auto& [score, x] : s.spreads)
            leaf["scores"][score] = {{"count", x.count}, {"mean", x.mean}, {"quartiles", x.quartiles}};
    if (!s.judges.empty()) leaf["judges"] = s.judges;
    if (!s.kept_with_turns.empty()) leaf["kept_with_turns"] = s.kept_with_turns;
    return leaf;
}

/// A file that grows by lines beside its place, its digest and count with it.
class line_file {
public:
    explicit line_file(const std::filesystem::path& target) : file_(target, ".unfinished") {}
    void add(const json& line) {
        buffer_.append(formats::to_text(line)).append("\n");
        ++lines_;
        if (buffer_.size() >= full) pass_on();
    }
    [[nodiscard]] std::size_t size() const noexcept { return file_.written() + buffer_.size(); }
    [[nodiscard]] std::string read(std::size_t begin, std::size_t end) {
        pass_on();
        return file_.read(begin, end);
    }
    /// All is on the disk, under its temporary name. @return what the manifest says of it
    [[nodiscard]] json complete() {
        pass_on();
        file_.sync();
        return {{"sha256", sum_.hex()}, {"lines", lines_}};
    }
    void commit() { file_.commit(); }

private:
    static constexpr std::size_t full = std::size_t{1} << 18;
    void pass_on() {
        file_.write(buffer_);
        sum_.update(buffer_);
        buffer_.clear();
    }

    atomic_file file_;
    sha256 sum_;
    std::string buffer_;
    std::size_t lines_ = 0;
};

}  // namespace detail

/// One at a time in a folder. When it ends without `finish`, its temporary files are removed.
class run_writer {
public:
    /// @param options the run's @throws io_error, also where another process is writing there
    run_writer(std::filesystem::path folder, const pipeline_options& options)
        : folder_(std::move(folder)), options_(options) {
        make_folder(folder_);
        for (const char* name : {"samples", "knowledge", "foundational", "compositional", "rejected"}) file(name);
        if (is_thorough(options_.knowledge)) file("facts");
    }

    /// The run's next leaf. @throws io_error naming the file that cannot be written
    void add(const leaf_result& r, const std::string& teacher) {
        auto &samples = file("samples"), &of_kind = file(std::string(kind_name(r.leaf->kind)));
        begins_.push_back(samples.size());
        for (const auto& c : r.kept) {
            const json line = sample_json(*r.leaf, c, teacher);
            samples.add(line);
            of_kind.add(line);
        }
        for (const auto& c : r.refused) file("rejected").add(refused_json(*r.leaf, c, teacher));
        for (const auto& f : r.facts) file("facts").add(of_leaf(to_json(f), *r.leaf));
        for (const auto& v : r.views) file("views").add(of_leaf(to_json(v), *r.leaf));
    }

    /// Adds each leaf of a run as its work is over; this must outlive it.
    [[nodiscard]] leaf_sink sink() {
        return [this](const leaf_result& r, const run_result& so_far) { add(r, so_far.teacher); };
    }

    /// The kept samples of the leaf that was added as the number `leaf`, from the file. @throws io_error
    [[nodiscard]] std::vector<kept_sample> kept_of(std::size_t leaf) {
        auto& samples = file("samples");
        const std::size_t end = leaf + 1 < begins_.size() ? begins_[leaf + 1] : samples.size();
        std::vector<kept_sample> list;
        const std::string place = (folder_ / "samples.jsonl").string();
        formats::for_each_json_line(samples.read(begins_.at(leaf), end), place, [&](const json& value, std::size_t) {
            const auto s = read_sample(value, place);
            list.push_back({s.origin, {}});
            for (std::size_t m = 0; m + 1 < s.messages.size(); m += 2)
                list.back().turns.push_back({s.messages[m].second, s.messages[m + 1].second});
        });
        return list;
    }
    [[nodiscard]] kept_reader kept() {
        return [this](std::size_t leaf) { return kept_of(leaf); };
    }

    /// Puts all files into place, the manifest last. `more` becomes part of the manifest.
    /// @param run whose leaves were added @return the manifest @throws io_error
    json finish(const run_result& run, const std::filesystem::path& taxonomy,
                const std::map<std::string, overlap_report>& overlap = {}, const json& more = json::object()) {
        const bool thorough = is_thorough(options_.knowledge);
        json leaves = json::array(), outputs = json::object(), judges = json::object();
        for (const auto& s : run.summaries) {
            leaves.push_back(detail::leaf_json(s, thorough));
            if (const auto at = overlap.find(s.leaf->id); at != overlap.end())
                leaves.back()["heldout_overlap"] = {
                    {"heldout_phrasings", at->second.heldout}, {"equal", at->second.equal}, {"near", at->second.near}};
        }
        for (auto& [name, f] : files_) outputs[name + ".jsonl"] = f.complete();
        for (const auto& [name, c] : run.judges) judges[name] = c.to_json();
        json manifest{{"format", 1},
                      {"lab_version", version},
                      {"options", detail::options_json(options_)},
                      {"teacher", run.teacher},
                      {"teacher_notes", run.notes},
                      {"prompts_edition", options_.wordings.edition(thorough)},
                      {"judges", judges},
                      {"inputs", detail::inputs_of(run, taxonomy)},
                      {"outputs", outputs},
                      {"leaves", std::move(leaves)}};
        if (!run.stopped.empty()) manifest["stopped"] = run.stopped;
        if (!run.spending.is_null()) manifest["teacher_answers"] = run.spending;
        if (auto converted = detail::converted_inputs(run); !converted.empty())
            manifest["converted"] = std::move(converted);
        if (const auto changed = options_.wordings.changed(); !changed.empty()) manifest["prompts_changed"] = changed;
        if (!run.judge.empty()) manifest["judge"] = run.judge;
        manifest.update(more);
        for (auto& [name, f] : files_) f.commit();
        write_file_atomically(folder_ / "manifest.json", formats::to_text(manifest, 2) + "\n");
        return manifest;
    }

private:
    detail::line_file& file(const std::string& name) {
        const auto at = files_.find(name);
        return at != files_.end() ? at->second : files_.try_emplace(name, folder_ / (name + ".jsonl")).first->second;
    }
    [[nodiscard]] static json of_leaf(json line, const taxonomy::leaf& leaf) {
        line["leaf"] = leaf.id;
        return line;
    }

    std::filesystem::path folder_;
    pipeline_options options_;
    std::map<std::string, detail::line_file> files_;
    std::vector<std::size_t> begins_;  // of each leaf's samples, bytes
};

namespace detail {

/// What write_run (output.hpp) does.
inline json write_held_run(const std::filesystem::path& folder, const run_result& run, const pipeline_options& options,
                           const std::filesystem::path& taxonomy, const std::map<std::string, overlap_report>& overlap,
                           const json& more) {
    if (run.leaves.size() != run.summaries.size())
        throw config_error("write_run: the run does not hold its samples: a sink took them");
    run_writer writer(folder, options);
    for (const auto& r : run.leaves) writer.add(r, run.teacher);
    return writer.finish(run, taxonomy, overlap, more);
}

}  // namespace detail

}  // namespace lab::sdg
