// Phased training with replay, resumable to the byte. The state of a run is its position (phase, step), the parameters
// and, inside a phase, the optimizer's; everything else (orders, replay draws, packing) is recomputed from the seed.
// Each phase starts its optimizer and warm-up afresh. Metrics are deterministic; time enters only through `clock`.
// Several ranks make the same run together: all of them decide the same, the first alone writes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/formats/json.hpp"
#include "lab/nn/training_settings.hpp"
#include "lab/optim/stochastic_rounding.hpp"
#include "lab/replay/buffer.hpp"
#include "lab/replay/packing.hpp"
#include "lab/replay/plan.hpp"
#include "lab/train/checkpoint.hpp"
#include "lab/train/events.hpp"
#include "lab/train/guard.hpp"
#include "lab/train/heldout.hpp"
#include "lab/train/identity.hpp"
#include "lab/train/learning_rate.hpp"
#include "lab/train/metrics.hpp"
#include "lab/train/phase_result.hpp"
#include "lab/train/preference.hpp"
#include "lab/train/ranks.hpp"
#include "lab/train/step.hpp"
#include "lab/train/trainer_options.hpp"
#include "lab/train/update.hpp"
#include "lab/train/xxh64.hpp"

namespace lab::train {

template <Trainable Model, ParameterUpdate Update, replay::ReplayBuffer Buffer = replay::stratified>
class trainer {
public:
    /// @throws config_error where plan and samples do not fit.
    trainer(Model& model, Update update, std::vector<replay::training_sample> samples,
            std::vector<replay::phase> phases, Buffer buffer, trainer_options options)
        : model_(model),
          update_(std::move(update)),
          samples_(std::move(samples)),
          phases_(std::move(phases)),
          buffer_(std::move(buffer)),
          options_(std::move(options)),
          guard_(options_.guard),
          result_(options_.result),
          watch_(options_.watch, options_.result.kind == phase_result::best),
          shards_(options_.ranks, options_.shards),
          plans_(replay::bind_phases(samples_, phases_, options_.buckets)) {
        for (std::size_t p = 0; p < plans_.size(); ++p) {
            sizes_.push_back(measure(p));
            total_steps_ += sizes_[p].steps;
            total_tokens_ += sizes_[p].tokens;
        }
        if (follows_own_losses() && options_.heldout_every == 0)
            throw config_error(
                "the best weights and early stopping need held-out losses inside phases (heldout_every)");
        if (options_.watch.patience != 0 && options_.result.kind == phase_result::average)
            throw config_error(
                "an average of a phase's last steps must know which they are: early stopping goes with ema or best");
        result_.set_pool(pool_of(model_));
    }

    /// Samples whose loss is watched and never learnt.
    void set_heldout(std::span<const replay::training_sample> samples) {
        watch_.set(samples, phases_, options_.buckets, options_.micro_batch_tokens);
    }
    [[nodiscard]] const std::vector<replay::phase_plan>& plans() const noexcept { return plans_; }
    [[nodiscard]] std::uint64_t total_steps() const noexcept { return total_steps_; }
    [[nodiscard]] std::uint64_t total_tokens() const noexcept { return total_tokens_; }
    /// Taken so far.
    [[nodiscard]] std::uint64_t steps() const noexcept { return done_.total_steps; }
    /// That a step's gradient is cut into.
    [[nodiscard]] std::size_t shards() const noexcept { return shards_.count(); }

    /// Trains to the end or until `listener.stop`, said to any of the ranks.
    /// @throws io_error; config_error where a checkpoint is of another run, or the ranks are not of one run
    run_result run(const listener& on = {}) {
        if (watch_.empty() &&
            (options_.watch.regression != regression_action::none || (follows_own_losses() && !options_.score)))
            throw config_error(
                "the best weights, early stopping and the guard against forgetting need held-out samples");
        const xxh64 identity = fingerprint();
        fingerprint_ = identity.hex_digest();
        if (!options_.ranks.same(identity.digest()))
            throw config_error(explain("rank " + std::to_string(options_.ranks.rank()),
                                       "not all ranks have the same model, data, plan and seed",
                                       "give all of them the same files and options"));
        done_ = {};
        if (!go_on_from_checkpoint(on)) {
            begin_afresh();
            report_heldout(on, 0, "");
        }
        last_checkpoint_ = options_.clock();
        while (done_.phase < plans_.size())
            if (!run_phase(on)) return {false, done_.total_steps, last_loss_};
        return {true, done_.total_steps, last_loss_};
    }

private:
    struct position {
        std::size_t phase = 0, step = 0;  // phases finished; steps finished in the current one
        std::uint64_t total_steps = 0, tokens = 0;
    };
    struct phase_size {
        std::size_t steps = 0, replayed = 0;
        std::uint64_t tokens = 0;
    };

    [[nodiscard]] std::vector<std::size_t> order(std::size_t phase, std::size_t epoch) const {
        return replay::epoch_samples(plans_[phase], buffer_, options_.seed, phase, epoch);
    }
    [[nodiscard]] phase_size measure(std::size_t phase) const {
        phase_size size;
        if (plans_[phase].skipped()) return size;
        for (std::size_t e = 0; e < phases_[phase].epochs; ++e) {
            const auto samples = order(phase, e);
            size.steps += replay::steps_per_epoch(samples.size(), phases_[phase].batch_size);
            size.replayed = samples.size() - plans_[phase].own.size();
            for (const std::size_t i : samples) size.tokens += samples_[i].tokens.size();
        }
        return size;
    }

    [[nodiscard]] phase_event describe(std::size_t phase) const {
        return {phase,
                plans_.size(),
                phases_[phase].name,
                plans_[phase].own.size(),
                sizes_[phase].replayed,
                phases_[phase].epochs,
                sizes_[phase].steps,
                sizes_[phase].tokens,
                plans_[phase].skipped(),
                phases_[phase].compares()};
    }

    /// Goes on with the current phase to its end; false where `stop` was heard and something is left to do.
    bool run_phase(const listener& on) {
        const replay::phase& p = phases_[done_.phase];
        const phase_event about = describe(done_.phase);
        if (on.phase_begin) on.phase_begin(about);
        if (about.skipped) {
            if (on.notice)
                on.notice("phase '" + std::string(p.name.view()) + "' finds no samples of its own and is skipped");
            metrics_.write({{"event", "phase skipped"}, {"phase", p.name.view()}});
            ++done_.phase;
            if (on.phase_end) on.phase_end(about);
            return true;
        }
        if (done_.step == 0) {
            if (p.compares() && !begin_comparing(on)) return false;
            update_.reset(model_.parameters().size());
            guard_.reset();
            watch_.begin_phase();
            result_.begin(model_.parameters());
            metrics_.write({{"event", "phase"},
                            {"phase", p.name.view()},
                            {"own_samples", about.own_samples},
                            {"replayed_per_epoch", about.replayed_per_epoch},
                            {"epochs", p.epochs},
                            {"steps", about.steps}});
        }
        const auto& ranks = options_.ranks;
        bool stop = false, over = false;
        const auto loses_patience = [&] {
            over = measure_heldout(on);
            if (over) say_stopped_early(on);
            return over;
        };
        std::size_t step = 0;
        for (std::size_t epoch = 0; epoch < p.epochs && !over; ++epoch) {
            const auto samples = order(done_.phase, epoch);
            const std::size_t steps = replay::steps_per_epoch(samples.size(), p.batch_size);
            for (std::size_t k = 0; k < steps; ++k) {
                if (step++ < done_.step) continue;  // done before the resume
                if (std::exchange(measure_first_, false) && loses_patience()) break;
                take_step(replay::step_samples(samples, k, steps), epoch, on);
                stop = ranks.any(on.stop && on.stop());
                if (done_.step == about.steps) break;
                if (options_.heldout_every != 0 && done_.step % options_.heldout_every == 0 && loses_patience()) break;
                if (stop || ranks.by_first(checkpoint_is_due())) save(on);
                if (stop) return false;
            }
        }
        measure_first_ = false;
        close_phase(on, over);
        const auto forgotten = compare_with_earlier(on);
        ++done_.phase;
        done_.step = 0;
        save(on);
        options_.ranks.meet();  // the checkpoint is written, whatever follows
        if (on.phase_end) on.phase_end(about);
        if (!forgotten.empty() && options_.watch.regression == regression_action::stop)
            throw regression_error(forgotten + " (the checkpoint is kept: resume to go on all the same)");
        return !stop || done_.phase == plans_.size();
    }

    void take_step(std::span<const std::size_t> chosen, std::size_t epoch, const listener& on) {
        const replay::phase& p = phases_[done_.phase];
        std::vector<const replay::training_sample*> step;
        for (const std::size_t i : chosen) step.push_back(&samples_[i]);
        if constexpr (requires { model_.begin_step(done_.total_steps); }) model_.begin_step(done_.total_steps);
        regularise(p);
        const auto batches = replay::pack(step, options_.micro_batch_tokens);
        const step_loss result =
            p.compares() ? pairs_.accumulate_gradients(model_, batches, chosen, {p.beta, p.label_smoothing}, shards_)
                         : accumulate_gradients(model_, batches, shards_);
        const double rate = learning_rate(p, done_.step, sizes_[done_.phase].steps);
        const double norm = static_cast<double>(update_.norm(model_.gradients()));
        const std::string refused = guard_.judge(result.loss, norm);
        if (!refused.empty() && (!options_.guard.on() || guard_.exhausted())) {
            keep_for_later(on);
            throw config_error("phase '" + std::string(p.name.view()) + "', step " + std::to_string(done_.step + 1) +
                               ": " + refused + (options_.guard.on() ? ", and so it was in the steps before" : "") +
                               " (lower the learning rate or warm up longer)");
        }
        if (refused.empty()) {
            update_.step(model_.parameters(), model_.gradients(), rate, norm);
            if (options_.stochastic_rounding)
                optim::round_to_bf16(model_.parameters(), options_.seed, done_.total_steps, pool_of(model_));
        }
        ++done_.step, ++done_.total_steps;
        for (const std::size_t i : chosen) done_.tokens += samples_[i].tokens.size();
        result_.after_step(model_.parameters(), done_.step, sizes_[done_.phase].steps);
        if (!refused.empty()) {
            const skipped_event e{done_.phase, p.name, done_.step,           done_.total_steps,
                                  result.loss, norm,   guard_.median_loss(), guard_.median_norm(),
                                  refused};
            metrics_.write(line_of(e));
            if (on.skipped) on.skipped(e);
            return;
        }
        last_loss_ = result.loss;
        const step_event e{done_.phase,          p.name,       epoch,        done_.step,    sizes_[done_.phase].steps,
                           done_.total_steps,    total_steps_, done_.tokens, total_tokens_, result.tokens,
                           result.target_tokens, result.loss,  rate,         norm,          result.rewards};
        metrics_.write(line_of(e));
        if (on.step) on.step(e);
    }
    /// What the model thinks of the phase's pairs before it learns from them; false where `stop` was heard.
    [[nodiscard]] bool begin_comparing(const listener& on) {
        const auto& own = plans_[done_.phase].own;
        return pairs_.begin(
            model_, samples_, own, options_.micro_batch_tokens,
            [&](std::size_t done) {
                if (on.reference) on.reference({done_.phase, phases_[done_.phase].name, done, own.size()});
                return !on.stop || !on.stop();
            },
            options_.ranks);
    }

    /// Label smoothing, router loss and noise of the coming step, which is all the noise depends on besides the seed.
    void regularise(const replay::phase& p) {
        if (std::ranges::none_of(phases_, &replay::phase::regularises)) return;
        if constexpr (requires(nn::training_settings s) { model_.set_training(s); })
            model_.set_training({p.label_smoothing, p.neftune_alpha, p.router_loss, options_.seed, done_.total_steps});
        else
            throw config_error("this model knows no label smoothing, no noise on its embeddings and no router loss");
    }

    [[nodiscard]] bool follows_own_losses() const {
        return options_.watch.patience != 0 || options_.result.kind == phase_result::best;
    }
    /// Held-out losses of the weights as they are; true where the phase has lost its patience. A score that fails ends
    /// the run, `keep`: with a checkpoint from which it goes on with this measuring.
    bool measure_heldout(const listener& on, bool keep = true) {
        const std::string_view name = phases_[done_.phase].name;
        const std::uint64_t unmeasured = metrics_.size();
        double loss = report_heldout(on, done_.phase, name);
        if (!follows_own_losses()) return false;
        if (options_.score) {
            std::vector<double> score{0.0};
            try {
                options_.ranks.together([&] {
                    if (options_.ranks.first()) score[0] = options_.score(done_.phase);
                });
            } catch (...) {
                metrics_.cut(unmeasured);
                measure_first_ = true;
                if (keep) keep_for_later(on);
                throw;
            }
            options_.ranks.merge(score);
            loss = -score[0];
            metrics_.write(
                {{"event", "score"}, {"phase", name}, {"total_step", done_.total_steps}, {"score", score[0]}});
        } else if (const auto own = watch_.own(done_.phase); own.data() != watch_.all().data()) {
            loss = evaluate_loss(model_, own, options_.ranks).loss;
            metrics_.write(
                {{"event", "own heldout"}, {"phase", name}, {"total_step", done_.total_steps}, {"loss", loss}});
        }
        result_.offer(model_.parameters(), done_.step, loss);
        return watch_.impatient(loss);
    }
    void say_stopped_early(const listener& on) {
        const std::string name(phases_[done_.phase].name.view());
        metrics_.write({{"event", "stopped early"},
                        {"phase", name},
                        {"step", done_.step},
                        {"best", options_.score ? -watch_.best() : watch_.best()}});
        if (on.notice)
            on.notice("phase '" + name + "' ends after " + std::to_string(done_.step) + " of " +
                      std::to_string(sizes_[done_.phase].steps) + " steps: its " +
                      (options_.score ? "score rises" : "held-out loss falls") + " no more");
    }
    /// The phase's result takes the parameters' place, measured where it stands, unless the last step's just was.
    void close_phase(const listener& on, bool measured) {
        const bool best = options_.result.kind == phase_result::best;
        if (!best) result_.hand_over(model_.parameters());
        if (!measured || options_.result.kind == phase_result::ema) (void)measure_heldout(on, !measured);
        if (!result_.on()) return;
        if (best) result_.hand_over(model_.parameters());
        formats::json line{{"event", "result"}, {"phase", phases_[done_.phase].name.view()}};
        line["kind"] = result_.describe()["kind"];
        line[best ? "step" : "weights"] = result_.count();
        if (best && options_.score) line["score"] = -result_.best_loss();
        if (best && !options_.score && result_.count() != 0) line["loss"] = result_.best_loss();
        metrics_.write(line);
    }
    /// What the phase did to the earlier ones' held-out losses: told, and in words where one rose too far.
    std::string compare_with_earlier(const listener& on) {
        std::string worse;
        const auto evaluate = [&](const auto& set) { return evaluate_loss(model_, set, options_.ranks).loss; };
        for (const auto& c : watch_.compare(done_.phase, evaluate)) {
            const regression_event e{done_.phase, phases_[done_.phase].name, phases_[c.phase].name, c.before, c.now,
                                     c.worse};
            metrics_.write(line_of(e, done_.total_steps));
            if (on.regression) on.regression(e);
            if (e.worse && worse.empty())
                worse = "phase '" + std::string(e.phase) + "' raised the held-out loss of '" + std::string(e.earlier) +
                        "' from " + std::to_string(e.before) + " to " + std::to_string(e.now);
        }
        return worse;
    }

    double report_heldout(const listener& on, std::size_t phase, std::string_view name) {
        if (watch_.empty()) return 0;
        const step_loss result = evaluate_loss(model_, watch_.all(), options_.ranks);
        metrics_.write({{"event", "heldout"},
                        {"phase", name},
                        {"total_step", done_.total_steps},
                        {"loss", result.loss},
                        {"target_tokens", result.target_tokens}});
        if (on.heldout) on.heldout({phase, name, done_.total_steps, result.loss, result.target_tokens});
        return result.loss;
    }

    [[nodiscard]] bool checkpoint_is_due() const {
        if (options_.folder.empty()) return false;
        return (options_.checkpoint_steps != 0 && done_.total_steps % options_.checkpoint_steps == 0) ||
               options_.clock() - last_checkpoint_ >= options_.checkpoint_seconds;
    }
    [[nodiscard]] checkpoint_folder checkpoints() const { return checkpoint_folder(options_.folder / "checkpoints"); }
    [[nodiscard]] std::filesystem::path metrics_path() const { return options_.folder / "metrics.jsonl"; }

    /// The run is about to fail: what it has learnt since the last checkpoint is not lost. On all ranks.
    void keep_for_later(const listener& on) {
        if (done_.step != 0) save(on);
        options_.ranks.meet();
    }

    /// At a phase's end the optimizer's state is not needed again, which makes that checkpoint a third of the size.
    void save(const listener& on) {
        if (options_.folder.empty()) return;
        const auto optimizer = done_.step != 0 ? update_.state() : std::vector<std::span<const float>>{};
        if (!options_.ranks.first()) {
            last_checkpoint_ = options_.clock();
            return;
        }
        formats::json state{{"fingerprint", fingerprint_},
                            {"phase", done_.phase},
                            {"step", done_.step},
                            {"total_steps", done_.total_steps},
                            {"tokens", done_.tokens},
                            {"last_loss", last_loss_},
                            {"optimizer", update_.describe()},
                            {"optimizer_steps", done_.step == 0 ? 0 : static_cast<std::uint64_t>(update_.steps())},
                            {"metrics_bytes", metrics_.size()}};
        std::vector<saved_array> arrays{{"parameters", model_.parameters()}};
        for (const auto& values : optimizer)
            arrays.push_back({"optimizer." + std::to_string(arrays.size() - 1), values});
        if (done_.step != 0 && result_.on()) {
            arrays.push_back({"result", result_.values()});
            state["result"] = result_.state();
        }
        if (done_.step != 0 && phases_[done_.phase].compares()) arrays.push_back({"references", pairs_.values()});
        if (measure_first_) state["measure_first"] = true;
        if (options_.guard.on()) state["guard"] = guard_.state();
        if (watch_.on()) state["watch"] = watch_.state();
        metrics_.sync();
        checkpoints().save(done_.total_steps, state, arrays);
        last_checkpoint_ = options_.clock();
        if (on.checkpoint) on.checkpoint(checkpoints().path().string());
    }

    /// False where the run begins afresh. @throws config_error where the ranks do not see the same checkpoint
    [[nodiscard]] bool go_on_from_checkpoint(const listener& on) {
        const bool loaded = !options_.folder.empty() && options_.resume && load(on);
        if (!options_.ranks.same(loaded ? done_.total_steps + 1 : 0))
            throw config_error(explain(checkpoints().path().string(), "not all ranks see the same checkpoint in it",
                                       "the folder must be one that they share"));
        if (loaded && on.phase_end && done_.step == 0 && done_.phase > 0) on.phase_end(describe(done_.phase - 1));
        return loaded;
    }
    bool load(const listener& on) {
        const auto loaded = checkpoints().newest([&](const std::string& fault) {
            if (on.notice) on.notice("checkpoint passed over: " + fault);
        });
        if (!loaded) return false;
        const std::string place = loaded->file.path().string();
        require_same_run(loaded->state, update_.describe(), fingerprint_, place);
        const auto number = [&](const char* name) { return formats::field<std::uint64_t>(loaded->state, name, place); };
        done_.phase = static_cast<std::size_t>(number("phase"));
        done_.step = static_cast<std::size_t>(number("step"));
        const std::size_t most = done_.phase < sizes_.size() ? sizes_[done_.phase].steps : 0;
        if (done_.phase > sizes_.size() || done_.step > most)
            throw format_error(explain(place, "names a phase or step that the plan does not have"));
        done_.total_steps = number("total_steps");
        done_.tokens = number("tokens");
        last_loss_ = formats::field<double>(loaded->state, "last_loss", place);
        measure_first_ = formats::field_or<bool>(loaded->state, "measure_first", false, place);
        loaded->copy_to("parameters", model_.parameters());
        update_.reset(model_.parameters().size());
        if (done_.step != 0) {
            update_.restore([&](std::size_t i, std::size_t count) {
                return loaded->array("optimizer." + std::to_string(i), count);
            });
            update_.set_steps(number("optimizer_steps"));
            if (result_.on()) {
                result_.begin(model_.parameters());
                loaded->copy_to("result", result_.values());
                result_.restore(formats::field<formats::json>(loaded->state, "result", place), place);
            }
            if (phases_[done_.phase].compares()) {
                pairs_.place(plans_[done_.phase].own);
                loaded->copy_to("references", pairs_.values());
            }
            if (options_.guard.on())
                guard_.restore(formats::field<formats::json>(loaded->state, "guard", place), place);
        }
        if (watch_.on()) watch_.restore(formats::field<formats::json>(loaded->state, "watch", place), place);
        if (options_.ranks.first()) metrics_ = metrics_log(metrics_path(), number("metrics_bytes"));
        return true;
    }

    void begin_afresh() {
        if (options_.folder.empty() || !options_.ranks.first()) return;
        checkpoints().clear();
        metrics_ = metrics_log(metrics_path());
    }

    /// Everything that decides the result: a checkpoint is only continued by a run with the same one.
    [[nodiscard]] xxh64 fingerprint() const {
        xxh64 sum = identity_of(options_, phases_, update_.describe(), watch_, shards_.count(), samples_);
        for (std::size_t p = 0; p < plans_.size(); ++p)
            for (std::size_t e = 0; e < phases_[p].epochs && !plans_[p].skipped(); ++e)
                sum.update_values(std::span<const std::size_t>(order(p, e)));
        sum.update_values(std::span<const float>(model_.parameters()));
        return sum;
    }

    Model& model_;
    Update update_;
    std::vector<replay::training_sample> samples_;
    std::vector<replay::phase> phases_;
    Buffer buffer_;
    trainer_options options_;
    step_guard guard_;
    result_keeper result_;
    heldout_watch watch_;
    gradient_shards shards_;
    preference_learner pairs_;  // of the current phase, where it learns from preferences
    std::vector<replay::phase_plan> plans_;
    std::vector<phase_size> sizes_;
    std::uint64_t total_steps_ = 0, total_tokens_ = 0;
    position done_;
    std::string fingerprint_;
    metrics_log metrics_;
    double last_checkpoint_ = 0, last_loss_ = 0;
    bool measure_first_ = false;  // the measuring at this step failed: it comes before the next
};

}  // namespace lab::train
