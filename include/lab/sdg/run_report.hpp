// A generation as one self-contained HTML page (inline SVG, no scripts, nothing fetched), made of the files that it
// left: the tree of leaves with what became of every proposal, scores of kept and refused, facts, diversity, lengths,
// contamination, judges, cost, and some samples with their provenance. Prints without loss: nothing is folded away.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "lab/core/rng.hpp"
#include "lab/formats/html.hpp"
#include "lab/sdg/run_files.hpp"

namespace lab::sdg {

/// Counts of numbers in bins of equal width between the least and the greatest, of kept and refused. Takes all numbers
/// twice, for it holds none of them: first to find the range.
struct histogram {
    static constexpr std::size_t bins = 20;
    double low = std::numeric_limits<double>::infinity(), high = -low;
    std::array<std::size_t, bins> kept{}, refused{};

    void measure(double value) {
        if (std::isfinite(value)) low = std::min(low, value), high = std::max(high, value);
    }
    void add(double value, bool is_kept) {
        if (!std::isfinite(value)) return;
        const double place = high > low ? (value - low) / (high - low) * bins : 0;
        ++(is_kept ? kept : refused)[std::min(bins - 1, static_cast<std::size_t>(place))];
    }
};

/// The checks in the order in which a sample meets them; what is not known comes before the quota.
[[nodiscard]] inline std::vector<std::string> ordered_checks(const std::set<std::string>& names) {
    static constexpr std::array<std::string_view, 4> first{"context", "form", "outranked", "round_trip"},
        last{"contamination", "contradiction", "duplicate", "quota"};
    std::vector<std::string> order;
    for (const auto name : first)
        if (names.contains(std::string(name))) order.emplace_back(name);
    for (const auto& name : names)
        if (std::find(first.begin(), first.end(), name) == first.end() &&
            std::find(last.begin(), last.end(), name) == last.end())
            order.push_back(name);
    for (const auto name : last)
        if (names.contains(std::string(name))) order.emplace_back(name);
    return order;
}

namespace detail {

[[nodiscard]] inline std::string number_text(double x) {
    char text[32];
    std::snprintf(text, sizeof text, std::fabs(x) >= 100 || x == std::round(x) ? "%.0f" : "%.2f", x);
    return text;
}

/// Kept upwards in one colour, refused stacked on it in another.
[[nodiscard]] inline std::string histogram_svg(const std::string& title, const histogram& h) {
    std::size_t most = 1, kept = 0, refused = 0;
    for (std::size_t i = 0; i < histogram::bins; ++i) {
        most = std::max(most, h.kept[i] + h.refused[i]);
        kept += h.kept[i], refused += h.refused[i];
    }
    std::string svg = "<figure><figcaption>" + formats::escape_html(title) + " <small>" + std::to_string(kept) +
                      " kept, " + std::to_string(refused) +
                      " refused</small></figcaption><svg viewBox=\"0 0 240 90\" role=\"img\">";
    const auto bar = [&](std::size_t i, std::size_t from, std::size_t count, const char* kind) {
        if (count == 0) return;
        const auto scale = 70.0 / static_cast<double>(most);
        const double height = static_cast<double>(count) * scale, top = 72 - static_cast<double>(from + count) * scale;
        char text[160];
        std::snprintf(text, sizeof text,
                      "<rect class=\"%s\" x=\"%zu\" y=\"%.1f\" width=\"11\" height=\"%.1f\"><title>%zu</title></rect>",
                      kind, i * 12, top, height, count);
        svg += text;
    };
    for (std::size_t i = 0; i < histogram::bins; ++i) {
        bar(i, 0, h.kept[i], "kept");
        bar(i, h.kept[i], h.refused[i], "refused");
    }
    return svg + "<text x=\"0\" y=\"86\">" + number_text(h.low) +
           "</text><text x=\"240\" y=\"86\" text-anchor=\"end\">" + number_text(h.high) + "</text></svg></figure>\n";
}

/// Right ones kept (upwards) over wrong ones kept; corners are [threshold, right kept, wrong kept]. Empty where they
/// are not.
[[nodiscard]] inline std::string roc_svg(const std::string& title, const json& corners) {
    std::string line;
    for (auto at = corners.rbegin(); at != corners.rend(); ++at) {
        if (!at->is_array() || at->size() != 3 || !(*at)[1].is_number() || !(*at)[2].is_number()) return {};
        char text[64];
        std::snprintf(text, sizeof text, " %.1f,%.1f", 20 + 100 * std::clamp((*at)[2].get<double>(), 0.0, 1.0),
                      105 - 100 * std::clamp((*at)[1].get<double>(), 0.0, 1.0));
        line += text;
    }
    if (line.empty()) return {};
    return "<figure><figcaption>" + formats::escape_html(title) +
           " <small>ROC</small></figcaption><svg viewBox=\"0 0 240 120\" role=\"img\"><polyline points=\"20,105" +
           line +
           " 120,5\" fill=\"none\" stroke=\"#2b6cb0\" stroke-width=\"2\"/><path d=\"M20 5V105H120L20 105L120 5\" "
           "fill=\"none\" stroke=\"#cbd5e0\"/><text x=\"126\" y=\"103\">wrong ones kept</text><text x=\"0\" "
           "y=\"118\">right ones kept, upwards</text></svg></figure>\n";
}

/// A fair draw of a few from a stream of unknown length, by the seed alone.
template <class T>
class few_of_many {
public:
    few_of_many(std::size_t wanted, std::uint64_t seed) : wanted_(wanted), rng_(seed, "samples of a report") {}
    void offer(const T& item) {
        ++seen_;
        if (drawn_.size() < wanted_) {
            drawn_.push_back(item);
        } else if (const auto place = rng_.below(seen_); place < wanted_) {
            drawn_[place] = item;
        }
    }
    [[nodiscard]] const std::vector<T>& drawn() const { return drawn_; }

private:
    std::size_t wanted_;
    std::uint64_t seen_ = 0;
    counter_rng rng_;
    std::vector<T> drawn_;
};

class report_page {
public:
    report_page(const std::filesystem::path& folder, std::size_t shown_samples)
        : manifest_(read_manifest(folder)), few_(shown_samples, manifest_.value("/options/seed"_json_pointer, 0u)) {
        for_each_written(folder, [&](const written_sample& s) {
            for (const auto& [name, score] : s.scores) scores_[name].measure(score);
            question_words_.measure(words(s.said("user")));
            answer_words_.measure(words(s.said("assistant")));
        });
        for_each_written(folder, [&](const written_sample& s) {
            for (const auto& [name, score] : s.scores) scores_[name].add(score, s.kept());
            question_words_.add(words(s.said("user")), s.kept());
            answer_words_.add(words(s.said("assistant")), s.kept());
            if (!s.kept()) return;
            ++kept_;
            if (s.origin != "seed") few_.offer(s);
        });
    }

    [[nodiscard]] std::string text() {
        page_ =
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>lab-generate</title><style>"
            "body{font:14px/1.45 system-ui,sans-serif;max-width:62em;margin:2em auto;padding:0 1em;color:#1a202c}"
            "table{border-collapse:collapse;margin:.6em 0;font-size:13px}td,th{padding:.15em .7em .15em 0;text-align:"
            "left;vertical-align:top;border-bottom:1px solid #edf2f7}td.n,th.n{text-align:right}small{color:#666}"
            "figure{display:inline-block;width:15em;margin:.4em 1em .4em 0;break-inside:avoid}svg{width:100%}"
            "svg text{font:10px system-ui,sans-serif;fill:#555}.kept{fill:#2b6cb0}.refused{fill:#e2a37f}"
            ".short{color:#9c4221}.sample{break-inside:avoid;border-left:3px solid #cbd5e0;padding-left:1em;margin:1em "
            "0}"
            ".sample p{white-space:pre-wrap;margin:.2em 0}code{font-size:12px;overflow-wrap:anywhere}"
            ".bar{display:inline-block;height:.7em;background:#2b6cb0}tr{break-inside:avoid}</style></head><body>\n";
        head();
        leaves();
        funnel();
        histograms();
        facts();
        diversity();
        contamination();
        judges();
        cost();
        samples();
        return std::move(page_) + "</body></html>\n";
    }

private:
    static double words(const std::string& text) {
        std::size_t count = 0;
        bool inside = false;
        for (const char c : text) {
            const bool is_space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
            count += inside && is_space;
            inside = !is_space;
        }
        return static_cast<double>(count + inside);
    }
    static std::string cell(std::string_view text) { return "<td>" + formats::escape_html(text) + "</td>"; }
    static std::string count_cell(std::size_t n) { return "<td class=\"n\">" + std::to_string(n) + "</td>"; }
    static std::string real_cell(const json& of, const char* key) {
        const auto at = of.find(key);
        return "<td class=\"n\">" +
               (at != of.end() && at->is_number() ? number_text(at->get<double>()) : std::string()) + "</td>";
    }
    /// The member, or nothing to walk through.
    [[nodiscard]] static const json& part(const json& of, const char* key) {
        static const json nothing = json::object();
        const auto at = of.find(key);
        return at != of.end() && at->is_structured() ? *at : nothing;
    }
    [[nodiscard]] static std::size_t counted(const json& of, const char* key) {
        const auto at = of.find(key);
        return at != of.end() && at->is_number_unsigned() ? at->get<std::size_t>() : 0;
    }
    [[nodiscard]] const json& leaf_list() const { return manifest_["leaves"]; }
    static std::string name_of(const json& leaf) { return leaf.value("id", std::string("?")); }

    void head() {
        page_ += "<h1>Generated samples</h1>\n<p>" + std::to_string(kept_) + " samples of " +
                 std::to_string(leaf_list().size()) +
                 " leaves. Teacher: " + formats::escape_html(manifest_.value("teacher", std::string())) + ". " +
                 (manifest_.contains("judge")
                      ? "Judge: " + formats::escape_html(manifest_.value("judge", std::string())) + ". "
                      : std::string()) +
                 "lab " + formats::escape_html(manifest_.value("lab_version", std::string())) +
                 ".</p>\n<p><small>Options: <code>" +
                 formats::escape_html(formats::to_text(part(manifest_, "options"))) + "</code></small></p>\n";
        for (const auto& note : part(manifest_, "teacher_notes"))
            if (note.is_string())
                page_ += "<p class=\"short\">" + formats::escape_html(note.get<std::string>()) + "</p>\n";
    }

    /// As a tree: the part of a path that the row above has too is left out.
    void leaves() {
        page_ +=
            "<h2>Leaves</h2>\n<table><tr><th>leaf<th class=n>wanted<th class=n>generated<th><th class=n>seeds<th "
            "class=n>proposed<th>by origin</tr>\n";
        std::vector<std::string> above;
        for (const auto& leaf : leaf_list()) {
            std::vector<std::string> path;
            for (std::string_view rest = leaf["id"].get_ref<const std::string&>(); !rest.empty();) {
                const auto end = std::min(rest.find("->"), rest.size());
                path.emplace_back(rest.substr(0, end));
                rest.remove_prefix(std::min(end + 2, rest.size()));
            }
            for (std::size_t depth = 0; depth < path.size(); ++depth) {
                const bool same =
                    depth < above.size() &&
                    std::equal(path.begin(), path.begin() + static_cast<std::ptrdiff_t>(depth) + 1, above.begin());
                const bool last = depth + 1 == path.size();
                if (same && !last) continue;
                page_ += "<tr><td style=\"padding-left:" + std::to_string(depth) + "em\">" +
                         formats::escape_html(path[depth]) + "</td>";
                if (!last) {
                    page_ += "<td colspan=\"6\"></td></tr>\n";
                    continue;
                }
                const std::size_t wanted = counted(leaf, "wanted"), made = counted(leaf, "generated");
                page_ += count_cell(wanted) + count_cell(made) + "<td><span class=\"bar\" style=\"width:" +
                         std::to_string(wanted == 0 ? 0 : std::min<std::size_t>(80, 80 * made / wanted)) +
                         "px\"></span></td>" + count_cell(counted(leaf, "seeds")) +
                         count_cell(counted(leaf, "proposed")) + "<td>";
                for (const auto& [origin, n] : part(leaf, "kept_by_origin").items())
                    page_ += formats::escape_html(origin) + " " + formats::to_text(n) + " ";
                page_ += "</td></tr>\n";
                if (const auto why = leaf.value("shortfall", std::string()); !why.empty())
                    page_ +=
                        "<tr><td></td><td colspan=\"6\" class=\"short\">" + formats::escape_html(why) + "</td></tr>\n";
            }
            above = std::move(path);
        }
        page_ += "</table>\n";
    }

    /// Proposed, less what each check refused, is what was generated: the last column says where that is not so, which
    /// is where seeds were refused too.
    void funnel() {
        std::set<std::string> names;
        for (const auto& leaf : leaf_list())
            for (const auto& [check, n] : part(leaf, "refused_by").items()) names.insert(check);
        const auto checks = ordered_checks(names);
        page_ += "<h2>What became of the proposals</h2>\n<table><tr><th>leaf<th class=n>proposed";
        for (const auto& c : checks) page_ += "<th class=n>" + formats::escape_html(c);
        page_ += "<th class=n>generated<th class=n>seeds refused</tr>\n";
        std::map<std::string, std::size_t> all;
        std::size_t proposed = 0, generated = 0, of_seeds = 0;
        const auto row = [&](const std::string& name, std::size_t in, const auto& refused_by, std::size_t out,
                             std::size_t seeds) {
            page_ += "<tr>" + cell(name) + count_cell(in);
            for (const auto& c : checks) page_ += count_cell(refused_by(c));
            page_ += count_cell(out) + count_cell(seeds) + "</tr>\n";
        };
        for (const auto& leaf : leaf_list()) {
            const json& refused = part(leaf, "refused_by");
            std::size_t sum = 0;
            for (const auto& c : checks) sum += counted(refused, c.c_str()), all[c] += counted(refused, c.c_str());
            const std::size_t in = counted(leaf, "proposed"), out = counted(leaf, "generated");
            const std::size_t seeds = out + sum > in ? out + sum - in : 0;
            row(
                name_of(leaf), in, [&](const std::string& c) { return counted(refused, c.c_str()); }, out, seeds);
            proposed += in, generated += out, of_seeds += seeds;
        }
        row(
            "all", proposed, [&](const std::string& c) { return all[c]; }, generated, of_seeds);
        page_ += "</table>\n";
    }

    void histograms() {
        page_ +=
            "<h2>Scores and lengths</h2>\n<p><small><svg style=\"width:1em;height:.7em\"><rect class=kept width=20 "
            "height=20 /></svg> kept <svg style=\"width:1em;height:.7em\"><rect class=refused width=20 height=20 "
            "/></svg> refused</small></p>\n";
        for (const auto& [name, h] : scores_) page_ += histogram_svg(name, h);
        page_ +=
            histogram_svg("words of a question", question_words_) + histogram_svg("words of an answer", answer_words_);
    }

    void facts() {
        std::string rows;
        for (const auto& leaf : leaf_list()) {
            const auto at = leaf.find("facts");
            if (at == leaf.end()) continue;
            rows += "<tr>" + cell(name_of(leaf)) + count_cell(counted(*at, "facts")) +
                    count_cell(counted(*at, "covered")) + "<td>";
            for (const auto& f : part(*at, "first_without"))
                rows += formats::escape_html(f.value("text", std::string())) + " <small>" +
                        formats::escape_html(f.value("why", std::string())) + "</small><br>";
            rows += "</td></tr>\n";
        }
        if (!rows.empty())
            page_ +=
                "<h2>Facts of the documents</h2>\n<table><tr><th>leaf<th class=n>facts<th class=n>with a kept "
                "question<th>first ones without</tr>\n" +
                rows + "</table>\n";
    }

    void diversity() {
        page_ +=
            "<h2>Diversity</h2>\n<table><tr><th>leaf<th class=n>distinct-1<th class=n>distinct-2<th "
            "class=n>distinct-3<th class=n>self-BLEU<th class=n>nearest ROUGE-L</tr>\n";
        for (const auto& leaf : leaf_list()) {
            const json& d = part(leaf, "diversity");
            page_ += "<tr>" + cell(name_of(leaf));
            for (const char* key : {"distinct_1", "distinct_2", "distinct_3", "self_bleu", "nearest_rouge_l"})
                page_ += real_cell(d, key);
            page_ += "</tr>\n";
        }
        page_ += "</table>\n";
    }

    void contamination() {
        std::string rows;
        for (const auto& leaf : leaf_list()) {
            if (const json& o = part(leaf, "heldout_overlap"); !o.empty())
                rows += "<tr>" + cell(name_of(leaf)) + cell("held-out questions, compared afterwards") +
                        cell(std::to_string(counted(o, "equal")) + " ask one word for word, " +
                             std::to_string(counted(o, "near")) + " nearly so") +
                        "</tr>\n";
            for (const auto& [set, t] : part(leaf, "contamination").items())
                rows += "<tr>" + cell(name_of(leaf)) + cell(set) +
                        cell(std::to_string(counted(t, "compared")) + " compared, " +
                             std::to_string(counted(t, "refused")) + " refused") +
                        "</tr>\n";
        }
        if (!rows.empty())
            page_ += "<h2>Contamination</h2>\n<table><tr><th>leaf<th>set<th></tr>\n" + rows + "</table>\n";
    }

    /// Over all leaves, with the ROC and each kind of wrong examples; then those that were measured for one leaf.
    void judges() {
        page_ +=
            "<h2>Judges, measured on the seeds</h2>\n<table><tr><th>judge<th>leaf<th class=n>AUC<th>95 % interval<th "
            "class=n>threshold<th class=n>right kept<th class=n>wrong kept<th></tr>\n";
        for (const auto& [name, j] : part(manifest_, "judges").items()) judge_row(name, "all", j);
        for (const auto& leaf : leaf_list())
            for (const auto& [name, j] : part(leaf, "judges").items()) judge_row(name, name_of(leaf), j);
        page_ += "</table>\n";
        for (const auto& [name, j] : part(manifest_, "judges").items())
            if (const auto curve = roc_svg(name, part(j, "roc")); !curve.empty()) page_ += curve;
        std::string kinds;
        for (const auto& [name, j] : part(manifest_, "judges").items())
            for (const auto& [kind, k] : part(j, "kinds").items())
                kinds += "<tr>" + cell(name) + cell(kind) + count_cell(counted(k, "examples")) + real_cell(k, "auc") +
                         real_cell(k, "kept") + "</tr>\n";
        if (!kinds.empty())
            page_ +=
                "<table><tr><th>judge<th>what is wrong with the example<th class=n>examples<th class=n>AUC<th "
                "class=n>kept</tr>\n" +
                kinds + "</table>\n";
    }
    void judge_row(const std::string& name, const std::string& leaf, const json& j) {
        const json& interval = part(j, "auc_interval");
        page_ += "<tr>" + cell(name) + cell(leaf) + real_cell(j, "auc") + "<td>";
        if (interval.size() == 2 && interval[0].is_number() && interval[1].is_number())
            page_ += number_text(interval[0].get<double>()) + " to " + number_text(interval[1].get<double>());
        page_ += "</td>";
        for (const char* key : {"threshold", "right_kept", "wrong_kept"}) page_ += real_cell(j, key);
        page_ +=
            cell(j.value("trusted", false) ? "obeyed" : j.value("weakness", std::string("too weak to be obeyed"))) +
            "</tr>\n";
    }

    void cost() {
        for (const char* key : {"spending", "timing"})
            if (const auto at = manifest_.find(key); at != manifest_.end() && at->is_object()) {
                page_ += std::string("<h2>") + (std::string_view(key) == "timing" ? "Time" : "Cost") + "</h2>\n<table>";
                for (const auto& [name, value] : at->items())
                    page_ += "<tr>" + cell(name) +
                             cell(value.is_string() ? value.get<std::string>() : formats::to_text(value)) + "</tr>\n";
                page_ += "</table>\n";
            }
    }

    void samples() {
        page_ += "<h2>" + std::to_string(few_.drawn().size()) + " samples, drawn by the seed</h2>\n";
        for (const auto& s : few_.drawn()) {
            page_ += "<div class=\"sample\"><small>" + formats::escape_html(s.leaf) + ", " +
                     formats::escape_html(s.origin) + ", <code>" + formats::escape_html(s.id) + "</code></small>";
            for (const auto& [role, content] : s.messages)
                page_ += "<p><b>" + formats::escape_html(role) + "</b> " + formats::escape_html(content) + "</p>";
            page_ += "<small>";
            for (const auto& [name, score] : s.scores)
                page_ += formats::escape_html(name) + " " + number_text(score) + ", ";
            page_ += "<code>" + formats::escape_html(formats::to_text(s.provenance)) + "</code></small></div>\n";
        }
    }

    json manifest_;
    few_of_many<written_sample> few_;
    std::map<std::string, histogram> scores_;
    histogram question_words_, answer_words_;
    std::size_t kept_ = 0;
    std::string page_;
};

}  // namespace detail

/// The page for the run in `folder`. @throws io_error, format_error
[[nodiscard]] inline std::string html_report_of(const std::filesystem::path& folder, std::size_t samples = 20) {
    return detail::report_page(folder, samples).text();
}

}  // namespace lab::sdg
