// Pairs of answers to one prompt, the preferred and the rejected one, from JSON Lines or a JSON array, as TRL's DPO
// trainer and the usual data sets have them. Of each object:
//   prompt               a user's text, or messages; or an Alpaca instruction (and input); or nothing, where
//   chosen, rejected     are whole conversations. Else: the assistant's text, or the messages that follow the prompt.
//   system, id           text (an id also a whole number), optional
// Both must be alike up to the last message, which is the assistant's. Pairs whose answers are equal teach nothing:
// they are left out and counted.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/file.hpp"
#include "lab/formats/json.hpp"
#include "lab/formats/jsonl.hpp"
#include "lab/replay/dataset.hpp"
#include "lab/replay/encode.hpp"
#include "lab/replay/sample.hpp"
#include "lab/text/message.hpp"

namespace lab::replay {

/// One pair as stored: two conversations that differ in their last message alone.
struct preference {
    std::string id{};
    text::messages chosen{}, rejected{};
    std::string place{};  // "file:line", or "file: [index]" in an array
};

namespace preferences_detail {

[[nodiscard]] inline text::messages messages_of(const formats::json& value, std::string_view role,
                                                const std::string& where) {
    if (value.is_string()) return {{.role = std::string(role), .content = value.get<std::string>()}};
    text::messages list;
    for (const auto& each : formats::value_as<std::vector<formats::json>>(value, where))
        list.push_back({.role = formats::field<std::string>(each, "role", where),
                        .content = formats::field<std::string>(each, "content", where)});
    return list;
}

[[nodiscard]] inline text::messages prompt_of(const formats::json& object, const std::string& place) {
    text::messages prompt;
    if (auto system = formats::field_or<std::string>(object, "system", "", place); !system.empty())
        prompt.push_back({.role = "system", .content = std::move(system)});
    text::messages asked;
    if (const auto found = object.find("prompt"); found != object.end()) {
        asked = messages_of(*found, "user", place + ": field 'prompt'");
    } else if (auto text = formats::field_or<std::string>(object, "instruction", "", place); !text.empty()) {
        const auto input = formats::field_or<std::string>(object, "input", "", place);
        if (!input.empty()) text += "\n\n" + input;
        asked.push_back({.role = "user", .content = std::move(text)});
    }
    prompt.insert(prompt.end(), asked.begin(), asked.end());
    return prompt;
}

[[nodiscard]] inline text::messages conversation(const formats::json& object, const std::string& name,
                                                 const text::messages& prompt, const std::string& place) {
    const std::string where = place + ": field '" + name + "'";
    auto answer = messages_of(formats::field<formats::json>(object, name, place), "assistant", where);
    const bool whole =
        std::any_of(answer.begin(), answer.end(), [](const text::message& m) { return m.role == "user"; });
    text::messages all = whole ? text::messages{} : prompt;
    all.insert(all.end(), std::make_move_iterator(answer.begin()), std::make_move_iterator(answer.end()));
    if (all.size() < 2 || all.back().role != "assistant")
        throw format_error(explain(where, "is no assistant's answer to a prompt",
                                   "give 'prompt' with the answers' texts, or whole conversations"));
    if (dataset_detail::blank(all.back().content)) throw format_error(explain(where, "has an empty answer"));
    return all;
}

}  // namespace preferences_detail

/// @throws format_error naming place and field.
[[nodiscard]] inline preference parse_preference(const formats::json& object, const std::string& place) {
    namespace detail = preferences_detail;
    if (!object.is_object()) throw format_error(explain(place, "is not an object"));
    const auto prompt = detail::prompt_of(object, place);
    preference p{.id = dataset_detail::id_of(object, place),
                 .chosen = detail::conversation(object, "chosen", prompt, place),
                 .rejected = detail::conversation(object, "rejected", prompt, place),
                 .place = place};
    const auto same = [](const text::message& a, const text::message& b) {
        return a.role == b.role && a.content == b.content;
    };
    if (!std::equal(p.chosen.begin(), p.chosen.end() - 1, p.rejected.begin(), p.rejected.end() - 1, same))
        throw format_error(explain(place, "'chosen' and 'rejected' answer different prompts",
                                   "they may differ in the last message alone"));
    return p;
}

/// Every pair of a file, in order. @throws io_error, format_error; config_error where there is none.
[[nodiscard]] inline std::vector<preference> read_preferences(const std::filesystem::path& path) {
    std::vector<preference> pairs;
    const mapped_file file(path);
    const auto text = formats::as_text(file.bytes());
    const auto first = text.find_first_not_of(" \t\r\n");
    if (first != text.npos && text[first] == '[') {
        const auto list = formats::parse_json(text, path.string());
        for (std::size_t i = 0; i < list.size(); ++i)
            pairs.push_back(parse_preference(list[i], path.string() + ": [" + std::to_string(i) + "]"));
    } else {
        formats::for_each_json_line(text, path.string(), [&](const formats::json& line, std::size_t number) {
            pairs.push_back(parse_preference(line, path.string() + ":" + std::to_string(number)));
        });
    }
    if (pairs.empty()) throw config_error(explain(path.string(), "holds no pair of answers"));
    return pairs;
}

namespace preferences_detail {
/// Only the last answer is compared: the likelihoods of earlier ones are equal in both conversations.
inline void keep_last_answer(std::vector<std::uint8_t>& trained) {
    const auto last = std::find(trained.rbegin(), trained.rend(), std::uint8_t{1});
    std::fill(std::find(last, trained.rend(), std::uint8_t{0}), trained.rend(), std::uint8_t{0});
}
}  // namespace preferences_detail

/// Pairs as samples; those with an answer that does not fit in `max_tokens` are dropped and counted, as are ties.
/// @throws config_error where none is left, or as the encoder with the pair's place in front.
template <ChatEncoder Encoder>
[[nodiscard]] encoded_dataset encode_preferences(std::span<const preference> pairs, const Encoder& encoder,
                                                 std::size_t max_tokens) {
    encoded_dataset result;
    leaf_report& report = result.leaves["(preferences)"];
    for (const preference& p : pairs) {
        encoded chosen = encode_detail::encode_at(p.place, encoder, p.chosen, false);
        encoded rejected = encode_detail::encode_at(p.place, encoder, p.rejected, false);
        report.longest = std::max({report.longest, chosen.tokens.size(), rejected.tokens.size()});
        if (std::max(chosen.tokens.size(), rejected.tokens.size()) > max_tokens || chosen.tokens == rejected.tokens) {
            ++report.dropped;
            continue;
        }
        for (encoded* e : {&chosen, &rejected}) preferences_detail::keep_last_answer(e->trained);
        training_sample t{.id = p.id,
                          .leaf = {},
                          .tokens = std::move(chosen.tokens),
                          .trained = std::move(chosen.trained),
                          .response_tokens = longest_trained_run(rejected.trained),
                          .chosen_tokens = 0};
        t.response_tokens = std::max(t.response_tokens, longest_trained_run(t.trained));
        t.chosen_tokens = t.tokens.size();
        t.tokens.insert(t.tokens.end(), rejected.tokens.begin(), rejected.tokens.end());
        t.trained.insert(t.trained.end(), rejected.trained.begin(), rejected.trained.end());
        ++report.kept;
        report.tokens += t.tokens.size();
        report.trained_tokens += target_count(t);
        result.samples.push_back(std::move(t));
    }
    if (result.samples.empty())
        throw config_error("no pair of " + std::to_string(pairs.size()) + " has two different answers that fit in " +
                           std::to_string(max_tokens) + " tokens (raise the limit)");
    return result;
}

}  // namespace lab::replay
