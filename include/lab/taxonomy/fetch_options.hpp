// How a leaf's repository is fetched (fetch.hpp).
#pragma once

#include <functional>
#include <string>

namespace lab::taxonomy {

struct fetch_options {
    double seconds = 600;  ///< for one command of git
    std::function<bool()> keep_going{};
    std::function<void(const std::string&)> notice{};  ///< told what is fetched
};

}  // namespace lab::taxonomy
