// A capable teacher writes questions and answers itself (LAB, arXiv 2403.01081, section 3.2.2: a text, and examples of
// the leaf before it): it lists a chunk's facts once, then writes about each of them in one kind of question after the
// other, held to JSON. Each listed fact must have a sentence behind it; sentences that no listed fact covers are facts
// too, so that none is forgotten. Whether a teacher is capable, knowledge_calibration.hpp measures.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/sdg/examples.hpp"
#include "lab/sdg/views.hpp"

namespace lab::sdg {

/// Question and answer of a JSON object; text around it is passed over. Nothing where they are not there.
[[nodiscard]] inline std::optional<taxonomy::qa> pair_in(std::string_view reply) {
    const auto open = reply.find('{'), close = reply.rfind('}');
    if (open == reply.npos || close == reply.npos || close < open) return std::nullopt;
    const auto value = formats::try_parse_json(reply.substr(open, close + 1 - open));
    if (!value || !value->is_object()) return std::nullopt;
    taxonomy::qa pair;
    for (const auto& [name, target] : {std::pair{"question", &pair.question}, {"answer", &pair.answer}}) {
        const auto at = value->find(name);
        if (at == value->end() || !at->is_string()) return std::nullopt;
        *target = taxonomy::trim(at->get<std::string>());
        if (target->empty()) return std::nullopt;
    }
    return pair;
}

/// Examples: the leaf's seeds from `first` on, round and round, each with the sentence that holds its answer as the
/// fact.
inline void add_pair_examples(text::messages& m, const leaf_run& run, std::string_view language, std::size_t first,
                              const std::string& kind) {
    const auto& seeds = run.leaf.seeds;
    for (std::size_t k = 0; k < std::min(run.options.knowledge.examples, seeds.size()); ++k) {
        const auto& seed = seeds[(first + k) % seeds.size()];
        const auto& qa = seed.questions_and_answers[(first / seeds.size() + k) % seed.questions_and_answers.size()];
        const std::string fact = sentence_with(seed.context, qa.answer), context = flat(seed.context);
        add_turn(m,
                 run.options.wordings.render_in<prompts::write_pair>(
                     language, text::field<"subject">(run.leaf.domain), text::field<"text">(context),
                     text::field<"fact">(fact), text::field<"kind">(kind)),
                 formats::to_text({{"question", qa.question}, {"answer", qa.answer}}));
    }
}

/// Asks for a pair about a fact of a chunk; without a fact, about anything that `shown` says.
[[nodiscard]] inline text::request pair_request(const leaf_run& run, std::string_view language,
                                                const std::string& shown, const std::string& fact,
                                                const std::string& kind, std::uint64_t pass, counter_rng rng) {
    const auto& w = run.options.wordings;
    text::request r;
    add_pair_examples(r.messages, run, language, static_cast<std::size_t>(pass),
                      w.lines<prompts::question_kinds>(language).front());
    const auto subject = text::field<"subject">(run.leaf.domain);
    r.messages.push_back(
        {"user", fact.empty()
                     ? w.render_in<prompts::write_any_pair>(language, subject, text::field<"text">(shown),
                                                            text::field<"kind">(kind))
                     : w.render_in<prompts::write_pair>(language, subject, text::field<"text">(shown),
                                                        text::field<"fact">(fact), text::field<"kind">(kind))});
    r.constraint.json_schema = R"({"type":"object","properties":{"question":{"type":"string","minLength":1},)"
                               R"("answer":{"type":"string","minLength":1}},"required":["question","answer"]})";
    r.max_tokens = 320;
    r.sampling.temperature = pass == 0 ? 0.0f : 0.8f;
    r.sampling.top_p = 0.95f;
    r.sampling.seed = rng.next64();
    return r;
}

/// Replaces, in the leaf's list, the sentences of these chunks by the facts that the teacher lists; sentences that none
/// of them covers stay, and a listed fact without a sentence behind it is not taken. @return one item for each fact
[[nodiscard]] inline std::vector<knowledge_item> list_facts(leaf_run& run, leaf_reading& reading,
                                                            const std::vector<std::size_t>& chosen) {
    std::vector<knowledge_item> items;
    std::vector<text::request> requests;
    for (const std::size_t at : chosen) requests.push_back(facts_request(run, reading.places[at], reading.language));
    const auto replies = requests.empty() ? std::vector<text::completion>{} : run.teacher.complete(requests);
    for (std::size_t k = 0; k < chosen.size(); ++k) {
        const std::size_t at = chosen[k];
        const auto& place = reading.places[at];
        const flat_copy copy(place.raw, place.span.begin);
        const sentence_table sentences(copy.text);
        const auto named = content_set(place.headings);
        const auto by_rule = reading.facts.of_chunk(place.path, place.span.begin);
        std::set<std::size_t> stated, listed;  // of them, those that a listed fact covers; the listed ones
        for (auto& statement : statements_in(replies[k].text)) {
            const auto match = sentences.supporting(statement, named);
            if (!match) continue;
            const auto span = copy.source_of(sentences[match->index]);
            for (const std::size_t f : by_rule)
                if (reading.facts[f].span == span) stated.insert(f);
            const auto f = reading.facts.add({{}, place.path, place.span, span, statement, true, true, 0, {}, {}});
            listed.insert(f);
            items.push_back({item_kind::written, statement, {}, at, 0, false, f});
        }
        for (const std::size_t f : by_rule)
            if (listed.contains(f)) {
                continue;  // word for word
            } else if (stated.contains(f)) {
                reading.facts.hide(f);
            } else {
                reading.facts[f].in_reach = true;
                items.push_back({item_kind::written, reading.facts[f].text, {}, at, 0, false, f});
            }
    }
    return items;
}

}  // namespace lab::sdg
