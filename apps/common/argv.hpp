// Options of several letters behind one dash, as llama.cpp's tools spell them: cxxopts reads "-npp 8" as "-n pp 8".
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lab::apps {

/// The arguments with "-name" and "-name=value" spelt "--name" for each of `names`; what follows "--" stays.
[[nodiscard]] inline std::vector<std::string> with_double_dashes(std::span<const char* const> arguments,
                                                                 std::span<const std::string_view> names) {
    std::vector<std::string> out(arguments.begin(), arguments.end());
    for (std::string& argument : out) {
        if (argument == "--") break;
        const std::string_view name = std::string_view(argument).substr(0, argument.find('='));
        if (name.size() > 2 && name[0] == '-' && std::find(names.begin(), names.end(), name.substr(1)) != names.end())
            argument.insert(0, 1, '-');
    }
    return out;
}

/// Pointers as `main` gets them; valid as long as `arguments`.
[[nodiscard]] inline std::vector<const char*> as_argv(const std::vector<std::string>& arguments) {
    std::vector<const char*> out(arguments.size());
    std::transform(arguments.begin(), arguments.end(), out.begin(), [](const std::string& a) { return a.c_str(); });
    return out;
}

}  // namespace lab::apps
