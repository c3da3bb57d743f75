// Results for people: aligned text tables for a terminal, and one self-contained HTML page (inline SVG, no scripts, no
// fetched fonts) with curves and the forgetting matrix.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lab/eval/forgetting.hpp"
#include "lab/formats/html.hpp"

namespace lab::eval {

[[nodiscard]] inline std::string fixed(double value, int decimals) {
    char text[64];
    std::snprintf(text, sizeof text, "%.*f", decimals, value);
    return text;
}
/// "0.83 [0.61, 0.94]"
[[nodiscard]] inline std::string to_text(const estimate& e, int decimals = 2) {
    return fixed(e.value, decimals) + " [" + fixed(e.low, decimals) + ", " + fixed(e.high, decimals) + "]";
}

/// Columns padded to their widest cell; the first row is the heading. Widths count UTF-8 code points.
[[nodiscard]] inline std::string table(const std::vector<std::vector<std::string>>& rows) {
    const auto width = [](const std::string& text) {
        return static_cast<std::size_t>(std::count_if(
            text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0u) != 0x80u; }));
    };
    std::vector<std::size_t> widths;
    for (const auto& row : rows)
        for (std::size_t c = 0; c < row.size(); ++c) {
            if (widths.size() <= c) widths.push_back(0);
            widths[c] = std::max(widths[c], width(row[c]));
        }
    std::string out;
    for (std::size_t r = 0; r < rows.size(); ++r) {
        std::string line;
        for (std::size_t c = 0; c < rows[r].size(); ++c)
            line += (c == 0 ? "" : "  ") + rows[r][c] + std::string(widths[c] - width(rows[r][c]), ' ');
        while (!line.empty() && line.back() == ' ') line.pop_back();
        out += line + "\n";
        if (r == 0) {
            std::size_t total = 0;
            for (const std::size_t w : widths) total += w + 2;
            out += std::string(total - 2, '-') + "\n";
        }
    }
    return out;
}

/// One line of measures.
[[nodiscard]] inline std::vector<std::string> summary_cells(const qa_summary& s) {
    return {std::to_string(s.items), to_text(s.choice_by_sum),    to_text(s.choice_by_mean), to_text(s.exact),
            to_text(s.f1),           to_text(s.log_likelihood, 1)};
}
[[nodiscard]] inline std::vector<std::string> summary_heading(std::string first) {
    return {std::move(first), "n", "choice of 4", "per token", "exact answer", "word F1", "log-likelihood"};
}

/// The questions by kind, and all together.
[[nodiscard]] inline std::string to_text(std::span<const qa_item> items) {
    std::vector<std::vector<std::string>> rows{summary_heading("questions")};
    const auto add = [&](std::string name, std::span<const qa_item> chosen) {
        std::vector<std::string> row{std::move(name)};
        for (auto& cell : summary_cells(summarise(chosen))) row.push_back(std::move(cell));
        rows.push_back(std::move(row));
    };
    for (const auto kind : replay::sample_kinds) {
        std::vector<qa_item> chosen;
        for (const qa_item& item : items)
            if (item.kind == kind) chosen.push_back(item);
        if (!chosen.empty()) add(std::string(replay::to_string(kind)), chosen);
    }
    add("all", items);
    return table(rows);
}

namespace report_detail {
struct named_measure {
    std::string_view title;
    matrix_measure measure;
    int decimals;
    bool proportion;
};
inline constexpr std::array<named_measure, 4> measures{
    {{"exact answer", &qa_summary::exact, 2, true},
     {"word F1", &qa_summary::f1, 2, true},
     {"log-likelihood of the answer", &qa_summary::log_likelihood, 1, false},
     {"choice of 4", &qa_summary::choice_by_sum, 2, true}}};

}  // namespace report_detail

/// One table per measure: rows are states of the model, columns kinds of questions; * marks where a kind was learnt.
[[nodiscard]] inline std::string to_text(const forgetting_matrix& m) {
    std::string out;
    for (const auto& [title, measure, decimals, proportion] : report_detail::measures) {
        std::vector<std::vector<std::string>> rows{{"after"}};
        for (const auto& c : m.columns) rows[0].push_back(c.name);
        for (std::size_t r = 0; r < m.rows.size(); ++r) {
            rows.push_back({m.rows[r].name});
            for (std::size_t c = 0; c < m.columns.size(); ++c)
                rows.back().push_back(to_text(m.cell(r, c).*measure, decimals) +
                                      (m.columns[c].learnt == r ? " *" : ""));
        }
        out += std::string(title) + "\n" + table(rows);
        if (const auto transfer = backward_transfer(m, measure))
            out += "change since learnt (backward transfer): " + std::string(*transfer >= 0 ? "+" : "") +
                   fixed(*transfer, decimals) + "\n";
        out += "\n";
    }
    std::vector<std::vector<std::string>> rows{{"after", "perplexity of plain text"}};
    for (const auto& row : m.rows)
        if (row.text) rows.push_back({row.name, fixed(row.text->perplexity, 2) + " +/- " + fixed(row.text->error, 2)});
    if (rows.size() > 1) out += table(rows);
    return out;
}

/// A line of a chart.
struct curve {
    std::string name, colour;
    std::vector<std::pair<double, double>> points;
};
/// A place on the x axis that has a name: where a phase begins.
struct chart_mark {
    double x = 0;
    std::string name;
};

/// A line chart as an <svg> element of 720 x 260. Points that are not finite are left out.
[[nodiscard]] inline std::string svg_chart(std::span<const curve> curves, std::string_view x_title,
                                           std::string_view y_title, std::span<const chart_mark> marks = {}) {
    constexpr double width = 720, height = 260, left = 52, right = 12, top = 24, bottom = 34;
    double x_max = 1, y_max = 0, y_min = 0;
    for (const auto& c : curves)
        for (const auto& [x, y] : c.points)
            if (std::isfinite(y)) x_max = std::max(x_max, x), y_max = std::max(y_max, y), y_min = std::min(y_min, y);
    if (y_max <= y_min) y_max = y_min + 1;
    const auto px = [&](double x) { return left + x / x_max * (width - left - right); };
    const auto py = [&](double y) { return height - bottom - (y - y_min) / (y_max - y_min) * (height - top - bottom); };
    const auto on_axis = [&](double y) {
        char text[32];
        std::snprintf(text, sizeof text, y_max >= 10 ? "%.0f" : y_max >= 0.1 ? "%.2f" : "%.1e", y);
        return std::string(text);
    };
    std::string svg = "<svg viewBox=\"0 0 720 260\" role=\"img\">\n";
    for (const auto& m : marks) {
        svg += "<line class=\"mark\" x1=\"" + fixed(px(m.x), 1) + "\" x2=\"" + fixed(px(m.x), 1) +
               "\" y1=\"24\" y2=\"226\"/><text x=\"" + fixed(px(m.x) + 4, 1) + "\" y=\"34\">" +
               formats::escape_html(m.name) + "</text>\n";
    }
    for (int i = 0; i <= 4; ++i) {
        const double y = y_min + (y_max - y_min) * i / 4, x = x_max * i / 4;
        svg +=
            "<line class=\"grid\" x1=\"52\" x2=\"708\" y1=\"" + fixed(py(y), 1) + "\" y2=\"" + fixed(py(y), 1) + "\"/>";
        svg += "<text x=\"46\" y=\"" + fixed(py(y) + 4, 1) + "\" text-anchor=\"end\">" + on_axis(y) + "</text>";
        svg += "<text x=\"" + fixed(px(x), 1) + "\" y=\"244\" text-anchor=\"middle\">" + fixed(x, 0) + "</text>\n";
    }
    double label = left;
    for (const auto& c : curves) {
        std::string points;
        for (const auto& [x, y] : c.points)
            if (std::isfinite(y)) points += fixed(px(x), 1) + "," + fixed(py(y), 1) + " ";
        svg += "<polyline fill=\"none\" stroke=\"" + formats::escape_html(c.colour) +
               "\" stroke-width=\"1.6\" points=\"" + points + "\"/>";
        svg += "<text x=\"" + fixed(label, 0) + "\" y=\"14\" fill=\"" + formats::escape_html(c.colour) + "\">" +
               formats::escape_html(c.name) + "</text>\n";
        label += 14 + 7 * static_cast<double>(c.name.size());
    }
    return svg + "<text x=\"380\" y=\"258\" text-anchor=\"middle\">" + formats::escape_html(x_title) +
           "</text><text x=\"12\" y=\"130\" transform=\"rotate(-90 12 130)\" text-anchor=\"middle\">" +
           formats::escape_html(y_title) + "</text></svg>\n";
}

/// The whole page: `body` as it is, then the matrix. Cells of proportions are shaded by their value.
[[nodiscard]] inline std::string html_report(std::string_view title, std::string_view body,
                                             const forgetting_matrix& m) {
    std::string html =
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>" + formats::escape_html(title) +
        "</title>\n<style>body{font:15px/1.5 system-ui,sans-serif;max-width:780px;margin:2em "
        "auto;padding:0 1em;color:#222}"
        "table{border-collapse:collapse;margin:.5em 0 1.5em}td,th{padding:.3em .7em;border:1px solid "
        "#ccc;text-align:left}"
        "small{color:#666}svg{width:100%}svg text{font:11px "
        "system-ui,sans-serif;fill:#444}.grid{stroke:#ddd}.mark{stroke:#999;stroke-dasharray:3}</style>\n<h1>" +
        formats::escape_html(title) + "</h1>\n";
    html += body;
    if (!m.rows.empty()) html += "<h2>What was learnt and what was forgotten</h2>\n";
    for (const auto& [name, measure, decimals, proportion] : report_detail::measures) {
        if (m.rows.empty()) break;
        html += "<h3>" + formats::escape_html(name) + "</h3>\n<table><tr><th>after</th>";
        for (const auto& c : m.columns) html += "<th>" + formats::escape_html(c.name) + "</th>";
        html += "</tr>\n";
        for (std::size_t r = 0; r < m.rows.size(); ++r) {
            html += "<tr><th>" + formats::escape_html(m.rows[r].name) + "</th>";
            for (std::size_t c = 0; c < m.columns.size(); ++c) {
                const estimate e = m.cell(r, c).*measure;
                const std::string shade =
                    proportion ? " style=\"background:rgba(60,150,90," + fixed(0.55 * e.value, 2) + ")\"" : "";
                html += "<td" + shade + ">" + fixed(e.value, decimals) + (m.columns[c].learnt == r ? "*" : "") +
                        " <small>" + fixed(e.low, decimals) + " to " + fixed(e.high, decimals) + "</small></td>";
            }
            html += "</tr>\n";
        }
        html += "</table>\n";
    }
    bool text = false;
    for (const auto& row : m.rows) text |= row.text.has_value();
    if (text) {
        html += "<h3>Perplexity of plain text</h3>\n<table>";
        for (const auto& row : m.rows)
            if (row.text)
                html += "<tr><th>" + formats::escape_html(row.name) + "</th><td>" + fixed(row.text->perplexity, 2) +
                        " <small>&plusmn; " + fixed(row.text->error, 2) + "</small></td></tr>\n";
        html += "</table>\n";
    }
    return html +
           "<p><small>* first learnt here. Intervals are 95 %: Wilson for shares, bootstrap over questions for "
           "means.</small></p></html>\n";
}

}  // namespace lab::eval
