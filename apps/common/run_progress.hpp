// Progress lines of questions being asked.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/progress.hpp"
#include "lab/run/measure.hpp"

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

}  // namespace lab::apps
