// What generation made of each leaf, kept whole under a key of everything it was made from (the leaf's own text and
// documents, options, teacher, prompts): when leaves are added or changed, the others' samples are taken from here as
// they are. Which samples a new leaf gets depends on those that were there before it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lab/core/file.hpp"
#include "lab/core/sha256.hpp"
#include "lab/sdg/output.hpp"

namespace lab::sdg {

/// Digest of all that decides a leaf's samples besides the other leaves. `teacher` names model and engine.
[[nodiscard]] inline std::string leaf_key(const taxonomy::leaf& leaf, const pipeline_options& options,
                                          std::string_view teacher) {
    json seeds = json::array(), documents = json::array();
    for (const auto& s : leaf.seeds) {
        json pairs = json::array();
        for (const auto& qa : s.questions_and_answers) pairs.push_back({qa.question, qa.answer});
        seeds.push_back({s.context, pairs, s.at.line});
    }
    for (const auto& d : leaf.documents) documents.push_back({d.path, sha256_hex(d.text)});
    return sha256_hex(formats::to_text({{"id", leaf.id},
                                        {"kind", kind_name(leaf.kind)},
                                        {"task", leaf.task_description},
                                        {"domain", leaf.domain},
                                        {"outline", leaf.document_outline},
                                        {"seeds", seeds},
                                        {"documents", documents},
                                        {"options", detail::options_json(options)},
                                        {"prompts", options.wordings.edition(is_thorough(options.knowledge))},
                                        {"teacher", teacher}}));
}

[[nodiscard]] inline json to_json(const candidate& c) {
    json more = json::array();
    for (const auto& turn : c.more) more.push_back({{"question", turn.question}, {"answer", turn.answer}});
    return {
        {"question", c.question}, {"answer", c.answer},         {"context", c.context}, {"more", more},
        {"origin", c.origin},     {"group", c.group},           {"number", c.number},   {"sure", c.sure},
        {"plain", c.plain},       {"provenance", c.provenance}, {"scores", c.scores},   {"refused_by", c.refused_by},
        {"reason", c.reason}};
}
/// @throws format_error naming place and field
[[nodiscard]] inline candidate candidate_from(const json& j, const std::string& place) {
    candidate c;
    for (const auto& [name, target] : {std::pair{"question", &c.question},
                                       {"answer", &c.answer},
                                       {"context", &c.context},
                                       {"origin", &c.origin},
                                       {"group", &c.group},
                                       {"refused_by", &c.refused_by},
                                       {"reason", &c.reason}})
        *target = formats::field<std::string>(j, name, place);
    for (const auto& turn : formats::field_or<std::vector<json>>(j, "more", {}, place))
        c.more.push_back(
            {formats::field<std::string>(turn, "question", place), formats::field<std::string>(turn, "answer", place)});
    c.number = formats::field<std::uint64_t>(j, "number", place);
    c.sure = formats::field<bool>(j, "sure", place);
    c.plain = formats::field<bool>(j, "plain", place);
    c.provenance = formats::field<json>(j, "provenance", place);
    c.scores = formats::field<json>(j, "scores", place);
    return c;
}

/// leaves.json of a data folder.
class leaf_store {
public:
    /// What the folder holds; nothing where there is no such file. @throws format_error, io_error
    explicit leaf_store(const std::filesystem::path& folder) : path_(folder / "leaves.json") {
        if (!std::filesystem::exists(path_)) return;
        const std::string place = path_.string();
        const json all = formats::parse_json(read_file(path_), place);
        samples_ = formats::field<std::string>(all, "samples_sha256", place);
        for (const auto& line : formats::field<std::vector<json>>(all, "leaves", place)) {
            leaf_result r;
            for (const auto& [name, list] : {std::pair{"kept", &r.kept}, {"refused", &r.refused}})
                for (const auto& c : formats::field<std::vector<json>>(line, name, place))
                    list->push_back(candidate_from(c, place));
            for (const auto& [name, number] :
                 {std::pair{"seeds", &r.seeds}, {"wanted", &r.wanted}, {"proposed", &r.proposed}})
                *number = formats::field<std::size_t>(line, name, place);
            if (r.seeds > r.kept.size()) throw format_error(explain(place, "counts more seeds than samples"));
            r.shortfall = formats::field<std::string>(line, "shortfall", place);
            if (line.contains("facts"))
                for (const auto& f : formats::field<std::vector<json>>(line, "facts", place))
                    r.facts.push_back(fact_from(f, place));
            if (line.contains("views"))
                for (const auto& v : formats::field<std::vector<json>>(line, "views", place))
                    r.views.push_back(view_from(v, place));
            r.judges = formats::field_or<json>(line, "judges", json::object(), place);
            keys_.push_back(formats::field<std::string>(line, "key", place));
            results_[keys_.back()] = std::move(r);
        }
    }

    /// Whether the folder's samples are exactly those of these leaves, and as they were written.
    [[nodiscard]] bool complete(std::span<const std::string> keys) const {
        const auto samples = path_.parent_path() / "samples.jsonl";
        return std::equal(keys.begin(), keys.end(), keys_.begin(), keys_.end()) && std::filesystem::exists(samples) &&
               sha256_of_file(samples) == samples_;
    }
    /// The stored results of these leaves, one key for each, by id.
    [[nodiscard]] known_leaves known(std::span<const taxonomy::leaf> leaves, std::span<const std::string> keys) const {
        known_leaves found;
        for (std::size_t i = 0; i < leaves.size(); ++i)
            if (const auto at = results_.find(keys[i]); at != results_.end()) found.emplace(leaves[i].id, at->second);
        return found;
    }
    /// Replaces the store; to be called when the run's files are written. Leaves that failed are not kept, nor are
    /// those that were made after one of them or without their judges: when all goes well they may come out otherwise.
    void save(const run_result& run, std::span<const std::string> keys) const {
        json leaves = json::array();
        bool undisturbed = run.judges_measured;
        for (std::size_t i = 0; i < run.leaves.size(); ++i) {
            const auto& r = run.leaves[i];
            undisturbed = undisturbed && r.failure.empty();
            if (!undisturbed && !results_.contains(keys[i])) continue;
            json kept = json::array(), refused = json::array();
            for (const auto& c : r.kept) kept.push_back(to_json(c));
            for (const auto& c : r.refused) refused.push_back(to_json(c));
            leaves.push_back({{"id", r.leaf->id},
                              {"key", keys[i]},
                              {"kept", kept},
                              {"refused", refused},
                              {"seeds", r.seeds},
                              {"wanted", r.wanted},
                              {"proposed", r.proposed},
                              {"shortfall", r.shortfall}});
            for (const auto& f : r.facts) leaves.back()["facts"].push_back(to_json(f));
            for (const auto& v : r.views) leaves.back()["views"].push_back(to_json(v));
            if (!r.judges.empty()) leaves.back()["judges"] = r.judges;
        }
        const json all{{"samples_sha256", sha256_of_file(path_.parent_path() / "samples.jsonl")}, {"leaves", leaves}};
        write_file_atomically(path_, formats::to_text(all) + "\n");
    }

private:
    std::filesystem::path path_;
    std::string samples_;
    std::vector<std::string> keys_;
    std::map<std::string, leaf_result> results_;
};

}  // namespace lab::sdg
