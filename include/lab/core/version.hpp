// The library's version; CMake reads it from here.
#pragma once

#include <string_view>

namespace lab {

inline constexpr std::string_view version = "0.1.0";

}  // namespace lab
