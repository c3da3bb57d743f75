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

/// The first 32 digits of a hash of leaf, question and answer: the same sample has the same id in every run.
[[nodiscard]] inline std::string sample_id(const taxonomy::leaf& leaf, const candidate& c) {
    return sha256_hex(formats::to_text(json::array({leaf.id, user_text(leaf, c), c.answer}))).substr(0, 32);
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
