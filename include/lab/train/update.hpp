// What the trainer asks of an optimizer with its clipping: two calls per step, and the state a checkpoint needs.
// `optimizer_update` (train/optimizer.hpp) is the one in use; a test's plain SGD is the smallest.
#pragma once

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
/// arrays in a fixed order, allocated as soon as `reset` was called. `describe` names the settings that change results.
template <class U>
concept ParameterUpdate = requires(U& u, const U& c, std::span<float> parameters, std::span<float> gradients,
                                   double learning_rate, double norm, std::size_t count, std::uint64_t steps) {
    { u.norm(gradients) } -> std::convertible_to<double>;
    {u.step(parameters, gradients, learning_rate, norm)};
    {u.reset(count)};
    { u.state() } -> std::same_as<std::vector<std::span<float>>>;
    { c.steps() } -> std::convertible_to<std::uint64_t>;
    {u.set_steps(steps)};
    { c.describe() } -> std::convertible_to<std::string>;
};

}  // namespace lab::train
