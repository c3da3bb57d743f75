// The roots of a taxonomy and their folders.
#pragma once

#include <optional>
#include <string_view>

namespace lab::taxonomy {

/// The three roots of a taxonomy.
enum class root { knowledge, foundational, compositional };

[[nodiscard]] constexpr std::string_view folder_name(root r) noexcept {
    return r == root::knowledge      ? "knowledge"
           : r == root::foundational ? "foundational_skills"
                                     : "compositional_skills";
}
[[nodiscard]] inline std::optional<root> root_from_folder(std::string_view folder) noexcept {
    for (const auto r : {root::knowledge, root::foundational, root::compositional})
        if (folder == folder_name(r)) return r;
    return std::nullopt;
}

}  // namespace lab::taxonomy
