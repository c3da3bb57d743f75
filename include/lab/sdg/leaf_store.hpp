// What generation made of each leaf, kept whole under a key of everything it was made from (the leaf's own text and
// documents, options, teacher, prompts): when leaves are added or changed, the others' samples are taken from here as
// they are. Which samples a new leaf gets depends on those that were there before it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/file.hpp"
#include "lab/core/sha256.hpp"
#include "lab/sdg/leaf_result.hpp"
#include "lab/sdg/options_json.hpp"
#include "lab/sdg/run_result.hpp"

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

[[nodiscard]] inline json to_json(const leaf_result& r, const std::string& key) {
    json kept = json::array(), refused = json::array();
    for (const auto& c : r.kept) kept.push_back(to_json(c));
    for (const auto& c : r.refused) refused.push_back(to_json(c));
    json line{{"id", r.leaf->id}, {"key", key},         {"kept", kept},           {"refused", refused},
              {"seeds", r.seeds}, {"wanted", r.wanted}, {"proposed", r.proposed}, {"shortfall", r.shortfall}};
    for (const auto& f : r.facts) line["facts"].push_back(to_json(f));
    for (const auto& v : r.views) line["views"].push_back(to_json(v));
    if (!r.judges.empty()) line["judges"] = r.judges;
    return line;
}
/// Without its leaf. @throws format_error naming place and field
[[nodiscard]] inline leaf_result leaf_result_from(const json& line, const std::string& place) {
    leaf_result r;
    for (const auto& [name, list] : {std::pair{"kept", &r.kept}, {"refused", &r.refused}})
        for (const auto& c : formats::field<std::vector<json>>(line, name, place))
            list->push_back(candidate_from(c, place));
    for (const auto& [name, number] : {std::pair{"seeds", &r.seeds}, {"wanted", &r.wanted}, {"proposed", &r.proposed}})
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
    return r;
}

/// leaves.json of a data folder. Memory holds where each leaf stands in the file; it is read when asked for.
class leaf_store {
public:
    /// What the folder holds; nothing where there is no such file. @throws format_error, io_error
    explicit leaf_store(const std::filesystem::path& folder) : path_(folder / "leaves.json") {
        if (!std::filesystem::exists(path_)) return;
        file_ = mapped_file(path_);
        const auto text = formats::as_text(file_.bytes());
        std::string rest;
        for (const auto element : elements_of(text, rest)) {
            const json line = formats::parse_json(element, path_.string());
            (void)leaf_result_from(line, path_.string());
            keys_.push_back(formats::field<std::string>(line, "key", path_.string()));
            places_[keys_.back()] = element;
            forget_pages(std::as_bytes(std::span(element)));
        }
        const json all = formats::parse_json(rest, path_.string());
        samples_ = formats::field<std::string>(all, "samples_sha256", path_.string());
        (void)formats::field<std::vector<json>>(all, "leaves", path_.string());
    }

    /// Whether the folder's samples are exactly those of these leaves, and as they were written.
    [[nodiscard]] bool complete(std::span<const std::string> keys) const {
        const auto samples = path_.parent_path() / "samples.jsonl";
        return std::equal(keys.begin(), keys.end(), keys_.begin(), keys_.end()) && std::filesystem::exists(samples) &&
               sha256_of_file(samples) == samples_;
    }
    [[nodiscard]] bool contains(const std::string& key) const { return places_.contains(key); }
    /// Gives the stored results of these leaves, one key for each, for as long as the store lives.
    [[nodiscard]] known_leaves known(std::span<const taxonomy::leaf> leaves, std::span<const std::string> keys) const {
        std::map<std::string, std::string_view> found;  // by id
        for (std::size_t i = 0; i < leaves.size(); ++i)
            if (const auto at = places_.find(keys[i]); at != places_.end()) found.emplace(leaves[i].id, at->second);
        return [found = std::move(found), place = path_.string()](const taxonomy::leaf& leaf) {
            const auto at = found.find(leaf.id);
            if (at == found.end()) return std::optional<leaf_result>();
            std::optional r(leaf_result_from(formats::parse_json(at->second, place), place));
            forget_pages(std::as_bytes(std::span(at->second)));
            return r;
        };
    }

    /// Replaces the store, leaf by leaf as a run makes them. Leaves that failed are not kept, nor are those that were
    /// made after one of them or without their judges: when all goes well they may come out otherwise.
    class writer {
    public:
        /// @param before what it replaces; it and the keys, one for each leaf of the run, must outlive this
        writer(const leaf_store& before, std::span<const std::string> keys)
            : before_(before), keys_(keys), file_(before.path_, ".unfinished") {
            file_.write("{\"leaves\":[");
        }
        /// The next leaf of `run`. @throws io_error
        void add(const leaf_result& r, const run_result& run) {
            const auto& key = keys_[next_++];
            undisturbed_ = undisturbed_ && run.judges_measured && r.failure.empty();
            if (!undisturbed_ && !before_.contains(key)) return;
            file_.write((std::exchange(empty_, false) ? "" : ",") + formats::to_text(to_json(r, key)));
        }
        /// To be called when the run's files are in place. @throws io_error
        void finish() {
            const json digest = sha256_of_file(before_.path_.parent_path() / "samples.jsonl");
            file_.write("],\"samples_sha256\":" + formats::to_text(digest) + "}\n");
            file_.commit();
        }

    private:
        const leaf_store& before_;
        std::span<const std::string> keys_;
        atomic_file file_;
        std::size_t next_ = 0;
        bool undisturbed_ = true, empty_ = true;
    };
    /// The same for a run that holds its samples.
    void save(const run_result& run, std::span<const std::string> keys) const {
        writer w(*this, keys);
        for (const auto& r : run.leaves) w.add(r, run);
        w.finish();
    }

private:
    /// The objects in an object's arrays, found without parsing them, and in `rest` all the other text.
    static std::vector<std::string_view> elements_of(std::string_view text, std::string& rest) {
        std::vector<std::string_view> elements;
        std::size_t depth = 0, begin = 0, copied = 0;
        bool quoted = false;
        for (std::size_t i = 0; i < text.size(); ++i) {
            const char c = text[i];
            if (quoted) {
                if (c == '\\') ++i;
                quoted = c != '"';
            } else if (c == '"') {
                quoted = true;
            } else if (c == '{' || c == '[') {
                if (++depth == 3 && c == '{') begin = i;
            } else if (c == '}' || c == ']') {
                if (depth == 3 && c == '}') {
                    elements.push_back(text.substr(begin, i + 1 - begin));
                    rest.append(text.substr(copied, begin - copied));
                    copied = i + 1;
                }
                if (depth > 0) --depth;
            } else if (c == ',' && depth == 2) {  // between two elements
                rest.append(text.substr(copied, i - copied));
                copied = i + 1;
            }
        }
        rest.append(text.substr(copied));
        return elements;
    }

    std::filesystem::path path_;
    mapped_file file_;
    std::string samples_;
    std::vector<std::string> keys_;
    std::map<std::string, std::string_view> places_;  // in the file, by key
};

}  // namespace lab::sdg
