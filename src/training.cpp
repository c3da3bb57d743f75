// Part of lab::compiled: training from files to files, with any replay buffer.
#include "lab/run/train_run.hpp"

namespace lab::run {

template train_run_result train_run(const train_run_options&, replay::any_buffer, const listener&);

}  // namespace lab::run
