// The kernels for this unit's instruction set, compiled once for all tests of an executable (kernels/support.hpp).
#include "lab/kernels/cpu.hpp"

template class lab::kernels::cpu<lab::kernels::arch::native>;
