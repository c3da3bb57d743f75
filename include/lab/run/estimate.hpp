// What a training would take, before it runs: memory from the sizes of the arrays that the trainer allocates, and of
// its buffers as they are after real micro-batches of the plan (the longest among them); time from those and one
// update. Nothing is written. A run whose weights, gradients and optimizer alone exceed the machine's memory is not
// measured.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "lab/formats/json.hpp"
#include "lab/nn/arch.hpp"
#include "lab/nn/load.hpp"
#include "lab/nn/synthetic.hpp"
#include "lab/nn/weights.hpp"
#include "lab/optim/clip.hpp"
#include "lab/optim/groups.hpp"
#include "lab/replay/plan.hpp"
#include "lab/run/available_memory.hpp"
#include "lab/run/train_run.hpp"
#include "lab/train/ranks.hpp"

namespace lab::run {

struct training_estimate {
    std::size_t parameters = 0;
    std::uint64_t steps = 0, tokens = 0;
    std::size_t longest_micro_batch = 0;  // tokens
    // Bytes.
    std::uint64_t weights = 0, gradients = 0, optimizer = 0, result = 0;
    std::uint64_t activations = 0;             // of the longest micro-batch
    double activations_each = 0;               // more of them for each token of a micro-batch
    std::array<std::uint64_t, 3> kept_each{};  // part of those, kept for the backward: by nn::recompute
    std::uint64_t available = 0;               // to this process on this machine, 0: unknown
    bool measured = false;                     // activations and times; not where the rest does not fit
    double tokens_per_second = 0, update_seconds = 0;

    [[nodiscard]] std::uint64_t total() const { return weights + gradients + optimizer + result + activations; }
    [[nodiscard]] std::uint64_t kept(nn::recompute r) const { return kept_each[static_cast<std::size_t>(r)]; }
    [[nodiscard]] bool fits() const { return available == 0 || total() <= available; }
    [[nodiscard]] double seconds() const {
        return static_cast<double>(tokens) / tokens_per_second + static_cast<double>(steps) * update_seconds;
    }
};

namespace estimate_detail {

/// Memory of this process that is no file's.
[[nodiscard]] inline std::uint64_t resident() { return memory_detail::kilobytes_line("/proc/self/status", "RssAnon:"); }

struct chosen_batches {
    std::uint64_t steps = 0, tokens = 0;
    replay::packed_batch shortest, longest;
    std::vector<replay::packed_batch> first;
};
/// Walks the plan as the trainer does; micro-batches are those of each phase's first epoch.
template <class Buffer>
[[nodiscard]] chosen_batches walk(const std::vector<replay::training_sample>& samples, const train_run_options& o,
                                  const Buffer& buffer) {
    chosen_batches found;
    const auto plans = replay::bind_phases(samples, o.phases, o.trainer.buckets);
    for (std::size_t p = 0; p < plans.size(); ++p)
        for (std::size_t e = 0; e < o.phases[p].epochs && !plans[p].skipped(); ++e) {
            const auto order = replay::epoch_samples(plans[p], buffer, o.trainer.seed, p, e);
            const std::size_t steps = replay::steps_per_epoch(order.size(), o.phases[p].batch_size);
            found.steps += steps;
            for (const std::size_t i : order) found.tokens += samples[i].tokens.size();
            for (std::size_t k = 0; k < steps && e == 0; ++k) {
                std::vector<const replay::training_sample*> step;
                for (const std::size_t i : replay::step_samples(order, k, steps)) step.push_back(&samples[i]);
                for (auto& batch : replay::pack(step, o.trainer.micro_batch_tokens)) {
                    const std::size_t size = batch.tokens.size();
                    if (found.shortest.tokens.empty() || size < found.shortest.tokens.size()) found.shortest = batch;
                    if (size > found.longest.tokens.size()) found.longest = batch;
                    if (found.first.size() < 3) found.first.push_back(std::move(batch));
                }
            }
        }
    return found;
}

}  // namespace estimate_detail

namespace estimate_detail {

/// What is known of a model by its sizes alone.
struct model_sizes {
    nn::runtime_dims dims;
    std::vector<optim::parameter_tensor> tensors;  // that are learnt
    std::size_t parameters = 0;                    // in them
    std::uint64_t beside = 0;                      // bytes of the weights that are not learnt
};
/// @param model held as it is in the run, or as it is stored
[[nodiscard]] inline model_sizes sizes_of(const nn::any_model& model, const train_run_options& o) {
    model_sizes sizes{.dims = model.dims(), .tensors = optim::parameter_tensors(model, o.update.decay)};
    sizes.parameters = o.lora ? model.adapter_parameter_count() : model.parameter_count();
    if (o.lora)
        for (const auto& w : model.weights()) sizes.beside += w.data.rows * w.data.row_stride();
    return sizes;
}
/// Of a dense Llama that is yet to be made, all of whose weights learn. @throws config_error as nn::create_model
[[nodiscard]] inline model_sizes sizes_of(const nn::runtime_dims& dims, const train_run_options& o) {
    nn::validate(dims, "the new model");
    std::vector<nn::named_weight> weights;
    model_sizes sizes{.dims = dims, .tensors = {}};
    for (auto& info : nn::describe_tensors<nn::arch::llama>(dims)) {
        sizes.parameters += info.size();
        weights.push_back({std::move(info), {}});
    }
    sizes.tensors = optim::parameter_tensors(weights, o.update.decay);
    return sizes;
}

/// What follows from the sizes of a model's tensors.
inline void add_arrays(training_estimate& all, const model_sizes& model, const student& who,
                       const train_run_options& o) {
    all.parameters = model.parameters;
    if (!o.lora) all.parameters += who.added.size() * model.dims.dim * (model.dims.tied ? 1 : 2);
    const train::sharded_update update(o.update, model.tensors, nullptr, o.trainer.ranks);
    all.optimizer = (update.state_size() + update.gathered_size()) * sizeof(float);
    for (const auto r : {nn::recompute::none, nn::recompute::selective, nn::recompute::full})
        all.kept_each[static_cast<std::size_t>(r)] = nn::kept_activations(model.dims, r) * sizeof(float);
    const std::uint64_t one = all.parameters * sizeof(float);
    all.gradients = one * (1 + train::gradient_shards(o.trainer.ranks, o.trainer.shards).most_waiting());
    all.weights = one + model.beside;
    if (o.trainer.result.kind != train::phase_result::last) all.result = one;
}

}  // namespace estimate_detail

/// The least that a training of all weights needs, told by the sizes of its arrays alone, in an instant: activations
/// are those that a full micro-batch keeps for its backward.
/// @param shape of a model that is yet to be made, whose tokenizer `o.model` then is
[[nodiscard]] inline training_estimate least_memory(const train_run_options& o,
                                                    const std::optional<nn::runtime_dims>& shape = {}) {
    namespace detail = estimate_detail;
    training_estimate all{.available = available_memory() / o.processes_here};
    detail::add_arrays(all,
                       shape ? detail::sizes_of(*shape, o)
                             : detail::sizes_of(nn::load_model(o.model, {.threads = 1, .pack = false}), o),
                       open_student(o.model, o.format), o);
    all.longest_micro_batch = o.trainer.micro_batch_tokens;
    all.activations_each = static_cast<double>(all.kept(o.recompute));
    all.activations = all.longest_micro_batch * all.kept(o.recompute);
    return all;
}

/// @param shape of a model that is yet to be made, whose tokenizer `o.model` then is
/// @throws as train_run for a model, data or plan that does not fit together
template <replay::ReplayBuffer Buffer = replay::any_buffer>
[[nodiscard]] training_estimate estimate_training(
    const train_run_options& given, const std::type_identity_t<Buffer>& buffer,
    const std::optional<nn::runtime_dims>& shape = {}, const std::function<double()>& clock = [] {
        return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    }) {
    namespace detail = estimate_detail;
    auto o = given;
    if (!shape) o.encode.max_tokens = longest_sample(o.model, o.encode.max_tokens);
    training_estimate all{.available = available_memory() / o.processes_here};
    const student who = open_student(o.model, o.format);
    const auto data = read_training_data(o.data, o.preferences, who, o.encode);
    const auto batches = detail::walk(data.samples, o, buffer);
    all.steps = batches.steps;
    all.tokens = batches.tokens;
    all.longest_micro_batch = batches.longest.tokens.size();
    const auto loaded = [&] {
        if (!shape) return train_run_detail::load_to_learn(who, o);
        auto dims = *shape;
        dims.vocab += who.added.size();
        return nn::make_trainable_synthetic(dims, dtype::f32, train_run_detail::learning(o));
    };
    nn::any_model model;
    if (o.lora) model = loaded();  // expands nothing
    detail::add_arrays(all,
                       o.lora  ? detail::sizes_of(model, o)
                       : shape ? detail::sizes_of(*shape, o)
                               : detail::sizes_of(nn::load_model(o.model, {.threads = 1, .pack = false}), o),  // mapped
                       who, o);
    if (!all.fits() || all.longest_micro_batch == 0) return all;
    // What stands for a model yet to be made is there twice while it is laid out.
    if (shape && all.available != 0 && all.total() + all.weights > all.available) return all;

    if (!o.lora) model = loaded();
    // Of several ranks each holds a part of the optimizer (sharded_update): the first, for one.
    const std::size_t part =
        o.update.kind == train::optimizer::adafactor
            ? model.parameters().size()
            : train::parts_of(model.parameters().size(), o.trainer.ranks.size(), optim::norm_leaf)[1];
    train::optimizer_update update(o.update, optim::cut(optim::parameter_tensors(model, o.update.decay), 0, part),
                                   &model.pool());
    update.reset(part);
    model.zero_gradients();
    const std::uint64_t before = detail::resident();
    const auto pass = [&](const replay::packed_batch& b) {
        const double began = clock();
        (void)model.loss_and_gradients(b.batch(), b.targets,
                                       1.0 / static_cast<double>(std::max<std::size_t>(1, b.target_tokens)));
        return clock() - began;
    };
    const auto grown = [&] { return detail::resident() - std::min(before, detail::resident()); };
    (void)pass(batches.shortest);
    const auto few = static_cast<double>(batches.shortest.tokens.size()),
               many = static_cast<double>(batches.longest.tokens.size());
    all.activations = grown();
    all.activations_each = static_cast<double>(all.activations) / few;
    all.measured = true;
    const double expected = static_cast<double>(all.activations) * many / few;
    if (all.available != 0 &&
        static_cast<double>(all.total() - all.activations) + expected > static_cast<double>(all.available)) {
        all.activations = static_cast<std::uint64_t>(expected);
        all.measured = false;
        return all;
    }
    if (many > few) {
        const auto small = static_cast<double>(all.activations);
        (void)pass(batches.longest);
        all.activations = grown();
        all.activations_each = std::max(0.0, static_cast<double>(all.activations) - small) / (many - few);
    }
    double seconds = 0, tokens = 0;
    for (const auto& b : batches.first) {
        seconds += pass(b);
        tokens += static_cast<double>(b.tokens.size());
    }
    all.tokens_per_second = tokens / std::max(seconds, 1e-9) * static_cast<double>(o.trainer.ranks.size());
    const double began = clock();
    const auto gradients = model.gradients().first(part);
    update.step(model.parameters().first(part), gradients, 0.0, update.norm(gradients));
    all.update_seconds = clock() - began;
    return all;
}

/// What would make a run smaller, the largest saving first, with the bytes that it saves.
[[nodiscard]] inline std::vector<std::pair<std::string, std::uint64_t>> savings(const training_estimate& e,
                                                                                const train_run_options& o) {
    std::vector<std::pair<std::string, std::uint64_t>> list;
    const auto other_state = [&](train::optimizer kind, std::uint64_t bytes, const char* text) {
        if (o.update.kind != kind && bytes < e.optimizer) list.emplace_back(text, e.optimizer - bytes);
    };
    const std::uint64_t one = e.parameters * sizeof(float);
    other_state(train::optimizer::sgd, one / o.trainer.ranks.size(), "--optimizer sgd");
    other_state(train::optimizer::adafactor, one / 100, "--optimizer adafactor");
    if (e.gradients > one) list.emplace_back("fewer --shards (the result is another)", e.gradients - one);
    if (e.result != 0) list.emplace_back("--result last", e.result);
    if (e.longest_micro_batch > 128 && e.activations_each > 0) {
        const std::size_t half = e.longest_micro_batch / 2;
        list.emplace_back(
            "--micro-batch " + std::to_string(half) + " and --max-tokens no larger",
            static_cast<std::uint64_t>(e.activations_each * static_cast<double>(e.longest_micro_batch - half)));
    }
    for (const auto r : {nn::recompute::selective, nn::recompute::full})
        if (r > o.recompute)
            list.emplace_back("--recompute " + std::string(name_of(r)),
                              e.longest_micro_batch * (e.kept(o.recompute) - e.kept(r)));
    std::stable_sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
    return list;
}

[[nodiscard]] inline formats::json to_json(const training_estimate& e) {
    formats::json all{{"parameters", e.parameters},
                      {"steps", e.steps},
                      {"tokens", e.tokens},
                      {"longest_micro_batch", e.longest_micro_batch},
                      {"bytes",
                       {{"weights", e.weights},
                        {"gradients", e.gradients},
                        {"optimizer", e.optimizer},
                        {"result", e.result},
                        {"activations", e.activations},
                        {"activations_each_token", e.activations_each},
                        {"kept_each_token",
                         {{"none", e.kept(nn::recompute::none)},
                          {"selective", e.kept(nn::recompute::selective)},
                          {"full", e.kept(nn::recompute::full)}}},
                        {"total", e.total()},
                        {"available", e.available}}},
                      {"measured", e.measured},
                      {"fits", e.fits()}};
    if (e.measured) {
        all["tokens_per_second"] = e.tokens_per_second;
        all["update_seconds"] = e.update_seconds;
        all["seconds"] = e.seconds();
    }
    return all;
}

}  // namespace lab::run
