// A training plan as a JSON file: {"phases": [{"name", "data": [...], "short_tokens", "replay": {"phases": [...],
// "ratio", "by", "policy"}, "learning_rate", "warmup_steps", "epochs", "batch_size", "schedule", "schedule_floor",
// "stable_share", "label_smoothing", "router_loss", "neftune_alpha", "beta"}]}. Names of contents and schedules are
// those of replay/phase.hpp; what is left out keeps its default. Unknown fields are refused.
#pragma once

#include <algorithm>
#include <array>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "lab/core/file.hpp"
#include "lab/formats/json.hpp"
#include "lab/replay/phase.hpp"

namespace lab::replay {

namespace phase_detail {

template <class Table>
[[nodiscard]] auto lookup(const Table& table, std::string_view name, const std::string& where) {
    std::string known;
    for (const auto& [key, value] : table) {
        if (key == name) return value;
        known += (known.empty() ? "" : ", ") + std::string(key);
    }
    throw format_error(explain(where, "'" + std::string(name) + "' is not known", "one of " + known));
}

/// Numbers that a plain plan leaves alone; they are written only where they differ from the defaults.
inline constexpr std::array<std::pair<std::string_view, double phase::*>, 6> numbers_beyond_plain{
    {{"schedule_floor", &phase::schedule_floor},
     {"stable_share", &phase::stable_share},
     {"label_smoothing", &phase::label_smoothing},
     {"router_loss", &phase::router_loss},
     {"neftune_alpha", &phase::neftune_alpha},
     {"beta", &phase::beta}}};

inline void only_fields(const formats::json& object, const std::string& where,
                        std::initializer_list<std::string_view> known) {
    if (!object.is_object()) throw format_error(explain(where, "is not an object"));
    for (const auto& entry : object.items())
        if (std::find(known.begin(), known.end(), entry.key()) == known.end()) {
            std::string list;
            for (const std::string_view name : known) list += (list.empty() ? "" : ", ") + std::string(name);
            throw format_error(explain(where, "unknown field '" + entry.key() + "'", "known are " + list));
        }
}

[[nodiscard]] inline phase parse_phase(const formats::json& object, const std::string& where,
                                       std::span<const phase> earlier) {
    only_fields(
        object, where,
        {"name", "data", "short_tokens", "replay", "learning_rate", "warmup_steps", "epochs", "batch_size", "schedule",
         "schedule_floor", "stable_share", "label_smoothing", "router_loss", "neftune_alpha", "beta"});
    phase p;
    p.name = phase_name(formats::field<std::string>(object, "name", where));
    p.data = content::none;
    for (const auto& name : formats::field<std::vector<std::string>>(object, "data", where))
        p.data = p.data | lookup(content_names, name, where + ": field 'data'");
    p.short_tokens = formats::optional_field<std::size_t>(object, "short_tokens", where);
    if (const auto replay = formats::optional_field<formats::json>(object, "replay", where)) {
        only_fields(*replay, where + ": field 'replay'", {"phases", "ratio", "by", "policy"});
        p.replay_ratio = formats::field<double>(*replay, "ratio", where + ": field 'replay'");
        p.replay_by = lookup(replay_measure_names,
                             formats::field_or<std::string>(*replay, "by", "samples", where + ": field 'replay'"),
                             where + ": field 'replay': field 'by'");
        p.replay_policy = phase_name(formats::field_or<std::string>(*replay, "policy", "", where + ": field 'replay'"));
        for (const auto& name :
             formats::field<std::vector<std::string>>(*replay, "phases", where + ": field 'replay'")) {
            const auto found =
                std::find_if(earlier.begin(), earlier.end(), [&](const phase& e) { return e.name.view() == name; });
            if (found == earlier.end())
                throw format_error(explain(where + ": field 'replay'", "'" + name + "' is not an earlier phase"));
            p.replays |= 1u << (found - earlier.begin());
        }
    }
    p.learning_rate = formats::field_or<double>(object, "learning_rate", p.learning_rate, where);
    p.warmup_steps = formats::field_or<std::size_t>(object, "warmup_steps", p.warmup_steps, where);
    p.epochs = formats::field_or<std::size_t>(object, "epochs", p.epochs, where);
    p.batch_size = formats::field_or<std::size_t>(object, "batch_size", p.batch_size, where);
    p.schedule = lookup(schedule_names, formats::field_or<std::string>(object, "schedule", "constant", where),
                        where + ": field 'schedule'");
    for (const auto& [name, value] : numbers_beyond_plain)
        p.*value = formats::field_or<double>(object, name, p.*value, where);
    return p;
}

}  // namespace phase_detail

/// Phases from the parsed form. `place_of(i)` names phase i in messages.
/// @throws format_error naming place, phase and field; config_error for phases that contradict each other.
template <class PlaceOf>
[[nodiscard]] std::vector<phase> phases_from(const formats::json& root, const std::string& place, PlaceOf place_of) {
    phase_detail::only_fields(root, place, {"phases"});
    std::vector<phase> phases;
    for (const auto& object : formats::field<std::vector<formats::json>>(root, "phases", place)) {
        if (phases.size() == 32) throw format_error(explain(place, "has more than 32 phases"));
        const std::string where = place_of(phases.size()) + ": phases[" + std::to_string(phases.size()) + "]";
        phases.push_back(phase_detail::parse_phase(object, where, phases));
    }
    check_phases(phases);
    return phases;
}

/// Phases from JSON text. @throws as phases_from, and for faults of the JSON with line and column
[[nodiscard]] inline std::vector<phase> parse_phases(std::string_view text, const std::string& place) {
    return phases_from(formats::parse_json(text, place), place, [&](std::size_t) { return place; });
}

[[nodiscard]] inline std::vector<phase> read_phases(const std::filesystem::path& path) {
    return parse_phases(read_file(path), path.string());
}

/// The same form back: what parse_phases reads.
[[nodiscard]] inline formats::json to_json(std::span<const phase> phases) {
    formats::json list = formats::json::array();
    for (const phase& p : phases) {
        formats::json data = formats::json::array(), replayed = formats::json::array();
        for (const auto& [name, bit] : content_names)
            if (bit != content::knowledge && bit != content::all && intersects(p.data, bit)) data.push_back(name);
        for (std::size_t i = 0; i < phases.size() && i < 32; ++i)
            if ((p.replays >> i & 1u) != 0) replayed.push_back(phases[i].name.view());
        std::string_view schedule;
        for (const auto& [name, kind] : schedule_names)
            if (kind == p.schedule) schedule = name;
        list.push_back({{"name", p.name.view()},
                        {"data", data},
                        {"replay", {{"phases", replayed}, {"ratio", p.replay_ratio}}},
                        {"learning_rate", p.learning_rate},
                        {"warmup_steps", p.warmup_steps},
                        {"epochs", p.epochs},
                        {"batch_size", p.batch_size},
                        {"schedule", schedule}});
        if (p.short_tokens) list.back()["short_tokens"] = *p.short_tokens;
        if (p.replay_by == replay_measure::tokens) list.back()["replay"]["by"] = "tokens";
        if (!p.replay_policy.view().empty()) list.back()["replay"]["policy"] = p.replay_policy.view();
        for (const auto& [name, value] : phase_detail::numbers_beyond_plain)
            if (p.*value != phase{}.*value) list.back()[std::string(name)] = p.*value;
    }
    return {{"phases", std::move(list)}};
}

}  // namespace lab::replay
