// What an answer rests on, in bytes of the document: the answer itself where it stands there word for word, else the
// sentence that supports it. Goes into a sample's provenance as `answer_span`, with the fact that was asked about.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "lab/sdg/knowledge_items.hpp"

namespace lab::sdg {

/// What an answer rests on: the bytes where it stands word for word, else those of the sentence that says most of it;
/// and for an answer of several claims the sentence of each.
struct citation {
    text_range span;                   // of the document
    bool verbatim = false;             // `span` is the answer itself, white space aside
    std::vector<text_range> supports;  // of each claim, where there are several; empty: none was found

    /// @param question says which of several equal places is meant
    static std::optional<citation> find(std::string_view chunk, std::size_t chunk_begin, std::string_view question,
                                        std::string_view answer) {
        const flat_copy copy(chunk, chunk_begin);
        const sentence_table sentences(copy.text);
        const std::string wanted = flat(answer);
        citation c;
        const auto asked = content_set(question);
        double most = -1;
        for (auto at = find_words(copy.text, wanted); at; at = find_words(copy.text, wanted, at->begin + 1)) {
            double shared = 0;  // with the sentence around it
            for (std::size_t i = 0; i < sentences.size(); ++i)
                if (sentences[i].begin <= at->begin && at->begin < sentences[i].end)
                    shared = share_said(asked, content_set(sentences[i].of(copy.text)));
            if (shared > most) most = shared, c.span = copy.source_of(*at), c.verbatim = true;
        }
        if (c.verbatim) return c;
        const auto claims = claims_of(answer);
        double best = 0;
        for (const auto& claim : claims) {
            // A few words mean little without what was asked.
            const auto match = sentences.best(claims.size() == 1 ? std::string(question) + " " + claim : claim);
            const auto place = match ? copy.source_of(sentences[match->index]) : text_range{};
            if (claims.size() > 1) c.supports.push_back(place);
            if (match && match->share > best) best = match->share, c.span = place;
        }
        return best > 0 ? std::optional(c) : std::nullopt;
    }
};

/// Cites the answer: in the fact's own sentence if it stands there, else anywhere in the chunk.
/// @param at_end of several places in the sentence the last is meant
inline void cite(candidate& c, const chunk_place& where, const fact* known, bool at_end = false) {
    if (known != nullptr) {
        c.provenance["fact"] = known->id;
        const std::size_t inside = known->span.begin - where.span.begin;
        if (known->span.begin >= where.span.begin && inside + known->span.size() <= where.raw.size()) {
            const flat_copy sentence(std::string_view(where.raw).substr(inside, known->span.size()), known->span.begin);
            auto found = find_words(sentence.text, c.answer);
            for (auto next = found; at_end && next; next = find_words(sentence.text, c.answer, next->begin + 1))
                found = next;
            if (found) {
                c.provenance["answer_span"] = range_json(sentence.source_of(*found));
                return;
            }
        }
    }
    const auto found = citation::find(where.raw, where.span.begin, c.question, c.answer);
    if (!found) return;
    c.provenance["answer_span"] = range_json(found->span);
    if (found->verbatim) return;
    c.provenance["answer_span_is"] = "supporting sentence";
    if (found->supports.empty()) return;
    json list = json::array();
    for (const auto& r : found->supports) list.push_back(r.size() == 0 ? json(nullptr) : range_json(r));
    c.provenance["claim_spans"] = std::move(list);
}

}  // namespace lab::sdg
