// What `create_model` can be asked for.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lab::nn {

struct create_options {
    std::uint64_t seed = 0;
    std::size_t context = 2048;  // positions it is meant for
};

}  // namespace lab::nn
