// What the trainer asks of an optimizer with its clipping: two calls per step, and the state a checkpoint needs.
// `optimizer_update` (train/optimizer.hpp) is the one in use, shared out among ranks by train/sharded_update.hpp; a
// test's plain SGD is the smallest.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lab::train {

/// `norm` is the gradients' global norm; `step`, given it, clips and moves the parameters. A step that is not to be
/// taken ends after `norm`.
/// `reset` forgets everything for that many parameters. `state` lists what must survive a resume besides `steps`:
/// arrays in a fixed order, allocated as soon as `reset` was called, valid until the next step; `restore` takes them
/// back after a `reset`, from source(number of the array, its size). `describe` names the settings that change results.
/// Of several ranks all make these calls together, and what `state` lists counts in the first.
template <class U>
concept ParameterUpdate = requires(U& u, const U& c, std::span<float> parameters, std::span<float> gradients,
                                   double learning_rate, double norm, std::size_t count, std::uint64_t steps,
                                   std::span<const float> (*source)(std::size_t, std::size_t)) {
    { u.norm(gradients) } -> std::convertible_to<double>;
    {u.step(parameters, gradients, learning_rate, norm)};
    {u.reset(count)};
    { u.state() } -> std::same_as<std::vector<std::span<const float>>>;
    {u.restore(source)};
    { c.steps() } -> std::convertible_to<std::uint64_t>;
    {u.set_steps(steps)};
    { c.describe() } -> std::convertible_to<std::string>;
};

/// `restore` for an optimizer that holds its arrays whole.
template <class Source>
void restore_arrays(std::span<const std::span<float>> arrays, Source&& source) {
    for (std::size_t i = 0; i < arrays.size(); ++i) {
        const std::span<const float> values = source(i, arrays[i].size());
        std::copy(values.begin(), values.end(), arrays[i].begin());
    }
}

}  // namespace lab::train
