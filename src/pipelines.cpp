// Part of lab::generator: InstructLab's blocks and reading pipelines.
#include "lab/sdg/blocks/read_pipeline_file.hpp"

#include "lab/sdg/blocks/pipeline_file.hpp"

namespace lab::sdg::blocks {

block_registry standard_blocks() { return instructlab_blocks(); }
pipeline read_pipeline(const std::filesystem::path& path, const block_registry& registry,
                       const std::map<std::string, std::string>& families) {
    return pipeline_reader(path, registry, families).read(path);
}

}  // namespace lab::sdg::blocks
