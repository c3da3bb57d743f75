// What every op of the kernels gives at one instruction set, as one row of floats.
#pragma once

#include <vector>

namespace lab::test {

std::vector<float> outputs_avx512();
std::vector<float> outputs_vnni();
std::vector<float> outputs_avx2();
std::vector<float> outputs_fma();

}  // namespace lab::test
