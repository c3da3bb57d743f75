// Blocks by the name that a pipeline file gives their type. `standard_blocks` (pipeline_file.hpp) has InstructLab's; a
// block of one's own is added with `add<my_block>()`.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "lab/sdg/blocks/block.hpp"

namespace lab::sdg::blocks {

class block_registry {
public:
    using reader = std::function<any_block(config_reader&)>;

    /// Under its own type's name, or another. The later one counts.
    template <ReadableBlock B>
    block_registry& add(std::string name = std::string(B::type)) {
        readers_[std::move(name)] = [](config_reader& config) -> any_block { return B::read(config); };
        return *this;
    }
    /// Reads a block of that type, or nullptr where none has it.
    [[nodiscard]] const reader* find(std::string_view type) const {
        const auto at = readers_.find(type);
        return at == readers_.end() ? nullptr : &at->second;
    }
    [[nodiscard]] std::string names() const {
        std::string list;
        for (const auto& [name, unused] : readers_) list += (list.empty() ? "" : ", ") + name;
        return list;
    }

private:
    std::map<std::string, reader, std::less<>> readers_;
};

}  // namespace lab::sdg::blocks
