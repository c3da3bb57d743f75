// Views of a chunk, written by the teacher once and checked without it: a summary's sentences must use the chunk's
// words, listed facts must have a sentence behind them, copied sentences must stand in the chunk, corrected text must
// be nearly the chunk. What does not pass is left out and counted. Questions may be asked of a view; whether an answer
// is right is always judged by the chunk itself.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/formats/json.hpp"
#include "lab/sdg/claims.hpp"
#include "lab/sdg/knowledge_items.hpp"
#include "lab/sdg/pipeline.hpp"
#include "lab/sdg/view_text.hpp"

namespace lab::sdg {

inline constexpr double least_known = 0.6;      // share of a summary sentence's content words that the chunk must have
inline constexpr double least_alike = 0.8;      // ROUGE-L F1 of a corrected text and its chunk
inline constexpr std::size_t most_facts = 400;  // of one chunk

/// Asks for the facts of a chunk, once; the same request serves the view "facts".
[[nodiscard]] inline text::request facts_request(const leaf_run& run, const chunk_place& place,
                                                 std::string_view language) {
    text::request r;
    r.messages = {{"user", run.options.wordings.render_in<prompts::list_facts>(
                               language, text::field<"subject">(run.leaf.domain),
                               text::field<"text">(place.headings + taxonomy::trim(place.raw)))}};
    r.constraint.json_schema = R"({"type":"array","items":{"type":"string","minLength":1},"minItems":1})";
    r.max_tokens = 3 * place.tokens + 64;
    return r;
}

/// The strings of a JSON list; where the reply is none (a server that cannot hold to a schema, a list that was cut
/// off), its whole strings, else its lines.
[[nodiscard]] inline std::vector<std::string> statements_in(std::string_view reply) {
    std::vector<std::string> list;
    const auto add = [&](std::string_view s) {
        auto one = flat(s);
        if (!one.empty() && list.size() < most_facts && std::find(list.begin(), list.end(), one) == list.end())
            list.push_back(std::move(one));
    };
    const auto open = reply.find('[');
    if (open == reply.npos) {
        for (const auto line : prompts::detail::lines_of(reply)) add(detail::without_bullet(line));
        return list;
    }
    for (auto at = reply.find('"', open); at != reply.npos;) {
        auto end = at + 1;
        while (end < reply.size() && reply[end] != '"') end += reply[end] == '\\' ? 2 : 1;
        if (end >= reply.size()) break;  // cut off
        const auto value = formats::try_parse_json(reply.substr(at, end + 1 - at));
        if (value && value->is_string()) add(value->get<std::string>());
        at = reply.find('"', end + 1);
    }
    return list;
}

namespace detail {

[[nodiscard]] inline text::request view_request(const leaf_run& run, document_view kind, const chunk_place& place,
                                                std::string_view language) {
    if (kind == document_view::facts) return facts_request(run, place, language);
    const auto& w = run.options.wordings;
    const std::string shown = place.headings + taxonomy::trim(place.raw);
    const auto field = text::field<"text">(shown);
    text::request r;
    r.messages = {{"user", kind == document_view::summary ? w.render_in<prompts::write_summary>(language, field)
                           : kind == document_view::extractive
                               ? w.render_in<prompts::write_extract>(language, field)
                               : w.render_in<prompts::write_corrected>(language, field)}};
    r.max_tokens = (kind == document_view::corrected ? 2 * place.tokens : place.tokens) + 64;
    return r;
}
[[nodiscard]] inline std::string view_tag(const leaf_run& run, document_view kind, std::string_view language) {
    const auto& w = run.options.wordings;
    return kind == document_view::facts        ? w.tag<prompts::list_facts>(language)
           : kind == document_view::summary    ? w.tag<prompts::write_summary>(language)
           : kind == document_view::extractive ? w.tag<prompts::write_extract>(language)
                                               : w.tag<prompts::write_corrected>(language);
}

/// The sentences of a reply, headings and bullets left out; the last one only where it came to an end.
[[nodiscard]] inline std::vector<std::string> reply_sentences(const text::completion& reply) {
    std::vector<std::string> list;
    for (const auto line : prompts::detail::lines_of(reply.text)) {
        const auto item = without_bullet(line);
        for (const auto& s : sentences_of(item)) list.push_back(flat(s.of(item)));
    }
    if (reply.finish == text::finish_reason::length && !list.empty()) list.pop_back();
    std::erase_if(list, [](const std::string& s) { return s.starts_with('#') || s.ends_with(':'); });
    return list;
}

inline void keep(view_text& v, const std::string& sentence, bool good) {
    ++(good ? v.taken : v.dropped);
    if (good) v.text.append(v.text.empty() ? "" : "\n").append(sentence);
}

/// Fills `v` with what of the reply stands up to the chunk.
inline void check_view(view_text& v, const chunk_place& place, const text::completion& reply) {
    if (v.kind == document_view::corrected) {
        const auto text = taxonomy::trim(reply.text);
        const bool whole = reply.finish != text::finish_reason::length;
        const bool good = whole && rouge_l(flat(text), place.text).f1 >= least_alike;
        const auto n = sentences_of(text).size();
        (good ? v.taken : v.dropped) = n;
        if (good) v.text = text;
        return;
    }
    const auto known = content_set(place.headings + place.text), named = content_set(place.headings);
    const sentence_table sentences(place.text);
    for (const auto& s : v.kind == document_view::facts ? statements_in(reply.text) : reply_sentences(reply)) {
        if (v.kind == document_view::extractive) {
            keep(v, s, find_words(place.text, s).has_value());
        } else if (v.kind == document_view::summary) {
            keep(v, s, content_set(s).size() > 1 && share_said(content_set(s), known) >= least_known);
        } else {
            keep(v, s, sentences.supporting(s, named).has_value());
        }
    }
}

}  // namespace detail

/// The views of these chunks that the options name, besides the chunks themselves. Asks the teacher once.
[[nodiscard]] inline std::vector<view_text> write_views(leaf_run& run, const std::vector<chunk_place>& places,
                                                        const std::vector<std::size_t>& chosen,
                                                        std::string_view language) {
    std::vector<view_text> views;
    std::vector<text::request> requests;
    for (const std::size_t at : chosen)
        for (const document_view kind : run.options.knowledge.views) {
            if (kind == document_view::original) continue;
            requests.push_back(detail::view_request(run, kind, places[at], language));
            views.push_back(
                {at, kind, places[at].path, places[at].span, {}, 0, 0, detail::view_tag(run, kind, language)});
        }
    if (requests.empty()) return views;
    const auto replies = run.teacher.complete(requests);
    for (std::size_t i = 0; i < views.size(); ++i) detail::check_view(views[i], places[views[i].place], replies[i]);
    return views;
}

}  // namespace lab::sdg
