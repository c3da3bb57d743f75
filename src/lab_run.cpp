// Part of lab::generator: LAB from end to end, with the default replay buffer.
#include "lab/run/lab_run.hpp"

namespace lab::run {

template class lab_run<replay::stratified>;

}  // namespace lab::run
