// LAB from end to end: taxonomy, teacher, phases and replay in; `execute(student, out)` asks the untouched model,
// generates into out/data, trains into out/run and measures after every phase. Called again it goes on where it was
// stopped or killed and ends in the same bytes; when leaves were added or changed it generates what is missing for
// them, leaves every other sample as it is, and trains anew from the base.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "lab/core/file.hpp"
#include "lab/core/folder.hpp"
#include "lab/run/model_digest.hpp"
#include "lab/run/teacher_source.hpp"
#include "lab/run/train_run.hpp"
#include "lab/sdg/fact_table.hpp"
#include "lab/sdg/leaf_store.hpp"
#include "lab/sdg/run_report.hpp"
#include "lab/sdg/run_writer.hpp"
#include "lab/taxonomy/load.hpp"

namespace lab::run {

struct lab_run_options {
    sdg::pipeline_options generation{};
    train_run_options training{};      // model, data, out, phases and resumption are the run's own
    std::filesystem::path taxonomy{};  // where the tree was read: manifests name files below it
    sdg::budget budget{};              // of one generation's answers; when it ends, leaves fail
    bool keep_going = false;           // train without the samples of leaves that failed
};

/// What generation made, for a report: counts and summaries; the samples are in the files.
struct generated_event {
    const sdg::run_result& run;
    sdg::fact_score facts;
    std::map<std::string, sdg::overlap_report> overlap;
};

/// The training's events, and what surrounds it. All optional.
struct lab_listener : listener {
    std::function<void(std::size_t missing, std::size_t leaves)> generating{};
    std::function<void(const sdg::run_progress&)> generation{};
    std::function<void(const generated_event&)> generated{};
};

struct lab_run_result {
    bool finished = false;   // false: `stop` was heard
    bool generated = false;  // something was left to generate
    bool trained = false;    // something was left to train
    eval::forgetting_matrix matrix{};
    formats::json manifest{};  // of the training, also where it was finished before
};

template <replay::ReplayBuffer Buffer = replay::any_buffer>
class lab_run {
public:
    /// Any buffer, unless another Buffer is named. Its own settings must follow from its name and
    /// `options.training.trainer.seed` to be told apart by a later call.
    lab_run(taxonomy::tree tree, teacher_source teacher, std::vector<replay::phase> phases,
            std::type_identity_t<Buffer> buffer, lab_run_options options)
        : tree_(std::move(tree)),
          teacher_(std::move(teacher)),
          buffer_(std::move(buffer)),
          options_(std::move(options)) {
        options_.training.phases = std::move(phases);
        if (tree_.leaves.empty()) throw config_error("the taxonomy has no leaf to learn");
    }

    /// @throws io_error, format_error, config_error as the parts do
    [[nodiscard]] lab_run_result execute(const std::filesystem::path& student, const std::filesystem::path& out,
                                         const lab_listener& on = {});

private:
    using json = formats::json;

    [[nodiscard]] static bool stopped(const lab_listener& on) { return on.stop && on.stop(); }

    /// Everything the untouched model's answers depend on.
    [[nodiscard]] static std::string base_key(const train_run_options& t) {
        json key{{"model", model_digest(t.model)}, {"format", t.format}, {"phrasings", t.phrasings}};
        if (!t.heldout.empty()) key["questions"] = to_json(eval::read_questions(t.heldout));
        if (!t.text.empty()) key["text"] = sha256_of_file(t.text);
        if (t.base_type) key["base"] = name_of(*t.base_type);
        if (!t.adapter.empty()) key["adapter"] = model_digest(t.adapter);
        return sha256_hex(formats::to_text(key));
    }
    /// Everything the trained model and its measuring depend on; threads and checkpoints' times do not matter.
    [[nodiscard]] std::string training_key(const train_run_options& t, const std::string& base) const {
        json key{{"base", base},
                 {"samples", sha256_of_file(t.data)},
                 {"phases", replay::to_json(t.phases)},
                 {"max_tokens", t.encode.max_tokens},
                 {"split", t.encode.too_long == replay::over_long::split},
                 {"update", train::optimizer_update(t.update, {}).describe()},
                 {"seed", t.trainer.seed},
                 {"micro_batch", t.trainer.micro_batch_tokens},
                 {"short_tokens", t.trainer.buckets.short_tokens},
                 {"heldout_every", t.trainer.heldout_every},
                 {"compute", name_of(t.compute)},
                 {"type", name_of(t.type)}};
        if (const auto policy = replay::policy_of(buffer_); policy != replay::stratified::name) key["replay"] = policy;
        if (t.lora) {
            key["lora"] = train_run_detail::lora_json(*t.lora);
            key["lora"]["beside"] = t.base_type ? name_of(*t.base_type) : "";
            key["lora"]["from"] = t.adapter.empty() ? "" : model_digest(t.adapter);
        }
        if (auto more = train::further_settings(t.trainer); !more.is_null()) key["settings"] = std::move(more);
        if (!t.best_by.empty()) key["best_by"] = t.best_by;
        if (t.self_replay != 0) key["self_replay"] = t.self_replay;
        if (!t.preferences.empty()) key["preferences"] = sha256_of_file(t.preferences);
        if (t.trainer.shards != 0) key["shards"] = t.trainer.shards;
        return sha256_hex(formats::to_text(key));
    }

    [[nodiscard]] static json read_state(const std::filesystem::path& folder) {
        const auto path = folder / "state.json";
        return std::filesystem::exists(path) ? formats::parse_json(read_file(path), path.string()) : json::object();
    }
    static void write_state(const std::filesystem::path& folder, const std::string& base, const std::string& training) {
        write_file_atomically(folder / "state.json",
                              formats::to_text({{"base", base}, {"training", training}}, 1) + "\n");
    }
    /// Removes what a training left; the untouched model's answers only unless they are still its own.
    static void forget_training(const std::filesystem::path& folder, bool keep_untouched) {
        namespace fs = std::filesystem;
        for (const char* name : {"manifest.json", "forgetting.json", "report.html", "metrics.jsonl"})
            fs::remove(folder / name);
        fs::remove_all(folder / "checkpoints");
        fs::remove_all(folder / "adapter");
        forget_rows(folder / "eval", keep_untouched);
    }
    /// The manifest of a training whose files are all there.
    [[nodiscard]] static std::optional<json> finished(const std::filesystem::path& folder) {
        const auto path = folder / "manifest.json";
        if (!std::filesystem::exists(path)) return std::nullopt;
        json manifest = formats::parse_json(read_file(path), path.string());
        const auto files = formats::field<json>(manifest, "sha256", path.string());
        for (const auto& [name, digest] : files.items())
            if (!std::filesystem::exists(folder / name)) return std::nullopt;
        return manifest;
    }

    [[nodiscard]] bool measure_untouched(const train_run_options& t, const lab_listener& on) const {
        if (t.heldout.empty()) return true;
        try {
            const auto row = measure_base(t, on);
            if (on.row) on.row(row);
        } catch (const stop_heard&) {
            return false;
        }
        return true;
    }

    /// @param something whether anything was missing @return false: `stop` was heard
    [[nodiscard]] bool generate(const std::filesystem::path& folder, const lab_listener& on, bool& something) const;

    taxonomy::tree tree_;
    teacher_source teacher_;
    Buffer buffer_;
    lab_run_options options_;
};

template <replay::ReplayBuffer Buffer>
lab_run_result lab_run<Buffer>::execute(const std::filesystem::path& student, const std::filesystem::path& out,
                                        const lab_listener& on) {
    train_run_options t = options_.training;
    t.model = student;
    t.data = out / "data" / "samples.jsonl";
    t.out = out / "run";
    t.trainer.resume = true;
    t.encode.max_tokens = longest_sample(t.model, t.encode.max_tokens);
    const folder_lock alone(out);
    make_folder(out / "data");
    make_folder(t.out);
    lab_run_result result;
    const std::string base = base_key(t);
    const auto state = read_state(t.out);
    if (state.value("base", "") != base) {
        forget_training(t.out, false);
        write_state(t.out, base, "");
    }
    if (!measure_untouched(t, on)) return result;
    if (!generate(out / "data", on, result.generated)) return result;

    const std::string key = training_key(t, base);
    const std::string before = read_state(t.out).value("training", "");
    if (before == key)
        if (const auto manifest = finished(t.out)) {
            result.finished = true;
            result.manifest = *manifest;
            if (std::filesystem::exists(t.out / "forgetting.json")) result.matrix = stored_matrix(t.out);
            return result;
        }
    if (before != key) {
        if (!before.empty() && on.notice)
            on.notice(
                "the samples or the settings are not those of the earlier training: training anew from the "
                "base, over all samples");
        forget_training(t.out, true);
        write_state(t.out, base, key);
    }
    result.trained = true;
    const auto trained = train_run(t, buffer_, on);
    result.finished = trained.finished;
    result.matrix = trained.matrix;
    result.manifest = trained.manifest;
    return result;
}

template <replay::ReplayBuffer Buffer>
bool lab_run<Buffer>::generate(const std::filesystem::path& folder, const lab_listener& on, bool& something) const {
    const sdg::leaf_store store(folder);
    std::vector<std::string> keys;
    for (const auto& leaf : tree_.leaves) keys.push_back(sdg::leaf_key(leaf, options_.generation, teacher_.key));
    if (store.complete(keys)) return true;
    something = true;
    const auto missing = static_cast<std::size_t>(
        std::count_if(keys.begin(), keys.end(), [&](const std::string& key) { return !store.contains(key); }));
    if (on.generating) on.generating(missing, tree_.leaves.size());
    sdg::journal journal(folder / "journal.jsonl");
    auto opened = teacher_.open();
    sdg::ledger accounts{.limit = options_.budget};
    sdg::within_context limited(opened.teacher, opened.context, tree_.leaves);
    sdg::any_teacher asked(sdg::journaled(limited, journal, &accounts));
    try {
        sdg::run_writer files(folder, options_.generation);
        sdg::leaf_store::writer stored(store, keys);
        const auto run = sdg::generate(
            tree_.leaves, asked, options_.generation, opened.count,
            [&](const sdg::run_progress& p) {
                if (on.generation) on.generation(p);
                return !stopped(on);
            },
            store.known(tree_.leaves, keys), nullptr,
            [&](const sdg::leaf_result& r, const sdg::run_result& so_far) {
                files.add(r, so_far.teacher);
                stored.add(r, so_far);
            });
        // The examination's questions are read only now that nothing can be generated any more.
        auto overlap = sdg::heldout_overlap(run, files.kept());
        auto facts = sdg::score_facts(run, files.kept());
        files.finish(run, options_.taxonomy, overlap);
        write_file_atomically(folder / "report.html", sdg::html_report_of(folder));
        stored.finish();
        if (on.generated) on.generated({run, std::move(facts), std::move(overlap)});
        if (!options_.keep_going)
            for (const auto& s : run.summaries)
                if (!s.failure.empty())
                    throw error(explain(s.leaf->id, "the work on it failed: " + s.failure,
                                        "the samples of the others are kept; the same command tries it again"));
    } catch (const error&) {
        if (!stopped(on)) throw;
        return false;
    }
    return true;
}

#ifdef LAB_COMPILED  // lab::generator has it
extern template class lab_run<replay::any_buffer>;
#endif

}  // namespace lab::run
