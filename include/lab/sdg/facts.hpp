// The facts of a leaf's documents and what became of them: a fact is a sentence of a chunk, or a statement that the
// teacher listed for it, cited in the document; each counts how often it was asked about and which samples were kept.
// A fact without a kept question says why. What is no sentence (a table's row, a heading) is no fact here.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/sha256.hpp"
#include "lab/sdg/claims.hpp"
#include "lab/sdg/sample.hpp"

namespace lab::sdg {

struct fact {
    std::string id;                                 // 16 hexadecimal digits: document, place and text decide it
    std::string document;                           // path
    text_range chunk, span;                         // bytes of the document: its chunk, and the sentence that states it
    std::string text;                               // flat
    bool by_teacher = false;                        // listed by the teacher; else the sentence itself
    bool in_reach = true;                           // something could ask for it: a rule, or the teacher
    std::size_t asked = 0;                          // candidates about it
    std::vector<std::string> questions;             // ids of the kept samples
    std::map<std::string, std::size_t> refused_by;  // of the others

    [[nodiscard]] bool covered() const noexcept { return !questions.empty(); }
    /// Why there is no kept question; empty where there is one.
    [[nodiscard]] std::string why_not() const {
        if (covered()) return {};
        if (asked == 0)
            return in_reach ? "not asked about before the leaf's quota or budget ended"
                            : "no rule makes a question of it";
        const auto over = refused_by.find("quota");
        if (over != refused_by.end()) return "its questions passed, and the quota was met with others";
        std::string list;
        for (const auto& [check, n] : refused_by)
            list.append(list.empty() ? "" : ", ").append(check).append(" ").append(std::to_string(n));
        return "asked about " + std::to_string(asked) + (asked == 1 ? " time" : " times") + ", refused by " + list;
    }
};

struct coverage {
    std::size_t facts = 0, asked = 0, covered = 0;
    std::map<std::string, std::size_t> without;  // reason -> facts

    /// Counts are left out of the reasons here, so that like ones are counted together.
    static coverage of(const std::vector<fact>& facts) {
        coverage c;
        c.facts = facts.size();
        for (const auto& f : facts) {
            c.asked += f.asked > 0;
            c.covered += f.covered();
            if (f.covered()) continue;
            std::string most;
            std::size_t count = 0;
            for (const auto& [check, n] : f.refused_by)
                if (n > count) most = check, count = n;
            const bool quota = f.refused_by.contains("quota");
            ++c.without[f.asked == 0 || quota ? f.why_not() : "refused, most by '" + most + "'"];
        }
        return c;
    }
    [[nodiscard]] json to_json() const {
        return {{"facts", facts}, {"asked", asked}, {"with_question", covered}, {"without", without}};
    }
};

[[nodiscard]] inline json range_json(text_range r) { return json::array({r.begin, r.end}); }

[[nodiscard]] inline json to_json(const fact& f) {
    json line{{"id", f.id},
              {"document", f.document},
              {"chunk", range_json(f.chunk)},
              {"span", range_json(f.span)},
              {"text", f.text},
              {"listed_by", f.by_teacher ? "teacher" : "sentence"},
              {"in_reach", f.in_reach},
              {"asked", f.asked},
              {"questions", f.questions},
              {"refused_by", f.refused_by}};
    if (!f.covered()) line["why_not"] = f.why_not();
    return line;
}
/// @throws format_error naming place and field
[[nodiscard]] inline text_range range_from(const json& j, const char* name, const std::string& place) {
    const auto bytes = formats::field<std::vector<std::size_t>>(j, name, place);
    if (bytes.size() != 2 || bytes[0] > bytes[1])
        throw format_error(explain(place, "field '" + std::string(name) + "' holds no range of bytes"));
    return {bytes[0], bytes[1]};
}
/// @throws format_error naming place and field
[[nodiscard]] inline fact fact_from(const json& j, const std::string& place) {
    fact f;
    f.id = formats::field<std::string>(j, "id", place);
    f.document = formats::field<std::string>(j, "document", place);
    f.chunk = range_from(j, "chunk", place);
    f.span = range_from(j, "span", place);
    f.text = formats::field<std::string>(j, "text", place);
    f.by_teacher = formats::field<std::string>(j, "listed_by", place) == "teacher";
    f.in_reach = formats::field<bool>(j, "in_reach", place);
    f.asked = formats::field<std::size_t>(j, "asked", place);
    f.questions = formats::field<std::vector<std::string>>(j, "questions", place);
    const auto refused = formats::field<json>(j, "refused_by", place);
    if (!refused.is_object()) throw format_error(explain(place, "field 'refused_by' is no object"));
    for (const auto& entry : refused.items())
        f.refused_by[entry.key()] = formats::field<std::size_t>(refused, entry.key(), place);
    return f;
}

/// The list as it grows while documents are read, and the books at the end.
class fact_list {
public:
    /// @return index of the fact; one that was there already (chunks overlap) is not listed twice
    std::size_t add(fact f) {
        const std::string key = f.document + "\n" + std::to_string(f.span.begin) + "\n" + flat(f.text);
        const auto [at, fresh] = index_.emplace(key, facts_.size());
        if (!fresh) return at->second;
        f.id = sha256_hex(key).substr(0, 16);
        stems_.push_back(content_set(f.text));
        hidden_.push_back(false);
        by_id_[f.id] = facts_.size();
        by_chunk_[{f.document, f.chunk.begin}].push_back(facts_.size());
        facts_.push_back(std::move(f));
        return facts_.size() - 1;
    }
    /// Others say the same: it is not counted.
    void hide(std::size_t i) { hidden_[i] = true; }
    [[nodiscard]] fact& operator[](std::size_t i) { return facts_[i]; }
    [[nodiscard]] const fact& operator[](std::size_t i) const { return facts_[i]; }
    [[nodiscard]] std::size_t size() const noexcept { return facts_.size(); }
    /// Facts of the chunk that begins there; those of an overlap belong to the chunk before.
    [[nodiscard]] std::vector<std::size_t> of_chunk(const std::string& document, std::size_t begin) const {
        const auto at = by_chunk_.find({document, begin});
        return at == by_chunk_.end() ? std::vector<std::size_t>{} : at->second;
    }

    /// The fact, of `among`, that question and answer are about, as their words have it: they say at least half of it,
    /// and it says half of the answer. @return size() for none
    [[nodiscard]] std::size_t about(std::string_view question, std::string_view answer,
                                    const std::vector<std::size_t>& among) const {
        auto said = content_set(question);
        const auto told = content_set(answer);
        said.insert(told.begin(), told.end());
        std::size_t best = size();
        double most = 0.5;
        for (const std::size_t i : among) {
            if (hidden_[i] || stems_[i].empty() || share_said(told, stems_[i]) < 0.5) continue;
            const double share = share_said(stems_[i], said);
            if (share > most || (share == most && best == size())) most = share, best = i;
        }
        return best;
    }

    /// Enters what was asked and kept, and what was refused. Seeds, and what varies them, count for the fact that they
    /// are about.
    [[nodiscard]] std::vector<fact> settle(const taxonomy::leaf& leaf, const std::vector<candidate>& kept,
                                           const std::vector<candidate>& refused) const {
        auto facts = facts_;
        std::vector<std::size_t> all(size());
        std::iota(all.begin(), all.end(), std::size_t{0});
        for (const auto* list : {&kept, &refused})
            for (const auto& c : *list) {
                const auto named = by_id_.find(c.provenance.value("fact", std::string()));
                std::size_t i = named == by_id_.end() ? size() : named->second;
                if (i == size() && (c.origin == "seed" || c.origin == "variation"))
                    i = about(c.question, c.answer, all);
                if (i == size()) continue;
                ++facts[i].asked;
                if (c.alive())
                    facts[i].questions.push_back(sample_id(leaf, c));
                else
                    ++facts[i].refused_by[c.refused_by];
            }
        std::vector<fact> shown;
        for (std::size_t i = 0; i < facts.size(); ++i)
            if (!hidden_[i]) shown.push_back(std::move(facts[i]));
        return shown;
    }

private:
    std::vector<fact> facts_;
    std::vector<std::set<std::string>> stems_;
    std::vector<bool> hidden_;
    std::map<std::string, std::size_t> index_, by_id_;
    std::map<std::pair<std::string, std::size_t>, std::vector<std::size_t>> by_chunk_;
};

}  // namespace lab::sdg
