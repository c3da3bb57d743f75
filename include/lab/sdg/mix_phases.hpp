// From generated samples to the two phases of training, as InstructLab's DataMixer lays them out: node_datasets/ with
// LEAF_p07.jsonl (knowledge: document, question and answer, all of it learnt), LEAF_p10.jsonl (the same, and RAFT
// samples, and auxiliary ones), LEAF.jsonl (a skill), and a recipe for each phase. Presets: instructlab (its numbers),
// raft (hard distractors, 0.8, five documents), plain (samples as they are, no documents).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/file.hpp"
#include "lab/sdg/mix.hpp"
#include "lab/sdg/mix_auxiliary.hpp"
#include "lab/sdg/mix_documents.hpp"

namespace lab::sdg {

enum class mix_preset : std::uint8_t { plain, raft, instructlab };
inline constexpr std::array<std::pair<std::string_view, mix_preset>, 3> mix_presets{
    {{"plain", mix_preset::plain}, {"raft", mix_preset::raft}, {"instructlab", mix_preset::instructlab}}};

struct phase_options {
    mix_preset preset = mix_preset::raft;
    std::uint64_t seed = 0;
    raft_options raft{};
    sampling_size skills{};        // of each skill
    bool distract_across = false;  // distractors from all leaves' documents, not from the leaf's own
    double least_knowledge = 0;    // each knowledge leaf's share of the precomputed skills, below which it is repeated
    auxiliary_instructions auxiliary = default_auxiliary_instructions();
    std::vector<recipe_entry> more_knowledge{}, more_skills{};  // precomputed datasets, absolute paths
    std::optional<std::string> system_prompt{};
    bool skip_broken = false;
    mix_observer observer{};
};

/// The numbers that a preset stands for.
[[nodiscard]] inline phase_options preset_options(mix_preset preset) {
    phase_options o;
    o.preset = preset;
    if (preset != mix_preset::instructlab) return o;
    o.raft.golden = 0.4;
    o.raft.documents = 4;
    o.raft.distractors = distractor_choice::random;
    o.raft.clean = false;
    o.skills = sampling_size::of_count(30);
    o.least_knowledge = 0.03;
    return o;
}

struct leaf_phases {
    std::string leaf, kind;
    std::uint64_t samples = 0;
    // knowledge alone:
    std::uint64_t with_document = 0, golden_shown = 0, golden_absent = 0, golden_alone = 0;
    std::uint64_t distractors = 0, fewer_distractors = 0;  // shown in all; samples that found fewer than asked for
    std::uint64_t auxiliary = 0, passages = 0;
    std::map<std::string, left_out_count> without_document;
};

struct phase_report {
    std::vector<leaf_phases> leaves;
    std::vector<std::string> warnings;
    std::vector<part_report> inputs;
};

struct prepared_phases {
    recipe knowledge, skills;
    phase_report report;
};

/// The files a folder of generated samples stands for: samples.jsonl, else its .jsonl files without what was refused or
/// is a journal. @throws io_error
[[nodiscard]] inline std::vector<std::filesystem::path> generated_files(const std::filesystem::path& data) {
    namespace fs = std::filesystem;
    if (!fs::exists(data)) throw io_error(explain(data.string(), "there is no such file or folder"));
    if (!fs::is_directory(data)) return {data};
    if (fs::exists(data / "samples.jsonl")) return {data / "samples.jsonl"};
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(data)) {
        const auto name = entry.path().filename().string();
        if (entry.is_regular_file() && name.ends_with(".jsonl") && name != "rejected.jsonl" &&
            name != "journal.jsonl" && name.find("_train_msgs") == name.npos)
            files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    if (files.empty())
        throw io_error(explain(data.string(), "the folder holds no .jsonl file", "name the --out of lab-generate"));
    return files;
}

namespace mix_detail {

/// A leaf as a file's name, in InstructLab's spelling; a digest tells apart what it would make equal.
[[nodiscard]] inline std::string node_name(std::string_view leaf, std::set<std::string>& used) {
    std::string name;
    for (const auto& part : path_parts(leaf)) name += (name.empty() ? "" : "_") + part;
    if (name.empty()) name = "unknown";
    bool changed = name.size() > 180;
    if (changed) name.resize(160);
    for (std::size_t i = 0; i < name.size(); ++i) {
        const char c = name[i];
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                           c == '_' || (c == '.' && i > 0);
        if (!plain) name[i] = '_', changed = true;
    }
    const auto digest = "_" + sha256_hex(leaf).substr(0, 8);
    if (changed) name += digest;
    if (!used.insert(name).second) used.insert(name += digest);
    return name;
}

/// `file` as seen from `folder`, so that a recipe can move with what it names.
[[nodiscard]] inline std::string seen_from(const std::filesystem::path& file, const std::filesystem::path& folder) {
    const auto real = std::filesystem::weakly_canonical(file);
    const auto relative = real.lexically_relative(std::filesystem::weakly_canonical(folder));
    return (relative.empty() ? real : relative).generic_string();
}

class phase_builder {
public:
    phase_builder(std::filesystem::path out, document_library& library, const phase_options& options)
        : out_(std::move(out)), library_(library), options_(options) {
        check(options.raft);
        for (auto [r, more] :
             {std::pair{&made_.knowledge, &options.more_knowledge}, {&made_.skills, &options.more_skills}}) {
            r->folder = out_;
            r->system_prompt = options.system_prompt;
            for (auto entry : *more) {
                entry.path = seen_from(entry.path, out_);
                entry.expected = true;
                r->datasets.push_back(std::move(entry));
            }
        }
        made_.knowledge.name = "knowledge_recipe.yaml";
        made_.skills.name = "skills_recipe.yaml";
    }

    [[nodiscard]] prepared_phases build(const std::vector<std::filesystem::path>& files) {
        read(files);
        make_folder(out_ / "node_datasets");
        std::map<leaf_names::name, std::vector<place>> by_leaf;
        for (std::uint32_t f = 0; f < inputs_.size(); ++f)
            for (std::uint32_t r = 0; r < inputs_[f]->rows().size(); ++r)
                by_leaf[names_[inputs_[f]->rows()[r].leaf]].push_back({f, r, no_golden});
        if (by_leaf.empty()) throw config_error(explain(files.front().string(), "holds no usable sample"));
        if (options_.distract_across) {
            std::vector<passage> all;
            for (const auto& [name, rows] : by_leaf)
                if (name.kind == "knowledge")
                    for (const auto& c : library_.chunks(name.leaf)) all.push_back(c);
            everything_ = passage_pool(std::move(all), options_.raft.bm25);
        }
        for (const auto& [name, rows] : by_leaf)  // how often each is read below
            reads_ += rows.size() * (name.kind == "knowledge" && options_.preset != mix_preset::plain ? 4 : 1);
        const auto skills_total = precomputed_skills();
        for (auto& [name, rows] : by_leaf) {
            leaf_phases leaf{name.leaf, name.kind, rows.size(), 0, 0, 0, 0, 0, 0, 0, 0, {}};
            if (name.kind == "knowledge")
                knowledge(leaf, rows, skills_total);
            else
                skill(leaf, rows);
            made_.report.leaves.push_back(std::move(leaf));
        }
        refuse_if_none_has_a_document();
        write_file_atomically(out_ / made_.knowledge.name, to_yaml(made_.knowledge));
        write_file_atomically(out_ / made_.skills.name, to_yaml(made_.skills));
        for (auto* r : {&made_.knowledge, &made_.skills}) r->name = (out_ / r->name).string();
        return std::move(made_);
    }

private:
    static constexpr std::size_t no_golden = static_cast<std::size_t>(-1);
    struct place {
        std::uint32_t file, row;
        std::size_t golden;  // index of its document among the leaf's golden ones
    };

    void read(const std::vector<std::filesystem::path>& files) {
        std::uint64_t total = 0, done = 0;
        for (const auto& file : files) {
            std::error_code none;
            const auto size = std::filesystem::file_size(file, none);
            total += none ? 0 : size;
        }
        for (const auto& file : files) {
            const index_options how{options_.skip_broken, false, [&](std::uint64_t bytes) {
                                        tell({false, done += bytes, total});
                                    }};
            inputs_.push_back(std::make_unique<dataset_index>(
                file, file.filename().string(), names_, [](const text::messages&) { return std::size_t{0}; }, nullptr,
                how));
            const auto& index = *inputs_.back();
            part_report part;
            part.path = index.name();
            part.sha256 = index.sha256_digest();
            part.bytes = index.bytes();
            part.usable = part.found = index.rows().size();
            part.left_out = index.left_out();
            for (const auto& [reason, n] : part.left_out) {
                part.found += n.count;
                made_.report.warnings.push_back(part.path + ": " + std::to_string(n.count) + " left out: " + reason +
                                                " (" + n.places.front() + (n.count > 1 ? " first)" : ")"));
            }
            made_.report.inputs.push_back(std::move(part));
        }
    }

    /// How many samples of skills the recipe already names, as InstructLab counts them for its three per cent.
    [[nodiscard]] std::uint64_t precomputed_skills() const {
        if (options_.least_knowledge <= 0) return 0;
        std::uint64_t n = 0;
        for (const auto& entry : options_.more_skills) {
            const mapped_file file(entry.path);
            const auto text = formats::as_text(file.bytes());
            std::uint64_t lines = 0;
            for (std::size_t at = 0; at < text.size();) {
                const auto end = std::min(text.find('\n', at), text.size());
                lines += !blank(text.substr(at, end - at));
                at = end + 1;
            }
            n += entry.size.of(lines);
        }
        return n;
    }

    void refuse_if_none_has_a_document() const {
        std::uint64_t knowledge = 0, with = 0;
        std::string why;
        for (const auto& leaf : made_.report.leaves) {
            knowledge += leaf.kind == "knowledge" ? leaf.samples : 0;
            with += leaf.with_document;
            if (why.empty() && !leaf.without_document.empty()) why = leaf.without_document.begin()->first;
        }
        if (options_.preset != mix_preset::plain && knowledge > 0 && with == 0)
            throw config_error(
                explain("mix", "none of " + std::to_string(knowledge) + " knowledge samples finds its document: " + why,
                        "name the taxonomy that they were made from, or take the preset plain"));
    }

    void skill(leaf_phases& leaf, const std::vector<place>& rows) {
        const auto name = "node_datasets/" + node_name(leaf.leaf, used_names_) + ".jsonl";
        line_writer file(out_ / name);
        for (const auto& at : rows) file.write(to_line(sample(at)));
        (void)file.commit();
        made_.skills.datasets.push_back({name, options_.skills, {}, false});
    }

    void knowledge(leaf_phases& leaf, std::vector<place>& rows, std::uint64_t skills_total) {
        const auto name = "node_datasets/" + node_name(leaf.leaf, used_names_);
        line_writer early(out_ / (name + "_p07.jsonl")), late(out_ / (name + "_p10.jsonl"));
        std::uint64_t lines = 0;
        const auto put = [&](line_writer& file, const mix_sample& s) {
            lines += &file == &late;
            file.write(to_line(s));
        };
        if (options_.preset == mix_preset::plain) {
            for (const auto& at : rows) {
                const auto s = sample(at);
                put(early, s);
                put(late, s);
            }
        } else {
            const auto golden = find_golden(leaf, rows);
            const auto own =
                options_.distract_across
                    ? passage_pool()
                    : passage_pool(document_library::pool(library_.chunks(leaf.leaf), golden), options_.raft.bm25);
            const auto& pool = options_.distract_across ? everything_ : own;
            leaf.passages = pool.passages().size();
            for (const auto& at : rows)
                put(late, at.golden == no_golden ? tidy(sample(at), "document_knowledge_qa")
                                                 : with_documents(leaf, sample(at), golden[at.golden], pool));
            for (const auto& at : rows) {
                auto s = sample(at);
                const auto id = s.id;
                s.id = variant_id("pretraining", id);
                s = tidy(std::move(s), "document_knowledge_qa");
                if (at.golden != no_golden) {
                    const auto& g = golden[at.golden];
                    first_said(s, "user")->insert(0, g.text + "\n\n");
                    s.metadata["mix"] = {{"variant", "pretraining"}, {"source", id}, {"documents", {cited(g)}}};
                } else {
                    s.metadata["mix"] = {{"variant", "pretraining"}, {"source", id}, {"documents", json::array()}};
                }
                s.unmask = true;
                put(early, s);
                put(late, s);
            }
            auxiliaries(leaf, rows, early, late, put);
        }
        (void)early.commit();
        (void)late.commit();
        made_.knowledge.datasets.push_back({name + "_p07.jsonl", {}, {}, false});
        sampling_size size;
        const auto least = static_cast<double>(skills_total) * options_.least_knowledge;
        if (skills_total > 0 && static_cast<double>(lines) < least) {
            size = sampling_size::of_count(static_cast<std::uint64_t>(least));
            made_.report.warnings.push_back(name + "_p10.jsonl has " + std::to_string(lines) + " samples beside " +
                                            std::to_string(skills_total) + " precomputed ones: repeated to " +
                                            std::to_string(size.count));
        }
        if (size.counts && size.count == 0) size = {};
        made_.skills.datasets.push_back({name + "_p10.jsonl", size, {}, false});
    }

    /// The golden documents of a leaf's samples, each once; `rows` learn which is theirs.
    [[nodiscard]] std::vector<passage> find_golden(leaf_phases& leaf, std::vector<place>& rows) {
        std::vector<passage> golden;
        std::map<std::pair<std::string, std::string>, std::size_t> numbers;  // document, text
        for (auto& at : rows) {
            auto s = sample(at);
            std::string why;
            auto g = library_.golden(s, why);
            if (g && first_said(s, "user") == nullptr) g.reset(), why = "no user speaks in it";
            if (!g) {
                leaf.without_document[why].add(inputs_[at.file]->place(inputs_[at.file]->rows()[at.row].line));
                continue;
            }
            const auto [number, fresh] = numbers.try_emplace({g->document, g->text}, golden.size());
            if (fresh) golden.push_back(*std::move(g));
            at.golden = number->second;
            ++leaf.with_document;
        }
        for (const auto& [why, n] : leaf.without_document)
            made_.report.warnings.push_back(leaf.leaf + ": " + std::to_string(n.count) + " of " +
                                            std::to_string(leaf.samples) + " samples come without a document: " + why +
                                            " (" + n.places.front() + (n.count > 1 ? " first)" : ")"));
        return golden;
    }

    [[nodiscard]] mix_sample with_documents(leaf_phases& leaf, mix_sample s, const passage& golden,
                                            const passage_pool& pool) const {
        const auto id = s.id;
        std::string& question = *first_said(s, "user");
        const auto* answer = first_said(s, "assistant");
        const auto choice = pool.choose(golden, question, answer == nullptr ? "" : *answer, id, options_.raft);
        json cites = json::array();
        std::vector<std::string_view> texts;
        for (std::size_t i = 0; i < choice.documents.size(); ++i) {
            const auto& p = pool.shown(choice, i, golden);
            texts.push_back(p.text);
            cites.push_back(cited(p));
        }
        const std::size_t shown = texts.size() - choice.golden_at.has_value();
        const bool alone = shown == 0;
        ++(alone ? leaf.golden_alone : choice.golden_at ? leaf.golden_shown : leaf.golden_absent);
        leaf.distractors += shown;
        leaf.fewer_distractors += texts.size() < options_.raft.documents;
        question = raft_question(texts, question);
        s = tidy(std::move(s), "document_knowledge_qa_raft_p" + formats::to_text(json(options_.raft.golden)));
        s.id = variant_id("raft", id);
        s.metadata["mix"] = {{"variant", "raft"}, {"source", id}, {"documents", cites}, {"golden", nullptr}};
        if (choice.golden_at) s.metadata["mix"]["golden"] = *choice.golden_at;
        return s;
    }

    template <class Put>
    void auxiliaries(leaf_phases& leaf, const std::vector<place>& rows, line_writer& early, line_writer& late,
                     Put put) {
        std::set<std::string> seen;
        std::map<std::string, std::uint64_t> unknown;
        for (const auto& at : rows) {
            const auto s = sample(at);
            const auto kind = auxiliary_kind(s);
            if (kind.empty() || !seen.insert(sha256_hex(mix_detail::text_in(s.metadata, "document"))).second) continue;
            auto made = auxiliary_sample(s, options_.auxiliary, options_.seed);
            if (!made) {
                ++unknown[kind];
                continue;
            }
            ++leaf.auxiliary;
            put(late, *made);
            made->unmask = true;
            put(early, *made);
        }
        for (const auto& [kind, n] : unknown)
            made_.report.warnings.push_back(leaf.leaf + ": no instruction is known for " + std::to_string(n) +
                                            " texts of the kind " + formats::quote(kind) +
                                            " (give them by --auxiliary)");
    }

    /// The content of the first message of a role; nullptr where there is none.
    [[nodiscard]] static std::string* first_said(mix_sample& s, std::string_view role) {
        for (auto& m : s.messages)
            if (m["role"] == role) return m["content"].get_ptr<std::string*>();
        return nullptr;
    }
    [[nodiscard]] static std::string variant_id(std::string_view variant, const std::string& id) {
        return sha256_hex(formats::to_text(json::array({variant, id}))).substr(0, 32);
    }
    [[nodiscard]] static json cited(const passage& p) {
        json out{{"sha256", p.sha256}};
        if (!p.document.empty()) out["document"] = p.document;
        if (p.span) out["span"] = {p.span->begin, p.span->end};
        return out;
    }
    /// The dataset's name, and of an InstructLab row's columns those that InstructLab keeps.
    [[nodiscard]] static mix_sample tidy(mix_sample s, const std::string& dataset) {
        if (!s.metadata.contains("provenance") && s.metadata.contains("document")) {
            json kept{{"sdg_document", s.metadata["document"]}};
            for (const auto* key :
                 {"domain", "raw_document", "dataset_type", "leaf", "leaf_node_path", "leaf_node_type", "kind"})
                if (s.metadata.contains(key)) kept[key] = std::move(s.metadata[key]);
            s.metadata = std::move(kept);
        }
        s.metadata["dataset"] = dataset;
        return s;
    }
    [[nodiscard]] mix_sample sample(const place& at) {
        const auto& row = inputs_[at.file]->rows()[at.row];
        inputs_[at.file]->forget_before(row);
        if (++read_ % 1024 == 0) tell({true, read_, reads_});
        return inputs_[at.file]->read(row);
    }
    void tell(const mix_progress& p) const {
        if (options_.observer && !options_.observer(p)) throw error("interrupted: nothing was mixed");
    }

    std::filesystem::path out_;
    document_library& library_;
    const phase_options& options_;
    leaf_names names_;
    std::vector<std::unique_ptr<dataset_index>> inputs_;
    passage_pool everything_;
    std::set<std::string> used_names_;
    std::uint64_t read_ = 0, reads_ = 0;
    prepared_phases made_;
};

}  // namespace mix_detail

/// Writes node_datasets/, knowledge_recipe.yaml and skills_recipe.yaml into `out` from generated samples.
/// @throws io_error, format_error, config_error as `mix`
[[nodiscard]] inline prepared_phases prepare_phases(const std::vector<std::filesystem::path>& files,
                                                    const std::filesystem::path& out, document_library& library,
                                                    const phase_options& options) {
    return mix_detail::phase_builder(out, library, options).build(files);
}

}  // namespace lab::sdg
