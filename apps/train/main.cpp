// lab-train: messages JSON Lines or plain text -> samples -> phases with replay -> checkpoints -> safetensors folder
// and GGUF.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <optional>
#include <utility>

#include "common/train_listener.hpp"
#include "estimate_text.hpp"
#include "lab/core/folder.hpp"
#include "lab/nn/create.hpp"
#include "lab/nn/load.hpp"
#include "lab/tokenizer/load.hpp"
#include "options.hpp"
#include "ranks.hpp"

namespace {

using namespace lab;

/// What only the tokenizer of --tokenizer can say: the vocabulary of --shape, and that conversations are in ChatML
/// unless the tokenizer or --format names a format.
void complete_start(apps::train_options& o) {
    const auto vocabulary = tokenizer::load_vocabulary(o.fresh->tokenizer);
    o.fresh->dims.vocab = vocabulary.texts.size();
    if (o.run.format.empty() && vocabulary.chat_template.empty() && run::needs_chat_format(o.run))
        o.run.format = "chatml";
}

/// Makes the model that --shape asks for. One that a run began with, and is to go on with, is left as it is.
void make_start(const apps::train_options& o) {
    o.run.trainer.ranks.together([&] {
        if (!o.run.trainer.ranks.first()) return;
        const folder_lock alone(o.run.out);  // another run's beginning is not overwritten
        if (o.run.trainer.resume && run::has_checkpoints(o.run.out)) {
            if (nn::load_model(o.run.model, {.threads = 1, .pack = false}).dims() != o.fresh->dims)
                throw config_error(explain(o.run.model.string(), "the run began with a model of another shape",
                                           "resume with its --shape and --tokenizer, or name another --out"));
        } else {
            nn::create_model(
                o.run.model, o.fresh->dims, o.fresh->tokenizer,
                {.seed = o.run.trainer.seed, .context = std::max<std::size_t>(2048, o.run.encode.max_tokens)});
        }
    });
}

/// What an estimate looks at, where --shape asks for a model that is yet to be made: its sizes and its tokenizer.
std::pair<run::train_run_options, std::optional<nn::runtime_dims>> planned(const apps::train_options& o) {
    auto what = o.run;
    if (!o.fresh) return {what, std::nullopt};
    what.model = o.fresh->tokenizer;
    return {what, o.fresh->dims};
}

/// Another run's work is not thrown away unasked.
void require_free_folder(const apps::train_options& o) {
    if (o.estimate || o.afresh || o.run.trainer.resume || !o.run.trainer.ranks.first()) return;
    if (run::holds_unfinished_run(o.run.out))
        throw config_error(explain(o.run.out.string(), "holds checkpoints of a run that has not finished",
                                   "--resume goes on with it, --fresh begins anew and removes them"));
}

/// Says before anything runs that it would not fit, instead of being killed for it later.
void require_memory(const apps::train_options& o) {
    if (o.run.lora || o.ignore_memory) return;
    const auto [what, shape] = planned(o);
    if (const auto need = run::least_memory(what, shape); !need.fits())
        throw config_error("this run does not fit: at least " + apps::shortage_text(need, o.run) +
                           "\n--estimate tells more, --ignore-memory runs all the same");
}

int train_with(const apps::train_options& o) {
    require_memory(o);
    if (o.fresh) make_start(o);
    run::listener on;
    const bool first = o.run.trainer.ranks.first();
    if (first)
        apps::show_training(on, o.run, o.json);
    else
        on.stop = apps::stop_asked;
    // Until the data are read there is nothing to lose, and nobody who asks whether to stop: signals end the process.
    on.data = [shown = std::move(on.data)](const replay::encoded_dataset& data) {
        apps::listen_for_stop();
        if (shown) shown(data);
    };
    const auto began = std::chrono::steady_clock::now();
    const auto result = run::train_run(o.run, o.buffer, on);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    on = {};  // ends the progress lines
    if (!result.finished) {
        if (!first) return apps::stopped_exit_code();
        std::cerr << "Stopped after " << result.steps << " steps, nothing is lost: the same command with --resume "
                  << "goes on from there.\n";
        if (const auto report = o.run.out / "report.html"; std::filesystem::exists(report))
            std::cerr << "Report so far: " << report.string() << '\n';
        return apps::stopped_exit_code();
    }
    if (!first) return 0;
    if (o.json) {
        formats::json all = result.manifest;
        all["seconds"] = seconds;
        if (!result.matrix.rows.empty()) all["forgetting"] = eval::to_json(result.matrix);
        std::cout << formats::to_text(all) << '\n';
        return 0;
    }
    if (!result.matrix.rows.empty()) std::cout << eval::to_text(result.matrix) << '\n';
    for (const auto& [name, digest] : result.manifest["sha256"].items())
        std::cout << digest.get<std::string>() << "  " << (o.run.out / name).string() << '\n';
    std::cout << "Trained " << result.tokens << " tokens in " << result.steps << " steps, "
              << apps::duration_text(seconds) << " in all. Report: " << (o.run.out / "report.html").string()
              << "\nTalk to it: lab-chat --model " << (o.run.out / "model.gguf").string()
              << (result.manifest["chat_format"] == "none" ? " --continue" : "") << '\n';
    return 0;
}

/// 1 where it would not fit.
int estimate_of(const apps::train_options& o) {
    const auto [what, shape] = planned(o);
    const auto estimate = run::estimate_training(what, o.buffer, shape);
    if (o.json)
        std::cout << formats::to_text(run::to_json(estimate)) << '\n';
    else
        apps::show_estimate(estimate, o.run, std::cout);
    return estimate.fits() || !o.run.trainer.ranks.first() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    return lab::apps::run_on_ranks("lab-train", [&](const lab::apps::rank_place& place) {
        auto options = lab::apps::parse_train_options(argc, argv);
        if (!options) return 0;
        options->run.trainer.ranks = place.ranks;
        if (options->run.threads == 0) options->run.threads = place.threads;
        options->run.processes_here = place.here;
        require_free_folder(*options);
        if (options->fresh) complete_start(*options);
        return options->estimate ? estimate_of(*options) : train_with(*options);
    });
}
