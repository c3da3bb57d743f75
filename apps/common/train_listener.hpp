// What a training tells people while it runs, the same in every app that trains.
#pragma once

#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "common/run_progress.hpp"
#include "common/stop.hpp"
#include "common/training_view.hpp"
#include "lab/run/train_run.hpp"

namespace lab::apps {

/// Fills in a listener: progress and notices on standard error (nothing where `quiet`), and signals as `stop`.
inline void show_training(run::listener& on, const run::train_run_options& o, bool quiet) {
    const auto style = quiet ? progress::style::quiet : progress::style::automatic;
    const auto view = std::make_shared<training_view>(quiet);
    const auto say = [view](const std::string& line) { view->say(line); };
    const auto made_up = std::make_shared<std::unique_ptr<progress>>();
    on.made_up = [made_up, style](std::size_t done, std::size_t wanted) {
        if (!*made_up)
            *made_up = std::make_unique<progress>("the model makes up conversations", wanted, "conversations", style);
        (*made_up)->update(done);
    };
    on.data = [say, made_up](const replay::encoded_dataset& data) {
        made_up->reset();
        std::vector<std::vector<std::string>> rows{{"leaf", "samples", "tokens", "learnt", "longest", "dropped"}};
        for (const auto& [leaf, r] : data.leaves)
            rows.push_back({leaf.empty() ? "(no leaf)" : leaf, std::to_string(r.kept + r.split),
                            std::to_string(r.tokens), std::to_string(r.trained_tokens), std::to_string(r.longest),
                            std::to_string(r.dropped)});
        say(eval::table(rows));
    };
    const bool bf16 = o.compute == compute::bf16;
    on.loaded = [=, processes = o.trainer.ranks.size()](const nn::any_model& model, const run::student& who) {
        std::string line = model.info().family + " with " + std::to_string(model.parameter_count() / 1000000) +
                           " million parameters, chat format " + who.format.name();
        if (model.lora() != nullptr)
            line += ", adapters of rank " + std::to_string(model.lora()->rank) + " with " +
                    std::to_string(model.adapter_parameter_count()) + " parameters";
        for (const auto& token : who.added) line += (token == who.added.front() ? ", new tokens " : " ") + token;
        say(line);
        view->loaded(model, bf16, processes);
    };
    on.measured = measure_progress(style);
    on.phase_begin = [view](const train::phase_event& e) { view->phase_begin(e); };
    on.reference = [view](const train::reference_event& e) { view->reference(e); };
    on.step = [view](const train::step_event& e) { view->step(e); };
    on.heldout = [view](const train::heldout_event& e) { view->heldout(e); };
    on.checkpoint = [view](const std::string&) { view->checkpoint(); };
    on.phase_end = [view](const train::phase_event&) { view->phase_end(); };
    on.notice = say;
    on.skipped = [say](const train::skipped_event& e) {
        std::ostringstream line;
        line << "step " << e.step << " of phase '" << e.phase << "' is passed over: " << e.why << " (loss " << e.loss
             << ", median " << e.median_loss << "; norm " << e.gradient_norm << ", median " << e.median_norm << ")";
        say(line.str());
    };
    on.regression = [say](const train::regression_event& e) {
        std::ostringstream line;
        line << "after phase '" << e.phase << "' the held-out loss of '" << e.earlier << "' is " << e.now << ", it was "
             << e.before << (e.worse ? ": FORGETTING" : "");
        say(line.str());
    };
    on.saving = [say] { say("writing the model as a safetensors folder and as GGUF"); };
    on.stop = stop_asked;
}

}  // namespace lab::apps
