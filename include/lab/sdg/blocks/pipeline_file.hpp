// Pipelines from YAML, InstructLab's format version 1.0 (pipelines/schema/v1.json of instructlab/sdg): `version`,
// `blocks` of `name`, `type`, `config`, `drop_columns`, `drop_duplicates`, and `datamixing`. Judged as that schema
// does, with each block's configuration held against its own type; every fault is reported with file, line and column.
// With lab::generator linked (LAB_COMPILED) this header is declarations only.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "lab/sdg/blocks/pipeline.hpp"
#include "lab/sdg/blocks/registry.hpp"
#ifndef LAB_COMPILED
#include "lab/sdg/blocks/read_pipeline_file.hpp"
#endif

namespace lab::sdg::blocks {

#ifdef LAB_COMPILED
[[nodiscard]] block_registry standard_blocks();
[[nodiscard]] pipeline read_pipeline(const std::filesystem::path& path,
                                     const block_registry& registry = standard_blocks(),
                                     const std::map<std::string, std::string>& families = {});
#else
/// InstructLab's.
[[nodiscard]] inline block_registry standard_blocks() { return instructlab_blocks(); }
/// @param families model families besides those known, which blocks may name
/// @throws pipeline_error with all faults of the file and of those it names; io_error where it cannot be read
[[nodiscard]] inline pipeline read_pipeline(const std::filesystem::path& path,
                                            const block_registry& registry = standard_blocks(),
                                            const std::map<std::string, std::string>& families = {}) {
    return pipeline_reader(path, registry, families).read(path);
}
#endif

}  // namespace lab::sdg::blocks
