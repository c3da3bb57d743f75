// Progress lines of a run: questions being asked, phases being trained.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/progress.hpp"
#include "lab/eval/report.hpp"
#include "lab/run/measure.hpp"
#include "lab/train/events.hpp"

namespace lab::apps {

/// One line for each measuring.
class measure_progress {
public:
    explicit measure_progress(progress::style style) : style_(style) {}
    void operator()(const run::measure_event& e) {
        const bool asking = e.unit == "questions";
        if (!line_)
            line_ = std::make_shared<progress>((asking ? "asking (" : "reading (") + std::string(e.row) + ")", e.total,
                                               asking ? "questions" : "windows of text", style_);
        line_->update(e.done);
        if (e.done == e.total) line_.reset();
    }

private:
    progress::style style_;
    std::shared_ptr<progress> line_;  // copies of a callback share the line
};

/// Live loss, tokens/s and time left, one line a phase.
class phase_progress {
public:
    explicit phase_progress(progress::style style) : style_(style) {}
    void begin(const train::phase_event& e) {
        if (e.skipped) return;
        tokens_ = 0;
        total_ = e.tokens;
        title_ = "phase " + std::to_string(e.index + 1) + "/" + std::to_string(e.phases) + " " + std::string(e.name);
        if (!e.compares) line_ = std::make_unique<progress>(title_, total_, "tokens", style_);
    }
    /// Before the first step of a phase of preferences, on a line of its own; the phase's time begins behind it.
    void reference(const train::reference_event& e) {
        if (e.done == 0) line_ = std::make_unique<progress>(title_ + ": reference", e.pairs, "pairs", style_);
        line_->update(e.done);
        if (e.done == e.pairs) line_ = std::make_unique<progress>(title_, total_, "tokens", style_);
    }
    void step(const train::step_event& e) {
        if (!line_) line_ = std::make_unique<progress>(title_, total_, "tokens", style_);  // resumed behind references
        tokens_ += e.tokens;
        smooth_ = e.step == 1 ? e.loss : 0.8 * smooth_ + 0.2 * e.loss;
        std::string text =
            "step " + std::to_string(e.step) + "/" + std::to_string(e.steps) + ", loss " + eval::fixed(smooth_, 3);
        if (e.rewards)
            text += ", reward of the chosen " + eval::fixed(e.rewards->chosen, 2) + ", of the rejected " +
                    eval::fixed(e.rewards->rejected, 2);
        line_->update(tokens_, text);
    }
    void end() { line_.reset(); }

private:
    progress::style style_;
    std::unique_ptr<progress> line_;
    std::string title_;
    std::uint64_t tokens_ = 0, total_ = 0;
    double smooth_ = 0;
};

}  // namespace lab::apps
