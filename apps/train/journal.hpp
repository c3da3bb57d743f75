// What lab-train shows and keeps of a run besides checkpoints: progress on stderr, the rows of the forgetting matrix
// (one file each, so that a resumed run does not measure again), times, and the report.
#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/measure.hpp"
#include "common/progress.hpp"
#include "lab/core/file.hpp"
#include "lab/eval/report.hpp"
#include "lab/formats/jsonl.hpp"
#include "lab/train/events.hpp"

namespace lab::apps {

/// Measures each state of the model once; rows are kept in `folder`.
class matrix_keeper {
public:
    matrix_keeper(std::filesystem::path folder, bool resume) : folder_(std::move(folder)) {
        if (!resume) std::filesystem::remove_all(folder_);
    }
    /// The row of this name, measured by `measure()` unless it is kept already.
    template <class F>
    const eval::matrix_row& row(const std::string& name, F&& measure) {
        for (const auto& known : matrix.rows)
            if (known.name == name) return known;
        std::string file = std::to_string(matrix.rows.size()) + "-" + name + ".json";
        for (char& c : file)
            if (c == '/') c = '_';
        const auto path = folder_ / file;
        if (std::filesystem::exists(path)) {
            matrix.rows.push_back(
                eval::matrix_row_from(formats::parse_json(read_file(path), path.string()), path.string()));
        } else {
            std::filesystem::create_directories(folder_);
            matrix.rows.push_back(measure());
            write_file_atomically(path, formats::to_text(eval::to_json(matrix.rows.back()), 1) + "\n");
        }
        return matrix.rows.back();
    }
    eval::forgetting_matrix matrix;

private:
    std::filesystem::path folder_;
};

/// Live loss, tokens/s and time left, one line a phase.
class phase_progress {
public:
    explicit phase_progress(progress::style style) : style_(style) {}
    void begin(const train::phase_event& e) {
        if (e.skipped) return;
        tokens_ = 0;
        line_ = std::make_unique<progress>(
            "phase " + std::to_string(e.index + 1) + "/" + std::to_string(e.phases) + " " + std::string(e.name),
            e.tokens, "tokens", style_);
    }
    void step(const train::step_event& e) {
        if (!line_) return;
        tokens_ += e.tokens;
        smooth_ = e.step == 1 ? e.loss : 0.8 * smooth_ + 0.2 * e.loss;
        line_->update(tokens_, "step " + std::to_string(e.step) + "/" + std::to_string(e.steps) + ", loss " +
                                   eval::fixed(smooth_, 3));
    }
    void end() { line_.reset(); }

private:
    progress::style style_;
    std::unique_ptr<progress> line_;
    std::uint64_t tokens_ = 0;
    double smooth_ = 0;
};

/// Loss curves from a run's metrics.jsonl: one of training, one of the held-out answers.
[[nodiscard]] inline std::vector<eval::curve> loss_curves(const std::filesystem::path& metrics) {
    std::vector<eval::curve> curves{{"training", "#2b6cb0", {}}, {"held-out", "#c05621", {}}};
    formats::for_each_json_line(metrics, [&](const formats::json& line, std::size_t number) {
        const std::string place = metrics.string() + ":" + std::to_string(number);
        const auto event = formats::field<std::string>(line, "event", place);
        if (event != "step" && event != "heldout") return;
        curves[event == "heldout"].points.push_back(
            {static_cast<double>(formats::field<std::uint64_t>(line, "total_step", place)),
             formats::field<double>(line, "loss", place)});
    });
    std::erase_if(curves, [](const eval::curve& c) { return c.points.empty(); });
    return curves;
}

}  // namespace lab::apps
