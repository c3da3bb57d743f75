// A token id. Signed, as in every peer's files; -1 stands for "none".
#pragma once

#include <cstdint>

namespace lab {

using token = std::int32_t;
inline constexpr token no_token = -1;

}  // namespace lab
