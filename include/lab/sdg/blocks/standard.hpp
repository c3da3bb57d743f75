// The blocks of InstructLab's pipelines, version 1.0, to compose in C++ or to be read by their names.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "lab/sdg/blocks/column_blocks.hpp"
#include "lab/sdg/blocks/filter_block.hpp"
#include "lab/sdg/blocks/llm_block.hpp"
#include "lab/sdg/blocks/registry.hpp"

namespace lab::sdg::blocks {

/// The block of this type with this configuration. Keys that are left over are the caller's to refuse.
/// @throws config_fault
[[nodiscard]] inline any_block read_block(const block_registry& registry, const std::string& type, const yaml::node& at,
                                          config_reader& config) {
    const auto* read = registry.find(type);
    if (read == nullptr)
        config.fail(at, "no block has the type " + formats::quote(type) + " (there are " + registry.names() + ")");
    return (*read)(config);
}

/// IterBlock: another block `rounds` times over the same rows; the results one behind the other.
struct iter_block {
    static constexpr std::string_view type = "IterBlock";
    static constexpr bool whole_table = true;
    any_block inner;
    std::size_t rounds = 1;

    /// The other block's configuration stands beside `num_iters` and `block_type`.
    [[nodiscard]] static iter_block read(config_reader& config) {
        const auto rounds = config.optional_count("num_iters", 1, 100'000);
        if (!rounds) config.fail(config.node(), "needs 'num_iters'");
        const std::string inner = config.text("block_type");
        if (inner == type) config.fail("block_type", "is another block than IterBlock");  // its keys would be its own
        return {read_block(*config.common().registry, inner, config.at("block_type"), config), *rounds};
    }
    [[nodiscard]] table operator()(block_run& run, const table& rows) const {
        table out;
        const std::size_t outer = run.iteration();
        for (std::size_t n = 0; n < rounds; ++n) {
            run.set_iteration(outer * rounds + n);
            table made = inner(run, rows);
            if (n == 0)
                out = std::move(made);
            else
                out.append(std::move(made));
        }
        run.set_iteration(outer);
        return out;
    }
};

/// Those of a pipeline file.
[[nodiscard]] inline block_registry instructlab_blocks() {
    block_registry all;
    all.add<llm_block>()
        .add<conditional_llm_block>()
        .add<llm_logprob_block>()
        .add<llm_messages_block>()
        .add<filter_by_value>()
        .add<combine_columns>()
        .add<rename_columns>()
        .add<duplicate_columns>()
        .add<flatten_columns>()
        .add<set_to_majority_value>()
        .add<sample_populator>()
        .add<selector_block>()
        .add<iter_block>();
    return all;
}

}  // namespace lab::sdg::blocks
