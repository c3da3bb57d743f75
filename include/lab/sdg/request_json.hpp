// Requests, completions and scores as JSON: the journal's lines and keys. Keys of an object are sorted and numbers are
// written shortest-round-trip, so equal requests give equal text.
#pragma once

#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/formats/json.hpp"
#include "lab/formats/text_bytes.hpp"
#include "lab/text/request.hpp"

namespace lab::sdg {

using formats::json;

[[nodiscard]] inline json to_json(const text::messages& messages) {
    json list = json::array();
    for (const auto& m : messages) list.push_back({{"role", m.role}, {"content", m.content}});
    return list;
}

[[nodiscard]] inline json to_json(const text::request& r) {
    json value{{"messages", to_json(r.messages)}, {"assistant_prefix", r.assistant_prefix},
               {"max_tokens", r.max_tokens},      {"temperature", r.sampling.temperature},
               {"top_k", r.sampling.top_k},       {"top_p", r.sampling.top_p},
               {"min_p", r.sampling.min_p},       {"repetition_penalty", r.sampling.repetition_penalty},
               {"seed", r.sampling.seed},         {"choices", r.constraint.choices},
               {"span_of", r.constraint.span_of}, {"stop", r.stop}};
    // Only where they are used, so that journals written before there were grammars keep their keys.
    if (!r.constraint.regex.empty()) value["regex"] = r.constraint.regex;
    if (!r.constraint.json_schema.empty()) value["json_schema"] = r.constraint.json_schema;
    if (!r.constraint.grammar.empty()) value["grammar"] = r.constraint.grammar;
    if (r.raw) value["raw"] = true;
    return value;
}

[[nodiscard]] inline json to_json(const text::score_request& r) {
    return {{"messages", to_json(r.messages)}, {"answer", r.answer}};
}

/// `text` with every byte that is not part of well-formed UTF-8 replaced by '?' (an answer cut inside a character).
[[nodiscard]] inline std::string clean_utf8(std::string text) {
    for (std::size_t at = 0, bad = 0;
         (bad = formats::first_invalid_utf8(std::string_view(text).substr(at))) != std::string::npos;) {
        at += bad;
        text[at] = '?';
    }
    return text;
}

/// JSON has no infinities: an impossible answer's log-probability becomes a very low number.
[[nodiscard]] inline double finite(double x) { return std::isfinite(x) ? x : -1e30; }

namespace json_detail {
inline void add_spent(json& value, const text::usage& spent) {
    if (spent != text::usage{}) value["spent"] = {spent.prompt_tokens, spent.completion_tokens};
}
}  // namespace json_detail

[[nodiscard]] inline json to_json(const text::completion& c) {
    json value{{"text", clean_utf8(c.text)},
               {"finish", c.finish == text::finish_reason::stop     ? "stop"
                          : c.finish == text::finish_reason::length ? "length"
                                                                    : "cancelled"},
               {"prompt_tokens", c.prompt_tokens},
               {"completion_tokens", c.completion_tokens},
               {"log_probability", finite(c.log_probability)},
               {"choice_probabilities", c.choice_probabilities}};
    if (!c.no_verdict.empty()) value["no_verdict"] = clean_utf8(c.no_verdict);
    if (!c.notes.empty()) value["notes"] = c.notes;
    json_detail::add_spent(value, c.spent);
    return value;
}

[[nodiscard]] inline json to_json(const text::score& s) {
    json value{{"log_probability", finite(s.log_probability)}, {"tokens", s.tokens}};
    json_detail::add_spent(value, s.spent);
    return value;
}

namespace json_detail {
template <class Value>
[[nodiscard]] Value member(const json& object, const char* name) {
    try {
        return object.at(name).get<Value>();
    } catch (const json::exception& fault) {
        throw format_error(explain(name, fault.what()));
    }
}
[[nodiscard]] inline text::usage spent_in(const json& value) {
    if (!value.contains("spent")) return {};
    const auto both = member<std::vector<std::size_t>>(value, "spent");
    if (both.size() != 2) throw format_error("spent: two counts are needed");
    return {both[0], both[1]};
}
}  // namespace json_detail

/// @throws format_error naming the field
[[nodiscard]] inline text::completion completion_from_json(const json& value) {
    using json_detail::member;
    text::completion c;
    c.text = member<std::string>(value, "text");
    const auto finish = member<std::string>(value, "finish");
    c.finish = finish == "stop"     ? text::finish_reason::stop
               : finish == "length" ? text::finish_reason::length
                                    : text::finish_reason::cancelled;
    c.prompt_tokens = member<std::size_t>(value, "prompt_tokens");
    c.completion_tokens = member<std::size_t>(value, "completion_tokens");
    c.log_probability = member<double>(value, "log_probability");
    c.choice_probabilities = member<std::vector<double>>(value, "choice_probabilities");
    if (value.contains("no_verdict")) c.no_verdict = member<std::string>(value, "no_verdict");
    if (value.contains("notes")) c.notes = member<std::vector<std::string>>(value, "notes");
    c.spent = json_detail::spent_in(value);
    return c;
}

[[nodiscard]] inline text::score score_from_json(const json& value) {
    return {json_detail::member<double>(value, "log_probability"), json_detail::member<std::size_t>(value, "tokens"),
            json_detail::spent_in(value)};
}

}  // namespace lab::sdg
