// What a training tells people while it runs, the same in every app that trains.
#pragma once

#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "common/run_progress.hpp"
#include "common/stop.hpp"
#include "lab/run/train_run.hpp"

namespace lab::apps {

/// Fills in a listener: progress and notices on standard error (nothing where `quiet`), and signals as `stop`.
inline void show_training(run::listener& on, bool quiet) {
    const auto style = quiet ? progress::style::quiet : progress::style::automatic;
    const auto say = [quiet](const std::string& line) {
        if (!quiet) std::cerr << line << '\n';
    };
    const auto phases = std::make_shared<phase_progress>(style);
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
    on.loaded = [say](const nn::any_model& model, const run::student& who) {
        std::string line = model.info().family + " with " + std::to_string(model.parameter_count() / 1000000) +
                           " million parameters, chat format " + who.format.name();
        if (model.lora() != nullptr)
            line += ", adapters of rank " + std::to_string(model.lora()->rank) + " with " +
                    std::to_string(model.adapter_parameter_count()) + " parameters";
        for (const auto& token : who.added) line += (token == who.added.front() ? ", new tokens " : " ") + token;
        say(line);
    };
    on.measured = measure_progress(style);
    on.phase_begin = [phases](const train::phase_event& e) { phases->begin(e); };
    on.reference = [phases](const train::reference_event& e) { phases->reference(e); };
    on.step = [phases](const train::step_event& e) { phases->step(e); };
    on.phase_end = [phases](const train::phase_event&) { phases->end(); };
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
