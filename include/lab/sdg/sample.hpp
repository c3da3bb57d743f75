// A sample on its way: what is asked, what is answered, where it comes from, what every check said. Nothing is dropped
// in silence: a refused candidate keeps the name of the check and its reason. Written as messages JSON Lines
// (`id`, `messages`, `metadata` as a JSON string, `unmask`), the form that InstructLab's trainer and lab's own read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/sha256.hpp"
#include "lab/formats/json.hpp"
#include "lab/sdg/prompts.hpp"
#include "lab/taxonomy/leaf.hpp"

namespace lab::sdg {

using formats::json;

[[nodiscard]] constexpr std::string_view kind_name(taxonomy::root kind) noexcept {
    return kind == taxonomy::root::knowledge      ? "knowledge"
           : kind == taxonomy::root::foundational ? "foundational"
                                                  : "compositional";
}

struct candidate {
    std::string question, answer;
    std::vector<taxonomy::qa> more{};  // what is asked and answered after that, in a conversation
    std::string context;  // skills: shown before the question; knowledge: what the checks read, not part of the sample
    std::string origin;   // "seed", "document", "section", "completion", "variation", "frame", "teacher"
    std::string group;    // candidates of one group ask the same thing and compete; empty: on its own
    std::uint64_t number = 0;  // proposal's number in its leaf: its random stream
    bool sure = false;         // right by construction: likelihood checks are recorded and do not refuse it
    bool plain = false;        // an old question in a new wrapping: taken only for want of better
    json provenance = json::object();
    json scores = json::object();
    std::string refused_by, reason;

    [[nodiscard]] bool alive() const noexcept { return refused_by.empty(); }
    void refuse(std::string_view check, std::string why) {
        if (!alive()) return;
        refused_by = check;
        reason = std::move(why);
    }
};

/// What the user says in the sample.
[[nodiscard]] inline std::string user_text(const taxonomy::leaf& leaf, const candidate& c) {
    return leaf.kind == taxonomy::root::knowledge || c.context.empty() ? c.question : c.context + "\n\n" + c.question;
}

/// A further turn's question by itself: behind the context that it asks about, unless a rule gave it one of its own.
[[nodiscard]] inline std::string turn_text(const candidate& c, const taxonomy::qa& turn) {
    return c.sure || c.context.empty() ? turn.question : c.context + "\n\n" + turn.question;
}

/// The further turns as they follow the first answer, each on its own lines; empty where there is none.
[[nodiscard]] inline std::string conversation_text(const candidate& c) {
    std::string text;
    for (const auto& turn : c.more) text.append("\n\n").append(turn.question).append("\n\n").append(turn.answer);
    return text;
}

/// The first 32 digits of a hash of leaf, question and answer: the same sample has the same id in every run.
[[nodiscard]] inline std::string sample_id(const taxonomy::leaf& leaf, const candidate& c) {
    json named = json::array({leaf.id, user_text(leaf, c), c.answer});
    for (const auto& turn : c.more) named.push_back({turn.question, turn.answer});
    return sha256_hex(formats::to_text(named)).substr(0, 32);
}

[[nodiscard]] inline json sample_json(const taxonomy::leaf& leaf, const candidate& c, const std::string& teacher) {
    json metadata{{"leaf", leaf.id},    {"kind", kind_name(leaf.kind)}, {"origin", c.origin},
                  {"teacher", teacher}, {"scores", c.scores},           {"provenance", c.provenance}};
    if (!leaf.domain.empty()) metadata["domain"] = leaf.domain;
    json line{{"id", sample_id(leaf, c)},
              {"messages", json::array({{{"role", "user"}, {"content", user_text(leaf, c)}},
                                        {{"role", "assistant"}, {"content", c.answer}}})},
              {"metadata", formats::to_text(metadata)},
              {"unmask", false}};
    for (const auto& turn : c.more) {
        line["messages"].push_back({{"role", "user"}, {"content", turn.question}});
        line["messages"].push_back({{"role", "assistant"}, {"content", turn.answer}});
    }
    return line;
}

/// The same with the check that refused it and why.
[[nodiscard]] inline json refused_json(const taxonomy::leaf& leaf, const candidate& c, const std::string& teacher) {
    json line = sample_json(leaf, c, teacher);
    line["refused_by"] = c.refused_by;
    line["reason"] = c.reason;
    return line;
}

}  // namespace lab::sdg
