// Part of lab::compiled: the engine's step, and with it batching, sampling and drafting.
#include "lab/infer/engine.hpp"

namespace lab::infer {

bool engine::step() { return take_step(); }

}  // namespace lab::infer
