// Blocks in a row: pipeline{{"combine", combine_columns{...}}, {"good", filter_by_value{...}}}, or read from a file
// (pipeline_file.hpp). Rows pass in batches, a block that wants the whole table waits for all of them; how they are cut
// changes no row that comes out. `drop_duplicates` looks at all rows that passed before, not only at those of a batch
// as InstructLab's threads do. What is dropped anywhere goes to a sink with block and reason.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "lab/core/sha256.hpp"
#include "lab/sdg/blocks/block.hpp"
#include "lab/taxonomy/problem.hpp"

namespace lab::sdg::blocks {

/// A block in its place: its name, and what is done to the rows behind it.
struct stage {
    std::string name;
    any_block block;
    std::vector<std::string> drop_columns{};     // those that are there
    std::vector<std::string> drop_duplicates{};  // of rows equal in these columns the first stays
};

/// What became of the rows in one stage.
struct stage_report {
    std::string name, type;
    std::size_t rows_in = 0, rows_out = 0, asked = 0;
    std::map<std::string, std::size_t> dropped{};  // by kind

    [[nodiscard]] cell to_json() const {
        return {{"block", name},        {"type", type},   {"rows_in", rows_in},
                {"rows_out", rows_out}, {"asked", asked}, {"dropped", dropped}};
    }
};

struct pipeline_report {
    std::vector<stage_report> stages;
    std::vector<std::string> notes;
    std::map<std::string, std::string> made_by{};  // column, first block that added it
};

struct pipeline {
    std::vector<stage> stages{};
    std::string name{}, sha256{};                                 // of the file, where there is one
    std::map<std::string, std::string> files{};                   // prompts and the like: name, SHA-256
    std::map<std::string, std::vector<std::string>> auxiliary{};  // datamixing's auxiliary_instructions
    std::vector<std::string> warnings{};

    pipeline() = default;
    pipeline(std::initializer_list<stage> list) : stages(list) {}
};

/// A pipeline file that cannot be used, with all its faults.
struct pipeline_error : format_error {
    explicit pipeline_error(std::vector<taxonomy::problem> list)
        : format_error(said(list)), problems(std::move(list)) {}
    std::vector<taxonomy::problem> problems;

private:
    static std::string said(const std::vector<taxonomy::problem>& list) {
        std::string text;
        for (std::size_t i = 0; i < list.size() && i < 20; ++i) text += (i == 0 ? "" : "\n") + to_text(list[i]);
        if (list.size() > 20) text += "\nand " + std::to_string(list.size() - 20) + " more";
        return text;
    }
};

/// The rows in tables of at most `most`; one empty table where there are none.
template <class Visit>
void for_each_batch(table rows, std::size_t most, Visit visit) {
    std::size_t at = 0;
    do {
        table part = rows.like();
        for (const std::size_t end = at + std::min(rows.size() - at, std::max<std::size_t>(1, most)); at < end; ++at)
            part.add(std::move(rows.rows()[at]));
        visit(std::move(part));
    } while (at < rows.size());
}

/// One run of a pipeline over rows that come batch by batch.
class pipeline_run {
public:
    using row_sink = std::function<void(table)>;

    /// All but `teachers` must outlive the run. @param after_answers called whenever the teacher has answered; may
    /// throw
    pipeline_run(const pipeline& p, teacher_set teachers, const run_options& options, row_sink rows,
                 block_run::drop_sink dropped, block_run::watch after_answers = {})
        : pipeline_(p),
          options_(options),
          rows_(std::move(rows)),
          dropped_(std::move(dropped)),
          run_(
              std::move(teachers), options, [this](dropped_row d) { drop(std::move(d)); }, std::move(after_answers)),
          places_(p.stages.size()) {
        for (const auto& s : p.stages) report_.stages.push_back({s.name, std::string(s.block.type())});
    }
    pipeline_run(const pipeline_run&) = delete;
    pipeline_run& operator=(const pipeline_run&) = delete;

    /// Sends an empty table of these columns through all blocks: a column that a block needs and nobody makes is found
    /// before the teacher is asked anything. @throws config_error naming the block
    void check(const std::vector<std::string>& columns) {
        table rows(columns);
        for (std::size_t s = 0; s < pipeline_.stages.size(); ++s) rows = apply(s, std::move(rows));
    }
    /// @throws config_error naming the block; io_error when the teacher is gone
    void push(table rows) { pass(0, std::move(rows)); }
    /// Everything has been pushed: what waited for all rows goes on. The report is complete then.
    pipeline_report finish() {
        for (std::size_t s = 0; s < places_.size(); ++s) {
            if (!places_[s].waiting) continue;
            table all = apply(s, std::move(places_[s].held));
            places_[s].waiting = false;
            for_each_batch(std::move(all), options_.batch_rows, [&](table part) { pass(s + 1, std::move(part)); });
        }
        report_.notes.assign(run_.notes().begin(), run_.notes().end());
        return report_;
    }

private:
    struct place {
        table held;  // rows that wait for the others
        bool waiting = false;
        std::unordered_set<std::string> seen;  // digests of what drop_duplicates compares
    };

    void pass(std::size_t s, table rows) {
        for (; s < pipeline_.stages.size(); ++s) {
            if (pipeline_.stages[s].block.whole_table()) {
                if (places_[s].waiting)
                    places_[s].held.append(std::move(rows));
                else
                    places_[s].held = std::move(rows);
                places_[s].waiting = true;
                return;
            }
            rows = apply(s, std::move(rows));
        }
        rows_(std::move(rows));
    }

    table apply(std::size_t s, table rows) {
        const stage& now = pipeline_.stages[s];
        current_ = s;
        auto& report = report_.stages[s];
        report.rows_in += rows.size();
        const std::size_t asked = run_.asked();
        const std::vector<std::string> before = rows.columns();
        run_.enter(now.name);
        try {
            rows = now.block(run_, std::move(rows));
            for (const auto& column : rows.columns())
                if (std::find(before.begin(), before.end(), column) == before.end())
                    report_.made_by.try_emplace(column, now.name);
            rows.drop_columns(now.drop_columns);
            if (!now.drop_duplicates.empty()) rows = without_duplicates(now, places_[s].seen, std::move(rows));
        } catch (const config_error& fault) {
            throw config_error(explain((pipeline_.name.empty() ? "" : pipeline_.name + ": ") + "block " +
                                           formats::quote(now.name) + " (" + std::string(now.block.type()) + ")",
                                       fault.what()));
        }
        report.rows_out += rows.size();
        report.asked += run_.asked() - asked;
        return rows;
    }

    table without_duplicates(const stage& now, std::unordered_set<std::string>& seen, table rows) {
        std::vector<std::size_t> columns;
        std::string names;
        for (const auto& name : now.drop_duplicates) {
            columns.push_back(rows.at(name));
            names += (names.empty() ? "" : ", ") + name;
        }
        table out = rows.like();
        for (auto& r : rows.rows()) {
            cell key = cell::array();
            for (const std::size_t c : columns) key.push_back(r.cells[c]);
            if (seen.insert(sha256_hex(key.dump(-1, ' ', false, cell::error_handler_t::replace)).substr(0, 32)).second)
                out.add(std::move(r));
            else
                run_.drop(rows, r, "duplicate", names + " was the same in an earlier row");
        }
        return out;
    }

    void drop(dropped_row d) {
        ++report_.stages[current_].dropped[d.kind];
        if (dropped_) dropped_(std::move(d));
    }

    const pipeline& pipeline_;
    const run_options& options_;
    row_sink rows_;
    block_run::drop_sink dropped_;
    block_run run_;
    std::vector<place> places_;
    pipeline_report report_;
    std::size_t current_ = 0;
};

struct pipeline_result {
    table rows;
    std::vector<dropped_row> dropped;
    pipeline_report report;
};

/// All rows at once, everything in memory.
[[nodiscard]] inline pipeline_result run_pipeline(const pipeline& p, table rows, teacher_set teachers,
                                                  const run_options& options = {},
                                                  block_run::watch after_answers = {}) {
    pipeline_result result;
    bool first = true;
    pipeline_run run(
        p, std::move(teachers), options,
        [&](table made) {
            if (std::exchange(first, false))
                result.rows = std::move(made);
            else
                result.rows.append(std::move(made));
        },
        [&](dropped_row d) { result.dropped.push_back(std::move(d)); }, std::move(after_answers));
    run.check(rows.columns());
    for_each_batch(std::move(rows), options.batch_rows, [&](table part) { run.push(std::move(part)); });
    result.report = run.finish();
    return result;
}

}  // namespace lab::sdg::blocks
