// The forgetting matrix: one row per state of the model (untouched, then after each phase), one column per kind of
// held-out question, and the perplexity of plain text for what the base model could do. Backward transfer as Lopez-Paz
// & Ranzato (arXiv 1706.08840) define it: R_last,j - R_learnt(j),j averaged over the columns learnt before the last
// row.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/eval/perplexity.hpp"
#include "lab/eval/qa.hpp"
#include "lab/replay/plan.hpp"

namespace lab::eval {

struct matrix_row {
    std::string name;            // "untouched", or the phase after which it was measured
    std::vector<qa_item> items;  // of all questions, in the same order in every row
    std::optional<perplexity_result> text{};
};

struct matrix_column {
    std::string name;
    replay::sample_kind kind = replay::sample_kind::knowledge;
    std::optional<std::size_t> learnt{};  // the row after which it had been trained for the first time
};

struct forgetting_matrix {
    std::vector<matrix_row> rows;
    std::vector<matrix_column> columns;

    [[nodiscard]] qa_summary cell(std::size_t row, std::size_t column) const {
        std::vector<qa_item> chosen;
        for (const qa_item& item : rows.at(row).items)
            if (item.kind == columns.at(column).kind) chosen.push_back(item);
        return summarise(chosen);
    }
};

/// Which number of a cell is looked at.
using matrix_measure = estimate qa_summary::*;

/// The columns of a plan: the kinds that questions ask for, with the row (0 is the untouched model, phase i makes row
/// i + 1; skipped phases make none) after which each had been learnt for the first time.
template <class Samples>
[[nodiscard]] std::vector<matrix_column> columns_of(std::span<const question> questions,
                                                    std::span<const replay::phase_plan> plans, const Samples& samples) {
    std::vector<matrix_column> columns;
    for (const auto kind : replay::sample_kinds) {
        bool asked = false;
        for (const question& q : questions) asked |= q.kind == kind;
        if (!asked) continue;
        matrix_column column{std::string(replay::to_string(kind)), kind, {}};
        std::size_t row = 0;
        for (const auto& plan : plans) {
            if (plan.skipped()) continue;
            ++row;
            for (const std::size_t i : plan.own)
                if (samples[i].kind == kind && !column.learnt && !plan.options.compares()) column.learnt = row;
        }
        columns.push_back(std::move(column));
    }
    return columns;
}

/// Mean change since learning; nothing where no column was learnt before the last row. Negative: forgotten.
[[nodiscard]] inline std::optional<double> backward_transfer(const forgetting_matrix& m, matrix_measure measure) {
    if (m.rows.size() < 3) return std::nullopt;
    const std::size_t last = m.rows.size() - 1;
    double sum = 0;
    std::size_t count = 0;
    for (std::size_t c = 0; c < m.columns.size(); ++c) {
        if (!m.columns[c].learnt || *m.columns[c].learnt >= last) continue;
        sum += (m.cell(last, c).*measure).value - (m.cell(*m.columns[c].learnt, c).*measure).value;
        ++count;
    }
    if (count == 0) return std::nullopt;
    return sum / static_cast<double>(count);
}

[[nodiscard]] inline formats::json to_json(const perplexity_result& p) {
    return {{"perplexity", p.perplexity}, {"error", p.error},   {"mean_loss", p.mean_loss},
            {"loss_error", p.loss_error}, {"tokens", p.tokens}, {"windows", p.windows}};
}

/// A row by itself, as a run stores it after each phase.
[[nodiscard]] inline formats::json to_json(const matrix_row& row) {
    formats::json items = formats::json::array();
    for (const qa_item& item : row.items) items.push_back(to_json(item));
    return {{"name", row.name}, {"items", items}, {"text", row.text ? to_json(*row.text) : formats::json()}};
}
/// @throws format_error naming place and field.
[[nodiscard]] inline matrix_row matrix_row_from(const formats::json& j, const std::string& place) {
    matrix_row row;
    row.name = formats::field<std::string>(j, "name", place);
    const auto items = formats::field<std::vector<formats::json>>(j, "items", place);
    for (std::size_t i = 0; i < items.size(); ++i)
        row.items.push_back(qa_item_from(items[i], place + ": items[" + std::to_string(i) + "]"));
    if (const auto t = formats::optional_field<formats::json>(j, "text", place)) {
        const auto number = [&](const char* name) {
            return formats::field<double>(*t, name, place + ": field 'text'");
        };
        row.text = perplexity_result{number("perplexity"),
                                     number("error"),
                                     number("mean_loss"),
                                     number("loss_error"),
                                     formats::field<std::size_t>(*t, "tokens", place),
                                     formats::field<std::size_t>(*t, "windows", place)};
    }
    return row;
}

/// The whole matrix with its intervals, without the single items.
[[nodiscard]] inline formats::json to_json(const forgetting_matrix& m) {
    formats::json rows = formats::json::array(), columns = formats::json::array();
    for (const auto& c : m.columns)
        columns.push_back(
            {{"name", c.name}, {"learnt_after_row", c.learnt ? formats::json(*c.learnt) : formats::json()}});
    for (std::size_t r = 0; r < m.rows.size(); ++r) {
        formats::json cells = formats::json::object();
        for (std::size_t c = 0; c < m.columns.size(); ++c) cells[m.columns[c].name] = to_json(m.cell(r, c));
        rows.push_back({{"name", m.rows[r].name},
                        {"cells", cells},
                        {"text", m.rows[r].text ? to_json(*m.rows[r].text) : formats::json()}});
    }
    const auto transfer = [&](matrix_measure measure) {
        const auto value = backward_transfer(m, measure);
        return value ? formats::json(*value) : formats::json();
    };
    return {{"columns", columns},
            {"rows", rows},
            {"backward_transfer",
             {{"choice_by_sum", transfer(&qa_summary::choice_by_sum)},
              {"exact", transfer(&qa_summary::exact)},
              {"f1", transfer(&qa_summary::f1)},
              {"log_likelihood", transfer(&qa_summary::log_likelihood)}}}};
}

}  // namespace lab::eval
