// What the weights of a phase are compared by besides their held-out loss (trainer_options::score): how often the
// phase's own held-out questions are answered right by choice, or a number that a command of the user's prints.
#pragma once

#include <charconv>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/process.hpp"
#include "lab/nn/any_model.hpp"
#include "lab/nn/save.hpp"
#include "lab/replay/phase.hpp"
#include "lab/run/measure.hpp"
#include "lab/run/student.hpp"

namespace lab::run {

namespace phase_score_detail {

/// Whether a phase of this content teaches what questions of this kind ask.
[[nodiscard]] inline bool teaches(replay::content data, replay::sample_kind kind) {
    switch (kind) {
        case replay::sample_kind::knowledge:
            return replay::intersects(data, replay::content::knowledge);
        case replay::sample_kind::foundational:
            return replay::intersects(data, replay::content::foundational);
        case replay::sample_kind::compositional:
            return replay::intersects(data, replay::content::compositional);
        case replay::sample_kind::general:
            break;
    }
    return replay::intersects(data, replay::content::general);
}

/// The number in the last line that is not empty.
[[nodiscard]] inline double last_number(std::string_view text, const std::string& place) {
    constexpr std::string_view blanks = " \t\r\n";
    const auto end = text.find_last_not_of(blanks);
    text = text.substr(0, end == text.npos ? 0 : end + 1);
    const auto line_end = text.rfind('\n');
    std::string_view line = line_end == text.npos ? text : text.substr(line_end + 1);
    if (const auto word = line.find_last_of(blanks); word != line.npos) line.remove_prefix(word + 1);
    double value = 0;
    const auto [rest, fault] = std::from_chars(line.data(), line.data() + line.size(), value);
    if (fault != std::errc{} || rest != line.data() + line.size() || !std::isfinite(value))
        throw config_error(explain(place, "ends in '" + std::string(line) + "', which is no number",
                                   "let its last line be the score, the higher the better"));
    return value;
}

[[nodiscard]] inline std::string quoted(const std::string& text) {
    std::string all = "'";
    for (const char c : text) all += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return all + "'";
}

}  // namespace phase_score_detail

/// The share of right choices among the questions of what the phase teaches, of all where it teaches none that is
/// asked. A stop is not heard meanwhile: the step that is scored would be lost.
[[nodiscard]] inline double choice_score(const nn::any_model& model, const student& who, measuring what,
                                         const replay::phase& phase) {
    std::vector<eval::question> own;
    for (const auto& q : what.questions)
        if (phase_score_detail::teaches(phase.data, q.kind)) own.push_back(q);
    if (!own.empty()) what.questions = std::move(own);
    what.qa.max_tokens = 1;  // free answers are not looked at
    what.progress = {};
    const auto items = measure_answers(model, who.tokens, who.format, what, phase.name.view());
    return eval::summarise(items).choice_by_sum.value;
}

/// Runs `command` by the shell, {model} in it replaced by a folder where the model lies, and reads its last word.
/// @throws config_error where it fails or says no number; io_error
[[nodiscard]] inline double command_score(const nn::any_model& model, const nn::save_options& saving,
                                          const std::filesystem::path& folder, std::string command) {
    namespace detail = phase_score_detail;
    nn::save_safetensors(model, folder, saving);
    constexpr std::string_view mark = "{model}";
    const std::string place = "score command '" + command + "'";
    for (std::size_t at = 0; (at = command.find(mark, at)) != command.npos;) {
        const auto path = detail::quoted(folder.string());
        command.replace(at, mark.size(), path);
        at += path.size();
    }
    const auto result = run_process("/bin/sh", {"-c", command}, {.seconds = std::numeric_limits<double>::max()});
    std::filesystem::remove_all(folder);
    if (!result.ok())
        throw config_error(explain(
            place, "failed with code " + std::to_string(result.code) + (result.err.empty() ? "" : ": " + result.err)));
    return detail::last_number(result.out, place);
}

}  // namespace lab::run
