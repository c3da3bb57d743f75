// report.html of a training run, or of the part of one that was stopped: its curves with the phases marked, what each
// phase trained on, replayed and handed on, what it did to earlier ones, and what was learnt and forgotten. Made of
// metrics.jsonl and the plan alone.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/eval/forgetting.hpp"
#include "lab/eval/report.hpp"
#include "lab/formats/html.hpp"
#include "lab/formats/json.hpp"
#include "lab/formats/jsonl.hpp"
#include "lab/replay/phase.hpp"

namespace lab::run {

/// What metrics.jsonl says of one phase.
struct phase_record {
    std::string name{};
    bool skipped = false;  // it found no samples of its own
    std::size_t own_samples = 0, replayed_per_epoch = 0, epochs = 0, steps_planned = 0;
    std::size_t steps = 0, steps_passed_over = 0;
    std::uint64_t first_step = 0, last_step = 0;  // over all phases, from 1
    std::uint64_t tokens = 0, learnt_tokens = 0;
    std::vector<double> losses{};     // finite ones, of its steps in order
    std::optional<double> heldout{};  // the last
    bool stopped_early = false;
    std::string result{};  // which weights it handed on, in words; empty: its last step's
};
/// What a phase did to the held-out loss of an earlier one.
struct regression_record {
    std::string phase{}, earlier{};
    double before = 0;
    std::optional<double> now{};  // unless it was not finite
    bool worse = false;           // by more than the tolerance
};
struct training_record {
    std::vector<phase_record> phases{};
    std::vector<regression_record> regressions{};
    eval::curve loss{"training", "#2b6cb0", {}}, heldout{"held-out", "#c05621", {}};
    std::vector<eval::curve> own_heldout{};  // by phase: of its own held-out samples, measured in later phases too
    eval::curve rate{"learning rate", "#2f855a", {}}, norm{"gradient norm", "#6b46c1", {}};
    eval::curve chosen{"chosen", "#2f855a", {}}, rejected{"rejected", "#c53030", {}};
    eval::curve accuracy{"accuracy", "#2b6cb0", {}}, score{"score", "#2b6cb0", {}};

    /// The curve of a phase's own held-out samples.
    [[nodiscard]] eval::curve& own(const std::string& phase) {
        constexpr std::array colours{"#2b6cb0", "#c05621", "#2f855a", "#6b46c1", "#c53030", "#718096"};
        for (auto& c : own_heldout)
            if (c.name == phase) return c;
        return own_heldout.emplace_back(eval::curve{phase, colours[own_heldout.size() % colours.size()], {}});
    }
};

namespace training_report_detail {

/// "step 20, loss 1.234": a line of event "result" in words.
[[nodiscard]] inline std::string result_text(const formats::json& line, const std::string& place) {
    const auto kind = formats::field<std::string>(line, "kind", place);
    const auto count = [&](std::string_view key) { return formats::field<std::uint64_t>(line, key, place); };
    if (kind == "ema") return "running average";
    if (kind == "average") return "mean of " + std::to_string(count("weights")) + " snapshots";
    if (kind != "best" || count("step") == 0) return {};
    std::string text = "step " + std::to_string(count("step"));
    for (const char* by : {"loss", "score"})
        if (const auto value = formats::optional_field<double>(line, by, place))
            text += ", " + std::string(by) + " " + eval::fixed(*value, 3);
    return text;
}

}  // namespace training_report_detail

/// Reads metrics.jsonl. A loss that was not finite is null there, and no point here. @throws io_error, format_error
[[nodiscard]] inline training_record read_training_record(const std::filesystem::path& metrics) {
    training_record out;
    formats::for_each_json_line(metrics, [&](const formats::json& line, std::size_t number) {
        const std::string place = metrics.string() + ":" + std::to_string(number);
        const auto event = formats::field<std::string>(line, "event", place);
        const auto count = [&](std::string_view key) {
            return static_cast<std::size_t>(formats::field<std::uint64_t>(line, key, place));
        };
        const auto point = [&](std::string_view key, eval::curve& curve) {
            const auto value = formats::optional_field<double>(line, key, place);
            if (value) curve.points.push_back({static_cast<double>(count("total_step")), *value});
            return value;
        };
        if (event == "phase" || event == "phase skipped") {
            phase_record p{.name = formats::field<std::string>(line, "phase", place), .skipped = event != "phase"};
            if (!p.skipped)
                p.own_samples = count("own_samples"), p.replayed_per_epoch = count("replayed_per_epoch"),
                p.epochs = count("epochs"), p.steps_planned = count("steps");
            out.phases.push_back(std::move(p));
            return;
        }
        phase_record* p = out.phases.empty() ? nullptr : &out.phases.back();
        if (event == "step" && p != nullptr) {
            p->last_step = count("total_step");
            if (p->steps++ == 0) p->first_step = p->last_step;
            p->tokens += count("tokens"), p->learnt_tokens += count("target_tokens");
            if (const auto loss = point("loss", out.loss)) p->losses.push_back(*loss);
            (void)point("learning_rate", out.rate);
            (void)point("gradient_norm", out.norm);
            (void)point("reward_chosen", out.chosen);
            (void)point("reward_rejected", out.rejected);
            (void)point("reward_accuracy", out.accuracy);
        } else if (event == "heldout") {
            const auto loss = point("loss", out.heldout);
            if (p != nullptr && loss) p->heldout = loss;
        } else if (event == "own heldout") {
            (void)point("loss", out.own(formats::field<std::string>(line, "phase", place)));
        } else if (event == "earlier phase") {
            regression_record r{.phase = formats::field<std::string>(line, "phase", place),
                                .earlier = formats::field<std::string>(line, "earlier", place),
                                .before = formats::field<double>(line, "before", place),
                                .worse = formats::field<bool>(line, "worse", place)};
            auto& own = out.own(r.earlier);
            const auto ended = std::ranges::find(out.phases, r.earlier, &phase_record::name);
            if (own.points.empty() && ended != out.phases.end())
                own.points.push_back({static_cast<double>(ended->last_step), r.before});
            r.now = point("loss", own);
            out.regressions.push_back(std::move(r));
        } else if (event == "score") {
            (void)point("score", out.score);
        } else if (event == "skipped" && p != nullptr) {
            ++p->steps_passed_over;
        } else if (event == "stopped early" && p != nullptr) {
            p->stopped_early = true;
        } else if (event == "result" && p != nullptr) {
            p->result = training_report_detail::result_text(line, place);
        }
    });
    return out;
}

namespace training_report_detail {

/// Mean of the last tenth, which single steps do not sway.
[[nodiscard]] inline std::optional<double> last_loss(const phase_record& p) {
    if (p.losses.empty()) return std::nullopt;
    const std::size_t count = std::max<std::size_t>(1, p.losses.size() / 10);
    double sum = 0;
    for (std::size_t i = p.losses.size() - count; i < p.losses.size(); ++i) sum += p.losses[i];
    return sum / static_cast<double>(count);
}
/// "knowledge-1, knowledge-2", from the plan; "" without replay.
[[nodiscard]] inline std::string replayed_phases(std::span<const replay::phase> plan, std::string_view name) {
    for (const replay::phase& p : plan) {
        if (p.name.view() != name) continue;
        std::string names;
        for (std::size_t i = 0; i < plan.size(); ++i)
            if ((p.replays >> i & 1u) != 0) names += (names.empty() ? "" : ", ") + std::string(plan[i].name.view());
        return names;
    }
    return "";
}
[[nodiscard]] inline std::string or_dash(const std::optional<double>& value) {
    return value ? eval::fixed(*value, 3) : "&ndash;";
}

/// A bar for each phase: its own samples of an epoch, and those it replays.
[[nodiscard]] inline std::string composition_chart(std::span<const phase_record> phases) {
    std::size_t most = 1;
    for (const auto& p : phases) most = std::max(most, p.own_samples + p.replayed_per_epoch);
    const double unit = 520.0 / static_cast<double>(most);
    std::string svg = "<svg viewBox=\"0 0 720 " + std::to_string(24 + 26 * phases.size()) + "\" role=\"img\">\n" +
                      "<text x=\"130\" y=\"14\" fill=\"#2b6cb0\">own samples of an epoch</text>" +
                      "<text x=\"300\" y=\"14\" fill=\"#dd6b20\">replayed</text>\n";
    double y = 24;
    for (const auto& p : phases) {
        const double own = unit * static_cast<double>(p.own_samples),
                     replayed = unit * static_cast<double>(p.replayed_per_epoch);
        const auto bar = [&](double x, double width, std::string_view colour) {
            return "<rect x=\"" + eval::fixed(x, 1) + "\" y=\"" + eval::fixed(y, 0) + "\" width=\"" +
                   eval::fixed(width, 1) + "\" height=\"18\" fill=\"" + std::string(colour) + "\"/>";
        };
        svg += "<text x=\"124\" y=\"" + eval::fixed(y + 13, 0) + "\" text-anchor=\"end\">" +
               formats::escape_html(p.name) + "</text>" + bar(130, own, "#2b6cb0") +
               bar(130 + own, replayed, "#dd6b20") + "<text x=\"" + eval::fixed(136 + own + replayed, 1) + "\" y=\"" +
               eval::fixed(y + 13, 0) + "\">" + std::to_string(p.own_samples) +
               (p.replayed_per_epoch != 0 ? " + " + std::to_string(p.replayed_per_epoch) : "") + "</text>\n";
        y += 26;
    }
    return svg + "</svg>\n";
}

[[nodiscard]] inline std::string phase_table(std::span<const phase_record> phases, std::span<const replay::phase> plan,
                                             std::string_view policy) {
    std::string html =
        "<table><tr><th>phase<th>own samples<th>replayed in an epoch<th>epochs<th>steps<th>tokens<th>learnt "
        "tokens<th>loss at its end<th>held-out<th>hands on</tr>\n";
    for (const auto& p : phases) {
        html += "<tr><th>" + formats::escape_html(p.name) + "</th>";
        if (p.skipped) {
            html += "<td colspan=\"9\">skipped: no samples of its own</td></tr>\n";
            continue;
        }
        const std::string from = replayed_phases(plan, p.name);
        const auto planned = std::ranges::find(plan, p.name, [](const auto& q) { return q.name.view(); });
        const bool own = planned != plan.end() && !planned->replay_policy.view().empty();
        const auto cell = [&](const std::string& text) { html += "<td>" + text + "</td>"; };
        cell(std::to_string(p.own_samples));
        cell(p.replayed_per_epoch == 0
                 ? "&ndash;"
                 : std::to_string(p.replayed_per_epoch) + " <small>" +
                       formats::escape_html((from.empty() ? "" : "of " + from + ", ") +
                                            std::string(own ? planned->replay_policy.view() : policy)) +
                       "</small>");
        cell(std::to_string(p.epochs));
        cell(std::to_string(p.steps) + (p.steps < p.steps_planned ? " of " + std::to_string(p.steps_planned) : "") +
             (p.steps_passed_over != 0 ? " <small>" + std::to_string(p.steps_passed_over) + " passed over</small>"
                                       : "") +
             (p.stopped_early ? " <small>stopped early</small>" : ""));
        cell(std::to_string(p.tokens));
        cell(std::to_string(p.learnt_tokens));
        cell(or_dash(last_loss(p)));
        cell(or_dash(p.heldout));
        cell(p.result.empty() ? "last step" : p.result);
        html += "</tr>\n";
    }
    return html + "</table>\n";
}

[[nodiscard]] inline std::string regression_table(std::span<const regression_record> regressions) {
    std::string html =
        "<table><tr><th>after phase<th>held-out samples of<th>loss when that phase ended<th>now<th></tr>\n";
    for (const auto& r : regressions)
        html += "<tr><th>" + formats::escape_html(r.phase) + "</th><td>" + formats::escape_html(r.earlier) +
                "</td><td>" + eval::fixed(r.before, 3) + "</td><td>" + or_dash(r.now) + "</td><td>" +
                (r.worse ? "<b>forgetting</b>" : "") + "</td></tr>\n";
    return html + "</table>\n";
}

}  // namespace training_report_detail

/// The page. `policy`: how the buffer chooses what is replayed, in a word.
[[nodiscard]] inline std::string training_report(const training_record& run, std::span<const replay::phase> plan,
                                                 std::string_view policy, const eval::forgetting_matrix& matrix) {
    namespace detail = training_report_detail;
    std::vector<eval::chart_mark> marks;
    for (const auto& p : run.phases)
        if (p.steps != 0) marks.push_back({static_cast<double>(p.first_step) - 0.5, p.name});
    std::string body;
    const auto chart = [&](std::string_view title, std::vector<eval::curve> curves, std::string_view unit) {
        std::erase_if(curves, [](const eval::curve& c) { return c.points.empty(); });
        if (curves.empty()) return;
        body += "<h2>" + std::string(title) + "</h2>\n" + eval::svg_chart(curves, "step", unit, marks);
    };
    chart("Loss", {run.loss, run.heldout}, "nats per token");
    chart("Held-out loss by phase", run.own_heldout, "nats per token");
    chart("Score", {run.score}, "");
    chart("Rewards of preferences", {run.chosen, run.rejected}, "nats");
    chart("Pairs in the right order", {run.accuracy}, "share");
    if (!run.phases.empty())
        body +=
            "<h2>Phases</h2>\n" + detail::composition_chart(run.phases) + detail::phase_table(run.phases, plan, policy);
    if (!run.regressions.empty())
        body += "<h2>What phases did to earlier ones</h2>\n" + detail::regression_table(run.regressions);
    chart("Learning rate", {run.rate}, "");
    chart("Gradient norm", {run.norm}, "");
    return eval::html_report("lab-train", body, matrix);
}

}  // namespace lab::run
