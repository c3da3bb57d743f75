// One row of a dataset that is mixed, in any of the forms that circulate: messages (metadata an object, a string that
// holds one, or absent; further columns move into it), InstructLab's generated rows (question, response, document ...),
// and the old role "pretraining". Written back with exactly id, messages, metadata (a string), unmask. Faults name file
// and line. Checks form only: what a sample says is the generator's business.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "lab/core/sha256.hpp"
#include "lab/formats/json.hpp"
#include "lab/text/message.hpp"

namespace lab::sdg {

using formats::json;

struct mix_sample {
    std::string id;
    json messages = json::array();  // objects with role and content, and what else they hold
    json metadata = json::object();
    bool unmask = false;     // every role but system is learnt
    std::string leaf, kind;  // "" where the metadata does not say; kind: knowledge, foundational, compositional
};

namespace mix_detail {

[[nodiscard]] inline bool blank(std::string_view text) {
    return text.find_first_not_of(" \t\r\n\f\v") == std::string_view::npos;
}
[[nodiscard]] inline std::string trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t\r\n\f\v");
    if (first == text.npos) return {};
    return std::string(text.substr(first, text.find_last_not_of(" \t\r\n\f\v") - first + 1));
}
[[nodiscard]] inline std::string text_in(const json& object, std::string_view key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}
[[nodiscard]] inline std::string first_text(const json& object, std::initializer_list<std::string_view> keys) {
    for (const auto key : keys)
        if (auto text = text_in(object, key); !text.empty()) return text;
    return {};
}

/// knowledge, foundational or compositional, from a name or a leaf's path in any of its spellings; else "".
[[nodiscard]] inline std::string kind_in(std::string_view text) {
    for (const std::string_view kind : {"knowledge", "foundational", "compositional"}) {
        if (!text.starts_with(kind)) continue;
        const auto rest = text.substr(kind.size());
        if (rest.empty() || rest[0] == '/' || rest[0] == '_' || rest[0] == '.' || rest.starts_with("->"))
            return std::string(kind);
    }
    return {};
}

/// The turns in the text of an old "pretraining" message: marks of Granite 7B or of Granite 3.
[[nodiscard]] inline json turns_of(std::string_view text) {
    struct style {
        std::array<std::string_view, 2> marks;  // user, assistant
        std::string_view end;
    };
    static constexpr std::array<style, 2> styles{
        style{{"<|user|>\n", "<|assistant|>\n"}, "<|endoftext|>"},
        style{{"<|start_of_role|>user<|end_of_role|>", "<|start_of_role|>assistant<|end_of_role|>"},
              "<|end_of_text|>"}};
    static constexpr std::array<std::string_view, 2> roles{"user", "assistant"};
    json turns = json::array();
    const auto& s = styles[text.find(styles[0].marks[0]) == text.npos && text.find(styles[0].marks[1]) == text.npos];
    const auto next = [&](std::size_t from) {
        std::pair best(text.npos, std::size_t{0});
        for (std::size_t r = 0; r < 2; ++r)
            if (const auto at = text.find(s.marks[r], from); at < best.first) best = {at, r};
        return best;
    };
    for (auto [at, role] = next(0); at != text.npos;) {
        const auto begin = at + s.marks[role].size();
        const auto following = next(begin);
        auto content =
            std::string(text.substr(begin, following.first == text.npos ? text.npos : following.first - begin));
        for (auto end = content.find(s.end); end != content.npos; end = content.find(s.end))
            content.erase(end, s.end.size());
        turns.push_back({{"role", roles[role]}, {"content", trimmed(content)}});
        at = following.first, role = following.second;
    }
    return turns;
}

/// Question and answer of a row that a pipeline of InstructLab's generated; the simplest one writes both into "output",
/// with the first question mark between them.
[[nodiscard]] inline std::optional<json> generated_messages(const json& row) {
    std::string question = text_in(row, "question"), answer = text_in(row, "response");
    if (!row.contains("question") || !row.contains("response")) {
        const auto output = row.find("output");
        if (output == row.end() || !output->is_string()) return std::nullopt;
        const auto text = output->get<std::string>();
        const auto mark = text.find('?');
        if (!row.contains("question")) question = mark == text.npos ? "" : trimmed(text.substr(0, mark)) + "?";
        if (!row.contains("response")) answer = mark == text.npos ? text : text.substr(mark + 1);
    }
    return json::array(
        {{{"role", "user"}, {"content", trimmed(question)}}, {{"role", "assistant"}, {"content", trimmed(answer)}}});
}

[[nodiscard]] inline json metadata_of(json& row, const std::string& place) {
    const auto found = row.find("metadata");
    if (found == row.end() || found->is_null()) return json::object();
    if (found->is_object()) return std::move(*found);
    const auto text = formats::value_as<std::string>(*found, place + ": field 'metadata'");
    if (blank(text)) return json::object();
    auto parsed = formats::parse_json(text, place + ": field 'metadata'");
    if (parsed.is_null()) return json::object();
    if (!parsed.is_object())
        throw format_error(
            explain(place, "field 'metadata' holds no JSON object", "write an object, or one as a string"));
    return parsed;
}

inline void read_messages(mix_sample& s, json list, const std::string& place) {
    if (!list.is_array())
        throw format_error(explain(place, "field 'messages' is " + std::string(list.type_name()) + ", not a list"));
    for (std::size_t i = 0; i < list.size(); ++i) {
        const std::string where = place + ": messages[" + std::to_string(i) + "]";
        json& m = list[i];
        auto role = formats::field<std::string>(m, "role", where);
        if (role.empty()) throw format_error(explain(where, "has an empty role"));
        auto content = formats::field_or<std::string>(m, "content", "", where);
        if (role == "pretraining") {
            auto turns = turns_of(content);
            if (turns.empty())
                throw format_error(explain(where, "has the old role 'pretraining' without a mark of user or assistant",
                                           "write user and assistant messages and \"unmask\": true"));
            for (auto& turn : turns) s.messages.push_back(std::move(turn));
            s.unmask = true;
            continue;
        }
        m["content"] = std::move(content);  // null becomes empty
        s.messages.push_back(std::move(m));
    }
}

}  // namespace mix_detail

/// @throws format_error naming place and field
[[nodiscard]] inline mix_sample read_mix_sample(json row, const std::string& place) {
    if (!row.is_object())
        throw format_error(explain(place, "is " + std::string(row.type_name()) + ", not an object",
                                   "JSON Lines: one object in each line"));
    mix_sample s;
    s.metadata = mix_detail::metadata_of(row, place);
    s.unmask = formats::field_or<bool>(row, "unmask", false, place);
    const bool has_messages = row.contains("messages") && !row["messages"].is_null();
    if (has_messages) {
        mix_detail::read_messages(s, std::move(row["messages"]), place);
    } else if (auto made = mix_detail::generated_messages(row)) {
        s.messages = *std::move(made);
        for (const auto* used : {"question", "response", "output"}) row.erase(used);
    } else {
        throw format_error(
            explain(place, "has no field 'messages'", "a sample has messages, or question and response"));
    }
    if (const auto id = row.find("id"); id != row.end() && !id->is_null()) {
        if (!id->is_string() && !id->is_number_integer())
            throw format_error(explain(place, "field 'id' is " + std::string(id->type_name()) + ", not text"));
        s.id = id->is_string() ? id->get<std::string>() : formats::to_text(*id);
    }
    if (s.id.empty()) s.id = sha256_hex(formats::to_text(s.messages)).substr(0, 32);
    for (const auto* own : {"id", "messages", "metadata", "unmask"}) row.erase(own);
    for (auto& [key, value] : row.items()) s.metadata[key] = std::move(value);
    s.leaf = mix_detail::first_text(s.metadata, {"leaf", "leaf_node_path", "taxonomy_path"});
    s.kind = mix_detail::kind_in(mix_detail::first_text(s.metadata, {"kind", "leaf_node_type", "branch"}));
    if (s.kind.empty() && mix_detail::text_in(s.metadata, "leaf_node_type").ends_with("skill"))
        s.kind = "compositional";
    if (s.kind.empty()) s.kind = mix_detail::kind_in(s.leaf);
    if (s.kind.empty() && (mix_detail::text_in(s.metadata, "dataset").starts_with("document_") ||
                           (!has_messages && s.metadata.contains("document"))))
        s.kind = "knowledge";
    return s;
}

/// Why a trainer can do nothing with a sample; empty where it can. InstructLab keeps what has no message at all.
inline constexpr std::string_view nothing_to_learn = "no message to learn from";
[[nodiscard]] inline std::string_view unusable(const mix_sample& s) {
    bool learns = false;
    for (const auto& m : s.messages) {
        const auto& role = m["role"].get_ref<const std::string&>();
        if (role == "system") continue;
        if (mix_detail::blank(m["content"].get_ref<const std::string&>())) return "a message is empty";
        learns = learns || s.unmask || role == "assistant";
    }
    return learns ? std::string_view() : nothing_to_learn;
}

/// Every system message says `prompt`; where there is none, one comes first.
inline void set_system_prompt(mix_sample& s, const std::string& prompt) {
    bool has = false;
    for (auto& m : s.messages)
        if (m["role"] == "system") m["content"] = prompt, has = true;
    if (!has) s.messages.insert(s.messages.begin(), json{{"role", "system"}, {"content", prompt}});
}

[[nodiscard]] inline text::messages text_messages(const mix_sample& s) {
    text::messages out;
    for (const auto& m : s.messages) out.push_back({m["role"].get<std::string>(), m["content"].get<std::string>()});
    return out;
}

/// The sample as one line of a training file, without the line break.
[[nodiscard]] inline std::string to_line(const mix_sample& s) {
    return formats::to_text(
        json{{"id", s.id}, {"messages", s.messages}, {"metadata", formats::to_text(s.metadata)}, {"unmask", s.unmask}});
}

/// Tokens where no tokenizer is at hand: 1.3 for each word, and for each character of scripts that put no blanks
/// between words (from U+2E80 on).
[[nodiscard]] inline std::size_t estimated_words_tokens(std::string_view text) {
    std::size_t words = 0;
    bool inside = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if (byte == ' ' || (byte >= '\t' && byte <= '\r')) {
            inside = false;
        } else if (byte >= 0xe2 &&
                   (byte > 0xe2 || (i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) >= 0xba))) {
            ++words;
            inside = false;
            i += byte >= 0xf0 ? 3 : 2;
        } else if (!inside) {
            ++words;
            inside = true;
        }
    }
    return (words * 13 + 9) / 10;
}

}  // namespace lab::sdg
