// Part of lab::generator: LAB from end to end, with any replay buffer.
#include "lab/run/lab_run.hpp"

namespace lab::run {

template class lab_run<replay::any_buffer>;

}  // namespace lab::run
