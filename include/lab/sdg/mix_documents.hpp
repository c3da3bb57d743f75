// Where a knowledge sample's golden document is found: by the document, span and chunk_sha256 that its provenance
// names, by its seed's context, or in the sample itself (InstructLab's rows carry their document). The passages that
// may distract are the leaf's chunks, cut as the generator cut them, and the golden ones of its samples.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "lab/core/sha256.hpp"
#include "lab/sdg/chunk.hpp"
#include "lab/sdg/mix_sample.hpp"
#include "lab/sdg/raft.hpp"
#include "lab/sdg/token_budget.hpp"
#include "lab/taxonomy/leaf.hpp"

namespace lab::sdg {

class document_library {
public:
    /// `leaves` must outlive the library. @param count tokens of a text, as the generator counted them
    document_library(std::span<const taxonomy::leaf> leaves, chunk_options options,
                     std::function<std::size_t(std::string_view)> count)
        : options_(options), count_(std::move(count)) {
        for (const auto& leaf : leaves) {
            by_path_.emplace(joined(leaf.id, "->"), &leaf);
            by_path_.emplace(joined(leaf.id, "_"), &leaf);  // as InstructLab names it
        }
    }

    [[nodiscard]] const taxonomy::leaf* find(std::string_view leaf) const {
        const auto at = by_path_.find(joined(leaf, "->"));
        return at == by_path_.end() ? nullptr : at->second;
    }

    /// The chunks of a leaf's documents. Cut once for each leaf in a row.
    [[nodiscard]] const std::vector<passage>& chunks(std::string_view leaf) {
        if (cut_for_ == leaf && !cut_for_.empty()) return cut_;
        cut_for_ = leaf;
        cut_.clear();
        known_.clear();
        if (const auto* l = find(leaf))
            for (const auto& d : l->documents)
                for (const auto& c : chunks_of(d.text, options_, count_))
                    cut_.push_back({d.path, c.span, c.full_text(), sha256_hex(c.text)});
        return cut_;
    }

    /// The golden document of a sample. @param why what is missing, where there is none
    [[nodiscard]] std::optional<passage> golden(const mix_sample& s, std::string& why) {
        const auto own = mix_detail::first_text(s.metadata, {"sdg_document", "document"});
        const auto provenance = s.metadata.find("provenance");
        if (provenance == s.metadata.end() || !provenance->is_object()) {
            if (!own.empty()) return passage{"", std::nullopt, own, sha256_hex(own)};
            why = "the sample does not say where it comes from";
            return std::nullopt;
        }
        const auto* leaf = find(s.leaf);
        if (leaf == nullptr) {
            why = "the taxonomy has no leaf " + formats::quote(s.leaf);
            return std::nullopt;
        }
        if (provenance->contains("document")) return chunk_named_by(*provenance, *leaf, s.leaf, why);
        if (const auto seed = provenance->find("seed");
            seed != provenance->end() && seed->is_array() && !seed->empty() && (*seed)[0].is_number_unsigned()) {
            const auto n = (*seed)[0].get<std::size_t>();
            if (n < leaf->seeds.size() && !leaf->seeds[n].context.empty())
                return passage{"", std::nullopt, leaf->seeds[n].context, sha256_hex(leaf->seeds[n].context)};
        }
        why = "its seed has no context";
        return std::nullopt;
    }

    /// What distractors are taken from: golden passages, and those chunks that are none of them. Where a document was
    /// cut otherwise for the samples (by another tokenizer), chunks that overlap a golden one stay out.
    [[nodiscard]] static std::vector<passage> pool(std::span<const passage> chunks, std::vector<passage> golden) {
        std::map<std::string, std::set<std::pair<std::size_t, std::size_t>>> used, cut;
        for (const auto& g : golden)
            if (g.span) used[g.document].insert({g.span->begin, g.span->end});
        for (const auto& c : chunks) cut[c.document].insert({c.span->begin, c.span->end});
        for (const auto& c : chunks) {
            const auto& spans = used[c.document];
            const bool same_cut =
                std::includes(cut[c.document].begin(), cut[c.document].end(), spans.begin(), spans.end());
            const bool apart = std::none_of(spans.begin(), spans.end(), [&](const auto& s) {
                return s.first < c.span->end && c.span->begin < s.second;
            });
            if (same_cut || apart) golden.push_back(c);
        }
        return golden;
    }

private:
    [[nodiscard]] static std::string joined(std::string_view path, std::string_view by) {
        std::string out;
        for (const auto& part : mix_detail::path_parts(path)) out.append(out.empty() ? "" : by).append(part);
        return out;
    }

    [[nodiscard]] std::optional<passage> chunk_named_by(const json& provenance, const taxonomy::leaf& leaf,
                                                        std::string_view id, std::string& why) {
        const auto path = mix_detail::text_in(provenance, "document");
        const auto digest = mix_detail::text_in(provenance, "chunk_sha256");
        const auto span = provenance.find("span");
        const auto document = std::find_if(leaf.documents.begin(), leaf.documents.end(),
                                           [&](const taxonomy::document& d) { return d.path == path; });
        if (document == leaf.documents.end()) {
            why = "the leaf has no document " + formats::quote(path);
            return std::nullopt;
        }
        text_range r;
        if (span != provenance.end() && span->is_array() && span->size() == 2 && (*span)[0].is_number_unsigned() &&
            (*span)[1].is_number_unsigned())
            r = {(*span)[0].get<std::size_t>(), (*span)[1].get<std::size_t>()};
        const auto& pieces = chunks(id);  // forgets what was known of another leaf
        const auto [at, fresh] = known_.try_emplace({path, r.begin, r.end, digest});
        if (fresh) at->second = look_up(*document, r, digest, pieces);
        if (!at->second) why = "the document " + formats::quote(path) + " has changed since the sample was made";
        return at->second;
    }
    [[nodiscard]] static std::optional<passage> look_up(const taxonomy::document& document, text_range r,
                                                        const std::string& digest, std::span<const passage> pieces) {
        if (r.begin >= r.end || r.end > document.text.size()) return std::nullopt;
        const auto found = sha256_hex(r.of(document.text));
        if (!digest.empty() && found != digest) return std::nullopt;
        for (const auto& c : pieces)
            if (c.document == document.path && c.span == r) return c;
        std::vector<std::string> headings;  // cut otherwise today: the path above it is looked up
        for (const auto& block : markdown_blocks(document.text))
            if (block.span.begin <= r.begin && r.begin < block.span.end) headings = block.headings;
        return passage{document.path, r, chunk::join_headings(headings) + std::string(r.of(document.text)), found};
    }

    chunk_options options_;
    std::function<std::size_t(std::string_view)> count_;
    std::map<std::string, const taxonomy::leaf*, std::less<>> by_path_;
    std::string cut_for_;
    std::vector<passage> cut_;
    std::map<std::tuple<std::string, std::size_t, std::size_t, std::string>, std::optional<passage>> known_;
};

}  // namespace lab::sdg
